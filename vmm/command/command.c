// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/command/command.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/chr.h"
#include "devices/char/chr_one_way.h"
#include "devices/char/chr_stdio.h"
#include "firmware/kernel/cmdline.h"
#include "firmware/kernel/cpio.h"
#include "virtio/console/console.h"
#include "vmm/command/protocol.h"
#include "vmm/config/config.h"

#define SIGNALS_MAX 64

enum { OUTPUT, ERROR, OUTPUTS };

struct command {
    struct command_config cfg;
    bool has_terminal, is_joined;
    struct cpio archive;
    struct chr_backend *tty, *input, *outputs[OUTPUTS]; /* NULL: it has no such port */

    /* The port for messages. */
    struct chr_backend control;
    size_t control_max;
    struct ev_defer tell_later;
    uint8_t heard[COMMAND_MESSAGE_BYTES];
    size_t heard_bytes;

    /* What the guest is still to be told. */
    uint64_t signals;     /* by number */
    bool size, input_end; /* whether */
    uint64_t input_bytes;
    bool gone[OUTPUTS]; /* it has no reader */

    atomic_bool has_begun;
    bool has_ended, is_over;
    int status;
    uint64_t moved[OUTPUTS], wanted[OUTPUTS]; /* bytes: that are out, and that there are */

    struct chr_backend console, *shown; /* NULL: what the kernel prints is not seen */
    struct chr_handler shown_handler;
};

/* ---- its end ---- */

static void look_for_end(struct command *c)
{
    if (!c->has_ended || c->is_over || c->moved[OUTPUT] < c->wanted[OUTPUT] ||
        c->moved[ERROR] < c->wanted[ERROR])
        return;
    c->is_over = true;
    c->cfg.on_end(c->cfg.ctx, c->status);
}

/* ---- messages ---- */

static void tell(struct command *c, uint32_t type, uint32_t value, uint64_t a)
{
    uint8_t m[COMMAND_MESSAGE_BYTES] = {0};
    le32_put(m + COMMAND_MESSAGE_TYPE, type);
    le32_put(m + COMMAND_MESSAGE_VALUE, value);
    le64_put(m + COMMAND_MESSAGE_A, a);
    c->control.handler->on_rx(c->control.handler->ctx, m, sizeof(m));
}

/* One piece of news. A size, and what a stream ends with, before signals. */
static void tell_next(struct command *c)
{
    if (c->size && c->tty != NULL) {
        c->size = false;
        tell(c, COMMAND_SIZE, c->tty->columns, c->tty->rows);
    } else if (c->input_end) {
        c->input_end = false;
        tell(c, COMMAND_INPUT_END, 0, c->input_bytes);
    } else if (c->gone[OUTPUT] || c->gone[ERROR]) {
        unsigned i = c->gone[OUTPUT] ? OUTPUT : ERROR;
        c->gone[i] = false;
        tell(c, COMMAND_READER_GONE, i + 1, 0);
    } else {
        int signo = __builtin_ctzll(c->signals);
        c->signals &= c->signals - 1;
        tell(c, COMMAND_SIGNAL, (uint32_t)signo, 0);
    }
}

static bool has_news(const struct command *c)
{
    return c->size || c->input_end || c->gone[OUTPUT] || c->gone[ERROR] || c->signals != 0;
}

static void tell_all(void *ctx)
{
    struct command *c = ctx;
    while (has_news(c) && c->control_max >= COMMAND_MESSAGE_BYTES && c->control.handler != NULL)
        tell_next(c);
}

static void news(struct command *c)
{
    evloop_defer(c->cfg.loop, &c->tell_later); /* not from within a device's call */
}

static void obey(struct command *c)
{
    const uint8_t *m = c->heard;
    uint32_t type = le32_get(m + COMMAND_MESSAGE_TYPE);
    if (type == COMMAND_HAS_BEGUN)
        atomic_store(&c->has_begun, true);
    if (type != COMMAND_HAS_ENDED || c->has_ended)
        return;
    c->has_ended = true;
    c->status = (int)(le32_get(m + COMMAND_MESSAGE_VALUE) & 0xff);
    c->wanted[OUTPUT] = le64_get(m + COMMAND_MESSAGE_A);
    c->wanted[ERROR] = le64_get(m + COMMAND_MESSAGE_B);
    look_for_end(c);
}

static size_t control_write(struct chr_backend *b, const uint8_t *data, size_t len)
{
    struct command *c = container_of(b, struct command, control);
    for (size_t i = 0; i < len; i++) {
        c->heard[c->heard_bytes++] = data[i];
        if (c->heard_bytes < sizeof(c->heard))
            continue;
        c->heard_bytes = 0;
        obey(c);
    }
    return len;
}

static void control_rx_enable(struct chr_backend *b, size_t max)
{
    struct command *c = container_of(b, struct command, control);
    c->control_max = max;
    if (has_news(c) && max > 0)
        news(c);
}

static void do_nothing(struct chr_backend *b)
{
    (void)b;
}

static const struct chr_backend_ops control_ops = {
    .write = control_write,
    .rx_enable = control_rx_enable,
    .flush = do_nothing,
    .destroy = do_nothing,
};

/* ---- streams ---- */

static void on_input(void *ctx, uint64_t bytes)
{
    ((struct command *)ctx)->input_bytes = bytes;
}

static void on_input_end(void *ctx)
{
    struct command *c = ctx;
    c->input_end = true;
    news(c);
}

static void moved(struct command *c, unsigned output, uint64_t bytes)
{
    c->moved[output] = bytes;
    look_for_end(c);
}

static void on_stdout(void *ctx, uint64_t bytes)
{
    moved(ctx, OUTPUT, bytes);
}

static void on_stderr(void *ctx, uint64_t bytes)
{
    moved(ctx, ERROR, bytes);
}

static void on_tty(void *ctx, const uint8_t *data, size_t len)
{
    struct command *c = ctx;
    (void)data;
    moved(c, OUTPUT, c->moved[OUTPUT] + len);
}

static void on_stdout_end(void *ctx)
{
    struct command *c = ctx;
    c->gone[OUTPUT] = true;
    news(c);
}

static void on_stderr_end(void *ctx)
{
    struct command *c = ctx;
    c->gone[ERROR] = true;
    news(c);
}

static bool is_same(int a, int b)
{
    struct stat one, other;
    return fstat(a, &one) == 0 && fstat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

static int open_terminal(struct command *c)
{
    return chr_stdio_create(&c->tty, &(struct chr_stdio_config){.loop = c->cfg.loop,
                                                                .in_fd = STDIN_FILENO,
                                                                .out_fd = STDOUT_FILENO,
                                                                .on_quit = c->cfg.on_quit,
                                                                .on_power = c->cfg.on_power,
                                                                .on_output = on_tty,
                                                                .ctx = c});
}

static int open_streams(struct command *c)
{
    struct chr_one_way_config in = {
        c->cfg.loop, "standard input", STDIN_FILENO, true, on_input, on_input_end, c};
    struct chr_one_way_config out = {
        c->cfg.loop, "standard output", STDOUT_FILENO, false, on_stdout, on_stdout_end, c};
    struct chr_one_way_config error = {
        c->cfg.loop, "standard error", STDERR_FILENO, false, on_stderr, on_stderr_end, c};
    int r = c->has_terminal ? open_terminal(c) : chr_one_way_create(&c->input, &in);
    if (r == 0 && !c->has_terminal)
        r = chr_one_way_create(&c->outputs[OUTPUT], &out);
    if (r == 0 && !c->is_joined)
        r = chr_one_way_create(&c->outputs[ERROR], &error);
    return r;
}

/* ---- what the kernel prints ---- */

/* The guest waits for the reader, as it does for the reader of a stream; the loop does not. */
static size_t console_write(struct chr_backend *b, const uint8_t *data, size_t len)
{
    struct command *c = container_of(b, struct command, console);
    size_t n = c->shown != NULL ? c->shown->ops->write(c->shown, data, len) : len;
    c->cfg.on_console(c->cfg.ctx, data, n);
    return n;
}

static void on_shown(void *ctx)
{
    const struct command *c = ctx;
    if (c->console.handler != NULL)
        c->console.handler->on_writable(c->console.handler->ctx);
}

static void ignore_count(void *ctx, uint64_t bytes)
{
    (void)ctx;
    (void)bytes;
}

static void ignore_end(void *ctx)
{
    (void)ctx;
}

static int show_console(struct command *c)
{
    if (c->cfg.vm->verbosity == 0)
        return 0;
    int r = chr_one_way_create(&c->shown, &(struct chr_one_way_config){.loop = c->cfg.loop,
                                                                       .name = "standard error",
                                                                       .fd = STDERR_FILENO,
                                                                       .on_moved = ignore_count,
                                                                       .on_end = ignore_end});
    c->shown_handler = (struct chr_handler){.on_writable = on_shown, .ctx = c};
    if (r == 0)
        c->shown->handler = &c->shown_handler;
    return r;
}

static void console_rx_enable(struct chr_backend *b, size_t max)
{
    (void)b;
    (void)max;
}

static const struct chr_backend_ops console_ops = {
    .write = console_write,
    .rx_enable = console_rx_enable,
    .flush = do_nothing,
    .destroy = do_nothing,
};

struct chr_backend *command_console(struct command *c)
{
    return &c->console;
}

/* ---- what the guest gets ---- */

static int make_archive(struct command *c)
{
    struct cpio *archive = &c->archive;
    size_t bytes, program_bytes = (size_t)(command_program_end - command_program);
    cpio_add(archive, COMMAND_FOLDER, S_IFDIR | 0755, NULL, 0);
    cpio_add(archive, COMMAND_PROGRAM, S_IFREG | 0755, command_program, program_bytes);
    char *records = command_records(c->cfg.vm, archive, c->has_terminal ? c->tty->columns : 0,
                                    c->has_terminal ? c->tty->rows : 0, c->is_joined, &bytes);
    if (records == NULL)
        return -ENOMEM;
    cpio_add(archive, COMMAND_FILE, S_IFREG | 0600, records, bytes);
    free(records);
    int r = cpio_end(archive);
    return r < 0 ? fail(r, "command") : 0;
}

const void *command_archive(const struct command *c, size_t *bytes)
{
    *bytes = c->archive.bytes;
    return c->archive.data;
}

char *command_cmdline(const struct command *c, const char *user)
{
    char *line = NULL;
    bool is_loud = c->cfg.vm->verbosity > 0 || linux_cmdline_has(user, "loglevel=");
    int r = asprintf(&line, "rdinit=/" COMMAND_PROGRAM " %s%s", is_loud ? "" : "quiet ", user);
    return r < 0 ? NULL : line;
}

unsigned command_ports(const struct command *c, struct virtio_console_port *ports)
{
    const struct virtio_console_port all[] = {
        {COMMAND_PORT_CONTROL, (struct chr_backend *)(uintptr_t)&c->control, false},
        {COMMAND_PORT_TTY, c->tty, false},
        {COMMAND_PORT_STDIN, c->input, false},
        {COMMAND_PORT_STDOUT, c->outputs[OUTPUT], false},
        {COMMAND_PORT_STDERR, c->outputs[ERROR], false},
    };
    unsigned count = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i].backend != NULL)
            ports[count++] = all[i];
    return count;
}

/* ---- what happens here ---- */

void command_signal(struct command *c, int signo)
{
    if (signo > 0 && signo < SIGNALS_MAX)
        c->signals |= UINT64_C(1) << signo;
    news(c);
}

void command_resized(struct command *c)
{
    if (c->tty == NULL)
        return;
    chr_stdio_resized(c->tty);
    c->size = true;
    news(c);
}

void command_begin(struct command *c)
{
    if (c->tty != NULL)
        chr_stdio_begin(c->tty);
}

void command_flush(struct command *c)
{
    if (c->tty != NULL)
        c->tty->ops->flush(c->tty);
}

bool command_has_begun(const struct command *c)
{
    return atomic_load(&c->has_begun);
}

/* ---- life ---- */

int command_create(struct command **out, const struct command_config *config)
{
    struct command *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return fail(-ENOMEM, "command");
    c->cfg = *config;
    c->control.ops = &control_ops;
    c->console.ops = &console_ops;
    c->tell_later = (struct ev_defer){.cb = tell_all, .ctx = c};
    c->has_terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    c->is_joined =
        is_same(STDOUT_FILENO, STDERR_FILENO) || (c->has_terminal && isatty(STDERR_FILENO));
    int r = open_streams(c);
    if (r == 0)
        r = show_console(c);
    if (r == 0)
        r = make_archive(c);
    if (r < 0) {
        command_destroy(c);
        return r;
    }
    *out = c;
    return 0;
}

void command_destroy(struct command *c)
{
    if (c == NULL)
        return;
    struct chr_backend *const all[] = {c->tty, c->input, c->outputs[OUTPUT], c->outputs[ERROR],
                                       c->shown};
    evloop_defer_cancel(c->cfg.loop, &c->tell_later);
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i] != NULL)
            all[i]->ops->destroy(all[i]);
    free(c->archive.data);
    free(c);
}
