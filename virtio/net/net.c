// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "core/state/state.h"
#include "virtio/net/net_impl.h"
#include "virtio/vhost/vhost_net.h"

#define MTU_MIN 68u /* VIRTIO 1.4 5.1.4.1 */
#define MTU_MAX 65535u

/* A payload's room without offloads, unless the MTU is larger: jumbo frames fit. */
#define MTU_JUMBO 9216u

/*
 * VIRTIO 1.4 5.1.4.1 gives the two values the other way round than ethtool and all drivers do:
 * for those, 1 is full duplex.
 */
#define DUPLEX_FULL 1u

static struct virtio_net *net_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_net, dev);
}

/* ---- features, VIRTIO 1.4 5.1.3 ---- */

/* In an order in which each comes after what it needs: one of `needs`. */
static const struct {
    unsigned feature;
    uint64_t needs;
} prerequisites[] = {
#define NEEDS(feature, mask)         \
    {                                \
        VIRTIO_NET_F_##feature, mask \
    }
#define BIT(feature) VIRTIO_BIT(VIRTIO_NET_F_##feature)
    NEEDS(GUEST_TSO4, BIT(GUEST_CSUM)),
    NEEDS(GUEST_TSO6, BIT(GUEST_CSUM)),
    NEEDS(GUEST_UFO, BIT(GUEST_CSUM)),
    NEEDS(GUEST_USO4, BIT(GUEST_CSUM)),
    NEEDS(GUEST_USO6, BIT(GUEST_CSUM)),
    NEEDS(GUEST_ECN, BIT(GUEST_TSO4) | BIT(GUEST_TSO6)),
    NEEDS(HOST_TSO4, BIT(CSUM)),
    NEEDS(HOST_TSO6, BIT(CSUM)),
    NEEDS(HOST_UFO, BIT(CSUM)),
    NEEDS(HOST_USO, BIT(CSUM)),
    NEEDS(HOST_ECN, BIT(HOST_TSO4) | BIT(HOST_TSO6)),
    NEEDS(CTRL_RX, BIT(CTRL_VQ)),
    NEEDS(CTRL_RX_EXTRA, BIT(CTRL_RX)),
    NEEDS(CTRL_VLAN, BIT(CTRL_VQ)),
    NEEDS(GUEST_ANNOUNCE, BIT(CTRL_VQ)),
    NEEDS(GUEST_ANNOUNCE, BIT(STATUS)),
    NEEDS(MQ, BIT(CTRL_VQ)),
    NEEDS(CTRL_MAC_ADDR, BIT(CTRL_VQ)),
    NEEDS(RSS, BIT(CTRL_VQ)),
    NEEDS(HASH_REPORT, BIT(CTRL_VQ)),
    NEEDS(CTRL_GUEST_OFFLOADS, BIT(CTRL_VQ)),
    NEEDS(CTRL_GUEST_OFFLOADS, BIT(GUEST_CSUM)),
};

uint64_t net_features_consistent(uint64_t features)
{
    for (unsigned i = 0; i < ARRAY_SIZE(prerequisites); i++) {
        if ((features & prerequisites[i].needs) == 0)
            features &= ~VIRTIO_BIT(prerequisites[i].feature);
    }
    return features;
}

static const struct {
    unsigned offload;
    uint64_t to_host, to_guest;
} offload_features[] = {
    {NET_CSUM, BIT(CSUM), BIT(GUEST_CSUM)},
    {NET_TSO4, BIT(HOST_TSO4), BIT(GUEST_TSO4)},
    {NET_TSO6, BIT(HOST_TSO6), BIT(GUEST_TSO6)},
    {NET_ECN, BIT(HOST_ECN), BIT(GUEST_ECN)},
    {NET_UFO, BIT(HOST_UFO), BIT(GUEST_UFO)},
    {NET_USO, BIT(HOST_USO), BIT(GUEST_USO4) | BIT(GUEST_USO6)},
};

static uint64_t offered_features(const struct virtio_net *net, const struct net_info *info)
{
    uint64_t features = BIT(MAC) | BIT(STATUS) | BIT(MRG_RXBUF) | BIT(CTRL_VQ) | BIT(CTRL_RX) |
                        BIT(CTRL_RX_EXTRA) | BIT(CTRL_VLAN) | BIT(CTRL_MAC_ADDR) |
                        BIT(GUEST_ANNOUNCE) | BIT(CTRL_GUEST_OFFLOADS);
    for (unsigned i = 0; i < ARRAY_SIZE(offload_features); i++) {
        if (info->to_host & offload_features[i].offload)
            features |= offload_features[i].to_host;
        if (info->to_guest & offload_features[i].offload)
            features |= offload_features[i].to_guest;
    }
    if (net->vhost != NULL)
        features &= ~(BIT(CTRL_RX) | BIT(CTRL_VLAN)); /* nor what needs those */
    if (net->pairs > 1)
        features |= BIT(MQ);
    if (net->rss.packet != NULL)
        features |= BIT(RSS) | BIT(HASH_REPORT);
    if (net->mtu_bytes != 0)
        features |= BIT(MTU);
    if (info->speed_mbps != 0)
        features |= BIT(SPEED_DUPLEX);
    return features;
}

static unsigned offloads_to_host(uint64_t features)
{
    unsigned offloads = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(offload_features); i++)
        offloads |= features & offload_features[i].to_host ? offload_features[i].offload : 0;
    return offloads;
}

/* One of the USO features alone is of no use: a backend does not tell the two apart. */
unsigned net_offloads_to_guest(uint64_t features)
{
    unsigned offloads = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(offload_features); i++) {
        uint64_t needs = offload_features[i].to_guest;
        offloads |= (features & needs) == needs ? offload_features[i].offload : 0;
    }
    return offloads;
}

bool net_features_are_to_guest(uint64_t features)
{
    for (unsigned i = 0; i < ARRAY_SIZE(offload_features); i++)
        features &= ~offload_features[i].to_guest;
    return features == 0;
}

/* ---- configuration space ---- */

static void show_mac(struct virtio_net *net, const uint8_t *mac)
{
    memcpy(net->config + VIRTIO_NET_CONFIG_mac, mac, NET_MAC_BYTES);
}

static void show(struct virtio_net *net)
{
    show_mac(net, net->mac);
    le16_put(net->config + VIRTIO_NET_CONFIG_status, net_is_up(net) ? VIRTIO_NET_S_LINK_UP : 0);
    le16_put(net->config + VIRTIO_NET_CONFIG_max_virtqueue_pairs, (uint16_t)net->pairs);
    le16_put(net->config + VIRTIO_NET_CONFIG_mtu, (uint16_t)net->mtu_bytes);
    if (net->rss.packet != NULL) {
        net->config[VIRTIO_NET_CONFIG_rss_max_key_size] = NET_HASH_KEY_BYTES;
        le16_put(net->config + VIRTIO_NET_CONFIG_rss_max_indirection_table_length, NET_RSS_TABLE);
        le32_put(net->config + VIRTIO_NET_CONFIG_supported_hash_types, NET_HASH_TYPES);
    }
    if (net->backend->info.speed_mbps == 0)
        return;
    le32_put(net->config + VIRTIO_NET_CONFIG_speed, net->backend->info.speed_mbps);
    net->config[VIRTIO_NET_CONFIG_duplex] = DUPLEX_FULL;
}

/* A legacy driver sets its MAC address so (5.1.4.3); others have a command for it. */
static void net_config_write(struct virtio_device *dev, unsigned offset, const void *src,
                             unsigned len)
{
    struct virtio_net *net = net_of(dev);
    if (dev->legacy)
        memcpy(net->config + offset, src, len);
}

/* ---- link, VIRTIO 1.4 5.1.6.5 ---- */

static void set_status(struct virtio_net *net, uint16_t status)
{
    uint8_t *at = net->config + VIRTIO_NET_CONFIG_status;
    if (le16_get(at) == status)
        return;
    le16_put(at, status);
    virtio_device_config_changed(&net->dev);
}

/* The link is down: frames that waited for the backend are lost. */
static void lose_held(struct virtio_net *net)
{
    for (unsigned pair = 0; pair < net->pairs_used; pair++)
        if (net->tx[pair].chain != NULL)
            virtio_queue_serve(&net->dev, net_tx_queue(pair));
}

/* A driver that gets its link again may be somewhere else in the network than before. */
static void on_link(void *ctx)
{
    struct virtio_net *net = ctx;
    if (!net_is_up(net)) {
        set_status(net, 0);
        lose_held(net);
        return;
    }
    bool announces = virtio_device_has(&net->dev, VIRTIO_NET_F_GUEST_ANNOUNCE);
    set_status(net, VIRTIO_NET_S_LINK_UP | (announces ? VIRTIO_NET_S_ANNOUNCE : 0));
}

int virtio_net_set_link(struct virtio_net *net, bool up)
{
    if (net->vhost != NULL)
        return -EOPNOTSUPP;
    net->unplugged = !up;
    on_link(net);
    return 0;
}

/* ---- queues ---- */

static bool is_control(const struct virtio_net *net, unsigned queue)
{
    bool mq = virtio_device_has(&net->dev, VIRTIO_NET_F_MQ) ||
              virtio_device_has(&net->dev, VIRTIO_NET_F_RSS);
    return queue == 2 * (mq ? net->pairs : 1);
}

static bool net_queue_is_external(const struct virtio_device *dev, unsigned queue)
{
    const struct virtio_net *net = container_of(dev, const struct virtio_net, dev);
    return net->vhost != NULL && queue / 2 < net->pairs && !is_control(net, queue);
}

static int net_queue_start(struct virtio_device *dev, unsigned queue)
{
    struct virtio_net *net = net_of(dev);
    if (net_queue_is_external(dev, queue)) {
        vhost_net_start(net->vhost, dev, queue);
        return 0;
    }
    if (is_control(net, queue) || queue / 2 >= net->pairs)
        return 0;
    return queue % 2 == 0 ? net_rx_start(net, queue / 2) : net_tx_start(net, queue / 2);
}

static void net_queue_stop(struct virtio_device *dev, unsigned queue)
{
    struct virtio_net *net = net_of(dev);
    if (net_queue_is_external(dev, queue)) {
        vhost_net_stop(net->vhost, queue);
        return;
    }
    if (is_control(net, queue) || queue / 2 >= net->pairs)
        return;
    if (queue % 2 == 0)
        net_rx_stop(net, queue / 2);
    else
        net_tx_stop(net, queue / 2);
}

/* A pair that is not used is left alone, and served when it is (5.1.6.5). */
static void net_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct virtio_net *net = net_of(dev);
    if (queue / 2 < net->pairs_used) /* so it is not the control queue, which is behind them */
        (queue % 2 == 0 ? net_rx_serve : net_tx_serve)(net, queue / 2);
    else if (is_control(net, queue))
        net_ctrl_serve(net, queue);
}

static void serve(struct virtio_net *net, unsigned queue)
{
    if (queue / 2 < net->pairs_used)
        virtio_queue_serve(&net->dev, queue);
}

static void on_rx(void *ctx, unsigned pair)
{
    struct virtio_net *net = ctx;
    BUG_ON(pair >= net->pairs);
    net->rx[pair].ready = true;
    serve(net, net_rx_queue(net_rx_pair_for(net, pair)));
    serve(net, net_tx_queue(pair)); /* an answer may follow at once: look for it, and no kick */
}

static void on_writable(void *ctx, unsigned pair)
{
    serve(ctx, net_tx_queue(pair));
}

/* False: the backend refuses. All are served anew: packets may go other ways now. */
bool net_use_pairs(struct virtio_net *net, unsigned pairs)
{
    unsigned before = net->pairs_used;
    if (pairs != before && net->backend->ops->set_pairs(net->backend, pairs) != 0)
        return false;
    net->pairs_used = pairs;
    net->rss.waiting = 0;
    for (unsigned pair = 0; net->vhost == NULL && pair < pairs; pair++) {
        net->rx[pair].ready |= pair >= before;
        virtio_queue_serve_later(&net->dev, net_rx_queue(pair));
        virtio_queue_serve_later(&net->dev, net_tx_queue(pair));
    }
    return true;
}

/* ---- what was negotiated ---- */

static int net_activate(struct virtio_device *dev)
{
    struct virtio_net *net = net_of(dev);
    uint64_t features = net_features_consistent(dev->features[0]);
    bool merges = features & BIT(MRG_RXBUF);
    bool modern = features & VIRTIO_BIT(VIRTIO_F_VERSION_1);
    net->header_bytes = merges || modern ? VIRTIO_NET_HDR_BYTES : VIRTIO_NET_HDR_LEGACY_BYTES;
    if (dev->features[0] & BIT(HASH_REPORT))
        net->header_bytes = VIRTIO_NET_HDR_HASH_BYTES;
    net->to_host = offloads_to_host(features);
    net->to_guest = net->wanted = net_offloads_to_guest(features);
    net->filters_macs = features & BIT(CTRL_RX);
    net->filters_vlans = features & BIT(CTRL_VLAN);
    net->limits_mtu = features & BIT(MTU);
    net->room_min = 1; /* without MRG_RXBUF a chain is all that there is for a packet */
    if (merges && (net->to_guest & ~NET_CSUM))
        net->room_min = NET_PACKET_MAX - NET_HEADER_BYTES + net->header_bytes;
    else if (merges)
        net->room_min = net->header_bytes + NET_ETHERNET_BYTES + NET_VLAN_TAG_BYTES +
                        max_u64(net->mtu_bytes, MTU_JUMBO);
    net->backend->ops->set_offloads(net->backend, net->to_guest);
    return 0;
}

static void net_reset(struct virtio_device *dev)
{
    struct virtio_net *net = net_of(dev);
    if (net->pairs_used > 1)
        (void)net->backend->ops->set_pairs(net->backend, 1);
    net->pairs_used = 1;
    net->backend->ops->set_offloads(net->backend, 0);
    memset(&net->filter, 0, sizeof(net->filter));
    net->rss = (struct net_rss){.packet = net->rss.packet};
    show(net);
}

/* ---- saved and loaded ---- */

static unsigned net_queue_hold(struct virtio_device *dev, unsigned queue)
{
    const struct virtio_net *net = net_of(dev);
    if (is_control(net, queue) || queue / 2 >= net->pairs)
        return 0;
    const struct net_rx *rx = &net->rx[queue / 2];
    return queue % 2 == 0 ? rx->chain_end - rx->chain_first : net->tx[queue / 2].chain != NULL;
}

/* As the driver saw it: if the link is another now, it is told. */
static void shown_state(struct virtio_net *net, struct state *s)
{
    uint8_t *status = net->config + VIRTIO_NET_CONFIG_status;
    unsigned announce = le16_get(status) & VIRTIO_NET_S_ANNOUNCE;
    state_bytes(s, "mac", net->config + VIRTIO_NET_CONFIG_mac, NET_MAC_BYTES);
    announce = (unsigned)state_number(s, "announce", announce, VIRTIO_NET_S_ANNOUNCE);
    if (s->loads && net_is_up(net))
        le16_put(status, (uint16_t)(VIRTIO_NET_S_LINK_UP | announce));
}

static void net_state(struct virtio_device *dev, struct state *s)
{
    struct virtio_net *net = net_of(dev);
    shown_state(net, s);
    net_filter_state(net, s);
    uint64_t wanted = state_number(s, "offloads", net->wanted, UINT32_MAX);
    uint64_t pairs = state_number(s, "pairs", net->pairs_used, net->pairs);
    net_rss_state(net, s);
    if (!s->loads || s->err != 0)
        return;
    net->wanted = (unsigned)wanted & net->to_guest;
    net->backend->ops->set_offloads(net->backend, net->wanted);
    if (pairs == 0 || !net_use_pairs(net, (unsigned)pairs))
        state_refuse(s, "its network has other queues");
}

static void net_describe(struct virtio_device *dev, struct facts *f)
{
    const struct virtio_net *net = net_of(dev);
    const uint8_t *mac = net->config + VIRTIO_NET_CONFIG_mac;
    facts_text(f, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
               mac[5]);
    facts_word(f, "link", net_is_up(net) ? "up" : "down");
    facts_flag(f, "vhost", net->vhost != NULL);
    facts_number(f, "pairs", net->pairs);
    facts_number(f, "pairs_used", net->pairs_used);
    if (net->mtu_bytes != 0)
        facts_number(f, "mtu_bytes", net->mtu_bytes);
}

static const struct virtio_device_ops net_ops = {
    .config_write = net_config_write,
    .activate = net_activate,
    .queue_start = net_queue_start,
    .queue_is_external = net_queue_is_external,
    .queue_ready = net_queue_ready,
    .queue_stop = net_queue_stop,
    .queue_hold = net_queue_hold,
    .reset = net_reset,
    .state = net_state,
    .describe = net_describe,
};

/* ---- life ---- */

static int check(const struct virtio_setup *setup, const struct net_info *info, unsigned pairs,
                 uint32_t mtu_bytes)
{
    if (pairs > info->pairs || pairs > VIRTIO_NET_PAIRS_MAX)
        return fail_msg(-EINVAL, "virtio %s: %u queue pairs; there may be up to %u", setup->name,
                        pairs, (unsigned)min_u64(info->pairs, VIRTIO_NET_PAIRS_MAX));
    if (mtu_bytes != 0 && (mtu_bytes < MTU_MIN || mtu_bytes > MTU_MAX))
        return fail_msg(-EINVAL, "virtio %s: an MTU of %u bytes; it may be %u to %u", setup->name,
                        mtu_bytes, MTU_MIN, MTU_MAX);
    return 0;
}

static int init_device(struct virtio_net *net, const struct virtio_setup *setup)
{
    uint64_t features = offered_features(net, &net->backend->info) & ~setup->features_off;
    uint64_t unknown = net->vhost != NULL ? vhost_net_unknown_features(net->vhost) : 0;
    struct virtio_setup own = *setup;
    if (unknown & setup->features_on & VIRTIO_BIT(VIRTIO_F_RING_PACKED))
        return fail_msg(-EINVAL, "virtio %s: vhost=on needs ring=split", setup->name);
    own.features_off |= unknown;
    return virtio_device_init(&net->dev, &own,
                              &(struct virtio_device_config){
                                  .type = &virtio_net_type,
                                  .ops = &net_ops,
                                  .features = net_features_consistent(features),
                                  .config = net->config,
                                  .config_bytes = sizeof(net->config),
                                  .queue_count = 2 * net->pairs + 1,
                              });
}

static void free_net(struct virtio_net *net)
{
    free(net->tx);
    free(net->rx);
    free(net->rss.packet);
    free(net);
}

int virtio_net_create(struct virtio_net **out, const struct virtio_setup *setup,
                      const struct virtio_net_config *config)
{
    unsigned pairs = config->pairs != 0 ? config->pairs : 1;
    uint32_t mtu = config->mtu_bytes != 0 ? config->mtu_bytes : config->backend->info.mtu_bytes;
    int err = check(setup, &config->backend->info, pairs, mtu);
    if (err != 0)
        return err;
    struct virtio_net *net = calloc(1, sizeof(*net));
    if (net == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    net->backend = config->backend;
    net->vhost = config->vhost;
    net->pairs = pairs;
    net->pairs_used = 1;
    net->mtu_bytes = mtu;
    memcpy(net->mac, config->mac, NET_MAC_BYTES);
    net->tx = calloc(pairs, sizeof(*net->tx));
    net->rx = calloc(pairs, sizeof(*net->rx));
    if (config->rss)
        net->rss.packet = calloc(1, VIRTIO_NET_HDR_HASH_BYTES + NET_PACKET_MAX);
    if (net->tx == NULL || net->rx == NULL || (config->rss && net->rss.packet == NULL)) {
        free_net(net);
        return fail(-ENOMEM, "virtio %s", setup->name);
    }
    err = init_device(net, setup);
    if (err != 0) {
        free_net(net);
        return err;
    }
    for (unsigned pair = 0; pair < pairs; pair++)
        net->rx[pair].ready = true;
    show(net);
    net->backend->handler = (struct net_handler){.on_link = on_link, .ctx = net, .keeps = true};
    if (net->vhost == NULL) {
        net->backend->handler.on_rx = on_rx;
        net->backend->handler.on_writable = on_writable;
    }
    *out = net;
    return 0;
}

void virtio_net_destroy(struct virtio_net *net)
{
    if (net == NULL)
        return;
    net->backend->handler = (struct net_handler){0};
    virtio_device_fini(&net->dev);
    free_net(net);
}

struct virtio_device *virtio_net_device(struct virtio_net *net)
{
    return &net->dev;
}

void virtio_net_drops(const struct virtio_net *net, struct virtio_net_drops *out)
{
    *out = net->drops;
}
