// SPDX-License-Identifier: BSD-2-Clause
/* The storage daemon as a process: how it starts, what it says when it cannot, how it ends. */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "devices/backend/storage_daemon.h"

#define NAME "disk,a \"b\" \\ c=d.img" /* no name for a list of key=value */

struct scene {
    char dir[64], image[160], script[160];
    char said[1024]; /* the last line of the log */
    unsigned lines;
};

static void keep_line(void *ctx, enum log_level level, const char *line)
{
    struct scene *s = ctx;
    if (level > LOG_WARN)
        return;
    snprintf(s->said, sizeof(s->said), "%s", line);
    s->lines++;
}

static void open_scene(struct scene *s)
{
    *s = (struct scene){0};
    strcpy(s->dir, "/tmp/minivet-test-XXXXXX");
    cr_assert_not_null(mkdtemp(s->dir));
    snprintf(s->image, sizeof(s->image), "%s/" NAME, s->dir);
    snprintf(s->script, sizeof(s->script), "%s/program", s->dir);
    setenv("TMPDIR", s->dir, 1);
    log_set_sink(keep_line, s);
}

static void close_scene(struct scene *s)
{
    log_set_sink(NULL, NULL);
    unlink(s->image);
    unlink(s->script);
    cr_expect_eq(rmdir(s->dir), 0, "something was left there");
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path, mode);
}

static bool is_installed(void)
{
    return access("/usr/bin/qemu-storage-daemon", X_OK) == 0;
}

static struct storage_daemon *create(struct scene *s, const char *format, const char *program)
{
    struct storage_daemon *d = NULL;
    int err = storage_daemon_create(&d, &(struct storage_daemon_config){
                                            .name = "vda",
                                            .path = s->image,
                                            .format = format,
                                            .program = program,
                                        });
    cr_assert_eq(err, 0);
    return d;
}

Test(devices_storage_daemon, names_the_package_of_a_missing_program)
{
    struct scene s;
    struct storage_daemon *d;
    open_scene(&s);
    int err = storage_daemon_create(&d, &(struct storage_daemon_config){
                                            .name = "vda",
                                            .path = s.image,
                                            .format = "qcow2",
                                            .program = "no-such-storage-daemon",
                                        });
    cr_expect_eq(err, -ENOENT);
    cr_expect_not_null(strstr(s.said, "apt-get install qemu-utils"), "%s", s.said);
    close_scene(&s);
}

Test(devices_storage_daemon, names_an_image_that_is_not_there)
{
    struct scene s;
    struct storage_daemon *d;
    open_scene(&s);
    int err = storage_daemon_create(&d, &(struct storage_daemon_config){
                                            .name = "vda",
                                            .path = s.image,
                                            .format = "qcow2",
                                            .program = "/bin/true",
                                        });
    cr_expect_eq(err, -ENOENT);
    cr_expect_not_null(strstr(s.said, NAME), "%s", s.said);
    close_scene(&s);
}

Test(devices_storage_daemon, says_why_an_image_cannot_be_opened)
{
    struct scene s;
    if (!is_installed())
        cr_skip_test("qemu-storage-daemon is not installed (qemu-utils)");
    open_scene(&s);
    write_file(s.image, "no qcow2 at all", 0600);
    struct storage_daemon *d = create(&s, "qcow2", NULL);
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    cr_expect_not_null(strstr(s.said, "vda"), "%s", s.said);
    cr_expect_not_null(strstr(s.said, "not in qcow2 format"), "%s", s.said);
    storage_daemon_destroy(d);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a process is left");
    close_scene(&s);
}

/* A connection is a daemon: the end of the daemon is the end of the connection. */
/* The daemon has gone; if it had not yet accepted the connection, that is reset. */
static bool is_over(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

Test(devices_storage_daemon, connects_to_a_daemon_of_its_own)
{
    struct scene s;
    char end;
    if (!is_installed())
        cr_skip_test("qemu-storage-daemon is not installed (qemu-utils)");
    open_scene(&s);
    write_file(s.image, "", 0600);
    cr_assert_eq(truncate(s.image, 1 << 20), 0);
    struct storage_daemon *d = create(&s, "raw", NULL);
    int first = storage_daemon_connect(d);
    cr_assert_geq(first, 0, "%s", s.said);
    cr_expect_eq(recv(first, &end, 1, MSG_DONTWAIT), -1);
    cr_expect_eq(errno, EAGAIN);
    int second = storage_daemon_connect(d); /* the image is locked: the first daemon must be gone */
    cr_assert_geq(second, 0, "%s", s.said);
    cr_expect(is_over(first));
    storage_daemon_destroy(d);
    cr_expect(is_over(second));
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a process is left");
    cr_expect_eq(s.lines, 0, "%s", s.said);
    close(first);
    close(second);
    close_scene(&s);
}

Test(devices_storage_daemon, shows_the_last_words_of_a_program_that_ends)
{
    struct scene s;
    open_scene(&s);
    write_file(s.image, "x", 0600);
    write_file(s.script, "#!/bin/sh\necho first >&2\nprintf 'last \\033words\\n' >&2\nexit 1\n",
               0700);
    struct storage_daemon *d = create(&s, "qcow2", s.script);
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    cr_expect_not_null(strstr(s.said, "last ?words"), "%s", s.said);
    storage_daemon_destroy(d);
    close_scene(&s);
}

Test(devices_storage_daemon, gives_a_program_up_that_keeps_dying)
{
    struct scene s;
    open_scene(&s);
    write_file(s.image, "x", 0600);
    struct storage_daemon *d = create(&s, "qcow2", "/bin/false");
    int err = -EIO;
    unsigned starts = 0;
    while (starts < 100 && (err = storage_daemon_connect(d)) == -EIO)
        starts++;
    cr_expect_eq(err, -ENODEV);
    cr_expect_leq(starts, 10);
    unsigned lines = s.lines;
    cr_expect_eq(storage_daemon_connect(d), -ENODEV);
    cr_expect_eq(s.lines, lines, "silently from then on");
    storage_daemon_destroy(d);
    close_scene(&s);
}

/* What the daemon is told, by a program that writes down its arguments. */
Test(devices_storage_daemon, passes_names_as_they_are)
{
    struct scene s;
    char args[4096] = "", seen[192];
    open_scene(&s);
    write_file(s.image, "x", 0600);
    write_file(s.script, "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$0.args\"\nexit 1\n", 0700);
    struct storage_daemon *d = create(&s, "vmdk", s.script);
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    snprintf(seen, sizeof(seen), "%s.args", s.script);
    FILE *f = fopen(seen, "r");
    cr_assert_not_null(f);
    cr_assert_gt(fread(args, 1, sizeof(args) - 1, f), 0);
    fclose(f);
    cr_expect_not_null(strstr(args, "disk,a \\\"b\\\" \\\\ c=d.img\""), "%s", args);
    cr_expect_not_null(strstr(args, "\"driver\":\"vmdk\""), "%s", args);
    cr_expect_not_null(strstr(args, "\"writable\":true"), "%s", args);
    storage_daemon_destroy(d);
    unlink(seen);
    close_scene(&s);
}

/*
 * qemu-storage-daemon looks its pid file up after it has written it: the folder must still be there
 * then. This program takes its time between the two.
 */
Test(devices_storage_daemon, keeps_the_folder_while_the_daemon_runs)
{
    struct scene s;
    char mark[192];
    open_scene(&s);
    write_file(s.image, "x", 0600);
    write_file(s.script,
               "#!/bin/sh\necho 1 >\"$6\"\nsleep 0.3\n[ -e \"$6\" ] && echo >\"$0.there\"\n"
               "echo >\"$0.done\"\nexec sleep 100\n",
               0700);
    struct storage_daemon *d = create(&s, "qcow2", s.script);
    int fd = storage_daemon_connect(d);
    cr_expect_geq(fd, 0, "%s", s.said);
    snprintf(mark, sizeof(mark), "%s.done", s.script);
    while (access(mark, F_OK) != 0)
        usleep(1000);
    unlink(mark);
    snprintf(mark, sizeof(mark), "%s.there", s.script);
    cr_expect_eq(unlink(mark), 0, "the pid file was gone");
    storage_daemon_destroy(d);
    close(fd);
    close_scene(&s); /* the folder was in that of the scene, which must be empty now */
}
