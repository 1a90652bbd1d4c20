// SPDX-License-Identifier: BSD-2-Clause
/* File systems below a share that mean harm: they are another process's. */
#include "tests/harness/folder.h"
#include "tests/harness/fuse_fs.h"
#include "tests/harness/share_rig.h"
#include "tests/harness/silent.h"
#include "tests/harness/test.h"

static char listed[1025];

static void setup(void)
{
    if (!silent_begin() || access("/dev/fuse", R_OK | W_OK) != 0)
        cr_skip_test("this user cannot mount");
}

TestSuite(share_mounts, .init = setup);

/* What kinds of files are listed is asked by their names, where attributes say it. */
Test(share_mounts, a_name_that_is_longer_than_names_are_is_listed)
{
    struct fuse_fs fs = {.listed = listed};
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_XATTR});
    memset(listed, 'x', sizeof(listed) - 1);
    cr_assert_eq(mkdir("shared/m", 0755), 0);
    cr_assert(fuse_fs_mount(&fs, "shared/m"));
    uint64_t dir = fuse_lookup(&rig.client, ROOT, "m", NULL);
    cr_assert_neq(dir, 0);
    const struct fuse_open_in in = {0};
    struct fuse_open_out out;
    cr_assert_eq(CALL(FUSE_OPENDIR, dir, in), 0);
    memcpy(&out, rig.client.out, sizeof(out));
    const struct fuse_read_in list = {.fh = out.fh, .size = 65536};
    cr_assert_eq(CALL(FUSE_READDIR, dir, list), 0);
    cr_assert_eq(CALL(FUSE_READDIRPLUS, dir, list), 0);
    cr_assert_gt(rig.client.out_bytes, 1024);
    cr_assert_eq(fuse_release(&rig.client, dir, out.fh), 0);
    rig.share->ops->reset(rig.share);
    fuse_fs_unmount(&fs, "shared/m");
    share_rig_close();
}

/* What attributes say of its root is asked on a helper. */
Test(share_mounts, the_root_of_a_silent_one_is_not_waited_for)
{
    for (enum share_uid uid = SHARE_UID_MAP; uid <= SHARE_UID_XATTR; uid++) {
        struct fuse_fs fs = {.listed = "file", .mute = FUSE_GETXATTR};
        share_rig_open((struct share_dir_config){.uid = uid});
        cr_assert_eq(mkdir("shared/m", 0755), 0);
        cr_assert(fuse_fs_mount(&fs, "shared/m"));
        fuse_send(&rig.client, FUSE_LOOKUP, ROOT, "m", 2, "", 0);
        cr_expect_not(rig.client.is_done, "the loop goes on");
        fuse_fs_unmount(&fs, "shared/m");
        (void)fuse_answer(&rig.client);
        share_rig_close();
    }
}

/* It was a directory like others when the guest got to know what is below it. */
Test(share_mounts, a_silent_one_over_a_directory_on_the_way_is_not_waited_for)
{
    struct fuse_fs fs = {.listed = "file", .mute = FUSE_LOOKUP};
    char name[16];
    share_rig_open((struct share_dir_config){.descriptors_max = 16});
    uint64_t dir = fuse_mkdir(&rig.client, ROOT, "m"), below = fuse_mkdir(&rig.client, dir, "d");
    cr_assert(dir != 0 && below != 0);
    for (unsigned i = 0; i < 8; i++) { /* which take the descriptors */
        snprintf(name, sizeof(name), "other%u", i);
        (void)lookup_error(fuse_mkdir(&rig.client, ROOT, name), "x");
    }
    cr_assert(fuse_fs_mount(&fs, "shared/m"));
    fuse_send(&rig.client, FUSE_LOOKUP, below, "x", 2, "", 0);
    cr_expect_eq(fuse_answer(&rig.client), -ESTALE);
    fuse_fs_unmount(&fs, "shared/m");
    share_rig_close();
}
