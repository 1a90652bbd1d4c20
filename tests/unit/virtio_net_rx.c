// SPDX-License-Identifier: BSD-2-Clause
/* The network device: what it receives. */
#include "tests/harness/netio.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/net/net.h"
#include "virtio/spec.h"

#define F(name) VIRTIO_BIT(VIRTIO_NET_F_##name)
#define RX      0u
#define TSO     (F(GUEST_CSUM) | F(GUEST_TSO4))

static uint8_t expected[NET_PACKET_MAX];

static struct virtio_net_drops drops(const struct rig *rig)
{
    struct virtio_net_drops d;
    virtio_net_drops(rig->net, &d);
    return d;
}

OnEachRig(virtio_net_rx, a_frame_a_buffer, rig_open_net_on(rig, on))
{
    uint32_t len;
    cr_assert(netio_start(rig, 0, 1, 64));
    const uint8_t *at[40];
    for (unsigned n = 0; n < ARRAY_SIZE(at); n++)
        at[n] = netio_post(rig, 0, 2048);
    for (unsigned n = 0; n < ARRAY_SIZE(at); n++) {
        struct netio_packet packet = {.frame_bytes = 14 + 37 * n, .fill = (uint8_t)n};
        uint32_t bytes = netio_make(&packet, expected);
        expected[VIRTIO_NET_HDR_num_buffers] = 1;
        netio_arrive(rig, 0, &packet);
        cr_assert(netio_take(rig, RX, &len));
        cr_expect_eq(len, bytes);
        cr_expect_arr_eq(at[n], expected, bytes);
        cr_expect_eq(at[n][bytes], 0xee, "nothing behind it");
    }
}

Test(virtio_net_rx, legacy_headers_have_ten_bytes)
{
    for (unsigned v = 0; v < RIG_LEGACY_VARIANTS; v++)
        for (unsigned cut = 0; cut < 2; cut++) {
            struct rig rig;
            uint32_t len;
            struct netio_packet packet = {.frame_bytes = 100, .fill = 3};
            rig_open_net_on(&rig, &rig_legacy_variants[v]);
            cr_assert(netio_start(&rig, 0, 1, 16));
            uint64_t gpa = vdrv_alloc(&rig.drv, 2048, 8);
            struct vdrv_buf bufs[] = {{gpa, cut ? 10 : 2048, true}, {gpa + 10, 2038, true}};
            vdrv_send(&rig.drv.q[RX], bufs, cut + 1);
            rig_step(&rig);
            netio_arrive(&rig, 0, &packet);
            cr_assert(netio_take(&rig, RX, &len));
            cr_expect_eq(len, 110);
            netio_make(&packet, expected);
            uint8_t *at = vdrv_ptr(&rig.drv, gpa, 2048);
            cr_expect_arr_eq(at, expected, 10);
            cr_expect_arr_eq(at + 10, expected + 12, 100);
            rig_close(&rig);
        }
}

/* However a buffer is cut, its header too. */
Test(virtio_net_rx, does_not_care_how_a_buffer_is_cut)
{
    static const uint32_t cuts[] = {1, 5, 11, 12, 13, 64};
    for (unsigned v = 0; v < RIG_VARIANTS; v++)
        for (unsigned merges = 0; merges < 2; merges++) {
            struct rig rig;
            uint32_t len;
            rig_open_net_on(&rig, &rig_variants[v]);
            cr_assert(netio_start(&rig, merges ? F(MRG_RXBUF) : 0, 1, 128));
            for (unsigned i = 0; i < ARRAY_SIZE(cuts); i++) {
                struct vdrv_buf bufs[120];
                struct netio_packet packet = {.frame_bytes = 100, .fill = (uint8_t)i};
                unsigned count = (unsigned)min_u64(120, 2048 / cuts[i]);
                uint64_t gpa = vdrv_alloc(&rig.drv, 2048, 8);
                for (unsigned n = 0; n < count; n++)
                    bufs[n] = (struct vdrv_buf){gpa + n * cuts[i], cuts[i], true};
                cr_assert_geq(vdrv_send(&rig.drv.q[RX], bufs, count), 0);
                rig_step(&rig);
                netio_arrive(&rig, 0, &packet);
                cr_assert(netio_take(&rig, RX, &len), "cut %u", cuts[i]);
                cr_expect_eq(len, 112);
                netio_make(&packet, expected);
                expected[VIRTIO_NET_HDR_num_buffers] = 1;
                cr_expect_arr_eq(vdrv_ptr(&rig.drv, gpa, 112), expected, 112);
            }
            rig_close(&rig);
        }
}

/* ---- mergeable buffers ---- */

/* A frame of every length around the ends of the buffers: all full but the last. */
Test(virtio_net_rx, merges_buffers)
{
    for (unsigned v = 0; v < RIG_VARIANTS; v++)
        for (uint32_t bytes = 12 + 14; bytes < 600; bytes += 7) {
            struct rig rig;
            const uint8_t *at[16];
            uint32_t len, done = 0;
            struct netio_packet packet = {.frame_bytes = bytes - 12, .fill = (uint8_t)bytes};
            rig_open_net_on(&rig, &rig_variants[v]);
            cr_assert(netio_start(&rig, F(MRG_RXBUF), 1, 32));
            for (unsigned n = 0; n < ARRAY_SIZE(at); n++)
                at[n] = netio_post(&rig, 0, n == 0 ? 12 : 50);
            netio_arrive(&rig, 0, &packet);
            unsigned buffers = 1 + (bytes - 12 + 49) / 50;
            netio_make(&packet, expected);
            expected[VIRTIO_NET_HDR_num_buffers] = (uint8_t)buffers;
            for (unsigned n = 0; n < buffers; n++) {
                uint32_t full = n == 0 ? 12 : 50;
                cr_assert(netio_take(&rig, RX, &len));
                cr_expect_eq(len, min_u64(full, bytes - done));
                cr_expect_arr_eq(at[n], expected + done, len);
                done += len;
            }
            cr_expect_eq(done, bytes);
            cr_expect(!netio_take(&rig, RX, &len));
            rig_close(&rig);
        }
}

/* One after the other, over many laps of the ring and of what the device keeps at hand. */
OnEachRig(virtio_net_rx, merges_on_and_on, rig_open_net_on(rig, on))
{
    cr_assert(netio_start(rig, F(MRG_RXBUF) | TSO, 1, 128));
    uint64_t gpa = vdrv_alloc(&rig->drv, 64 * 1024, 8);
    uint8_t *ring = vdrv_ptr(&rig->drv, gpa, 64 * 1024);
    unsigned posted = 0, taken = 0;
    for (unsigned round = 0; round < 400; round++) {
        for (; posted - taken < 60; posted++) { /* some with room for a header in front */
            uint64_t at = gpa + 1024 * (posted % 64);
            struct vdrv_buf bufs[] = {{at, 12, true}, {at + 12, 1012, true}, {at, 1024, true}};
            bool cut = posted % 3 != 0;
            vdrv_add(&rig->drv.q[RX], cut ? bufs : bufs + 2, cut ? 2 : 1);
        }
        rig_kick(rig, RX);
        struct netio_packet packet = {.frame_bytes = 14 + round * 131 % 40000,
                                      .fill = (uint8_t)round};
        if (packet.frame_bytes > 1514) {
            packet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
            packet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
            packet.gso_size = 1448;
        }
        uint32_t bytes = netio_make(&packet, expected), done = 0, len;
        le16_put(expected + VIRTIO_NET_HDR_num_buffers, (uint16_t)((bytes + 1023) / 1024));
        netio_arrive(rig, 0, &packet);
        for (; netio_take(rig, RX, &len); taken++) {
            cr_assert_arr_eq(ring + 1024 * (taken % 64), expected + done, len);
            done += len;
        }
        cr_assert_eq(done, bytes, "round %u", round);
    }
    cr_expect_eq(drops(rig).rx_no_room, 0);
}

/* The largest packet fits, if there is room, and a queue whose turn is used up collects on. */
OnEachRig(virtio_net_rx, collects_buffers_for_the_largest_packet, rig_open_net_on(rig, on))
{
    cr_assert(netio_start(rig, F(MRG_RXBUF) | TSO, 1, 256));
    uint64_t gpa = vdrv_alloc(&rig->drv, 256 * 512, 8);
    for (unsigned n = 0; n < 200; n++)
        vdrv_add(&rig->drv.q[RX], &(struct vdrv_buf){gpa + 512 * n, 512, true}, 1);
    vdrv_kick(&rig->drv.q[RX]);
    struct netio_packet packet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                  .gso_size = 1448,
                                  .frame_bytes = 65535 + 14,
                                  .fill = 9};
    netio_arrive(rig, 0, &packet); /* before the loop has looked at the buffers */
    cr_expect_eq(netio_take_all(rig, RX), (12 + 65535 + 14 + 511) / 512);
    cr_expect_eq(drops(rig).rx_no_room, 0);
}

/* ---- buffers that are too small, or missing ---- */

OnEachRig(virtio_net_rx, leaves_packets_where_they_are_without_buffers, rig_open_net_on(rig, on))
{
    struct netio_packet packet = {.frame_bytes = 60};
    cr_assert(netio_start(rig, F(MRG_RXBUF), 1, 16));
    netio_post(rig, 0, 100);
    for (packet.fill = 0; packet.fill < 5; packet.fill++)
        netio_arrive(rig, 0, &packet);
    cr_expect_eq(netio_take_all(rig, RX), 1);
    cr_expect_eq(rig->ether.pairs[0].waiting_count, 4);
    for (unsigned n = 1; n < 5; n++) {
        const uint8_t *at = netio_post(rig, 0, 100);
        cr_expect_eq(netio_take_all(rig, RX), 1);
        cr_expect_eq(at[12 + 20], n);
    }
    unsigned asked = rig->ether.pairs[0].receives;
    netio_post(rig, 0, 100);
    cr_expect_leq(rig->ether.pairs[0].receives, asked + 1, "it waits to be told");
}

Test(virtio_net_rx, loses_what_does_not_fit)
{
    for (unsigned v = 0; v < RIG_VARIANTS; v++)
        for (unsigned merges = 0; merges < 2; merges++) {
            struct rig rig;
            struct netio_packet packet = {.frame_bytes = 1000};
            rig_open_net_on(&rig, &rig_variants[v]);
            cr_assert(netio_start(&rig, merges ? F(MRG_RXBUF) : 0, 1, 16));
            netio_post(&rig, 0, 100);
            if (!merges)
                netio_post(&rig, 0, 2000); /* does not help: one buffer a packet */
            netio_arrive(&rig, 0, &packet);
            cr_expect_eq(netio_take_all(&rig, RX), 0);
            cr_expect_eq(drops(&rig).rx_no_room, 1);
            packet.frame_bytes = 88;
            netio_arrive(&rig, 0, &packet);
            cr_expect_eq(netio_take_all(&rig, RX), 1, "the buffer is still good");
            rig_close(&rig);
        }
}

/* A driver that is behind with its buffers loses nothing. */
OnEachRig(virtio_net_rx, waits_for_a_driver_that_refills, rig_open_net_on(rig, on))
{
    struct netio_packet packet = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                  .gso_size = 1448,
                                  .frame_bytes = 40000};
    cr_assert(netio_start(rig, F(MRG_RXBUF) | TSO, 1, 64));
    for (unsigned n = 0; n < 40; n++)
        netio_post(rig, 0, 2000);
    for (unsigned n = 0; n < 3; n++)
        netio_arrive(rig, 0, &packet);
    cr_expect_eq(netio_take_all(rig, RX), 21, "80000 bytes, of which one packet takes 42000");
    for (unsigned n = 0; n < 40; n++)
        netio_post(rig, 0, 2000);
    cr_expect_eq(netio_take_all(rig, RX), 42);
    cr_expect_eq(drops(rig).rx_no_room, 0);
}

OnEachRig(virtio_net_rx, passes_over_buffers_without_room_for_a_header, rig_open_net_on(rig, on))
{
    uint32_t len;
    cr_assert(netio_start(rig, F(MRG_RXBUF), 1, 16));
    for (uint32_t bytes = 1; bytes < 12; bytes += 10)
        netio_post(rig, 0, bytes);
    netio_post(rig, 0, 200);
    netio_arrive(rig, 0, &(struct netio_packet){.frame_bytes = 60});
    for (unsigned n = 0; n < 3; n++) {
        cr_assert(netio_take(rig, RX, &len));
        cr_expect_eq(len, n < 2 ? 0 : 72);
    }
}

/* ---- headers ---- */

Test(virtio_net_rx, gives_nothing_that_was_not_negotiated)
{
    static const struct {
        uint64_t features;
        struct netio_packet packet;
        bool comes;
    } cases[] = {
        {0, {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM}, false},
        {F(GUEST_CSUM), {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM}, true},
        {F(GUEST_CSUM), {.flags = 1, .gso_type = 1, .gso_size = 1}, false},
        {TSO, {.flags = 1, .gso_type = 1, .gso_size = 1}, true},
        {TSO, {.flags = 0, .gso_type = 1, .gso_size = 1}, false},
        {TSO, {.flags = 1, .gso_type = 1, .gso_size = 0}, false},
        {TSO, {.flags = 1, .gso_type = 0x81, .gso_size = 1}, false},
        {TSO | F(GUEST_ECN), {.flags = 1, .gso_type = 0x81, .gso_size = 1}, true},
        {TSO, {.flags = 1, .gso_type = 4, .gso_size = 1}, false},
        {TSO | F(GUEST_TSO6), {.flags = 1, .gso_type = 4, .gso_size = 1}, true},
        {TSO, {.flags = 1, .gso_type = 3, .gso_size = 1}, false},
        {TSO | F(GUEST_UFO), {.flags = 1, .gso_type = 3, .gso_size = 1}, true},
        {TSO | F(GUEST_USO4), {.flags = 1, .gso_type = 5, .gso_size = 1}, false},
        {TSO | F(GUEST_USO4) | F(GUEST_USO6), {.flags = 1, .gso_type = 5, .gso_size = 1}, true},
        {TSO, {.flags = 1, .gso_type = 0x21, .gso_size = 1}, false},
        {TSO, {.flags = 1, .gso_type = 2, .gso_size = 1}, false},
        /* Without the prerequisite a feature does not count. */
        {F(GUEST_TSO4), {.flags = 1, .gso_type = 1, .gso_size = 1}, false},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig rig;
        struct netio_packet packet = cases[i].packet;
        packet.frame_bytes = 100;
        rig_open_net_on(&rig, &rig_variants[i % RIG_VARIANTS]);
        cr_assert(netio_start(&rig, cases[i].features, 1, 16));
        netio_post(&rig, 0, 2048);
        netio_arrive(&rig, 0, &packet);
        cr_expect_eq(netio_take_all(&rig, RX), cases[i].comes, "case %u", i);
        cr_expect_eq(drops(&rig).rx_invalid, !cases[i].comes, "case %u", i);
        rig_close(&rig);
    }
}

Test(virtio_net_rx, flags_need_a_feature)
{
    for (unsigned knows = 0; knows < 2; knows++) {
        struct rig rig;
        rig_open_net_on(&rig, &rig_variants[0]);
        cr_assert(netio_start(&rig, knows ? F(GUEST_CSUM) : 0, 1, 16));
        const uint8_t *at = netio_post(&rig, 0, 2048);
        netio_arrive(&rig, 0, &(struct netio_packet){.frame_bytes = 60, .flags = 0xfe});
        cr_expect_eq(netio_take_all(&rig, RX), 1);
        cr_expect_eq(at[0], knows ? VIRTIO_NET_HDR_F_DATA_VALID : 0);
        rig_close(&rig);
    }
}

Test(virtio_net_rx, keeps_to_the_mtu)
{
    static const struct {
        uint32_t bytes;
        bool tagged, comes;
    } cases[] = {{1514, false, true}, {1515, false, false}, {1518, true, true},
                 {1519, true, false}, {13, false, false},   {14, false, true}};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig rig;
        rig_open_net_on(&rig, &rig_variants[0]);
        cr_assert(netio_start(&rig, F(MTU), 1, 16));
        netio_post(&rig, 0, 4096);
        netio_arrive(
            &rig, 0,
            &(struct netio_packet){.frame_bytes = cases[i].bytes, .tagged = cases[i].tagged});
        cr_expect_eq(netio_take_all(&rig, RX), cases[i].comes, "case %u", i);
        rig_close(&rig);
    }
}

/* ---- fairness, interrupts, polling ---- */

OnNet(virtio_net_rx, a_flood_that_nobody_wants_ends_in_turns)
{
    const uint8_t other[] = {2, 9, 9, 9, 9, 9};
    struct fake_net_pair *pair = &rig->ether.pairs[0];
    cr_assert(netio_start(rig, F(CTRL_VQ) | F(CTRL_RX), 1, 16));
    netio_post(rig, 0, 2048);
    pair->owes_rx = false; /* it says so once all are there */
    for (unsigned n = 0; n < 1000; n++) {
        pair->owes_rx = n == 999;
        uint32_t bytes =
            netio_make(&(struct netio_packet){.frame_bytes = 60, .dst = other}, expected);
        fake_net_arrive(&rig->ether, 0, expected, bytes);
    }
    cr_expect_gt(pair->waiting_count, 900, "not all at once");
    rig_step(rig);
    cr_expect_eq(pair->waiting_count, 0);
    cr_expect_eq(drops(rig).rx_filtered, 1000);
}

OnRig(virtio_net_rx, one_interrupt_for_what_came_together, rig_open_net_on(rig, &rig_variants[2]))
{
    cr_assert(netio_start(rig, 0, 1, 32));
    uint32_t bytes = netio_make(&(struct netio_packet){.frame_bytes = 60}, expected);
    for (unsigned n = 0; n < 10; n++)
        fake_net_arrive(&rig->ether, 0, expected, bytes);
    uint64_t gpa = vdrv_alloc(&rig->drv, 2048, 8);
    for (unsigned n = 0; n < 10; n++)
        vdrv_add(&rig->drv.q[RX], &(struct vdrv_buf){gpa, 2048, true}, 1);
    rig_queue_irqs(rig, RX);
    rig_kick(rig, RX);
    cr_expect_eq(rig_queue_irqs(rig, RX), 1);
    cr_expect_eq(netio_take_all(rig, RX), 10);
}

/* A queue that stops gives up what it had at hand, and takes nothing that came meanwhile. */
Test(virtio_net_rx, queue_reset)
{
    for (unsigned v = 0; v < 4; v++) {
        struct rig rig;
        struct netio_packet packet = {.frame_bytes = 60};
        rig_open_net_on(&rig, &rig_variants[v]);
        cr_assert(netio_start(&rig, VIRTIO_BIT(VIRTIO_F_RING_RESET) | F(MRG_RXBUF), 1, 16));
        netio_post(&rig, 0, 2048);
        for (unsigned n = 0; n < 3; n++) /* two of which wait for buffers */
            netio_arrive(&rig, 0, &packet);
        cr_expect_eq(netio_take_all(&rig, RX), 1);
        cr_expect_eq(rig.ether.pairs[0].waiting_count, 2);
        cr_assert(vdrv_queue_reset(&rig.drv, RX));
        netio_arrive(&rig, 0, &packet);
        vdrv_queue_set_up(&rig.drv, RX, 8);
        rig_step(&rig);
        netio_post(&rig, 0, 2048);
        cr_expect_eq(netio_take_all(&rig, RX), 0, "it came when nobody listened");
        netio_arrive(&rig, 0, &packet);
        cr_expect_eq(netio_take_all(&rig, RX), 1);
        netio_post(&rig, 0, 2048);
        const uint8_t *old = netio_post(&rig, 0, 2048);
        netio_arrive(&rig, 0, &packet); /* now that one is in hand */
        cr_assert(vdrv_queue_reset(&rig.drv, RX));
        netio_arrive(&rig, 0, &packet);
        cr_expect_eq(old[0], 0xee);
        rig_close(&rig);
    }
}
