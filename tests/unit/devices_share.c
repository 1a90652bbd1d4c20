// SPDX-License-Identifier: BSD-2-Clause
#include <dirent.h>

#include "tests/harness/share_rig.h"
#include "tests/harness/test.h"

static void begin(void)
{
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_MAP});
}

Test(devices_share, a_file_is_made_written_read_and_forgotten)
{
    begin();
    uint64_t fh;
    char text[16] = "";
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    cr_assert_neq(node, 0);
    cr_assert_eq(fuse_write(&rig.client, node, fh, 0, "hello", 5), 5);
    cr_assert_eq(fuse_read(&rig.client, node, fh, 1, text, sizeof(text)), 4);
    cr_assert_str_eq(text, "ello");
    cr_assert_eq(fuse_release(&rig.client, node, fh), 0);
    cr_assert_eq(fuse_read(&rig.client, node, fh, 0, text, sizeof(text)), -EBADF);
    cr_assert_eq(fuse_lookup(&rig.client, ROOT, "a", NULL), node);
    fuse_forget(&rig.client, node, 2);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh), -ESTALE);
    share_rig_close();
}

Test(devices_share, a_symbolic_link_is_no_way_out)
{
    begin();
    write_file("secret", "s");
    cr_assert_eq(symlink("../secret", "shared/link"), 0);
    cr_assert_eq(symlink("..", "shared/up"), 0);
    uint64_t fh, node = fuse_lookup(&rig.client, ROOT, "link", NULL);
    cr_assert_neq(node, 0);
    cr_assert_neq(fuse_open(&rig.client, node, O_RDONLY, &fh), 0);
    node = fuse_lookup(&rig.client, ROOT, "up", NULL);
    int err;
    cr_assert_eq(fuse_lookup(&rig.client, node, "secret", &err), 0);
    cr_assert_eq(err, -ENOTDIR);
    cr_assert_eq(fuse_lookup(&rig.client, ROOT, "..", &err), 0);
    cr_assert_eq(err, -EINVAL);
    cr_assert_eq(fuse_lookup(&rig.client, ROOT, "../secret", &err), 0);
    cr_assert_eq(err, -EINVAL);
    share_rig_close();
}

/* Where a file stands for a device, a list says so as well: an overlay looks there for what it has
 * removed. */
Test(devices_share, a_list_has_the_types_that_the_guest_sees)
{
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_XATTR, .xattr = true});
    const struct fuse_mknod_in node = {.mode = S_IFCHR};
    cr_assert_eq(fuse_call(&rig.client, FUSE_MKNOD, ROOT, &node, sizeof(node), "gone", 5), 0);
    write_file("shared/file", "");
    const struct fuse_open_in how = {0};
    cr_assert_eq(fuse_call(&rig.client, FUSE_OPENDIR, ROOT, &how, sizeof(how), "", 0), 0);
    const struct fuse_open_out *opened = (const void *)rig.client.out;
    const struct fuse_read_in list = {.fh = opened->fh, .size = 4096};
    cr_assert_eq(fuse_call(&rig.client, FUSE_READDIR, ROOT, &list, sizeof(list), "", 0), 0);
    unsigned seen = 0;
    for (size_t at = 0; at < rig.client.out_bytes;) {
        const struct fuse_dirent *d = (const void *)(rig.client.out + at);
        if (d->namelen == 4 && memcmp(d->name, "gone", 4) == 0 && d->type == DT_CHR)
            seen |= 1;
        if (d->namelen == 4 && memcmp(d->name, "file", 4) == 0 && d->type == DT_REG)
            seen |= 2;
        at += FUSE_DIRENT_SIZE(d);
    }
    cr_expect_eq(seen, 3);
    share_rig_close();
}

Test(devices_share, a_flat_one_has_no_mounts)
{
    for (unsigned flat = 0; flat < 2; flat++) {
        share_rig_open((struct share_dir_config){.flat = flat});
        const struct fuse_init_out *init = (const void *)rig.client.out;
        cr_expect_eq((init->flags & FUSE_SUBMOUNTS) == 0, flat);
        share_rig_close();
    }
}
