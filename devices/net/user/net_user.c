// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/user/net_user.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/descriptors.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "devices/net/net_frame.h"
#include "devices/net/user/net_user_impl.h"

#define QUEUE_BYTES (1 * MIB)
#define NS_PER_MS   UINT64_C(1000000)
#define NS_PER_S    (1000 * NS_PER_MS)
#define MTU_MIN     1280u

/*
 * Segments that may wait in libslirp for what is before them, divided by the connections that there
 * are when they come: each is kept in a buffer for a frame of the MTU. Where connections are made
 * one after the other, all of them may have five times as many.
 */
#define AHEAD_SEGMENTS 1024u

/*
 * Connections to guestfwd's ports that the guest does not complete: libslirp keeps each for up to
 * 10 minutes, with its buffers, and without a descriptor that would be counted. One that is
 * completed has a descriptor, and gives its seconds back.
 */
#define HALF_OPEN_S      600u
#define HALF_OPEN_EACH_S 4u

/* libslirp counts turns that are half a second apart, or up to twice as far. */
#define TICKS 2u

static struct net_user *user_of(struct net_backend *b)
{
    return container_of(b, struct net_user, b);
}

/* ---- what libslirp asks of us ---- */

/* A full queue loses packets, as a wire may: TCP sends them again. */
static ssize_t send_packet(const void *frame, size_t bytes, void *opaque)
{
    struct net_user *u = opaque;
    uint8_t *packet = NULL;
    user_flow_answer(&u->flows, frame, bytes);
    user_asks_answer(&u->asks, frame, bytes, clock_now_ns(u->clock));
    user_leases_answer(&u->leases, frame, bytes);
    if (bytes <= NET_PACKET_MAX - NET_HEADER_BYTES)
        packet = net_queue_reserve(&u->queue, (uint32_t)(NET_HEADER_BYTES + bytes));
    if (!packet)
        return (ssize_t)bytes;
    memset(packet, 0, NET_HEADER_BYTES);
    if (u->to_guest & NET_CSUM)
        packet[NET_HDR_FLAGS] = NET_HDR_DATA_VALID; /* it has just been computed */
    memcpy(packet + NET_HEADER_BYTES, frame, bytes);
    net_queue_commit(&u->queue, (uint32_t)(NET_HEADER_BYTES + bytes), 0);
    evloop_defer(u->loop, &u->turn);
    return (ssize_t)bytes;
}

static void guest_error(const char *message, void *opaque)
{
    struct net_user *u = opaque;
    log_guest(&u->errors, "user network: %s", message);
}

static int64_t clock_get_ns(void *opaque)
{
    const struct net_user *u = opaque;
    return (int64_t)clock_now_ns(u->clock);
}

struct user_timer {
    struct ev_timer ev;
    SlirpTimerCb cb;
    void *ctx;
};

static void on_slirp_timer(void *ctx)
{
    struct user_timer *t = ctx;
    t->cb(t->ctx);
}

/* Called while the network is made, once: of router advertisements. */
static void *timer_new(SlirpTimerCb cb, void *ctx, void *opaque)
{
    struct user_timer *t = calloc(1, sizeof(*t));
    (void)opaque;
    if (!t)
        return NULL;
    *t = (struct user_timer){.cb = cb, .ctx = ctx, .ev = {.cb = on_slirp_timer, .ctx = t}};
    return t;
}

static void timer_free(void *timer, void *opaque)
{
    struct net_user *u = opaque;
    struct user_timer *t = timer;
    if (t)
        evloop_timer_cancel(u->loop, &t->ev);
    free(t);
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    struct net_user *u = opaque;
    struct user_timer *t = timer;
    if (t)
        evloop_timer_set(u->loop, &t->ev, (uint64_t)expire_ms * NS_PER_MS);
}

static void notify(void *opaque)
{
    struct net_user *u = opaque;
    evloop_defer(u->loop, &u->turn);
}

static const SlirpCb callbacks = {
    .send_packet = send_packet,
    .guest_error = guest_error,
    .clock_get_ns = clock_get_ns,
    .timer_new = timer_new,
    .timer_free = timer_free,
    .timer_mod = timer_mod,
    .register_poll_fd = user_register_fd,
    .unregister_poll_fd = user_unregister_fd,
    .notify = notify,
};

/* ---- what a device asks of us ---- */

static void on_turn(void *ctx)
{
    struct net_user *u = ctx;
    user_turn(u);
    if (u->starved && u->queue.count > 0) {
        u->starved = false;
        net_tell_rx(&u->b, 0);
    }
}

static void input(struct net_user *u, const struct user_vet *vet, const uint8_t *frame,
                  size_t bytes, uint64_t now_ns)
{
    unsigned open = u->open;
    unsigned forward = user_forward_flags(vet, frame);
    if ((forward & (USER_TCP_SYN | USER_TCP_ACK)) == USER_TCP_SYN) {
        bucket_spend(&u->half_open, HALF_OPEN_EACH_S, now_ns);
        u->clocks_ns = max_u64(u->clocks_ns, now_ns + TICKS * HALF_OPEN_S * NS_PER_S);
    }
    u->call.input(u->slirp, frame, (int)bytes);
    if (forward != 0 && u->open > open)
        bucket_refund(&u->half_open, HALF_OPEN_EACH_S);
}

static int net_user_send(struct net_backend *b, unsigned pair, const struct iovec *iov,
                         unsigned count)
{
    struct net_user *u = user_of(b);
    uint8_t *frame = u->packet + NET_HEADER_BYTES;
    (void)pair;
    ssize_t bytes = net_frame_copy(u->packet, iov, count);
    if (bytes < 0 || net_frame_fill_csum(u->packet, (size_t)bytes) < 0)
        return 0;
    uint64_t now_ns = user_catch_up(u);
    const struct user_vet vet = {
        .net = u->net,
        .mask = u->mask,
        .host = u->host,
        .dns = u->dns,
        .flows = &u->flows,
        .ahead = AHEAD_SEGMENTS / (u->open + 1),
        .full = user_is_full(u),
        .half_open = bucket_opens_ns(&u->half_open, HALF_OPEN_S * NS_PER_S) <= now_ns,
        .no_loopback = u->no_loopback,
    };
    size_t kept = user_vet(&vet, frame, (size_t)bytes - NET_HEADER_BYTES);
    if (kept > 0 && user_asks_allow(&u->asks, frame, now_ns) &&
        user_leases_allow(&u->leases, frame, kept))
        input(u, &vet, frame, kept, now_ns);
    evloop_defer(u->loop, &u->turn);
    return 0;
}

static ssize_t net_user_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                                unsigned count)
{
    struct net_user *u = user_of(b);
    bool was_congested = u->queue.used > u->queue.size / 2;
    (void)pair;
    ssize_t bytes = net_queue_receive(&u->queue, iov, count);
    u->starved = bytes == -EAGAIN;
    if (was_congested)
        evloop_defer(u->loop, &u->turn); /* sockets may be read again */
    return bytes;
}

static void net_user_set_offloads(struct net_backend *b, unsigned to_guest)
{
    user_of(b)->to_guest = to_guest;
}

static void net_user_destroy(struct net_backend *b)
{
    struct net_user *u = user_of(b);
    user_poll_end(u);
    if (u->slirp)
        u->call.cleanup(u->slirp);
    user_outlets_close(u);
    evloop_defer_cancel(u->loop, &u->turn);
    evloop_timer_cancel(u->loop, &u->timer);
    net_queue_fini(&u->queue);
    free(u);
}

static const struct net_backend_ops net_user_ops = {
    .send = net_user_send,
    .receive = net_user_receive,
    .set_offloads = net_user_set_offloads,
    .destroy = net_user_destroy,
};

/* ---- making it ---- */

/* An address of IPv6 is one of IPv6 alone, whatever the host thinks of "any". */
static int open_host_forward(struct net_user *u, const struct net_user_forward *f)
{
    int udp = f->kind == NET_USER_HOST_UDP ? SLIRP_HOSTFWD_UDP : 0;
    if (!f->ipv6)
        return u->call.add_hostfwd(u->slirp, udp, f->host, f->host_port, f->guest, f->guest_port);
    const struct sockaddr_in6 host = {
        .sin6_family = AF_INET6, .sin6_addr = f->host6, .sin6_port = htons(f->host_port)};
    const struct sockaddr_in6 guest = {
        .sin6_family = AF_INET6, .sin6_addr = f->guest6, .sin6_port = htons(f->guest_port)};
    return u->call.add_hostxfwd(u->slirp, (const struct sockaddr *)&host, sizeof(host),
                                (const struct sockaddr *)&guest, sizeof(guest),
                                udp | SLIRP_HOSTFWD_V6ONLY);
}

static int add_host_forward(struct net_user *u, const struct net_user_forward *f)
{
    if (open_host_forward(u, f) == 0)
        return 0;
    int err = errno;
    const char *remedy = "";
    if (err == EACCES)
        remedy = " (ports below 1024 are root's: take a higher one)";
    else if (err == EADDRINUSE)
        remedy = " (another program has that port: take another)";
    else if (err == EADDRNOTAVAIL)
        remedy = " (the host has no such address)";
    return fail(-err, "user network: hostfwd=%s%s", f->text, remedy);
}

/* A missing program is reported now, not whenever the guest connects. */
static int check_command(const struct net_user_forward *f)
{
    char program[PATH_MAX];
    size_t len = strcspn(f->target, " \t\"'\\");
    bool is_plain = f->target[len] == '\0' || f->target[len] == ' ';
    if (f->target[0] != '/' || !is_plain || len >= sizeof(program))
        return 0; /* a shell's word, or looked for in PATH: libslirp sees to that */
    memcpy(program, f->target, len);
    program[len] = '\0';
    return access(program, X_OK) == 0
               ? 0
               : fail(-errno, "user network: guestfwd=%s: %s", f->text, program);
}

static int add_guest_forward(struct net_user *u, const struct net_user_forward *f,
                             const struct cancel *cancel)
{
    struct in_addr addr = f->guest;
    const char *target = f->target;
    u->half_open.per_s = 1;
    int err =
        f->kind == NET_USER_COMMAND ? check_command(f) : user_outlet_make(u, f, cancel, &target);
    if (err != 0)
        return err;
    int r = f->kind == NET_USER_COMMAND ? u->call.add_exec(u->slirp, target, &addr, f->guest_port)
                                        : u->call.add_unix(u->slirp, target, &addr, f->guest_port);
    if (r == 0)
        return 0;
    return fail_msg(-EINVAL,
                    "user network: guestfwd=%s: give an address of the guest's network that is "
                    "neither the host's nor the name server's, and each port once",
                    f->text);
}

static int add_forwards(struct net_user *u, const struct net_user_config *config)
{
    int err = 0;
    for (unsigned i = 0; i < config->forward_count && err == 0; i++) {
        const struct net_user_forward *f = &config->forwards[i];
        bool to_guest = f->kind == NET_USER_HOST_TCP || f->kind == NET_USER_HOST_UDP;
        err = to_guest ? add_host_forward(u, f) : add_guest_forward(u, f, config->cancel);
    }
    return err;
}

static struct in_addr or_nth(struct in_addr addr, struct in_addr net, uint32_t n)
{
    return addr.s_addr != 0 ? addr : (struct in_addr){htonl(ntohl(net.s_addr) + n)};
}

void net_user_addresses(const struct net_user_config *config, struct net_user_addresses *out)
{
    bool is_said = config->mask.s_addr != 0;
    out->net = is_said ? config->net : (struct in_addr){htonl(0x0a000200)};
    out->mask = is_said ? config->mask : (struct in_addr){htonl(0xffffff00)};
    out->host = or_nth(config->host, out->net, 2);
    out->dns = or_nth(config->dns, out->net, 3);
    out->guest = or_nth((struct in_addr){0}, out->net, 15);
}

static bool is_inside(const struct net_user *u, struct in_addr addr)
{
    return (addr.s_addr & u->mask.s_addr) == u->net.s_addr;
}

static int make_slirp(struct net_user *u, const struct net_user_config *config)
{
    struct net_user_addresses a;
    net_user_addresses(config, &a);
    SlirpConfig c = {
        .version = 4,
        .restricted = config->restricted,
        .in_enabled = true,
        .vnetwork = u->net = a.net,
        .vnetmask = u->mask = a.mask,
        .vhost = u->host = a.host,
        .vnameserver = u->dns = a.dns,
        .vdhcp_start = a.guest,
        .in6_enabled = !config->no_ipv6,
        .vprefix_len = 64,
        .vhostname = config->hostname,
        .if_mtu = u->b.info.mtu_bytes,
        .if_mru = u->b.info.mtu_bytes,
        .disable_host_loopback = config->no_loopback,
    };
    inet_pton(AF_INET6, "fec0::", &c.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &c.vhost6);
    inet_pton(AF_INET6, "fec0::3", &c.vnameserver6);
    if (c.vhost.s_addr == c.vnameserver.s_addr || !is_inside(u, c.vhost) ||
        !is_inside(u, c.vnameserver))
        return fail_msg(-EINVAL, "user network: host= and dns= are two addresses inside of net=");
    u->slirp = u->call.new(&c, &callbacks, u);
    return u->slirp ? 0 : fail(-ENOMEM, "user network");
}

static int init(struct net_user *u, const struct net_user_config *config)
{
    uint32_t mtu = config->mtu ? config->mtu : NET_USER_MTU;
    u->b.ops = &net_user_ops;
    u->b.info = (struct net_info){
        .to_host = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN,
        .to_guest = NET_CSUM,
        .pairs = 1,
        .mtu_bytes = mtu,
        .link_up = true,
    };
    u->loop = config->loop;
    u->clock = config->clock;
    u->turn = (struct ev_defer){.cb = on_turn, .ctx = u};
    u->timer = (struct ev_timer){.cb = on_turn, .ctx = u};
    u->no_loopback = config->no_loopback;
    if (mtu < MTU_MIN || mtu > NET_USER_MTU)
        return fail_msg(-EINVAL, "user network: mtu=%u: it is %u to %u", mtu, MTU_MIN,
                        NET_USER_MTU);
    if (net_queue_init(&u->queue, QUEUE_BYTES) < 0)
        return fail(-ENOMEM, "user network");
    (void)descriptors_allow();
    int err = slirp_calls_load(&u->call);
    if (err == 0)
        err = make_slirp(u, config);
    if (err == 0)
        err = add_forwards(u, config);
    u->idle_open = u->open;
    evloop_defer(u->loop, &u->turn);
    return err;
}

int net_user_create(struct net_backend **out, const struct net_user_config *config)
{
    struct net_user *u = calloc(1, sizeof(*u));
    if (!u)
        return fail(-ENOMEM, "user network");
    int err = init(u, config);
    if (err < 0)
        net_user_destroy(&u->b);
    else
        *out = &u->b;
    return err;
}
