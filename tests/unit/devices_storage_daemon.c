// SPDX-License-Identifier: BSD-2-Clause
/* The storage daemon as a process: how it starts, what it says when it cannot, how it ends. */
#include <endian.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "core/peers/confine.h"
#include "devices/disk/image/storage_daemon.h"
#include "tests/harness/fake.h"
#include "tests/harness/test.h"

#define NAME "disk,a \"b\" \\ c=d.img" /* no name for a list of key=value */

struct scene {
    char dir[64], image[160], script[160], secret[160];
    struct fake_clock time;
    struct clock clock;
};

static void open_scene(struct scene *s)
{
    *s = (struct scene){0};
    strcpy(s->dir, "/tmp/minivet-test-XXXXXX");
    cr_assert_not_null(mkdtemp(s->dir));
    snprintf(s->image, sizeof(s->image), "%s/" NAME, s->dir);
    snprintf(s->script, sizeof(s->script), "%s/program", s->dir);
    setenv("TMPDIR", s->dir, 1);
    s->clock = fake_clock_port(&s->time);
    listen_to_log(LOG_WARN);
}

static void close_scene(struct scene *s)
{
    log_set_sink(NULL, NULL);
    unlink(s->image);
    unlink(s->script);
    cr_expect_eq(rmdir(s->dir), 0, "something was left there");
}

#define OnScene(name) \
    TestWith(devices_storage_daemon, name, struct scene, s, open_scene(s), close_scene(s))
/* With the daemon, or with qemu-img, too. */
#define OnDaemon(name)                                                                      \
    TestWith(devices_storage_daemon, name, struct scene, s, (need_daemon(), open_scene(s)), \
             close_scene(s))
#define OnImages(name)                                                                      \
    TestWith(devices_storage_daemon, name, struct scene, s, (need_images(), open_scene(s)), \
             close_scene(s))

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
    chmod(path, mode);
}

static void need_daemon(void)
{
    if (access("/usr/bin/qemu-storage-daemon", X_OK) != 0)
        cr_skip_test("qemu-storage-daemon is not installed (qemu-system-common)");
}

static void need_images(void)
{
    need_daemon();
    if (access("/usr/bin/qemu-img", X_OK) != 0)
        cr_skip_test("qemu-img is not installed (qemu-utils)");
}

/* Version 3, 64 KiB of disk; backing NULL: none. */
static void write_qcow2(const char *path, const char *backing, uint64_t incompatible)
{
    uint8_t header[512] = "QFI\xfb";
    uint64_t v[] = {htobe64(backing != NULL ? 120 : 0), htobe64(incompatible)};
    uint32_t words[] = {htobe32(3), htobe32(backing != NULL ? (uint32_t)strlen(backing) : 0),
                        htobe32(16), htobe32(104)};
    memcpy(header + 4, &words[0], 4);
    memcpy(header + 8, &v[0], 8);
    memcpy(header + 16, &words[1], 4);
    memcpy(header + 20, &words[2], 4);
    memcpy(header + 72, &v[1], 8);
    memcpy(header + 100, &words[3], 4);
    if (backing != NULL)
        memcpy(header + 120, backing, strlen(backing));
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, header, sizeof(header)), (ssize_t)sizeof(header));
    close(fd);
}

static int try_create(struct scene *s, struct storage_daemon **d,
                      struct storage_daemon_config config)
{
    config.name = "vda";
    config.path = s->image;
    config.clock = &s->clock;
    return storage_daemon_create(d, &config);
}

static struct storage_daemon *created(struct scene *s, struct storage_daemon_config config)
{
    struct storage_daemon *d = NULL;
    cr_assert_eq(try_create(s, &d, config), 0, "%s", logged_line);
    return d;
}

#define CREATED(s, ...) created(s, (struct storage_daemon_config){__VA_ARGS__})

static struct storage_daemon *create(struct scene *s, const char *format, const char *program)
{
    return CREATED(s, .format = format, .program = program, .unconfined = program != NULL);
}

/* Without the check of its header, and with all that holds the daemon itself. */
static struct storage_daemon *create_unchecked(struct scene *s, const char *format)
{
    return CREATED(s, .format = format, .unchecked = true);
}

/* A raw image, and this script instead of the daemon. */
static struct storage_daemon *create_script(struct scene *s, const char *text)
{
    write_file(s->image, "x", 0600);
    write_file(s->script, text, 0700);
    return create(s, "raw", s->script);
}

OnScene(names_the_package_of_a_missing_program)
{
    struct storage_daemon *d;
    int err = try_create(
        s, &d,
        (struct storage_daemon_config){.format = "qcow2", .program = "no-such-storage-daemon"});
    cr_expect_eq(err, -ENOENT);
    expect_logged("apt-get install qemu-system-common");
}

OnScene(names_an_image_that_is_not_there)
{
    struct storage_daemon *d;
    int err = try_create(s, &d,
                         (struct storage_daemon_config){.format = "qcow2", .program = "/bin/true"});
    cr_expect_eq(err, -ENOENT);
    expect_logged("vda: open");
}

OnDaemon(says_why_an_image_cannot_be_opened)
{
    write_file(s->image, "vhdxfile", 0600); /* the magic is all that is checked before */
    struct storage_daemon *d = create_unchecked(s, "vhdx");
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    expect_logged("vda");
    expect_logged("VHDX");
    storage_daemon_destroy(d);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a process is left");
}

OnScene(an_image_of_another_format_is_refused)
{
    struct storage_daemon *d;
    write_file(s->image, "no qcow2 at all", 0600);
    int err = try_create(s, &d,
                         (struct storage_daemon_config){.format = "qcow2", .program = "/bin/true"});
    cr_expect_eq(err, -EINVAL);
    cr_expect_str_eq(logged_line,
                     "disk vda: format=qcow2: the file is not a qcow2 image; is it raw?");
}

/* A connection is a daemon: the end of the daemon is the end of the connection. */
/* The daemon has gone; if it had not yet accepted the connection, that is reset. */
static bool is_over(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

OnDaemon(connects_to_a_daemon_of_its_own)
{
    char end;
    write_file(s->image, "", 0600);
    cr_assert_eq(truncate(s->image, 1 << 20), 0);
    struct storage_daemon *d = create(s, "raw", NULL);
    int first = storage_daemon_connect(d);
    cr_assert_geq(first, 0, "%s", logged_line);
    cr_expect_eq(recv(first, &end, 1, MSG_DONTWAIT), -1);
    cr_expect_eq(errno, EAGAIN);
    int second = storage_daemon_connect(d); /* the image is locked: the first daemon must be gone */
    cr_assert_geq(second, 0, "%s", logged_line);
    cr_expect(is_over(first));
    storage_daemon_destroy(d);
    cr_expect(is_over(second));
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a process is left");
    cr_expect_eq(logged_lines, 0, "%s", logged_line);
    close(first);
    close(second);
}

OnScene(shows_the_last_words_of_a_program_that_ends)
{
    struct storage_daemon *d =
        create_script(s, "#!/bin/sh\necho first >&2\nprintf 'last \\033words\\n' >&2\nexit 1\n");
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    expect_logged("last ?words");
    storage_daemon_destroy(d);
}

Test(devices_storage_daemon, a_lock_of_somebody_else_s_is_told_in_our_words)
{
    static const char *const words[] = {
        "Is another process using the image [/proc/self/fd/22]?",
        "Failed to lock byte 100",
    };
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        struct scene s;
        char script[128];
        open_scene(&s);
        write_file(s.image, "x", 0600);
        snprintf(script, sizeof(script), "#!/bin/sh\necho '%s' >&2\nexit 1\n", words[i]);
        write_file(s.script, script, 0700);
        struct storage_daemon *d = create(&s, "raw", s.script);
        cr_expect_eq(storage_daemon_connect(d), -EBUSY);
        cr_expect_str_eq(logged_line,
                         "disk vda: is in use by another machine or program; stop that one");
        storage_daemon_destroy(d);
        close_scene(&s);
    }
}

#define SECOND UINT64_C(1000000000)

/* Ready, then dead: what it said is shown, and the process of the one before is gone first. */
OnScene(one_that_died_is_replaced_when_it_is_time)
{
    struct storage_daemon *d = create_script(s, "#!/bin/sh\necho oh >&2\necho 1 >\"$6\"\nexit 1\n");
    for (unsigned i = 0; i < STORAGE_DAEMON_STARTS; i++) {
        int fd = storage_daemon_connect(d);
        if (fd >= 0) /* it may be found dead before it is found ready */
            close(fd);
        cr_expect(fd >= 0 || fd == -EIO, "%d", fd);
    }
    cr_expect_geq(logged_lines, 1);
    expect_logged("oh");
    cr_expect_eq(storage_daemon_connect(d), -EAGAIN);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a process is left");
    s->time.now_ns += STORAGE_DAEMON_START_S * SECOND;
    int fd = storage_daemon_connect(d);
    cr_expect_neq(fd, -EAGAIN);
    if (fd >= 0)
        close(fd);
    storage_daemon_destroy(d);
}

/* Whatever makes daemons die; once it ends, the disk is back. */
OnScene(starts_are_spaced_out_and_never_given_up)
{
    write_file(s->image, "x", 0600);
    struct storage_daemon *d = create(s, "raw", "/bin/false");
    for (unsigned i = 0; i < STORAGE_DAEMON_STARTS; i++)
        cr_expect_eq(storage_daemon_connect(d), -EIO, "%u", i);
    unsigned lines = logged_lines;
    for (unsigned hour = 0; hour < 3; hour++) {
        cr_expect_eq(storage_daemon_connect(d), -EAGAIN);
        s->time.now_ns += STORAGE_DAEMON_START_S * SECOND - 1;
        cr_expect_eq(storage_daemon_connect(d), -EAGAIN);
        cr_expect_eq(logged_lines, lines, "silently");
        s->time.now_ns += 1;
        cr_expect_eq(storage_daemon_connect(d), -EIO);
        lines = logged_lines;
    }
    s->time.now_ns += 3600 * SECOND;
    for (unsigned i = 0; i < STORAGE_DAEMON_STARTS; i++)
        cr_expect_eq(storage_daemon_connect(d), -EIO, "all of them again");
    cr_expect_eq(storage_daemon_connect(d), -EAGAIN);
    storage_daemon_destroy(d);
}

OnScene(says_little_about_deaths_without_end)
{
    struct storage_daemon *d = create_script(s, "#!/bin/sh\necho oh >&2\nexit 1\n");
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    cr_expect_eq(logged_lines, 1, "%s", logged_line);
    for (unsigned second = 0; second < 600; second++) {
        s->time.now_ns += SECOND;
        storage_daemon_connect(d);
    }
    cr_expect_geq(logged_lines, 10);
    cr_expect_leq(logged_lines, 20, "%u lines in ten minutes", logged_lines);
    storage_daemon_destroy(d);
}

OnScene(shows_the_end_of_what_a_talkative_program_says)
{
    struct storage_daemon *d = create_script(
        s, "#!/bin/sh\ni=0\nwhile [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done\n"
           "echo it is over >&2\nexit 1\n");
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    expect_logged("it is over");
    cr_expect_eq(logged_lines, 1);
    storage_daemon_destroy(d);
    /* All that the pipe holds, which does not wait for a reader. */
    write_file(s->script, "#!/bin/sh\ntimeout 10 yes >&2\nexit 1\n", 0700);
    d = create(s, "raw", s->script);
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    cr_expect_eq(logged_lines, 2);
    storage_daemon_destroy(d);
}

/* ---- one that hangs ---- */

static void unlink_mark(const struct scene *s)
{
    char mark[192];
    snprintf(mark, sizeof(mark), "%s.runs", s->script);
    unlink(mark);
}

static void *cancel_when_it_hangs(void *arg)
{
    char mark[192];
    void **args = arg;
    const struct scene *s = args[0];
    snprintf(mark, sizeof(mark), "%s.runs", s->script);
    while (access(mark, F_OK) != 0)
        usleep(1000);
    storage_daemon_cancel(args[1]);
    return NULL;
}

Test(devices_storage_daemon, a_start_that_hangs_is_cancelled, .timeout = 20)
{
    struct scene s;
    pthread_t thread;
    open_scene(&s);
    struct storage_daemon *d =
        create_script(&s, "#!/bin/sh\ntrap '' TERM\n>\"$0.runs\"\nwhile :; do sleep 1; done\n");
    void *args[] = {&s, d};
    cr_assert_eq(pthread_create(&thread, NULL, cancel_when_it_hangs, args), 0);
    cr_expect_eq(storage_daemon_connect(d), -ECANCELED);
    cr_expect_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(storage_daemon_connect(d), -ECANCELED, "for good");
    cr_expect_eq(logged_lines, 0, "%s", logged_line);
    storage_daemon_destroy(d);
    unlink_mark(&s);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a process is left");
    close_scene(&s);
}

/* By the caller's own descriptor, this once. */
Test(devices_storage_daemon, a_start_is_given_up_for_its_caller, .timeout = 20)
{
    struct scene s;
    open_scene(&s);
    struct storage_daemon *d = create_script(&s, "#!/bin/sh\nexec sleep 100\n");
    int cancel_fd = eventfd(1, EFD_CLOEXEC);
    cr_expect_eq(storage_daemon_connect_until(d, cancel_fd), -ECANCELED);
    write_file(s.script, "#!/bin/sh\nexit 1\n", 0700);
    cr_expect_eq(storage_daemon_connect_until(d, -1), -EIO);
    close(cancel_fd);
    storage_daemon_destroy(d);
    close_scene(&s);
}

/* One that was ready gets its time to write what it has; the second signal is that of the end. */
Test(devices_storage_daemon, an_end_that_hangs_is_cancelled, .timeout = 20)
{
    struct scene s;
    pthread_t thread;
    open_scene(&s);
    struct storage_daemon *d =
        create_script(&s, "#!/bin/sh\ntrap '[ -e \"$0.runs\" ] && exit; >\"$0.runs\"' TERM\n"
                          "echo 1 >\"$6\"\nwhile :; do sleep 0.01; done\n");
    int fd = storage_daemon_connect(d);
    cr_assert_geq(fd, 0, "%s", logged_line);
    close(fd);
    void *args[] = {&s, d};
    cr_assert_eq(pthread_create(&thread, NULL, cancel_when_it_hangs, args), 0);
    cr_expect_eq(storage_daemon_connect(d), -ECANCELED);
    cr_expect_eq(pthread_join(thread, NULL), 0);
    storage_daemon_destroy(d);
    cr_expect_eq(logged_lines, 0, "%s", logged_line);
    cr_expect_eq(waitpid(-1, NULL, WNOHANG), -1, "a process is left");
    unlink_mark(&s);
    close_scene(&s);
}

/* ---- what the daemon is told, by a program that writes down its arguments ---- */

static void read_args(struct scene *s, struct storage_daemon *d, char *args, size_t bytes)
{
    char seen[192];
    write_file(s->script, "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$0.args\"\nexit 1\n", 0700);
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    snprintf(seen, sizeof(seen), "%s.args", s->script);
    FILE *f = fopen(seen, "r");
    cr_assert_not_null(f);
    size_t n = fread(args, 1, bytes - 1, f);
    cr_assert_gt(n, 0);
    args[n] = '\0';
    fclose(f);
    unlink(seen);
}

OnScene(gets_descriptors_and_nothing_below)
{
    char args[4096];
    write_qcow2(s->image, NULL, 0);
    write_file(s->script, "", 0700);
    struct storage_daemon *d = create(s, "qcow2", s->script);
    read_args(s, d, args, sizeof(args));
    cr_expect_null(strstr(args, NAME), "%s", args);
    cr_expect_not_null(strstr(args, "\"filename\":\"/proc/self/fd/"), "%s", args);
    cr_expect_not_null(strstr(args, "\"driver\":\"qcow2\""), "%s", args);
    cr_expect_not_null(strstr(args, "\"backing\":null"), "%s", args);
    cr_expect_not_null(strstr(args, "\"writable\":true"), "%s", args);
    storage_daemon_destroy(d);
}

/* Of those that Minivet was started with, or that a library has left open. */
Test(devices_storage_daemon, gets_no_other_descriptors)
{
    struct scene s;
    char text[160];
    int other = open("/dev/zero", O_RDONLY); /* which does not close with exec */
    cr_assert_geq(other, 3);
    open_scene(&s);
    write_qcow2(s.image, NULL, 0);
    snprintf(text, sizeof(text),
             "#!/bin/sh\n[ -e /proc/$$/fd/%d ] && echo it is there >&2\nexit 1\n", other);
    write_file(s.script, text, 0700);
    struct storage_daemon *d = create(&s, "qcow2", s.script);
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    cr_expect_null(strstr(logged_line, "it is there"), "%s", logged_line);
    storage_daemon_destroy(d);
    close_scene(&s);
    close(other);
}

/* The path of a file that the script makes, or waits for. */
static const char *mark(const struct scene *s, const char *ending)
{
    static char path[192];
    snprintf(path, sizeof(path), "%s%s", s->script, ending);
    return path;
}

/*
 * qemu-storage-daemon looks its pid file up after it has written it: the folder must still be there
 * then. This program does so when the test has its connection.
 */
OnScene(keeps_the_folder_while_the_daemon_runs)
{
    struct storage_daemon *d = create_script(
        s, "#!/bin/sh\necho 1 >\"$6\"\nwhile [ ! -e \"$0.go\" ]; do sleep 0.01; done\n"
           "[ -e \"$6\" ] && echo >\"$0.there\"\necho >\"$0.done\"\nexec sleep 100\n");
    int fd = storage_daemon_connect(d);
    cr_expect_geq(fd, 0, "%s", logged_line);
    write_file(mark(s, ".go"), "", 0600);
    while (access(mark(s, ".done"), F_OK) != 0)
        usleep(1000);
    cr_expect_eq(unlink(mark(s, ".there")), 0, "the pid file was gone");
    unlink(mark(s, ".done"));
    unlink(mark(s, ".go"));
    storage_daemon_destroy(d);
    close(fd);
    /* the folder was in that of the scene, which must be empty now */
}

/* ---- what an image names: three walls ---- */

#define SECRET "what the guest shall not see\n"

static void write_secret(struct scene *s)
{
    snprintf(s->secret, sizeof(s->secret), "%s/secret", s->dir);
    write_file(s->secret, SECRET, 0600);
}

static void expect_secret(const struct scene *s)
{
    char text[64] = "";
    FILE *f = fopen(s->secret, "r");
    cr_assert_not_null(f);
    cr_expect_not_null(fgets(text, sizeof(text), f));
    cr_expect_str_eq(text, SECRET);
    fclose(f);
    unlink(s->secret);
}

static int try_backing(struct scene *s, bool backing)
{
    struct storage_daemon *d = NULL;
    int err = try_create(s, &d,
                         (struct storage_daemon_config){
                             .format = "qcow2", .program = "/bin/true", .backing = backing});
    storage_daemon_destroy(d);
    return err;
}

OnScene(other_files_in_a_header_are_refused)
{
    write_secret(s);
    write_qcow2(s->image, s->secret, 0);
    cr_expect_eq(try_backing(s, false), -EINVAL);
    expect_logged(s->secret);
    write_qcow2(s->image, NULL, 4); /* an external data file */
    cr_expect_eq(try_backing(s, false), -EINVAL);
    cr_expect_eq(try_backing(s, true), -EINVAL, "that is never followed");
    expect_secret(s);
}

static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int run(const char *format, ...)
{
    char command[512];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    return system(command);
}

/* As if the check of the header had a hole: the daemon is told no more than the format. */
OnImages(the_daemon_cannot_open_what_a_header_names)
{
    if (!confine_restricts_files())
        cr_skip_test("this kernel has no Landlock");
    write_secret(s);
    strcpy(strrchr(s->image, '/'), "/image"); /* qemu-img would take the usual name apart */
    cr_assert_eq(run("qemu-img create -q -f qcow2 -u -F raw -b %s %s 1M", s->secret, s->image), 0);
    struct storage_daemon *d = create_unchecked(s, "qcow2");
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    expect_logged("Permission denied");
    storage_daemon_destroy(d);
    cr_assert_eq(run("qemu-img create -q -f qcow2 -o data_file=%s.data %s 1M", s->image, s->image),
                 0);
    cr_assert_eq(run("cp %s %s.data", s->secret, s->image), 0);
    d = create_unchecked(s, "qcow2");
    cr_expect_eq(storage_daemon_connect(d), -EIO);
    expect_logged("Permission denied");
    storage_daemon_destroy(d);
    cr_expect_eq(run("cmp -s %s %s.data && rm %s.data", s->secret, s->image, s->image), 0);
    expect_secret(s);
}

/* The header is another when the daemon reads it than it was when it was checked. */
OnImages(a_header_that_changes_after_the_check_is_not_believed)
{
    write_secret(s);
    strcpy(strrchr(s->image, '/'), "/image");
    cr_assert_eq(run("qemu-img create -q -f qcow2 %s 1M", s->image), 0);
    struct storage_daemon *d = create(s, "qcow2", NULL);
    cr_assert_eq(run("qemu-img rebase -u -f qcow2 -F raw -b %s %s", s->secret, s->image), 0);
    int fd = storage_daemon_connect(d); /* told that there is nothing below, it opens the image */
    cr_expect_geq(fd, 0, "%s", logged_line);
    close(fd);
    storage_daemon_destroy(d);
    expect_secret(s);
}

/* Replaced by another file, the image stays the one that was checked. */
OnImages(an_image_that_is_replaced_after_the_check_stays)
{
    strcpy(strrchr(s->image, '/'), "/image");
    cr_assert_eq(run("qemu-img create -q -f qcow2 %s 1M", s->image), 0);
    struct storage_daemon *d = create(s, "qcow2", NULL);
    cr_assert_eq(run("mv %s %s.old && echo other >%s", s->image, s->image, s->image), 0);
    int fd = storage_daemon_connect(d);
    cr_expect_geq(fd, 0, "%s", logged_line);
    close(fd);
    storage_daemon_destroy(d);
    cr_expect_eq(run("rm %s.old", s->image), 0);
}

OnImages(a_chain_that_is_wanted_is_opened)
{
    strcpy(strrchr(s->image, '/'), "/image");
    cr_assert_eq(
        run("cd %s && truncate -s 1M raw && qemu-img create -q -f qed -F raw -b raw qed && "
            "qemu-img create -q -f qcow2 -F qed -b qed image",
            s->dir),
        0);
    struct storage_daemon *d = NULL;
    for (unsigned i = 0; i < 4; i++) {
        int err = try_create(
            s, &d,
            (struct storage_daemon_config){
                .format = "qcow2", .direct = i & 1, .read_only = i & 2, .backing = true});
        cr_assert_eq(err, 0, "%s", logged_line);
        int fd = storage_daemon_connect(d);
        cr_expect_geq(fd, 0, "%s", logged_line);
        close(fd);
        storage_daemon_destroy(d);
    }
    cr_expect_eq(logged_lines, 0, "%s", logged_line);
    cr_expect_eq(run("cd %s && rm raw qed", s->dir), 0);
}
