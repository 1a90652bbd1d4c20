// SPDX-License-Identifier: BSD-2-Clause
/*
 * For tests/boot/posix.sh: what POSIX and Linux promise of a file system, tried in a directory. A
 * line for each promise, "ok - NAME" or "not ok - NAME: what was found", so that what two file
 * systems print can be compared.
 *
 * posix check DIR [FILES]          all of them, with so many files in one directory
 * posix random FILE SEED COUNT     so many operations on one file, which is compared with memory;
 *                                  MINIVET_DIRECT=1: with O_DIRECT
 * posix append FILE BYTE COUNT     so many records of that byte at the file's end
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define MIB ((off_t)1 << 20)

static unsigned failures;

__attribute__((format(printf, 2, 3))) static bool ok(bool good, const char *format, ...)
{
    int err = errno;
    va_list args;
    printf(good ? "ok - " : "not ok - ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    if (!good)
        printf(": errno %d, %s", err, strerror(err));
    putchar('\n');
    fflush(stdout);
    failures += !good;
    errno = 0;
    return good;
}

/* A call that has to fail, and with that error. */
#define FAILS(call, err, name) (errno = 0, ok((call) < 0 && errno == (err), "%s", name))
#define WORKS(call, name)      (errno = 0, ok((call) >= 0, "%s", name))
#define IS(value, wanted, name)                                                 \
    do {                                                                        \
        long long is_got = (long long)(value);                                  \
        if (is_got == (long long)(wanted))                                      \
            ok(true, "%s", name);                                               \
        else                                                                    \
            ok(false, "%s: %lld, not %lld", name, is_got, (long long)(wanted)); \
    } while (0)

static int make(const char *name, const char *text)
{
    int fd = open(name, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
        ok(false, "make %s", name);
        exit(1);
    }
    return fd;
}

static void make_file(const char *name, const char *text)
{
    close(make(name, text));
}

static bool has(const char *name, const char *text)
{
    char found[256] = "";
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, found, sizeof(found) - 1);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)strlen(text) && strcmp(found, text) == 0;
}

static struct stat status_of(const char *name)
{
    struct stat st = {0};
    if (lstat(name, &st) < 0)
        st.st_nlink = 9999;
    return st;
}

static struct stat status(int fd)
{
    struct stat st = {0};
    if (fstat(fd, &st) < 0) {
        st.st_size = -errno;
        st.st_nlink = 9999;
    }
    return st;
}

/* Runs `test` in a process of that user; its failures are counted. */
static void as(uid_t user, void (*test)(void))
{
    int state = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (syscall(SYS_setgroups, 0, NULL) < 0 || setresgid(user, user, user) < 0 ||
            setresuid(user, user, user) < 0)
            exit(99);
        failures = 0;
        test();
        exit(failures != 0);
    }
    if (child < 0 || waitpid(child, &state, 0) != child || state != 0)
        failures++;
}

/* ---- open ---- */

static void test_open(void)
{
    char text[8] = "";
    int fd = open("new", O_CREAT | O_EXCL | O_RDWR, 0640);
    WORKS(fd, "open: O_CREAT|O_EXCL makes a file");
    IS(status(fd).st_mode & 07777, 0640, "open: which has its mode");
    FAILS(open("new", O_CREAT | O_EXCL | O_RDWR, 0640), EEXIST, "open: O_EXCL refuses it then");
    WORKS(symlink("nowhere", "dangling"), "open: symlink() to nowhere");
    FAILS(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST,
          "open: O_EXCL follows no link");
    FAILS(open("dangling", O_RDONLY), ENOENT, "open: a link to nowhere has no file");
    FAILS(open("dangling", O_RDONLY | O_NOFOLLOW), ELOOP, "open: O_NOFOLLOW refuses a link");
    WORKS(close(open("dangling", O_CREAT | O_WRONLY, 0600)), "open: O_CREAT follows a link");
    ok(access("nowhere", F_OK) == 0, "open: and makes its target");
    IS(write(fd, "abcdef", 6), 6, "write: all of it");
    IS(pread(fd, text, 8, 2), 4, "pread: up to the end");
    ok(memcmp(text, "cdef", 4) == 0, "pread: the right bytes");
    int other = open("new", O_WRONLY | O_TRUNC);
    IS(status(fd).st_size, 0, "open: O_TRUNC, as another descriptor sees");
    FAILS(read(other, text, 1), EBADF, "read: not of what is open for writing");
    close(other);
    other = open("new", O_RDONLY);
    FAILS(write(other, text, 1), EBADF, "write: not to what is open for reading");
    FAILS(ftruncate(other, 1), EINVAL, "ftruncate: neither");
    close(other);
    close(fd);
    FAILS(open("new/below", O_RDONLY), ENOTDIR, "open: below a file");
    FAILS(open("new", O_RDONLY | O_DIRECTORY), ENOTDIR, "open: O_DIRECTORY of a file");
    FAILS(open(".", O_RDWR), EISDIR, "open: a directory for writing");
    FAILS(open("absent", O_RDWR), ENOENT, "open: what is not there");
    FAILS(open("", O_RDWR), ENOENT, "open: no name");
    FAILS(open("absent/", O_RDWR | O_CREAT, 0600), EISDIR, "open: a new file with a slash behind");
    umask(027);
    fd = open("masked", O_CREAT | O_RDWR, 0666);
    IS(status(fd).st_mode & 07777, 0640, "umask: of a file");
    close(fd);
    mkdir("masked-dir", 0777);
    IS(status_of("masked-dir").st_mode & 07777, 0750, "umask: of a directory");
    umask(022);
    fd = open("read-only", O_CREAT | O_RDWR, 0400);
    WORKS(write(fd, "x", 1), "open: a new file that is read-only can be written to");
    close(fd);
    fd = open("nothing", O_CREAT | O_RDWR, 0);
    WORKS(write(fd, "x", 1), "open: and so can one of mode 0");
    close(fd);
    chmod("nothing", 0600);
    ok(has("nothing", "x"), "chmod: makes it readable");
}

static void test_append(void)
{
    char text[16] = "";
    int fd = make("log", "one"), again = open("log", O_WRONLY | O_APPEND);
    IS(write(again, "two", 3), 3, "O_APPEND: at the end");
    IS(lseek(again, 0, SEEK_CUR), 6, "O_APPEND: where its position is then");
    pwrite(fd, "three", 5, 6);
    lseek(again, 0, SEEK_SET);
    write(again, "four", 4);
    IS(pread(fd, text, 16, 0), 15, "O_APPEND: behind what another wrote");
    ok(memcmp(text, "onetwothreefour", 15) == 0, "O_APPEND: in that order");
    WORKS(fcntl(fd, F_SETFL, O_APPEND), "O_APPEND: by fcntl()");
    lseek(fd, 0, SEEK_SET);
    write(fd, "five", 4);
    IS(status(fd).st_size, 19, "O_APPEND: and it holds from then on");
    close(again);
    close(fd);
    /* Two processes: no record is lost or torn. */
    unlink("log");
    enum { RECORDS = 500, BYTES = 100 };
    fflush(stdout);
    for (int writer = 0; writer < 2; writer++)
        if (fork() == 0) {
            char record[BYTES];
            memset(record, 'a' + writer, BYTES);
            fd = open("log", O_CREAT | O_WRONLY | O_APPEND, 0600);
            for (int i = 0; i < RECORDS; i++)
                if (write(fd, record, BYTES) != BYTES)
                    _exit(1);
            _exit(0);
        }
    while (wait(NULL) > 0)
        ;
    static char all[2 * RECORDS * BYTES + 1];
    fd = open("log", O_RDONLY);
    IS(read(fd, all, sizeof(all)), 2 * RECORDS * BYTES, "O_APPEND: of two processes, all of it");
    int torn = 0, count[2] = {0};
    for (char *at = all; at < all + 2 * RECORDS * BYTES; at += BYTES) {
        for (int i = 1; i < BYTES; i++)
            torn += at[i] != at[0];
        count[at[0] == 'b']++;
    }
    IS(torn, 0, "O_APPEND: no record is torn");
    IS(count[0], RECORDS, "O_APPEND: as many of each");
    close(fd);
}

/* ---- names ---- */

static void test_names(void)
{
    char name[300];
    int lost = 0;
    mkdir("bytes", 0700);
    for (int c = 1; c < 256; c++) {
        snprintf(name, sizeof(name), "bytes/-%c-", c);
        if (c != '/')
            lost += close(open(name, O_CREAT | O_EXCL | O_WRONLY, 0600)) < 0;
    }
    IS(lost, 0, "names: of each byte but the slash");
    bool seen[256] = {false};
    int found = 0;
    DIR *dir = opendir("bytes");
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (e->d_name[0] == '-' && !seen[(uint8_t)e->d_name[1]] && e->d_name[2] == '-') {
            seen[(uint8_t)e->d_name[1]] = true;
            found++;
        }
    closedir(dir);
    IS(found, 254, "names: each is listed");
    for (int c = 1; c < 256; c++) {
        snprintf(name, sizeof(name), "bytes/-%c-", c);
        if (c != '/')
            lost += unlink(name) < 0;
    }
    IS(lost, 0, "names: each is removed");
    WORKS(rmdir("bytes"), "names: none is left");
    memset(name, 'n', sizeof(name));
    name[255] = '\0';
    WORKS(close(open(name, O_CREAT | O_WRONLY, 0600)), "names: of 255 bytes");
    WORKS(rename(name, "long"), "rename: a name of 255 bytes");
    WORKS(rename("long", name), "rename: to one");
    unlink(name);
    name[255] = 'n';
    name[256] = '\0';
    FAILS(open(name, O_CREAT | O_WRONLY, 0600), ENAMETOOLONG, "names: not of 256");
    FAILS(mkdir(name, 0700), ENAMETOOLONG, "mkdir: a name of 256 bytes");
    FAILS(symlink("x", name), ENAMETOOLONG, "symlink: a name of 256 bytes");
    make_file("short", "");
    FAILS(rename("short", name), ENAMETOOLONG, "rename: to 256 bytes");
    FAILS(link("short", name), ENAMETOOLONG, "link: to 256 bytes");
    FAILS(unlink(name), ENAMETOOLONG, "unlink: 256 bytes");
    FAILS(access(name, F_OK), ENAMETOOLONG, "access: 256 bytes");
    static char path[PATH_MAX + 8];
    memset(path, '/', sizeof(path) - 1);
    path[0] = '.';
    FAILS(access(path, F_OK), ENAMETOOLONG, "access: a path of more than 4096 bytes");
    static char target[PATH_MAX + 1];
    memset(target, 't', PATH_MAX - 1);
    WORKS(symlink(target, "far"), "symlink: a target of 4095 bytes");
    IS(readlink("far", path, PATH_MAX), PATH_MAX - 1, "readlink: all of it");
    IS(status_of("far").st_size, PATH_MAX - 1, "lstat: its size");
    target[PATH_MAX - 1] = 't';
    FAILS(symlink(target, "farther"), ENAMETOOLONG, "symlink: a target of 4096 bytes");
    FAILS(readlink("short", path, 10), EINVAL, "readlink: of what is no link");
    IS(readlink("far", path, 10), 10, "readlink: as much as there is room for");
    symlink("loop2", "loop1");
    symlink("loop1", "loop2");
    FAILS(open("loop1", O_RDONLY), ELOOP, "symlink: a loop is no file");
    FAILS(stat("loop1/x", &(struct stat){0}), ELOOP, "symlink: nor a directory");
    /* A way of many directories, longer than a path may be. */
    int at = open(".", O_RDONLY | O_DIRECTORY), top = at, depth = 0;
    memset(name, 'd', 200);
    name[200] = '\0';
    for (; depth < 50; depth++) {
        if (mkdirat(at, name, 0700) < 0)
            break;
        int below = openat(at, name, O_RDONLY | O_DIRECTORY);
        if (below < 0)
            break;
        if (at != top)
            close(at);
        at = below;
    }
    IS(depth, 50, "names: a way of 10,000 bytes");
    int fd = openat(at, "deep", O_CREAT | O_RDWR, 0600);
    WORKS(fd, "names: a file at its end");
    sleep(2);
    WORKS(fstatat(at, "deep", &(struct stat){0}, 0), "names: found again later");
    close(fd);
    unlinkat(at, "deep", 0);
    for (; depth > 0; depth--) {
        int above = openat(at, "..", O_RDONLY | O_DIRECTORY);
        close(at);
        at = above;
        if (unlinkat(at, name, AT_REMOVEDIR) < 0)
            break;
    }
    IS(depth, 0, "rmdir: the way back");
    close(at);
}

/* ---- unlink, link, rename ---- */

static void test_unlink(void)
{
    char text[8] = "";
    int fd = make("gone", "still"), path = open("gone", O_PATH);
    WORKS(unlink("gone"), "unlink: what is open");
    IS(status(fd).st_nlink, 0, "unlink: no link is left");
    sleep(2);
    IS(status(fd).st_size, 5, "unlink: fstat() later");
    IS(status(path).st_size, 5, "unlink: of an O_PATH descriptor, too");
    IS(pread(fd, text, 8, 0), 5, "unlink: its data can be read");
    WORKS(pwrite(fd, "more", 4, 5), "unlink: and written");
    WORKS(ftruncate(fd, 3), "unlink: and cut");
    WORKS(fchmod(fd, 0600), "unlink: and its mode changed");
    IS(status(fd).st_size, 3, "unlink: which it all is");
    make_file("gone", "other");
    ok(has("gone", "other"), "unlink: the name is free");
    IS(status(fd).st_size, 3, "unlink: and is another file's");
    char proc[64];
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    int again = open(proc, O_RDONLY);
    WORKS(again, "unlink: opened again by /proc/self/fd");
    IS(status(again).st_ino == status(fd).st_ino, 1, "unlink: which is the same file");
    close(again);
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", path);
    again = open(proc, O_RDWR);
    WORKS(again, "unlink: and by that of an O_PATH descriptor");
    close(again);
    close(path);
    close(fd);
    /* One that was only ever O_PATH. */
    make_file("path", "still");
    path = open("path", O_PATH);
    sleep(2);
    unlink("path");
    IS(status(path).st_nlink, 0, "unlink: what is open with O_PATH alone");
    sleep(2);
    IS(status(path).st_size, 5, "unlink: fstat() of that later");
    close(path);
    mkfifo("fifo", 0600);
    fd = open("fifo", O_RDWR);
    unlink("fifo");
    sleep(2);
    ok(S_ISFIFO(status(fd).st_mode), "unlink: fstat() of a FIFO later");
    WORKS(write(fd, "x", 1), "unlink: which can be written to");
    IS(read(fd, text, 1), 1, "unlink: and read");
    close(fd);
    make_file("a", "a");
    int a = open("a", O_PATH);
    link("a", "b");
    unlink("a");
    sleep(2);
    IS(status_of("b").st_nlink, 1, "unlink: one of two names");
    IS(status(a).st_nlink, 1, "unlink: as the O_PATH descriptor of the other sees");
    close(a);
    make_file("over", "over");
    make_file("under", "under");
    a = open("under", O_PATH);
    rename("over", "under");
    sleep(2);
    IS(status(a).st_nlink, 0, "rename: fstat() of what was replaced, which was O_PATH");
    close(a);
    mkdir("cwd", 0700);
    chdir("cwd");
    WORKS(rmdir("../cwd"), "rmdir: of the working directory");
    sleep(2);
    IS(status_of(".").st_nlink, 0, "rmdir: which has no links then");
    FAILS(open("x", O_CREAT | O_WRONLY, 0600), ENOENT, "rmdir: and takes no files");
    chdir(getenv("POSIX_DIR"));
    mkdir("old", 0700);
    mkdir("empty", 0700);
    a = open("empty", O_PATH | O_DIRECTORY);
    WORKS(rename("old", "empty"), "rename: over an empty directory");
    sleep(2);
    IS(status(a).st_nlink, 0, "rename: which has no links then");
    close(a);
    FAILS(unlink("empty"), EISDIR, "unlink: a directory");
    FAILS(rmdir("a-file"), ENOENT, "rmdir: what is not there");
    make_file("a-file", "");
    FAILS(rmdir("a-file"), ENOTDIR, "rmdir: a file");
    make_file("empty/full", "");
    FAILS(rmdir("empty"), ENOTEMPTY, "rmdir: what is not empty");
    FAILS(rmdir("empty/."), EINVAL, "rmdir: by a dot");
    FAILS(rmdir("empty/.."), ENOTEMPTY, "rmdir: by two dots");
}

static void test_link(void)
{
    char name[32];
    make_file("l0", "linked");
    int wrong = 0;
    for (int i = 1; i < 100; i++) {
        snprintf(name, sizeof(name), "l%d", i);
        wrong += link("l0", name) < 0;
    }
    IS(wrong, 0, "link: 99 names more");
    IS(status_of("l0").st_nlink, 100, "link: counted");
    IS(status_of("l57").st_ino == status_of("l0").st_ino, 1, "link: of one inode");
    FAILS(link("l0", "l1"), EEXIST, "link: not over a name");
    FAILS(link(".", "dir-link"), EPERM, "link: not of a directory");
    FAILS(link("absent", "l100"), ENOENT, "link: not of nothing");
    int fd = open("l3", O_WRONLY | O_APPEND);
    write(fd, "!", 1);
    close(fd);
    ok(has("l99", "linked!"), "link: what one is told all are");
    for (int i = 0; i < 99; i++) {
        snprintf(name, sizeof(name), "l%d", i);
        wrong += unlink(name) < 0;
    }
    IS(status_of("l99").st_nlink, 1, "link: the last one");
    symlink("l99", "sym");
    WORKS(linkat(AT_FDCWD, "sym", AT_FDCWD, "sym2", 0), "link: of a symbolic link");
    ok(S_ISLNK(status_of("sym2").st_mode), "link: which is one");
    WORKS(linkat(AT_FDCWD, "sym", AT_FDCWD, "followed", AT_SYMLINK_FOLLOW), "link: of its target");
    ok(S_ISREG(status_of("followed").st_mode), "link: which is a file");
    mkdir("count", 0700);
    mkdir("count/a", 0700);
    mkdir("count/b", 0700);
    IS(status_of("count").st_nlink, 4, "mkdir: each directory below is a link");
    rmdir("count/a");
    IS(status_of("count").st_nlink, 3, "rmdir: and no more then");
    mkdir("count2", 0700);
    rename("count/b", "count2/b");
    IS(status_of("count").st_nlink, 2, "rename: as one that is moved");
    IS(status_of("count2").st_nlink, 3, "rename: of where it is then");
}

static int rename2(const char *from, const char *to, unsigned flags)
{
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void test_rename(void)
{
    make_file("one", "1");
    make_file("two", "2");
    int fd = open("two", O_RDONLY);
    WORKS(rename("one", "two"), "rename: over a file");
    ok(has("two", "1"), "rename: which is the other then");
    FAILS(access("one", F_OK), ENOENT, "rename: the old name is gone");
    char text[4] = "";
    IS(pread(fd, text, 4, 0), 1, "rename: who has the replaced one open");
    ok(text[0] == '2', "rename: reads that");
    close(fd);
    make_file("one", "1");
    FAILS(rename2("one", "two", RENAME_NOREPLACE), EEXIST, "RENAME_NOREPLACE: over a file");
    WORKS(rename2("one", "three", RENAME_NOREPLACE), "RENAME_NOREPLACE: to a free name");
    make_file("two", "2");
    make_file("three", "3");
    WORKS(rename2("two", "three", RENAME_EXCHANGE), "RENAME_EXCHANGE: two files");
    ok(has("two", "3") && has("three", "2"), "RENAME_EXCHANGE: each is the other");
    mkdir("dir", 0700);
    make_file("dir/in", "in");
    WORKS(rename2("two", "dir", RENAME_EXCHANGE), "RENAME_EXCHANGE: a file and a directory");
    ok(has("two/in", "in") && has("dir", "3"), "RENAME_EXCHANGE: with what is in it");
    FAILS(rename2("two", "absent", RENAME_EXCHANGE), ENOENT, "RENAME_EXCHANGE: with nothing");
    FAILS(rename2("two", "three", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL,
          "renameat2: both flags");
    FAILS(rename("two", "two/below"), EINVAL, "rename: a directory into itself");
    FAILS(rename("two", "three"), ENOTDIR, "rename: a directory over a file");
    FAILS(rename("three", "two"), EISDIR, "rename: a file over a directory");
    mkdir("full", 0700);
    make_file("full/file", "");
    FAILS(rename("two", "full"), ENOTEMPTY, "rename: over a directory that is not empty");
    link("three", "same");
    WORKS(rename("three", "same"), "rename: of two names of one file");
    ok(access("three", F_OK) == 0 && access("same", F_OK) == 0, "rename: changes neither");
    mkdir("deep", 0700);
    mkdir("deep/er", 0700);
    make_file("deep/er/file", "down");
    fd = open("deep/er", O_RDONLY | O_DIRECTORY);
    WORKS(rename("deep", "moved"), "rename: a directory with others below");
    ok(has("moved/er/file", "down"), "rename: what is there is there");
    struct stat st;
    WORKS(fstatat(fd, "file", &st, 0), "rename: also for a descriptor below");
    close(fd);
    struct timespec before = status_of("moved").st_ctim;
    usleep(20000);
    rename("moved", "again");
    struct timespec after = status_of("again").st_ctim;
    ok(after.tv_sec > before.tv_sec || after.tv_nsec > before.tv_nsec,
       "rename: changes the time of what is moved");
    symlink("again", "to-dir");
    WORKS(rename("to-dir", "to-dir2"), "rename: a symbolic link itself");
    ok(S_ISLNK(status_of("to-dir2").st_mode), "rename: which stays one");
}

static void test_tmpfile(void)
{
    char proc[64];
    int fd = open(".", O_TMPFILE | O_RDWR, 0644);
    if (!WORKS(fd, "O_TMPFILE: a file without a name"))
        return;
    IS(write(fd, "text", 4), 4, "O_TMPFILE: is written to");
    IS(status(fd).st_nlink, 0, "O_TMPFILE: has no link");
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    sleep(2);
    WORKS(linkat(AT_FDCWD, proc, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), "O_TMPFILE: gets a name");
    ok(has("named", "text"), "O_TMPFILE: is all there");
    IS(status(fd).st_nlink, 1, "O_TMPFILE: has a link then");
    close(fd);
    fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0644);
    WORKS(fd, "O_TMPFILE|O_EXCL: a file that gets none");
    snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
    FAILS(linkat(AT_FDCWD, proc, AT_FDCWD, "named2", AT_SYMLINK_FOLLOW), ENOENT,
          "O_TMPFILE|O_EXCL: nor can it");
    close(fd);
    FAILS(open(".", O_TMPFILE | O_RDONLY, 0644), EINVAL, "O_TMPFILE: not for reading");
}

/* ---- directories ---- */

static void test_list(unsigned many)
{
    char name[32];
    enum { FEW = 3000 };
    mkdir("list", 0700);
    for (int i = 0; i < FEW; i++) {
        snprintf(name, sizeof(name), "list/entry-%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    static long at[FEW + 2];
    static char names[FEW + 2][32];
    int count = 0;
    DIR *dir = opendir("list");
    for (struct dirent *e; count < FEW + 2 && (at[count] = telldir(dir), e = readdir(dir)) != NULL;)
        snprintf(names[count++], 32, "%.31s", e->d_name);
    IS(count, FEW + 2, "readdir: all of a directory");
    int wrong = 0;
    for (int i = 0; i < 200; i++) {
        int n = (i * 7919) % count;
        seekdir(dir, at[n]);
        struct dirent *e = readdir(dir);
        wrong += e == NULL || strcmp(e->d_name, names[n]) != 0;
    }
    IS(wrong, 0, "seekdir: back to where telldir() was");
    /* What is there from begin to end is listed once, whatever else comes and goes. */
    rewinddir(dir);
    static uint8_t seen[FEW];
    int doubles = 0, missed = 0, turn = 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL; turn++) {
        int n;
        if (sscanf(e->d_name, "entry-%d", &n) == 1 && n < FEW)
            doubles += seen[n]++ > 0;
        snprintf(name, sizeof(name), "list/entry-%d", turn * 2 + 1);
        if (turn * 2 + 1 < FEW)
            unlink(name);
        snprintf(name, sizeof(name), "list/later-%d", turn);
        if (turn < 500)
            close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    for (int i = 0; i < FEW; i += 2)
        missed += seen[i] == 0;
    IS(doubles, 0, "readdir: none twice, while others come and go");
    IS(missed, 0, "readdir: none missed");
    rewinddir(dir);
    for (count = 0; readdir(dir) != NULL;)
        count++;
    IS(count, FEW / 2 + 500 + 2, "rewinddir: what is there now");
    closedir(dir);
    /* rm -r: removes while it reads. */
    dir = opendir("list");
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char path[300];
        snprintf(path, sizeof(path), "list/%s", e->d_name);
        unlink(path);
    }
    closedir(dir);
    WORKS(rmdir("list"), "rmdir: after each entry that was listed was removed");
    /* Many. */
    mkdir("many", 0700);
    wrong = 0;
    for (unsigned i = 0; i < many; i++) {
        snprintf(name, sizeof(name), "many/%u", i);
        int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0600);
        if (fd < 0 && wrong++ == 0)
            ok(false, "many files: number %u", i);
        close(fd);
    }
    IS(wrong, 0, "many files: made");
    unsigned found = 0;
    dir = opendir("many");
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        found += e->d_name[0] != '.' && e->d_type == DT_REG;
    closedir(dir);
    IS(found, many, "many files: listed, with their types");
    for (unsigned i = 0; i < many; i++) {
        snprintf(name, sizeof(name), "many/%u", i);
        struct stat st = status_of(name);
        wrong += st.st_nlink != 1 || (st.st_mode & 07777) != 0600;
    }
    IS(wrong, 0, "many files: stat() of each");
    for (unsigned i = 0; i < many; i++) {
        snprintf(name, sizeof(name), "many/%u", i);
        wrong += unlink(name) < 0;
    }
    IS(wrong, 0, "many files: removed");
    WORKS(rmdir("many"), "many files: none is left");
}

/* ---- data ---- */

static void test_holes(void)
{
    char text[4096];
    int fd = make("holes", "");
    WORKS(ftruncate(fd, MIB << 20), "ftruncate: to 1 TiB");
    IS(status(fd).st_size, MIB << 20, "ftruncate: which it is then");
    ok(status(fd).st_blocks < 100, "ftruncate: and takes no room");
    WORKS(pwrite(fd, "far", 3, (MIB << 20) - 3), "pwrite: at the end of 1 TiB");
    IS(pread(fd, text, 8, (MIB << 20) - 3), 3, "pread: there");
    memset(text, 1, sizeof(text));
    pread(fd, text, sizeof(text), MIB << 18);
    for (size_t i = 1; i < sizeof(text); i++)
        text[0] |= text[i];
    IS(text[0], 0, "pread: zeroes in a hole");
    off_t data = lseek(fd, 0, SEEK_DATA);
    ok(data >= (MIB << 20) - 4096 && data < MIB << 20, "SEEK_DATA: over a hole");
    IS(lseek(fd, 0, SEEK_HOLE), 0, "SEEK_HOLE: in one");
    IS(lseek(fd, (MIB << 20) - 1, SEEK_HOLE), MIB << 20, "SEEK_HOLE: the end");
    FAILS(lseek(fd, MIB << 20, SEEK_DATA), ENXIO, "SEEK_DATA: behind the end");
    FAILS(lseek(fd, -1, SEEK_SET), EINVAL, "lseek: before the beginning");
    ftruncate(fd, 0);
    pwrite(fd, text, sizeof(text), 0);
    IS(lseek(fd, 0, SEEK_HOLE), sizeof(text), "SEEK_HOLE: behind data");
    FAILS(ftruncate(fd, -1), EINVAL, "ftruncate: to less than nothing");
    FAILS(pwrite(fd, "x", 1, INT64_MAX - 1), EFBIG, "pwrite: behind all");
    IS(pread(fd, text, 1, MIB), 0, "pread: nothing behind the end");
    memset(text, 'x', sizeof(text));
    pwrite(fd, text, sizeof(text), 0);
    ftruncate(fd, 100);
    ftruncate(fd, 4096);
    IS(pread(fd, text, sizeof(text), 0), 4096, "ftruncate: shorter, and longer again");
    int rest = 0;
    for (int i = 100; i < 4096; i++)
        rest |= text[i];
    IS(rest, 0, "ftruncate: zeroes are there then");
    close(fd);
    WORKS(truncate("holes", 7), "truncate: by name");
    IS(status_of("holes").st_size, 7, "truncate: which it is then");
    FAILS(truncate(".", 7), EISDIR, "truncate: a directory");
}

static void test_fallocate(void)
{
    int fd = make("room", "");
    if (!WORKS(fallocate(fd, 0, 0, MIB), "fallocate: room for 1 MiB"))
        return;
    IS(status(fd).st_size, MIB, "fallocate: is its size");
    ok(status(fd).st_blocks >= 2048, "fallocate: and takes that");
    WORKS(fallocate(fd, FALLOC_FL_KEEP_SIZE, MIB, MIB), "fallocate: KEEP_SIZE");
    IS(status(fd).st_size, MIB, "fallocate: which does not change the size");
    char *bytes = malloc((size_t)MIB);
    memset(bytes, 'x', (size_t)MIB);
    pwrite(fd, bytes, (size_t)MIB, 0);
    WORKS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192),
          "fallocate: PUNCH_HOLE");
    pread(fd, bytes, 16384, 0);
    ok(bytes[4095] == 'x' && bytes[4096] == 0 && bytes[12287] == 0 && bytes[12288] == 'x',
       "fallocate: just the hole is zero");
    FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 4096), EOPNOTSUPP,
          "fallocate: PUNCH_HOLE without KEEP_SIZE");
    WORKS(fallocate(fd, FALLOC_FL_ZERO_RANGE, 20000, 10000), "fallocate: ZERO_RANGE");
    pread(fd, bytes, 40000, 0);
    ok(bytes[19999] == 'x' && bytes[20000] == 0 && bytes[29999] == 0 && bytes[30000] == 'x',
       "fallocate: just that is zero");
    WORKS(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 65536), "fallocate: COLLAPSE_RANGE");
    IS(status(fd).st_size, MIB - 65536, "fallocate: which takes it out");
    WORKS(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, 65536), "fallocate: INSERT_RANGE");
    IS(status(fd).st_size, MIB, "fallocate: which puts it in");
    FAILS(fallocate(fd, 0, -1, 5), EINVAL, "fallocate: before the beginning");
    FAILS(fallocate(fd, 0, 0, 0), EINVAL, "fallocate: nothing");
    IS(posix_fallocate(fd, 2 * MIB, MIB), 0, "posix_fallocate");
    IS(status(fd).st_size, 3 * MIB, "posix_fallocate: the size");
    close(fd);
    free(bytes);
    fd = open("room", O_RDONLY);
    FAILS(fallocate(fd, 0, 0, 1), EBADF, "fallocate: of what is open for reading");
    close(fd);
}

static void test_mmap(void)
{
    enum { BYTES = 300000 };
    char text[16] = "";
    int fd = make("mapped", "");
    ftruncate(fd, BYTES);
    char *map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!ok(map != MAP_FAILED, "mmap: shared, for writing"))
        return;
    memcpy(map + 123456, "mapped", 6);
    IS(pread(fd, text, 6, 123456), 6, "mmap: read() sees");
    ok(memcmp(text, "mapped", 6) == 0, "mmap: what was written there");
    pwrite(fd, "written", 7, 200000);
    ok(memcmp(map + 200000, "written", 7) == 0, "mmap: and the map what write() wrote");
    WORKS(msync(map, BYTES, MS_SYNC), "msync");
    int other = open("mapped", O_RDONLY);
    pread(other, text, 6, 123456);
    ok(memcmp(text, "mapped", 6) == 0, "msync: another descriptor reads it");
    close(other);
    map[299999] = 'e';
    munmap(map, BYTES);
    pread(fd, text, 1, 299999);
    ok(text[0] == 'e', "munmap: nothing is lost");
    map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    map[0] = 'p';
    pread(fd, text, 1, 0);
    ok(text[0] == 0, "mmap: private stays private");
    munmap(map, BYTES);
    map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    unlink("mapped");
    map[5] = 'u';
    WORKS(msync(map, BYTES, MS_SYNC), "msync: of a file that has no name or descriptor");
    ok(map[5] == 'u' && map[299999] == 'e', "mmap: which is all there");
    munmap(map, BYTES);
}

static void test_direct(void)
{
    int fd = open("direct", O_CREAT | O_RDWR | O_DIRECT, 0600);
    if (!WORKS(fd, "O_DIRECT: a file"))
        return;
    char *page = aligned_alloc(4096, 65536);
    memset(page, 'd', 65536);
    IS(pwrite(fd, page, 65536, 4096), 65536, "O_DIRECT: written");
    memset(page, 0, 65536);
    IS(pread(fd, page, 65536, 4096), 65536, "O_DIRECT: read");
    ok(page[0] == 'd' && page[65535] == 'd', "O_DIRECT: as it was written");
    int other = open("direct", O_RDWR);
    pwrite(other, "cached", 6, 4096);
    pread(fd, page, 4096, 4096);
    ok(memcmp(page, "cached", 6) == 0, "O_DIRECT: reads what others wrote to the cache");
    memset(page, 'e', 4096);
    pwrite(fd, page, 4096, 8192);
    pread(other, page + 4096, 4096, 8192);
    ok(page[4096] == 'e', "O_DIRECT: others read what it writes");
    IS(pread(fd, page, 4096, MIB), 0, "O_DIRECT: nothing behind the end");
    close(other);
    close(fd);
    free(page);
}

static void test_copy(void)
{
    off_t from_at = 100000, to_at = 50;
    int from = make("from", ""), to = make("to", "");
    char *bytes = malloc(300000), *copy = calloc(1, 300000);
    for (int i = 0; i < 300000; i++)
        bytes[i] = (char)(i * 31 + i / 257);
    pwrite(from, bytes, 300000, 0);
    IS(copy_file_range(from, &from_at, to, &to_at, 150000, 0), 150000, "copy_file_range");
    IS(pread(to, copy, 300000, 50), 150000, "copy_file_range: the size");
    ok(memcmp(copy, bytes + 100000, 150000) == 0, "copy_file_range: the bytes");
    ok(from_at == 250000 && to_at == 150050, "copy_file_range: the offsets");
    IS(copy_file_range(from, &from_at, to, &to_at, 1 << 20, 0), 50000,
       "copy_file_range: to the end");
    IS(copy_file_range(from, &from_at, to, &to_at, 1 << 20, 0), 0, "copy_file_range: behind it");
    from_at = 0;
    to_at = 10;
    FAILS(copy_file_range(from, &from_at, from, &to_at, 1000, 0), EINVAL,
          "copy_file_range: onto itself");
    from_at = 0;
    to_at = 400000;
    IS(copy_file_range(from, &from_at, from, &to_at, 1000, 0), 1000,
       "copy_file_range: within a file");
    int pair[2];
    pipe(pair);
    from_at = 0;
    IS(splice(from, &from_at, pair[1], NULL, 4096, 0), 4096, "splice: to a pipe");
    to_at = 0;
    IS(splice(pair[0], NULL, to, &to_at, 4096, 0), 4096, "splice: from a pipe");
    pread(to, copy, 4096, 0);
    ok(memcmp(copy, bytes, 4096) == 0, "splice: the bytes");
    struct iovec parts[3] = {{bytes, 10}, {bytes + 10, 0}, {bytes + 10, 20}};
    IS(pwritev(to, parts, 3, 0), 30, "pwritev");
    parts[0].iov_base = copy;
    parts[2].iov_base = copy + 10;
    IS(preadv(to, parts, 3, 0), 30, "preadv");
    ok(memcmp(copy, bytes, 30) == 0, "preadv: the bytes");
    close(pair[0]);
    close(pair[1]);
    close(from);
    close(to);
    free(bytes);
    free(copy);
}

static void test_sync(void)
{
    int fd = make("synced", "text"), dir = open(".", O_RDONLY | O_DIRECTORY);
    WORKS(fsync(fd), "fsync");
    WORKS(fdatasync(fd), "fdatasync");
    WORKS(fsync(dir), "fsync: of a directory");
    WORKS(syncfs(fd), "syncfs");
    WORKS(sync_file_range(fd, 0, 4, SYNC_FILE_RANGE_WRITE), "sync_file_range");
    WORKS(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), "posix_fadvise");
    close(fd);
    fd = open("synced", O_WRONLY | O_SYNC);
    IS(write(fd, "x", 1), 1, "O_SYNC: is written to");
    close(fd);
    fd = open("synced", O_RDONLY);
    WORKS(fsync(fd), "fsync: of what is open for reading");
    close(fd);
    FAILS(read(dir, &(char){0}, 1), EISDIR, "read: of a directory");
    close(dir);
    struct statvfs st;
    WORKS(statvfs(".", &st), "statvfs");
    ok(st.f_namemax == 255 && st.f_blocks > 0 && st.f_bfree <= st.f_blocks, "statvfs: is sane");
}

/* ---- locks ---- */

static int lock_of(int fd, short type, off_t start, off_t bytes, int command)
{
    struct flock lock = {.l_type = type, .l_start = start, .l_len = bytes};
    int r = fcntl(fd, command, &lock);
    return r < 0 ? r : lock.l_type;
}

/* In another process: how many of these can be had. */
static int locks_had(const char *name, off_t start, off_t bytes, int flock_kind)
{
    int state = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int fd = open(name, O_RDWR);
        if (flock_kind != 0)
            _exit(flock(fd, flock_kind | LOCK_NB) == 0);
        _exit(lock_of(fd, F_WRLCK, start, bytes, F_SETLK) >= 0);
    }
    waitpid(child, &state, 0);
    return WEXITSTATUS(state);
}

static void test_locks(void)
{
    int fd = make("lock", "0123456789");
    WORKS(lock_of(fd, F_WRLCK, 0, 5, F_SETLK), "fcntl: a lock");
    IS(locks_had("lock", 0, 5, 0), 0, "fcntl: is another process's obstacle");
    IS(locks_had("lock", 4, 5, 0), 0, "fcntl: also in part");
    IS(locks_had("lock", 5, 5, 0), 1, "fcntl: but not behind it");
    WORKS(lock_of(fd, F_UNLCK, 0, 3, F_SETLK), "fcntl: unlock a part");
    IS(locks_had("lock", 0, 3, 0), 1, "fcntl: which can be had then");
    IS(locks_had("lock", 3, 1, 0), 0, "fcntl: the rest not");
    int again = open("lock", O_RDWR);
    close(again);
    IS(locks_had("lock", 0, 0, 0), 1, "fcntl: a close() gives all locks of the process back");
    WORKS(flock(fd, LOCK_EX), "flock: a lock");
    IS(locks_had("lock", 0, 0, LOCK_EX), 0, "flock: is another's obstacle");
    IS(locks_had("lock", 0, 0, LOCK_SH), 0, "flock: of each kind");
    WORKS(flock(fd, LOCK_SH), "flock: becomes shared");
    IS(locks_had("lock", 0, 0, LOCK_SH), 1, "flock: which others can share");
    IS(locks_had("lock", 0, 0, LOCK_EX), 0, "flock: but not have");
    again = dup(fd);
    close(fd);
    IS(locks_had("lock", 0, 0, LOCK_EX), 0, "flock: a dup() keeps it");
    close(again);
    IS(locks_had("lock", 0, 0, LOCK_EX), 1, "flock: the last close() gives it back");
    fd = open("lock", O_RDWR);
    WORKS(lock_of(fd, F_WRLCK, 0, 0, F_OFD_SETLK), "F_OFD_SETLK: a lock");
    again = open("lock", O_RDWR);
    FAILS(lock_of(again, F_WRLCK, 0, 0, F_OFD_SETLK), EAGAIN,
          "F_OFD_SETLK: is another descriptor's obstacle");
    close(fd);
    WORKS(lock_of(again, F_WRLCK, 0, 0, F_OFD_SETLK), "F_OFD_SETLK: until that is closed");
    close(again);
    /* One waits for the other. */
    fd = open("lock", O_RDWR);
    lock_of(fd, F_WRLCK, 0, 0, F_SETLK);
    int pair[2];
    pipe(pair);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int mine = open("lock", O_RDWR);
        write(pair[1], "b", 1);
        _exit(lock_of(mine, F_WRLCK, 0, 0, F_SETLKW) < 0);
    }
    char byte;
    int state = -1;
    read(pair[0], &byte, 1);
    usleep(200000);
    IS(waitpid(child, &state, WNOHANG), 0, "F_SETLKW: waits");
    lock_of(fd, F_UNLCK, 0, 0, F_SETLK);
    waitpid(child, &state, 0);
    IS(state, 0, "F_SETLKW: until it can be had");
    close(pair[0]);
    close(pair[1]);
    close(fd);
}

/* ---- attributes ---- */

static bool later(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static void test_times(void)
{
    int fd = make("times", "text");
    const struct timespec set[2] = {{1000000000, 123456789}, {1500000000, 987654321}};
    WORKS(futimens(fd, set), "futimens");
    struct stat st = status_of("times");
    ok(st.st_atim.tv_sec == 1000000000 && st.st_mtim.tv_sec == 1500000000, "futimens: seconds");
    ok(st.st_atim.tv_nsec == 123456789 && st.st_mtim.tv_nsec == 987654321, "futimens: and parts");
    const struct timespec omit[2] = {{0, UTIME_OMIT}, {-1000, 5}};
    WORKS(utimensat(AT_FDCWD, "times", omit, 0), "utimensat: one of them, before 1970");
    st = status_of("times");
    IS(st.st_atim.tv_sec, 1000000000, "utimensat: the other stays");
    IS(st.st_mtim.tv_sec, -1000, "utimensat: and it is that");
    const struct timespec far[2] = {{5000000000, 0}, {5000000000, 0}};
    WORKS(futimens(fd, far), "futimens: behind 2038");
    IS(status(fd).st_mtim.tv_sec, 5000000000, "futimens: which it is");
    symlink("times", "link");
    WORKS(utimensat(AT_FDCWD, "link", set, AT_SYMLINK_NOFOLLOW), "utimensat: of a symbolic link");
    IS(status_of("link").st_mtim.tv_sec, 1500000000, "utimensat: itself");
    futimens(fd, set);
    write(fd, "x", 1);
    ok(status(fd).st_mtim.tv_sec > 1500000000, "write: changes mtime");
    futimens(fd, set);
    struct timespec before = status(fd).st_ctim;
    usleep(20000);
    fchmod(fd, 0600);
    IS(status(fd).st_mtim.tv_sec, 1500000000, "chmod: does not");
    ok(later(status(fd).st_ctim, before), "chmod: changes ctime");
    futimens(fd, set);
    ftruncate(fd, 2);
    ok(status(fd).st_mtim.tv_sec > 1500000000, "ftruncate: changes mtime");
    futimens(fd, set);
    close(open("times", O_WRONLY | O_TRUNC));
    ok(status(fd).st_mtim.tv_sec > 1500000000, "O_TRUNC: changes mtime");
    mkdir("time-dir", 0700);
    utimensat(AT_FDCWD, "time-dir", set, 0);
    make_file("time-dir/a", "");
    ok(status_of("time-dir").st_mtim.tv_sec > 1500000000, "open: changes its directory's mtime");
    utimensat(AT_FDCWD, "time-dir", set, 0);
    unlink("time-dir/a");
    ok(status_of("time-dir").st_mtim.tv_sec > 1500000000, "unlink: too");
    before = status(fd).st_ctim;
    usleep(20000);
    link("times", "time-link");
    ok(later(status(fd).st_ctim, before), "link: changes the file's ctime");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    futimens(fd, NULL);
    st = status(fd);
    ok(labs(st.st_mtim.tv_sec - now.tv_sec) < 60, "futimens: now");
    struct statx stx;
    WORKS(statx(AT_FDCWD, "times", 0, STATX_BASIC_STATS, &stx), "statx");
    ok((stx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS, "statx: all that is basic");
    close(fd);
}

static void test_modes(void)
{
    make_file("mode", "text");
    int wrong = 0;
    for (mode_t mode = 0; mode < 01000; mode++)
        wrong += chmod("mode", mode) < 0 || (status_of("mode").st_mode & 07777) != mode;
    IS(wrong, 0, "chmod: each mode");
    chmod("mode", 0644);
    WORKS(chmod("mode", 04755), "chmod: set-user-ID");
    IS(status_of("mode").st_mode & 07777, 04755, "chmod: which it is");
    int fd = open("mode", O_WRONLY);
    if (getuid() != 0) {
        write(fd, "x", 1);
        IS(status_of("mode").st_mode & 07777, 0755, "write: takes set-user-ID away");
    }
    close(fd);
    WORKS(chmod("mode", 02755), "chmod: set-group-ID");
    chmod("mode", 0644);
    mkdir("sticky", 0700);
    WORKS(chmod("sticky", 01777), "chmod: the sticky bit of a directory");
    IS(status_of("sticky").st_mode & 07777, 01777, "chmod: which it is");
    mkdir("group", 0700);
    WORKS(chmod("group", 02775), "chmod: set-group-ID of a directory");
    mkdir("group/below", 0755);
    IS(status_of("group/below").st_mode & 07777, 02755, "mkdir: inherits that");
    FAILS(chmod("absent", 0644), ENOENT, "chmod: of nothing");
    mkfifo("pipe", 0640);
    IS(status_of("pipe").st_mode, S_IFIFO | 0640, "mkfifo: type and mode");
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    WORKS(bind(s, (struct sockaddr *)&address, sizeof(address)), "bind: a socket's name");
    listen(s, 1);
    int c = socket(AF_UNIX, SOCK_STREAM, 0);
    WORKS(connect(c, (struct sockaddr *)&address, sizeof(address)), "connect: to it");
    ok(S_ISSOCK(status_of("socket").st_mode), "stat: which is a socket");
    FAILS(open("socket", O_RDWR), ENXIO, "open: which it is not for");
    close(c);
    close(s);
}

/* As another user. */
static void no_rights(void)
{
    FAILS(open("private", O_RDONLY), EACCES, "access: no file of mode 0600 of another user");
    FAILS(open("public", O_RDWR), EACCES, "access: no writing to one of mode 0644");
    WORKS(close(open("public", O_RDONLY)), "access: but reading");
    FAILS(open("closed/file", O_RDONLY), EACCES, "access: nothing below a directory of mode 0700");
    FAILS(opendir("closed") == NULL ? -1 : 0, EACCES, "access: nor its list");
    FAILS(open("open/new", O_CREAT | O_RDWR, 0600), EACCES,
          "access: no new file in one of mode 0755");
    FAILS(unlink("open/file"), EACCES, "access: nor removing one");
    FAILS(rename("open/file", "open/other"), EACCES, "access: nor renaming");
    FAILS(chmod("public", 0666), EPERM, "access: no chmod()");
    FAILS(truncate("public", 0), EACCES, "access: no truncate()");
    FAILS(utimensat(AT_FDCWD, "public", (struct timespec[2]){{1, 1}, {1, 1}}, 0), EPERM,
          "access: no times");
    FAILS(chown("public", 1234, 1234), EPERM, "access: no chown()");
    FAILS(access("program", X_OK), EACCES, "access: what is not executable");
    int fd = open("sticky/mine", O_CREAT | O_RDWR, 0600);
    WORKS(fd, "access: a new file in a directory of mode 1777");
    IS(status(fd).st_uid, getuid(), "access: which is the user's");
    IS(status(fd).st_gid, getgid(), "access: and the group's");
    close(fd);
    FAILS(unlink("sticky/other"), EPERM, "sticky: no removing of another's file");
    FAILS(rename("sticky/other", "sticky/third"), EPERM, "sticky: nor renaming");
    WORKS(unlink("sticky/mine"), "sticky: but one's own");
    fd = open("shared/inherits", O_CREAT | O_RDWR, 0664);
    IS(status(fd).st_gid, 4321, "set-group-ID: a new file has the directory's group");
    close(fd);
    mkdir("shared/dir", 0755);
    IS(status_of("shared/dir").st_gid, 4321, "set-group-ID: and a directory");
    IS(status_of("shared/dir").st_mode & 07777, 02755, "set-group-ID: which inherits the bit");
    WORKS(symlink("x", "sticky/sym"), "symlink: of another user");
    IS(status_of("sticky/sym").st_uid, getuid(), "symlink: which is that user's");
    WORKS(unlink("sticky/sym"), "sticky: which can remove it");
    mkfifo("sticky/fifo", 0600);
    IS(status_of("sticky/fifo").st_uid, getuid(), "mkfifo: of another user");
    WORKS(unlink("sticky/fifo"), "sticky: which can remove it, too");
    FAILS(mknod("sticky/null", S_IFCHR | 0666, makedev(1, 3)), EPERM, "mknod: no device");
    fd = open("writable", O_WRONLY);
    WORKS(write(fd, "x", 1), "access: writing to what all may write to");
    close(fd);
    fd = open("write-only", O_WRONLY | O_APPEND);
    WORKS(write(fd, "x", 1), "access: and to what cannot be read");
    close(fd);
}

static void test_users(void)
{
    if (getuid() != 0)
        return;
    umask(0);
    make_file("private", "x");
    chmod("private", 0600);
    make_file("public", "x");
    chmod("public", 0644);
    make_file("program", "x");
    chmod("program", 0644);
    make_file("writable", "x");
    chmod("writable", 0666);
    make_file("write-only", "x");
    chmod("write-only", 0222);
    mkdir("closed", 0700);
    make_file("closed/file", "x");
    mkdir("open", 0755);
    make_file("open/file", "x");
    mkdir("sticky", 01777);
    chmod("sticky", 01777);
    make_file("sticky/other", "x");
    mkdir("shared", 0777);
    WORKS(chown("shared", 0, 4321), "chown: a group");
    chmod("shared", 02777);
    IS(status_of("shared").st_gid, 4321, "chown: which it is");
    WORKS(chown("public", 1111, 2222), "chown: both");
    ok(status_of("public").st_uid == 1111 && status_of("public").st_gid == 2222,
       "chown: which they are");
    symlink("public", "owned-link");
    WORKS(lchown("owned-link", 3333, 3333), "lchown: a symbolic link");
    IS(status_of("owned-link").st_uid, 3333, "lchown: which it is");
    IS(status_of("public").st_uid, 1111, "lchown: not its target");
    chmod("public", 04755);
    chown("public", 0, 0);
    IS(status_of("public").st_mode & 07777, 0755, "chown: takes set-user-ID away");
    chmod("public", 0644);
    WORKS(mknod("null", S_IFCHR | 0666, makedev(1, 3)), "mknod: a device");
    IS(status_of("null").st_rdev, makedev(1, 3), "mknod: which it is");
    int fd = open("null", O_WRONLY);
    IS(write(fd, "x", 1), 1, "mknod: and which can be used");
    close(fd);
    umask(022);
    as(65534, no_rights);
}

static void test_xattr(void)
{
    char value[65536], list[4096];
    make_file("xattr", "");
    if (!WORKS(setxattr("xattr", "user.one", "value", 5, 0), "setxattr: user.one"))
        return;
    IS(getxattr("xattr", "user.one", value, sizeof(value)), 5, "getxattr: its size");
    ok(memcmp(value, "value", 5) == 0, "getxattr: its value");
    IS(getxattr("xattr", "user.one", NULL, 0), 5, "getxattr: the size alone");
    FAILS(getxattr("xattr", "user.one", value, 3), ERANGE, "getxattr: too little room");
    FAILS(getxattr("xattr", "user.none", value, 3), ENODATA, "getxattr: of none");
    FAILS(setxattr("xattr", "user.one", "x", 1, XATTR_CREATE), EEXIST, "setxattr: XATTR_CREATE");
    FAILS(setxattr("xattr", "user.two", "x", 1, XATTR_REPLACE), ENODATA, "setxattr: XATTR_REPLACE");
    WORKS(setxattr("xattr", "user.empty", "", 0, 0), "setxattr: no bytes");
    IS(getxattr("xattr", "user.empty", value, sizeof(value)), 0, "getxattr: none");
    ssize_t n = listxattr("xattr", list, sizeof(list));
    int found = 0;
    for (char *at = list; at < list + n; at += strlen(at) + 1)
        found += strcmp(at, "user.one") == 0 || strcmp(at, "user.empty") == 0;
    IS(found, 2, "listxattr: both");
    IS(listxattr("xattr", NULL, 0), n, "listxattr: the size alone");
    FAILS(listxattr("xattr", list, 3), ERANGE, "listxattr: too little room");
    char name[300] = "user.";
    memset(name + 5, 'n', 250);
    name[255] = '\0';
    WORKS(setxattr("xattr", name, "x", 1, 0), "setxattr: a name of 255 bytes");
    name[255] = 'n';
    FAILS(setxattr("xattr", name, "x", 1, 0), ERANGE, "setxattr: not of 256");
    FAILS(setxattr("xattr", "user.", "x", 1, 0), EINVAL, "setxattr: only a prefix");
    FAILS(setxattr("xattr", "other.x", "x", 1, 0), EOPNOTSUPP, "setxattr: of no kind");
    memset(value, 'v', sizeof(value));
    WORKS(setxattr("xattr", "user.large", value, 2000, 0), "setxattr: 2000 bytes");
    WORKS(removexattr("xattr", "user.one"), "removexattr");
    FAILS(removexattr("xattr", "user.one"), ENODATA, "removexattr: once more");
    mkdir("xattr-dir", 0700);
    WORKS(setxattr("xattr-dir", "user.one", "value", 5, 0), "setxattr: of a directory");
    symlink("xattr", "xattr-link");
    FAILS(lsetxattr("xattr-link", "user.one", "v", 1, 0), EPERM, "lsetxattr: of a symbolic link");
    if (getuid() == 0) {
        WORKS(setxattr("xattr", "trusted.one", "v", 1, 0), "setxattr: trusted.one");
        IS(getxattr("xattr", "trusted.one", value, 10), 1, "getxattr: trusted.one");
        /* CAP_NET_BIND_SERVICE, as setcap(8) writes it */
        static const uint8_t caps[20] = {1, 0, 0, 2, 0, 4};
        WORKS(setxattr("xattr", "security.capability", caps, 20, 0),
              "setxattr: security.capability");
        IS(getxattr("xattr", "security.capability", value, 100), 20,
           "getxattr: security.capability");
    }
}

/* ---- the rest ---- */

static void test_exec(const char *self)
{
    int fd = open(self, O_RDONLY), to = open("program", O_CREAT | O_TRUNC | O_WRONLY, 0755);
    char bytes[65536];
    for (ssize_t n; (n = read(fd, bytes, sizeof(bytes))) > 0;)
        write(to, bytes, (size_t)n);
    close(fd);
    fchmod(to, 0755);
    char *args[] = {"program", "sleep", NULL};
    errno = 0;
    pid_t child = vfork();
    if (child == 0) {
        execv("./program", args);
        _exit(errno == ETXTBSY ? 26 : 1);
    }
    int state = 0;
    waitpid(child, &state, 0);
    IS(WEXITSTATUS(state), 26, "execve: ETXTBSY while it is open for writing");
    close(to);
    int pair[2];
    pipe(pair);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        dup2(pair[1], 1);
        execv("./program", args);
        _exit(1);
    }
    close(pair[1]);
    IS(read(pair[0], bytes, 1), 1, "execve: a program runs");
    FAILS(open("program", O_WRONLY), ETXTBSY, "open: ETXTBSY while it runs");
    WORKS(unlink("program"), "unlink: while it runs");
    kill(child, SIGKILL);
    waitpid(child, &state, 0);
    close(pair[0]);
}

static void test_inotify(void)
{
    char bytes[4096] __attribute__((aligned(8)));
    int fd = inotify_init1(IN_NONBLOCK);
    mkdir("watched", 0700);
    WORKS(inotify_add_watch(fd, "watched", IN_ALL_EVENTS), "inotify: a directory is watched");
    make_file("watched/new", "x");
    rename("watched/new", "watched/other");
    unlink("watched/other");
    unsigned seen = 0;
    for (ssize_t n; (n = read(fd, bytes, sizeof(bytes))) > 0;)
        for (char *at = bytes; at < bytes + n;) {
            struct inotify_event *e = (void *)at;
            seen |= e->mask;
            at += sizeof(*e) + e->len;
        }
    const unsigned wanted =
        IN_CREATE | IN_OPEN | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE;
    IS(seen & wanted, wanted, "inotify: tells what this system's processes do");
    close(fd);
}

static void test_misc(void)
{
    int fd = make("misc", "text");
    struct flock none = {.l_type = F_RDLCK};
    WORKS(fcntl(fd, F_GETLK, &none), "F_GETLK");
    IS(none.l_type, F_UNLCK, "F_GETLK: there is none");
    int dir = open(".", O_RDONLY | O_DIRECTORY);
    IS(status(dir).st_ino == status_of(".").st_ino, 1, "stat: a directory is itself");
    IS(status_of("..").st_ino != 0, 1, "stat: and has one above");
    DIR *list = opendir(".");
    int same = 0, count = 0;
    for (struct dirent *e; (e = readdir(list)) != NULL;) {
        if (strcmp(e->d_name, "..") == 0) /* the mount's own, where it ends */
            continue;
        same += e->d_ino == status_of(e->d_name).st_ino;
        count++;
    }
    IS(same, count, "readdir: d_ino is what stat() says");
    closedir(list);
    close(dir);
    IS(fcntl(fd, F_GETLEASE), F_UNLCK, "F_GETLEASE: none");
    close(fd);
    WORKS(access(".", R_OK | W_OK | X_OK), "access: of the directory");
    FAILS(mkdir(".", 0700), EEXIST, "mkdir: a dot");
    FAILS(mkdir("misc", 0700), EEXIST, "mkdir: over a file");
    FAILS(mkdir("misc/below", 0700), ENOTDIR, "mkdir: below a file");
    FAILS(mkdir("absent/below", 0700), ENOENT, "mkdir: below nothing");
    FAILS(rename(".", "elsewhere"), EBUSY, "rename: a dot");
    char name[64] = "temporary.XXXXXX";
    fd = mkstemp(name);
    WORKS(fd, "mkstemp");
    FILE *f = fdopen(fd, "w+");
    fprintf(f, "%d\n", 42);
    rewind(f);
    int n = 0;
    fscanf(f, "%d", &n);
    IS(n, 42, "stdio: writes and reads");
    fclose(f);
}

/* ---- random operations on one file, as fsx has them ---- */

#define FILE_MAX (512u << 10)

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return n == 0 ? 0 : (uint32_t)(random_state >> 33) % n;
}

static uint8_t model[FILE_MAX], found[FILE_MAX];
static uint32_t model_bytes;

static int bad(const char *what, unsigned step, uint32_t at, uint32_t bytes)
{
    uint32_t i = 0;
    while (i < bytes && found[i] == model[at + i])
        i++;
    printf("not ok - random: step %u, %s of %u bytes at %u: errno %d; byte %u is %#x, not %#x\n",
           step, what, bytes, at, errno, i, found[i], model[at + i]);
    return 1;
}

static void model_write(uint32_t at, uint32_t bytes)
{
    if (at > model_bytes)
        memset(model + model_bytes, 0, at - model_bytes);
    for (uint32_t i = 0; i < bytes; i++)
        model[at + i] = (uint8_t)random_below(256);
    if (at + bytes > model_bytes)
        model_bytes = at + bytes;
}

static void model_zero(uint32_t at, uint32_t bytes)
{
    for (uint32_t i = at; i < at + bytes && i < model_bytes; i++)
        model[i] = 0;
}

static void model_cut(uint32_t size)
{
    if (size > model_bytes)
        memset(model + model_bytes, 0, size - model_bytes);
    model_bytes = size;
}

static int random_map(int fd, uint32_t at, uint32_t bytes, bool writes, unsigned step)
{
    if (at >= model_bytes)
        return 0;
    if (at + bytes > model_bytes)
        bytes = model_bytes - at;
    uint32_t skip = at % 4096;
    uint8_t *map =
        mmap(NULL, bytes + skip, PROT_READ | (writes ? PROT_WRITE : 0), MAP_SHARED, fd, at - skip);
    if (map == MAP_FAILED)
        return errno == ENODEV ? 0 : bad("mmap", step, at, 0); /* with cache=never */
    int wrong = 0;
    if (writes) {
        model_write(at, bytes);
        memcpy(map + skip, model + at, bytes);
        if (random_below(2) == 0)
            (void)msync(map, bytes + skip, MS_SYNC);
    } else {
        memcpy(found, map + skip, bytes);
        wrong = memcmp(found, model + at, bytes) != 0 ? bad("mapped read", step, at, bytes) : 0;
    }
    munmap(map, bytes + skip);
    return wrong;
}

static int random_step(int *fd, const char *name, unsigned step, uint32_t unit, uint8_t *page)
{
    uint32_t at = random_below(FILE_MAX / unit) * unit;
    uint32_t bytes = (1 + random_below(65536 / unit)) * unit;
    if (at + bytes > FILE_MAX)
        bytes = FILE_MAX - at;
    ssize_t n, wanted;
    off_t from, to;
    switch (random_below(14)) {
    case 0:
    case 1:
    case 2: /* write */
        model_write(at, bytes);
        memcpy(page, model + at, bytes);
        n = pwrite(*fd, page, bytes, at);
        return n == (ssize_t)bytes ? 0 : bad("write", step, at, bytes);
    case 3:
    case 4:
    case 5: /* read */
        n = pread(*fd, page, bytes, at);
        wanted = at >= model_bytes ? 0 : model_bytes - at < bytes ? model_bytes - at : bytes;
        memcpy(found, page, n > 0 ? (size_t)n : 0);
        return n == wanted && memcmp(found, model + at, (size_t)n) == 0
                   ? 0
                   : bad("read", step, at, (uint32_t)wanted);
    case 6:
        return random_map(*fd, at, bytes, false, step);
    case 7:
        return random_map(*fd, at, bytes, true, step);
    case 8: /* truncate */
        model_cut(at);
        return (random_below(2) == 0 ? ftruncate(*fd, at) : truncate(name, at)) == 0
                   ? 0
                   : bad("truncate", step, at, 0);
    case 9: /* punch */
        model_zero(at, bytes);
        n = fallocate(*fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, bytes);
        return n == 0 ? 0 : bad("punch", step, at, 0);
    case 10: /* room, or zeroes */
        if (random_below(2) == 0) {
            n = fallocate(*fd, 0, at, bytes);
        } else {
            model_zero(at, bytes);
            n = fallocate(*fd, FALLOC_FL_ZERO_RANGE, at, bytes);
        }
        if (at + bytes > model_bytes)
            model_cut(at + bytes);
        return n == 0 ? 0 : bad("fallocate", step, at, 0);
    case 11: /* copy, where it does not overlap */
        from = at;
        to = random_below((FILE_MAX - bytes) / unit + 1) * unit;
        if (at + bytes > model_bytes || llabs(from - to) < bytes)
            return 0;
        n = copy_file_range(*fd, &(off_t){from}, *fd, &(off_t){to}, bytes, 0);
        if (n < 0)
            return bad("copy", step, at, 0);
        if ((uint32_t)to > model_bytes)
            model_cut((uint32_t)to);
        memcpy(model + to, model + from, (size_t)n);
        if ((uint32_t)(to + n) > model_bytes)
            model_bytes = (uint32_t)(to + n);
        return 0;
    case 12: /* close and open */
        close(*fd);
        *fd = open(name, O_RDWR | (unit > 1 ? O_DIRECT : 0));
        return *fd < 0 ? bad("open", step, 0, 0) : 0;
    default:
        if (status_of(name).st_size != model_bytes || status(*fd).st_size != model_bytes)
            return bad("size", step, (uint32_t)status(*fd).st_size, 0);
        return random_below(4) == 0 ? fsync(*fd) : 0;
    }
}

static int random_all(const char *name, uint64_t seed, unsigned count)
{
    bool direct = getenv("MINIVET_DIRECT") != NULL;
    uint8_t *page = aligned_alloc(4096, 65536);
    int fd = open(name, O_CREAT | O_TRUNC | O_RDWR | (direct ? O_DIRECT : 0), 0600);
    if (fd < 0 || page == NULL)
        return bad("open", 0, 0, 0);
    random_state = seed;
    int wrong = 0;
    for (unsigned i = 0; i < count && wrong == 0; i++)
        wrong = random_step(&fd, name, i, direct ? 4096 : 1, page);
    ok(wrong == 0, "random: %u operations, seed %llu", count, (unsigned long long)seed);
    close(fd);
    free(page);
    return wrong != 0;
}

static int append(const char *name, char byte, unsigned count)
{
    char record[64];
    memset(record, byte, sizeof(record));
    record[63] = '\n';
    int fd = open(name, O_CREAT | O_WRONLY | O_APPEND, 0666);
    for (unsigned i = 0; i < count; i++)
        if (write(fd, record, sizeof(record)) != sizeof(record))
            return 1;
    return 0;
}

static int check(const char *self, const char *dir, unsigned many)
{
    char path[PATH_MAX];
    if (realpath(self, path) == NULL || chdir(dir) < 0 || mkdir("posix", 0777) < 0 ||
        chdir("posix") < 0) {
        perror(dir);
        return 2;
    }
    chmod(".", 0755);
    char where[PATH_MAX];
    setenv("POSIX_DIR", getcwd(where, sizeof(where)), 1);
    umask(022);
    static void (*const tests[])(void) = {
        test_open,   test_append,  test_names, test_unlink,    test_link,
        test_rename, test_tmpfile, test_holes, test_fallocate, test_mmap,
        test_direct, test_copy,    test_sync,  test_locks,     test_times,
        test_modes,  test_users,   test_xattr, test_inotify,   test_misc,
    };
    for (size_t i = 0; i < sizeof(tests) / sizeof(*tests); i++) {
        char name[16];
        snprintf(name, sizeof(name), "%zu", i);
        mkdir(name, 0777);
        if (chdir(name) < 0)
            return 2;
        setenv("POSIX_DIR", getcwd(where, sizeof(where)), 1);
        tests[i]();
        if (chdir(where) < 0 || chdir("..") < 0)
            return 2;
    }
    test_list(many);
    test_exec(path);
    printf("# %u failed\n", failures);
    return failures != 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc >= 3 && strcmp(argv[1], "check") == 0)
        return check(argv[0], argv[2], argc > 3 ? (unsigned)atoi(argv[3]) : 1000);
    if (argc == 5 && strcmp(argv[1], "random") == 0)
        return random_all(argv[2], strtoull(argv[3], NULL, 10), (unsigned)atoi(argv[4]));
    if (argc == 5 && strcmp(argv[1], "append") == 0)
        return append(argv[2], argv[3][0], (unsigned)atoi(argv[4]));
    if (argc == 2 && strcmp(argv[1], "sleep") == 0) {
        printf("!\n");
        fflush(stdout);
        pause();
    }
    fprintf(stderr, "usage: posix check DIR [FILES] | random FILE SEED COUNT | "
                    "append FILE BYTE COUNT\n");
    return 2;
}
