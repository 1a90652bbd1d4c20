// SPDX-License-Identifier: BSD-2-Clause
#include <sys/xattr.h>

#include "tests/harness/share_rig.h"
#include "tests/harness/test.h"

static void begin(enum share_uid uid)
{
    share_rig_open((struct share_dir_config){.uid = uid, .xattr = true});
}

static int set_owner(uint64_t node, uint32_t uid, uint32_t gid)
{
    const struct fuse_setattr_in in = {.valid = FATTR_UID | FATTR_GID, .uid = uid, .gid = gid};
    return CALL(FUSE_SETATTR, node, in);
}

static int set_mode(uint64_t node, uint32_t mode)
{
    const struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = mode};
    return CALL(FUSE_SETATTR, node, in);
}

static int set_xattr(uint64_t node, const char *name, const char *value, uint32_t flags)
{
    struct {
        uint32_t size, flags;
        char text[400];
    } message = {(uint32_t)strlen(value), flags, ""};
    size_t bytes = strlen(name) + 1;
    memcpy(message.text, name, bytes);
    memcpy(message.text + bytes, value, strlen(value));
    return fuse_call(&rig.client, FUSE_SETXATTR, node, &message, 8 + bytes + strlen(value), "", 0);
}

static int get_xattr(uint64_t node, const char *name, uint32_t size)
{
    const struct fuse_getxattr_in in = {.size = size};
    return CALL_TEXT(FUSE_GETXATTR, node, in, name);
}

static bool has_xattr(uint64_t node, const char *name, const char *value)
{
    return get_xattr(node, name, 64) == 0 && rig.client.out_bytes == strlen(value) &&
           memcmp(rig.client.out, value, rig.client.out_bytes) == 0;
}

static bool lists(uint64_t node, const void *names, size_t bytes)
{
    const struct fuse_getxattr_in in = {.size = 256};
    return CALL(FUSE_LISTXATTR, node, in) == 0 && rig.client.out_bytes == bytes &&
           memcmp(rig.client.out, names, bytes) == 0;
}

Test(devices_share_owner, a_file_is_its_makers)
{
    struct fuse_attr attr;
    begin(SHARE_UID_MAP);
    uint64_t node = make_file(ROOT, "a");
    cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.uid == 0 && attr.gid == 0);
    share_rig_close();
    begin(SHARE_UID_NONE);
    node = make_file(ROOT, "a");
    cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.uid == geteuid() &&
              attr.gid == getegid());
    cr_assert_eq(attr.mode, S_IFREG | 0644);
    share_rig_close();
}

/* Files of any owner and mode are their user's on the host, who can go on reading and writing. */
Test(devices_share_owner, attributes_say_whose_a_file_is)
{
    struct fuse_attr attr;
    struct stat st;
    uint64_t fh;
    begin(SHARE_UID_XATTR);
    rig.client.uid = 1001;
    rig.client.gid = 1002;
    uint64_t node = make_file(ROOT, "a");
    cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.uid == 1001 && attr.gid == 1002 &&
              attr.mode == (S_IFREG | 0644));
    cr_assert_eq(set_owner(node, 7, 8), 0);
    cr_assert_eq(set_mode(node, S_IFREG | S_ISUID | S_ISGID | 0111), 0);
    cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.uid == 7 && attr.gid == 8 &&
              attr.mode == (S_IFREG | 06111));
    cr_assert(stat("shared/a", &st) == 0 && st.st_uid == geteuid() &&
              st.st_mode == (S_IFREG | 0711));
    cr_assert_eq(fuse_open(&rig.client, node, O_RDWR, &fh), 0);
    uint64_t dir = fuse_mkdir(&rig.client, ROOT, "d");
    cr_assert_eq(set_mode(dir, S_ISGID), 0);
    cr_assert(stat("shared/d", &st) == 0 && (st.st_mode & 07777) == 0700);
    rig.client.gid = 5;
    node = fuse_mkdir(&rig.client, dir, "sub"); /* has its directory's group */
    cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.gid == 1002 &&
              attr.mode == (S_IFDIR | S_ISGID | 0755));
    share_rig_close();
}

Test(devices_share_owner, attributes_make_devices_that_are_none_on_the_host)
{
    const struct fuse_mknod_in in = {.mode = S_IFBLK | 0660, .rdev = 8 << 8 | 3};
    struct fuse_attr attr;
    struct stat st;
    uint64_t fh;
    begin(SHARE_UID_XATTR);
    cr_assert_eq(CALL_TEXT(FUSE_MKNOD, ROOT, in, "sda3"), 0);
    uint64_t node = answered_node();
    cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.mode == (S_IFBLK | 0660) &&
              attr.rdev == (8 << 8 | 3));
    cr_assert(stat("shared/sda3", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDWR, &fh), -ENXIO);
    cr_assert_eq(set_mode(node, 0600), 0);
    cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.mode == (S_IFBLK | 0600) &&
              attr.rdev == (8 << 8 | 3));
    share_rig_close();
}

/* They could have no attribute, and so no owner. */
Test(devices_share_owner, attributes_make_fifos_and_sockets_too)
{
    static const mode_t types[] = {S_IFIFO, S_IFSOCK};
    struct fuse_attr attr;
    struct stat st;
    begin(SHARE_UID_XATTR);
    rig.client.uid = 1001;
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        const struct fuse_mknod_in in = {.mode = types[i] | 0640};
        cr_assert_eq(CALL_TEXT(FUSE_MKNOD, ROOT, in, "a"), 0);
        uint64_t node = answered_node();
        cr_assert_eq(set_mode(node, 0600), 0);
        cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.mode == (types[i] | 0600) &&
                  attr.uid == 1001);
        cr_assert(stat("shared/a", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0);
        cr_assert_eq(call_name(FUSE_UNLINK, ROOT, "a"), 0);
        cr_assert(fuse_getattr(&rig.client, node, &attr) == 0 && attr.nlink == 0);
    }
    uint64_t node = make_file(ROOT, "a");
    cr_assert_eq(set_xattr(node, "other.kind", "x", 0), -EOPNOTSUPP);
    share_rig_close();
}

/* Whatever a process of the host has written there. */
Test(devices_share_owner, attributes_of_others_may_be_odd)
{
    static const struct {
        const char *text;
        uint32_t uid, mode; /* uid 0: it counts for nothing */
    } cases[] = {
        {"7:8:0600", 7, S_IFREG | 0600},
        {"7:8:0644:file", 7, S_IFREG | 0644},
        {"7:8:4755", 7, S_IFREG | 04755},
        {"7:8:0644:char-1-3", 7, S_IFCHR | 0644},
        {"7:8:0644:char-", 7, S_IFCHR | 0644},
        {"7:8:0644:block-99999999999999999999-1", 7, S_IFBLK | 0644},
        {"7:8:0177777", 7, S_IFREG | 07777},
        {"7:8", 0, S_IFREG | 0644},
        {"7", 0, S_IFREG | 0644},
        {":::", 0, S_IFREG | 0644},
        {"x:y:z", 0, S_IFREG | 0644},
        {"7:8:0644:0123456789012345678901234567890123456789012345678901234567890", 0,
         S_IFREG | 0644},
    };
    struct fuse_attr attr;
    begin(SHARE_UID_XATTR);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_file("shared/a", "");
        cr_assert_eq(chmod("shared/a", 0644), 0);
        cr_assert_eq(
            setxattr("shared/a", SHARE_OWNER_XATTR, cases[i].text, strlen(cases[i].text), 0), 0);
        uint64_t node = fuse_lookup(&rig.client, ROOT, "a", NULL);
        cr_assert_eq(fuse_getattr(&rig.client, node, &attr), 0);
        cr_assert(attr.uid == cases[i].uid && attr.mode == cases[i].mode, "%s: %u %o",
                  cases[i].text, attr.uid, attr.mode);
        fuse_forget(&rig.client, node, 1);
        cr_assert_eq(unlink("shared/a"), 0);
    }
    share_rig_close();
}

Test(devices_share_owner, attributes_are_set_told_listed_and_removed)
{
    char longest[257];
    struct fuse_getxattr_out out;
    begin(SHARE_UID_MAP);
    uint64_t node = make_file(ROOT, "a");
    cr_assert_eq(set_xattr(node, "user.x", "value", 0), 0);
    cr_assert_eq(set_xattr(node, "user.x", "value", XATTR_CREATE), -EEXIST);
    cr_assert_eq(set_xattr(node, "user.y", "value", XATTR_REPLACE), -ENODATA);
    cr_assert(has_xattr(node, "user.x", "value"));
    cr_assert_eq(get_xattr(node, "user.x", 4), -ERANGE);
    cr_assert_eq(get_xattr(node, "user.x", 0), 0);
    memcpy(&out, rig.client.out, sizeof(out));
    cr_assert_eq(out.size, 5);
    cr_assert(lists(node, "user.x", 7));
    cr_assert_eq(get_xattr(node, "user.y", 4), -ENODATA);
    cr_assert_eq(set_xattr(node, "", "x", 0), -EINVAL);
    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "user.", 5);
    longest[256] = '\0';
    cr_assert_eq(set_xattr(node, longest, "x", 0), -ERANGE);
    const uint32_t short_value[] = {100, 0, 0x72657375, 0x00782e};
    cr_assert_eq(
        fuse_call(&rig.client, FUSE_SETXATTR, node, short_value, sizeof(short_value), "", 0),
        -EINVAL);
    cr_assert_eq(call_name(FUSE_REMOVEXATTR, node, "user.x"), 0);
    cr_assert_eq(call_name(FUSE_REMOVEXATTR, node, "user.x"), -ENODATA);
    cr_assert(lists(node, "", 0));
    share_rig_close();
}

/* Those that mean something to the host, and what says whose a file is, are not the guest's. */
Test(devices_share_owner, attributes_that_the_host_heeds_are_out_of_reach)
{
    static const char *const names[] = {
        SHARE_OWNER_XATTR,        "user.minivet.x",          "security.capability",
        "trusted.overlay.opaque", "system.posix_acl_access",
    };
    begin(SHARE_UID_MAP);
    uint64_t node = make_file(ROOT, "a");
    cr_assert_eq(setxattr("shared/a", SHARE_OWNER_XATTR, "1:1:0", 5, 0), 0);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        cr_assert_eq(set_xattr(node, names[i], "v", 0), -EOPNOTSUPP);
        cr_assert_eq(get_xattr(node, names[i], 64), -ENODATA);
        cr_assert_eq(call_name(FUSE_REMOVEXATTR, node, names[i]), -EOPNOTSUPP);
    }
    cr_assert(lists(node, "", 0));
    share_rig_close();
    begin(SHARE_UID_XATTR);
    node = make_file(ROOT, "a");
    cr_assert_eq(set_xattr(node, SHARE_OWNER_XATTR, "v", 0), -EOPNOTSUPP);
    cr_assert_eq(set_xattr(node, "security.capability", "v", 0), 0);
    cr_assert(has_xattr(node, "security.capability", "v"));
    cr_assert(lists(node, "security.capability", 20));
    char value[8];
    cr_assert_eq(getxattr("shared/a", "security.capability", value, sizeof(value)), -1);
    share_rig_close();
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_MAP});
    node = make_file(ROOT, "a");
    cr_assert_eq(set_xattr(node, "user.x", "v", 0), -ENOSYS);
    share_rig_close();
}

/* What a write takes from a program that has more rights than its user (FUSE_HANDLE_KILLPRIV_V2),
 * as far as the guest says so. */
static int write_by_user(uint64_t node, uint64_t fh, bool kills)
{
    const struct fuse_write_in in = {
        .fh = fh, .size = 1, .write_flags = kills ? FUSE_WRITE_KILL_SUIDGID : 0};
    return fuse_call(&rig.client, FUSE_WRITE, node, &in, sizeof(in), "x", 1);
}

static bool has_mode(uint64_t node, uint32_t mode)
{
    struct fuse_attr attr;
    return fuse_getattr(&rig.client, node, &attr) == 0 && attr.mode == (S_IFREG | mode);
}

/* Each message that changes the data, of a file that has the bits before. */
static void strip_by_each(uint64_t node, uint64_t fh, int (*set)(uint64_t node, uint32_t mode))
{
    const struct fuse_setattr_in size = {.valid = FATTR_SIZE | FATTR_KILL_SUIDGID, .size = 3};
    const struct fuse_open_in open = {.flags = O_WRONLY | O_TRUNC,
                                      .open_flags = FUSE_OPEN_KILL_SUIDGID};
    const struct fuse_create_in create = {.flags = O_WRONLY | O_TRUNC,
                                          .open_flags = FUSE_OPEN_KILL_SUIDGID};
    const struct fuse_fallocate_in allocate = {.fh = fh, .length = 1};
    const struct fuse_copy_file_range_in copy = {.fh_in = fh, .fh_out = fh, .off_out = 9, .len = 1};
    cr_assert(set(node, 06745) == 0 && write_by_user(node, fh, true) == 0 && has_mode(node, 02745));
    for (unsigned i = 0; i < 6; i++) {
        cr_assert_eq(set(node, 06755), 0);
        int err = i == 0   ? write_by_user(node, fh, true)
                  : i == 1 ? CALL(FUSE_SETATTR, node, size)
                  : i == 2 ? CALL(FUSE_OPEN, node, open)
                  : i == 3 ? CALL_TEXT(FUSE_CREATE, ROOT, create, "a")
                  : i == 4 ? CALL(FUSE_FALLOCATE, node, allocate)
                           : CALL(FUSE_COPY_FILE_RANGE, node, copy);
        cr_assert_eq(err, 0, "%u: %d", i, err);
        cr_assert(has_mode(node, 0755), "%u", i);
    }
}

static int set_on_host(uint64_t node, uint32_t mode)
{
    (void)node;
    return chmod("shared/a", mode);
}

Test(devices_share_owner, a_write_of_a_user_takes_set_user_id_bits)
{
    uint64_t fh;
    for (enum share_uid uid = SHARE_UID_MAP; uid <= SHARE_UID_XATTR; uid++) {
        if (uid != SHARE_UID_XATTR && geteuid() != 0)
            continue; /* the host's kernel does it */
        begin(uid);
        uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0755, &fh, NULL);
        int (*set)(uint64_t, uint32_t) = uid == SHARE_UID_XATTR ? set_mode : set_on_host;
        cr_assert_eq(set(node, 06755), 0);
        cr_assert(write_by_user(node, fh, false) == 0 && has_mode(node, 06755));
        rig.client.uid = 1001;
        strip_by_each(node, fh, set);
        share_rig_close();
    }
}

Test(devices_share_owner, a_write_takes_capabilities)
{
    uint64_t fh;
    begin(SHARE_UID_XATTR);
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0755, &fh, NULL);
    for (unsigned i = 0; i < 2; i++) {
        cr_assert_eq(set_xattr(node, "security.capability", "v", 0), 0);
        cr_assert(has_xattr(node, "security.capability", "v"));
        cr_assert_eq(write_by_user(node, fh, false), 0);
        cr_assert_eq(get_xattr(node, "security.capability", 64), -ENODATA);
    }
    cr_assert_eq(set_xattr(node, "security.capability", "v", 0), 0);
    cr_assert_eq(set_mode(node, 06755), 0);
    cr_assert_eq(set_owner(node, 7, 8), 0);
    cr_assert(has_mode(node, 0755));
    cr_assert_eq(get_xattr(node, "security.capability", 64), -ENODATA);
    share_rig_close();
    /* A set-user-ID file of the host's that no attribute tells about. */
    begin(SHARE_UID_XATTR);
    write_file("shared/a", "");
    cr_assert_eq(chmod("shared/a", 04755), 0);
    node = fuse_lookup(&rig.client, ROOT, "a", NULL);
    cr_assert_eq(fuse_open(&rig.client, node, O_WRONLY, &fh), 0);
    cr_assert(write_by_user(node, fh, true) == 0 && has_mode(node, 0755));
    share_rig_close();
}

/* Whatever this process's umask is. */
Test(devices_share_owner, a_directory_in_one_of_a_group_is_of_the_group)
{
    const struct fuse_mkdir_in in = {.mode = 0777};
    struct stat st;
    mode_t before = umask(022);
    begin(SHARE_UID_MAP);
    cr_assert(mkdir("shared/d", 0755) == 0 && chmod("shared/d", 02755) == 0);
    uint64_t dir = fuse_lookup(&rig.client, ROOT, "d", NULL);
    cr_assert_eq(CALL_TEXT(FUSE_MKDIR, dir, in, "sub"), 0);
    cr_assert(stat("shared/d/sub", &st) == 0 && st.st_mode == (S_IFDIR | 02777));
    share_rig_close();
    (void)umask(before);
}
