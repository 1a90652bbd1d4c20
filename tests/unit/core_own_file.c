// SPDX-License-Identifier: BSD-2-Clause
#include "core/output/own_file.h"

#include "tests/harness/folder.h"
#include "tests/harness/test.h"

TestSuite(core_own_file, .init = folder_enter, .fini = folder_leave);

static void make(const char *name, const char *text)
{
    FILE *f = fopen(name, "we");
    cr_assert(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static off_t bytes_of(const char *name)
{
    struct stat st;
    return stat(name, &st) == 0 ? st.st_size : -1;
}

static int try_to_open(const char *name, int flags)
{
    int fd = own_file_open(AT_FDCWD, name, flags, 0640);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

Test(core_own_file, is_made_or_emptied)
{
    struct stat st;
    umask(0);
    cr_expect_eq(try_to_open("new", O_WRONLY | O_TRUNC), 0);
    cr_assert_eq(stat("new", &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0640);
    make("old", "text");
    cr_expect_eq(try_to_open("old", O_RDWR), 0);
    cr_expect_eq(bytes_of("old"), 4);
    cr_assert_eq(symlink("old", "link"), 0);
    cr_expect_eq(try_to_open("link", O_WRONLY | O_TRUNC | O_NOFOLLOW), -ELOOP);
    cr_expect_eq(bytes_of("old"), 4);
    cr_expect_eq(try_to_open("link", O_WRONLY | O_TRUNC), 0);
    cr_expect_eq(bytes_of("old"), 0);
    cr_expect_eq(try_to_open("nowhere/new", O_WRONLY), -ENOENT);
    cr_expect_eq(try_to_open("/dev/null", O_WRONLY | O_TRUNC), 0);
}

Test(core_own_file, does_not_wait_for_a_reader, .timeout = 20)
{
    cr_assert_eq(mkfifo("fifo", 0600), 0);
    cr_expect_eq(try_to_open("fifo", O_WRONLY | O_TRUNC), -ENXIO);
}

Test(core_own_file, is_not_what_another_user_has_put_there)
{
    if (geteuid() != 0)
        cr_skip_test("only root can make files of other users");
    make("mine", "text");
    make("theirs", "");
    cr_assert_eq(symlink("mine", "link"), 0);
    cr_assert_eq(symlink("theirs", "way"), 0);
    cr_assert_eq(mkfifo("fifo", 0666), 0);
    int reader = open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    cr_assert(lchown("theirs", 1, 1) == 0 && lchown("link", 1, 1) == 0 &&
              lchown("fifo", 1, 1) == 0);
    static const char *const names[] = {"theirs", "link", "way", "fifo"};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        cr_expect_eq(try_to_open(names[i], O_WRONLY | O_TRUNC), -EPERM, "%s", names[i]);
    cr_expect_eq(bytes_of("mine"), 4);
    close(reader);
}
