// SPDX-License-Identifier: BSD-2-Clause
/* The network device: H44 to H46, and guests that misuse its queues. */
#include "hostile.h"

#include <stdlib.h>

#include "tests/harness/netio.h"
#include "virtio/net/net.h"

#define F(name)  VIRTIO_BIT(VIRTIO_NET_F_##name)
#define OFFLOADS (F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_ECN) | F(HOST_UFO) | F(HOST_USO))
#define CONTROL                                                                                 \
    (F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_RX_EXTRA) | F(CTRL_VLAN) | F(CTRL_MAC_ADDR) | F(STATUS) | \
     F(GUEST_ANNOUNCE) | F(GUEST_CSUM) | F(CTRL_GUEST_OFFLOADS) | F(MQ))
#define RX 0u
#define TX 1u

#define F_INDIRECT VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)

static void open_net(struct rig *rig, const struct rig_config *on, uint64_t features, uint32_t size)
{
    rig_open_net_on(rig, on);
    cr_assert(netio_start(rig, features, 1, size));
}

/* Whatever it was, a driver that starts anew sends and receives. */
static void close_net(struct rig *rig)
{
    const struct netio_packet packet = {.frame_bytes = 60};
    for (unsigned pair = 0; pair < FAKE_NET_PAIRS; pair++)
        rig->ether.pairs[pair].room = 1000;
    if (!rig->ether.backend.info.link_up)
        fake_net_link(&rig->ether, true);
    cr_assert(netio_start(rig, F(MRG_RXBUF), 1, 16));
    unsigned sent = rig->ether.pairs[0].sent_count;
    netio_send(rig, 0, &packet, true);
    cr_expect_eq(rig->ether.pairs[0].sent_count, sent + 1);
    netio_post(rig, 0, 2048);
    netio_arrive(rig, 0, &packet);
    cr_expect_eq(netio_take_all(rig, RX), 1);
    cr_expect_eq(netio_take_all(rig, TX), 1);
    rig_close(rig);
}

/* What a backend may rely on. */
static bool makes_sense(const struct fake_packet *packet)
{
    const uint8_t *h = packet->data;
    uint32_t frame = packet->bytes - NET_HEADER_BYTES;
    bool csum = h[VIRTIO_NET_HDR_flags] == VIRTIO_NET_HDR_F_NEEDS_CSUM;
    uint32_t end = (uint32_t)le16_get(h + VIRTIO_NET_HDR_csum_start) +
                   le16_get(h + VIRTIO_NET_HDR_csum_offset) + 2;
    static const uint8_t types[] = {0, 1, 3, 4, 5, 0x81, 0x83, 0x84, 0x85};
    bool gso = h[VIRTIO_NET_HDR_gso_type] != 0;
    return packet->bytes <= NET_PACKET_MAX && frame >= 14 &&
           memchr(types, h[VIRTIO_NET_HDR_gso_type], sizeof(types)) != NULL &&
           (csum || h[VIRTIO_NET_HDR_flags] == 0) && (!csum || end <= frame) &&
           (!gso || (csum && le16_get(h + VIRTIO_NET_HDR_gso_size) != 0)) &&
           le16_get(h + VIRTIO_NET_HDR_hdr_len) <= frame;
}

/* How many packets got out; each of them made sense. */
static unsigned sent(struct rig *rig)
{
    unsigned count = 0;
    struct fake_packet *packet;
    for (; (packet = fake_net_take(&rig->ether, 0)) != NULL; count++) {
        cr_expect(makes_sense(packet));
        free(packet);
    }
    return count;
}

static void publish(struct rig *rig, unsigned queue, const struct vdrv_buf *bufs, unsigned count)
{
    cr_assert_geq(vdrv_send(&rig->drv.q[queue], bufs, count), 0);
    rig_step(rig);
}

/* ---- H44: transmission ---- */

OnEachRig(hostile_net, h44_no_header_or_no_frame, open_net(rig, on, OFFLOADS, 64), close_net(rig))
{
    const uint8_t zeroes[26] = {0};
    for (uint32_t len = 1; len < sizeof(zeroes); len++) {
        netio_send_raw(rig, 0, zeroes, len, len);
        cr_expect_eq(netio_take_all(rig, TX), 1);
    }
    uint64_t gpa = vdrv_alloc(&rig->drv, 64, 8);
    publish(rig, TX, &(struct vdrv_buf){gpa, 0, false}, 1);
    publish(rig, TX, &(struct vdrv_buf){gpa, 64, true}, 1); /* nothing to read */
    cr_expect_eq(netio_take_all(rig, TX), 2);
    cr_expect_eq(sent(rig), 0);
    netio_send_raw(rig, 0, zeroes, sizeof(zeroes), 64);
    cr_expect_eq(sent(rig), 1);
    cr_expect(!rig_is_broken(rig));
}

OnEachRig(hostile_net, h44_every_type_of_segments, open_net(rig, on, OFFLOADS, 64), close_net(rig))
{
    unsigned count = 0;
    for (unsigned type = 0; type < 256; type++)
        for (uint8_t flags = 0; flags < 2; flags++) {
            struct netio_packet packet = {.flags = flags,
                                          .gso_type = (uint8_t)type,
                                          .gso_size = 1000,
                                          .csum_start = 34,
                                          .csum_offset = 16,
                                          .frame_bytes = 100};
            netio_send(rig, 0, &packet, true);
            cr_expect_eq(netio_take_all(rig, TX), 1);
            count += sent(rig);
        }
    /* NONE, and NONE with ECN, without and with a checksum; eight types with one. */
    cr_expect_eq(count, 2 * 2 + 8);
}

OnEachRig(hostile_net, h44_fields_beyond_the_frame, open_net(rig, on, OFFLOADS, 64), close_net(rig))
{
    static const uint16_t edges[] = {0, 1, 13, 14, 97, 98, 99, 100, 101, 0x7fff, 0xfffe, 0xffff};
    for (unsigned a = 0; a < ARRAY_SIZE(edges); a++)
        for (unsigned b = 0; b < ARRAY_SIZE(edges); b++)
            for (uint8_t type = 0; type < 2; type++) {
                struct netio_packet packet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                              .gso_type = type,
                                              .hdr_len = edges[b],
                                              .gso_size = edges[a],
                                              .csum_start = edges[a],
                                              .csum_offset = edges[b],
                                              .frame_bytes = 100};
                netio_send(rig, 0, &packet, true);
                cr_expect_eq(netio_take_all(rig, TX), 1);
                bool ok = edges[a] + edges[b] + 2 <= 100 && (type == 0 || edges[a] != 0);
                cr_expect_eq(sent(rig), ok, "%u %u", edges[a], edges[b]);
            }
}

OnEachRig(hostile_net, h44_offloads_that_were_not_negotiated, open_net(rig, on, 0, 64),
          close_net(rig))
{
    for (unsigned type = 1; type < 256; type++) {
        struct netio_packet packet = {.flags = (uint8_t)type,
                                      .gso_type = (uint8_t)type,
                                      .gso_size = 1000,
                                      .frame_bytes = 100};
        netio_send(rig, 0, &packet, true);
        cr_expect_eq(netio_take_all(rig, TX), 1);
        cr_expect_eq(sent(rig), type == VIRTIO_NET_HDR_GSO_ECN);
    }
}

OnEachRig(hostile_net, h44_frames_that_are_too_long, open_net(rig, on, OFFLOADS, 64),
          close_net(rig))
{
    struct vdrv_buf bufs[60];
    static uint8_t longest[NET_PACKET_MAX + 1];
    netio_send_raw(rig, 0, longest, sizeof(longest) - 1, 65536);
    cr_expect_eq(sent(rig), 1);
    netio_send_raw(rig, 0, longest, sizeof(longest), 65536);
    cr_expect_eq(sent(rig), 0);
    for (unsigned i = 0; i < ARRAY_SIZE(bufs); i++) /* the same 2 MiB again and again */
        bufs[i] = (struct vdrv_buf){0, RIG_HOLE_GPA, false};
    publish(rig, TX, bufs, ARRAY_SIZE(bufs));
    cr_expect_eq(sent(rig), 0);
    cr_expect_eq(netio_take_all(rig, TX), 3);
}

/* More vectors than a host call takes: lost, and no more. */
OnEachRig(hostile_net, h44_a_byte_a_buffer,
          (on->queue_size_max = 1024, open_net(rig, on, F_INDIRECT, 1024)), close_net(rig))
{
    static struct vdrv_buf bufs[1024];
    uint64_t gpa = vdrv_alloc(&rig->drv, 1024, 8);
    for (unsigned i = 0; i < ARRAY_SIZE(bufs); i++)
        bufs[i] = (struct vdrv_buf){gpa + i, 1, false};
    for (unsigned count = 1000; count <= 1024; count++) {
        cr_assert_geq(vdrv_add_indirect(&rig->drv.q[TX], bufs, count), 0);
        vdrv_kick(&rig->drv.q[TX]);
        rig_step(rig);
        cr_expect_eq(netio_take_all(rig, TX), 1);
        cr_expect_leq(rig->ether.pairs[0].vectors, 1024);
        cr_expect_eq(sent(rig), 1); /* the header is one vector, however it was cut */
    }
}

OnEachRig(hostile_net, h44_a_full_backend_is_kicked, open_net(rig, on, 0, 64), close_net(rig))
{
    struct vdrv_buf buf;
    buf = (struct vdrv_buf){vdrv_alloc(&rig->drv, 100, 8), 100, false};
    rig->ether.pairs[0].room = 0;
    while (vdrv_add(&rig->drv.q[TX], &buf, 1) >= 0)
        ;
    for (unsigned i = 0; i < 1000; i++) {
        vdrv_kick(&rig->drv.q[TX]);
        rig_step(rig);
    }
    cr_expect_leq(rig->ether.pairs[0].sends, 1002, "an offer a kick, no spinning");
    cr_expect_eq(netio_take_all(rig, TX), 0);
    fake_net_open(&rig->ether, 0, 1000);
    rig_step(rig);
    cr_expect_eq(netio_take_all(rig, TX), 64);
}

/* ---- H45: reception ---- */

static void flood(struct rig *rig, unsigned packets)
{
    uint8_t packet[12 + 60];
    uint32_t bytes = netio_make(&(struct netio_packet){.frame_bytes = 60}, packet);
    for (unsigned n = 0; n < packets; n++)
        fake_net_arrive(&rig->ether, 0, packet, bytes);
    rig_step(rig);
}

OnEach(hostile_net, h45_buffers_without_room)
{
    static const uint32_t sizes[] = {0, 1, 9, 10, 11};
    for (unsigned merges = 0; merges < 2; merges++) {
        struct rig rig;
        uint32_t len;
        open_net(&rig, on, merges ? F(MRG_RXBUF) : 0, 64);
        uint64_t gpa = vdrv_alloc(&rig.drv, 64, 8);
        for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++)
            publish(&rig, RX, &(struct vdrv_buf){gpa, sizes[i], true}, 1);
        publish(&rig, RX, &(struct vdrv_buf){gpa, 64, false}, 1); /* nothing to write into */
        flood(&rig, 3);
        for (unsigned i = 0; i < ARRAY_SIZE(sizes) + 1; i++) {
            cr_assert(netio_take(&rig, RX, &len));
            cr_expect_eq(len, 0);
        }
        cr_expect(!netio_take(&rig, RX, &len));
        cr_expect(!rig_is_broken(&rig));
        close_net(&rig);
    }
}

/* Just a header's room each, and too few of them. */
OnEachRig(hostile_net, h45_too_few_buffers_for_a_frame, open_net(rig, on, F(MRG_RXBUF), 64),
          close_net(rig))
{
    struct virtio_net_drops drops;
    for (unsigned n = 0; n < 5; n++)
        netio_post(rig, 0, 12);
    flood(rig, 10);
    cr_expect_eq(netio_take_all(rig, RX), 0);
    virtio_net_drops(rig->net, &drops);
    cr_expect_eq(drops.rx_no_room, 10);
    netio_post(rig, 0, 12);
    flood(rig, 1);
    cr_expect_eq(netio_take_all(rig, RX), 6, "72 bytes are six times twelve");
}

OnEachRig(hostile_net, h45_a_queue_that_is_not_refilled, open_net(rig, on, F(MRG_RXBUF), 64),
          close_net(rig))
{
    netio_post(rig, 0, 100);
    flood(rig, 1000);
    cr_expect_eq(netio_take_all(rig, RX), 1);
    unsigned asked = rig->ether.pairs[0].receives;
    for (unsigned n = 0; n < 100; n++) {
        vdrv_kick(&rig->drv.q[RX]);
        rig_step(rig);
    }
    cr_expect_eq(rig->ether.pairs[0].receives, asked, "without buffers the network is left alone");
    for (unsigned n = 0; n < 30; n++)
        netio_post(rig, 0, 100);
    cr_expect_eq(netio_take_all(rig, RX), 30);
    cr_expect_eq(rig->ether.pairs[0].waiting_count, 1000 - 31);
}

/* Two mebibytes a buffer, and a byte a buffer: nothing of ours grows or ends. */
OnEachRig(hostile_net, h45_buffers_of_all_sizes,
          (on->queue_size_max = 1024,
           open_net(rig, on, F(MRG_RXBUF) | F(GUEST_CSUM) | F(GUEST_TSO4) | F_INDIRECT, 1024)),
          close_net(rig))
{
    static struct vdrv_buf bufs[1024];
    for (unsigned round = 0; round < 3; round++)
        for (unsigned n = 1; n <= 1024; n += 93) {
            uint32_t each = n % 2 != 0 ? 1 : 4096;
            for (unsigned i = 0; i < n; i++)
                bufs[i] =
                    (struct vdrv_buf){RIG_HOLE_END_GPA + UINT64_C(4096) * (i % 256), each, true};
            cr_assert_geq(vdrv_add_indirect(&rig->drv.q[RX], bufs, n), 0);
            publish(rig, RX, &(struct vdrv_buf){RIG_HOLE_END_GPA, 0x200000, true}, 1);
            flood(rig, 2);
        }
    cr_expect_leq(rig->ether.pairs[0].vectors, 1024);
    cr_expect(!rig_is_broken(rig));
}

/* ---- H46: the control queue ---- */

/* A command with any data and any room for the answer; what did the device write? */
static uint32_t raw_command(struct rig *rig, unsigned queue, const void *bytes, uint32_t len,
                            uint32_t room)
{
    uint32_t used = UINT32_MAX;
    uint64_t gpa = vdrv_alloc(&rig->drv, len + room + 1, 8);
    memcpy(vdrv_ptr(&rig->drv, gpa, len), bytes, len);
    struct vdrv_buf bufs[] = {{gpa, len, false}, {gpa + len, room, true}};
    publish(rig, queue, len > 0 ? bufs : bufs + 1, (len > 0) + (room > 0));
    cr_expect(netio_take(rig, queue, &used));
    return used;
}

OnEachRig(hostile_net, h46_every_command, (on->queues = 3, rig_open_net_on(rig, on)),
          close_net(rig))
{
    uint8_t data[32];
    for (unsigned class = 0; class < 256; class ++) {
        cr_assert(netio_start(rig, CONTROL, 3, 64));
        for (unsigned command = 0; command < 256; command += class < 9 ? 1 : 51) {
            memset(data, (int)command, sizeof(data));
            uint8_t ack = netio_command(rig, (uint8_t) class, (uint8_t)command, data, command % 32);
            cr_expect(ack == VIRTIO_NET_ERR || (class < 6 && command < 6));
        }
        cr_expect(!rig_is_broken(rig));
    }
}

OnEachRig(hostile_net, h46_commands_without_a_place_for_the_answer,
          open_net(rig, on, CONTROL & ~F(MQ), 64), close_net(rig))
{
    const uint8_t promisc[] = {0, 0, 1};
    struct virtio_net_drops drops;
    cr_expect_eq(raw_command(rig, 2, promisc, 3, 0), 0);
    netio_post(rig, 0, 256);
    netio_arrive(rig, 0,
                 &(struct netio_packet){.frame_bytes = 60, .dst = (uint8_t[]){2, 0, 0, 0, 0, 9}});
    virtio_net_drops(rig->net, &drops);
    cr_expect_eq(drops.rx_filtered, 1, "nothing was done");
    cr_expect_eq(raw_command(rig, 2, promisc, 0, 1), 1, "no command");
    cr_expect_eq(raw_command(rig, 2, promisc, 1, 1), 1, "half of one");
    cr_expect_eq(raw_command(rig, 2, promisc, 3, 100), 1, "one byte, whatever the room");
}

OnEachRig(hostile_net, h46_pairs_that_there_are_not, (on->queues = 3, rig_open_net_on(rig, on)),
          close_net(rig))
{
    static const uint16_t pairs[] = {0, 4, 5, 0x7fff, 0x8000, 0x8001, 0xffff};
    cr_assert(netio_start(rig, CONTROL, 3, 64));
    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++)
        cr_expect_eq(netio_command(rig, 4, 0, &pairs[i], 2), VIRTIO_NET_ERR);
    cr_expect_eq(rig->ether.pairs_used, 1);
}

/* Pairs whose queues the driver has never set up. */
OnEachRig(hostile_net, h46_pairs_without_queues, (on->queues = 3, rig_open_net_on(rig, on)),
          close_net(rig))
{
    const uint16_t three = 3;
    cr_assert(vdrv_negotiate(&rig->drv, CONTROL));
    vdrv_queue_alloc(&rig->drv, 6, 16);
    vdrv_queue_write(&rig->drv, 6);
    vdrv_driver_ok(&rig->drv);
    cr_expect_eq(netio_command(rig, 4, 0, &three, 2), VIRTIO_NET_OK);
    for (unsigned pair = 0; pair < 3; pair++) {
        netio_arrive(rig, pair, &(struct netio_packet){.frame_bytes = 60});
        fake_net_open(&rig->ether, pair, 10);
    }
    rig_step(rig);
    cr_expect(!rig_is_broken(rig));
}

/* Commands for RSS with bytes that are any, while packets come and queues go. */
OnEachRig(hostile_net, h46_steering_at_random,
          (on->queues = 3, on->rss = true, rig_open_net_on(rig, on)), close_net(rig))
{
    const struct netio_rss rss = {
        .types = 0x3f, .entries = 4, .pairs = {0, 1, 2, 0}, .tx_pairs = 3, .key_bytes = 40};
    uint64_t seed = 1;
    uint8_t data[2048];
    uint64_t features = CONTROL | F(RSS) | F(HASH_REPORT) | F(MRG_RXBUF) | F(GUEST_TSO4);
    for (unsigned round = 0; round < 300; round++) {
        if (round % 30 == 0)
            cr_assert(netio_start(rig, features | VIRTIO_BIT(VIRTIO_F_RING_RESET), 3, 16));
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        unsigned dice = (unsigned)(seed >> 33), pair = dice % 3;
        uint32_t len = netio_make_rss(&rss, data);
        if (dice & 8)
            data[dice / 16 % len] = (uint8_t)(dice >> 20);
        if (dice & 64)
            len = dice / 128 % (len + 1);
        netio_command(rig, 4, (uint8_t)(dice % 5 % 3), data, len);
        netio_arrive(rig, pair,
                     &(struct netio_packet){.frame_bytes = 60 + dice % 1000,
                                            .udp = (uint16_t)(1 + dice % 999)});
        if (dice % 7 == 0 && vdrv_queue_reset(&rig->drv, 2 * pair)) {
            vdrv_queue_alloc(&rig->drv, 2 * pair, 16);
            vdrv_queue_write(&rig->drv, 2 * pair);
        }
        netio_post(rig, (pair + 1) % 3, 30 + dice % 2000);
        netio_take_all(rig, 0);
        netio_take_all(rig, 2);
        netio_take_all(rig, 4);
    }
    cr_expect(!rig_is_broken(rig));
}

OnEachRig(hostile_net, h46_mac_tables_that_lie, open_net(rig, on, CONTROL & ~F(MQ), 64),
          close_net(rig))
{
    static const uint32_t counts[] = {1,          3,          0x2aaaaaaa, 0x2aaaaaab,
                                      0x7fffffff, 0x80000000, 0xaaaaaaaa, UINT32_MAX};
    uint8_t data[64];
    for (unsigned first = 0; first < ARRAY_SIZE(counts); first++)
        for (unsigned second = 1; second < ARRAY_SIZE(counts); second++) {
            memset(data, 0, sizeof(data));
            le32_put(data, counts[first]);
            le32_put(data + 10, counts[second]);
            cr_expect_eq(netio_command(rig, 1, 0, data, 24), VIRTIO_NET_ERR);
        }
}

/* As many entries as a guest's memory holds; what they say does not matter. */
OnEachRig(hostile_net, h46_a_mac_table_of_all_memory, open_net(rig, on, CONTROL & ~F(MQ), 64),
          close_net(rig))
{
    struct vdrv_buf bufs[32];
    uint64_t gpa = vdrv_alloc(&rig->drv, 16, 8);
    uint8_t *at = vdrv_ptr(&rig->drv, gpa, 16);
    at[0] = VIRTIO_NET_CTRL_MAC;
    at[15] = 0xee;
    const uint64_t bytes = UINT64_C(29) * 0x200000;
    le32_put(at + 2, (uint32_t)(bytes / 6));
    bufs[0] = (struct vdrv_buf){gpa, 6, false};
    for (unsigned i = 1; i < 30; i++) /* above the hole, where no ring is */
        bufs[i] = (struct vdrv_buf){RIG_HOLE_END_GPA, 0x200000, false};
    bufs[30] = (struct vdrv_buf){gpa + 8, 4, false}; /* none in the second */
    bufs[31] = (struct vdrv_buf){gpa + 15, 1, true};
    publish(rig, 2, bufs, ARRAY_SIZE(bufs));
    cr_expect_eq(netio_take_all(rig, 2), 1);
    cr_expect_eq(at[15], VIRTIO_NET_OK);
}

/* ---- at the wrong time ---- */

OnEachRig(hostile_net, h46_resets_under_load, (on->queues = 3, rig_open_net_on(rig, on)),
          close_net(rig))
{
    const uint16_t three = 3;
    for (unsigned round = 0; round < 30; round++) {
        cr_assert(netio_start(rig, CONTROL | F(MRG_RXBUF), 3, 64));
        cr_expect_eq(netio_command(rig, 4, 0, &three, 2), VIRTIO_NET_OK);
        for (unsigned pair = 0; pair < 3; pair++) {
            rig->ether.pairs[pair].room = round % 3;
            for (unsigned n = 0; n < 5; n++) {
                netio_post(rig, pair, 40);
                netio_send(rig, pair, &(struct netio_packet){.frame_bytes = 60}, true);
                netio_arrive(rig, pair, &(struct netio_packet){.frame_bytes = 60});
            }
        }
        fake_net_link(&rig->ether, round % 2 != 0);
        vdrv_set_status(&rig->drv, 0);
        fake_net_link(&rig->ether, round % 2 == 0);
        for (unsigned pair = 0; pair < 3; pair++)
            fake_net_open(&rig->ether, pair, 3);
    }
}

OnEachRig(hostile_net, h46_configuration_is_written_over, open_net(rig, on, CONTROL & ~F(MQ), 64),
          close_net(rig))
{
    uint8_t before[VIRTIO_NET_CONFIG_BYTES], after[VIRTIO_NET_CONFIG_BYTES], poison[8];
    memset(poison, 0xff, sizeof(poison));
    vdrv_config_read(&rig->drv, 0, before, sizeof(before));
    for (unsigned at = 0; at < sizeof(before); at++)
        vdrv_config_write(&rig->drv, at, poison, 1);
    for (uint64_t at = 0; at < sizeof(before); at += 4)
        bus_write(rig->bus, vdrv_config_gpa(&rig->drv) + at, 8, UINT64_MAX);
    vdrv_config_read(&rig->drv, 0, after, sizeof(after));
    cr_expect_arr_eq(after, before, sizeof(before));
}
