// SPDX-License-Identifier: BSD-2-Clause
/* The network device's hashes and receive-side scaling: VIRTIO 1.4 5.1.6.4, 5.1.6.5. */
#include "conformance.h"

#include <string.h>

#include "core/base/le.h"
#include "tests/harness/netio.h"
#include "virtio/net/net_hash.h"

#define F(name)    VIRTIO_BIT(VIRTIO_NET_F_##name)
#define CTRL(name) VIRTIO_NET_CTRL_##name
#define PAIRS      3u
#define SIZE       64u
#define UDP        (1u << VIRTIO_NET_HASH_UDPv4)
#define RSS        (F(CTRL_VQ) | F(MQ) | F(RSS))

static const struct netio_packet plain = {.frame_bytes = 60, .fill = 5};

static uint32_t config_get(struct rig *rig, unsigned offset, unsigned bytes)
{
    uint8_t raw[4] = {0};
    vdrv_config_read(&rig->drv, offset, raw, bytes);
    return le32_get(raw);
}

static void begin(struct rig *rig, uint64_t features, unsigned pairs)
{
    demand(netio_start(rig, features, pairs, SIZE));
    for (unsigned pair = 0; pair < pairs; pair++)
        netio_post(rig, pair, 2048);
}

/* Datagrams by their hash to one pair, all else to another. */
static uint8_t steer(struct rig *rig, uint16_t pair, uint16_t unclassified)
{
    uint8_t data[2048];
    const struct netio_rss rss = {.types = UDP,
                                  .entries = 2,
                                  .pairs = {pair, pair},
                                  .unclassified = unclassified,
                                  .tx_pairs = 1,
                                  .key_bytes = NET_HASH_KEY_BYTES};
    uint32_t len = netio_make_rss(&rss, data);
    return netio_command(rig, CTRL(MQ), CTRL(MQ_RSS_CONFIG), data, len);
}

static uint8_t report(struct rig *rig)
{
    uint8_t data[13 + NET_HASH_KEY_BYTES] = {UDP, [12] = NET_HASH_KEY_BYTES};
    for (unsigned i = 0; i < NET_HASH_KEY_BYTES; i++)
        data[13 + i] = NETIO_RSS_KEY(i);
    return netio_command(rig, CTRL(MQ), CTRL(MQ_HASH_CONFIG), data, sizeof(data));
}

static struct netio_packet from_port(uint16_t port)
{
    return (struct netio_packet){.frame_bytes = 60, .udp = port};
}

static uint32_t hash_of(const struct netio_packet *packet)
{
    uint8_t bytes[256];
    struct net_hash_config config = {.types = UDP};
    for (unsigned i = 0; i < NET_HASH_KEY_BYTES; i++)
        config.key[i] = NETIO_RSS_KEY(i);
    uint32_t len = netio_make(packet, bytes);
    return net_hash_of(&config, bytes + NET_HEADER_BYTES, len - NET_HEADER_BYTES).value;
}

/* Does it come to that queue alone? */
static bool comes_to(struct rig *rig, unsigned pair, const struct netio_packet *packet)
{
    bool as_said = true;
    netio_arrive(rig, 0, packet);
    for (unsigned other = 0; other < PAIRS; other++)
        as_said &= netio_take_all(rig, 2 * other) == (other == pair);
    netio_post(rig, pair, 2048);
    return as_said;
}

/* And with its hash? */
static bool reports(struct rig *rig, uint16_t port)
{
    const struct netio_packet packet = from_port(port);
    const uint8_t *at = netio_post(rig, 0, 2048);
    netio_arrive(rig, 0, &packet);
    return netio_take_all(rig, 0) == 1 &&
           le32_get(at + VIRTIO_NET_HDR_hash_value) == hash_of(&packet) &&
           le16_get(at + VIRTIO_NET_HDR_hash_report) == VIRTIO_NET_HASH_UDPv4 + 1;
}

/* ---- configuration layout ---- */

/* rss_max_key_size is 40 or more. */
Requirement(net_config_7, NET, MODERN, .rss = true)
{
    demand(vdrv_offered(&rig->drv) & F(RSS));
    expect(config_get(rig, VIRTIO_NET_CONFIG_rss_max_key_size, 1) >= 40);
}

/* rss_max_indirection_table_length is 128 or more. */
Requirement(net_config_8, NET, MODERN, .rss = true)
{
    expect(config_get(rig, VIRTIO_NET_CONFIG_rss_max_indirection_table_length, 2) >= 128);
}

/* HASH_REPORT is not offered without CTRL_VQ. */
Requirement(net_config_13, NET, MODERN, .rss = true, .features_off = F(CTRL_VQ))
{
    expect(!(vdrv_offered(&rig->drv) & (F(CTRL_VQ) | F(RSS) | F(HASH_REPORT))));
}

/* ---- hashes ---- */

/* With one pair, too, a command says what is hashed. */
Requirement(net_hash_1, NET, MODERN, .rss = true)
{
    demand(netio_start(rig, F(CTRL_VQ) | F(HASH_REPORT), 1, SIZE));
    expect(report(rig) == VIRTIO_NET_OK && reports(rig, 7));
    demand(netio_start(rig, F(CTRL_VQ) | F(RSS) | F(HASH_REPORT), 1, SIZE));
    expect(steer(rig, 0, 0) == VIRTIO_NET_OK && reports(rig, 8));
}

/* With RSS there is MQ_RSS_CONFIG. */
Requirement(net_hash_2, NET, MODERN, .rss = true, .queues = PAIRS)
{
    const struct netio_packet packet = from_port(9);
    begin(rig, RSS, PAIRS);
    expect(steer(rig, 2, 0) == VIRTIO_NET_OK && comes_to(rig, 2, &packet));
}

/* With HASH_REPORT alone there is MQ_HASH_CONFIG. */
Requirement(net_hash_3, NET, MODERN, .rss = true, .features_off = F(RSS))
{
    demand(vdrv_offered(&rig->drv) & F(HASH_REPORT));
    demand(netio_start(rig, F(CTRL_VQ) | F(HASH_REPORT), 1, SIZE));
    expect(report(rig) == VIRTIO_NET_OK && reports(rig, 10));
}

/* While the device steers by itself a command says what is hashed. */
Requirement(net_mq_hash_1, NET, MODERN, .rss = true, .queues = PAIRS)
{
    const uint8_t pairs[] = {PAIRS, 0};
    demand(netio_start(rig, F(CTRL_VQ) | F(MQ) | F(HASH_REPORT), PAIRS, SIZE));
    demand(netio_command(rig, CTRL(MQ), CTRL(MQ_VQ_PAIRS_SET), pairs, 2) == VIRTIO_NET_OK);
    expect(report(rig) == VIRTIO_NET_OK && reports(rig, 11));
}

/* ---- which queue ---- */

/* The hash and the table choose the queue; what has no hash goes to unclassified_queue. */
Requirement(net_rss_1, NET, MODERN, .rss = true, .queues = PAIRS)
{
    begin(rig, RSS, PAIRS);
    for (uint16_t pair = 0; pair < PAIRS; pair++) {
        const struct netio_packet packet = from_port(pair + 1);
        expect(steer(rig, pair, (pair + 1) % PAIRS) == VIRTIO_NET_OK);
        expect(comes_to(rig, pair, &packet));
        expect(comes_to(rig, (pair + 1) % PAIRS, &plain));
    }
}

/* What belongs to a queue in reset is lost. */
Requirement(net_rss_2, NET, MODERN, .rss = true, .queues = PAIRS)
{
    const struct netio_packet packet = from_port(12);
    begin(rig, RSS | RING_RESET, PAIRS);
    demand(steer(rig, 1, 0) == VIRTIO_NET_OK);
    demand(vdrv_queue_reset(&rig->drv, 2));
    netio_arrive(rig, 0, &packet);
    vdrv_queue_alloc(&rig->drv, 2, SIZE);
    vdrv_queue_write(&rig->drv, 2);
    netio_post(rig, 1, 2048);
    for (unsigned pair = 0; pair < PAIRS; pair++)
        expect(netio_take_all(rig, 2 * pair) == 0);
    expect(comes_to(rig, 1, &packet));
}

/* While a queue is in reset what belongs to it goes to another. */
Requirement(net_mq_3, NET, MODERN, .queues = PAIRS)
{
    const uint8_t pairs[] = {PAIRS, 0};
    begin(rig, F(CTRL_VQ) | F(MQ) | RING_RESET, PAIRS);
    demand(netio_command(rig, CTRL(MQ), CTRL(MQ_VQ_PAIRS_SET), pairs, 2) == VIRTIO_NET_OK);
    demand(vdrv_queue_reset(&rig->drv, 2));
    netio_arrive(rig, 1, &plain);
    expect(netio_take_all(rig, 0) == 1);
    vdrv_queue_alloc(&rig->drv, 2, SIZE);
    vdrv_queue_write(&rig->drv, 2);
    netio_post(rig, 1, 2048);
    netio_arrive(rig, 1, &plain);
    expect(netio_take_all(rig, 0) == 0 && netio_take_all(rig, 2) == 1);
}
