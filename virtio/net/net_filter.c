// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/state/state.h"
#include "virtio/net/net_impl.h"

#define VLAN_TPID 0x8100u

/* An address is a group's if its first byte is odd. */
#define GROUP_BIT 1u

static const uint8_t broadcast[NET_MAC_BYTES] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static bool same_mac(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, NET_MAC_BYTES) == 0;
}

static bool in_table(const struct net_macs *macs, const uint8_t *mac)
{
    for (unsigned i = 0; i < macs->count; i++) {
        if (same_mac(macs->mac[i], mac))
            return true;
    }
    return macs->too_many;
}

static bool takes_mac(const struct virtio_net *net, const uint8_t *mac)
{
    const struct net_filter *f = &net->filter;
    if (f->mode[VIRTIO_NET_CTRL_RX_PROMISC])
        return true;
    if (same_mac(mac, broadcast))
        return !f->mode[VIRTIO_NET_CTRL_RX_NOBCAST];
    if (mac[0] & GROUP_BIT)
        return !f->mode[VIRTIO_NET_CTRL_RX_NOMULTI] &&
               (f->mode[VIRTIO_NET_CTRL_RX_ALLMULTI] || in_table(&f->multicast, mac));
    return !f->mode[VIRTIO_NET_CTRL_RX_NOUNI] &&
           (f->mode[VIRTIO_NET_CTRL_RX_ALLUNI] ||
            same_mac(mac, net->config + VIRTIO_NET_CONFIG_mac) || in_table(&f->unicast, mac));
}

bool net_frame_is_tagged(const uint8_t *head)
{
    return (head[12] << 8 | head[13]) == VLAN_TPID;
}

static bool takes_vlan(const struct net_filter *f, const uint8_t *head)
{
    unsigned id = (head[14] << 8 | head[15]) % NET_VLANS;
    return !net_frame_is_tagged(head) || (f->vlans[id / 64] >> id % 64 & 1) != 0;
}

/* A driver that cannot say what it wants gets all. */
bool net_filter_takes(const struct virtio_net *net, const uint8_t *head)
{
    return (!net->filters_macs || takes_mac(net, head)) &&
           (!net->filters_vlans || takes_vlan(&net->filter, head));
}

static void macs_state(struct net_macs *macs, const char *name, struct state *s)
{
    if (!state_begin(s, name, 0, 1))
        return;
    macs->count = (unsigned)state_number(s, "count", macs->count, NET_FILTER_MACS);
    macs->too_many = state_number(s, "too_many", macs->too_many, true);
    state_bytes(s, "table", macs->mac, sizeof(macs->mac));
    state_end(s);
}

void net_filter_state(struct virtio_net *net, struct state *s)
{
    struct net_filter *f = &net->filter;
    uint8_t vlans[NET_VLANS / 8];
    unsigned modes = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(f->mode); i++)
        modes |= (unsigned)f->mode[i] << i;
    for (unsigned i = 0; i < ARRAY_SIZE(f->vlans); i++)
        le64_put(vlans + 8 * i, f->vlans[i]);
    modes = (unsigned)state_number(s, "modes", modes, (1u << ARRAY_SIZE(f->mode)) - 1);
    state_bytes(s, "vlans", vlans, sizeof(vlans));
    for (unsigned i = 0; i < ARRAY_SIZE(f->mode); i++)
        f->mode[i] = modes >> i & 1;
    for (unsigned i = 0; i < ARRAY_SIZE(f->vlans); i++)
        f->vlans[i] = le64_get(vlans + 8 * i);
    macs_state(&f->unicast, "unicast", s);
    macs_state(&f->multicast, "multicast", s);
}

void net_filter_reset(struct virtio_net *net)
{
    memset(&net->filter, 0, sizeof(net->filter));
}
