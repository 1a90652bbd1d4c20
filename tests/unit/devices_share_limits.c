// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/share_rig.h"
#include "tests/harness/test.h"

static void begin(unsigned descriptors, uint64_t nodes)
{
    share_rig_open((struct share_dir_config){
        .uid = SHARE_UID_MAP, .descriptors_max = descriptors, .nodes_max = nodes});
}

Test(devices_share_limits, more_files_are_known_than_may_be_open)
{
    enum { FILES = 2000 };
    static uint64_t nodes[FILES];
    struct fuse_attr attr;
    uint64_t fh;
    char name[32], text[32];
    begin(32, 0);
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "shared/f%u", i);
        write_file(name, name);
        nodes[i] = fuse_lookup(&rig.client, ROOT, name + 7, NULL);
        cr_assert_neq(nodes[i], 0);
    }
    for (unsigned i = 0; i < FILES; i++) {
        unsigned which = i * 1237 % FILES;
        snprintf(name, sizeof(name), "shared/f%u", which);
        cr_assert_eq(fuse_open(&rig.client, nodes[which], O_RDONLY, &fh), 0);
        cr_assert_eq(fuse_read(&rig.client, nodes[which], fh, 0, text, 32), (int64_t)strlen(name));
        cr_assert_arr_eq(text, name, strlen(name));
        cr_assert_eq(fuse_release(&rig.client, nodes[which], fh), 0);
        cr_assert_eq(fuse_getattr(&rig.client, nodes[which], &attr), 0);
        cr_assert(share_rig_fds() <= rig.fds + 32);
    }
    share_rig_close();
}

Test(devices_share_limits, open_files_stay_within_their_number)
{
    uint64_t fh[100];
    unsigned open = 0;
    int err = 0;
    begin(64, 0);
    unsigned before = share_rig_fds();
    uint64_t node = make_file(ROOT, "a");
    while (err == 0 && open < 100) {
        err = fuse_open(&rig.client, node, O_RDONLY, &fh[open]);
        open += err == 0;
    }
    cr_assert(err == -ENFILE && open == 32);
    cr_assert(share_rig_fds() <= before + 64);
    uint64_t other;
    cr_assert_eq(fuse_create(&rig.client, ROOT, "b", O_RDWR, 0644, &other, &err), 0);
    cr_assert_eq(err, -ENFILE);
    cr_assert_eq(fuse_release(&rig.client, node, fh[7]), 0);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh[7]), 0);
    rig.share->ops->reset(rig.share);
    cr_assert_eq(fuse_client_init(&rig.client), 0);
    cr_assert(share_rig_fds() <= before);
    share_rig_close();
}

/* As an archive is unpacked: each file is opened, and its attributes are asked for meanwhile. */
Test(devices_share_limits, files_that_were_open_are_not_kept_open)
{
    struct fuse_attr attr;
    char name[16];
    uint64_t fh;
    begin(64, 0);
    unsigned before = share_rig_fds();
    for (unsigned i = 0; i < 200; i++) {
        snprintf(name, sizeof(name), "%u", i);
        uint64_t node = fuse_create(&rig.client, ROOT, name, O_RDWR, 0644, &fh, NULL);
        cr_assert_eq(fuse_getattr(&rig.client, node, &attr), 0);
        cr_assert_eq(fuse_release(&rig.client, node, fh), 0);
        cr_assert(share_rig_fds() <= before + 16 + 1);
    }
    share_rig_close();
}

Test(devices_share_limits, the_guest_knows_so_many_files_and_no_more)
{
    char name[16];
    int err = 0;
    unsigned known = 0;
    uint64_t first = 0;
    begin(64, 100);
    for (; err == 0 && known < 1000; known++) {
        snprintf(name, sizeof(name), "%u", known);
        char path[32];
        snprintf(path, sizeof(path), "shared/%s", name);
        write_file(path, "");
        uint64_t node = fuse_lookup(&rig.client, ROOT, name, &err);
        first = first != 0 ? first : node;
    }
    cr_assert(err == -ENFILE && known == 100, "%d %u", err, known); /* the root is one */
    fuse_forget(&rig.client, first, UINT64_MAX);
    cr_assert_eq(lookup_error(ROOT, name), 0);
    cr_assert_eq(lookup_error(ROOT, "0"), -ENFILE);
    share_rig_close();
}

Test(devices_share_limits, directories_may_be_deeper_than_a_path_is_long)
{
    enum { DEPTH = 400 };
    uint64_t nodes[DEPTH], fh;
    struct fuse_attr attr;
    char name[256];
    begin(64, 0);
    memset(name, 'd', sizeof(name));
    name[255] = '\0';
    for (unsigned i = 0; i < DEPTH; i++) {
        nodes[i] = fuse_mkdir(&rig.client, i > 0 ? nodes[i - 1] : ROOT, name);
        cr_assert_neq(nodes[i], 0);
    }
    for (unsigned i = 0; i < 50; i++) { /* take all descriptors that stayed */
        snprintf(name, sizeof(name), "f%u", i);
        uint64_t node = make_file(ROOT, name);
        cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh), 0);
        cr_assert_eq(fuse_release(&rig.client, node, fh), 0);
    }
    cr_assert_neq(make_file(nodes[DEPTH - 1], "a"), 0);
    cr_assert(share_rig_fds() <= rig.fds + 64);
    for (unsigned i = 0; i < DEPTH; i += 7)
        cr_assert_eq(fuse_getattr(&rig.client, nodes[i], &attr), 0);
    share_rig_close();
}

/* ---- what the host does meanwhile ---- */

static uint64_t known_dirs(uint64_t nodes[3])
{
    nodes[0] = fuse_mkdir(&rig.client, ROOT, "a");
    nodes[1] = fuse_mkdir(&rig.client, nodes[0], "b");
    nodes[2] = fuse_mkdir(&rig.client, nodes[1], "c");
    return make_file(nodes[2], "file");
}

/* Until no directory has a descriptor any more. */
static void open_others(void)
{
    static unsigned number;
    uint64_t fh;
    for (unsigned i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "o%u", number++);
        uint64_t node = make_file(ROOT, name);
        cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh), 0);
        cr_assert_eq(fuse_release(&rig.client, node, fh), 0);
    }
}

Test(devices_share_limits, a_directory_that_the_host_moved_is_found_by_its_new_name)
{
    struct fuse_attr attr;
    uint64_t dirs[3];
    begin(32, 0);
    uint64_t file = known_dirs(dirs);
    open_others();
    cr_assert_eq(rename("shared/a/b", "shared/moved"), 0);
    cr_assert_eq(fuse_getattr(&rig.client, file, &attr), -ESTALE);
    cr_assert_eq(lookup_error(dirs[1], "c"), -ESTALE);
    cr_assert_eq(fuse_lookup(&rig.client, ROOT, "moved", NULL), dirs[1]);
    cr_assert_eq(fuse_getattr(&rig.client, file, &attr), 0);
    share_rig_close();
}

/* As the share last saw them, b would be below a, and a below b. */
Test(devices_share_limits, stale_places_make_no_circle)
{
    struct fuse_attr attr;
    uint64_t dirs[3];
    begin(64, 0);
    uint64_t file = known_dirs(dirs);
    cr_assert_eq(rename("shared/a/b", "shared/b"), 0);
    cr_assert_eq(rename("shared/a", "shared/b/a"), 0);
    cr_assert_eq(lookup_error(dirs[1], "a"), -ESTALE); /* it has b's descriptor still */
    open_others();
    cr_assert_eq(fuse_lookup(&rig.client, ROOT, "b", NULL), dirs[1]);
    cr_assert_eq(fuse_lookup(&rig.client, dirs[1], "a", NULL), dirs[0]);
    cr_assert_eq(fuse_getattr(&rig.client, file, &attr), 0);
    cr_assert_eq(rename("shared/b/c", "shared/c"), 0);
    cr_assert_eq(rename("shared/b", "shared/c/b"), 0);
    open_others();
    cr_assert_eq(fuse_getattr(&rig.client, dirs[0], &attr), -ESTALE);
    cr_assert_eq(fuse_lookup(&rig.client, ROOT, "c", NULL), dirs[2]);
    cr_assert_eq(fuse_lookup(&rig.client, dirs[2], "b", NULL), dirs[1]);
    cr_assert_eq(fuse_getattr(&rig.client, dirs[0], &attr), 0);
    share_rig_close();
}

Test(devices_share_limits, another_file_of_the_same_name_is_another_file)
{
    struct fuse_attr attr;
    uint64_t fh;
    begin(32, 0);
    for (unsigned i = 0; i < 50; i++) { /* inode numbers come again soon */
        write_file("shared/a", "x");
        uint64_t node = fuse_lookup(&rig.client, ROOT, "a", NULL);
        cr_assert_neq(node, 0);
        cr_assert_eq(unlink("shared/a"), 0);
        write_file("shared/a", "y");
        cr_assert_neq(fuse_open(&rig.client, node, O_RDONLY, &fh), 0);
        cr_assert_neq(fuse_getattr(&rig.client, node, &attr), 0);
        cr_assert_neq(fuse_lookup(&rig.client, ROOT, "a", NULL), node);
        cr_assert_eq(unlink("shared/a"), 0);
        cr_assert_eq(symlink("/etc/passwd", "shared/a"), 0);
        cr_assert_neq(fuse_open(&rig.client, node, O_RDONLY, &fh), 0);
        cr_assert_eq(unlink("shared/a"), 0);
    }
    share_rig_close();
}
