// SPDX-License-Identifier: BSD-2-Clause
//
// streams 1|2 PROGRAM [ARG...]: run PROGRAM, given by its path, with pipes as its standard input,
// output and error, and carry those over the console, which is this program's input and output:
// streams.h says how. With 1 output and error are one stream. The exit status is PROGRAM's, 128+N
// if signal N ended it.
#include "streams.h"
#include "freestanding.h"

#define SYS_READ       0
#define SYS_WRITE      1
#define SYS_CLOSE      3
#define SYS_POLL       7
#define SYS_DUP2       33
#define SYS_FORK       57
#define SYS_WAIT4      61
#define SYS_FCNTL      72
#define SYS_SETSID     112
#define SYS_PIPE2      293
#define SYS_PIDFD_OPEN 434

#define EAGAIN     11
#define SIGPIPE    13
#define F_SETFL    4
#define O_WRONLY   1
#define O_NONBLOCK 04000
#define O_CLOEXEC  02000000
#define POLLIN     1
#define POLLOUT    4
#define POLLERR    8

#define CHUNK_BYTES 2048

enum { CONSOLE, INPUT, OUTPUT, ERROR, CHILD, POLLED };

static struct poll_fd {
    int fd; // -1: not looked at
    short events, seen;
} polled[POLLED];

// Standard input that PROGRAM has not taken yet. What there is credit for has room.
static unsigned char held[STREAMS_CREDITS * STREAMS_CREDIT_BYTES];
static unsigned long held_start, held_count, taken;
static int escaped, ended;

static void write_console(const unsigned char *data, long len)
{
    while (len > 0) {
        long n = syscall3(SYS_WRITE, 1, (long)data, len);
        if (n <= 0) {
            return;
        }
        data += n;
        len -= n;
    }
}

static void say(char what)
{
    unsigned char bytes[2] = {STREAMS_ESCAPE, (unsigned char)what};

    write_console(bytes, sizeof(bytes));
}

static void stop(int which)
{
    syscall3(SYS_CLOSE, polled[which].fd, 0, 0);
    polled[which].fd = -1;
}

// ---- output and error

// In one piece, into which the kernel lets no other program write.
static void carry(int which, char stream)
{
    static unsigned char data[CHUNK_BYTES], framed[2 * CHUNK_BYTES + 4];
    long len = 0, n = syscall3(SYS_READ, polled[which].fd, (long)data, sizeof(data));

    if (n <= 0) {
        stop(which);
        return;
    }
    framed[len++] = STREAMS_ESCAPE;
    framed[len++] = (unsigned char)stream;
    for (long i = 0; i < n; i++) {
        framed[len++] = data[i];
        if (data[i] == STREAMS_ESCAPE) {
            framed[len++] = STREAMS_ESCAPE;
        }
    }
    framed[len++] = STREAMS_ESCAPE;
    framed[len++] = STREAMS_CONSOLE;
    write_console(framed, len);
}

// Returns whether there was any.
static int carry_both(void)
{
    int any = 0;

    if (polled[OUTPUT].seen) {
        carry(OUTPUT, STREAMS_OUT);
        any = 1;
    }
    if (polled[ERROR].seen) {
        carry(ERROR, STREAMS_ERR);
        any = 1;
    }
    return any;
}

// ---- input

static void hear_byte(unsigned char byte)
{
    if (byte == STREAMS_ESCAPE) {
        escaped = 1;
        return;
    }
    if (escaped && byte == STREAMS_END) {
        ended = 1;
    } else if (held_count < sizeof(held)) {
        held[(held_start + held_count++) % sizeof(held)] = escaped ? byte ^ STREAMS_HIDE : byte;
    }
    escaped = 0;
}

static void hear(void)
{
    static unsigned char data[CHUNK_BYTES];
    long n = syscall3(SYS_READ, polled[CONSOLE].fd, (long)data, sizeof(data));

    if (n <= 0) {
        polled[CONSOLE].fd = -1;
        ended = 1;
    }
    for (long i = 0; i < n; i++) {
        hear_byte(data[i]);
    }
}

// Gives PROGRAM what its pipe has room for, and the host credit for as much.
static void feed(void)
{
    unsigned long len = sizeof(held) - held_start;
    long n;

    if (len > held_count) {
        len = held_count;
    }
    n = syscall3(SYS_WRITE, polled[INPUT].fd, (long)(held + held_start), (long)len);
    if (n == -EAGAIN) {
        return;
    }
    if (n < 0 || (polled[INPUT].seen & POLLERR)) { // no process can read it any more
        stop(INPUT);
        say(STREAMS_CLOSED);
        return;
    }
    held_start = (held_start + (unsigned long)n) % sizeof(held);
    held_count -= (unsigned long)n;
    for (taken += (unsigned long)n; taken >= STREAMS_CREDIT_BYTES; taken -= STREAMS_CREDIT_BYTES) {
        say(STREAMS_CREDIT);
    }
}

// ---- PROGRAM

static void become(const int pipes[3][2], int outputs, char **argv, char **environment)
{
    static const struct signal_action by_default;

    syscall3(SYS_SETSID, 0, 0, 0); // the console is not its terminal
    syscall3(SYS_DUP2, pipes[0][0], 0, 0);
    syscall3(SYS_DUP2, pipes[1][1], 1, 0);
    syscall3(SYS_DUP2, pipes[outputs][1], 2, 0);
    syscall5(SYS_RT_SIGACTION, SIGPIPE, (long)&by_default, 0, sizeof(by_default.mask), 0);
    syscall3(SYS_EXECVE, (long)argv[0], (long)argv, (long)environment);
    syscall3(SYS_EXIT, 127, 0, 0);
}

// Returns its process, or a negative errno.
static long start(int outputs, char **argv, char **environment)
{
    static const struct signal_action ignore = {.handler = SIGNAL_IGNORE};
    int pipes[3][2];
    long child, result = 0;

    for (int i = 0; i < 3 && result == 0; i++) {
        result = syscall3(SYS_PIPE2, (long)pipes[i], O_CLOEXEC, 0);
    }
    if (result != 0) {
        return result;
    }
    syscall5(SYS_RT_SIGACTION, SIGPIPE, (long)&ignore, 0, sizeof(ignore.mask), 0);
    child = syscall3(SYS_FORK, 0, 0, 0);
    if (child == 0) {
        become(pipes, outputs, argv, environment);
    }
    syscall3(SYS_CLOSE, pipes[0][0], 0, 0);
    syscall3(SYS_CLOSE, pipes[1][1], 0, 0);
    syscall3(SYS_CLOSE, pipes[2][1], 0, 0);
    // The other end keeps its mode, which is PROGRAM's.
    syscall3(SYS_FCNTL, pipes[0][1], F_SETFL, O_WRONLY | O_NONBLOCK);
    polled[CONSOLE] = (struct poll_fd){.fd = 0, .events = POLLIN};
    polled[INPUT] = (struct poll_fd){.fd = pipes[0][1]};
    polled[OUTPUT] = (struct poll_fd){.fd = pipes[1][0], .events = POLLIN};
    polled[ERROR] = (struct poll_fd){.fd = pipes[2][0], .events = POLLIN};
    polled[CHILD] = (struct poll_fd){.events = POLLIN};
    polled[CHILD].fd = (int)syscall3(SYS_PIDFD_OPEN, child, 0, 0);
    return polled[CHILD].fd < 0 ? polled[CHILD].fd : child;
}

// Until PROGRAM has ended. What it has started and left behind may keep its pipes open for ever.
static void serve(void)
{
    for (int i = 0; i < STREAMS_CREDITS; i++) {
        say(STREAMS_CREDIT);
    }
    do {
        if (ended && held_count == 0 && polled[INPUT].fd >= 0) {
            stop(INPUT);
        }
        polled[INPUT].events = held_count > 0 ? POLLOUT : 0;
        syscall3(SYS_POLL, (long)polled, POLLED, -1);
        carry_both();
        if (polled[CONSOLE].seen) {
            hear();
        }
        if (polled[INPUT].seen) {
            feed();
        }
    } while (!polled[CHILD].seen);
    do {
        syscall3(SYS_POLL, (long)polled, POLLED, 0);
    } while (carry_both());
}

static long program(long argc, char **argv)
{
    int status;
    long child = -22;

    if (argc >= 3 && (argv[1][0] == '1' || argv[1][0] == '2')) {
        child = start(argv[1][0] - '0', argv + 2, argv + argc + 1);
    }
    if (child < 0) {
        return 126;
    }
    serve();
    syscall5(SYS_WAIT4, child, (long)&status, 0, 0, 0);
    return (status & 0x7f) != 0 ? 128 + (status & 0x7f) : status >> 8 & 0xff;
}
