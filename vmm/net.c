// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/fail.h"
#include "core/net.h"
#include "devices/backend/net_fault.h"
#include "devices/backend/net_limit.h"
#include "devices/backend/net_loopback.h"
#include "devices/backend/net_null.h"
#include "devices/backend/net_pcap.h"
#include "devices/backend/net_socket.h"
#include "devices/backend/net_tap.h"
#include "devices/backend/net_user.h"
#include "vmm/config.h"

#define NS_PER_MS 1000000u

static int create_user(struct net_backend **out, const struct net_config *c, struct evloop *loop)
{
    struct net_user_config user = c->user;
    user.loop = loop;
    user.clock = &clock_host;
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
        return fail_msg(-EINVAL, "--net %s: give a descriptor for each of the %u queues: fd=N%s",
                        c->text, c->pairs, c->pairs > 1 ? ":N..." : "");
    return net_tap_create(out,
                          &(struct net_tap_config){.loop = loop, .fds = fds, .pairs = c->pairs});
}

static int create_base(struct net_backend **out, const struct net_config *c, struct evloop *loop)
{
    switch (c->kind) {
    case NET_USER:
        return create_user(out, c, loop);
    case NET_TAP:
        return net_tap_create(
            out, &(struct net_tap_config){.loop = loop, .name = c->target, .pairs = c->pairs});
    case NET_FD:
        return create_from_fds(out, c, loop);
    case NET_NULL:
        return net_null_create(out, &(struct net_null_config){.pairs = c->pairs});
    case NET_LOOPBACK:
        return net_loopback_create(out, loop);
    case NET_SOCKET:
    case NET_LISTEN:
    case NET_CONNECT:
        return net_socket_create(out, &(struct net_socket_config){
                                          .loop = loop,
                                          .clock = &clock_host,
                                          .path = c->kind == NET_SOCKET ? c->target : NULL,
                                          .listen = c->kind == NET_LISTEN ? c->target : NULL,
                                          .connect = c->kind == NET_CONNECT ? c->target : NULL,
                                          .mtu = c->mtu_bytes,
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
    struct net_fault_config config = {.loop = loop, .clock = &clock_host, .base = *b};
    int r = net_fault_parse(&config.spec, what, c->fault);
    return r < 0 ? r : net_fault_create(b, &config);
}

static int add_limit(struct net_backend **b, const struct net_config *c, struct evloop *loop)
{
    uint32_t burst_ms = c->burst_ns != 0 ? (uint32_t)(c->burst_ns / NS_PER_MS) : NET_LIMIT_BURST_MS;
    return net_limit_create(b, &(struct net_limit_config){.loop = loop,
                                                          .clock = &clock_host,
                                                          .base = *b,
                                                          .packets_per_s = c->packets_per_s,
                                                          .bytes_per_s = c->bytes_per_s,
                                                          .burst_ms = burst_ms});
}

static int add_pcap(struct net_backend **b, const struct net_config *c, struct evloop *loop)
{
    return net_pcap_create(b, &(struct net_pcap_config){
                                  .loop = loop, .clock = &clock_host, .base = *b, .path = c->pcap});
}

/* The capture is the guest's view: nearest to it. */
int net_create(struct net_backend **out, const struct net_config *c, struct evloop *loop)
{
    struct net_backend *b = NULL;
    int r = create_base(&b, c, loop);
    if (b == NULL)
        return r;
    if (c->packets_per_s != 0 || c->bytes_per_s != 0)
        r = add_limit(&b, c, loop);
    if (r == 0 && c->fault[0] != '\0')
        r = add_fault(&b, c, loop);
    if (r == 0 && c->pcap != NULL)
        r = add_pcap(&b, c, loop);
    if (r < 0) {
        b->ops->destroy(b);
        return r;
    }
    if (c->whole_to_host)
        b->info.to_host = 0;
    if (c->whole_to_guest)
        b->info.to_guest = 0;
    *out = b;
    return 0;
}
