// SPDX-License-Identifier: BSD-2-Clause
/*
 * Devices that are saved in the middle of their work, and loaded into fresh ones: the driver must
 * not be able to tell. Each workload runs twice on each rig, with that in its middle and without,
 * and both have to give the same answers, bytes and interrupts.
 */
#include <criterion/criterion.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/state/state.h"
#include "tests/harness/listen.h"
#include "tests/harness/netio.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/scsireq.h"
#include "virtio/base/observer.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/spec.h"

#define QUEUE_SIZE  8
#define QUEUES      3
#define TRACE_BYTES 131072

/* What a driver saw. */
struct trace {
    uint8_t bytes[TRACE_BYTES];
    size_t len;
};

static void note(struct trace *t, const void *bytes, size_t len)
{
    cr_assert_leq(len, sizeof(t->bytes) - t->len);
    memcpy(t->bytes + t->len, bytes, len);
    t->len += len;
}

static void note_number(struct trace *t, uint64_t n)
{
    note(t, &n, sizeof(n));
}

#define SAME SIZE_MAX

/* Where two traces part. */
static size_t difference(const struct trace *a, const struct trace *b)
{
    size_t at = 0;
    while (at < a->len && at < b->len && a->bytes[at] == b->bytes[at])
        at++;
    return at == a->len && at == b->len ? SAME : at;
}

/* ---- a workload's steps ---- */

/* A chain: bytes that the device reads, and room that it may write. Returns where the room is. */
static uint64_t send_chain(struct rig *rig, unsigned queue, const void *bytes, uint32_t len,
                           uint32_t room)
{
    struct vdrv_buf bufs[2];
    unsigned count = 0;
    uint64_t room_gpa = 0;
    if (len > 0) {
        bufs[count++] = (struct vdrv_buf){vdrv_alloc(&rig->drv, len, 1), len, false};
        memcpy(vdrv_ptr(&rig->drv, bufs[0].gpa, len), bytes, len);
    }
    if (room > 0) {
        room_gpa = vdrv_alloc(&rig->drv, room, 1);
        bufs[count++] = (struct vdrv_buf){room_gpa, room, true};
    }
    cr_assert_geq(vdrv_send(&rig->drv.q[queue], bufs, count), 0);
    return room_gpa;
}

static void take_all(struct rig *rig, struct trace *t)
{
    rig_step(rig);
    for (unsigned q = 0; q < QUEUES && rig->drv.q[q].size > 0; q++) {
        uint32_t head, len;
        while (vdrv_used(&rig->drv.q[q], &head, &len))
            note_number(t, (uint64_t)q << 48 | (uint64_t)head << 32 | len);
        note_number(t, rig_queue_irqs(rig, q));
    }
    note_number(t, rig_config_irqs(rig));
    note_number(t, rig->bell.count);
    note_number(t, vdrv_status(&rig->drv));
    if (!rig->drv.t->legacy)
        note_number(t, vdrv_generation(&rig->drv));
}

static void note_room(struct rig *rig, struct trace *t, uint64_t gpa, uint32_t len)
{
    note(t, vdrv_ptr(&rig->drv, gpa, len), len);
}

struct workload {
    const char *name;
    void (*open)(struct rig *rig, const struct rig_config *config);
    uint64_t features;
    unsigned queues;
    bool rss;
    void (*first)(struct rig *rig, struct trace *t);
    void (*second)(struct rig *rig, struct trace *t);
};

/* ---- workloads ---- */

static void echo_some(struct rig *rig, struct trace *t)
{
    for (unsigned i = 0; i < 5; i++) {
        uint8_t text[] = {'a', 'b', (uint8_t)i};
        uint64_t gpa = send_chain(rig, i % 2, text, sizeof(text), sizeof(text));
        rig_step(rig);
        note_room(rig, t, gpa, sizeof(text));
        if (i == 3)
            take_all(rig, t);
    }
    if (!rig->drv.t->legacy)
        vdrv_config_write(&rig->drv, 2, "xyz", 3);
}

static void echo_more(struct rig *rig, struct trace *t)
{
    uint8_t config[10];
    for (unsigned i = 0; i < 3 * QUEUE_SIZE; i++) {
        echo_some(rig, t);
        take_all(rig, t);
    }
    vdrv_config_read(&rig->drv, 0, config, sizeof(config));
    note(t, config, sizeof(config));
}

static void blk_request(struct rig *rig, uint32_t type, uint64_t sector, uint8_t fill)
{
    uint8_t request[VIRTIO_BLK_REQ_HEADER_BYTES + 512] = {0};
    bool writes = type == VIRTIO_BLK_T_OUT;
    le32_put(request, type);
    le64_put(request + 8, sector);
    memset(request + VIRTIO_BLK_REQ_HEADER_BYTES, fill, 512);
    send_chain(rig, 0, request, VIRTIO_BLK_REQ_HEADER_BYTES + (writes ? 512 : 0), writes ? 1 : 513);
}

/* Requests are out in the backend when the device is held: they are done by then. */
static void blk_first(struct rig *rig, struct trace *t)
{
    uint8_t writeback = 0;
    (void)t;
    for (unsigned i = 0; i < 3; i++)
        blk_request(rig, VIRTIO_BLK_T_OUT, i, (uint8_t)(0x10 + i));
    if (!rig->drv.t->legacy)
        vdrv_config_write(&rig->drv, VIRTIO_BLK_CONFIG_writeback, &writeback, 1);
}

static void blk_second(struct rig *rig, struct trace *t)
{
    uint8_t config[VIRTIO_BLK_CONFIG_BYTES];
    vdrv_config_read(&rig->drv, 0, config, sizeof(config));
    note(t, config, sizeof(config));
    for (unsigned lap = 0; lap < 2 * QUEUE_SIZE; lap++) {
        take_all(rig, t);
        blk_request(rig, VIRTIO_BLK_T_IN, lap % 3, 0);
        blk_request(rig, VIRTIO_BLK_T_OUT, lap, (uint8_t)lap);
    }
    take_all(rig, t);
    note(t, rig->disk.bytes, 4096);
}

static void rng_first(struct rig *rig, struct trace *t)
{
    uint64_t gpa = send_chain(rig, 0, NULL, 0, 32);
    rig_step(rig);
    note_room(rig, t, gpa, 32);
}

static void rng_second(struct rig *rig, struct trace *t)
{
    for (unsigned i = 0; i < 3 * QUEUE_SIZE; i++) {
        take_all(rig, t);
        rng_first(rig, t);
    }
    take_all(rig, t);
}

/* The reader is slow: a line is cut in its middle, and another waits. So does a buffer for input.
 */
static void console_first(struct rig *rig, struct trace *t)
{
    take_all(rig, t);
    rig->chr.room = 4;
    send_chain(rig, 1, "hello ", 6, 0);
    send_chain(rig, 1, "world", 5, 0);
    send_chain(rig, 0, NULL, 0, 3);
    send_chain(rig, 0, NULL, 0, 8);
    rig_step(rig);
    fake_chr_type(&rig->chr, "x", 1);
}

static void console_second(struct rig *rig, struct trace *t)
{
    rig_step(rig);
    note_number(t, rig->chr.rx_max);
    fake_chr_type(&rig->chr, "typed", 5);
    fake_chr_open(&rig->chr, 3);
    take_all(rig, t);
    fake_chr_open(&rig->chr, 1000);
    take_all(rig, t);
    for (unsigned i = 0; i < 2 * QUEUE_SIZE; i++) {
        uint64_t gpa = send_chain(rig, 0, NULL, 0, 4);
        send_chain(rig, 1, "again", 5, 0);
        rig_step(rig);
        fake_chr_type(&rig->chr, "abcd", 4);
        take_all(rig, t);
        note_room(rig, t, gpa, 4);
    }
    note(t, rig->chr.out, rig->chr.out_bytes);
}

static uint64_t scsi_command(struct rig *rig, uint8_t op, uint32_t out, uint32_t in)
{
    uint8_t request[VIRTIO_SCSI_CMD_cdb + VIRTIO_SCSI_CDB_DEFAULT_SIZE + 512] = {1, 0, 0x40};
    uint32_t header = VIRTIO_SCSI_CMD_cdb + VIRTIO_SCSI_CDB_DEFAULT_SIZE;
    uint8_t *cdb = request + VIRTIO_SCSI_CMD_cdb;
    cdb[0] = op;
    cdb[8] = 1; /* a block */
    memset(request + header, 0x5c, 512);
    return send_chain(rig, 2, request, header + out,
                      VIRTIO_SCSI_RESP_sense + VIRTIO_SCSI_SENSE_DEFAULT_SIZE + in);
}

/* The unit has an attention to tell, and an event was missed. */
static void scsi_first(struct rig *rig, struct trace *t)
{
    scsi_command(rig, SCSI_WRITE_10, 512, 0);
    take_all(rig, t);
    fake_blk_resize(&rig->disk, RIG_DISK_BYTES / 2);
    rig_step(rig);
    scsi_command(rig, SCSI_INQUIRY, 0, 36);
}

static void scsi_second(struct rig *rig, struct trace *t)
{
    take_all(rig, t);
    uint64_t event = send_chain(rig, 1, NULL, 0, VIRTIO_SCSI_EVENT_BYTES);
    uint64_t attention = scsi_command(rig, SCSI_TEST_UNIT_READY, 0, 0);
    take_all(rig, t);
    note_room(rig, t, event, VIRTIO_SCSI_EVENT_BYTES);
    note_room(rig, t, attention, VIRTIO_SCSI_RESP_sense + 32);
    for (unsigned i = 0; i < 2 * QUEUE_SIZE; i++) {
        uint64_t gpa = scsi_command(rig, SCSI_READ_10, 0, 512);
        take_all(rig, t);
        note_room(rig, t, gpa, 600);
    }
}

#define NET(feature) VIRTIO_BIT(VIRTIO_NET_F_##feature)
#define NET_FEATURES                                                                              \
    (NET(MAC) | NET(STATUS) | NET(CTRL_VQ) | NET(CTRL_RX) | NET(CTRL_RX_EXTRA) | NET(CTRL_VLAN) | \
     NET(CTRL_MAC_ADDR) | NET(CSUM) | NET(GUEST_CSUM) | NET(GUEST_TSO4) |                         \
     NET(CTRL_GUEST_OFFLOADS))

#define NET_BUFFER_BYTES 512
#define NET_BUFFERS      64

static struct {
    const uint8_t *at[NET_BUFFERS];
    unsigned count;
} net_buffers;

static void net_post(struct rig *rig, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        net_buffers.at[net_buffers.count++ % NET_BUFFERS] = netio_post(rig, 0, NET_BUFFER_BYTES);
}

/* Buffers wait for packets, and one packet waits for the network. */
static void net_first(struct rig *rig, struct trace *t)
{
    const uint8_t macs[] = {1, 0, 0, 0, 0x52, 0x54, 0, 9, 9, 9, 0, 0, 0, 0};
    const uint8_t vlan[] = {7, 0};
    uint8_t offloads[8];
    net_buffers.count = 0;
    le64_put(offloads, NET(GUEST_CSUM));
    if (rig->drv.features & VIRTIO_BIT(VIRTIO_NET_F_CTRL_VQ)) {
        note_number(t, netio_command(rig, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, macs,
                                     sizeof(macs)));
        note_number(t, netio_command(rig, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, vlan,
                                     sizeof(vlan)));
        note_number(t, netio_command(rig, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, "\1", 1));
        note_number(t, netio_command(rig, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET,
                                     "RT\0\1\2\7", 6));
        note_number(t, netio_command(rig, VIRTIO_NET_CTRL_GUEST_OFFLOADS,
                                     VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, offloads, 8));
    }
    if (rig->cfg.rss) {
        uint8_t data[2048];
        struct netio_rss rss = {
            .types = 0x3f, .entries = 2, .pairs = {0, 0}, .tx_pairs = 1, .key_bytes = 40};
        uint32_t len = netio_make_rss(&rss, data);
        note_number(
            t, netio_command(rig, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_RSS_CONFIG, data, len));
    }
    net_post(rig, 4);
    netio_arrive(rig, 0, &(struct netio_packet){.frame_bytes = 64, .fill = 1});
    rig->ether.pairs[0].room = 0;
    netio_send(rig, 0, &(struct netio_packet){.frame_bytes = 80, .fill = 2}, false);
}

static void net_second(struct rig *rig, struct trace *t)
{
    static const uint8_t known[] = {0x52, 0x54, 0, 9, 9, 9}, new[] = "RT\0\1\2\7",
                         all[] = "\xff\xff\xff\xff\xff\xff";
    const uint8_t *dsts[] = {NULL, known, new, all};
    rig_step(rig);
    fake_net_open(&rig->ether, 0, 100);
    take_all(rig, t);
    for (unsigned lap = 0; lap < 3 * QUEUE_SIZE; lap++) {
        netio_arrive(rig, 0,
                     &(struct netio_packet){.frame_bytes = 70 + lap,
                                            .dst = dsts[lap % ARRAY_SIZE(dsts)],
                                            .tagged = lap % 5 == 0,
                                            .vlan = (uint16_t)(lap % 10 == 0 ? 7 : 8),
                                            .udp = (uint16_t)(lap % 3),
                                            .fill = (uint8_t)lap});
        netio_send(rig, 0, &(struct netio_packet){.frame_bytes = 60 + lap}, lap % 2 == 0);
        take_all(rig, t);
        net_post(rig, rig->drv.q[0].ring.free_descs / 2);
    }
    for (unsigned i = 0; i < net_buffers.count && i < NET_BUFFERS; i++)
        note(t, net_buffers.at[i], NET_BUFFER_BYTES);
    for (struct fake_packet *p; (p = fake_net_take(&rig->ether, 0)) != NULL; free(p))
        note(t, p->data, p->bytes);
    note_number(t, rig->ether.offloads);
}

static const struct workload workloads[] = {
    {"echo", rig_open_echo_on, 0, 2, false, echo_some, echo_more},
    {"echo with event indices", rig_open_echo_on, VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 2, false,
     echo_some, echo_more},
    {"blk", rig_open_blk_on, VIRTIO_BIT(VIRTIO_BLK_F_FLUSH) | VIRTIO_BIT(VIRTIO_BLK_F_CONFIG_WCE),
     1, false, blk_first, blk_second},
    {"rng", rig_open_rng_on, 0, 1, false, rng_first, rng_second},
    {"console", rig_open_console_on, VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE), 2, false, console_first,
     console_second},
    {"scsi", rig_open_scsi_on, VIRTIO_BIT(VIRTIO_SCSI_F_CHANGE) | VIRTIO_BIT(VIRTIO_SCSI_F_HOTPLUG),
     3, false, scsi_first, scsi_second},
    {"net", rig_open_net_on, NET_FEATURES, 3, false, net_first, net_second},
    {"net with rss", rig_open_net_on, NET_FEATURES | NET(RSS) | NET(HASH_REPORT), 3, true,
     net_first, net_second},
};

/* ---- in its middle ---- */

/* A kernel has delivered them by now. */
static void deliver_messages(struct rig *rig)
{
    (void)fake_msi_sent(&rig->msi);
}

/* As a machine does it: hold, wait, save. */
static void save(struct rig *rig, struct state *s)
{
    unsigned turns = 0;
    virtio_device_hold(rig->dev);
    for (; !virtio_device_is_idle(rig->dev); rig_step(rig))
        cr_assert_lt(turns++, 1000, "the device never comes to rest");
    state_save(s);
    rig_state(rig, s);
    cr_assert_eq(state_error(s), 0);
    deliver_messages(rig);
}

static int load(struct rig *rig, const void *bytes, size_t len)
{
    struct state s;
    state_load(&s, bytes, len);
    rig_state(rig, &s);
    int err = state_error(&s);
    state_fini(&s);
    return err;
}

static void go_on_as_it_is(struct rig *rig)
{
    struct state s;
    save(rig, &s);
    state_fini(&s);
    virtio_device_release(rig->dev);
}

static void go_on_in_another(struct rig *rig)
{
    struct state s;
    save(rig, &s);
    rig_renew(rig);
    cr_assert_eq(load(rig, s.bytes, s.len), 0);
    state_fini(&s);
}

static void do_nothing(struct rig *rig)
{
    rig_step(rig);
    deliver_messages(rig);
}

/* ---- both ways ---- */

static void open_started(struct rig *rig, const struct rig_config *config, const struct workload *w)
{
    struct rig_config on = *config;
    on.rss = w->rss;
    w->open(rig, &on);
    uint64_t features = w->features & (rig->drv.t->legacy ? UINT32_MAX : UINT64_MAX);
    cr_assert(vdrv_start(&rig->drv, features, w->queues, QUEUE_SIZE));
    rig_step(rig);
}

static void run(const struct rig_config *config, const struct workload *w, struct trace *t,
                void (*middle)(struct rig *rig), void (*end)(struct rig *rig, struct trace *t))
{
    struct rig rig;
    t->len = 0;
    open_started(&rig, config, w);
    w->first(&rig, t);
    middle(&rig);
    end(&rig, t);
    rig_close(&rig);
}

static void expect_same(const struct rig_config *config, const struct workload *w,
                        void (*end)(struct rig *rig, struct trace *t))
{
    static struct trace straight, held, loaded;
    run(config, w, &straight, do_nothing, end);
    run(config, w, &held, go_on_as_it_is, end);
    run(config, w, &loaded, go_on_in_another, end);
    cr_expect_gt(straight.len, 0);
    cr_expect_eq(difference(&straight, &held), SAME, "%s on %s, held: at byte %zu of %zu", w->name,
                 rig_config_name(config), difference(&straight, &held), straight.len);
    cr_expect_eq(difference(&straight, &loaded), SAME, "%s on %s, loaded: at byte %zu of %zu",
                 w->name, rig_config_name(config), difference(&straight, &loaded), straight.len);
}

Test(virtio_state, a_driver_goes_on_with_a_loaded_device)
{
    for (unsigned i = 0; i < ARRAY_SIZE(workloads); i++)
        for (unsigned v = 0; v < RIG_VARIANTS; v++)
            expect_same(&rig_variants[v], &workloads[i], workloads[i].second);
}

static bool has_legacy(const struct workload *w)
{
    return w->open != rig_open_scsi_on && !w->rss;
}

Test(virtio_state, a_legacy_driver_goes_on_with_a_loaded_device)
{
    for (unsigned i = 0; i < ARRAY_SIZE(workloads); i++)
        for (unsigned v = 0; v < RIG_LEGACY_VARIANTS && has_legacy(&workloads[i]); v++)
            expect_same(&rig_legacy_variants[v], &workloads[i], workloads[i].second);
}

/* ---- what a driver may do next ---- */

static void note_queues(struct rig *rig, struct trace *t)
{
    take_all(rig, t);
    for (unsigned q = 0; q < QUEUES; q++)
        note_number(t, vdrv_queue_ready(&rig->drv, q));
}

/* With other features. */
static void start_again(struct rig *rig, struct trace *t)
{
    note_queues(rig, t);
    vdrv_reset(&rig->drv);
    note_queues(rig, t);
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC), 1, 4));
    note_queues(rig, t);
    for (unsigned i = 0; i < 4; i++) {
        send_chain(rig, 0, NULL, 0, 1);
        take_all(rig, t);
    }
}

static void reset_a_queue(struct rig *rig, struct trace *t)
{
    take_all(rig, t);
    note_number(t, vdrv_queue_reset(&rig->drv, 0));
    note_queues(rig, t);
    vdrv_queue_alloc(&rig->drv, 0, 4);
    vdrv_queue_write(&rig->drv, 0);
    note_queues(rig, t);
    for (unsigned i = 0; i < 4; i++) {
        send_chain(rig, 0, NULL, 0, 1);
        take_all(rig, t);
    }
}

Test(virtio_state, a_loaded_device_is_reset)
{
    for (unsigned i = 0; i < ARRAY_SIZE(workloads); i++)
        for (unsigned v = 0; v < RIG_VARIANTS; v++)
            expect_same(&rig_variants[v], &workloads[i], start_again);
}

Test(virtio_state, a_queue_of_a_loaded_device_is_reset)
{
    for (unsigned i = 0; i < ARRAY_SIZE(workloads); i++) {
        struct workload w = workloads[i];
        w.features |= VIRTIO_BIT(VIRTIO_F_RING_RESET);
        for (unsigned v = 0; v < RIG_VARIANTS; v++)
            expect_same(&rig_variants[v], &w, reset_a_queue);
    }
}

/* In order, a chain that is done early waits for those before it. */
Test(virtio_state, buffers_come_back_in_order)
{
    for (unsigned i = 0; i < ARRAY_SIZE(workloads); i++) {
        if (workloads[i].open == rig_open_scsi_on)
            continue;
        for (unsigned v = 0; v < RIG_VARIANTS; v++) {
            struct rig_config on = rig_variants[v];
            on.features_on |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
            on.always |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
            expect_same(&on, &workloads[i], workloads[i].second);
        }
    }
}

/* The ring is broken: only a reset helps, before the load and after it. */
static void break_ring(struct rig *rig, struct trace *t)
{
    unsigned queue = rig->net != NULL; /* a card looks at its buffers when a packet comes */
    vdrv_send(&rig->drv.q[queue], &(struct vdrv_buf){UINT64_C(1) << 50, 8, true}, 1);
    rig_step(rig);
    cr_assert(rig_is_broken(rig));
    note_queues(rig, t);
}

static void send_and_start_again(struct rig *rig, struct trace *t)
{
    vdrv_notify(&rig->drv.q[0]);
    rig_step(rig);
    cr_assert(rig_is_broken(rig));
    start_again(rig, t);
}

Test(virtio_state, a_device_that_needs_a_reset_still_does)
{
    listen_to_log(LOG_WARN);
    for (unsigned i = 0; i < ARRAY_SIZE(workloads); i++) {
        struct workload w = workloads[i];
        w.first = break_ring;
        for (unsigned v = 0; v < RIG_VARIANTS; v++)
            expect_same(&rig_variants[v], &w, send_and_start_again);
    }
}

/* ---- before a driver has started it ---- */

/* How far it came. */
static void set_up(struct rig *rig, unsigned steps)
{
    if (steps > 0)
        vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    if (steps > 1)
        vdrv_accept(&rig->drv, 0, 1u << VIRTIO_F_INDIRECT_DESC);
    if (steps > 2)
        vdrv_negotiate(&rig->drv, 0);
    if (steps > 3)
        vdrv_queue_alloc(&rig->drv, 0, QUEUE_SIZE);
    if (steps > 4)
        vdrv_queue_write(&rig->drv, 0);
    if (steps > 5)
        vdrv_driver_ok(&rig->drv);
}

Test(virtio_state, a_driver_goes_on_with_its_set_up)
{
    for (unsigned v = 0; v < RIG_VARIANTS; v++) {
        for (unsigned steps = 0; steps <= 6; steps++) {
            struct rig rig;
            rig_open_echo_on(&rig, &rig_variants[v]);
            set_up(&rig, steps);
            uint32_t status = vdrv_status(&rig.drv);
            go_on_in_another(&rig);
            cr_expect_eq(vdrv_status(&rig.drv), status);
            if (steps <= 2)
                vdrv_negotiate(&rig.drv, 0);
            if (steps <= 3)
                vdrv_queue_alloc(&rig.drv, 0, QUEUE_SIZE);
            if (steps <= 4)
                vdrv_queue_write(&rig.drv, 0);
            if (steps <= 5)
                vdrv_driver_ok(&rig.drv);
            uint64_t gpa = send_chain(&rig, 0, "!", 1, 1);
            rig_step(&rig);
            cr_expect_eq(*(char *)vdrv_ptr(&rig.drv, gpa, 1), '!', "%s, after %u steps",
                         rig_config_name(&rig_variants[v]), steps);
            rig_close(&rig);
        }
    }
}

/* ---- what is not in registers and queues ---- */

OnRig(virtio_state, a_held_console_takes_no_input, rig_open_console(rig))
{
    cr_assert(vdrv_start(&rig->drv, 0, 2, QUEUE_SIZE));
    send_chain(rig, 0, NULL, 0, 8);
    rig_step(rig);
    cr_expect_eq(rig->chr.rx_max, 8);
    virtio_device_hold(rig->dev);
    cr_expect(virtio_device_is_idle(rig->dev));
    cr_expect_eq(rig->chr.rx_max, 0);
    virtio_device_release(rig->dev);
    rig_step(rig);
    cr_expect_eq(rig->chr.rx_max, 8);
}

OnRig(virtio_state, a_scsi_host_keeps_its_sizes, rig_open_scsi_on(rig, &rig_variants[0]))
{
    uint8_t sizes[8], loaded[8];
    le32_put(sizes, 20);
    le32_put(sizes + 4, 64);
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    vdrv_config_write(&rig->drv, VIRTIO_SCSI_CONFIG_sense_size, sizes, sizeof(sizes));
    go_on_in_another(rig);
    vdrv_config_read(&rig->drv, VIRTIO_SCSI_CONFIG_sense_size, loaded, sizeof(loaded));
    cr_expect_arr_eq(loaded, sizes, sizeof(sizes));
}

OnRig(virtio_state, a_driver_is_told_what_has_changed_meanwhile, rig_open_blk(rig, false))
{
    struct state s;
    uint8_t capacity[8];
    cr_assert(vdrv_start(&rig->drv, 0, 1, QUEUE_SIZE));
    save(rig, &s);
    fake_blk_resize(&rig->disk, 2 * RIG_DISK_BYTES);
    (void)rig_config_irqs(rig);
    rig_renew(rig);
    cr_assert_eq(load(rig, s.bytes, s.len), 0);
    state_fini(&s);
    cr_expect_eq(rig_config_irqs(rig), 1);
    vdrv_config_read(&rig->drv, VIRTIO_BLK_CONFIG_capacity, capacity, sizeof(capacity));
    cr_expect_eq(le64_get(capacity), 2 * RIG_DISK_BYTES / 512);
}

OnNet(virtio_state, a_driver_is_told_that_the_link_is_down, .queues = 2)
{
    struct state s;
    uint8_t status[2];
    cr_assert(vdrv_start(&rig->drv, NET(STATUS) | NET(CTRL_VQ), 5, QUEUE_SIZE));
    save(rig, &s);
    fake_net_link(&rig->ether, false);
    (void)rig_config_irqs(rig);
    rig_renew(rig);
    cr_assert_eq(load(rig, s.bytes, s.len), 0);
    state_fini(&s);
    cr_expect_eq(rig_config_irqs(rig), 1);
    vdrv_config_read(&rig->drv, VIRTIO_NET_CONFIG_status, status, sizeof(status));
    cr_expect_eq(le16_get(status), 0);
}

OnNet(virtio_state, a_network_may_refuse_the_pairs, .queues = 2)
{
    struct state s;
    cr_assert(netio_start(rig, NET(MQ) | NET(CTRL_VQ), 2, QUEUE_SIZE));
    cr_assert_eq(netio_command(rig, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, "\2", 2),
                 0);
    save(rig, &s);
    rig_renew(rig);
    cr_expect_eq(rig->ether.pairs_used, 1);
    listen_to_log(LOG_ERROR);
    rig->ether.refuse_pairs = -EBUSY;
    cr_expect_eq(load(rig, s.bytes, s.len), -EINVAL);
    cr_expect(strstr(logged_line, "its network has other queues"), "%s", logged_line);
    rig_renew(rig);
    rig->ether.refuse_pairs = 0;
    cr_expect_eq(load(rig, s.bytes, s.len), 0);
    cr_expect_eq(rig->ether.pairs_used, 2);
    state_fini(&s);
}

OnEcho(virtio_state, a_queue_that_was_reset_is_set_up_after_the_load, .transport = RIG_PCI)
{
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_F_RING_RESET), 2, QUEUE_SIZE));
    cr_assert(vdrv_queue_reset(&rig->drv, 1));
    go_on_in_another(rig);
    cr_expect(vdrv_queue_ready(&rig->drv, 0) && !vdrv_queue_ready(&rig->drv, 1));
    vdrv_queue_alloc(&rig->drv, 1, QUEUE_SIZE);
    vdrv_queue_write(&rig->drv, 1);
    uint64_t gpa = send_chain(rig, 1, "!", 1, 1);
    rig_step(rig);
    cr_expect_eq(*(char *)vdrv_ptr(&rig->drv, gpa, 1), '!');
}

/* ---- interrupts that are due ---- */

static void mask(struct rig *rig, bool on)
{
    struct pci_function *f = rig->func;
    unsigned at = rig->drv.pci.msix_cap + 2;
    uint32_t control = f->ops->config_read(f, at, 2) & 0xbfffu;
    f->ops->config_write(f, at, 2, control | (on ? 0x4000u : 0));
}

OnRig(virtio_state, a_pending_message_comes_after_the_load,
      rig_open_echo_on(rig, &(struct rig_config){.transport = RIG_PCI}))
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, QUEUE_SIZE));
    mask(rig, true);
    send_chain(rig, 0, "!", 1, 1);
    rig_step(rig);
    go_on_in_another(rig);
    cr_expect_eq(rig_queue_irqs(rig, 0), 0);
    mask(rig, false);
    cr_expect_eq(rig_queue_irqs(rig, 0), 1);
}

OnRig(virtio_state, a_raised_line_stays_up,
      rig_open_echo_on(rig, &(struct rig_config){.transport = RIG_PCI, .intx = true}))
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, QUEUE_SIZE));
    send_chain(rig, 0, "!", 1, 1);
    rig_step(rig);
    cr_expect(rig->irq.level);
    go_on_in_another(rig);
    cr_expect(rig->irq.level);
    cr_expect_eq(vdrv_take_isr(&rig->drv), VIRTIO_ISR_QUEUE);
    cr_expect_not(rig->irq.level);
}

static void hold(void *ctx)
{
    virtio_device_hold(ctx);
}

/*
 * Task management waits until commands that were sent before it are taken, in turns. The device is
 * held after the first of them.
 */
static void reset_unit(struct rig *rig, struct trace *t)
{
    uint8_t tmf[VIRTIO_SCSI_TMF_BYTES] = {0};
    struct ev_defer holds = {.cb = hold, .ctx = rig->dev};
    take_all(rig, t);
    vdrv_reset(&rig->drv);
    cr_assert(vdrv_start(&rig->drv, 0, 3, 128));
    rig_step(rig);
    tmf[VIRTIO_SCSI_TMF_lun] = 1;
    tmf[VIRTIO_SCSI_TMF_lun + 2] = 0x40;
    le32_put(tmf + VIRTIO_SCSI_TMF_subtype, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET);
    rig->disk.hold = true;
    for (unsigned i = 0; i < 40; i++)
        scsi_command(rig, SCSI_READ_10, 0, 512);
    send_chain(rig, 0, tmf, sizeof(tmf), 1);
    evloop_defer(rig->loop, &holds);
    rig_step(rig);
    cr_expect(!virtio_device_is_idle(rig->dev) && rig->disk.out < 40);
    fake_blk_release(&rig->disk);
}

static void end_of_reset(struct rig *rig, struct trace *t)
{
    virtio_device_release(rig->dev);
    take_all(rig, t);
    cr_expect_eq(rig->drv.q[0].ring.free_descs, 128);
    cr_expect_eq(rig->drv.q[2].ring.free_descs, 128);
}

OnEachRig(virtio_state, task_management_goes_on, rig_open_scsi_on(rig, on))
{
    static struct trace t;
    t.len = 0;
    cr_assert(vdrv_start(&rig->drv, 0, 3, QUEUE_SIZE));
    reset_unit(rig, &t);
    go_on_in_another(rig);
    end_of_reset(rig, &t);
    uint64_t gpa = scsi_command(rig, SCSI_TEST_UNIT_READY, 0, 0);
    rig_step(rig);
    cr_expect_eq(((uint8_t *)vdrv_ptr(&rig->drv, gpa, 12))[VIRTIO_SCSI_RESP_status],
                 SCSI_CHECK_CONDITION, "the unit was reset");
}

/* The monitor does not know what the driver did before: it is silent, until there is a reset. */
OnEachRig(virtio_state, the_monitor_reports_no_driver_of_a_loaded_device,
          (on->strict = true, rig_open_echo_on(rig, on)))
{
    static struct trace t;
    t.len = 0;
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_F_EVENT_IDX), 2, QUEUE_SIZE));
    listen_to_log(LOG_WARN);
    unsigned before = logged_lines;
    echo_some(rig, &t);
    go_on_in_another(rig);
    for (unsigned i = 0; i < 2 * QUEUE_SIZE; i++) {
        send_chain(rig, i % 2, "!", 1, 1);
        take_all(rig, &t);
    }
    cr_expect_eq(logged_lines, before, "%s: %s", rig_config_name(&rig->cfg), logged_line);
    vdrv_reset(&rig->drv);
    vdrv_notify_value(&rig->drv.q[0], 0);
    cr_expect_gt(logged_lines, before);
}

/* ---- what cannot be loaded ---- */

OnRig(virtio_state, another_device_refuses,
      rig_open_echo_on(rig, &(struct rig_config){.transport = RIG_PCI}))
{
    struct state s;
    struct rig other;
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(3), 1, QUEUE_SIZE));
    save(rig, &s);
    listen_to_log(LOG_ERROR);
    rig_open_echo_on(&other, &(struct rig_config){.transport = RIG_PCI, .features_off = 1 << 3});
    cr_expect_eq(load(&other, s.bytes, s.len), -EINVAL);
    cr_expect(strstr(logged_line, "features that this device does not offer"), "%s", logged_line);
    rig_close(&other);
    rig_open_rng_on(&other, &(struct rig_config){.transport = RIG_PCI});
    cr_expect_eq(load(&other, s.bytes, s.len), -EINVAL);
    cr_expect(strstr(logged_line, "another PCI function"), "%s", logged_line);
    rig_close(&other);
    rig_open_echo_on(&other, &(struct rig_config){.transport = RIG_MMIO});
    cr_expect_eq(load(&other, s.bytes, s.len), -EINVAL);
    cr_expect(strstr(logged_line, "missing"), "%s", logged_line);
    rig_close(&other);
    state_fini(&s);
}

static void on_event(struct virtio_observer *o, const struct virtio_event *e)
{
    (void)o, (void)e;
}

static void on_destroy(struct virtio_observer *o)
{
    (void)o;
}

Test(virtio_state, a_recorded_device_is_not_saved)
{
    struct state s;
    struct rig rig;
    struct echo echo;
    struct virtio_observer order = {
        .event = on_event, .destroy = on_destroy, .sees = VIRTIO_SEES_ORDER};
    rig_open_host(&rig, &rig_variants[0]);
    echo_init(&echo, &(struct echo_config){.setup = rig_setup(&rig, "echo")});
    virtio_observer_add(&echo.dev, &order);
    rig_plug(&rig, &echo.dev);
    listen_to_log(LOG_ERROR);
    state_save(&s);
    rig_state(&rig, &s);
    cr_expect_eq(state_error(&s), -EINVAL);
    cr_expect(strstr(logged_line, "it is recorded"), "%s", logged_line);
    state_fini(&s);
    rig_unplug(&rig);
    echo_fini(&echo);
    rig_close(&rig);
}

/* Whatever is loaded, or refused, is used a little, and reset. */
static void load_and_use(struct rig *rig, const uint8_t *bytes, size_t len)
{
    if (load(rig, bytes, len) == 0) {
        for (unsigned q = 0; q < rig->dev->cfg.queue_count; q++)
            vdrv_notify_value(&rig->drv.q[q % QUEUES], q);
        rig_step(rig);
        (void)vdrv_take_isr(&rig->drv);
        (void)vdrv_queue_ready(&rig->drv, 0);
    }
    rig_step(rig);
    rig_renew(rig);
}

/* Each byte of a stream is changed, and it ends at each of them. */
static void spoil(const struct rig_config *config, const struct workload *w, unsigned bits)
{
    static struct trace t;
    struct rig rig;
    struct state s;
    t.len = 0;
    open_started(&rig, config, w);
    w->first(&rig, &t);
    save(&rig, &s);
    rig_renew(&rig);
    for (size_t at = 0; at < s.len; at++) {
        uint8_t was = s.bytes[at];
        for (unsigned bit = 0; bit < 8; bit += 8 / bits) {
            s.bytes[at] = (uint8_t)(was ^ 1u << bit);
            load_and_use(&rig, s.bytes, s.len);
        }
        s.bytes[at] = was;
        cr_expect_neq(load(&rig, s.bytes, at), 0, "%s, cut at %zu", w->name, at);
        rig_renew(&rig);
    }
    cr_expect_eq(load(&rig, s.bytes, s.len), 0, "%s on %s", w->name, rig_config_name(config));
    state_fini(&s);
    rig_close(&rig);
}

Test(virtio_state, a_stream_that_was_tampered_with_does_no_harm)
{
    listen_to_log(LOG_DEBUG);
    for (unsigned i = 0; i < ARRAY_SIZE(workloads); i++)
        spoil(&rig_variants[i % RIG_VARIANTS], &workloads[i],
              workloads[i].open == rig_open_scsi_on ? 8 : 2);
    for (unsigned v = 0; v < RIG_LEGACY_VARIANTS; v++)
        spoil(&rig_legacy_variants[v], &workloads[0], 8);
}
