// SPDX-License-Identifier: BSD-2-Clause
//
// While the command runs: its streams to and from the ports, what Minivet asks for, and every
// process that ends, which is the first process's to hear.
#include "init.h"

#define SIGHUP      1
#define SIGKILL     9
#define SIGUSR1     10
#define SIGUSR2     12
#define SIGTERM     15
#define SIGCHLD     17
#define SIG_BLOCK   0
#define SIGNAL_MASK 8 // bytes
#define SFD_FLAGS   (O_CLOEXEC | O_NONBLOCK)
#define WNOHANG     1
#define PUMP_BYTES  65536
#define QUIET_MS    2000 // for what a process that cannot be killed may still write

struct pump {
    int from, to; // -1: there is none (any more)
    bool from_port;
    size_t start, count;
    uint64_t taken, limit; // bytes out of `from`, and how many there will be
    uint64_t given;        // to `to`
    char data[PUMP_BYTES];
};

static struct pump pumps[PORTS]; // at the place of its port; not of PORT_CONTROL
static struct poll_fd polled[2 + PORTS];

struct server {
    struct command *command;
    int control, signals;
    unsigned char message[COMMAND_MESSAGE_BYTES];
    size_t message_bytes;
    int status; // of the command; -1: it runs
};

// ---- streams

static bool wants_input(const struct pump *p)
{
    return p->from >= 0 && p->to >= 0 && p->count == 0 && p->taken < p->limit;
}

// A port has no end of its own: it has nothing, for now.
static void take(struct pump *p)
{
    uint64_t left = p->limit - p->taken;
    long n = CALL(read, p->from, p->data, left < PUMP_BYTES ? left : PUMP_BYTES, 0);

    p->start = 0;
    p->count = n > 0 ? (size_t)n : 0;
    p->taken += p->count;
    if (!p->from_port && n <= 0 && n != -EAGAIN && n != -EINTR) {
        p->from = -1; // its descriptor may be that of another pump
    }
}

// What cannot be given to anybody is thrown away.
static void give(struct pump *p)
{
    long n = CALL(write, p->to, p->data + p->start, p->count, 0);

    if (n == -EAGAIN || n == -EINTR) {
        return;
    }
    if (n < 0) {
        p->to = -1;
        p->count = 0;
        return;
    }
    p->start += (size_t)n;
    p->count -= (size_t)n;
    p->given += (uint64_t)n;
}

static void poll_pump(const struct pump *p, struct poll_fd *fd)
{
    *fd = (struct poll_fd){.fd = -1};
    if (wants_input(p)) {
        *fd = (struct poll_fd){.fd = p->from, .events = POLLIN};
    } else if (p->count > 0) {
        *fd = (struct poll_fd){.fd = p->to, .events = POLLOUT};
    }
}

static void move(struct pump *p)
{
    if (wants_input(p)) {
        take(p);
    }
    if (p->count > 0) {
        give(p);
    }
}

// All of standard input has been given: the command is told by the end of its pipe.
static void end_input(struct server *s)
{
    struct pump *p = &pumps[PORT_INPUT];

    if (p->taken < p->limit || p->count > 0 || p->to < 0) {
        return;
    }
    if (!s->command->has_terminal) {
        close_file(p->to);
    }
    p->to = -1;
}

static void reader_gone(struct pump *p)
{
    if (p->from >= 0) {
        close_file(p->from); // a command that writes gets SIGPIPE
    }
    p->from = -1;
    p->count = 0;
}

// ---- messages

static uint64_t get(const unsigned char *at, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0) {
        value = value << 8 | at[bytes];
    }
    return value;
}

static void put(unsigned char *at, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (unsigned char)(value >> 8 * i);
    }
}

static void send(const struct server *s, unsigned type, unsigned value)
{
    struct poll_fd fd = {.fd = s->control, .events = POLLOUT};
    unsigned char m[COMMAND_MESSAGE_BYTES];

    put(m + COMMAND_MESSAGE_TYPE, 4, type);
    put(m + COMMAND_MESSAGE_VALUE, 4, value);
    put(m + COMMAND_MESSAGE_A, 8, pumps[PORT_OUTPUT].given);
    put(m + COMMAND_MESSAGE_B, 8, pumps[PORT_ERROR].given);
    while (CALL(write, s->control, m, sizeof(m), 0) == -EAGAIN) {
        poll_for(&fd, 1, -1);
    }
}

static void obey(const struct server *s)
{
    const unsigned char *m = s->message;
    uint64_t value = get(m + COMMAND_MESSAGE_VALUE, 4), a = get(m + COMMAND_MESSAGE_A, 8);
    long process = s->command->process;

    switch (get(m + COMMAND_MESSAGE_TYPE, 4)) {
    case COMMAND_SIGNAL:
        // To what it has started in the foreground, too, as a terminal would.
        if (s->status < 0 && CALL(kill, -process, value, 0, 0) < 0) {
            CALL(kill, process, value, 0, 0);
        }
        break;
    case COMMAND_SIZE:
        set_size(s->command, (uint16_t)value, (uint16_t)a);
        break;
    case COMMAND_INPUT_END:
        pumps[PORT_INPUT].limit = a;
        break;
    case COMMAND_READER_GONE:
        reader_gone(&pumps[value == 2 ? PORT_ERROR : PORT_OUTPUT]);
        break;
    default:
        break;
    }
}

static void hear(struct server *s)
{
    long n = CALL(read, s->control, s->message + s->message_bytes,
                  sizeof(s->message) - s->message_bytes, 0);

    s->message_bytes += n > 0 ? (size_t)n : 0;
    if (s->message_bytes == sizeof(s->message)) {
        s->message_bytes = 0;
        obey(s);
    }
}

// ---- processes

static void reap(struct server *s)
{
    int how;
    long process;

    while ((process = CALL(wait4, -1, &how, WNOHANG, NULL)) > 0) {
        if (process == s->command->process) {
            s->status = (how & 0x7f) != 0 ? 128 + (how & 0x7f) : how >> 8 & 0xff;
        }
    }
}

// The programs poweroff, halt and reboot only send a signal to the first process.
static void power_down(unsigned signal)
{
    CALL(kill, -1, SIGKILL, 0, 0);
    end_file_systems();
    CALL(reboot, 0xfee1dead, 672274793, signal == SIGTERM ? 0x01234567 : 0x4321fedc, 0);
}

static void hear_signals(struct server *s)
{
    unsigned char info[128];

    while (CALL(read, s->signals, info, sizeof(info), 0) == (long)sizeof(info)) {
        unsigned signal = (unsigned)get(info, 4);

        if (signal != SIGCHLD) {
            power_down(signal);
        }
    }
    reap(s);
}

static int hear_of_signals(void)
{
    unsigned long mask =
        1UL << (SIGCHLD - 1) | 1UL << (SIGUSR1 - 1) | 1UL << (SIGUSR2 - 1) | 1UL << (SIGTERM - 1);

    CALL(rt_sigprocmask, SIG_BLOCK, &mask, NULL, SIGNAL_MASK);
    return (int)CALL(signalfd4, -1, &mask, SIGNAL_MASK, SFD_FLAGS);
}

// ---- all of it

// Returns whether anything happened before the time was over.
static bool turn(struct server *s, long timeout_ms)
{
    polled[0] = (struct poll_fd){.fd = s->control, .events = POLLIN};
    polled[1] = (struct poll_fd){.fd = s->signals, .events = POLLIN};
    for (unsigned i = PORT_CONTROL + 1; i < PORTS; i++) {
        poll_pump(&pumps[i], &polled[2 + i]);
    }
    polled[2 + PORT_CONTROL].fd = -1;
    bool any = poll_for(polled, 2 + PORTS, timeout_ms) > 0;
    if (polled[0].seen) {
        hear(s);
    }
    if (polled[1].seen) {
        hear_signals(s);
    }
    for (unsigned i = PORT_CONTROL + 1; i < PORTS; i++) {
        if (polled[2 + i].seen) {
            move(&pumps[i]);
        }
    }
    end_input(s);
    return any;
}

static bool has_more(const struct pump *p)
{
    return p->from >= 0 || p->count > 0;
}

// All other processes are killed first, so that what they wrote has an end. A reader of Minivet's
// may take its time.
static void finish(struct server *s)
{
    struct pump *out = &pumps[PORT_OUTPUT], *error = &pumps[PORT_ERROR];

    CALL(kill, -1, SIGKILL, 0, 0);
    pumps[PORT_INPUT].to = -1;
    pumps[PORT_INPUT].count = 0;
    while (has_more(out) || has_more(error)) {
        if (!turn(s, QUIET_MS) && out->count == 0 && error->count == 0) {
            break;
        }
    }
}

static struct pump *open_pump(unsigned port, int from, int to)
{
    struct pump *p = &pumps[port];

    p->from = from;
    p->to = to;
    p->limit = UINT64_MAX;
    return p;
}

void serve(struct command *c, const struct port ports[PORTS])
{
    static struct server s;

    s = (struct server){.command = c, .control = ports[PORT_CONTROL].fd, .status = -1};
    s.signals = hear_of_signals();
    start_command(c);
    open_pump(PORT_INPUT, ports[c->has_terminal ? PORT_OUTPUT : PORT_INPUT].fd, c->input)
        ->from_port = true;
    open_pump(PORT_OUTPUT, c->output, ports[PORT_OUTPUT].fd);
    open_pump(PORT_ERROR, c->error, c->is_joined ? -1 : ports[PORT_ERROR].fd);
    send(&s, COMMAND_HAS_BEGUN, 0);
    while (s.status < 0) {
        turn(&s, -1);
    }
    finish(&s);
    end_file_systems();
    send(&s, COMMAND_HAS_ENDED, (unsigned)s.status);
    for (;;) { // Minivet ends the guest when its readers have it all
        turn(&s, -1);
    }
}
