// SPDX-License-Identifier: BSD-2-Clause
/* vmm/cli/ps.c, ctl.c, console.c, vmm/control/folder.c: runs that were not told where to listen. */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/harness/folder.h"
#include "tests/harness/test.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"
#include "vmm/config/config.h"
#include "vmm/control/control.h"
#include "vmm/control/folder.h"

static struct evloop *loop;
static struct control *control;
static char folder[CONTROL_FOLDER_BYTES], path[CONTROL_FOLDER_BYTES + 32];
static _Atomic bool stopped;

static const struct port_config ports[] = {
    {.name = "null", .kind = CHR_NULL},
    {.name = "agent", .kind = CHR_LISTEN, .paths[CHR_LISTEN] = "agent.sock"},
    {.name = "con", .kind = CHR_LISTEN, .paths[CHR_LISTEN] = "con.sock", .is_console = true}};

static bool guest_runs(void *ctx)
{
    (void)ctx;
    return false;
}

static void each_port(void *ctx, void (*each)(void *arg, const struct port_config *port), void *arg)
{
    (void)ctx;
    for (unsigned i = 0; i < ARRAY_SIZE(ports); i++)
        each(arg, &ports[i]);
}

static void on_stop(void *ctx)
{
    (void)ctx;
    stopped = true;
}

static void setup(void)
{
    folder_enter();
    setenv("XDG_RUNTIME_DIR", folder_path(), 1);
}

static void teardown(void)
{
    folder_leave();
}

TestSuite(ps, .init = setup, .fini = teardown);

static void begin(const char *name)
{
    cr_assert(control_folder(folder));
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_assert_eq(
        control_create(&control, &(struct control_config){.loop = loop,
                                                          .clock = &clock_host,
                                                          .path = path,
                                                          .target = {.kernel = "bzImage",
                                                                     .each_port = each_port,
                                                                     .runs = guest_runs,
                                                                     .stop = on_stop}}),
        0);
    cr_assert_eq(evloop_start_thread(loop), 0);
}

static void end(void)
{
    evloop_stop_thread(loop);
    control_destroy(control);
    evloop_destroy(loop);
}

/* What was printed, as a text. */
static const char *printed(void)
{
    static char text[512];
    int fd = open("out", O_RDONLY);
    ssize_t n = read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    close(fd);
    unlink("out");
    return text;
}

static int call(int (*cli)(int argc, char **argv), const char *a, const char *b, const char *c)
{
    char *argv[] = {"minivet", (char *)a, (char *)b, (char *)c, NULL};
    int argc = 1;
    while (argv[argc] != NULL)
        argc++;
    int out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600), before = dup(STDOUT_FILENO);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    int status = cli(argc, argv);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    close(out);
    return status;
}

Test(ps, the_folder_is_made_for_this_user_alone)
{
    struct stat st;
    cr_assert(control_folder(folder));
    cr_expect_str_eq(strrchr(folder, '/'), "/minivet");
    cr_assert_eq(stat(folder, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0700);
    cr_expect(control_folder(folder), "again");
    chmod(folder, 0722);
    cr_expect_not(control_folder(folder), "others may write there");
    rmdir(folder);
}

Test(ps, without_a_folder_there_is_none)
{
    static char deep[CONTROL_FOLDER_BYTES + 1];
    memset(deep, '/', sizeof(deep) - 1);
    const char *const values[] = {"here", "/no/such/place", deep};
    for (unsigned i = 0; i < ARRAY_SIZE(values); i++) {
        setenv("XDG_RUNTIME_DIR", values[i], 1);
        cr_expect_not(control_folder(folder), "%s", values[i]);
    }
    unsetenv("XDG_RUNTIME_DIR");
    cr_expect_not(control_folder(folder));
    listen_to_log(LOG_ERROR);
    cr_expect_eq(call(cli_ps, NULL, NULL, NULL), EXIT_FAILURE);
    expect_logged("set XDG_RUNTIME_DIR");
    unlink("out");
}

Test(ps, a_file_in_its_place_is_no_folder)
{
    int fd = creat("minivet", 0600);
    cr_expect_not(control_folder(folder));
    close(fd);
    unlink("minivet");
}

Test(ps, runs_are_listed_and_reached_by_their_number)
{
    char line[64];
    begin("4711.ctl");
    cr_expect_eq(call(cli_ps, NULL, NULL, NULL), 0);
    snprintf(line, sizeof(line), "%-8s %-12s %s\n%-8d %-12s %s\n", "PID", "STATE", "KERNEL",
             (int)getpid(), "being set up", "bzImage");
    cr_expect_str_eq(printed(), line);
    cr_expect_eq(call(cli_ctl, "4711", "stop", NULL), 0);
    cr_expect(stopped);
    unlink("out");
    end();
    rmdir(folder);
}

static void place_of(long name)
{
    cr_assert(control_folder(folder));
    snprintf(path, sizeof(path), "%s/%ld.ctl", folder, name);
}

/* At `path`, and nothing listens there. */
static int bind_there(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(addr.sun_path, path);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static void expect_none_listed(bool is_kept)
{
    cr_expect_eq(call(cli_ps, "--json", NULL, NULL), 0);
    cr_expect_str_eq(printed(), "[]\n");
    cr_expect_eq(access(path, F_OK) == 0, is_kept);
    unlink(path);
    cr_expect_eq(rmdir(folder), 0);
}

Test(ps, what_runs_have_left_behind_is_removed)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
    place_of(pid);
    close(bind_there());
    expect_none_listed(false);
}

Test(ps, a_run_that_does_not_listen_yet_keeps_its_socket)
{
    place_of(getpid());
    int fd = bind_there();
    expect_none_listed(true);
    close(fd);
}

/* A process that listens and says nothing: asked for two seconds, and left out. */
Test(ps, a_run_that_does_not_answer_is_left_out)
{
    place_of(getpid());
    int fd = bind_there();
    cr_assert_eq(listen(fd, 1), 0);
    expect_none_listed(true);
    close(fd);
}

/* What listens there is another program, and sends `said` again and again. */
struct liar {
    pthread_t thread;
    int listener;
    const char *said;
    unsigned pause_us;
    _Atomic bool is_over;
};

static void *lie(void *ctx)
{
    struct liar *l = ctx;
    for (int fd; (fd = accept(l->listener, NULL, NULL)) >= 0; close(fd))
        while (!l->is_over && send(fd, l->said, strlen(l->said), MSG_NOSIGNAL) > 0)
            usleep(l->pause_us);
    return NULL;
}

static void begin_lies(struct liar *l, const char *said, unsigned pause_us)
{
    place_of(getpid());
    *l = (struct liar){.listener = bind_there(), .said = said, .pause_us = pause_us};
    cr_assert_eq(listen(l->listener, 4), 0);
    cr_assert_eq(pthread_create(&l->thread, NULL, lie, l), 0);
}

static void end_lies(struct liar *l)
{
    l->is_over = true;
    shutdown(l->listener, SHUT_RDWR);
    pthread_join(l->thread, NULL);
    close(l->listener);
}

Test(ps, a_slow_answer_is_not_waited_for, .timeout = 20)
{
    struct liar l;
    begin_lies(&l, " ", 100000);
    expect_none_listed(true);
    end_lies(&l);
}

Test(ps, an_answer_without_an_end_is_refused, .timeout = 20)
{
    static char said[60000];
    struct liar l;
    memset(said, ' ', sizeof(said) - 1);
    begin_lies(&l, said, 0);
    listen_to_log(LOG_ERROR);
    cr_expect_eq(call(cli_ctl, path, "status", NULL), EXIT_FAILURE);
    expect_logged("no run of Minivet's");
    expect_none_listed(true);
    end_lies(&l);
}

static void expect_clean(int (*cli)(int argc, char **argv), const char *a, const char *b)
{
    char out[512];
    cr_expect_eq(call(cli, a, b, NULL), 0);
    strcpy(out, printed());
    cr_expect_neq(strchr(out, '?'), NULL, "%s", out);
    for (const char *c = out; *c != '\0'; c++)
        cr_expect((uint8_t)*c < 0x7f && ((uint8_t)*c >= 0x20 || *c == '\n' || *c == '\t'),
                  "byte 0x%02x", (uint8_t)*c);
}

Test(ps, what_a_run_says_of_itself_does_not_drive_a_terminal, .timeout = 20)
{
    static const char status[] = "{\"result\":{\"state\":\"\\u001b[2J\",\"kernel\":\"?\x1b]0;x\x07"
                                 "\xc2\x9b\x7f\xff\"}}\n",
                      rows[] = "{\"result\":[{\"a\":\"?\x1b[2J\",\"b\":[\"\xc2\x9b\"]}]}\n",
                      report[] = "{\"result\":\"one\\ntwo\\u001b[2J\\r\xc2\x9b\\n\"}\n";
    struct liar l;
    begin_lies(&l, status, 100000);
    expect_clean(cli_ps, NULL, NULL);
    expect_clean(cli_ps, "--json", NULL);
    expect_clean(cli_ctl, path, "status");
    end_lies(&l);
    unlink(path);
    begin_lies(&l, rows, 100000);
    expect_clean(cli_ctl, path, "help");
    end_lies(&l);
    unlink(path);
    begin_lies(&l, report, 100000);
    expect_clean(cli_ctl, path, "explain");
    cr_expect_eq(call(cli_ctl, path, "explain", NULL), 0);
    cr_expect_str_eq(printed(), "one\ntwo?[2J???\n");
    end_lies(&l);
    unlink(path);
    rmdir(folder);
}

Test(ps, rows_of_values_without_names_are_printed, .timeout = 20)
{
    struct liar l;
    begin_lies(&l, "{\"result\":[[true,\"a\"],true,{\"b\":true}]}\n", 100000);
    cr_expect_eq(call(cli_ctl, path, "help", NULL), 0);
    cr_expect_str_eq(printed(), "true         a\nb\n");
    end_lies(&l);
    unlink(path);
    rmdir(folder);
}

/* The run would write to another file. */
Test(ps, a_path_that_is_too_long_is_not_cut, .timeout = 20)
{
    static char far[CONTROL_PATH_BYTES];
    struct liar l;
    memset(far, 'x', sizeof(far) - 1);
    begin_lies(&l, "{\"result\":null}\n", 100000);
    listen_to_log(LOG_ERROR);
    cr_expect_eq(call(cli_ctl, path, "screenshot", far), EXIT_FAILURE);
    expect_logged("File name too long");
    end_lies(&l);
    unlink(path);
    rmdir(folder);
}

static int listen_at(const char *name)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    strcpy(addr.sun_path, name);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    return fd;
}

#define SAID 300000u /* more than a socket and a pipe hold */

/* A port of a guest: says much once it has heard a line, and hangs up. */
static void *be_port(void *ctx)
{
    static char said[SAID];
    char line[8];
    int fd = accept(*(int *)ctx, NULL, NULL);
    ssize_t n = read(fd, line, sizeof(line));
    memset(said, n == 3 && memcmp(line, "hi\n", 3) == 0 ? 'y' : 'n', sizeof(said));
    for (size_t done = 0; done < sizeof(said); done += (size_t)n) {
        n = write(fd, said + done, sizeof(said) - done);
        if (n <= 0)
            break;
    }
    close(fd);
    return NULL;
}

static void converses(const char *port, const char *socket_name)
{
    int in[2], listener = listen_at(socket_name), before = dup(STDIN_FILENO);
    struct stat st;
    pthread_t thread;
    cr_assert_eq(pipe(in), 0);
    cr_assert_eq(write(in[1], "hi\n", 3), 3);
    dup2(in[0], STDIN_FILENO);
    cr_assert_eq(pthread_create(&thread, NULL, be_port, &listener), 0);
    cr_expect_eq(call(cli_console, "4711", port, NULL), 0);
    pthread_join(thread, NULL);
    cr_expect_eq(stat("out", &st), 0);
    cr_expect_eq(st.st_size, SAID);
    cr_expect_eq(printed()[0], 'y');
    dup2(before, STDIN_FILENO);
    close(before);
    close(in[0]);
    close(in[1]);
    close(listener);
    unlink(socket_name);
}

Test(ps, a_terminal_reaches_ports_that_listen)
{
    begin("4711.ctl");
    cr_expect_eq(call(cli_ctl, "4711", "console", NULL), 0);
    cr_expect_eq(strncmp(printed(), "agent  ", 7), 0);
    converses(NULL, "con.sock");
    converses("agent", "agent.sock");
    end();
    rmdir(folder);
}

Test(ps, what_is_no_port_is_no_console)
{
    static const char *const names[] = {"null", "none", "con"};
    begin("4711.ctl");
    listen_to_log(LOG_ERROR);
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        cr_expect_eq(call(cli_console, "4711", names[i], NULL), EXIT_FAILURE, "%s", names[i]);
        expect_logged(i < 2 ? "listen=PATH,console=on" : "nothing takes connections");
    }
    cr_expect_eq(call(cli_console, NULL, NULL, NULL), EXIT_USAGE);
    unlink("out");
    end();
    rmdir(folder);
}

/* A terminal's user, who presses the power button and leaves. */
static void *be_user(void *ctx)
{
    int terminal = *(int *)ctx;
    usleep(100000);
    cr_expect_eq(write(terminal, "\x01p\x01p", 4), 4);
    usleep(100000);
    cr_expect_eq(write(terminal, "\x01x", 2), 2);
    return NULL;
}

Test(ps, no_loop_waits_for_the_power_button, .timeout = 20)
{
    pthread_t thread;
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), before = dup(STDIN_FILENO);
    cr_assert_eq(unlockpt(terminal), 0);
    int in = open(ptsname(terminal), O_RDWR | O_NOCTTY), listener = listen_at("con.sock");
    begin("4711.ctl");
    dup2(in, STDIN_FILENO);
    cr_assert_eq(pthread_create(&thread, NULL, be_user, &terminal), 0);
    cr_expect_eq(call(cli_console, "4711", NULL, NULL), 0);
    pthread_join(thread, NULL);
    dup2(before, STDIN_FILENO);
    end();
    for (int *fd = (int[]){before, in, listener, terminal, -1}; *fd >= 0; fd++)
        close(*fd);
    unlink("out");
    unlink("con.sock");
    rmdir(folder);
}
