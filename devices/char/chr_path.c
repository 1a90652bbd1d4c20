// SPDX-License-Identifier: BSD-2-Clause
#include "devices/char/chr_path.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/output/own_file.h"
#include "core/peers/foreign_connect.h"
#include "core/peers/foreign_fd.h"
#include "core/peers/peer.h"
#include "core/peers/unix_listener.h"
#include "core/ports/chr.h"

#define AGAIN_NS   UINT64_C(500000000)
#define LOOK_NS    UINT64_C(50000000)
#define TURN_BYTES 65536u
#define RX_BYTES   16384u
#define PATH_BYTES 4096u
#define PTYS       "/dev/pts/"

struct chr_path {
    struct chr_backend b;
    struct chr_path_config cfg;
    struct unix_listener socket;
    struct ev_fd listener;
    struct ev_timer again; /* to connect or listen, or to look for a process's end */

    /* -1: there is none. A socket, or a terminal, is in both, the second time as a duplicate. */
    int in_fd, out_fd;
    int tty_fd; /* the other end of a terminal, which keeps it from hanging up */
    struct ev_fd in, out;
    struct ev_defer end; /* the process has gone, or nothing can be written any more */
    size_t rx_max;
    uint32_t in_events; /* that are wanted */
    bool in_ended;      /* the process sends no more, but may read */
    bool looks;         /* the loop cannot wait for its end, and a clock says when to look */
    char tty[64];       /* the terminal's name */
};

static struct chr_path *path_of(struct chr_backend *b)
{
    return container_of(b, struct chr_path, b);
}

static bool is_socket(const struct chr_path *c)
{
    return c->cfg.kind == CHR_LISTEN || c->cfg.kind == CHR_SOCKET;
}

static void after(struct chr_path *c, uint64_t ns)
{
    evloop_timer_set(c->cfg.loop, &c->again, clock_now_ns(c->cfg.clock) + ns);
}

static void leave_loop(struct chr_path *c)
{
    if (c->cfg.loop == NULL)
        return;
    evloop_fd_del(c->cfg.loop, &c->in);
    evloop_fd_del(c->cfg.loop, &c->out);
    evloop_timer_cancel(c->cfg.loop, &c->again);
    evloop_defer_cancel(c->cfg.loop, &c->end);
}

static void close_fds(struct chr_path *c)
{
    leave_loop(c);
    if (c->out_fd >= 0)
        close(c->out_fd);
    if (c->in_fd >= 0 && is_socket(c))
        foreign_socket_close(c->in_fd);
    else if (c->in_fd >= 0)
        close(c->in_fd);
    c->in_fd = c->out_fd = -1;
}

/* ---- to the outside ---- */

/* How many bytes were taken, or a negative errno. */
static ssize_t put(struct chr_path *c, const uint8_t *data, size_t len)
{
    ssize_t n = is_socket(c) ? send(c->out_fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                             : write(c->out_fd, data, len);
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
}

/* What nobody will read is taken, too. */
static size_t path_write(struct chr_backend *b, const uint8_t *data, size_t len)
{
    struct chr_path *c = path_of(b);
    size_t done = 0;
    ssize_t n = 1;
    if (c->out_fd < 0)
        return len;
    for (; n > 0 && done<len; done += n> 0 ? (size_t)n : 0)
        n = put(c, data + done, len - done);
    if (done < len && n == 0 && !c->out.armed)
        n = evloop_fd_add(c->cfg.loop, &c->out, c->out_fd, EPOLLOUT);
    if (n >= 0)
        return done;
    if (!is_socket(c) && !c->end.queued)
        log_warn("%s: %s; what the guest writes there from here on is lost", c->cfg.name,
                 strerror((int)-n));
    evloop_defer(c->cfg.loop, &c->end); /* not from within the device's call */
    return len;
}

static void on_out(void *ctx, uint32_t events)
{
    struct chr_path *c = ctx;
    (void)events;
    evloop_fd_del(c->cfg.loop, &c->out);
    if (c->b.handler != NULL)
        c->b.handler->on_writable(c->b.handler->ctx);
}

/* ---- from the outside ---- */

/* An end is told even if nothing is wanted, so that a process is missed when it has gone. */
static void watch(struct chr_path *c)
{
    uint32_t want = 0;
    if (c->rx_max > 0 && !c->in_ended)
        want = EPOLLIN;
    else if (is_socket(c) && !c->looks)
        want = EPOLLPRI; /* which never comes */
    if (c->in_fd < 0 || want == c->in_events)
        return;
    int err = 0;
    c->in_events = want;
    if (want == 0)
        evloop_fd_del(c->cfg.loop, &c->in);
    else if (c->in.armed)
        err = evloop_fd_set(c->cfg.loop, &c->in, want);
    else
        err = evloop_fd_add(c->cfg.loop, &c->in, c->in_fd, want);
    if (err < 0)
        evloop_defer(c->cfg.loop, &c->end);
}

static void path_rx_enable(struct chr_backend *b, size_t max)
{
    struct chr_path *c = path_of(b);
    c->rx_max = max;
    watch(c);
}

/* Has the process gone, and is all read that it has sent? If not, a clock says when to look again:
 * the loop would tell of such a socket for ever. */
static void look(struct chr_path *c)
{
    struct pollfd p = {.fd = c->in_fd, .events = POLLRDHUP};
    uint8_t byte;
    if (poll(&p, 1, 0) <= 0)
        return;
    bool is_over = (p.revents & (POLLHUP | POLLERR)) != 0;
    if (is_over && (c->in_ended || recv(c->in_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)) {
        evloop_defer(c->cfg.loop, &c->end);
        return;
    }
    c->looks = true;
    watch(c);
    after(c, LOOK_NS);
}

static void receive(struct chr_path *c)
{
    uint8_t bytes[RX_BYTES];
    ssize_t n = 1;
    for (size_t done = 0; n > 0 && c->rx_max > 0 && done < TURN_BYTES; done += (size_t)n) {
        size_t len = min_u64(c->rx_max, sizeof(bytes));
        if (is_socket(c)) {
            n = foreign_socket_receive(c->in_fd, bytes, len, NULL);
        } else {
            n = read(c->in_fd, bytes, len);
            n = n < 0 ? -errno : n;
        }
        if (n > 0)
            c->b.handler->on_rx(c->b.handler->ctx, bytes, (size_t)n);
    }
    if (n > 0 || n == -EAGAIN || n == -EINTR)
        return;
    c->in_ended = true;
    if (n == 0 && is_socket(c))
        look(c);
    else
        evloop_defer(c->cfg.loop, &c->end);
    watch(c);
}

static void on_in(void *ctx, uint32_t events)
{
    struct chr_path *c = ctx;
    (void)events;
    if (c->rx_max > 0 && !c->in_ended)
        receive(c);
    else if (is_socket(c))
        look(c);
}

/* ---- processes come and go ---- */

static void wait_for_another(struct chr_path *c);

static void set_away(struct chr_path *c, bool is_away)
{
    c->b.is_away = is_away;
    if (c->b.handler != NULL)
        c->b.handler->on_away(c->b.handler->ctx, is_away);
}

static void on_end(void *ctx)
{
    struct chr_path *c = ctx;
    close_fds(c);
    if (!is_socket(c))
        return;
    set_away(c, true);
    if (c->cfg.kind == CHR_LISTEN)
        wait_for_another(c);
    else /* it may hang up at once, again and again */
        after(c, AGAIN_NS);
}

/* Of any other user's process it is closed. */
static bool take(struct chr_path *c, int fd)
{
    foreign_socket_open(fd);
    c->in_fd = fd;
    c->out_fd = peer_check(fd, NULL) == 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (c->out_fd < 0) {
        close_fds(c);
        return false;
    }
    c->in_ended = c->looks = false;
    c->in_events = 0;
    evloop_fd_del(c->cfg.loop, &c->listener);
    set_away(c, false);
    watch(c);
    return true;
}

static void on_accept(void *ctx, uint32_t events)
{
    struct chr_path *c = ctx;
    (void)events;
    bool full = foreign_fds_left() >= FOREIGN_FDS_MAX;
    int fd = full ? -1 : accept4(c->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (full || (fd < 0 && errno != EAGAIN && errno != EINTR)) { /* ready until there is one */
        evloop_fd_del(c->cfg.loop, &c->listener);
        after(c, AGAIN_NS);
    }
    if (fd >= 0)
        take(c, fd);
}

static bool connect_now(struct chr_path *c)
{
    bool full = foreign_fds_left() >= FOREIGN_FDS_MAX;
    int fd = full ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    foreign_socket_refuse(fd);
    if (foreign_connect_now(fd, c->cfg.path) == 0)
        return take(c, fd);
    close(fd);
    return false;
}

static void wait_for_another(struct chr_path *c)
{
    bool waits = c->cfg.kind == CHR_LISTEN
                     ? evloop_fd_add(c->cfg.loop, &c->listener, c->socket.fd, EPOLLIN) == 0
                     : connect_now(c);
    if (!waits)
        after(c, AGAIN_NS);
}

static void on_again(void *ctx)
{
    struct chr_path *c = ctx;
    if (c->in_fd >= 0)
        look(c);
    else
        wait_for_another(c);
}

/* ---- life ---- */

/* Another user's FIFO has another user at its other end. */
static int open_fifo(const char *path, const char *ending)
{
    char name[PATH_BYTES];
    struct stat st;
    if (snprintf(name, sizeof(name), "%s%s", path, ending) >= (int)sizeof(name))
        return -ENAMETOOLONG;
    int fd = open(name, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && (st.st_uid == geteuid() || st.st_uid == 0))
        return fd;
    close(fd);
    return -EPERM;
}

/* For both directions, so that neither ends when the process at the other end does. */
static int open_pipe(struct chr_path *c)
{
    c->in_fd = open_fifo(c->cfg.path, ".in");
    c->out_fd = open_fifo(c->cfg.path, ".out");
    int err = c->in_fd < 0 ? c->in_fd : c->out_fd;
    if (err == -ENOENT)
        return fail(err, "%s: `mkfifo %s.in %s.out` makes what it takes", c->cfg.name, c->cfg.path,
                    c->cfg.path);
    return err < 0 ? fail(err, "%s: %s.in, .out", c->cfg.name, c->cfg.path) : 0;
}

/* The first bytes of the name. */
static bool links_to(const char *path, const char *name, size_t bytes)
{
    char to[64];
    ssize_t n = readlink(path, to, sizeof(to) - 1);
    if (n < 0)
        return false;
    to[n] = '\0';
    return strncmp(to, name, bytes) == 0;
}

/* Every byte is the guest's, and none is echoed. */
static int open_pty(struct chr_path *c)
{
    struct termios raw;
    c->in_fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (c->in_fd < 0 || grantpt(c->in_fd) < 0 || unlockpt(c->in_fd) < 0)
        return -errno;
    int err = ptsname_r(c->in_fd, c->tty, sizeof(c->tty));
    if (err != 0)
        return -err;
    c->tty_fd = open(c->tty, O_RDWR | O_NOCTTY | O_CLOEXEC);
    c->out_fd = fcntl(c->in_fd, F_DUPFD_CLOEXEC, 3);
    if (c->tty_fd < 0 || c->out_fd < 0 || tcgetattr(c->tty_fd, &raw) < 0)
        return -errno;
    cfmakeraw(&raw);
    if (tcsetattr(c->tty_fd, TCSANOW, &raw) < 0)
        return -errno;
    if (links_to(c->cfg.path, PTYS, strlen(PTYS))) /* a run has left it behind */
        unlink(c->cfg.path);
    return symlink(c->tty, c->cfg.path) < 0 ? -errno : 0;
}

static int open_path(struct chr_path *c)
{
    int err = 0;
    switch (c->cfg.kind) {
    case CHR_LISTEN:
        err = unix_listen(&c->socket, c->cfg.path, 1);
        break;
    case CHR_PIPE:
        return open_pipe(c);
    case CHR_PTY:
        err = open_pty(c);
        break;
    case CHR_FILE:
        c->out_fd = own_file_open(AT_FDCWD, c->cfg.path, O_WRONLY | O_APPEND, 0600);
        err = c->out_fd < 0 ? c->out_fd : 0;
        break;
    default:
        break;
    }
    return err < 0 ? fail(err, "%s: %s", c->cfg.name, c->cfg.path) : 0;
}

static void path_flush(struct chr_backend *b)
{
    (void)b; /* it holds nothing */
}

void chr_path_stop(struct chr_backend *b)
{
    struct chr_path *c = path_of(b);
    leave_loop(c);
    if (c->cfg.loop != NULL)
        evloop_fd_del(c->cfg.loop, &c->listener);
    c->cfg.loop = NULL;
}

static void path_destroy(struct chr_backend *b)
{
    struct chr_path *c = path_of(b);
    chr_path_stop(b);
    close_fds(c);
    unix_unlisten(&c->socket);
    if (c->tty[0] != '\0' && links_to(c->cfg.path, c->tty, sizeof(c->tty)))
        unlink(c->cfg.path);
    if (c->tty_fd >= 0)
        close(c->tty_fd);
    free(c);
}

static const struct chr_backend_ops path_ops = {
    .write = path_write,
    .rx_enable = path_rx_enable,
    .flush = path_flush,
    .destroy = path_destroy,
};

int chr_path_open(struct chr_backend **out, const struct chr_path_config *config)
{
    struct chr_path *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return fail(-ENOMEM, "%s", config->name);
    *c = (struct chr_path){.b.ops = &path_ops, .cfg = *config};
    c->in_fd = c->out_fd = c->tty_fd = c->socket.fd = -1;
    c->in = (struct ev_fd){.cb = on_in, .ctx = c};
    c->out = (struct ev_fd){.cb = on_out, .ctx = c};
    c->listener = (struct ev_fd){.cb = on_accept, .ctx = c};
    c->again = (struct ev_timer){.cb = on_again, .ctx = c};
    c->end = (struct ev_defer){.cb = on_end, .ctx = c};
    c->b.is_away = is_socket(c);
    int err = open_path(c);
    if (err < 0) {
        path_destroy(&c->b);
        return err;
    }
    *out = &c->b;
    return 0;
}

void chr_path_start(struct chr_backend *b, struct evloop *loop)
{
    struct chr_path *c = path_of(b);
    c->cfg.loop = loop;
    if (is_socket(c))
        wait_for_another(c);
}

int chr_path_create(struct chr_backend **out, const struct chr_path_config *config)
{
    int err = chr_path_open(out, config);
    if (err == 0)
        chr_path_start(*out, config->loop);
    return err;
}
