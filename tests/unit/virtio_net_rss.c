// SPDX-License-Identifier: BSD-2-Clause
/* The network device: which receive queue a packet goes to, by its hash and otherwise. */
#include "tests/harness/netio.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/net/net.h"
#include "virtio/net/net_hash.h"
#include "virtio/spec.h"

#define F(name)    VIRTIO_BIT(VIRTIO_NET_F_##name)
#define CTRL(name) VIRTIO_NET_CTRL_##name
#define OK         VIRTIO_NET_OK
#define ERR        VIRTIO_NET_ERR
#define PAIRS      3u
#define SIZE       64u
#define UDP        (1u << VIRTIO_NET_HASH_UDPv4)
#define RSS        (F(CTRL_VQ) | F(MQ) | F(RSS))
#define RING_RESET VIRTIO_BIT(VIRTIO_F_RING_RESET)

/* All pairs in turn, and the last one for what has no hash. */
static const struct netio_rss spread = {.types = UDP,
                                        .entries = 8,
                                        .pairs = {0, 1, 2, 0, 1, 2, 0, 1},
                                        .unclassified = 2,
                                        .tx_pairs = PAIRS,
                                        .key_bytes = NET_HASH_KEY_BYTES};

static void begin(struct rig *rig, unsigned variant, uint64_t features)
{
    struct rig_config config = rig_variants[variant];
    config.queues = PAIRS;
    config.rss = true;
    rig_open_net_on(rig, &config);
    cr_assert(netio_start(rig, features, PAIRS, SIZE));
}

static uint8_t say(struct rig *rig, const struct netio_rss *rss)
{
    uint8_t data[2048];
    uint32_t len = netio_make_rss(rss, data);
    return netio_command(rig, CTRL(MQ), CTRL(MQ_RSS_CONFIG), data, len);
}

static uint8_t use_pairs(struct rig *rig, uint16_t pairs)
{
    uint8_t data[2];
    le16_put(data, pairs);
    return netio_command(rig, CTRL(MQ), CTRL(MQ_VQ_PAIRS_SET), data, 2);
}

static struct netio_packet from_port(uint16_t port)
{
    return (struct netio_packet){.frame_bytes = 90, .udp = port, .fill = (uint8_t)port};
}

static struct net_hash hash_of(const struct netio_packet *packet)
{
    uint8_t bytes[2048];
    struct net_hash_config config = {.types = UDP};
    for (unsigned i = 0; i < NET_HASH_KEY_BYTES; i++)
        config.key[i] = NETIO_RSS_KEY(i);
    uint32_t len = netio_make(packet, bytes);
    return net_hash_of(&config, bytes + NET_HEADER_BYTES, len - NET_HEADER_BYTES);
}

/* Where `spread` sends it. */
static unsigned pair_of(const struct netio_packet *packet)
{
    return spread.pairs[hash_of(packet).value & (spread.entries - 1u)];
}

/* A port such that its packet goes to that pair. */
static uint16_t port_for(unsigned pair)
{
    uint16_t port = 1000;
    for (struct netio_packet p = from_port(port); pair_of(&p) != pair; p = from_port(port))
        port++;
    return port;
}

/* The queue that it comes to, of those that have a buffer; -1: none. */
static int comes_to(struct rig *rig, unsigned source, const struct netio_packet *packet)
{
    int found = -1;
    netio_arrive(rig, source, packet);
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        unsigned count = netio_take_all(rig, 2 * pair);
        cr_expect_leq(count, found < 0 ? 1u : 0u);
        if (count > 0)
            found = (int)pair;
    }
    return found;
}

static void post_all(struct rig *rig, uint32_t bytes)
{
    for (unsigned pair = 0; pair < PAIRS; pair++)
        netio_post(rig, pair, bytes);
}

/* ---- it works ---- */

/* By all transports and rings, from all sources, with the hash in the header and without. */
Test(virtio_net_rss, hashes_choose_queues)
{
    for (unsigned v = 0; v < RIG_VARIANTS; v++) {
        for (unsigned reports = 0; reports < 2; reports++) {
            struct rig rig;
            unsigned header = reports ? VIRTIO_NET_HDR_HASH_BYTES : VIRTIO_NET_HDR_BYTES;
            unsigned seen = 0;
            begin(&rig, v, RSS | F(MRG_RXBUF) | (reports ? F(HASH_REPORT) : 0));
            cr_assert_eq(say(&rig, &spread), OK);
            cr_expect_eq(rig.ether.pairs_used, PAIRS);
            for (uint16_t port = 1000; port < 1030; port++) {
                struct netio_packet packet = from_port(port);
                struct net_hash hash = hash_of(&packet);
                unsigned pair = pair_of(&packet);
                uint8_t made[2048];
                uint32_t len, bytes = netio_make(&packet, made) - NET_HEADER_BYTES;
                const uint8_t *at = netio_post(&rig, pair, 2048);
                netio_arrive(&rig, port % PAIRS, &packet);
                cr_assert(netio_take(&rig, 2 * pair, &len), "port %u", port);
                cr_expect_eq(len, header + bytes);
                cr_expect_eq(memcmp(at + header, made + NET_HEADER_BYTES, bytes), 0);
                cr_expect_eq(le16_get(at + VIRTIO_NET_HDR_num_buffers), 1);
                if (reports) {
                    cr_expect_eq(le32_get(at + VIRTIO_NET_HDR_hash_value), hash.value);
                    cr_expect_eq(le32_get(at + VIRTIO_NET_HDR_hash_report), hash.report);
                }
                seen |= 1u << pair;
            }
            cr_expect_eq(seen, 7);
            netio_post(&rig, 2, 2048);
            cr_expect_eq(comes_to(&rig, 0, &(struct netio_packet){.frame_bytes = 60}), 2);
            rig_close(&rig);
        }
    }
}

/* The hash alone, while the network steers; and the longer header when sending. */
OnRig(virtio_net_rss, hashes_are_reported_without_rss,
      begin(rig, 0, F(CTRL_VQ) | F(MQ) | F(HASH_REPORT)))
{
    struct netio_packet packet = from_port(1234);
    uint8_t data[12 + 1 + NET_HASH_KEY_BYTES] = {0}, made[2048];
    const uint8_t *at = netio_post(rig, 0, 2048);
    cr_expect_eq(comes_to(rig, 0, &packet), 0);
    cr_expect_eq(le32_get(at + VIRTIO_NET_HDR_hash_report), 0, "nobody has asked");
    le32_put(data, UDP);
    data[12] = NET_HASH_KEY_BYTES;
    for (unsigned i = 0; i < NET_HASH_KEY_BYTES; i++)
        data[13 + i] = NETIO_RSS_KEY(i);
    for (uint32_t len = 0; len < sizeof(data); len++)
        cr_expect_eq(netio_command(rig, CTRL(MQ), CTRL(MQ_HASH_CONFIG), data, len), ERR);
    cr_expect_eq(netio_command(rig, CTRL(MQ), CTRL(MQ_HASH_CONFIG), data, sizeof(data)), OK);
    cr_expect_eq(say(rig, &spread), ERR, "RSS was not negotiated");
    cr_expect_eq(use_pairs(rig, PAIRS), OK);
    uint32_t bytes = netio_make(&packet, made) - NET_HEADER_BYTES;
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        at = netio_post(rig, pair, 2048);
        cr_expect_eq(comes_to(rig, pair, &packet), (int)pair);
        cr_expect_eq(le32_get(at + VIRTIO_NET_HDR_hash_value), hash_of(&packet).value);
        cr_expect_eq(le16_get(at + VIRTIO_NET_HDR_hash_report), VIRTIO_NET_HASH_UDPv4 + 1);
        cr_expect_eq(memcmp(at + VIRTIO_NET_HDR_HASH_BYTES, made + NET_HEADER_BYTES, bytes), 0);
    }
    netio_send(rig, 1, &packet, true);
    struct fake_packet *sent = fake_net_take(&rig->ether, 1);
    cr_assert(sent != NULL);
    cr_expect_eq(sent->bytes, NET_HEADER_BYTES + bytes);
    cr_expect_eq(memcmp(sent->data + NET_HEADER_BYTES, made + NET_HEADER_BYTES, bytes), 0);
    free(sent);
}

OnRig(virtio_net_rss, a_packet_has_many_buffers, begin(rig, 0, RSS | F(HASH_REPORT) | F(MRG_RXBUF)))
{
    uint8_t *at[40], made[4096];
    cr_assert_eq(say(rig, &spread), OK);
    struct netio_packet packet = from_port(port_for(1));
    packet.frame_bytes = 3000;
    uint32_t len, done = 0, bytes = netio_make(&packet, made) - NET_HEADER_BYTES;
    for (unsigned i = 0; i < 40; i++)
        at[i] = netio_post(rig, 1, 100);
    netio_arrive(rig, 2, &packet);
    for (unsigned i = 0; netio_take(rig, 2, &len); i++) {
        uint32_t header = i == 0 ? VIRTIO_NET_HDR_HASH_BYTES : 0;
        cr_assert_leq(done + len - header, bytes);
        cr_expect_eq(memcmp(at[i] + header, made + NET_HEADER_BYTES + done, len - header), 0);
        done += len - header;
    }
    cr_expect_eq(done, bytes);
    cr_expect_eq(le16_get(at[0] + VIRTIO_NET_HDR_num_buffers), 31);
}

/* ---- queues without buffers, and in reset ---- */

OnRig(virtio_net_rss, a_packet_waits_for_its_queue, begin(rig, 0, RSS))
{
    cr_assert_eq(say(rig, &spread), OK);
    struct netio_packet one = from_port(port_for(1)), two = from_port(port_for(2));
    netio_post(rig, 2, 2048);
    cr_expect_eq(comes_to(rig, 0, &one), -1);
    cr_expect_eq(comes_to(rig, 2, &two), -1, "it is behind the other");
    netio_post(rig, 1, 2048);
    cr_expect_eq(netio_take_all(rig, 2), 1);
    cr_expect_eq(netio_take_all(rig, 4), 1);
    /* One that never fits is lost, and holds nobody up. */
    netio_post(rig, 1, 40);
    netio_post(rig, 2, 2048);
    cr_expect_eq(comes_to(rig, 0, &one), -1);
    cr_expect_eq(comes_to(rig, 0, &two), 2);
    struct virtio_net_drops drops;
    virtio_net_drops(rig->net, &drops);
    cr_expect_eq(drops.rx_no_room, 1);
}

/* Waiting ends with the queue, with the link, and with another command. */
OnRig(virtio_net_rss, what_waits_does_not_wait_for_ever, begin(rig, 0, RSS | RING_RESET))
{
    struct netio_packet one = from_port(port_for(1)), two = from_port(port_for(2));
    for (unsigned how = 0; how < 4; how++) {
        cr_assert_eq(say(rig, &spread), OK);
        cr_expect_eq(comes_to(rig, 0, &one), -1);
        netio_arrive(rig, 0, &two);
        netio_post(rig, 2, 2048);
        netio_post(rig, 0, 2048);
        cr_expect_eq(netio_take_all(rig, 4), 0);
        if (how == 0) {
            cr_expect_eq(say(rig, &spread), OK);
            cr_expect_eq(netio_take_all(rig, 4), 1);
            cr_expect_eq(comes_to(rig, 0, &two), -1);
            netio_post(rig, 2, 2048);
            cr_expect_eq(netio_take_all(rig, 4), 1);
            continue;
        }
        if (how == 1)
            cr_expect_eq(use_pairs(rig, 1), OK);
        if (how == 2) {
            fake_net_link(&rig->ether, false);
            netio_post(rig, 0, 2048);
            fake_net_link(&rig->ether, true);
            netio_arrive(rig, 0, &two);
        }
        if (how == 3)
            cr_assert(vdrv_queue_reset(&rig->drv, 2));
        rig_step(rig);
        cr_expect_eq(netio_take_all(rig, how == 1 ? 0 : 4), 1, "%u", how);
    }
}

/* Nor for what the driver no longer takes. */
OnRig(virtio_net_rss, what_waits_keeps_to_the_offloads_of_now,
      begin(rig, 0, RSS | F(CTRL_GUEST_OFFLOADS) | F(GUEST_CSUM)))
{
    const uint8_t none[8] = {0};
    cr_assert_eq(say(rig, &spread), OK);
    struct netio_packet one = from_port(port_for(1)), two = from_port(port_for(2));
    one.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    cr_expect_eq(comes_to(rig, 0, &one), -1);
    cr_expect_eq(
        netio_command(rig, CTRL(GUEST_OFFLOADS), CTRL(GUEST_OFFLOADS_SET), none, sizeof(none)), OK);
    post_all(rig, 2048);
    cr_expect_eq(netio_take_all(rig, 2), 0);
    cr_expect_eq(comes_to(rig, 0, &two), 2);
}

OnRig(virtio_net_rss, queues_in_reset_get_nothing, begin(rig, 0, RSS | RING_RESET))
{
    cr_assert_eq(say(rig, &spread), OK);
    struct netio_packet zero = from_port(port_for(0)), one = from_port(port_for(1));
    post_all(rig, 2048);
    cr_assert(vdrv_queue_reset(&rig->drv, 0));
    cr_expect_eq(comes_to(rig, 0, &zero), -1);
    cr_expect_eq(comes_to(rig, 0, &one), 1, "the first queue's source goes on");
    vdrv_queue_set_up(&rig->drv, 0, SIZE);
    netio_post(rig, 0, 2048);
    cr_expect_eq(comes_to(rig, 0, &zero), 0);
}

/* A table may name a queue that the driver has never set up. */
OnNet(virtio_net_rss, queues_that_are_not_there_get_nothing, .queues = PAIRS, .rss = true)
{
    cr_assert(netio_start(rig, RSS, 1, SIZE));
    cr_assert_eq(say(rig, &spread), OK);
    netio_post(rig, 0, 2048);
    struct netio_packet zero = from_port(port_for(0)), one = from_port(port_for(1));
    netio_arrive(rig, 1, &one);
    cr_expect_eq(netio_take_all(rig, 0), 0);
    netio_arrive(rig, 1, &zero);
    cr_expect_eq(netio_take_all(rig, 0), 1);
}

/* ---- drivers that lie ---- */

static void expect_refused(struct rig *rig, const struct netio_rss *rss, const char *what)
{
    struct netio_packet one = from_port(port_for(1));
    cr_expect_eq(say(rig, rss), ERR, "%s", what);
    post_all(rig, 2048);
    cr_expect_eq(comes_to(rig, 0, &one), 1, "%s: nothing has changed", what);
}

OnRig(virtio_net_rss, commands_that_make_no_sense, begin(rig, 0, RSS))
{
    static const struct {
        const char *what;
        struct netio_rss rss;
    } cases[] = {
        {"a type that was not offered", {1u << 6, 1, {0}, 0, 1, 40}},
        {"all types", {~0u, 1, {0}, 0, 1, 40}},
        {"three entries", {UDP, 3, {0}, 0, 1, 40}},
        {"256 entries", {UDP, 256, {0}, 0, 1, 40}},
        {"512 entries", {UDP, 512, {0}, 0, 1, 40}},
        {"65536 entries", {UDP, 0, {0}, 0, 1, 40}},
        {"beyond the pairs", {UDP, 2, {0, PAIRS}, 0, 1, 40}},
        {"far beyond", {UDP, 2, {0x7fff, 0}, 0, 1, 40}},
        {"unclassified", {UDP, 1, {0}, PAIRS, 1, 40}},
        {"transmit queues", {UDP, 1, {0}, 0, PAIRS + 1, 40}},
        {"no transmit queue", {UDP, 1, {0}, 0, 0, 40}},
        {"a key of 41 bytes", {UDP, 1, {0}, 0, 1, 41}},
        {"a key of 255 bytes", {UDP, 1, {0}, 0, 1, 255}},
        {"no key", {UDP, 1, {0}, 0, 1, 0}},
    };
    cr_assert_eq(say(rig, &spread), OK);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        expect_refused(rig, &cases[i].rss, cases[i].what);
    rig->ether.refuse_pairs = -EIO;
    expect_refused(rig, &(struct netio_rss){.entries = 1, .tx_pairs = 1}, "the host refuses");
    struct netio_packet one = from_port(port_for(1));
    cr_expect_eq(use_pairs(rig, 1), ERR);
    post_all(rig, 2048);
    cr_expect_eq(comes_to(rig, 0, &one), 1, "nor does this change anything");
}

OnRig(virtio_net_rss, commands_that_are_cut_off, begin(rig, 0, RSS))
{
    uint8_t data[2048];
    uint32_t len = netio_make_rss(&spread, data);
    for (uint32_t cut = 0; cut < len; cut++)
        cr_expect_eq(netio_command(rig, CTRL(MQ), CTRL(MQ_RSS_CONFIG), data, cut), ERR);
    cr_expect_eq(rig->ether.pairs_used, 1);
    cr_expect_eq(netio_command(rig, CTRL(MQ), CTRL(MQ_RSS_CONFIG), data, len + 100), OK);
    cr_expect_eq(rig->ether.pairs_used, PAIRS);
}

/* The largest table, a short key, and none where there is nothing to hash. */
OnRig(virtio_net_rss, commands_at_the_limits, begin(rig, 0, RSS))
{
    struct netio_rss rss = {.types = UDP, .entries = 128, .tx_pairs = 1, .key_bytes = 1};
    for (unsigned i = 0; i < rss.entries; i++)
        rss.pairs[i] = 1;
    struct netio_packet packet = from_port(1);
    post_all(rig, 2048);
    cr_expect_eq(say(rig, &rss), OK);
    cr_expect_eq(rig->ether.pairs_used, 2);
    cr_expect_eq(comes_to(rig, 0, &packet), 1);
    rss = (struct netio_rss){.entries = 1, .unclassified = 2, .tx_pairs = 1};
    cr_expect_eq(say(rig, &rss), OK);
    cr_expect_eq(comes_to(rig, 0, &packet), 2);
}

/* ---- it ends ---- */

OnRig(virtio_net_rss, reset_and_pairs_set_end_it, begin(rig, 0, RSS))
{
    struct netio_packet one = from_port(port_for(1));
    for (unsigned round = 0; round < 2; round++) {
        cr_expect_eq(say(rig, &spread), OK);
        post_all(rig, 2048);
        cr_expect_eq(comes_to(rig, 0, &one), 1);
        if (round == 0)
            cr_expect_eq(use_pairs(rig, PAIRS), OK);
        else
            cr_assert(netio_start(rig, RSS, PAIRS, SIZE));
        post_all(rig, 2048);
        cr_expect_eq(comes_to(rig, 0, &one), 0);
    }
}

Test(virtio_net_rss, is_offered_when_asked_for)
{
    struct rig rig;
    rig_open_net_on(&rig, &(struct rig_config){.queues = PAIRS});
    cr_expect_eq(vdrv_offered(&rig.drv) & (F(RSS) | F(HASH_REPORT)), 0);
    uint8_t config[4];
    vdrv_config_read(&rig.drv, VIRTIO_NET_CONFIG_supported_hash_types, config, 4);
    cr_expect_eq(le32_get(config), 0);
    rig_close(&rig);
    /* One pair is enough to report, and to have all in one queue. */
    rig_open_net_on(&rig, &(struct rig_config){.rss = true});
    cr_assert(netio_start(&rig, F(CTRL_VQ) | F(RSS) | F(HASH_REPORT), 1, SIZE));
    struct netio_rss rss = {.types = UDP, .entries = 1, .tx_pairs = 1, .key_bytes = 40};
    cr_expect_eq(say(&rig, &rss), OK);
    const uint8_t *at = netio_post(&rig, 0, 2048);
    struct netio_packet packet = from_port(7);
    netio_arrive(&rig, 0, &packet);
    cr_expect_eq(netio_take_all(&rig, 0), 1);
    cr_expect_eq(le32_get(at + VIRTIO_NET_HDR_hash_value), hash_of(&packet).value);
    rig_close(&rig);
}

/* ---- without RSS: queues in reset ---- */

/* What was for a queue in reset goes to another, also what is there already. */
OnRig(virtio_net_rss, a_pair_without_queue_uses_another,
      begin(rig, 0, F(CTRL_VQ) | F(MQ) | RING_RESET))
{
    struct netio_packet packet = from_port(1);
    cr_expect_eq(use_pairs(rig, PAIRS), OK);
    netio_post(rig, 0, 2048);
    netio_post(rig, 0, 2048);
    cr_expect_eq(comes_to(rig, 2, &packet), -1, "it has no buffers");
    cr_assert(vdrv_queue_reset(&rig->drv, 4));
    rig_step(rig);
    cr_expect_eq(netio_take_all(rig, 0), 1);
    cr_expect_eq(comes_to(rig, 2, &packet), 0);
    vdrv_queue_set_up(&rig->drv, 4, SIZE);
    post_all(rig, 2048);
    cr_expect_eq(comes_to(rig, 2, &packet), 2);
    /* The first is nothing special. */
    cr_assert(vdrv_queue_reset(&rig->drv, 0));
    cr_expect_eq(comes_to(rig, 0, &packet), 1);
}
