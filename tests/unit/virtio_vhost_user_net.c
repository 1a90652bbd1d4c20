// SPDX-License-Identifier: BSD-2-Clause
/* Networks behind a vhost-user server; what all such devices share is in virtio_vhost_user.c. */
#include <time.h>

#include "tests/harness/rig.h"
#include "tests/harness/test.h"
#include "tests/harness/vhost_server.h"
#include "virtio/net/vhost_user_net.h"
#include "virtio/spec.h"

#define BIT(feature) VIRTIO_BIT(VIRTIO_NET_F_##feature)
#define PACKET       100u
#define ROOM         1600u
#define LONG_RETRY   UINT64_C(40000000000)

struct bench {
    struct rig rig;
    struct vhost_server server;
    struct vhost_user_device *net;
};

static const uint8_t mac[NET_MAC_BYTES] = {0x52, 0x54, 0, 1, 2, 3};

static void prepare(struct bench *b, const struct rig_config *config)
{
    rig_open_host(&b->rig, config);
    vhost_server_init_net(&b->server);
    b->server.front = b->rig.gmem;
    b->net = NULL;
    listen_to_log(LOG_WARN);
}

static int create(struct bench *b, unsigned pairs, uint32_t mtu_bytes)
{
    struct vhost_user_setup config = {
        .setup = rig_setup(&b->rig, "net"),
        .socket_path = "a thread",
        .connect = vhost_server_connect,
        .connect_ctx = &b->server,
        .groups = pairs,
        .clock = &b->rig.clock,
    };
    return vhost_user_net_create(&b->net, &config, mac, mtu_bytes);
}

static void plug(struct bench *b, unsigned pairs, uint32_t mtu_bytes)
{
    cr_assert_eq(create(b, pairs, mtu_bytes), 0);
    rig_plug(&b->rig, &b->net->dev);
}

static void start(struct bench *b, uint64_t features, unsigned queues)
{
    cr_assert(vdrv_start(&b->rig.drv, features, queues, 16));
    rig_step(&b->rig); /* until the server has the rings */
}

static void end(struct bench *b)
{
    rig_unplug(&b->rig);
    vhost_user_device_destroy(b->net);
    vhost_server_fini(&b->server);
    rig_close(&b->rig);
    log_set_sink(NULL, NULL);
}

#define OnBench(suite, name) \
    TestWith(suite, name, struct bench, b, prepare(b, &rig_variants[0]), end(b))

/* A hang is the test's time-out. */
static void wait_used(struct bench *b, struct vdrv_queue *q)
{
    unsigned steps = 0;
    while (!vdrv_has_used(q)) {
        if (++steps % 1000 == 0)
            b->rig.time.now_ns += LONG_RETRY; /* a good server may be too late, too */
        rig_step(&b->rig);
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
}

/* Sends a packet, which the server sends back. */
static void expect_works(struct bench *b, unsigned pair)
{
    struct vdrv *d = &b->rig.drv;
    uint32_t head, len;
    struct vdrv_buf rx = {vdrv_alloc(d, ROOM, 16), ROOM, true};
    struct vdrv_buf tx = {vdrv_alloc(d, PACKET, 16), PACKET, false};
    memset(vdrv_ptr(d, tx.gpa, tx.len), 0x40 + (int)pair, tx.len);
    cr_assert_geq(vdrv_send(&d->q[2 * pair], &rx, 1), 0);
    cr_assert_geq(vdrv_send(&d->q[2 * pair + 1], &tx, 1), 0);
    wait_used(b, &d->q[2 * pair + 1]);
    cr_assert(vdrv_used(&d->q[2 * pair + 1], &head, &len));
    wait_used(b, &d->q[2 * pair]);
    cr_assert(vdrv_used(&d->q[2 * pair], &head, &len));
    cr_expect_eq(len, PACKET);
    cr_expect_eq(memcmp(vdrv_ptr(d, rx.gpa, PACKET), vdrv_ptr(d, tx.gpa, PACKET), PACKET), 0);
}

static uint8_t command(struct bench *b, unsigned queue, const void *data, uint32_t bytes)
{
    struct vdrv *d = &b->rig.drv;
    uint32_t head, len;
    struct vdrv_buf bufs[2] = {{vdrv_alloc(d, 16, 16), bytes, false},
                               {vdrv_alloc(d, 1, 1), 1, true}};
    memcpy(vdrv_ptr(d, bufs[0].gpa, bytes), data, bytes);
    *(uint8_t *)vdrv_ptr(d, bufs[1].gpa, 1) = 0xff;
    cr_assert_geq(vdrv_send(&d->q[queue], bufs, 2), 0);
    wait_used(b, &d->q[queue]);
    cr_assert(vdrv_used(&d->q[queue], &head, &len));
    return *(uint8_t *)vdrv_ptr(d, bufs[1].gpa, 1);
}

static uint8_t set_pairs(struct bench *b, unsigned queue, uint8_t pairs)
{
    uint8_t data[] = {VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, pairs, 0};
    return command(b, queue, data, sizeof(data));
}

static unsigned config16(struct bench *b, unsigned offset)
{
    uint8_t bytes[2];
    vdrv_config_read(&b->rig.drv, offset, bytes, sizeof(bytes));
    return le16_get(bytes);
}

Test(vhost_user_net, moves_packets_on_all_transports)
{
    struct bench b;
    for (unsigned i = 0; i < RIG_VARIANTS; i++) {
        uint8_t seen[NET_MAC_BYTES];
        prepare(&b, &rig_variants[i]);
        plug(&b, 1, 0);
        start(&b, BIT(MAC) | BIT(STATUS) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 3);
        for (unsigned n = 0; n < 40; n++)
            expect_works(&b, 0);
        vdrv_config_read(&b.rig.drv, VIRTIO_NET_CONFIG_mac, seen, sizeof(seen));
        cr_expect_eq(memcmp(seen, mac, sizeof(mac)), 0);
        cr_expect_eq(config16(&b, VIRTIO_NET_CONFIG_status), VIRTIO_NET_S_LINK_UP);
        start(&b, 0, 3); /* another driver */
        expect_works(&b, 0);
        end(&b);
    }
}

Test(vhost_user_net, offers_what_the_server_can_do)
{
    const uint64_t local =
        BIT(MAC) | BIT(STATUS) | BIT(CTRL_VQ) | BIT(GUEST_ANNOUNCE) | BIT(CTRL_MAC_ADDR);
    struct bench b;
    prepare(&b, &rig_variants[0]);
    plug(&b, 2, 1400);
    cr_expect_eq(vdrv_offered(&b.rig.drv) & 0xffffff,
                 local | BIT(CSUM) | BIT(MRG_RXBUF) | BIT(MTU) | BIT(MQ));
    start(&b, BIT(CSUM) | BIT(MAC) | BIT(CTRL_VQ), 3);
    cr_expect_eq(atomic_load(&b.server.acked) & 0xffffff, BIT(CSUM),
                 "the rest is not the server's");
    end(&b);
    prepare(&b, &rig_variants[0]);
    /* One that does not know what its features need. */
    b.server.features = VIRTIO_BIT(VIRTIO_F_VERSION_1) | BIT(HOST_TSO4);
    b.server.protocol = 0;
    plug(&b, 1, 0);
    cr_expect_eq(vdrv_offered(&b.rig.drv) & 0xffffff, local);
    start(&b, 0, 2);
    expect_works(&b, 0);
    end(&b);
}

OnBench(vhost_user_net, tells_the_mtu)
{
    plug(b, 1, 1400);
    cr_expect_eq(config16(b, VIRTIO_NET_CONFIG_mtu), 1400);
    start(b, 0, 2);
    cr_expect_eq(atomic_load(&b->server.mtu), 0);
    start(b, BIT(MTU), 2);
    cr_expect_eq(atomic_load(&b->server.mtu), 1400);
    b->server.fault = VHOST_SERVER_REFUSES;
    b->server.fault_at = VHOST_USER_NET_SET_MTU;
    start(b, BIT(MTU), 2);
    expect_works(b, 0);
}

OnBench(vhost_user_net, uses_as_many_pairs_as_the_driver)
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
OnBench(vhost_user_net, finds_the_control_queue_without_pairs)
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

OnBench(vhost_user_net, refuses_commands_that_it_does_not_know)
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
    wait_used(b, &b->rig.drv.q[2]);
    cr_assert(vdrv_used(&b->rig.drv.q[2], &head, &len));
    cr_expect_eq(len, 0);
    expect_works(b, 0);
}

/* Receive buffers are always out: that must not keep a ring from being taken up again. */
OnBench(vhost_user_net, goes_on_with_the_next_server)
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
    b->rig.time.now_ns += LONG_RETRY;
    rig_step(&b->rig);
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
    struct bench b;
    prepare(&b, &rig_variants[0]);
    b.server.queues = 1;
    plug(&b, 2, 0);
    cr_expect_eq(logged_lines, 1);
    cr_expect_eq(config16(&b, VIRTIO_NET_CONFIG_max_virtqueue_pairs), 1);
    start(&b, 0, 3);
    expect_works(&b, 0);
    end(&b);
    prepare(&b, &rig_variants[0]);
    b.server.features &= ~BIT(MQ);
    plug(&b, 2, 0);
    cr_expect_eq(logged_lines, 1);
    start(&b, BIT(CTRL_VQ), 3);
    expect_works(&b, 0);
    end(&b);
}

Test(vhost_user_net, serves_legacy_drivers)
{
    const uint8_t other[NET_MAC_BYTES] = {2, 8, 8, 8, 8, 8};
    uint8_t seen[NET_MAC_BYTES];
    struct bench b;
    for (unsigned i = 0; i < RIG_LEGACY_VARIANTS; i++) {
        prepare(&b, &rig_legacy_variants[i]);
        plug(&b, 1, 0);
        start(&b, BIT(MAC), 3);
        expect_works(&b, 0);
        vdrv_config_write(&b.rig.drv, VIRTIO_NET_CONFIG_mac, other, sizeof(other));
        vdrv_config_read(&b.rig.drv, VIRTIO_NET_CONFIG_mac, seen, sizeof(seen));
        cr_expect_eq(memcmp(seen, other, sizeof(other)), 0);
        vdrv_reset(&b.rig.drv);
        vdrv_config_read(&b.rig.drv, VIRTIO_NET_CONFIG_mac, seen, sizeof(seen));
        cr_expect_eq(memcmp(seen, mac, sizeof(mac)), 0);
        end(&b);
    }
}

/* The next server has what the one before did not do. */
OnBench(vhost_user_net, a_server_that_goes_while_pairs_are_switched_is_followed)
{
    plug(b, 2, 0);
    start(b, BIT(MQ) | BIT(CTRL_VQ), 5);
    b->server.fault = VHOST_SERVER_CLOSES;
    b->server.fault_at = VHOST_USER_SET_VRING_ENABLE;
    cr_expect_eq(set_pairs(b, 4, 2), VIRTIO_NET_OK);
    while (logged_lines == 0)
        rig_step(&b->rig);
    vhost_server_kill(&b->server);
    b->server.fault = VHOST_SERVER_GOOD;
    b->rig.time.now_ns += LONG_RETRY;
    rig_step(&b->rig);
    cr_expect_eq(atomic_load(&b->server.rings_on), 15);
    expect_works(b, 1);
}
