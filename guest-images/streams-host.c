// SPDX-License-Identifier: BSD-2-Clause
/*
 * guest-streams PROGRAM [ARG...]: run PROGRAM, whose standard input and output lead to a guest's
 * console on which streams.c talks, and be standard input, output and error for the command there.
 * What others print on the console goes to standard error. The exit status is PROGRAM's; SIGTERM,
 * SIGINT and SIGHUP end it, too, and it does not outlive this program.
 */
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHUNK_BYTES 4096u

/* For the signal handler, too. */
static volatile sig_atomic_t child, signalled;

struct streams {
    int to_guest, from_guest; /* -1: closed */
    bool input;               /* there may be more of it */
    size_t credit;
    uint8_t pending[2 * CHUNK_BYTES]; /* on its way to the guest */
    size_t pending_start, pending_end;
    bool escaped;
    char stream;
};

static void on_signal(int signo)
{
    signalled = signo;
    if (child > 0)
        kill((pid_t)child, SIGTERM);
}

/* ---- from the guest ---- */

/* Nothing is left to do for a command whose output nothing takes: it would have been ended by
 * SIGPIPE. */
static void write_all(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n >= 0) {
            data += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) { /* another program has it so, too */
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            if (signalled == 0)
                on_signal(SIGPIPE);
            return;
        }
    }
}

static void on_escape(struct streams *s, char what)
{
    switch (what) {
    case STREAMS_OUT:
    case STREAMS_ERR:
    case STREAMS_CONSOLE:
        s->stream = what;
        break;
    case STREAMS_CREDIT:
        s->credit += STREAMS_CREDIT_BYTES;
        break;
    case STREAMS_CLOSED:
        s->input = false;
        break;
    default:
        break;
    }
}

/* A kernel ends its lines as a terminal wants it. */
static bool is_data(const struct streams *s, uint8_t byte)
{
    return byte != STREAMS_ESCAPE && (byte != '\r' || s->stream != STREAMS_CONSOLE);
}

static void hear(struct streams *s, const uint8_t *data, size_t len)
{
    size_t at = 0;
    while (at < len) {
        size_t start = at;
        at += s->escaped && data[at] == STREAMS_ESCAPE;
        if (s->escaped && at == start) {
            on_escape(s, (char)data[at++]);
            s->escaped = false;
            continue;
        }
        s->escaped = false;
        while (at < len && is_data(s, data[at]))
            at++;
        write_all(s->stream == STREAMS_OUT ? STDOUT_FILENO : STDERR_FILENO, data + start,
                  at - start);
        if (at < len)
            s->escaped = data[at++] == STREAMS_ESCAPE;
    }
}

static void read_guest(struct streams *s)
{
    uint8_t data[CHUNK_BYTES];
    ssize_t n = read(s->from_guest, data, sizeof(data));
    if (n > 0) {
        hear(s, data, (size_t)n);
    } else if (n == 0 || errno != EINTR) {
        close(s->from_guest);
        s->from_guest = -1;
    }
}

/* ---- to the guest ---- */

/* The end of the input, too, which is what cannot be read: nothing may be open there. */
static void read_input(struct streams *s)
{
    uint8_t data[CHUNK_BYTES];
    ssize_t n = read(STDIN_FILENO, data, s->credit < sizeof(data) ? s->credit : sizeof(data));
    if (n < 0 && errno == EINTR)
        return;
    size_t len = 0;
    if (n <= 0) {
        s->input = false;
        s->pending[len++] = STREAMS_ESCAPE;
        s->pending[len++] = STREAMS_END;
    }
    for (ssize_t i = 0; i < n; i++) {
        bool hide = data[i] == STREAMS_ESCAPE || data[i] == STREAMS_SYSRQ;
        if (hide)
            s->pending[len++] = STREAMS_ESCAPE;
        s->pending[len++] = hide ? data[i] ^ STREAMS_HIDE : data[i];
    }
    s->credit -= n > 0 ? (size_t)n : 0;
    s->pending_start = 0;
    s->pending_end = len;
}

static void write_guest(struct streams *s)
{
    ssize_t n =
        write(s->to_guest, s->pending + s->pending_start, s->pending_end - s->pending_start);
    if (n > 0)
        s->pending_start += (size_t)n;
    if (n >= 0 || errno == EINTR || errno == EAGAIN)
        return;
    s->pending_start = s->pending_end; /* PROGRAM reads no more: it ends */
    s->input = false;
}

static void serve(struct streams *s)
{
    while (s->from_guest >= 0) {
        bool pending = s->pending_start < s->pending_end;
        bool wanted = s->input && s->credit > 0 && !pending;
        struct pollfd polled[] = {
            {.fd = s->from_guest, .events = POLLIN},
            {.fd = pending ? s->to_guest : -1, .events = POLLOUT},
            {.fd = wanted ? STDIN_FILENO : -1, .events = POLLIN},
        };
        if (poll(polled, 3, -1) < 0)
            continue;
        if (polled[0].revents != 0)
            read_guest(s);
        if (polled[1].revents != 0)
            write_guest(s);
        if (polled[2].revents != 0)
            read_input(s);
    }
}

/* ---- PROGRAM ---- */

static void become(char **argv, const int in[2], const int out[2], pid_t parent)
{
    static const int changed[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGTTIN};
    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++)
        signal(changed[i], SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(125);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    close(in[0]);
    close(in[1]);
    close(out[0]);
    close(out[1]);
    execvp(argv[0], argv);
    fprintf(stderr, "guest-streams: %s: %s\n", argv[0], strerror(errno));
    _exit(125);
}

static bool start(struct streams *s, char **argv)
{
    int in[2], out[2];
    pid_t parent = getpid();
    if (pipe(in) < 0 || pipe(out) < 0)
        return false;
    pid_t pid = fork();
    if (pid == 0)
        become(argv, in, out, parent);
    child = pid;
    if (signalled != 0) /* before there was a child to be told */
        on_signal(signalled);
    close(in[0]);
    close(out[1]);
    s->to_guest = in[1];
    s->from_guest = out[0];
    return pid > 0 && fcntl(in[1], F_SETFL, O_NONBLOCK) == 0;
}

int main(int argc, char **argv)
{
    struct streams s = {.input = true, .stream = STREAMS_CONSOLE};
    if (argc < 2) {
        fprintf(stderr, "usage: guest-streams PROGRAM [ARG...]\n");
        return 2;
    }
    int spare; /* a stream that is closed must not become a pipe */
    while ((spare = open("/dev/null", O_RDWR)) >= 0 && spare <= STDERR_FILENO)
        ;
    close(spare);
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sigaction(ends[i], &(struct sigaction){.sa_handler = on_signal}, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTTIN, SIG_IGN); /* of a terminal that belongs to another job there is no input */
    if (!start(&s, argv + 1)) {
        perror("guest-streams");
        return 125;
    }
    serve(&s);
    int status = 0;
    while (waitpid((pid_t)child, &status, 0) < 0 && errno == EINTR)
        ;
    if (signalled != 0)
        return 128 + signalled;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
