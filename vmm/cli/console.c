// SPDX-License-Identifier: BSD-2-Clause
/* `minivet console`: connects the terminal to a port of a run, which listens for it. */
#include <cJSON.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/text.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/chr.h"
#include "devices/char/chr_path.h"
#include "devices/char/chr_stdio.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"

struct session;

/* One direction: what comes from one end, until the other takes it. */
struct way {
    struct session *session;
    struct chr_backend *from, *to;
    size_t start, count;
    uint8_t held[4096];
};

struct session {
    struct evloop *loop;
    const char *run;          /* its control socket */
    bool is_lost;             /* the run hung up */
    struct evloop_lane *lane; /* for what the run is asked, which may take its time */
    struct ev_work power;
    bool is_pressing;
    struct ev_work tell; /* the terminal's size */
    uint32_t size;       /* columns, rows; 0: it has none */
    uint32_t told;       /* which one the lane has last begun to tell */
    bool is_telling;
    const char *port;
    struct chr_backend *terminal;
    int signal_fd;
    struct ev_fd signals;
    struct way in, out;
};

static void carry(struct way *w)
{
    size_t n = w->to->ops->write(w->to, w->held + w->start, w->count);
    w->start += n;
    w->count -= n;
    w->from->ops->rx_enable(w->from, w->count == 0 ? sizeof(w->held) : 0);
}

static void on_rx(void *ctx, const uint8_t *data, size_t len)
{
    struct way *w = ctx;
    memcpy(w->held, data, len);
    w->start = 0;
    w->count = len;
    carry(w);
}

/* The end that a way comes from is where the other one goes. */
static void on_writable(void *ctx)
{
    struct way *w = ctx;
    carry(w == &w->session->in ? &w->session->out : &w->session->in);
}

static void on_away(void *ctx, bool is_away)
{
    struct way *w = ctx;
    w->session->is_lost |= is_away;
    if (is_away)
        evloop_stop(w->session->loop);
}

static void on_quit(void *ctx)
{
    evloop_stop(((struct session *)ctx)->loop);
}

static void press_power(void *ctx)
{
    const struct session *s = ctx;
    char *words[] = {"power"};
    cJSON *answer = NULL;
    (void)ctl_ask(s->run, words, 1, true, &answer);
    cJSON_Delete(answer);
}

static void on_pressed(void *ctx)
{
    ((struct session *)ctx)->is_pressing = false;
}

static void on_power(void *ctx)
{
    struct session *s = ctx;
    if (!s->is_pressing)
        evloop_lane_submit(s->lane, &s->power);
    s->is_pressing = true;
}

/* ---- the terminal's size ---- */

/* On the lane. An older run does not know the command, and no port has to be a terminal. */
static void tell_size(void *ctx)
{
    struct session *s = ctx;
    char size[24], *words[] = {"console-size", (char *)(uintptr_t)s->port, size};
    cJSON *answer = NULL;
    snprintf(size, sizeof(size), "%ux%u", s->told >> 16, s->told & 0xffff);
    (void)ctl_ask(s->run, words, 3, true, &answer);
    cJSON_Delete(answer);
}

static void begin_telling(struct session *s)
{
    uint32_t size = s->size;
    if (s->is_telling || size == s->told || size == 0)
        return;
    s->told = size;
    s->is_telling = true;
    evloop_lane_submit(s->lane, &s->tell);
}

static void on_told(void *ctx)
{
    struct session *s = ctx;
    s->is_telling = false;
    begin_telling(s);
}

static void on_resize(void *ctx, uint16_t columns, uint16_t rows)
{
    struct session *s = ((struct way *)ctx)->session;
    s->size = (uint32_t)columns << 16 | rows;
    begin_telling(s);
}

static void on_window(void *ctx, uint32_t events)
{
    struct session *s = ctx;
    struct signalfd_siginfo info;
    (void)events;
    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
        chr_stdio_resized(s->terminal);
}

/* Before there are threads. Without it the size is told once. */
static void hear_windows(struct session *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    s->signals = (struct ev_fd){.cb = on_window, .ctx = s, .fd = -1};
}

static void on_signal(int signo)
{
    chr_stdio_restore_terminal();
    raise(signo); /* SA_RESETHAND: the default action now */
}

static void restore_on_signals(void)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS};
    for (unsigned i = 0; i < ARRAY_SIZE(ends); i++)
        sigaction(ends[i],
                  &(struct sigaction){.sa_handler = on_signal,
                                      .sa_flags = (int)SA_RESETHAND | SA_NODEFER},
                  NULL);
}

static int converse(struct session *s, const char *name, const char *path)
{
    struct chr_backend *port = NULL, *terminal = NULL;
    const struct chr_handler at_terminal = {
        .on_rx = on_rx, .on_writable = on_writable, .on_resize = on_resize, .ctx = &s->in};
    const struct chr_handler at_port = {
        .on_rx = on_rx, .on_writable = on_writable, .on_away = on_away, .ctx = &s->out};
    int r = chr_path_create(
        &port, &(struct chr_path_config){s->loop, &clock_host, "console", CHR_SOCKET, path});
    if (r == 0 && port->is_away)
        r = fail_msg(-ENOTCONN, "console %s: nothing takes connections at %s, or too many wait",
                     name, path);
    if (r == 0)
        fprintf(stderr, "minivet: console %s: Ctrl-A x leaves it, Ctrl-A h helps\n", name);
    if (r == 0)
        r = chr_stdio_create(&terminal,
                             &(struct chr_stdio_config){s->loop, STDIN_FILENO, STDOUT_FILENO,
                                                        on_quit, on_power, NULL, s, NULL});
    if (r == 0) {
        s->in = (struct way){.session = s, .from = terminal, .to = port};
        s->out = (struct way){.session = s, .from = port, .to = terminal};
        terminal->handler = &at_terminal;
        port->handler = &at_port;
        s->terminal = terminal;
        chr_stdio_begin(terminal);
        if (s->signal_fd >= 0)
            (void)evloop_fd_add(s->loop, &s->signals, s->signal_fd, EPOLLIN);
        on_resize(&s->in, terminal->columns, terminal->rows);
        carry(&s->in);
        carry(&s->out);
        r = evloop_run(s->loop);
        evloop_fd_del(s->loop, &s->signals);
        terminal->ops->flush(terminal);
    }
    if (terminal != NULL)
        terminal->ops->destroy(terminal);
    if (port != NULL)
        port->ops->destroy(port);
    if (r == 0 && s->is_lost)
        fprintf(stderr, "minivet: console %s: the run has hung up\n", name);
    return r;
}

/* The port of that name; without one the first that is a console, or that there is. */
static const cJSON *choose(const cJSON *ports, const char *name)
{
    const cJSON *port, *found = NULL;
    cJSON_ArrayForEach(port, ports)
    {
        const char *its = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(port, "port"));
        bool is_console = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(port, "console"));
        if (name != NULL ? its != NULL && strcmp(its, name) == 0 : is_console)
            return port;
        if (name == NULL && found == NULL)
            found = port;
    }
    return found;
}

static int connect_to(const char *run, const cJSON *ports, const char *name)
{
    struct session s = {.run = run, .signal_fd = -1};
    const cJSON *port = choose(ports, name);
    char *its = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(port, "port"));
    const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(port, "path"));
    if (its == NULL || path == NULL)
        return fail_msg(-ENOENT,
                        "console: no port%s%s of the run listens: give it --console virtio "
                        "--port %s,listen=PATH,console=on",
                        name != NULL ? " " : "", name != NULL ? name : "",
                        name != NULL ? name : "NAME");
    char *given = strdup(its); /* as the run knows it */
    text_neutralize(its);
    s.port = given;
    hear_windows(&s);
    int r = evloop_create(&s.loop, "console", &clock_host);
    if (r == 0)
        r = evloop_lane_create(&s.lane, s.loop, "console");
    if (r < 0) {
        evloop_destroy(s.loop);
        free(given);
        return fail(r, "console: event loop");
    }
    s.tell = (struct ev_work){.run = tell_size, .done = on_told, .ctx = &s};
    s.power = (struct ev_work){.run = press_power, .done = on_pressed, .ctx = &s};
    restore_on_signals();
    r = converse(&s, its, path);
    evloop_drain(s.loop);
    evloop_lane_destroy(s.lane);
    evloop_destroy(s.loop);
    if (s.signal_fd >= 0)
        close(s.signal_fd);
    free(given);
    return r;
}

static int print_help(void)
{
    puts("usage: minivet console PID|PATH [PORT]\n\n"
         "Connects the terminal to a port of a running guest: that of `minivet run --console "
         "virtio\n"
         "--port PORT,listen=SOCKET`, by default the first that has console=on. The run is named "
         "by\n"
         "its process (see `minivet ps`) or by its control socket. Ctrl-A x leaves the port to\n"
         "others, Ctrl-A p presses the guest's power button. A terminal of the guest (console=on) "
         "has\n"
         "the size of yours. The exit status is 0, or 1 if there is no such port.");
    return 0;
}

int cli_console(int argc, char **argv)
{
    char place[CTL_SOCKET_BYTES];
    char *words[] = {"console"};
    cJSON *answer = NULL;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return print_help();
    if (argc < 2 || argc > 3) {
        fail_msg(0, "console: give the PID or the control socket of a run, and the port's name; "
                    "`minivet ps` lists runs");
        return EXIT_USAGE;
    }
    const char *run = ctl_find_socket(argv[1], place);
    int r = ctl_ask(run, words, 1, false, &answer);
    if (r == 0)
        r = connect_to(run, cJSON_GetObjectItemCaseSensitive(answer, "result"),
                       argc == 3 ? argv[2] : NULL);
    cJSON_Delete(answer);
    return r < 0 ? EXIT_FAILURE : 0;
}
