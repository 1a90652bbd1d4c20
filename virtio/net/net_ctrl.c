// SPDX-License-Identifier: BSD-2-Clause
/* VIRTIO 1.4 5.1.6.5: a command is a class, a number and its data; the first byte back is the ack.
 */
#include <stdbool.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/state/state.h"
#include "virtio/net/net_impl.h"

static struct virtio_net *net_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_net, dev);
}

static bool get(struct iobuf *data, void *dst, size_t len)
{
    return iobuf_get(data, dst, len) == len;
}

bool net_ctrl_get_le16(struct iobuf *data, uint16_t *value)
{
    uint8_t bytes[2];
    bool got = get(data, bytes, sizeof(bytes));
    *value = got ? le16_get(bytes) : 0;
    return got;
}

static bool get_le32(struct iobuf *data, uint32_t *value)
{
    uint8_t bytes[4];
    bool got = get(data, bytes, sizeof(bytes));
    *value = got ? le32_get(bytes) : 0;
    return got;
}

static bool set_mode(struct virtio_device *dev, unsigned command, struct iobuf *data)
{
    struct virtio_net *net = net_of(dev);
    uint8_t on;
    if (!get(data, &on, 1))
        return false;
    net->filter.mode[command] = on != 0;
    return true;
}

/* Of a table that is too long for ours the rest is passed over, however long it says it is. */
static bool get_macs(struct iobuf *data, struct net_macs *macs)
{
    uint32_t said;
    if (!get_le32(data, &said))
        return false;
    uint64_t count = said;
    if (count * NET_MAC_BYTES > data->left)
        return false;
    macs->too_many = count > NET_FILTER_MACS;
    macs->count = (unsigned)min_u64(count, NET_FILTER_MACS);
    iobuf_get(data, macs->mac, (size_t)macs->count * NET_MAC_BYTES);
    iobuf_skip(data, (count - macs->count) * NET_MAC_BYTES);
    return true;
}

static bool set_mac_table(struct virtio_device *dev, unsigned command, struct iobuf *data)
{
    struct virtio_net *net = net_of(dev);
    struct net_macs unicast, multicast;
    (void)command;
    if (!get_macs(data, &unicast) || !get_macs(data, &multicast))
        return false;
    net->filter.unicast = unicast;
    net->filter.multicast = multicast;
    return true;
}

bool net_ctrl_set_mac(struct virtio_device *dev, unsigned command, struct iobuf *data)
{
    uint8_t mac[NET_MAC_BYTES];
    (void)command;
    if (!get(data, mac, sizeof(mac)))
        return false;
    memcpy(dev->cfg.config + VIRTIO_NET_CONFIG_mac, mac, sizeof(mac));
    return true;
}

static bool set_vlan(struct virtio_device *dev, unsigned command, struct iobuf *data)
{
    struct virtio_net *net = net_of(dev);
    uint16_t id;
    if (!net_ctrl_get_le16(data, &id) || id >= NET_VLANS)
        return false;
    uint64_t bit = UINT64_C(1) << id % 64;
    if (command == VIRTIO_NET_CTRL_VLAN_ADD)
        net->filter.vlans[id / 64] |= bit;
    else
        net->filter.vlans[id / 64] &= ~bit;
    return true;
}

bool net_ctrl_acknowledge(struct virtio_device *dev, unsigned command, struct iobuf *data)
{
    (void)command;
    (void)data;
    dev->cfg.config[VIRTIO_NET_CONFIG_status] &= (uint8_t)~VIRTIO_NET_S_ANNOUNCE;
    return true;
}

static bool set_pairs(struct virtio_device *dev, unsigned command, struct iobuf *data)
{
    struct virtio_net *net = net_of(dev);
    uint16_t pairs;
    (void)command;
    if (!net_ctrl_get_le16(data, &pairs) || pairs == 0 || pairs > net->pairs ||
        !net_use_pairs(net, pairs))
        return false;
    net->rss.steers = false;
    return true;
}

/* A queue's number is that of its pair: bits 1 to 15 of its index (VIRTIO 1.4 5.1.6.5). */
static bool get_pair(const struct virtio_net *net, struct iobuf *data, uint16_t *pair)
{
    bool got = net_ctrl_get_le16(data, pair);
    *pair &= 0x7fff;
    return got && *pair < net->pairs;
}

static bool get_key(struct iobuf *data, struct net_hash_config *hash)
{
    uint8_t bytes;
    return (hash->types & ~NET_HASH_TYPES) == 0 && get(data, &bytes, 1) &&
           bytes <= NET_HASH_KEY_BYTES && (bytes > 0 || hash->types == 0) &&
           get(data, hash->key, bytes);
}

/* As many pairs are used as it names, for sending and receiving. */
static bool set_rss(struct virtio_device *dev, unsigned command, struct iobuf *data)
{
    struct virtio_net *net = net_of(dev);
    struct net_rss rss = {.packet = net->rss.packet};
    uint16_t tx_pairs;
    (void)command;
    if (!get_le32(data, &rss.hash.types) || !net_ctrl_get_le16(data, &rss.mask) ||
        !get_pair(net, data, &rss.unclassified) || rss.mask >= NET_RSS_TABLE ||
        (rss.mask & (rss.mask + 1)) != 0)
        return false;
    unsigned pairs = rss.unclassified + 1u;
    for (unsigned i = 0; i <= rss.mask; i++) {
        if (!get_pair(net, data, &rss.pairs[i]))
            return false;
        pairs = (unsigned)max_u64(pairs, rss.pairs[i] + 1u);
    }
    if (!net_ctrl_get_le16(data, &tx_pairs) || tx_pairs == 0 || tx_pairs > net->pairs ||
        !get_key(data, &rss.hash) || !net_use_pairs(net, (unsigned)max_u64(pairs, tx_pairs)))
        return false;
    rss.steers = true;
    net->rss = rss;
    return true;
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

/* What waits for a queue stays behind, as on a network. */
void net_rss_state(struct virtio_net *net, struct state *s)
{
    struct net_rss *rss = &net->rss;
    uint8_t pairs[NET_RSS_TABLE];
    if (rss->packet == NULL || !state_begin(s, "rss", 0, 1))
        return;
    rss->hash.types = (uint32_t)state_number(s, "types", rss->hash.types, NET_HASH_TYPES);
    state_bytes(s, "key", rss->hash.key, sizeof(rss->hash.key));
    rss->mask = (uint16_t)state_number(s, "mask", rss->mask, NET_RSS_TABLE - 1);
    rss->unclassified = (uint16_t)state_number(s, "other", rss->unclassified, net->pairs - 1);
    for (unsigned i = 0; i < NET_RSS_TABLE; i++)
        pairs[i] = (uint8_t)rss->pairs[i];
    state_bytes(s, "pairs", pairs, sizeof(pairs));
    for (unsigned i = 0; i < NET_RSS_TABLE; i++) {
        if (pairs[i] >= net->pairs)
            state_refuse(s, "a pair of queues that is not there");
        else
            rss->pairs[i] = pairs[i];
    }
    rss->steers = state_number(s, "steers", rss->steers, true);
    state_end(s);
}

static bool set_hash(struct virtio_device *dev, unsigned command, struct iobuf *data)
{
    struct virtio_net *net = net_of(dev);
    struct net_hash_config hash = {0};
    uint8_t reserved[8];
    (void)command;
    if (!get_le32(data, &hash.types) || !get(data, reserved, sizeof(reserved)) ||
        !get_key(data, &hash))
        return false;
    net->rss.hash = hash;
    return true;
}

/* The bits are feature bits: of negotiated features, with what each needs. */
static bool set_offloads(struct virtio_device *dev, unsigned command, struct iobuf *data)
{
    struct virtio_net *net = net_of(dev);
    uint8_t bytes[8];
    (void)command;
    if (!get(data, bytes, sizeof(bytes)))
        return false;
    uint64_t wanted = le64_get(bytes);
    if (!net_features_are_to_guest(wanted) || (wanted & ~net->dev.features[0]) != 0 ||
        net_features_consistent(wanted) != wanted)
        return false;
    net->wanted = net_offloads_to_guest(wanted) & net->to_guest;
    net->backend->ops->set_offloads(net->backend, net->wanted);
    return true;
}

static const struct net_command commands[] = {
    NET_CTRL(RX, RX_PROMISC, RX_ALLMULTI, CTRL_RX, set_mode),
    NET_CTRL(RX, RX_ALLUNI, RX_NOBCAST, CTRL_RX_EXTRA, set_mode),
    NET_CTRL(MAC, MAC_TABLE_SET, MAC_TABLE_SET, CTRL_RX, set_mac_table),
    NET_CTRL(MAC, MAC_ADDR_SET, MAC_ADDR_SET, CTRL_MAC_ADDR, net_ctrl_set_mac),
    NET_CTRL(VLAN, VLAN_ADD, VLAN_DEL, CTRL_VLAN, set_vlan),
    NET_CTRL(ANNOUNCE, ANNOUNCE_ACK, ANNOUNCE_ACK, GUEST_ANNOUNCE, net_ctrl_acknowledge),
    NET_CTRL(MQ, MQ_VQ_PAIRS_SET, MQ_VQ_PAIRS_SET, MQ, set_pairs),
    NET_CTRL(MQ, MQ_RSS_CONFIG, MQ_RSS_CONFIG, RSS, set_rss),
    NET_CTRL(MQ, MQ_HASH_CONFIG, MQ_HASH_CONFIG, HASH_REPORT, set_hash),
    NET_CTRL(GUEST_OFFLOADS, GUEST_OFFLOADS_SET, GUEST_OFFLOADS_SET, CTRL_GUEST_OFFLOADS,
             set_offloads),
};

static bool do_command(struct virtio_device *dev, const struct net_command *list, unsigned count,
                       struct iobuf *rd)
{
    uint8_t header[VIRTIO_NET_CTRL_HEADER_BYTES];
    if (!get(rd, header, sizeof(header)))
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (list[i].class == header[0] && list[i].first <= header[1] && header[1] <= list[i].last)
            return virtio_device_has(dev, list[i].feature) && list[i].fn(dev, header[1], rd);
    }
    return false;
}

void net_ctrl_serve_by(struct virtio_device *dev, unsigned queue, const struct net_command *list,
                       unsigned count)
{
    struct vq_chain *chain;
    while ((chain = virtio_queue_next(dev, queue)) != NULL) {
        /* Without a place for the answer nothing is done. */
        if (chain->wr.left > 0) {
            uint8_t ack = do_command(dev, list, count, &chain->rd) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
            iobuf_put(&chain->wr, &ack, 1);
        }
        virtio_queue_push(dev, queue, chain);
        if (virtio_queue_turn_is_over(dev, queue)) /* a tap's kernel may need milliseconds */
            return;
    }
}

void net_ctrl_serve(struct virtio_net *net, unsigned queue)
{
    net_ctrl_serve_by(&net->dev, queue, commands, ARRAY_SIZE(commands));
}
