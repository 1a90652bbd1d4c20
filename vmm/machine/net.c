// SPDX-License-Identifier: BSD-2-Clause
/*
 * A network card: what carries its packets (a way to the host or to another machine, and in front
 * of it what records them, makes it slower, or loses some) and the device; or a server that does
 * all the work.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/loop/cancel.h"
#include "core/output/facts.h"
#include "core/ports/net.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"
#include "devices/net/filter/net_fault.h"
#include "devices/net/filter/net_limit.h"
#include "devices/net/filter/net_pcap.h"
#include "devices/net/net_loopback.h"
#include "devices/net/net_null.h"
#include "devices/net/socket/net_socket.h"
#include "devices/net/tap/net_tap.h"
#include "devices/net/user/net_child.h"
#include "devices/net/user/net_user.h"
#include "virtio/net/net.h"
#include "virtio/net/vhost_user_net.h"
#include "virtio/vhost/vhost_net.h"
#include "vmm/config/config.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/virtio_devices.h"
#include "vmm/report/stats.h"

_Static_assert(CONFIG_MAX_NETS <= STATS_MAX_NETS, "statistics of each");

struct net {
    struct net_backend *wire;
    struct virtio_net *net;
    struct vhost_net *vhost;
    int taps[CONFIG_MAX_PAIRS]; /* of which vhost has the packets */
    struct vhost_user_device *vhost_user;
};

/* ---- what carries the packets ---- */

static int create_user(struct net_backend **out, const struct net_config *c, struct evloop *loop,
                       const struct cancel *cancel)
{
    if (c->user.isolated)
        return net_child_create(
            out, &(struct net_child_config){.loop = loop,
                                            .clock = &clock_host,
                                            .option = c->option,
                                            .cancel = cancel,
                                            .mtu = c->mtu_bytes ? c->mtu_bytes : NET_USER_MTU});
    struct net_user_config user = c->user;
    user.loop = loop;
    user.clock = &clock_host;
    user.cancel = cancel;
    if (c->mtu_bytes != 0)
        user.mtu = c->mtu_bytes;
    return net_user_create(out, &user);
}

/* "3:4" are descriptors that this process was given. */
static int create_from_fds(struct net_backend **out, const struct net_config *c,
                           struct evloop *loop)
{
    int fds[CONFIG_MAX_PAIRS];
    unsigned count = 0;
    char *end = NULL;
    for (const char *at = c->target; count < CONFIG_MAX_PAIRS; at = end + 1) {
        errno = 0;
        long fd = strtol(at, &end, 10);
        if (end == at || fd < 0 || fd > INT32_MAX || errno != 0)
            break;
        fds[count++] = (int)fd;
        if (*end != ':')
            break;
    }
    if (count == 0 || *end != '\0' || count != c->pairs)
        return fail_msg(-EINVAL,
                        "--net %s: give as many descriptors as queue pairs: fd=N%s for queues=%u",
                        c->text, c->pairs > 1 ? ":N..." : "", c->pairs);
    return net_tap_create(out,
                          &(struct net_tap_config){.loop = loop, .fds = fds, .pairs = c->pairs});
}

static int create_base(struct net_backend **out, const struct net_config *c, struct evloop *loop,
                       const struct cancel *cancel)
{
    switch (c->kind) {
    case NET_USER:
        return create_user(out, c, loop, cancel);
    case NET_TAP:
        return net_tap_create(
            out, &(struct net_tap_config){.loop = loop, .name = c->target, .pairs = c->pairs});
    case NET_FD:
        return create_from_fds(out, c, loop);
    case NET_NULL:
        return net_null_create(out, c->pairs);
    case NET_LOOPBACK:
        return net_loopback_create(out, loop);
    case NET_SOCKET:
    case NET_LISTEN:
    case NET_CONNECT:
        return net_socket_create(out, &(struct net_socket_config){
                                          .loop = loop,
                                          .clock = &clock_host,
                                          .cancel = cancel,
                                          .path = c->kind == NET_SOCKET ? c->target : NULL,
                                          .listen = c->kind == NET_LISTEN ? c->target : NULL,
                                          .connect = c->kind == NET_CONNECT ? c->target : NULL,
                                          .mtu = c->mtu_bytes,
                                          .any_peer = c->any_peer,
                                      });
    case NET_VHOST_USER:
        break;
    }
    return -EINVAL; /* its packets are no business of ours */
}

static int add_fault(struct net_backend **b, const struct net_config *c, struct evloop *loop)
{
    char what[512];
    snprintf(what, sizeof(what), "--net %s", c->text);
    struct net_fault_spec spec;
    int r = net_fault_parse(&spec, what, c->fault);
    return r < 0 ? r : net_fault_create(b, loop, &clock_host, &spec);
}

/* The capture is the guest's view: nearest to it. */
static int create_wire(struct net_backend **out, const struct net_config *c, struct evloop *loop,
                       const struct virtio_devices_config *cfg)
{
    struct net_backend *b = NULL;
    struct tape *tape = cfg->tape;
    if (tape != NULL && tape_is_replay(tape))
        return net_taped_create(out, tape, c->text, c->pairs, NULL);
    int r = create_base(&b, c, loop, cfg->cancel);
    if (b == NULL)
        return r;
    if (budget_is_limited(&c->limits))
        r = net_limit_create(&b, loop, &clock_host, &c->limits);
    if (r == 0 && c->fault[0] != '\0')
        r = add_fault(&b, c, loop);
    if (r == 0 && c->pcap != NULL)
        r = net_pcap_create(&b, loop, &clock_host, c->pcap);
    if (r < 0) {
        b->ops->destroy(b);
        return r;
    }
    if (c->whole_to_host)
        b->info.to_host = 0;
    if (c->whole_to_guest)
        b->info.to_guest = 0;
    *out = b;
    return tape != NULL ? net_taped_create(out, tape, c->text, c->pairs, b) : 0;
}

/* ---- the device ---- */

static int create_vhost_user(struct device_slot *s, const struct net_config *c)
{
    struct net *own = s->own;
    struct vhost_user_setup config = {
        .setup = device_slot_setup(s, c->text),
        .socket_path = c->target,
        .groups = c->pairs,
        .cancel_fd = cancel_fd(s->cfg->cancel),
    };
    int r = vhost_user_net_create(&own->vhost_user, &config, c->mac, c->mtu_bytes);
    if (r == 0)
        s->dev = &own->vhost_user->dev;
    return r;
}

static int create_vhost(struct device_slot *s, const struct net_config *c)
{
    struct net *own = s->own;
    for (unsigned i = 0; i < c->pairs; i++)
        own->taps[i] = net_tap_fd(own->wire, i);
    return vhost_net_create(&own->vhost, &(struct vhost_net_config){.name = c->text,
                                                                    .taps = own->taps,
                                                                    .pairs = c->pairs,
                                                                    .loop = s->loop,
                                                                    .gmem = s->cfg->gmem});
}

static int create_net(struct device_slot *s, const struct net_config *c)
{
    struct net *own = s->own;
    struct virtio_setup setup = device_slot_setup(s, c->text);
    int r = create_wire(&own->wire, c, s->loop, s->cfg);
    if (r == 0 && c->vhost)
        r = create_vhost(s, c);
    if (r < 0)
        return r;
    struct virtio_net_config config = {
        .backend = own->wire,
        .vhost = own->vhost,
        .pairs = c->pairs,
        .rss = c->rss,
        .mtu_bytes = c->mtu_bytes,
    };
    memcpy(config.mac, c->mac, sizeof(config.mac));
    r = virtio_net_create(&own->net, &setup, &config);
    if (r == 0)
        s->dev = virtio_net_device(own->net);
    return r;
}

static unsigned net_count(const struct vm_config *vm)
{
    return vm->net_count;
}

static int net_create(struct device_slot *s, unsigned index)
{
    const struct net_config *c = &s->cfg->vm->nets[index];
    struct evloop *queue_loop;
    s->own = calloc(1, sizeof(struct net));
    if (s->own == NULL)
        return fail(-ENOMEM, "--net %s", c->text);
    int r = device_slot_loops(s, &c->virtio, &queue_loop, 1);
    if (r < 0)
        return r;
    return c->kind == NET_VHOST_USER ? create_vhost_user(s, c) : create_net(s, c);
}

static void net_destroy(void *own)
{
    struct net *net = own;
    virtio_net_destroy(net->net);
    vhost_net_destroy(net->vhost);
    vhost_user_device_destroy(net->vhost_user);
    if (net->wire != NULL)
        net->wire->ops->destroy(net->wire);
    free(net);
}

struct link_call {
    struct virtio_net *net;
    bool up;
};

static int set_link(void *arg)
{
    const struct link_call *call = arg;
    return virtio_net_set_link(call->net, call->up);
}

/* A server's card has its own. */
static int net_set_up(const struct device_slot *s, bool up)
{
    struct virtio_net *net = ((struct net *)s->own)->net;
    return net == NULL ? -EOPNOTSUPP : evloop_call(s->loop, set_link, &(struct link_call){net, up});
}

struct drops_of {
    struct virtio_net *net;
    struct virtio_net_drops drops;
};

static int read_drops(void *arg)
{
    struct drops_of *of = arg;
    virtio_net_drops(of->net, &of->drops);
    return 0;
}

static void net_stats(const struct device_slot *s, struct stats *out)
{
    struct drops_of of = {.net = ((struct net *)s->own)->net};
    if (of.net == NULL)
        return;
    evloop_call(s->loop, read_drops, &of);
    out->nets[out->net_count++] = (struct stats_net){s->dev->setup.name, of.drops};
}

static void net_describe(const struct device_slot *s, struct facts *f)
{
    static const char *const kinds[] = {[NET_USER] = "user",
                                        [NET_TAP] = "tap",
                                        [NET_FD] = "fd",
                                        [NET_SOCKET] = "socket",
                                        [NET_LISTEN] = "listen",
                                        [NET_CONNECT] = "connect",
                                        [NET_VHOST_USER] = "vhost-user",
                                        [NET_NULL] = "null",
                                        [NET_LOOPBACK] = "loopback"};
    const struct net_config *c = &s->cfg->vm->nets[s->index];
    facts_word(f, "kind", kinds[c->kind]);
    if (c->target[0] != '\0')
        facts_word(f, "to", c->target);
    facts_word(f, "pcap", c->pcap);
}

const struct device_kind net_kind = {
    .count = net_count,
    .create = net_create,
    .destroy = net_destroy,
    .stats = net_stats,
    .describe = net_describe,
    .set_link = net_set_up,
};
