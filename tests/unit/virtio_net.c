// SPDX-License-Identifier: BSD-2-Clause
/* The network device: what it offers, its configuration, its link, and what it sends. */
#include "tests/harness/netio.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/net/net.h"
#include "virtio/spec.h"

#define F(name)  VIRTIO_BIT(VIRTIO_NET_F_##name)
#define HOST_ALL (F(CSUM) | F(HOST_TSO4) | F(HOST_TSO6) | F(HOST_ECN) | F(HOST_UFO) | F(HOST_USO))
#define GUEST_ALL                                                                                  \
    (F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(GUEST_ECN) | F(GUEST_UFO) | F(GUEST_USO4) | \
     F(GUEST_USO6))
#define TX 1u

#define RING_MASK (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))

static uint16_t status_of(struct rig *rig)
{
    uint8_t bytes[2];
    vdrv_config_read(&rig->drv, VIRTIO_NET_CONFIG_status, bytes, 2);
    return le16_get(bytes);
}

static struct virtio_net_drops drops(const struct rig *rig)
{
    struct virtio_net_drops d;
    virtio_net_drops(rig->net, &d);
    return d;
}

/* ---- what it offers and shows ---- */

Test(virtio_net, offers_what_the_backend_can_do)
{
    struct rig rig;
    const uint64_t always = F(MAC) | F(STATUS) | F(MRG_RXBUF) | F(CTRL_VQ) | F(CTRL_RX) |
                            F(CTRL_RX_EXTRA) | F(CTRL_VLAN) | F(CTRL_MAC_ADDR) | F(GUEST_ANNOUNCE);
    const uint64_t common = VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX) |
                            VIRTIO_BIT(VIRTIO_F_VERSION_1) | VIRTIO_BIT(VIRTIO_F_RING_RESET);
    rig_open_net_on(&rig, &(struct rig_config){.plain = true});
    cr_expect_eq(vdrv_offered(&rig.drv), always | common);
    rig_close(&rig);
    rig_open_net_on(&rig, &(struct rig_config){.queues = 3});
    cr_expect_eq(vdrv_offered(&rig.drv), always | common | HOST_ALL | GUEST_ALL | F(MQ) | F(MTU) |
                                             F(SPEED_DUPLEX) | F(CTRL_GUEST_OFFLOADS));
    rig_close(&rig);
}

OnNet(virtio_net, offers_nothing_that_lacks_what_it_needs, .queues = 2,
      .features_off = F(CSUM) | F(GUEST_CSUM) | F(CTRL_VQ))
{
    cr_expect_eq(vdrv_offered(&rig->drv) & UINT32_MAX & ~RING_MASK,
                 F(MAC) | F(STATUS) | F(MRG_RXBUF) | F(MTU));
}

OnEachRig(virtio_net, shows_its_configuration, on->queues = 2, rig_open_net_on(rig, on))
{
    uint8_t space[VIRTIO_NET_CONFIG_BYTES];
    vdrv_config_read(&rig->drv, 0, space, sizeof(space));
    cr_expect_arr_eq(space, NETIO_MAC, NET_MAC_BYTES);
    cr_expect_eq(le16_get(space + VIRTIO_NET_CONFIG_status), VIRTIO_NET_S_LINK_UP);
    cr_expect_eq(le16_get(space + VIRTIO_NET_CONFIG_max_virtqueue_pairs), 2);
    cr_expect_eq(le16_get(space + VIRTIO_NET_CONFIG_mtu), 1500);
    cr_expect_eq(le32_get(space + VIRTIO_NET_CONFIG_speed), 10000);
    cr_expect_eq(space[VIRTIO_NET_CONFIG_duplex], 1);
}

OnEcho(virtio_net, refuses_what_it_cannot_be)
{
    struct virtio_net *net;
    struct fake_net ether;
    fake_net_init(&ether);
    struct virtio_setup setup = rig_setup(rig, "net");
    struct virtio_net_config config = {.backend = &ether.backend};
    config.pairs = FAKE_NET_PAIRS + 1;
    cr_expect_eq(virtio_net_create(&net, &setup, &config), -EINVAL);
    config.pairs = 1;
    config.mtu_bytes = 67;
    cr_expect_eq(virtio_net_create(&net, &setup, &config), -EINVAL);
    config.mtu_bytes = 65536;
    cr_expect_eq(virtio_net_create(&net, &setup, &config), -EINVAL);
    config.mtu_bytes = 68;
    cr_expect_eq(virtio_net_create(&net, &setup, &config), 0);
    virtio_net_destroy(net);
    cr_expect_null(ether.backend.handler.ctx);
}

Test(virtio_net, a_legacy_driver_sets_its_address)
{
    const uint8_t mac[] = {2, 4, 6, 8, 10, 12};
    for (unsigned v = 0; v < RIG_LEGACY_VARIANTS; v++) {
        struct rig rig;
        uint8_t now[NET_MAC_BYTES];
        rig_open_net_on(&rig, &rig_legacy_variants[v]);
        cr_assert(vdrv_negotiate(&rig.drv, 0));
        vdrv_config_write(&rig.drv, VIRTIO_NET_CONFIG_mac, mac, sizeof(mac));
        vdrv_config_write(&rig.drv, VIRTIO_NET_CONFIG_status, mac, 2);
        vdrv_config_read(&rig.drv, VIRTIO_NET_CONFIG_mac, now, sizeof(now));
        cr_expect_arr_eq(now, mac, sizeof(mac));
        cr_expect_eq(status_of(&rig), VIRTIO_NET_S_LINK_UP);
        rig_close(&rig);
    }
    struct rig rig;
    uint8_t now[NET_MAC_BYTES];
    rig_open_net_on(&rig, &rig_variants[0]);
    cr_assert(vdrv_negotiate(&rig.drv, 0));
    vdrv_config_write(&rig.drv, VIRTIO_NET_CONFIG_mac, mac, sizeof(mac));
    vdrv_config_read(&rig.drv, VIRTIO_NET_CONFIG_mac, now, sizeof(now));
    cr_expect_arr_eq(now, NETIO_MAC, sizeof(now), "modern drivers have a command for that");
    rig_close(&rig);
}

/* ---- link ---- */

OnEachRig(virtio_net, tells_of_its_link, rig_open_net_on(rig, on))
{
    struct netio_packet packet = {.frame_bytes = 60};
    cr_assert(netio_start(rig, F(STATUS), 1, 16));
    uint32_t generation = vdrv_generation(&rig->drv);
    fake_net_link(&rig->ether, false);
    cr_expect_eq(status_of(rig), 0);
    cr_expect_neq(vdrv_generation(&rig->drv), generation);
    cr_expect_eq(rig_config_irqs(rig), 1);
    netio_send(rig, 0, &packet, true);
    cr_expect_eq(netio_take_all(rig, TX), 1, "lost, but given back");
    netio_post(rig, 0, 2048);
    netio_arrive(rig, 0, &packet);
    cr_expect_eq(netio_take_all(rig, 0), 0);
    cr_expect_eq(rig->ether.pairs[0].waiting_count, 0, "lost");
    fake_net_link(&rig->ether, true);
    cr_expect_eq(status_of(rig), VIRTIO_NET_S_LINK_UP);
    cr_expect_eq(rig_config_irqs(rig), 1);
    netio_send(rig, 0, &packet, true);
    netio_arrive(rig, 0, &packet);
    cr_expect_eq(rig->ether.pairs[0].sent_count, 1);
    cr_expect_eq(netio_take_all(rig, 0), 1);
}

/* A cable that the user has pulled, whatever the backend says of its own link. */
OnEachRig(virtio_net, has_no_link_while_its_cable_is_out, rig_open_net_on(rig, on))
{
    struct netio_packet packet = {.frame_bytes = 60};
    cr_assert(netio_start(rig, F(STATUS), 1, 16));
    netio_post(rig, 0, 2048);
    cr_assert_eq(virtio_net_set_link(rig->net, false), 0);
    cr_expect_eq(status_of(rig), 0);
    cr_expect_eq(rig_config_irqs(rig), 1);
    netio_send(rig, 0, &packet, true);
    cr_expect_eq(netio_take_all(rig, TX), 1, "lost, but given back");
    netio_arrive(rig, 0, &packet);
    cr_expect_eq(netio_take_all(rig, 0), 0);
    cr_expect_eq(rig->ether.pairs[0].waiting_count, 0, "lost");
    fake_net_link(&rig->ether, false);
    fake_net_link(&rig->ether, true);
    cr_expect_eq(status_of(rig), 0, "still out");
    cr_expect_eq(rig_config_irqs(rig), 0);
    fake_net_link(&rig->ether, false);
    cr_assert_eq(virtio_net_set_link(rig->net, true), 0);
    cr_expect_eq(status_of(rig), 0, "the other end is not there");
    fake_net_link(&rig->ether, true);
    cr_expect_eq(status_of(rig), VIRTIO_NET_S_LINK_UP);
    cr_expect_eq(rig_config_irqs(rig), 1);
    netio_send(rig, 0, &packet, true);
    netio_arrive(rig, 0, &packet);
    cr_expect_eq(rig->ether.pairs[0].sent_count, 1);
    cr_expect_eq(netio_take_all(rig, 0), 1);
}

/* ---- what it sends ---- */

OnEachRig(virtio_net, sends_frames, rig_open_net_on(rig, on))
{
    static uint8_t expected[NET_PACKET_MAX];
    cr_assert(netio_start(rig, 0, 1, 16));
    for (unsigned n = 0; n < 40; n++) {
        struct netio_packet packet = {.frame_bytes = 14 + 37 * n, .fill = (uint8_t)n};
        uint32_t bytes = netio_make(&packet, expected);
        netio_send(rig, 0, &packet, n % 2 != 0);
        cr_expect_eq(netio_take_all(rig, TX), 1);
        struct fake_packet *sent = fake_net_take(&rig->ether, 0);
        cr_assert_not_null(sent);
        cr_expect_eq(sent->bytes, bytes);
        cr_expect_arr_eq(sent->data, expected, bytes);
        free(sent);
    }
    cr_expect_eq(drops(rig).tx_invalid, 0);
}

/* However it was cut; and what a legacy driver's header lacks is added. */
Test(virtio_net, sends_frames_of_legacy_drivers)
{
    for (unsigned v = 0; v < RIG_LEGACY_VARIANTS; v++)
        for (unsigned merges = 0; merges < 2; merges++) {
            struct rig rig;
            uint8_t expected[256];
            struct netio_packet packet = {.frame_bytes = 100, .fill = 7};
            rig_open_net_on(&rig, &rig_legacy_variants[v]);
            cr_assert(netio_start(&rig, merges ? F(MRG_RXBUF) : 0, 1, 16));
            netio_send(&rig, 0, &packet, true);
            netio_send(&rig, 0, &packet, false);
            uint32_t bytes = netio_make(&packet, expected);
            for (unsigned n = 0; n < 2; n++) {
                struct fake_packet *sent = fake_net_take(&rig.ether, 0);
                cr_assert_not_null(sent);
                cr_expect_eq(sent->bytes, bytes);
                cr_expect_arr_eq(sent->data, expected, bytes);
                free(sent);
            }
            rig_close(&rig);
        }
}

OnEachRig(virtio_net, does_not_care_how_a_frame_is_cut, rig_open_net_on(rig, on))
{
    static const uint32_t cuts[] = {1, 5, 11, 12, 13, 26, 200};
    uint8_t packet[12 + 100];
    cr_assert(netio_start(rig, 0, 1, 256));
    netio_make(&(struct netio_packet){.frame_bytes = 100, .fill = 0x3c}, packet);
    for (unsigned i = 0; i < ARRAY_SIZE(cuts); i++) {
        netio_send_raw(rig, 0, packet, sizeof(packet), cuts[i]);
        cr_expect_eq(netio_take_all(rig, TX), 1);
        struct fake_packet *sent = fake_net_take(&rig->ether, 0);
        cr_assert_not_null(sent);
        cr_expect_eq(sent->bytes, sizeof(packet));
        cr_expect_arr_eq(sent->data, packet, sizeof(packet));
        free(sent);
    }
}

OnEachRig(virtio_net, waits_for_a_backend_that_is_full, rig_open_net_on(rig, on))
{
    struct netio_packet packet = {.frame_bytes = 60};
    cr_assert(netio_start(rig, 0, 1, 16));
    rig->ether.pairs[0].room = 2;
    for (packet.fill = 0; packet.fill < 5; packet.fill++)
        netio_send(rig, 0, &packet, true);
    cr_expect_eq(netio_take_all(rig, TX), 2);
    fake_net_open(&rig->ether, 0, 1);
    rig_step(rig);
    cr_expect_eq(netio_take_all(rig, TX), 1);
    fake_net_open(&rig->ether, 0, 100);
    rig_step(rig);
    cr_expect_eq(netio_take_all(rig, TX), 2);
    for (unsigned n = 0; n < 5; n++) {
        struct fake_packet *sent = fake_net_take(&rig->ether, 0);
        cr_assert_not_null(sent);
        cr_expect_eq(sent->data[12 + 20], n, "in the order in which they were sent");
        free(sent);
    }
}

/* A backend may be full, and then be gone for good: nothing of the driver's stays with it. */
OnEachRig(virtio_net, gives_back_what_waits_when_the_link_goes, rig_open_net_on(rig, on))
{
    struct netio_packet packet = {.frame_bytes = 60};
    cr_assert(netio_start(rig, 0, 1, 16));
    rig->ether.pairs[0].room = 0;
    for (unsigned n = 0; n < 5; n++)
        netio_send(rig, 0, &packet, true);
    cr_expect_eq(netio_take_all(rig, TX), 0);
    fake_net_link(&rig->ether, false);
    rig_step(rig);
    cr_expect_eq(netio_take_all(rig, TX), 5);
    fake_net_link(&rig->ether, true);
    fake_net_open(&rig->ether, 0, 1);
    netio_send(rig, 0, &packet, true);
    cr_expect_eq(rig->ether.pairs[0].sent_count, 1);
}

OnNet(virtio_net, flushes_once_for_what_came_together)
{
    uint8_t packet[12 + 60];
    cr_assert(netio_start(rig, 0, 1, 16));
    netio_make(&(struct netio_packet){.frame_bytes = 60}, packet);
    uint64_t gpa = vdrv_alloc(&rig->drv, sizeof(packet), 8);
    memcpy(vdrv_ptr(&rig->drv, gpa, sizeof(packet)), packet, sizeof(packet));
    for (unsigned n = 0; n < 10; n++)
        vdrv_add(&rig->drv.q[TX], &(struct vdrv_buf){gpa, sizeof(packet), false}, 1);
    rig_kick(rig, TX);
    cr_expect_eq(rig->ether.pairs[0].sent_count, 10);
    cr_expect_eq(rig->ether.pairs[0].flushes, 1);
}

OnEachRig(virtio_net, looks_for_an_answer_to_what_comes, rig_open_net_on(rig, on))
{
    const struct netio_packet packet = {.frame_bytes = 60};
    uint8_t bytes[12 + 60];
    cr_assert(netio_start(rig, 0, 1, 16));
    netio_post(rig, 0, 2048);
    uint64_t gpa = vdrv_alloc(&rig->drv, sizeof(bytes), 8);
    netio_make(&packet, bytes);
    memcpy(vdrv_ptr(&rig->drv, gpa, sizeof(bytes)), bytes, sizeof(bytes));
    vdrv_add(&rig->drv.q[TX], &(struct vdrv_buf){gpa, sizeof(bytes), false}, 1);
    vdrv_publish(&rig->drv.q[TX]);
    rig_step(rig);
    cr_expect_eq(rig->ether.pairs[0].sent_count, 0, "nobody has kicked");
    netio_arrive(rig, 0, &packet);
    cr_expect_eq(rig->ether.pairs[0].sent_count, 1);
}

/* ---- headers ---- */

static const struct netio_packet tso4 = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                         .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                         .hdr_len = 54,
                                         .gso_size = 1448,
                                         .csum_start = 34,
                                         .csum_offset = 16,
                                         .frame_bytes = 65535};

OnEachRig(virtio_net, passes_offloads_on, rig_open_net_on(rig, on))
{
    static const uint8_t types[] = {
        VIRTIO_NET_HDR_GSO_NONE,   VIRTIO_NET_HDR_GSO_TCPV4,
        VIRTIO_NET_HDR_GSO_TCPV6,  VIRTIO_NET_HDR_GSO_UDP,
        VIRTIO_NET_HDR_GSO_UDP_L4, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN};
    static uint8_t expected[NET_PACKET_MAX];
    cr_assert(netio_start(rig, HOST_ALL, 1, 16));
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        struct netio_packet packet = tso4;
        packet.gso_type = types[i];
        if (types[i] == VIRTIO_NET_HDR_GSO_NONE)
            packet.gso_size = packet.hdr_len = 0;
        uint32_t bytes = netio_make(&packet, expected);
        netio_send(rig, 0, &packet, false);
        struct fake_packet *sent = fake_net_take(&rig->ether, 0);
        cr_assert_not_null(sent, "type %#x", types[i]);
        cr_expect_eq(sent->bytes, bytes);
        cr_expect_arr_eq(sent->data, expected, bytes);
        free(sent);
    }
}

/* Each without one feature that it needs. */
Test(virtio_net, sends_nothing_that_was_not_negotiated)
{
    static const struct {
        uint8_t gso_type;
        uint64_t feature;
    } cases[] = {
        {VIRTIO_NET_HDR_GSO_NONE, F(CSUM)},
        {VIRTIO_NET_HDR_GSO_TCPV4, F(HOST_TSO4)},
        {VIRTIO_NET_HDR_GSO_TCPV6, F(HOST_TSO6)},
        {VIRTIO_NET_HDR_GSO_UDP, F(HOST_UFO)},
        {VIRTIO_NET_HDR_GSO_UDP_L4, F(HOST_USO)},
        {VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, F(HOST_ECN)},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct rig rig;
        struct netio_packet packet = tso4;
        packet.gso_type = cases[i].gso_type;
        rig_open_net_on(&rig, &rig_variants[0]);
        cr_assert(netio_start(&rig, HOST_ALL & ~cases[i].feature, 1, 16));
        netio_send(&rig, 0, &packet, true);
        cr_expect_eq(netio_take_all(&rig, TX), 1);
        cr_expect_eq(rig.ether.pairs[0].sent_count, 0, "case %u", i);
        cr_expect_eq(drops(&rig).tx_invalid, 1);
        rig_close(&rig);
    }
}

OnNet(virtio_net, takes_out_of_headers_what_does_not_count)
{
    uint8_t nothing[12] = {0};
    cr_assert(netio_start(rig, HOST_ALL, 1, 16));
    struct netio_packet packet = {.flags = 0xfe,
                                  .hdr_len = 0xffff,
                                  .gso_size = 0xffff,
                                  .csum_start = 0xffff,
                                  .csum_offset = 0xffff,
                                  .frame_bytes = 60};
    netio_send(rig, 0, &packet, true);
    struct fake_packet *sent = fake_net_take(&rig->ether, 0);
    cr_assert_not_null(sent);
    cr_expect_arr_eq(sent->data, nothing, sizeof(nothing));
    free(sent);
    packet = tso4;
    packet.hdr_len = 0xffff;
    packet.frame_bytes = 3000;
    netio_send(rig, 0, &packet, true);
    sent = fake_net_take(&rig->ether, 0);
    cr_assert_not_null(sent, "a wrong hint is no reason to lose a packet");
    cr_expect_eq(le16_get(sent->data + VIRTIO_NET_HDR_hdr_len), 3000);
    free(sent);
}

/* ---- resets ---- */

OnEachRig(virtio_net, reset_forgets_what_was_under_way, rig_open_net_on(rig, on))
{
    struct netio_packet packet = {.frame_bytes = 60, .fill = 1};
    for (unsigned round = 0; round < 3; round++) {
        cr_assert(netio_start(rig, GUEST_ALL, 1, 16));
        cr_expect_neq(rig->ether.offloads, 0);
        rig->ether.pairs[0].room = 0;
        netio_send(rig, 0, &packet, true);
        netio_post(rig, 0, 2048);
        vdrv_reset(&rig->drv);
        cr_expect_eq(rig->ether.offloads, 0);
        fake_net_open(&rig->ether, 0, 10);
        netio_arrive(rig, 0, &packet);
        cr_expect_eq(rig->ether.pairs[0].sent_count, 0);
    }
    cr_assert(netio_start(rig, 0, 1, 16));
    cr_expect_eq(rig->ether.pairs[0].waiting_count, 0, "what nobody listened to is lost");
    netio_post(rig, 0, 2048);
    netio_arrive(rig, 0, &packet);
    cr_expect_eq(netio_take_all(rig, 0), 1);
    netio_send(rig, 0, &packet, true);
    cr_expect_eq(netio_take_all(rig, TX), 1);
}
