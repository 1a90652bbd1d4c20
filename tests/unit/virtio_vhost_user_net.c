// SPDX-License-Identifier: BSD-2-Clause
/* Networks behind a vhost-user server; what all such devices share is in virtio_vhost_user.c. */
#include "tests/harness/test.h"
#include "tests/harness/vhost_user_rig.h"
#include "virtio/net/vhost_user_net.h"
#include "virtio/spec.h"

#define BIT(feature) VIRTIO_BIT(VIRTIO_NET_F_##feature)
#define PACKET       100u
#define ROOM         1600u

static const uint8_t mac[NET_MAC_BYTES] = {0x52, 0x54, 0, 1, 2, 3};

static void plug(struct vu_rig *b, unsigned pairs, uint32_t mtu_bytes)
{
    struct vhost_user_setup setup = vu_setup(b, "net");
    setup.groups = pairs;
    cr_assert_eq(vhost_user_net_create(&b->dev, &setup, mac, mtu_bytes), 0);
    rig_plug(&b->rig, &b->dev->dev);
}

static void start(struct vu_rig *b, uint64_t features, unsigned queues)
{
    cr_assert(vdrv_start(&b->rig.drv, features, queues, 16));
    rig_step(&b->rig); /* until the server has the rings */
}

#define OnNet(suite, name) OnVu(suite, name, vu_prepare_net(b, &rig_variants[0]))

/* Sends a packet, which the server sends back. */
static void expect_works(struct vu_rig *b, unsigned pair)
{
    struct vdrv *d = &b->rig.drv;
    uint32_t head, len;
    struct vdrv_buf rx = {vdrv_alloc(d, ROOM, 16), ROOM, true};
    struct vdrv_buf tx = {vdrv_alloc(d, PACKET, 16), PACKET, false};
    memset(vdrv_ptr(d, tx.gpa, tx.len), 0x40 + (int)pair, tx.len);
    cr_assert_geq(vdrv_send(&d->q[2 * pair], &rx, 1), 0);
    cr_assert_geq(vdrv_send(&d->q[2 * pair + 1], &tx, 1), 0);
    vu_wait_used(b, &d->q[2 * pair + 1]);
    cr_assert(vdrv_used(&d->q[2 * pair + 1], &head, &len));
    vu_wait_used(b, &d->q[2 * pair]);
    cr_assert(vdrv_used(&d->q[2 * pair], &head, &len));
    cr_expect_eq(len, PACKET);
    cr_expect_eq(memcmp(vdrv_ptr(d, rx.gpa, PACKET), vdrv_ptr(d, tx.gpa, PACKET), PACKET), 0);
}

static uint8_t command(struct vu_rig *b, unsigned queue, const void *data, uint32_t bytes)
{
    struct vdrv *d = &b->rig.drv;
    uint32_t head, len;
    struct vdrv_buf bufs[2] = {{vdrv_alloc(d, 16, 16), bytes, false},
                               {vdrv_alloc(d, 1, 1), 1, true}};
    memcpy(vdrv_ptr(d, bufs[0].gpa, bytes), data, bytes);
    *(uint8_t *)vdrv_ptr(d, bufs[1].gpa, 1) = 0xff;
    cr_assert_geq(vdrv_send(&d->q[queue], bufs, 2), 0);
    vu_wait_used(b, &d->q[queue]);
    cr_assert(vdrv_used(&d->q[queue], &head, &len));
    return *(uint8_t *)vdrv_ptr(d, bufs[1].gpa, 1);
}

static uint8_t set_pairs(struct vu_rig *b, unsigned queue, uint8_t pairs)
{
    uint8_t data[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, pairs, 0};
    return command(b, queue, data, sizeof(data));
}

static unsigned config16(struct vu_rig *b, unsigned offset)
{
    uint8_t bytes[2];
    vdrv_config_read(&b->rig.drv, offset, bytes, sizeof(bytes));
    return le16_get(bytes);
}

Test(vhost_user_net, moves_packets_on_all_transports)
{
    struct vu_rig b;
    for (unsigned i = 0; i < RIG_VARIANTS; i++) {
        uint8_t seen[NET_MAC_BYTES];
        vu_prepare_net(&b, &rig_variants[i]);
        plug(&b, 1, 0);
        start(&b, BIT(MAC) | BIT(STATUS) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 3);
        for (unsigned n = 0; n < 40; n++)
            expect_works(&b, 0);
        vdrv_config_read(&b.rig.drv, VIRTIO_NET_CONFIG_mac, seen, sizeof(seen));
        cr_expect_eq(memcmp(seen, mac, sizeof(mac)), 0);
        cr_expect_eq(config16(&b, VIRTIO_NET_CONFIG_status), VIRTIO_NET_S_LINK_UP);
        start(&b, 0, 3); /* another driver */
        expect_works(&b, 0);
        vu_end(&b);
    }
}

Test(vhost_user_net, offers_what_the_server_can_do)
{
    const uint64_t local =
        BIT(MAC) | BIT(STATUS) | BIT(CTRL_VQ) | BIT(GUEST_ANNOUNCE) | BIT(CTRL_MAC_ADDR);
    struct vu_rig b;
    vu_prepare_net(&b, &rig_variants[0]);
    plug(&b, 2, 1400);
    cr_expect_eq(vdrv_offered(&b.rig.drv) & 0xffffff,
                 local | BIT(CSUM) | BIT(MRG_RXBUF) | BIT(MTU) | BIT(MQ));
    start(&b, BIT(CSUM) | BIT(MAC) | BIT(CTRL_VQ), 3);
    cr_expect_eq(atomic_load(&b.server.acked) & 0xffffff, BIT(CSUM),
                 "the rest is not the server's");
    vu_end(&b);
    vu_prepare_net(&b, &rig_variants[0]);
    /* One that does not know what its features need. */
    b.server.features = VIRTIO_BIT(VIRTIO_F_VERSION_1) | BIT(HOST_TSO4);
    b.server.protocol = 0;
    plug(&b, 1, 0);
    cr_expect_eq(vdrv_offered(&b.rig.drv) & 0xffffff, local);
    start(&b, 0, 2);
    expect_works(&b, 0);
    vu_end(&b);
}

OnNet(vhost_user_net, tells_the_mtu)
{
    plug(b, 1, 1400);
    cr_expect_eq(config16(b, VIRTIO_NET_CONFIG_mtu), 1400);
    start(b, 0, 2);
    cr_expect_eq(atomic_load(&b->server.mtu), 0);
    start(b, BIT(MTU), 2);
    cr_expect_eq(atomic_load(&b->server.mtu), 1400);
    vu_misbehave(b, VHOST_SERVER_REFUSES, VHOST_USER_NET_SET_MTU);
    start(b, BIT(MTU), 2);
    expect_works(b, 0);
}

OnNet(vhost_user_net, uses_as_many_pairs_as_the_driver)
{
    plug(b, 2, 0);
    cr_expect_eq(config16(b, VIRTIO_NET_CONFIG_max_virtqueue_pairs), 2);
    start(b, BIT(MQ) | BIT(CTRL_VQ), 5);
    expect_works(b, 0);
    cr_expect_eq(atomic_load(&b->server.rings_on), 3);
    cr_expect_eq(set_pairs(b, 4, 0), VIRTIO_NET_ERR);
    cr_expect_eq(set_pairs(b, 4, 3), VIRTIO_NET_ERR);
    cr_expect_eq(atomic_load(&b->server.rings_on), 3);
    cr_expect_eq(set_pairs(b, 4, 2), VIRTIO_NET_OK);
    cr_expect_eq(atomic_load(&b->server.rings_on), 15);
    expect_works(b, 0);
    expect_works(b, 1);
    cr_expect_eq(set_pairs(b, 4, 1), VIRTIO_NET_OK);
    cr_expect_eq(atomic_load(&b->server.rings_on), 3);
    cr_expect_eq(set_pairs(b, 4, 2), VIRTIO_NET_OK);
    start(b, BIT(MQ) | BIT(CTRL_VQ), 5);
    cr_expect_eq(atomic_load(&b->server.rings_on), 3, "another driver begins with one");
}

/* VIRTIO 1.4 5.1.2: without MQ the control queue is the third, and the others are not used. */
OnNet(vhost_user_net, finds_the_control_queue_without_pairs)
{
    plug(b, 2, 0);
    start(b, BIT(CTRL_VQ) | BIT(CTRL_MAC_ADDR), 5);
    expect_works(b, 0);
    cr_expect_eq(set_pairs(b, 2, 1), VIRTIO_NET_ERR, "MQ was not negotiated");
    uint8_t address[] = {VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, 2, 9, 9, 9, 9, 9};
    uint8_t seen[NET_MAC_BYTES];
    cr_expect_eq(command(b, 2, address, sizeof(address) - 1), VIRTIO_NET_ERR);
    cr_expect_eq(command(b, 2, address, sizeof(address)), VIRTIO_NET_OK);
    vdrv_config_read(&b->rig.drv, VIRTIO_NET_CONFIG_mac, seen, sizeof(seen));
    cr_expect_eq(memcmp(seen, address + 2, sizeof(seen)), 0);
    cr_expect_not(rig_is_broken(&b->rig));
}

OnNet(vhost_user_net, refuses_commands_that_it_does_not_know)
{
    plug(b, 1, 0);
    start(b, BIT(CTRL_VQ) | BIT(CTRL_MAC_ADDR), 3);
    for (unsigned class = 0; class < 256; class += 5)
        for (unsigned number = 0; number < 4; number++) {
            uint8_t data[4] = {(uint8_t) class, (uint8_t)number, 1, 0};
            cr_expect_eq(command(b, 2, data, sizeof(data)), VIRTIO_NET_ERR);
        }
    cr_expect_eq(command(b, 2, "", 1), VIRTIO_NET_ERR);
    struct vdrv_buf deaf = {vdrv_alloc(&b->rig.drv, 8, 8), 8, false};
    uint32_t head, len;
    cr_assert_geq(vdrv_send(&b->rig.drv.q[2], &deaf, 1), 0);
    vu_wait_used(b, &b->rig.drv.q[2]);
    cr_assert(vdrv_used(&b->rig.drv.q[2], &head, &len));
    cr_expect_eq(len, 0);
    expect_works(b, 0);
}

/* Receive buffers are always out: that must not keep a ring from being taken up again. */
OnNet(vhost_user_net, goes_on_with_the_next_server)
{
    plug(b, 2, 1400);
    start(b, BIT(MQ) | BIT(CTRL_VQ) | BIT(STATUS) | BIT(GUEST_ANNOUNCE) | BIT(MTU), 5);
    cr_expect_eq(set_pairs(b, 4, 2), VIRTIO_NET_OK);
    expect_works(b, 1);
    struct vdrv *d = &b->rig.drv;
    struct vdrv_buf rx = {vdrv_alloc(d, ROOM, 16), ROOM, true};
    cr_assert_geq(vdrv_send(&d->q[2], &rx, 1), 0);
    (void)rig_config_irqs(&b->rig);
    vhost_server_kill(&b->server);
    while (logged_lines == 0)
        rig_step(&b->rig);
    cr_expect_eq(config16(b, VIRTIO_NET_CONFIG_status), 0);
    cr_expect_eq(rig_config_irqs(&b->rig), 1);
    atomic_store(&b->server.mtu, 0);
    vu_retry(b);
    cr_expect_eq(config16(b, VIRTIO_NET_CONFIG_status),
                 VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
    cr_expect_eq(rig_config_irqs(&b->rig), 1);
    cr_expect_eq(atomic_load(&b->server.rings_on), 15);
    cr_expect_eq(atomic_load(&b->server.mtu), 1400);
    uint8_t ack[] = {VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK};
    cr_expect_eq(command(b, 4, ack, sizeof(ack)), VIRTIO_NET_OK);
    cr_expect_eq(config16(b, VIRTIO_NET_CONFIG_status), VIRTIO_NET_S_LINK_UP);
    expect_works(b, 0);
    cr_expect_not(rig_is_broken(&b->rig));
}

Test(vhost_user_net, uses_one_pair_of_a_server_without_more)
{
    struct vu_rig b;
    vu_prepare_net(&b, &rig_variants[0]);
    b.server.queues = 1;
    plug(&b, 2, 0);
    cr_expect_eq(logged_lines, 1);
    cr_expect_eq(config16(&b, VIRTIO_NET_CONFIG_max_virtqueue_pairs), 1);
    start(&b, 0, 3);
    expect_works(&b, 0);
    vu_end(&b);
    vu_prepare_net(&b, &rig_variants[0]);
    b.server.features &= ~BIT(MQ);
    plug(&b, 2, 0);
    cr_expect_eq(logged_lines, 1);
    start(&b, BIT(CTRL_VQ), 3);
    expect_works(&b, 0);
    vu_end(&b);
}

Test(vhost_user_net, serves_legacy_drivers)
{
    const uint8_t other[NET_MAC_BYTES] = {2, 8, 8, 8, 8, 8};
    uint8_t seen[NET_MAC_BYTES];
    struct vu_rig b;
    for (unsigned i = 0; i < RIG_LEGACY_VARIANTS; i++) {
        vu_prepare_net(&b, &rig_legacy_variants[i]);
        plug(&b, 1, 0);
        start(&b, BIT(MAC), 3);
        expect_works(&b, 0);
        vdrv_config_write(&b.rig.drv, VIRTIO_NET_CONFIG_mac, other, sizeof(other));
        vdrv_config_read(&b.rig.drv, VIRTIO_NET_CONFIG_mac, seen, sizeof(seen));
        cr_expect_eq(memcmp(seen, other, sizeof(other)), 0);
        vdrv_reset(&b.rig.drv);
        vdrv_config_read(&b.rig.drv, VIRTIO_NET_CONFIG_mac, seen, sizeof(seen));
        cr_expect_eq(memcmp(seen, mac, sizeof(mac)), 0);
        vu_end(&b);
    }
}

/* The next server has what the one before did not do. */
OnNet(vhost_user_net, a_server_that_goes_while_pairs_are_switched_is_followed)
{
    plug(b, 2, 0);
    start(b, BIT(MQ) | BIT(CTRL_VQ), 5);
    vu_misbehave(b, VHOST_SERVER_CLOSES, VHOST_USER_SET_VRING_ENABLE);
    cr_expect_eq(set_pairs(b, 4, 2), VIRTIO_NET_OK);
    while (logged_lines == 0)
        rig_step(&b->rig);
    vhost_server_kill(&b->server);
    b->server.fault = VHOST_SERVER_GOOD;
    vu_retry(b);
    cr_expect_eq(atomic_load(&b->server.rings_on), 15);
    expect_works(b, 1);
}
