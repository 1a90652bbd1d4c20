// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/user/net_child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/cancel.h"
#include "core/peers/confine.h"
#include "core/peers/foreign_fd.h"
#include "core/peers/last_line.h"
#include "devices/net/socket/net_socket.h"
#include "devices/net/user/net_child_impl.h"

#define START_MS    10000
#define WAIT_MIN_NS UINT64_C(500000000)
#define WAIT_MAX_NS UINT64_C(30000000000)
#define STABLE_NS   UINT64_C(60000000000) /* a process that ran as long did not end early */

struct net_child {
    const struct clock *clock;
    const struct cancel *cancel; /* while it is created */
    char *program, *option;
    struct confine *confine;
    pid_t pid;   /* 0: none */
    int said_fd; /* what it writes to standard error, from a pipe; -1: none */
    uint64_t since_ns, wait_ns, next_ns;
};

/* ---- the process ---- */

/* Runs between fork and exec: calls that are safe there, and no return. */
static _Noreturn void become(const struct net_child *c, int wire, int said, pid_t parent)
{
    char *const argv[] = {"minivet", "net-user", c->option, NULL};
    char *const environment[] = {"MINIVET_NO_URING=1", NULL}; /* which no filter can look into */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid(); /* what is typed at the terminal is not for it */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    if (getppid() != parent || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(said, 2) < 0)
        _exit(1);
    wire = fcntl(wire, F_DUPFD_CLOEXEC, NET_CHILD_FD + 1);
    if (wire < 0 || dup2(wire, NET_CHILD_FD) < 0)
        _exit(1);
    if (close_range(NET_CHILD_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0)
        _exit(1);
    static const char no[] = "minivet: user network: its process cannot be confined\n";
    if (confine_apply(c->confine) == 0)
        execve(c->program, argv, environment);
    (void)!write(2, no, sizeof(no) - 1);
    _exit(127);
}

/* Reads its last line. Without the prefix that the log puts before each line. */
static const char *last_words(const struct net_child *c, char line[LAST_LINE_MAX])
{
    static const char prefix[] = "minivet: ";
    last_line_read(c->said_fd, line);
    return strncmp(line, prefix, strlen(prefix)) == 0 ? line + strlen(prefix) : line;
}

/* Its end, as it was told: by a signal, or by a status. */
static void tell_end(const struct net_child *c, int status)
{
    char line[LAST_LINE_MAX];
    const char *words = last_words(c, line);
    log_warn("user network: its process has ended (%s %d): the link is down until another one has "
             "been started%s%s",
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
             words[0] != '\0' ? "; its last line: " : "", words);
}

/*
 * A process whose wire has gone has nothing more to do. The kernel may take a while to end it.
 * False, if not waited for: it has not ended yet.
 */
static bool reap(struct net_child *c, bool waits, bool is_told)
{
    int status = 0;
    pid_t ended;
    if (c->pid == 0)
        return true;
    kill(c->pid, SIGKILL);
    do
        ended = waitpid(c->pid, &status, waits ? 0 : WNOHANG);
    while (ended < 0 && errno == EINTR);
    if (ended == 0)
        return false;
    c->pid = 0;
    if (is_told)
        tell_end(c, status);
    return true;
}

/*
 * The user's own standard error is not the process's: on a terminal it could read what is typed,
 * write what drives the terminal, and change the file's flags for others. The end to write to, or a
 * negative errno, which is reported.
 */
static int open_pipe(struct net_child *c)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return fail(-errno, "user network: a pipe");
    if (c->said_fd >= 0)
        close(c->said_fd);
    c->said_fd = ends[0];
    return ends[1];
}

/* The parent's end of the wire, or a negative errno, which is reported. */
static int spawn(struct net_child *c)
{
    int wire[2];
    int said = open_pipe(c);
    if (said < 0)
        return said;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, wire) != 0) {
        int err = fail(-errno, "user network: a socket");
        close(said);
        return err;
    }
    foreign_socket_refuse(wire[0]);
    for (unsigned i = 0; i < 2; i++) {
        const int bytes = MIB;
        (void)setsockopt(wire[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    }
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(c, wire[1], said, parent);
    int err = pid < 0 ? fail(-errno, "user network: a process") : 0;
    close(said);
    close(wire[1]);
    if (err != 0) {
        close(wire[0]);
        return err;
    }
    c->pid = pid;
    c->since_ns = clock_now_ns(c->clock);
    return wire[0];
}

/* Until the process has made the network: it then sends a length of zero. */
static int wait_ready(struct net_child *c, int wire)
{
    char line[LAST_LINE_MAX];
    uint32_t length = 1;
    int err = cancel_poll(c->cancel, wire, POLLIN, START_MS);
    ssize_t got = err == 0 ? recv(wire, &length, sizeof(length), MSG_DONTWAIT) : 0;
    if (got == sizeof(length) && length == 0)
        return 0;
    if (got < 0)
        err = -errno;
    reap(c, true, false);
    if (err == -ETIMEDOUT)
        return fail_msg(err, "user network: its process does not get ready");
    if (err != 0)
        return fail(err, "user network: wait for its process");
    /* A process that ends before has said why. */
    const char *words = last_words(c, line);
    return fail_msg(-EINVAL, "%s", words[0] != '\0' ? words : "user network: its process ended");
}

/* ---- the wire ---- */

/* Starts another process in place of an ended one, when it is time. */
static int open_wire(void *ctx)
{
    struct net_child *c = ctx;
    uint64_t now_ns = clock_now_ns(c->clock);
    if (c->pid != 0) {
        if (!reap(c, false, true))
            return -EAGAIN;
        c->wait_ns = now_ns - c->since_ns >= STABLE_NS ? WAIT_MIN_NS : c->wait_ns;
        c->next_ns = now_ns + c->wait_ns;
        c->wait_ns = min_u64(c->wait_ns * 2, WAIT_MAX_NS);
    }
    return now_ns < c->next_ns ? -EAGAIN : spawn(c);
}

static int open_first(void *ctx)
{
    struct net_child *c = ctx;
    int wire = spawn(c), err = wire < 0 ? wire : wait_ready(c, wire);
    c->cancel = NULL;
    if (err == 0)
        return wire;
    if (wire >= 0)
        close(wire);
    return err;
}

static void close_wire(void *ctx)
{
    struct net_child *c = ctx;
    reap(c, true, false);
    if (c->said_fd >= 0)
        close(c->said_fd);
    confine_destroy(c->confine);
    free(c->program);
    free(c->option);
    free(c);
}

int net_child_create(struct net_backend **out, const struct net_child_config *config)
{
    struct net_child *c = calloc(1, sizeof(*c));
    if (!c)
        return fail(-ENOMEM, "user network");
    c->clock = config->clock;
    c->cancel = config->cancel;
    c->wait_ns = WAIT_MIN_NS;
    c->said_fd = -1;
    c->program = strdup(config->program ? config->program : "/proc/self/exe");
    c->option = strdup(config->option);
    int err = c->program && c->option ? net_child_confine(&c->confine, c->program)
                                      : fail(-ENOMEM, "user network");
    if (err != 0) {
        close_wire(c);
        return err;
    }
    return net_socket_create(out, &(struct net_socket_config){.loop = config->loop,
                                                              .clock = config->clock,
                                                              .name = "user",
                                                              .open_first = open_first,
                                                              .open = open_wire,
                                                              .close = close_wire,
                                                              .ctx = c,
                                                              .headers_out = true,
                                                              .mtu = config->mtu});
}
