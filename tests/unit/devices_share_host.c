// SPDX-License-Identifier: BSD-2-Clause
/* What the host is and does: other file systems, a directory that goes, Minivet that is run by
 * root. */
#include "tests/harness/folder.h"
#include "tests/harness/share_rig.h"
#include "tests/harness/test.h"

/* A message about a node: zeroes, and two names behind them. */
static int call(uint32_t opcode, uint64_t node, size_t head)
{
    static const uint64_t zeroes[16];
    return fuse_call(&rig.client, opcode, node, zeroes, head, "user.a\0b", 9);
}

Test(devices_share_host, a_directory_that_is_gone_is_stale)
{
    static const struct {
        uint32_t opcode;
        size_t head;
    } messages[] = {
        {FUSE_LOOKUP, 0},
        {FUSE_GETATTR, sizeof(struct fuse_getattr_in)},
        {FUSE_SETATTR, sizeof(struct fuse_setattr_in)},
        {FUSE_SYMLINK, 0},
        {FUSE_READLINK, 0},
        {FUSE_MKNOD, sizeof(struct fuse_mknod_in)},
        {FUSE_MKDIR, sizeof(struct fuse_mkdir_in)},
        {FUSE_UNLINK, 0},
        {FUSE_RMDIR, 0},
        {FUSE_CREATE, sizeof(struct fuse_create_in)},
        {FUSE_TMPFILE, sizeof(struct fuse_create_in)},
        {FUSE_OPENDIR, sizeof(struct fuse_open_in)},
        {FUSE_STATFS, 0},
        {FUSE_SYNCFS, sizeof(struct fuse_syncfs_in)},
        {FUSE_SETXATTR, FUSE_COMPAT_SETXATTR_IN_SIZE},
        {FUSE_GETXATTR, sizeof(struct fuse_getxattr_in)},
        {FUSE_LISTXATTR, sizeof(struct fuse_getxattr_in)},
        {FUSE_REMOVEXATTR, 0},
    };
    share_rig_open((struct share_dir_config){.xattr = true});
    cr_assert_eq(mkdir("shared/d", 0755), 0);
    write_file("shared/a", "a");
    uint64_t gone = fuse_lookup(&rig.client, ROOT, "d", NULL);
    uint64_t file = fuse_lookup(&rig.client, ROOT, "a", NULL), fh;
    cr_assert(gone != 0 && rmdir("shared/d") == 0 && unlink("shared/a") == 0);
    for (size_t i = 0; i < ARRAY_SIZE(messages); i++)
        cr_assert_eq(call(messages[i].opcode, gone, messages[i].head), -ESTALE, "%u",
                     messages[i].opcode);
    const struct fuse_rename_in in = {.newdir = gone}, from = {.newdir = ROOT};
    cr_assert_eq(fuse_call(&rig.client, FUSE_RENAME, ROOT, &in, sizeof(in), "a\0b", 4), -ESTALE);
    cr_assert_eq(fuse_call(&rig.client, FUSE_RENAME, gone, &from, sizeof(from), "a\0b", 4),
                 -ESTALE);
    struct fuse_link_in link = {.oldnodeid = file};
    cr_assert_eq(CALL_TEXT(FUSE_LINK, ROOT, link, "b"), -ESTALE);
    link.oldnodeid = 4711;
    cr_assert_eq(CALL_TEXT(FUSE_LINK, ROOT, link, "b"), -ESTALE);
    cr_assert_eq(fuse_open(&rig.client, file, O_RDONLY, &fh), -ESTALE);
    share_rig_close();
}

/* What a driver other than Linux's may do: the data begins in the middle of a buffer. */
Test(devices_share_host, data_may_begin_within_a_buffer)
{
    static char text[70000], found[sizeof(text)];
    uint64_t fh;
    share_rig_open((struct share_dir_config){.cache = SHARE_CACHE_NEVER});
    memset(text, 'x', sizeof(text));
    rig.client.whole = true;
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    cr_assert_eq(fuse_write(&rig.client, node, fh, 5, text, sizeof(text)), sizeof(text));
    cr_assert_eq(fuse_read(&rig.client, node, fh, 5, found, sizeof(found)), sizeof(found));
    cr_assert_arr_eq(found, text, sizeof(text));
    cr_assert_eq(fuse_read(&rig.client, node, fh, sizeof(text), found, sizeof(found)), 5);
    share_rig_close();
}

/* sysfs is none of the file systems that are known to answer by themselves. */
Test(devices_share_host, another_file_system_is_served_by_helpers)
{
    char text[64];
    uint64_t fh;
    share_rig_open((struct share_dir_config){.path = "/sys/kernel", .read_only = true});
    uint64_t node = fuse_lookup(&rig.client, ROOT, "uevent_seqnum", NULL);
    cr_assert_neq(node, 0);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh), 0);
    cr_assert_gt(fuse_read(&rig.client, node, fh, 0, text, sizeof(text)), 0);
    cr_assert_eq(fuse_release(&rig.client, node, fh), 0);
    const struct fuse_open_in in = {0};
    cr_assert_eq(CALL(FUSE_OPENDIR, ROOT, in), 0);
    cr_assert_eq(call(FUSE_STATFS, ROOT, 0), 0);
    share_rig_close();
}

Test(devices_share_host, what_is_mounted_below_is_told_as_such)
{
    struct fuse_entry_out entry;
    share_rig_open((struct share_dir_config){.path = "/", .read_only = true});
    for (unsigned i = 0; i < 2; i++) {
        uint64_t proc = fuse_lookup(&rig.client, ROOT, "proc", NULL);
        cr_assert_neq(proc, 0);
        memcpy(&entry, rig.client.out, sizeof(entry));
        cr_assert_eq(entry.attr.flags, FUSE_ATTR_SUBMOUNT);
        cr_assert_neq(fuse_lookup(&rig.client, proc, "self", NULL), 0);
    }
    const struct fuse_open_in in = {0};
    struct fuse_open_out out;
    cr_assert_eq(CALL(FUSE_OPENDIR, ROOT, in), 0);
    memcpy(&out, rig.client.out, sizeof(out));
    const struct fuse_read_in list = {.fh = out.fh, .size = 65536};
    cr_assert_eq(CALL(FUSE_READDIRPLUS, ROOT, list), 0);
    share_rig_close();
}

Test(devices_share_host, root_gives_files_to_the_guest_s_users)
{
    struct fuse_attr attr;
    struct stat st;
    if (geteuid() != 0)
        cr_skip_test("it is for root");
    for (enum share_uid uid = SHARE_UID_MAP; uid <= SHARE_UID_NONE; uid++) {
        share_rig_open((struct share_dir_config){.uid = uid});
        rig.client.uid = 1001;
        rig.client.gid = 1002;
        uint64_t node = make_file(ROOT, "a");
        cr_assert(stat("shared/a", &st) == 0 && st.st_uid == 1001 && st.st_gid == 1002);
        cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.uid == 1001);
        uint64_t dir = fuse_mkdir(&rig.client, ROOT, "d");
        const struct fuse_setattr_in in = {
            .valid = FATTR_MODE | FATTR_GID, .mode = S_ISGID | 0775, .gid = 77};
        cr_assert_eq(CALL(FUSE_SETATTR, dir, in), 0);
        cr_assert_eq(chmod("shared/d", 02775), 0);
        (void)make_file(dir, "a");
        cr_assert(stat("shared/d/a", &st) == 0 && st.st_uid == 1001 && st.st_gid == 77);
        share_rig_close();
    }
}

Test(devices_share_host, what_is_no_directory_is_named)
{
    struct share *share;
    struct share_dir_config config = {.path = "nowhere", .descriptors_max = 64, .nodes_max = 65536};
    folder_enter();
    listen_to_log(LOG_ERROR);
    cr_assert_eq(share_dir_create(&share, &config), -ENOENT);
    cr_assert_not_null(strstr(logged_line, "nowhere"), "%s", logged_line);
    write_file("file", "x");
    config.path = "file";
    cr_assert_eq(share_dir_create(&share, &config), -ENOTDIR);
    folder_leave();
}

Test(devices_share_host, nothing_is_flushed_where_locks_are_the_guest_s)
{
    uint64_t fh;
    share_rig_open((struct share_dir_config){.cache = SHARE_CACHE_ALWAYS});
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    const struct fuse_flush_in in = {.fh = fh};
    cr_assert_eq(CALL(FUSE_FLUSH, node, in), -ENOSYS);
    const struct fuse_lk_in lock = {.fh = fh, .lk = {.type = F_WRLCK}};
    cr_assert_eq(CALL(FUSE_GETLK, node, lock), -ENOSYS);
    share_rig_close();
}
