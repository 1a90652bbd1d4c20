// SPDX-License-Identifier: BSD-2-Clause
#include <linux/falloc.h>
#include <sys/resource.h>
#include <sys/xattr.h>

#include "tests/harness/share_rig.h"
#include "tests/harness/test.h"

static void begin(void)
{
    share_rig_open((struct share_dir_config){.uid = SHARE_UID_MAP});
}

static int setattr(uint64_t node, struct fuse_setattr_in in)
{
    return CALL(FUSE_SETATTR, node, in);
}

static int64_t seek(uint64_t node, uint64_t fh, uint64_t offset, uint32_t whence)
{
    const struct fuse_lseek_in in = {.fh = fh, .offset = offset, .whence = whence};
    struct fuse_lseek_out out;
    int err = CALL(FUSE_LSEEK, node, in);
    memcpy(&out, rig.client.out, sizeof(out));
    return err != 0 ? err : (int64_t)out.offset;
}

static int allocate(uint64_t node, uint64_t fh, uint64_t offset, uint64_t bytes, uint32_t mode)
{
    const struct fuse_fallocate_in in = {.fh = fh, .offset = offset, .length = bytes, .mode = mode};
    return CALL(FUSE_FALLOCATE, node, in);
}

Test(devices_share_files, attributes_can_be_set)
{
    uint64_t fh, reader;
    struct stat st;
    begin();
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    uint64_t dir = fuse_mkdir(&rig.client, ROOT, "d");
    cr_assert_eq(setattr(node, (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 0400}), 0);
    cr_assert(stat("shared/a", &st) == 0 && st.st_mode == (S_IFREG | 0400));
    cr_assert_eq(setattr(dir, (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 01711}), 0);
    cr_assert(stat("shared/d", &st) == 0 && st.st_mode == (S_IFDIR | 01711));
    cr_assert_eq(
        setattr(node,
                (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_FH, .fh = fh, .size = 9}),
        0);
    cr_assert(stat("shared/a", &st) == 0 && st.st_size == 9);
    cr_assert_eq(setattr(node, (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 0600}), 0);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &reader), 0);
    struct fuse_setattr_in size = {.valid = FATTR_SIZE | FATTR_FH, .fh = reader, .size = 4};
    cr_assert_eq(setattr(node, size), -EINVAL); /* as ftruncate() */
    cr_assert(stat("shared/a", &st) == 0 && st.st_size == 9);
    size.fh = 77;
    cr_assert_eq(setattr(node, size), -EBADF);
    size.fh = fh;
    cr_assert_eq(setattr(dir, size), -EBADF);
    size.valid = FATTR_SIZE;
    cr_assert_eq(setattr(dir, size), -EISDIR);
    size.size = UINT64_MAX;
    cr_assert_eq(setattr(node, size), -EFBIG);
    struct fuse_setattr_in times = {
        .valid = FATTR_MTIME | FATTR_ATIME_NOW | FATTR_ATIME, .mtime = 12345, .mtimensec = 678};
    cr_assert_eq(setattr(node, times), 0);
    cr_assert(stat("shared/a", &st) == 0 && st.st_mtim.tv_sec == 12345 &&
              st.st_mtim.tv_nsec == 678 && st.st_atim.tv_sec > 12345);
    times.mtimensec = 1000000000;
    cr_assert_eq(setattr(node, times), -EINVAL);
    share_rig_close();
}

/* truncate() would wait for the process that has a lease; a helper waits, and gets its turn. */
Test(devices_share_files, a_lease_is_waited_for_elsewhere)
{
    begin();
    write_file("shared/a", "hello");
    uint64_t node = fuse_lookup(&rig.client, ROOT, "a", NULL), fh;
    int fd = open("shared/a", O_RDONLY);
    signal(SIGIO, SIG_IGN);
    cr_assert_eq(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
    const struct fuse_setattr_in size = {.valid = FATTR_SIZE, .size = 1};
    fuse_send(&rig.client, FUSE_SETATTR, node, &size, sizeof(size), "", 0);
    cr_assert(!rig.client.is_done);
    close(fd);
    cr_assert_eq(fuse_answer(&rig.client), 0);
    cr_assert(has_text("shared/a", "h"));
    fd = open("shared/a", O_RDONLY);
    cr_assert_eq(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
    const struct fuse_open_in in = {.flags = O_WRONLY};
    fuse_send(&rig.client, FUSE_OPEN, node, &in, sizeof(in), "", 0);
    cr_assert(!rig.client.is_done);
    close(fd);
    cr_assert_eq(fuse_answer(&rig.client), 0);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh), 0);
    share_rig_close();
}

Test(devices_share_files, data_goes_where_the_handle_may)
{
    uint64_t fh, reader, listing;
    char text[16] = "";
    struct fuse_open_out out;
    const struct fuse_open_in in = {.flags = O_RDONLY};
    begin();
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_WRONLY, 0644, &fh, NULL);
    uint64_t other = make_file(ROOT, "b");
    cr_assert_eq(fuse_write(&rig.client, node, fh, 3, "xyz", 3), 3);
    cr_assert_eq(fuse_write(&rig.client, node, fh, 3, "", 0), 0);
    cr_assert_eq(fuse_read(&rig.client, node, fh, 0, text, 8), -EBADF);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &reader), 0);
    cr_assert_eq(fuse_write(&rig.client, node, reader, 0, "x", 1), -EBADF);
    cr_assert_eq(fuse_read(&rig.client, other, reader, 0, text, 8), -EBADF);
    cr_assert_eq(fuse_read(&rig.client, node, reader, 0, text, 16), 6);
    cr_assert_arr_eq(text, "\0\0\0xyz", 6);
    cr_assert_eq(fuse_read(&rig.client, node, reader, 6, text, 16), 0);
    cr_assert_eq(fuse_read(&rig.client, node, reader, UINT64_MAX, text, 16), -EINVAL);
    cr_assert_eq(fuse_write(&rig.client, node, fh, UINT64_MAX - 5, "x", 1), -EFBIG);
    rig.client.room = 2;
    cr_assert_eq(fuse_read(&rig.client, node, reader, 3, text, 16), 2);
    rig.client.room = FUSE_CLIENT_BYTES;
    struct fuse_write_in write = {.fh = fh, .size = 100};
    cr_assert_eq(CALL_TEXT(FUSE_WRITE, node, write, "short"), -EINVAL);
    cr_assert_eq(fuse_open(&rig.client, ROOT, O_RDONLY, &fh), -EISDIR);
    cr_assert_eq(CALL(FUSE_OPENDIR, ROOT, in), 0);
    memcpy(&out, rig.client.out, sizeof(out));
    listing = out.fh;
    cr_assert_eq(fuse_read(&rig.client, ROOT, listing, 0, text, 8), -EBADF);
    cr_assert_eq(CALL(FUSE_OPENDIR, node, in), -ENOTDIR);
    share_rig_close();
}

/* Copied on the loop; or by io_uring, where a write ends on the disk. */
Test(devices_share_files, data_may_have_to_be_on_the_disk)
{
    const int kinds[] = {0, O_DSYNC, O_SYNC, O_APPEND};
    begin();
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        const char name[] = {(char)('a' + i), '\0'};
        uint64_t fh;
        char text[16] = "";
        uint64_t node = fuse_create(&rig.client, ROOT, name, O_RDWR | kinds[i], 0644, &fh, NULL);
        cr_assert_eq(fuse_write(&rig.client, node, fh, 0, "0123456789", 10), 10);
        cr_assert_eq(fuse_read(&rig.client, node, fh, 4, text, 16), 6, "flags %x", kinds[i]);
        cr_expect_arr_eq(text, "456789", 6);
    }
    share_rig_close();
}

Test(devices_share_files, holes_are_found_made_and_copied)
{
    uint64_t fh, to;
    static char block[65536];
    begin();
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    uint64_t copy = fuse_create(&rig.client, ROOT, "b", O_RDWR, 0644, &to, NULL);
    memset(block, 'x', sizeof(block));
    cr_assert_eq(fuse_write(&rig.client, node, fh, 0, block, 65536), 65536);
    cr_assert_eq(fuse_write(&rig.client, node, fh, 1 << 20, block, 65536), 65536);
    cr_assert_eq(seek(node, fh, 0, SEEK_HOLE), 65536);
    cr_assert_eq(seek(node, fh, 65536, SEEK_DATA), 1 << 20);
    cr_assert_eq(seek(node, fh, 2 << 20, SEEK_DATA), -ENXIO);
    cr_assert_eq(seek(node, fh, 0, SEEK_SET), -EINVAL);
    cr_assert_eq(seek(node, fh, UINT64_MAX, SEEK_DATA), -EINVAL);
    cr_assert_eq(allocate(node, fh, 0, 65536, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), 0);
    cr_assert_eq(seek(node, fh, 0, SEEK_DATA), 1 << 20);
    cr_assert_eq(allocate(node, fh, UINT64_MAX, 1, 0), -EINVAL);
    cr_assert_eq(allocate(node, fh, 0, 0, 0), -EINVAL);
    cr_assert_eq(allocate(copy, fh, 0, 4096, 0), -EBADF);
    struct fuse_copy_file_range_in in = {
        .fh_in = fh, .off_in = 1 << 20, .nodeid_out = copy, .fh_out = to, .len = 5};
    cr_assert_eq(CALL(FUSE_COPY_FILE_RANGE, node, in), 0);
    cr_assert(has_text("shared/b", "xxxxx"));
    in.fh_out = 4711;
    cr_assert_eq(CALL(FUSE_COPY_FILE_RANGE, node, in), -EBADF);
    in.off_out = UINT64_MAX;
    cr_assert_eq(CALL(FUSE_COPY_FILE_RANGE, node, in), -EINVAL);
    struct fuse_fsync_in sync = {.fh = fh};
    cr_assert_eq(CALL(FUSE_FSYNC, node, sync), 0);
    sync.fsync_flags = FUSE_FSYNC_FDATASYNC;
    cr_assert_eq(CALL(FUSE_FSYNC, node, sync), 0);
    cr_assert_eq(CALL(FUSE_FSYNC, copy, sync), -EBADF);
    const struct fuse_syncfs_in all = {0};
    cr_assert_eq(CALL(FUSE_SYNCFS, ROOT, all), 0);
    cr_assert_eq(fuse_call(&rig.client, FUSE_STATFS, node, "", 0, "", 0), 0);
    cr_assert_eq(rig.client.out_bytes, sizeof(struct fuse_statfs_out));
    share_rig_close();
}

/* With names, and zeroes before them. */
static int call_with_names(uint32_t opcode, uint64_t node)
{
    static const uint64_t zeroes[16];
    static const size_t head[] = {
        [FUSE_MKNOD] = sizeof(struct fuse_mknod_in),
        [FUSE_MKDIR] = sizeof(struct fuse_mkdir_in),
        [FUSE_LINK] = sizeof(struct fuse_link_in),
        [FUSE_RENAME] = sizeof(struct fuse_rename_in),
        [FUSE_SETXATTR] = FUSE_COMPAT_SETXATTR_IN_SIZE,
        [FUSE_CREATE] = sizeof(struct fuse_create_in),
        [FUSE_TMPFILE] = sizeof(struct fuse_create_in),
        [FUSE_SETATTR] = sizeof(struct fuse_setattr_in),
        [FUSE_WRITE] = sizeof(struct fuse_write_in),
        [FUSE_FALLOCATE] = sizeof(struct fuse_fallocate_in),
        [FUSE_COPY_FILE_RANGE] = sizeof(struct fuse_copy_file_range_in),
        [FUSE_RENAME2] = sizeof(struct fuse_rename2_in),
    };
    size_t bytes = opcode < sizeof(head) / sizeof(head[0]) ? head[opcode] : 0;
    return fuse_call(&rig.client, opcode, node, zeroes, bytes, "a\0b", 4);
}

Test(devices_share_files, nothing_changes_where_nothing_may)
{
    static const uint32_t changing[] = {
        FUSE_SETATTR, FUSE_SYMLINK, FUSE_MKNOD,     FUSE_MKDIR,
        FUSE_UNLINK,  FUSE_RMDIR,   FUSE_RENAME,    FUSE_RENAME2,
        FUSE_LINK,    FUSE_WRITE,   FUSE_SETXATTR,  FUSE_REMOVEXATTR,
        FUSE_CREATE,  FUSE_TMPFILE, FUSE_FALLOCATE, FUSE_COPY_FILE_RANGE,
    };
    static const uint32_t flags[] = {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC, O_ACCMODE};
    uint64_t fh;
    char text[8];
    share_rig_open((struct share_dir_config){.read_only = true, .xattr = true});
    write_file("shared/a", "hello");
    for (unsigned i = 0; i < sizeof(changing) / sizeof(changing[0]); i++)
        cr_assert_eq(call_with_names(changing[i], ROOT), -EROFS, "%u", changing[i]);
    uint64_t node = fuse_lookup(&rig.client, ROOT, "a", NULL);
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
        cr_assert_eq(fuse_open(&rig.client, node, flags[i], &fh), -EROFS);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &fh), 0);
    cr_assert_eq(fuse_read(&rig.client, node, fh, 0, text, 8), 5);
    cr_assert(has_text("shared/a", "hello"));
    share_rig_close();
}

Test(devices_share_files, what_the_guest_may_keep_is_said)
{
    static const uint32_t expected[] = {
        [SHARE_CACHE_AUTO] = 0,
        [SHARE_CACHE_ALWAYS] = FOPEN_KEEP_CACHE,
        [SHARE_CACHE_NEVER] = FOPEN_DIRECT_IO,
    };
    const struct fuse_open_in in = {.flags = O_RDONLY};
    struct fuse_open_out out;
    for (enum share_cache cache = SHARE_CACHE_AUTO; cache <= SHARE_CACHE_NEVER; cache++) {
        share_rig_open((struct share_dir_config){.cache = cache});
        uint64_t node = make_file(ROOT, "a");
        cr_assert_eq(CALL(FUSE_OPEN, node, in), 0);
        memcpy(&out, rig.client.out, sizeof(out));
        cr_assert_eq(out.open_flags, expected[cache]);
        share_rig_close();
    }
}

/* With writeback=on the guest's cache reads what a program only writes, and appends by itself. */
Test(devices_share_files, the_guests_cache_may_read_what_is_only_written)
{
    uint64_t fh;
    char text[8] = "";
    share_rig_open((struct share_dir_config){.writeback = true});
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_WRONLY | O_APPEND, 0644, &fh, NULL);
    cr_assert_eq(fuse_write(&rig.client, node, fh, 4, "b", 1), 1);
    cr_assert_eq(fuse_write(&rig.client, node, fh, 0, "aaaa", 4), 4);
    cr_assert_eq(fuse_read(&rig.client, node, fh, 0, text, 8), 5);
    cr_assert_str_eq(text, "aaaab");
    share_rig_close();
}

/* What the guest has not written yet would be a hole. */
Test(devices_share_files, a_guest_that_writes_later_looks_for_holes_itself)
{
    uint64_t fh;
    share_rig_open((struct share_dir_config){.writeback = true});
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    const struct fuse_lseek_in in = {.fh = fh, .whence = SEEK_DATA};
    cr_assert_eq(CALL(FUSE_LSEEK, node, in), -ENOSYS);
    share_rig_close();
}

Test(devices_share_files, no_data_is_behind_the_last_offset)
{
    uint64_t fh;
    char byte;
    share_rig_open((struct share_dir_config){0});
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    cr_assert_eq(fuse_write(&rig.client, node, fh, INT64_MAX, "x", 1), -EFBIG);
    cr_assert_eq(fuse_write(&rig.client, node, fh, UINT64_MAX, "x", 1), -EFBIG);
    cr_assert_eq(fuse_write(&rig.client, node, fh, INT64_MAX - 1, "x", 1), -EFBIG);
    cr_assert_eq(fuse_read(&rig.client, node, fh, INT64_MAX - 1, &byte, 1), 0);
    cr_assert_eq(fuse_read(&rig.client, node, fh, UINT64_MAX, &byte, 1), -EINVAL);
    share_rig_close();
}

Test(devices_share_files, what_cannot_be_copied_is_not)
{
    uint64_t from, to, reader;
    struct fuse_open_out listing;
    const struct fuse_open_in how = {0};
    begin();
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &from, NULL);
    (void)fuse_create(&rig.client, ROOT, "b", O_RDWR, 0644, &to, NULL);
    cr_assert_eq(fuse_write(&rig.client, node, from, 0, "hello", 5), 5);
    cr_assert_eq(fuse_open(&rig.client, node, O_RDONLY, &reader), 0);
    cr_assert_eq(CALL(FUSE_OPENDIR, ROOT, how), 0);
    memcpy(&listing, rig.client.out, sizeof(listing));
    struct fuse_copy_file_range_in in = {.fh_in = from, .fh_out = reader, .len = 5};
    cr_assert_eq(CALL(FUSE_COPY_FILE_RANGE, node, in), -EBADF);
    in.fh_out = listing.fh;
    cr_assert_eq(CALL(FUSE_COPY_FILE_RANGE, node, in), -EBADF);
    in.fh_out = from; /* onto itself */
    in.off_out = 1;
    cr_assert_eq(CALL(FUSE_COPY_FILE_RANGE, node, in), -EINVAL);
    in.fh_out = to;
    in.flags = 1;
    cr_assert_eq(CALL(FUSE_COPY_FILE_RANGE, node, in), -EINVAL);
    in.flags = 0;
    in.off_in = UINT64_MAX;
    cr_assert_eq(CALL(FUSE_COPY_FILE_RANGE, node, in), -EINVAL);
    in.off_in = 0;
    in.fh_in = listing.fh;
    cr_assert_eq(CALL(FUSE_COPY_FILE_RANGE, ROOT, in), -EBADF);
    in.fh_in = 4711;
    cr_assert_eq(CALL(FUSE_COPY_FILE_RANGE, node, in), -EBADF);
    cr_assert_eq(allocate(node, from, 0, 0, 0), -EINVAL);
    cr_assert_eq(allocate(node, 4711, 0, 1, 0), -EBADF);
    const struct fuse_lseek_in seek = {.fh = 4711, .whence = SEEK_DATA};
    cr_assert_eq(CALL(FUSE_LSEEK, node, seek), -EBADF);
    const struct fuse_lseek_in far = {.fh = from, .whence = SEEK_DATA, .offset = UINT64_MAX};
    cr_assert_eq(CALL(FUSE_LSEEK, node, far), -EINVAL);
    const struct fuse_lseek_in in_list = {.fh = listing.fh, .whence = SEEK_DATA};
    cr_assert_eq(CALL(FUSE_LSEEK, ROOT, in_list), -EINVAL);
    share_rig_close();
}

Test(devices_share_files, a_file_is_no_longer_than_its_user_s_files_may_be)
{
    const struct rlimit limit = {.rlim_cur = 4096, .rlim_max = RLIM_INFINITY},
                        none = {.rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY};
    uint64_t fh;
    begin();
    uint64_t node = fuse_create(&rig.client, ROOT, "a", O_RDWR, 0644, &fh, NULL);
    signal(SIGXFSZ, SIG_IGN); /* as `minivet run` does */
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    cr_expect_eq(fuse_write(&rig.client, node, fh, 4096, "x", 1), -EFBIG);
    cr_expect_eq(fuse_write(&rig.client, node, fh, 4094, "xyz", 3), 2);
    cr_expect_eq(allocate(node, fh, 4096, 1, 0), -EFBIG);
    struct fuse_setattr_in size = {.valid = FATTR_SIZE, .size = 8192};
    cr_expect_eq(setattr(node, size), -EFBIG);
    size = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_FH, .fh = fh, .size = 8192};
    cr_expect_eq(setattr(node, size), -EFBIG);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &none), 0);
    share_rig_close();
}
