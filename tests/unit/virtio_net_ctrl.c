// SPDX-License-Identifier: BSD-2-Clause
/* The network device: its control queue, and what commands change. */
#include "tests/harness/netio.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/net/net.h"
#include "virtio/spec.h"

#define F(name)    VIRTIO_BIT(VIRTIO_NET_F_##name)
#define CTRL(name) VIRTIO_NET_CTRL_##name
#define FILTERS    (F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_RX_EXTRA) | F(CTRL_VLAN) | F(CTRL_MAC_ADDR))
#define OK         VIRTIO_NET_OK
#define ERR        VIRTIO_NET_ERR

static const uint8_t all[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t group[] = {0x33, 0x33, 0, 0, 0, 1}, other_group[] = {1, 0, 0x5e, 0, 0, 1};
static const uint8_t own[] = {0x52, 0x54, 0, 1, 2, 3}, alias[] = {2, 0, 0, 0, 0, 1};
static const uint8_t stranger[] = {2, 0, 0, 0, 0, 2};

static void open_started(struct rig *rig, const struct rig_config *config, uint64_t features)
{
    rig_open_net_on(rig, config);
    cr_assert(netio_start(rig, features, 1, 64));
}

/* Does a frame come in? */
static bool comes(struct rig *rig, const struct netio_packet *packet)
{
    netio_post(rig, 0, 256);
    netio_arrive(rig, 0, packet);
    return netio_take_all(rig, 0) == 1;
}

static bool comes_to(struct rig *rig, const uint8_t *dst)
{
    return comes(rig, &(struct netio_packet){.frame_bytes = 60, .dst = dst});
}

static bool comes_tagged(struct rig *rig, uint16_t vlan)
{
    return comes(rig, &(struct netio_packet){.frame_bytes = 60, .tagged = true, .vlan = vlan});
}

static uint8_t set_mode(struct rig *rig, uint8_t command, uint8_t on)
{
    return netio_command(rig, CTRL(RX), command, &on, 1);
}

/* ---- receive modes ---- */

/* By mode: own, a stranger's, a group's, everybody's. */
OnEachRig(virtio_net_ctrl, modes_choose_frames, open_started(rig, on, FILTERS))
{
    static const struct {
        uint8_t modes[3];
        unsigned count;
        bool own, stranger, group, all;
    } cases[] = {
        {{0}, 0, true, false, false, true},
        {{CTRL(RX_PROMISC)}, 1, true, true, true, true},
        {{CTRL(RX_ALLMULTI)}, 1, true, false, true, true},
        {{CTRL(RX_ALLUNI)}, 1, true, true, false, true},
        {{CTRL(RX_NOMULTI)}, 1, true, false, false, true},
        {{CTRL(RX_NOMULTI), CTRL(RX_ALLMULTI)}, 2, true, false, false, true},
        {{CTRL(RX_NOUNI)}, 1, false, false, false, true},
        {{CTRL(RX_NOUNI), CTRL(RX_ALLUNI)}, 2, false, false, false, true},
        {{CTRL(RX_NOBCAST)}, 1, true, false, false, false},
        {{CTRL(RX_NOBCAST), CTRL(RX_ALLMULTI)}, 2, true, false, true, false},
        {{CTRL(RX_NOBCAST), CTRL(RX_NOUNI), CTRL(RX_PROMISC)}, 3, true, true, true, true},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        for (unsigned m = 0; m < cases[i].count; m++)
            cr_expect_eq(set_mode(rig, cases[i].modes[m], 1), OK);
        cr_expect_eq(comes_to(rig, own), cases[i].own, "case %u", i);
        cr_expect_eq(comes_to(rig, stranger), cases[i].stranger, "case %u", i);
        cr_expect_eq(comes_to(rig, group), cases[i].group, "case %u", i);
        cr_expect_eq(comes_to(rig, all), cases[i].all, "case %u", i);
        for (unsigned m = 0; m < cases[i].count; m++)
            cr_expect_eq(set_mode(rig, cases[i].modes[m], 0), OK);
    }
}

OnRig(virtio_net_ctrl, without_filters_everything_comes,
      open_started(rig, &rig_variants[0], F(CTRL_VQ)))
{
    cr_expect(comes_to(rig, stranger));
    cr_expect(comes_to(rig, group));
    cr_expect(comes_tagged(rig, 5));
    cr_expect_eq(set_mode(rig, CTRL(RX_PROMISC), 0), ERR);
}

/* ---- tables ---- */

/* Two tables, each with its count; `counts` may lie. */
static uint8_t set_table(struct rig *rig, const uint8_t *unicast, unsigned unicasts,
                         const uint8_t *multicast, unsigned multicasts)
{
    uint8_t data[2048];
    unsigned at = 4;
    le32_put(data, unicasts);
    memcpy(data + at, unicast, unicasts * NET_MAC_BYTES);
    at += unicasts * NET_MAC_BYTES;
    le32_put(data + at, multicasts);
    memcpy(data + at + 4, multicast, multicasts * NET_MAC_BYTES);
    at += 4 + multicasts * NET_MAC_BYTES;
    return netio_command(rig, CTRL(MAC), CTRL(MAC_TABLE_SET), data, at);
}

OnEachRig(virtio_net_ctrl, mac_tables_let_in, open_started(rig, on, FILTERS))
{
    cr_expect_eq(set_table(rig, alias, 1, group, 1), OK);
    cr_expect(comes_to(rig, alias));
    cr_expect(comes_to(rig, own));
    cr_expect(comes_to(rig, group));
    cr_expect(!comes_to(rig, stranger));
    cr_expect(!comes_to(rig, other_group));
    cr_expect_eq(set_table(rig, alias, 0, group, 0), OK);
    cr_expect(!comes_to(rig, alias));
    cr_expect(!comes_to(rig, group));
    cr_expect_eq(set_table(rig, alias, 1, group, 1), OK);
    cr_assert(netio_start(rig, FILTERS, 1, 64));
    cr_expect(!comes_to(rig, alias), "a reset empties the table");
}

/* A table that ours has no room for lets all of its kind in, and none of the other kind. */
OnRig(virtio_net_ctrl, long_mac_tables_let_all_in, open_started(rig, &rig_variants[0], FILTERS))
{
    uint8_t macs[100 * NET_MAC_BYTES];
    for (unsigned i = 0; i < 100; i++)
        memcpy(macs + i * NET_MAC_BYTES, (uint8_t[]){2, 1, 1, 1, 1, (uint8_t)i}, NET_MAC_BYTES);
    cr_expect_eq(set_table(rig, macs, 64, group, 1), OK);
    cr_expect(comes_to(rig, macs + 63 * NET_MAC_BYTES));
    cr_expect(!comes_to(rig, stranger));
    cr_expect_eq(set_table(rig, macs, 65, group, 1), OK);
    cr_expect(comes_to(rig, stranger));
    cr_expect(comes_to(rig, group), "what follows the long table is read");
    cr_expect(!comes_to(rig, other_group));
}

OnRig(virtio_net_ctrl, a_mac_table_that_is_cut_changes_nothing,
      open_started(rig, &rig_variants[0], FILTERS))
{
    uint8_t data[64] = {0};
    cr_expect_eq(set_table(rig, alias, 1, group, 1), OK);
    le32_put(data, 1);
    le32_put(data + 10, 1);
    for (uint32_t len = 0; len < 20; len++)
        cr_expect_eq(netio_command(rig, CTRL(MAC), CTRL(MAC_TABLE_SET), data, len), ERR, "%u", len);
    le32_put(data, UINT32_MAX);
    cr_expect_eq(netio_command(rig, CTRL(MAC), CTRL(MAC_TABLE_SET), data, 64), ERR);
    cr_expect(comes_to(rig, alias));
    cr_expect(comes_to(rig, group));
}

OnEachRig(virtio_net_ctrl, sets_the_address, open_started(rig, on, FILTERS))
{
    uint8_t now[NET_MAC_BYTES];
    cr_expect_eq(netio_command(rig, CTRL(MAC), CTRL(MAC_ADDR_SET), alias, 5), ERR);
    cr_expect_eq(netio_command(rig, CTRL(MAC), CTRL(MAC_ADDR_SET), alias, 6), OK);
    vdrv_config_read(&rig->drv, VIRTIO_NET_CONFIG_mac, now, sizeof(now));
    cr_expect_arr_eq(now, alias, sizeof(now));
    cr_expect(comes_to(rig, alias));
    cr_expect(!comes_to(rig, own));
    vdrv_reset(&rig->drv);
    vdrv_config_read(&rig->drv, VIRTIO_NET_CONFIG_mac, now, sizeof(now));
    cr_expect_arr_eq(now, own, sizeof(now));
}

static uint8_t set_vlan(struct rig *rig, uint8_t command, uint16_t id)
{
    uint8_t data[2];
    le16_put(data, id);
    return netio_command(rig, CTRL(VLAN), command, data, 2);
}

OnEachRig(virtio_net_ctrl, vlans_are_let_in_one_by_one, open_started(rig, on, FILTERS))
{
    cr_expect(comes_to(rig, own), "without a tag");
    cr_expect(!comes_tagged(rig, 5));
    cr_expect_eq(set_vlan(rig, CTRL(VLAN_ADD), 5), OK);
    cr_expect_eq(set_vlan(rig, CTRL(VLAN_ADD), 4095), OK);
    cr_expect(comes_tagged(rig, 5));
    cr_expect(comes_tagged(rig, 0x6005), "the priority is not of the number");
    cr_expect(comes_tagged(rig, 4095));
    cr_expect(!comes_tagged(rig, 69));
    cr_expect_eq(set_vlan(rig, CTRL(VLAN_DEL), 5), OK);
    cr_expect(!comes_tagged(rig, 5));
    cr_expect_eq(set_vlan(rig, CTRL(VLAN_ADD), 4096), ERR);
    cr_expect_eq(netio_command(rig, CTRL(VLAN), CTRL(VLAN_ADD), "\1", 1), ERR);
}

/* ---- announcing ---- */

Test(virtio_net_ctrl, announces_when_the_link_comes_back)
{
    const uint64_t features = F(CTRL_VQ) | F(STATUS) | F(GUEST_ANNOUNCE);
    for (unsigned v = 0; v < RIG_VARIANTS; v++) {
        struct rig rig;
        uint8_t status[2];
        open_started(&rig, &rig_variants[v], features);
        fake_net_link(&rig.ether, false);
        fake_net_link(&rig.ether, true);
        vdrv_config_read(&rig.drv, VIRTIO_NET_CONFIG_status, status, 2);
        cr_expect_eq(status[0], VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
        rig_config_irqs(&rig);
        cr_expect_eq(netio_command(&rig, CTRL(ANNOUNCE), CTRL(ANNOUNCE_ACK), NULL, 0), OK);
        vdrv_config_read(&rig.drv, VIRTIO_NET_CONFIG_status, status, 2);
        cr_expect_eq(status[0], VIRTIO_NET_S_LINK_UP);
        fake_net_link(&rig.ether, true); /* again, as after a move */
        cr_expect_eq(rig_config_irqs(&rig), 1);
        vdrv_config_read(&rig.drv, VIRTIO_NET_CONFIG_status, status, 2);
        cr_expect_eq(status[0], VIRTIO_NET_S_LINK_UP | VIRTIO_NET_S_ANNOUNCE);
        rig_close(&rig);
    }
}

/* ---- pairs ---- */

static uint8_t set_pairs(struct rig *rig, uint16_t pairs)
{
    uint8_t data[2];
    le16_put(data, pairs);
    return netio_command(rig, CTRL(MQ), CTRL(MQ_VQ_PAIRS_SET), data, 2);
}

static struct rig *busy;
static unsigned commands;

/* The host's kernel takes its time. */
static int set_pairs_slowly(struct net_backend *b, unsigned pairs)
{
    (void)b;
    (void)pairs;
    busy->time.now_ns += 2000000;
    commands++;
    return 0;
}

/* Other devices come between commands. */
OnEachRig(virtio_net_ctrl, commands_that_take_long_share_the_loop, on->queues = 3,
          rig_open_net_on(rig, on))
{
    enum { COUNT = VIRTIO_TURN_CHAINS };
    cr_assert(netio_start(rig, F(CTRL_VQ) | F(MQ), 3, 64));
    static struct net_backend_ops ops;
    ops = *rig->ether.backend.ops;
    ops.set_pairs = set_pairs_slowly;
    rig->ether.backend.ops = &ops;
    busy = rig;
    commands = 0;
    struct vdrv_queue *q = &rig->drv.q[6];
    uint64_t gpa = vdrv_alloc(&rig->drv, 5 * COUNT, 8);
    for (unsigned i = 0; i < COUNT; i++, gpa += 5) {
        uint8_t *at = vdrv_ptr(&rig->drv, gpa, 5);
        at[0] = CTRL(MQ);
        at[1] = CTRL(MQ_VQ_PAIRS_SET);
        le16_put(at + 2, (uint16_t)(2 + i % 2));
        vdrv_add(q, (struct vdrv_buf[]){{gpa, 4, false}, {gpa + 4, 1, true}}, 2);
    }
    vdrv_publish(q);
    virtio_queue_serve(rig->dev, 6);
    cr_expect_leq(commands, 3);
    rig_step(rig);
    cr_expect_eq(commands, COUNT);
    cr_expect_eq(netio_take_all(rig, 6), COUNT);
}

OnEachRig(virtio_net_ctrl, pairs_are_used_when_the_driver_says_so, on->queues = 3,
          rig_open_net_on(rig, on))
{
    struct netio_packet packet = {.frame_bytes = 60};
    cr_assert(netio_start(rig, F(CTRL_VQ) | F(MQ), 3, 16));
    for (unsigned pair = 0; pair < 3; pair++)
        netio_post(rig, pair, 256);
    netio_send(rig, 2, &packet, true);
    cr_expect_eq(rig->ether.pairs[2].sends, 0);
    cr_expect_eq(set_pairs(rig, 3), OK);
    cr_expect_eq(rig->ether.pairs_used, 3);
    cr_expect_eq(rig->ether.pairs[2].sent_count, 1, "what waited goes out");
    for (unsigned pair = 0; pair < 3; pair++) {
        netio_arrive(rig, pair, &packet);
        cr_expect_eq(netio_take_all(rig, 2 * pair), 1);
    }
    cr_expect_eq(set_pairs(rig, 1), OK);
    netio_post(rig, 1, 256);
    netio_arrive(rig, 1, &packet);
    cr_expect_eq(netio_take_all(rig, 2), 0);
    cr_expect_eq(set_pairs(rig, 2), OK);
    cr_expect_eq(netio_take_all(rig, 2), 1);
    cr_expect_eq(set_pairs(rig, 0), ERR);
    cr_expect_eq(set_pairs(rig, 4), ERR);
    rig->ether.refuse_pairs = -EIO;
    cr_expect_eq(set_pairs(rig, 3), ERR);
    cr_expect_eq(rig->ether.pairs_used, 2);
    rig->ether.refuse_pairs = 0;
    vdrv_reset(&rig->drv);
    cr_expect_eq(rig->ether.pairs_used, 1);
}

/* Pairs whose queues were never set up, and then the machine ends. */
Test(virtio_net_ctrl, pairs_that_are_not_there_leave_nothing_in_the_loop)
{
    struct rig rig;
    struct rig_config config = rig_variants[0];
    config.queues = 3;
    rig_open_net_on(&rig, &config);
    struct virtio_device *dev = virtio_net_device(rig.net);
    cr_assert(netio_start(&rig, F(CTRL_VQ) | F(MQ), 1, 16));
    for (unsigned queue = 2; queue < 6; queue++) {
        virtio_queue_serve_later(dev, queue);
        cr_expect(!dev->queues[queue].again.queued);
    }
    rig_close(&rig);
}

/* A driver that knows nothing of pairs has its control queue behind the first. */
OnEachRig(virtio_net_ctrl, without_mq_it_is_the_third_queue, on->queues = 3,
          open_started(rig, on, FILTERS))
{
    cr_expect_eq(rig->drv.q[2].index, 2);
    cr_expect_eq(set_mode(rig, CTRL(RX_PROMISC), 1), OK);
    cr_expect_eq(set_pairs(rig, 1), ERR);
}

/* ---- offloads ---- */

static uint8_t set_offloads(struct rig *rig, uint64_t offloads)
{
    uint8_t data[8];
    le64_put(data, offloads);
    return netio_command(rig, CTRL(GUEST_OFFLOADS), CTRL(GUEST_OFFLOADS_SET), data, 8);
}

Test(virtio_net_ctrl, offloads_change_at_run_time)
{
    const uint64_t features = F(CTRL_VQ) | F(CTRL_GUEST_OFFLOADS) | F(GUEST_CSUM) | F(GUEST_TSO4) |
                              F(GUEST_USO4) | F(GUEST_USO6);
    for (unsigned v = 0; v < RIG_VARIANTS; v++) {
        struct rig rig;
        open_started(&rig, &rig_variants[v], features);
        cr_expect_eq(rig.ether.offloads, NET_CSUM | NET_TSO4 | NET_USO);
        cr_expect_eq(set_offloads(&rig, 0), OK);
        cr_expect_eq(rig.ether.offloads, 0);
        cr_expect_eq(set_offloads(&rig, F(GUEST_CSUM) | F(GUEST_TSO4)), OK);
        cr_expect_eq(rig.ether.offloads, NET_CSUM | NET_TSO4);
        cr_expect_eq(set_offloads(&rig, F(GUEST_TSO4)), ERR, "it needs GUEST_CSUM");
        cr_expect_eq(set_offloads(&rig, F(GUEST_CSUM) | F(GUEST_TSO6)), ERR, "not negotiated");
        cr_expect_eq(set_offloads(&rig, F(CTRL_VQ)), ERR, "no offload");
        cr_expect_eq(set_offloads(&rig, UINT64_MAX), ERR);
        cr_expect_eq(rig.ether.offloads, NET_CSUM | NET_TSO4);
        rig_close(&rig);
    }
}

/* What the backend had before the command, or gives in spite of it. */
Test(virtio_net_ctrl, packets_keep_to_the_offloads_of_now)
{
    struct rig rig;
    const uint64_t offloads = F(GUEST_CSUM) | F(GUEST_TSO4);
    const struct netio_packet plain = {.flags = VIRTIO_NET_HDR_F_DATA_VALID, .frame_bytes = 100};
    struct netio_packet segments = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                    .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                    .gso_size = 50,
                                    .csum_start = 34,
                                    .csum_offset = 16,
                                    .frame_bytes = 100};
    open_started(&rig, &rig_variants[0], F(CTRL_VQ) | F(CTRL_GUEST_OFFLOADS) | offloads);
    cr_expect(comes(&rig, &segments));
    cr_expect_eq(set_offloads(&rig, F(GUEST_CSUM)), OK);
    cr_expect(!comes(&rig, &segments));
    segments.gso_type = 0;
    netio_arrive(&rig, 0, &segments);
    cr_expect_eq(netio_take_all(&rig, 0), 1);
    cr_expect_eq(set_offloads(&rig, 0), OK);
    const uint8_t *at = netio_post(&rig, 0, 256);
    netio_arrive(&rig, 0, &segments);
    cr_expect_eq(netio_take_all(&rig, 0), 0);
    netio_arrive(&rig, 0, &plain);
    cr_expect_eq(netio_take_all(&rig, 0), 1);
    cr_expect_eq(at[VIRTIO_NET_HDR_flags], 0);
    rig_close(&rig);
}

/* ---- what is no command ---- */

OnEachRig(virtio_net_ctrl, unknown_commands_are_refused, open_started(rig, on, FILTERS))
{
    const uint8_t data[64] = {0};
    cr_expect_eq(netio_command(rig, CTRL(RX), 6, data, 64), ERR);
    cr_expect_eq(netio_command(rig, CTRL(RX), 0, data, 0), ERR, "no data");
    cr_expect_eq(netio_command(rig, CTRL(MAC), 2, data, 64), ERR);
    cr_expect_eq(netio_command(rig, 9, 0, data, 64), ERR);
    cr_expect_eq(netio_command(rig, 255, 255, data, 64), ERR);
}
