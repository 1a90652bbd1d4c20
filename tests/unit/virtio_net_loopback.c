// SPDX-License-Identifier: BSD-2-Clause
/* The network device on a network that sends all back: both ends of the port keep to it. */
#include "devices/net/net_loopback.h"
#include "tests/harness/netio.h"
#include "tests/harness/rig.h"
#include "tests/harness/test.h"
#include "virtio/net/net.h"
#include "virtio/spec.h"

#define F(name)  VIRTIO_BIT(VIRTIO_NET_F_##name)
#define FEATURES (F(CSUM) | F(HOST_TSO4) | F(GUEST_CSUM) | F(GUEST_TSO4) | F(MRG_RXBUF))
#define RX       0u
#define TX       1u
#define BUFFER   1536u
#define BUFFERS  60u

static void open_looped(struct rig *rig, const struct rig_config *config, struct net_backend **wire)
{
    rig_open_host(rig, config);
    cr_assert_eq(net_loopback_create(wire, rig->loop), 0);
    struct virtio_setup setup = rig_setup(rig, "net");
    cr_assert_eq(
        virtio_net_create(&rig->net, &setup, &(struct virtio_net_config){.backend = *wire}), 0);
    rig_plug(rig, virtio_net_device(rig->net));
    cr_assert(netio_start(rig, FEATURES, 1, 64));
}

static void close_looped(struct rig *rig, struct net_backend *wire)
{
    rig_unplug(rig);
    virtio_net_destroy(rig->net);
    rig->net = NULL;
    wire->ops->destroy(wire);
    rig_close(rig);
}

/* Of any size, segments too, more than the network holds at once, in order. */
Test(virtio_net_loopback, everything_comes_back)
{
    for (unsigned v = 0; v < RIG_VARIANTS; v++) {
        struct rig rig;
        struct net_backend *wire;
        static uint8_t expected[NET_PACKET_MAX], got[BUFFERS * BUFFER];
        open_looped(&rig, &rig_variants[v], &wire);
        uint64_t rx_gpa = vdrv_alloc(&rig.drv, BUFFERS * BUFFER, 8);
        uint64_t tx_gpa = vdrv_alloc(&rig.drv, NET_PACKET_MAX, 8);
        uint32_t len, posted = 0, taken = 0;
        for (unsigned round = 0; round < 200; round++) {
            for (; posted - taken < BUFFERS; posted++)
                vdrv_add(&rig.drv.q[RX],
                         &(struct vdrv_buf){rx_gpa + posted % BUFFERS * BUFFER, BUFFER, true}, 1);
            vdrv_kick(&rig.drv.q[RX]);
            struct netio_packet packet = {.frame_bytes = 60 + round * 397 % 65000,
                                          .fill = (uint8_t)round};
            if (packet.frame_bytes > 1514) {
                packet.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
                packet.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
                packet.hdr_len = 54;
                packet.gso_size = 1448;
                packet.csum_start = 34;
                packet.csum_offset = 16;
            }
            uint32_t bytes = netio_make(&packet, expected), done = 0;
            memcpy(vdrv_ptr(&rig.drv, tx_gpa, bytes), expected, bytes);
            vdrv_send(&rig.drv.q[TX], &(struct vdrv_buf){tx_gpa, bytes, false}, 1);
            rig_step(&rig);
            cr_assert_eq(netio_take_all(&rig, TX), 1);
            for (; netio_take(&rig, RX, &len); taken++, done += len)
                memcpy(got + done, vdrv_ptr(&rig.drv, rx_gpa + taken % BUFFERS * BUFFER, BUFFER),
                       len);
            le16_put(expected + VIRTIO_NET_HDR_num_buffers,
                     (uint16_t)((bytes + BUFFER - 1) / BUFFER));
            cr_assert_eq(done, bytes, "round %u", round);
            cr_assert_arr_eq(got, expected, bytes, "round %u", round);
        }
        close_looped(&rig, wire);
    }
}

/* With nothing to receive into the network fills, the transmitter waits, and nothing is lost. */
Test(virtio_net_loopback, a_receiver_that_sleeps_stops_the_sender)
{
    for (unsigned v = 0; v < RIG_VARIANTS; v++) {
        struct rig rig;
        struct net_backend *wire;
        unsigned sent = 0, given = 0, received = 0;
        open_looped(&rig, &rig_variants[v], &wire);
        uint64_t gpa = vdrv_alloc(&rig.drv, 65536, 8);
        struct vdrv_buf frame = {gpa, 50000, false}, room = {gpa, 65536, true};
        while (vdrv_add(&rig.drv.q[TX], &frame, 1) >= 0)
            sent++;
        rig_kick(&rig, TX);
        given = netio_take_all(&rig, TX);
        cr_expect_lt(given, sent);
        for (unsigned n = 0; n < sent; n++) {
            vdrv_send(&rig.drv.q[RX], &room, 1);
            rig_step(&rig);
            received += netio_take_all(&rig, RX);
            given += netio_take_all(&rig, TX);
        }
        cr_expect_eq(received, sent);
        cr_expect_eq(given, sent);
        close_looped(&rig, wire);
    }
}
