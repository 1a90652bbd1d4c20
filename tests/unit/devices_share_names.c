// SPDX-License-Identifier: BSD-2-Clause
#include <linux/fs.h>
#include <sys/sysmacros.h>

#include "tests/harness/share_rig.h"
#include "tests/harness/test.h"

static void begin(void)
{
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_MAP});
}

static int make_node(const char *name, uint32_t mode, uint32_t rdev)
{
    const struct fuse_mknod_in in = {.mode = mode, .rdev = rdev};
    return CALL_TEXT(FUSE_MKNOD, ROOT, in, name);
}

static int link_to(uint64_t node, uint64_t dir, const char *name)
{
    const struct fuse_link_in in = {.oldnodeid = node};
    return CALL_TEXT(FUSE_LINK, dir, in, name);
}

static int rename_to(uint64_t dir, const char *name, uint64_t to, const char *new, uint32_t flags)
{
    struct {
        struct fuse_rename2_in in;
        char names[520];
    } message = {{.newdir = to, .flags = flags}, ""};
    size_t bytes = strlen(name) + 1;
    memcpy(message.names, name, bytes);
    memcpy(message.names + bytes, new, strlen(new) + 1);
    return fuse_call(&rig.client, FUSE_RENAME2, dir, &message,
                     sizeof(message.in) + bytes + strlen(new) + 1, "", 0);
}

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

Test(devices_share_names, what_is_not_there_may_be_remembered)
{
    struct fuse_entry_out out;
    begin();
    cr_assert_eq(call_name(FUSE_LOOKUP, ROOT, "a"), 0);
    memcpy(&out, rig.client.out, sizeof(out));
    cr_assert(out.nodeid == 0 && out.entry_valid == 1);
    share_rig_close();
    share_rig_open((struct share_dir_config){.cache = SHARE_CACHE_NEVER});
    cr_assert_eq(call_name(FUSE_LOOKUP, ROOT, "a"), -ENOENT);
    write_file("shared/a", "");
    cr_assert_eq(call_name(FUSE_LOOKUP, ROOT, "a"), 0);
    memcpy(&out, rig.client.out, sizeof(out));
    cr_assert(out.nodeid != 0 && out.entry_valid == 0 && out.attr_valid == 0);
    share_rig_close();
    share_rig_open((struct share_dir_config){.cache = SHARE_CACHE_ALWAYS});
    cr_assert_eq(call_name(FUSE_LOOKUP, ROOT, "a"), 0);
    memcpy(&out, rig.client.out, sizeof(out));
    cr_assert(out.nodeid == 0 && out.entry_valid > 3600);
    share_rig_close();
}

Test(devices_share_names, create_makes_opens_or_refuses)
{
    int err;
    uint64_t fh;
    char text[8] = "";
    begin();
    write_file("shared/a", "old");
    cr_assert_eq(fuse_create(&rig.client, ROOT, "a", O_RDWR | O_EXCL, 0644, &fh, &err), 0);
    cr_assert_eq(err, -EEXIST);
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, &err);
    cr_assert_eq(node, fuse_lookup(&rig.client, ROOT, "a", NULL));
    cr_assert_eq(fuse_read(&rig.client, node, fh, 0, text, 8), 3);
    cr_assert_eq(fuse_create(&rig.client, ROOT, "a", O_WRONLY | O_TRUNC, 0644, &fh, &err), node);
    cr_assert(has_text("shared/a", ""));
    cr_assert_eq(mkdir("shared/d", 0755), 0);
    cr_assert_eq(fuse_create(&rig.client, ROOT, "d", O_RDWR, 0644, &fh, &err), 0);
    cr_assert_eq(err, -EISDIR);
    cr_assert_eq(fuse_create(&rig.client, node, "x", O_RDWR, 0644, &fh, &err), 0);
    cr_assert_eq(err, -ENOTDIR);
    share_rig_close();
}

Test(devices_share_names, nodes_are_fifos_sockets_and_files_but_no_devices)
{
    struct stat st;
    begin();
    cr_assert_eq(make_node("fifo", S_IFIFO | 0644, 0), 0);
    cr_assert(stat("shared/fifo", &st) == 0 && S_ISFIFO(st.st_mode));
    cr_assert_eq(make_node("socket", S_IFSOCK | 0644, 0), 0);
    cr_assert_eq(make_node("file", S_IFREG | 0640, 0), 0);
    cr_assert(stat("shared/file", &st) == 0 && st.st_mode == (S_IFREG | 0640));
    cr_assert_eq(make_node("file", S_IFREG | 0640, 0), -EEXIST);
    cr_assert_eq(make_node("null", S_IFCHR | 0666, 1 << 8 | 3), -EPERM);
    cr_assert_eq(make_node("disk", S_IFBLK | 0666, 8 << 8), -EPERM);
    cr_assert_neq(make_node("dir", S_IFDIR | 0755, 0), 0);
    cr_assert_neq(make_node("link", S_IFLNK | 0777, 0), 0);
    cr_assert_neq(make_node("odd", S_IFMT | 0777, 0), 0);
    for (unsigned i = 0; i < 6; i++) {
        static const char *const names[] = {"null", "disk", "dir", "link", "odd", "suid"};
        char path[32];
        snprintf(path, sizeof(path), "shared/%s", names[i]);
        cr_assert(!is_there(path), "%s", path);
    }
    share_rig_close();
}

/* A type of 0 is a regular file to mknod(). */
Test(devices_share_names, no_message_makes_a_setuid_program)
{
    uint64_t fh;
    int err;
    begin();
    cr_assert_eq(make_node("a", S_ISUID | 0755, 0), -EPERM);
    cr_assert_eq(make_node("b", S_IFREG | S_ISGID | 0755, 0), -EPERM);
    cr_assert(!is_there("shared/a") && !is_there("shared/b"));
    cr_assert_eq(fuse_create(&rig.client, ROOT, "c", O_RDWR, S_ISUID | 0755, &fh, &err), 0);
    cr_assert(err == -EPERM && !is_there("shared/c"));
    const struct fuse_create_in in = {.flags = O_RDWR, .mode = S_ISUID | 0755};
    cr_assert_eq(CALL_TEXT(FUSE_TMPFILE, ROOT, in, "x"), -EPERM);
    uint64_t node = make_file(ROOT, "d");
    const struct fuse_setattr_in mode = {.valid = FATTR_MODE, .mode = S_IFREG | S_ISUID | 0755};
    cr_assert_eq(CALL(FUSE_SETATTR, node, mode), -EPERM);
    share_rig_close();
}

Test(devices_share_names, symbolic_links_say_what_they_were_told)
{
    static const char message[] = "link\0../../etc/passwd";
    char target[4096] = "link";
    begin();
    cr_assert_eq(fuse_call(&rig.client, FUSE_SYMLINK, ROOT, message, sizeof(message), "", 0), 0);
    uint64_t node = answered_node();
    cr_assert_eq(fuse_call(&rig.client, FUSE_READLINK, node, "", 0, "", 0), 0);
    cr_assert_eq(rig.client.out_bytes, 16);
    cr_assert_arr_eq(rig.client.out, "../../etc/passwd", 16);
    cr_assert_eq(fuse_call(&rig.client, FUSE_READLINK, ROOT, "", 0, "", 0), -EINVAL);
    rig.client.room = 8;
    cr_assert_eq(fuse_call(&rig.client, FUSE_READLINK, node, "", 0, "", 0), -EIO);
    rig.client.room = FUSE_CLIENT_BYTES;
    cr_assert_eq(fuse_call(&rig.client, FUSE_SYMLINK, ROOT, "a\0", 3, "", 0), -EINVAL);
    cr_assert_eq(fuse_call(&rig.client, FUSE_SYMLINK, ROOT, "a", 2, "", 0), -EINVAL);
    memset(target + 5, 'x', sizeof(target) - 6);
    target[3] = '2';
    cr_assert_eq(fuse_call(&rig.client, FUSE_SYMLINK, ROOT, target, 4096, "", 0), 0);
    cr_assert_eq(fuse_call(&rig.client, FUSE_READLINK, answered_node(), "", 0, "", 0), 0);
    cr_assert_eq(rig.client.out_bytes, 4090);
    share_rig_close();
}

Test(devices_share_names, links_are_one_file_until_the_last_is_gone)
{
    struct fuse_attr attr;
    begin();
    uint64_t node = make_file(ROOT, "a"), dir = fuse_mkdir(&rig.client, ROOT, "d");
    cr_assert_eq(link_to(node, dir, "b"), 0);
    cr_assert_eq(answered_node(), node);
    cr_assert_eq(link_to(node, dir, "b"), -EEXIST);
    cr_assert_eq(link_to(dir, dir, "c"), -EPERM);
    cr_assert_eq(link_to(12345, dir, "c"), -ESTALE);
    cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.nlink == 2);
    cr_assert_eq(call_name(FUSE_UNLINK, dir, "b"), 0);
    cr_assert_eq(fuse_lookup(&rig.client, ROOT, "a", NULL), node);
    cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.nlink == 1);
    cr_assert_eq(call_name(FUSE_UNLINK, ROOT, "a"), 0);
    cr_assert_eq(call_name(FUSE_UNLINK, ROOT, "a"), -ENOENT);
    cr_assert_eq(call_name(FUSE_UNLINK, ROOT, "d"), -EISDIR);
    cr_assert(fuse_getattr(&rig.client, node, &attr) == -ESTALE || attr.nlink == 0);
    cr_assert_neq(link_to(node, ROOT, "z"), 0);
    cr_assert(!is_there("shared/z"));
    share_rig_close();
}

Test(devices_share_names, rename_moves_refuses_and_exchanges)
{
    begin();
    uint64_t a = make_file(ROOT, "a"), dir = fuse_mkdir(&rig.client, ROOT, "d");
    uint64_t b = make_file(dir, "b"), sub = fuse_mkdir(&rig.client, dir, "sub");
    cr_assert_eq(rename_to(ROOT, "a", dir, "b", RENAME_NOREPLACE), -EEXIST);
    cr_assert_eq(rename_to(ROOT, "a", dir, "b", RENAME_EXCHANGE), 0);
    cr_assert_eq(fuse_lookup(&rig.client, ROOT, "a", NULL), b);
    cr_assert_eq(fuse_lookup(&rig.client, dir, "b", NULL), a);
    cr_assert_eq(rename_to(ROOT, "a", dir, "b", 0), 0);
    cr_assert_eq(fuse_lookup(&rig.client, dir, "b", NULL), b);
    cr_assert_eq(rename_to(ROOT, "d", sub, "x", 0), -EINVAL);
    cr_assert_eq(rename_to(ROOT, "d", sub, "sub", RENAME_EXCHANGE), -ENOENT);
    cr_assert_eq(rename_to(ROOT, "no", ROOT, "x", 0), -ENOENT);
    cr_assert_eq(rename_to(ROOT, "d", b, "x", 0), -ENOTDIR);
    cr_assert_eq(rename_to(ROOT, "d", 999, "x", 0), -ESTALE);
    cr_assert_eq(rename_to(dir, "b", ROOT, "x", UINT32_MAX), -EINVAL);
    cr_assert_eq(rename_to(dir, "sub", ROOT, "s", 0), 0);
    cr_assert_eq(rename_to(ROOT, "d", sub, "x", 0), 0); /* below what was below it */
    cr_assert_eq(fuse_lookup(&rig.client, dir, "b", NULL), b);
    cr_assert(is_there("shared/s/x/b"));
    share_rig_close();
}

Test(devices_share_names, a_directory_that_is_removed_stays_while_it_is_known)
{
    struct fuse_attr attr;
    uint64_t fh;
    int err;
    begin();
    uint64_t dir = fuse_mkdir(&rig.client, ROOT, "d"), file = make_file(dir, "f");
    cr_assert_eq(call_name(FUSE_RMDIR, ROOT, "d"), -ENOTEMPTY);
    cr_assert_eq(fuse_getattr(&rig.client, file, &attr), 0);
    cr_assert_eq(call_name(FUSE_RMDIR, dir, "f"), -ENOTDIR);
    cr_assert_eq(call_name(FUSE_UNLINK, dir, "f"), 0);
    cr_assert_eq(call_name(FUSE_RMDIR, ROOT, "d"), 0);
    cr_assert(fuse_getattr(&rig.client, dir, &attr) == 0 && attr.nlink == 0);
    cr_assert_eq(fuse_create(&rig.client, dir, "f", O_RDWR, 0644, &fh, &err), 0);
    cr_assert_eq(err, -ENOENT);
    cr_assert_eq(call_name(FUSE_RMDIR, ROOT, "d"), -ENOENT);
    share_rig_close();
}

Test(devices_share_names, an_open_file_outlives_its_name)
{
    uint64_t fh;
    char text[8] = "";
    struct fuse_attr attr;
    const struct fuse_setattr_in size = {.valid = FATTR_SIZE, .size = 3};
    begin();
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    cr_assert_eq(fuse_write(&rig.client, node, fh, 0, "hello", 5), 5);
    cr_assert_eq(call_name(FUSE_UNLINK, ROOT, "a"), 0);
    cr_assert_eq(CALL(FUSE_SETATTR, node, size), 0);
    cr_assert_eq(fuse_read(&rig.client, node, fh, 0, text, 8), 3);
    cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.nlink == 0 && attr.size == 3);
    cr_assert_neq(make_file(ROOT, "a"), node);
    cr_assert_eq(fuse_release(&rig.client, node, fh), 0);
    share_rig_close();
}

/* The guest may have it open in ways of which nothing is told: O_PATH, or a FIFO. */
Test(devices_share_names, what_is_known_outlives_its_name)
{
    static const char *const names[] = {"file", "fifo", "replaced"};
    uint64_t nodes[3];
    struct fuse_attr attr;
    begin();
    nodes[0] = make_file(ROOT, names[0]);
    cr_assert_eq(make_node(names[1], S_IFIFO | 0644, 0), 0);
    nodes[1] = answered_node();
    nodes[2] = make_file(ROOT, names[2]);
    (void)make_file(ROOT, "other");
    cr_assert_eq(call_name(FUSE_UNLINK, ROOT, names[0]), 0);
    cr_assert_eq(call_name(FUSE_UNLINK, ROOT, names[1]), 0);
    cr_assert_eq(rename_to(ROOT, "other", ROOT, names[2], 0), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++)
        cr_assert(fuse_getattr(&rig.client, nodes[i], &attr) == 0 && attr.nlink == 0);
    cr_assert_eq(call_name(FUSE_UNLINK, ROOT, "none"), -ENOENT);
    share_rig_close();
}

Test(devices_share_names, a_file_without_a_name_can_get_one)
{
    const struct fuse_create_in in = {.flags = O_RDWR, .mode = S_IFREG | 0644};
    struct fuse_open_out open;
    struct stat st;
    begin();
    cr_assert_eq(CALL_TEXT(FUSE_TMPFILE, ROOT, in, "#1"), 0);
    uint64_t node = answered_node();
    memcpy(&open, rig.client.out + sizeof(struct fuse_entry_out), sizeof(open));
    cr_assert_eq(fuse_write(&rig.client, node, open.fh, 0, "text", 4), 4);
    cr_assert_eq(link_to(node, ROOT, "a"), 0);
    cr_assert_eq(answered_node(), node);
    cr_assert(has_text("shared/a", "text"));
    cr_assert(stat("shared/a", &st) == 0 && st.st_mode == (S_IFREG | 0644));
    /* Also when it has been closed: the guest may know it by O_PATH. */
    cr_assert_eq(CALL_TEXT(FUSE_TMPFILE, ROOT, in, "#2"), 0);
    node = answered_node();
    memcpy(&open, rig.client.out + sizeof(struct fuse_entry_out), sizeof(open));
    cr_assert_eq(fuse_release(&rig.client, node, open.fh), 0);
    cr_assert_eq(link_to(node, ROOT, "b"), 0);
    share_rig_close();
}

static int any_name(const void *name, size_t bytes)
{
    return fuse_call(&rig.client, FUSE_LOOKUP, ROOT, name, bytes, "", 0);
}

Test(devices_share_names, names_are_any_bytes_but_a_slash_and_the_end)
{
    char name[258], path[300];
    begin();
    memset(name, 'n', sizeof(name));
    cr_assert_eq(any_name("", 0), -EINVAL);
    cr_assert_eq(any_name("", 1), -EINVAL);
    cr_assert_eq(any_name("a", 1), -EINVAL); /* it has no end */
    cr_assert_eq(any_name(".", 2), -EINVAL);
    cr_assert_eq(any_name("..", 3), -EINVAL);
    cr_assert_eq(any_name("a/b", 4), -EINVAL);
    cr_assert_eq(any_name("/", 2), -EINVAL);
    name[256] = '\0';
    cr_assert_eq(any_name(name, 257), -ENAMETOOLONG);
    name[255] = '\0';
    (void)make_file(ROOT, name);
    snprintf(path, sizeof(path), "shared/%s", name);
    cr_assert(is_there(path));
    for (unsigned i = 1; i < 256; i++) {
        const char odd[] = {'x', (char)i, '\0'};
        if (i == '/')
            continue;
        uint64_t node = make_file(ROOT, odd);
        snprintf(path, sizeof(path), "shared/%s", odd);
        cr_assert(is_there(path));
        cr_assert_eq(fuse_lookup(&rig.client, ROOT, odd, NULL), node);
    }
    share_rig_close();
}
