// SPDX-License-Identifier: BSD-2-Clause
/* `minivet run` at a terminal: every key is the guest's, and the terminal is as it was after it. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "tap.h"
#include "tvm.h"
#include "vmm/cli/cli.h"

#define ESCAPE "\001" /* Ctrl-A */

static int host, terminal; /* both ends */
static struct termios before;

static void open_terminal(void)
{
    host = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(host >= 0 && grantpt(host) == 0 && unlockpt(host) == 0);
    terminal = open(ptsname(host), O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(terminal >= 0 && tcgetattr(terminal, &before) == 0);
}

static void expect_as_before(void)
{
    struct termios after;
    CHECK_EQ(tcgetattr(terminal, &after), 0);
    CHECK_EQ(after.c_iflag, before.c_iflag);
    CHECK_EQ(after.c_oflag, before.c_oflag);
    CHECK_EQ(after.c_cflag, before.c_cflag);
    CHECK_EQ(after.c_lflag, before.c_lflag);
    CHECK(memcmp(after.c_cc, before.c_cc, sizeof(after.c_cc)) == 0);
}

/* A run in the foreground of the terminal; its messages are not shown there. */
static pid_t start(char *const *argv, int argc)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    if (setsid() < 0 || ioctl(terminal, TIOCSCTTY, 0) < 0 || dup2(terminal, STDIN_FILENO) < 0 ||
        dup2(terminal, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
        _exit(1);
    _exit(cli_run(argc, (char **)argv));
}

/* A guest that sends back what is typed; it has said that it listens. */
static pid_t start_echo(const char *timeout, const char *console)
{
    char kernel[TVM_PATH], orders[64], said[256] = "";
    tvm_guest(kernel, "console");
    snprintf(orders, sizeof(orders), "virtio=%d chunks=0", strcmp(console, "virtio") == 0);
    char *argv[] = {"run",       kernel,          "-a",        orders,
                    "--timeout", (char *)timeout, "--console", (char *)console};
    pid_t pid = start(argv, ARRAY_SIZE(argv));
    for (size_t len = 0; strstr(said, "con: end ticks=0\n") == NULL;) {
        ssize_t n = read(host, said + len, sizeof(said) - 1 - len);
        if (n <= 0)
            tap_fail(__FILE__, __LINE__, "the guest said no more than: %s", said);
        len += (size_t)n;
    }
    return pid;
}

static void type(const char *keys, size_t len)
{
    CHECK_EQ(write(host, keys, len), len);
}

static void expect_status(pid_t pid, int code, int signo)
{
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (signo != 0 ? !WIFSIGNALED(status) || WTERMSIG(status) != signo
                   : !WIFEXITED(status) || WEXITSTATUS(status) != code)
        tap_fail(__FILE__, __LINE__, "ended with status %#x", (unsigned)status);
    expect_as_before();
}

/* Interrupt, end of file, stop and start of output, literal, suspend, quit, erase, return. */
static void keys_on(const char *console)
{
    static const char keys[] = "\x03\x04\x11\x13\x16\x1a\x1c\x7f\r\n";
    open_terminal();
    pid_t pid = start_echo("60s", console);
    for (size_t i = 0; i < sizeof(keys) - 1; i++) {
        char echo;
        type(keys + i, 1); /* the guest looks at the first byte of each buffer */
        CHECK_EQ(read(host, &echo, 1), 1);
        CHECK_EQ(echo, keys[i]);
    }
    type(ESCAPE "x", 2);
    expect_status(pid, 0, 0);
}

static void keys_on_serial(void)
{
    keys_on("serial");
}

static void keys_on_virtio(void)
{
    keys_on("virtio");
}

static void ends_by_signals(void)
{
    static const struct {
        int signo;
        bool dies; /* of it */
    } ends[] = {{SIGTERM, false}, {SIGINT, false}, {SIGHUP, false}, {SIGSEGV, true},
                {SIGBUS, true},   {SIGFPE, true},  {SIGABRT, true}, {SIGQUIT, true}};
    open_terminal();
    for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
        pid_t pid = start_echo("60s", "serial");
        CHECK_EQ(kill(pid, ends[i].signo), 0);
        expect_status(pid, 128 + ends[i].signo, ends[i].dies ? ends[i].signo : 0);
    }
}

static void other_ends(void)
{
    char kernel[TVM_PATH];
    tvm_guest(kernel, "hello");
    char *guest[] = {"run", kernel, "-a", "hello"}, *none[] = {"run", "/no/such"};
    open_terminal();
    expect_status(start(guest, ARRAY_SIZE(guest)), 0, 0);
    expect_status(start(none, ARRAY_SIZE(none)), 125, 0);
    expect_status(start_echo("1s", "serial"), 124, 0);
}

/* Not even the line's end after Ctrl-A x waits for its reader. */
static void is_full(void)
{
    static const char byte;
    open_terminal();
    pid_t pid = start_echo("60s", "serial");
    int own = open(ptsname(host), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    while (write(own, &byte, 1) > 0)
        ;
    type(ESCAPE "x", 2);
    expect_status(pid, 0, 0);
}

/* The second run adds to what the first has left. */
static void is_logged(void)
{
    char kernel[TVM_PATH], log[] = "/tmp/minivet-log-XXXXXX", text[64] = "";
    tvm_guest(kernel, "hello");
    char *guest[] = {"run", kernel, "-a", "hello", "--log", log};
    int fd = mkstemp(log);
    open_terminal();
    for (int i = 0; i < 2; i++)
        expect_status(start(guest, ARRAY_SIZE(guest)), 0, 0);
    CHECK(read(fd, text, sizeof(text) - 1) > 0);
    CHECK(strcmp(text, "hello\nhello\n") == 0);
    unlink(log);
    close(fd);
}

/* A log that nobody reads holds the guest up as little as one that is full. */
static void is_logged_to_fifo(void)
{
    char kernel[TVM_PATH], folder[] = "/tmp/minivet-log-XXXXXX", log[64], text[64] = "";
    static const char byte;
    tvm_guest(kernel, "hello");
    char *guest[] = {"run", kernel, "-a", "hello", "--log", log};
    CHECK(mkdtemp(folder) != NULL);
    snprintf(log, sizeof(log), "%s/fifo", folder);
    CHECK_EQ(mkfifo(log, 0600), 0);
    open_terminal();
    expect_status(start(guest, ARRAY_SIZE(guest)), 125, 0);
    int fd = open(log, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    expect_status(start(guest, ARRAY_SIZE(guest)), 0, 0);
    CHECK_EQ(read(fd, text, sizeof(text)), strlen("hello\n"));
    while (write(fd, &byte, 1) > 0)
        ;
    expect_status(start(guest, ARRAY_SIZE(guest)), 0, 0);
    unlink(log);
    rmdir(folder);
    close(fd);
}

const struct tap_test terminal_tests[] = {
    {"terminal: every key reaches a guest's serial port", keys_on_serial, 0},
    {"terminal: every key reaches a guest's virtio console", keys_on_virtio, 0},
    {"terminal: is as it was after a signal or a crash", ends_by_signals, 0},
    {"terminal: is as it was after the guest's end, a timeout, a failure", other_ends, 0},
    {"terminal: what the guest prints there is added to its log", is_logged, 0},
    {"terminal: its log may be a FIFO, which nobody reads", is_logged_to_fifo, 0},
    {"terminal: may be full when the user quits", is_full, 20},
    {0},
};
