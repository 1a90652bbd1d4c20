// SPDX-License-Identifier: BSD-2-Clause
/* The child's own part: frames from the network to the wire, and from the wire to the network. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/loop/evloop.h"
#include "core/ports/net.h"
#include "devices/net/socket/net_socket.h"
#include "devices/net/user/net_child.h"

#define FRAMES_A_TURN 256u /* from the wire, before sockets have their turn */

struct pump {
    struct evloop *loop;
    struct net_backend *user, *wire;
    struct ev_defer again;
    bool opened;
    size_t held; /* bytes of a packet that the wire had no room for */
    uint8_t out[NET_PACKET_MAX], in[NET_PACKET_MAX];
};

/* What the wire has no room for stays with the network, and with its peers. */
static void move_out(void *ctx, unsigned pair)
{
    struct pump *p = ctx;
    for (;;) {
        struct iovec iov = {p->out, sizeof(p->out)};
        ssize_t n = p->held > 0 ? (ssize_t)p->held : p->user->ops->receive(p->user, pair, &iov, 1);
        if (n == -EAGAIN)
            return;
        p->held = 0;
        if (n < 0)
            continue;
        iov.iov_len = (size_t)n;
        if (p->wire->ops->send(p->wire, pair, &iov, 1) == -EAGAIN) {
            p->held = (size_t)n;
            return;
        }
    }
}

static void move_in(void *ctx, unsigned pair)
{
    struct pump *p = ctx;
    for (unsigned i = 0; i < FRAMES_A_TURN; i++) {
        struct iovec iov = {p->in, sizeof(p->in)};
        ssize_t n = p->wire->ops->receive(p->wire, pair, &iov, 1);
        if (n == -EAGAIN)
            return;
        iov.iov_len = n > 0 ? (size_t)n : 0;
        if (n > 0)
            (void)p->user->ops->send(p->user, pair, &iov, 1);
    }
    evloop_defer(p->loop, &p->again);
}

static void move_in_again(void *ctx)
{
    move_in(ctx, 0);
}

static void on_link(void *ctx)
{
    struct pump *p = ctx;
    if (!p->wire->info.link_up)
        evloop_stop(p->loop);
}

static int open_wire(void *ctx)
{
    struct pump *p = ctx;
    static const uint32_t ready; /* a length of zero */
    if (p->opened || write(NET_CHILD_FD, &ready, sizeof(ready)) != (ssize_t)sizeof(ready))
        return -EPIPE;
    p->opened = true;
    return NET_CHILD_FD;
}

static int create_wire(struct pump *p, const struct clock *clock)
{
    return net_socket_create(&p->wire, &(struct net_socket_config){.loop = p->loop,
                                                                   .clock = clock,
                                                                   .name = "user",
                                                                   .open_first = open_wire,
                                                                   .open = open_wire,
                                                                   .ctx = p,
                                                                   .headers_in = true});
}

static int pump_all(struct pump *p)
{
    p->user->ops->set_offloads(p->user, NET_CSUM);
    p->user->handler = (struct net_handler){.on_rx = move_out, .ctx = p};
    p->wire->handler = (struct net_handler){
        .on_rx = move_in, .on_writable = move_out, .on_link = on_link, .ctx = p};
    move_out(p, 0); /* from now on each tells when there is something */
    move_in(p, 0);
    int err = evloop_run(p->loop);
    evloop_defer_cancel(p->loop, &p->again);
    p->wire->ops->destroy(p->wire);
    return err;
}

int net_child_run(struct evloop *loop, const struct clock *clock, struct net_backend *user)
{
    struct pump *p = calloc(1, sizeof(*p));
    int err = p != NULL ? 0 : fail(-ENOMEM, "user network");
    if (p != NULL) {
        p->loop = loop;
        p->user = user;
        p->again = (struct ev_defer){.cb = move_in_again, .ctx = p};
        err = create_wire(p, clock);
        if (err == 0)
            err = pump_all(p);
    }
    user->ops->destroy(user);
    free(p);
    return err != 0;
}
