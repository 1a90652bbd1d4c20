// SPDX-License-Identifier: BSD-2-Clause
/* VIRTIO 1.4 5.1.6.5: a command is a class, a number and its data; the first byte back is the ack.
 */
#include <stdbool.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "virtio/net/net_impl.h"

/* All of them: what follows class and number, from the stream. False: nothing has changed. */
typedef bool command_fn(struct virtio_net *net, unsigned command, struct iobuf *data);

static bool get(struct iobuf *data, void *dst, size_t len)
{
    return iobuf_get(data, dst, len) == len;
}

static bool get_le16(struct iobuf *data, uint16_t *value)
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

static bool set_mode(struct virtio_net *net, unsigned command, struct iobuf *data)
{
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

static bool set_mac_table(struct virtio_net *net, unsigned command, struct iobuf *data)
{
    struct net_macs unicast, multicast;
    (void)command;
    if (!get_macs(data, &unicast) || !get_macs(data, &multicast))
        return false;
    net->filter.unicast = unicast;
    net->filter.multicast = multicast;
    return true;
}

static bool set_mac(struct virtio_net *net, unsigned command, struct iobuf *data)
{
    uint8_t mac[NET_MAC_BYTES];
    (void)command;
    if (!get(data, mac, sizeof(mac)))
        return false;
    memcpy(net->config + VIRTIO_NET_CONFIG_mac, mac, sizeof(mac));
    return true;
}

static bool set_vlan(struct virtio_net *net, unsigned command, struct iobuf *data)
{
    uint16_t id;
    if (!get_le16(data, &id) || id >= NET_VLANS)
        return false;
    uint64_t bit = UINT64_C(1) << id % 64;
    if (command == VIRTIO_NET_CTRL_VLAN_ADD)
        net->filter.vlans[id / 64] |= bit;
    else
        net->filter.vlans[id / 64] &= ~bit;
    return true;
}

static bool acknowledge(struct virtio_net *net, unsigned command, struct iobuf *data)
{
    (void)command;
    (void)data;
    net_acknowledge(net);
    return true;
}

static bool set_pairs(struct virtio_net *net, unsigned command, struct iobuf *data)
{
    uint16_t pairs;
    (void)command;
    if (!get_le16(data, &pairs) || pairs == 0 || pairs > net->pairs || !net_use_pairs(net, pairs))
        return false;
    net->rss.steers = false;
    return true;
}

/* A queue's number is that of its pair: bits 1 to 15 of its index (VIRTIO 1.4 5.1.6.5). */
static bool get_pair(const struct virtio_net *net, struct iobuf *data, uint16_t *pair)
{
    bool got = get_le16(data, pair);
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
static bool set_rss(struct virtio_net *net, unsigned command, struct iobuf *data)
{
    struct net_rss rss = {.packet = net->rss.packet};
    uint16_t tx_pairs;
    (void)command;
    if (!get_le32(data, &rss.hash.types) || !get_le16(data, &rss.mask) ||
        !get_pair(net, data, &rss.unclassified) || rss.mask >= NET_RSS_TABLE ||
        (rss.mask & (rss.mask + 1)) != 0)
        return false;
    unsigned pairs = rss.unclassified + 1u;
    for (unsigned i = 0; i <= rss.mask; i++) {
        if (!get_pair(net, data, &rss.pairs[i]))
            return false;
        pairs = (unsigned)max_u64(pairs, rss.pairs[i] + 1u);
    }
    if (!get_le16(data, &tx_pairs) || tx_pairs == 0 || tx_pairs > net->pairs ||
        !get_key(data, &rss.hash) || !net_use_pairs(net, (unsigned)max_u64(pairs, tx_pairs)))
        return false;
    rss.steers = true;
    net->rss = rss;
    return true;
}

static bool set_hash(struct virtio_net *net, unsigned command, struct iobuf *data)
{
    struct net_hash_config hash = {0};
    uint8_t reserved[8];
    (void)command;
    if (!get_le32(data, &hash.types) || !get(data, reserved, sizeof(reserved)) ||
        !get_key(data, &hash))
        return false;
    net->rss.hash = hash;
    return true;
}

/* The bits are the features': those that were negotiated, and that go together. */
static bool set_offloads(struct virtio_net *net, unsigned command, struct iobuf *data)
{
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

#define CLASS(name) VIRTIO_NET_CTRL_##name

/* The commands of a class from the first to the last. */
static const struct {
    uint8_t class, first, last;
    unsigned feature;
    command_fn *fn;
} commands[] = {
    {CLASS(RX), CLASS(RX_PROMISC), CLASS(RX_ALLMULTI), VIRTIO_NET_F_CTRL_RX, set_mode},
    {CLASS(RX), CLASS(RX_ALLUNI), CLASS(RX_NOBCAST), VIRTIO_NET_F_CTRL_RX_EXTRA, set_mode},
    {CLASS(MAC), CLASS(MAC_TABLE_SET), CLASS(MAC_TABLE_SET), VIRTIO_NET_F_CTRL_RX, set_mac_table},
    {CLASS(MAC), CLASS(MAC_ADDR_SET), CLASS(MAC_ADDR_SET), VIRTIO_NET_F_CTRL_MAC_ADDR, set_mac},
    {CLASS(VLAN), CLASS(VLAN_ADD), CLASS(VLAN_DEL), VIRTIO_NET_F_CTRL_VLAN, set_vlan},
    {CLASS(ANNOUNCE), CLASS(ANNOUNCE_ACK), CLASS(ANNOUNCE_ACK), VIRTIO_NET_F_GUEST_ANNOUNCE,
     acknowledge},
    {CLASS(MQ), CLASS(MQ_VQ_PAIRS_SET), CLASS(MQ_VQ_PAIRS_SET), VIRTIO_NET_F_MQ, set_pairs},
    {CLASS(MQ), CLASS(MQ_RSS_CONFIG), CLASS(MQ_RSS_CONFIG), VIRTIO_NET_F_RSS, set_rss},
    {CLASS(MQ), CLASS(MQ_HASH_CONFIG), CLASS(MQ_HASH_CONFIG), VIRTIO_NET_F_HASH_REPORT, set_hash},
    {CLASS(GUEST_OFFLOADS), CLASS(GUEST_OFFLOADS_SET), CLASS(GUEST_OFFLOADS_SET),
     VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, set_offloads},
};

static bool do_command(struct virtio_net *net, struct iobuf *rd)
{
    uint8_t header[VIRTIO_NET_CTRL_HEADER_BYTES];
    if (!get(rd, header, sizeof(header)))
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
        if (commands[i].class == header[0] && commands[i].first <= header[1] &&
            header[1] <= commands[i].last)
            return virtio_device_has(&net->dev, commands[i].feature) &&
                   commands[i].fn(net, header[1], rd);
    }
    return false;
}

void net_ctrl_serve(struct virtio_net *net, unsigned queue)
{
    struct vq_chain *chain;
    while ((chain = virtio_queue_next(&net->dev, queue)) != NULL) {
        /* Without a place for the answer nothing is done. */
        if (chain->wr.left > 0) {
            uint8_t ack = do_command(net, &chain->rd) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
            iobuf_put(&chain->wr, &ack, 1);
        }
        virtio_queue_push(&net->dev, queue, chain);
    }
}
