// SPDX-License-Identifier: BSD-2-Clause
/* What a queue's meter says about what a driver did, step by step. */
#include "virtio/observe/stats.h"

#include "tests/harness/blkreq.h"
#include "tests/harness/netio.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/scsireq.h"
#include "tests/harness/test.h"
#include "virtio/base/observer.h"
#include "virtio/console/console.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/spec.h"

#define US UINT64_C(1000)

static void open_measured(struct rig *rig, const struct rig_config *config)
{
    rig_open_echo_on(rig, config);
    cr_assert_eq(virtio_device_measure(rig->dev, &rig->clock), 0);
    rig_start(rig, 0, 1, 64);
}

static struct virtio_stats read_stats(struct rig *rig, unsigned queue)
{
    struct virtio_stats s;
    cr_assert(virtio_device_stats(rig->dev, queue, &s));
    return s;
}

/* rd bytes for the device to copy to where there is room for wr. */
static void add(struct rig *rig, uint32_t rd, uint32_t wr)
{
    struct vdrv_buf bufs[] = {
        {vdrv_alloc(&rig->drv, rd, 16), rd, false},
        {vdrv_alloc(&rig->drv, wr, 16), wr, true},
    };
    cr_assert_geq(vdrv_add(&rig->drv.q[0], bufs, 2), 0);
}

static void take_all(struct rig *rig)
{
    uint32_t head, len;
    while (vdrv_used(&rig->drv.q[0], &head, &len))
        ;
}

/* ---- through a device ---- */

OnEachRig(virtio_stats, requests_bytes_and_batches, open_measured(rig, on))
{
    const char *name = rig_config_name(&rig->cfg);
    static const unsigned batches[] = {1, 5, 3, 1};
    for (unsigned b = 0; b < ARRAY_SIZE(batches); b++) {
        for (unsigned i = 0; i < batches[b]; i++)
            add(rig, 30, 20);
        rig_kick(rig, 0);
        take_all(rig);
    }
    struct virtio_stats s = read_stats(rig, 0);
    cr_expect_eq(s.requests, 10, "%s", name);
    cr_expect_eq(s.in_flight, 0, "%s", name);
    cr_expect_eq(s.rd_bytes, 200, "%s: it reads no more than it has room for", name);
    cr_expect_eq(s.wr_bytes, 200, "%s", name);
    cr_expect_eq(s.batches, 4, "%s", name);
    cr_expect_eq(s.batch_sizes[0], 2, "%s", name);
    cr_expect_eq(s.batch_sizes[1], 1, "%s: 2 to 3", name);
    cr_expect_eq(s.batch_sizes[2], 1, "%s: 4 to 7", name);
    cr_expect_eq(virtio_stats_completed(&s), 10, "%s", name);
}

OnEcho(virtio_stats, more_than_a_turn_takes_is_several_batches)
{
    cr_assert_eq(virtio_device_measure(rig->dev, &rig->clock), 0);
    rig_start(rig, 0, 1, 256);
    for (unsigned i = 0; i < VIRTIO_TURN_CHAINS + 1; i++)
        add(rig, 1, 1);
    rig_kick(rig, 0);
    struct virtio_stats s = read_stats(rig, 0);
    cr_expect_eq(s.requests, VIRTIO_TURN_CHAINS + 1);
    cr_expect_eq(s.batch_sizes[VIRTIO_STATS_BATCHES - 1], 1);
    cr_expect_eq(s.batch_sizes[0], 1);
    cr_expect_eq(s.kicks, 1);
}

OnRig(virtio_stats, a_kick_for_nothing_is_spurious,
      open_measured(rig, &(struct rig_config){.transport = RIG_MMIO}))
{
    struct virtio_stats before = read_stats(rig, 0);
    vdrv_notify(&rig->drv.q[0]);
    rig_step(rig);
    add(rig, 1, 1);
    rig_kick(rig, 0);
    struct virtio_stats s = read_stats(rig, 0);
    cr_expect_eq(s.kicks - before.kicks, 2);
    cr_expect_eq(s.spurious - before.spurious, 1);
}

OnRig(virtio_stats, kicks_through_registers_are_told_apart,
      open_measured(rig, &(struct rig_config){.transport = RIG_MMIO}))
{
    struct virtio_stats before = read_stats(rig, 0);
    virtio_device_kick(rig->dev, 0);
    virtio_device_kick(rig->dev, 0);
    virtio_device_kick(rig->dev, 99);
    rig_step(rig);
    struct virtio_stats s = read_stats(rig, 0);
    cr_expect_eq(s.register_kicks - before.register_kicks, 2);
    cr_expect_eq(s.kicks - before.kicks, 1, "what comes together wakes once");
}

OnRig(virtio_stats, interrupts_are_sent_or_suppressed,
      open_measured(rig, &(struct rig_config){.transport = RIG_MMIO}))
{
    vdrv_irq_on(&rig->drv.q[0]);
    add(rig, 1, 1);
    rig_kick(rig, 0);
    take_all(rig);
    struct virtio_stats s = read_stats(rig, 0);
    cr_expect_eq(s.interrupts, 1);
    cr_expect_eq(s.suppressed, 0);
    vdrv_irq_off(&rig->drv.q[0]);
    for (unsigned i = 0; i < 3; i++) {
        add(rig, 1, 1);
        rig_kick(rig, 0);
        take_all(rig);
    }
    s = read_stats(rig, 0);
    cr_expect_eq(s.interrupts, 1);
    cr_expect_eq(s.suppressed, 3);
}

static int release(void *arg)
{
    echo_release(arg);
    return 0;
}

OnRig(virtio_stats, a_request_s_latency_is_from_its_batch_to_the_flush,
      open_measured(rig, &(struct rig_config){.transport = RIG_MMIO}))
{
    rig->echo.hold = true;
    add(rig, 1, 1);
    rig_kick(rig, 0);
    struct virtio_stats s = read_stats(rig, 0);
    cr_expect_eq(s.in_flight, 1);
    cr_expect_eq(virtio_stats_completed(&s), 0);
    cr_expect_eq(virtio_stats_latency_ns(&s, 50), 0);

    rig->time.now_ns += 100 * US;
    evloop_call(rig->loop, release, &rig->echo);
    rig_step(rig);
    s = read_stats(rig, 0);
    cr_expect_eq(s.in_flight, 0);
    cr_expect_eq(s.latency_max_ns, 100 * US);
    cr_expect_eq(s.latencies[17], 1, "65536 to 131071 ns");
}

OnRig(virtio_stats, a_reset_forgets_what_is_in_flight_and_keeps_the_rest,
      open_measured(rig, &(struct rig_config){.transport = RIG_MMIO}))
{
    rig->echo.hold = true;
    add(rig, 1, 1);
    rig_kick(rig, 0);
    vdrv_reset(&rig->drv);
    struct virtio_stats s = read_stats(rig, 0);
    cr_expect_eq(s.requests, 1);
    cr_expect_eq(s.in_flight, 0);
    cr_expect_eq(s.resets, 1);
    cr_expect_eq(read_stats(rig, 1).resets, 0, "it did not run");
}

OnEcho(virtio_stats, an_unmeasured_device_has_none)
{
    struct virtio_stats s;
    cr_assert(vdrv_start(&rig->drv, 0, 1, 64));
    cr_expect_not(virtio_device_stats(rig->dev, 0, &s));
    add(rig, 1, 1);
    rig_kick(rig, 0);
    cr_expect_eq(rig->echo.served, 1);
    cr_assert_eq(virtio_device_measure(rig->dev, &rig->clock), 0);
    cr_expect_not(virtio_device_stats(rig->dev, 2, &s), "there are two queues");
}

/* ---- bytes, of each device: what was read and written, and not what was there to be ---- */

static void expect_bytes(struct rig *rig, unsigned queue, uint64_t rd, uint64_t wr)
{
    struct virtio_stats s = read_stats(rig, queue);
    cr_expect_eq(s.rd_bytes, rd, "%s", rig->dev->setup.name);
    cr_expect_eq(s.wr_bytes, wr, "%s", rig->dev->setup.name);
}

OnDisk(virtio_stats, bytes_of_a_disk, .write_through = true)
{
    struct blkreq write = {.type = VIRTIO_BLK_T_OUT, .bytes = 8192, .cut = 1000};
    struct blkreq read = {.type = VIRTIO_BLK_T_IN, .bytes = 4096, .data_write = true};
    struct blkreq failed = {.type = VIRTIO_BLK_T_OUT, .bytes = 512};
    cr_assert_eq(virtio_device_measure(rig->dev, &rig->clock), 0);
    cr_assert(vdrv_start(&rig->drv, 0, 1, 256));
    blkreq_do(rig, &write, NULL);
    expect_bytes(rig, 0, 16 + 8192, 1);
    blkreq_do(rig, &read, NULL);
    expect_bytes(rig, 0, 2 * 16 + 8192, 4096 + 2);
    rig->disk.fail = -EIO;
    cr_expect_eq(blkreq_do(rig, &failed, NULL), VIRTIO_BLK_S_IOERR);
    read.data_gpa = 0;
    cr_expect_eq(blkreq_do(rig, &read, NULL), VIRTIO_BLK_S_IOERR);
    expect_bytes(rig, 0, 4 * 16 + 8192, 4096 + 4);
}

Test(virtio_stats, bytes_of_a_scsi_disk)
{
    struct scsi_rig s;
    struct scsireq write = {.cdb = {SCSI_WRITE_10, [8] = 8}, .out = 4096};
    struct scsireq read = {.cdb = {SCSI_READ_10, [8] = 2}, .in = 1024};
    scsi_rig_open(&s, &(struct rig_config){0});
    cr_assert_eq(virtio_device_measure(s.rig.dev, &s.rig.clock), 0);
    cr_assert(vdrv_start(&s.rig.drv, 0, s.rig.dev->cfg.queue_count, 256));
    rig_step(&s.rig);
    scsireq_do(&s, &write);
    expect_bytes(&s.rig, VIRTIO_SCSI_REQUESTQ, 51 + 4096, 108);
    scsireq_do(&s, &read);
    expect_bytes(&s.rig, VIRTIO_SCSI_REQUESTQ, 2 * 51 + 4096, 2 * 108 + 1024);
    scsi_rig_close(&s);
}

OnNet(virtio_stats, bytes_of_a_network_card, .transport = RIG_MMIO)
{
    struct netio_packet packet = {.frame_bytes = 100};
    cr_assert_eq(virtio_device_measure(rig->dev, &rig->clock), 0);
    cr_assert(netio_start(rig, 0, 1, 64));
    netio_send(rig, 0, &packet, false);
    netio_send(rig, 0, &packet, true);
    expect_bytes(rig, 1, 2 * (12 + 100), 0);
    fake_net_link(&rig->ether, false);
    netio_send(rig, 0, &packet, false);
    expect_bytes(rig, 1, 2 * (12 + 100), 0); /* it did not leave */
    fake_net_link(&rig->ether, true);
    netio_post(rig, 0, 2048);
    netio_arrive(rig, 0, &packet);
    expect_bytes(rig, 0, 0, 12 + 100);
}

static void send(struct rig *rig, unsigned queue, uint32_t len, bool write)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, len, 1);
    cr_assert_geq(vdrv_send(&rig->drv.q[queue], &(struct vdrv_buf){gpa, len, write}, 1), 0);
    rig_step(rig);
}

Test(virtio_stats, bytes_of_a_console_and_of_randomness)
{
    struct rig rig;
    rig_open_console(&rig);
    cr_assert_eq(virtio_device_measure(rig.dev, &rig.clock), 0);
    cr_assert(vdrv_start(&rig.drv, 0, 2, 16));
    send(&rig, VIRTIO_CONSOLE_TX, 3000, false);
    expect_bytes(&rig, VIRTIO_CONSOLE_TX, 3000, 0);
    send(&rig, VIRTIO_CONSOLE_RX, 64, true);
    cr_assert_eq(fake_chr_type(&rig.chr, "typed", 5), 5);
    rig_step(&rig);
    expect_bytes(&rig, VIRTIO_CONSOLE_RX, 0, 5);
    rig_close(&rig);

    rig_open_rng(&rig);
    cr_assert_eq(virtio_device_measure(rig.dev, &rig.clock), 0);
    cr_assert(vdrv_start(&rig.drv, 0, 1, 16));
    send(&rig, 0, 1000, true);
    expect_bytes(&rig, 0, 0, 1000);
    rig_close(&rig);
}

/* ---- the meter alone ---- */

static void open_meter(struct rig *rig)
{
    rig_open_echo(rig);
    cr_assert_eq(virtio_device_measure(rig->dev, &rig->clock), 0);
}

static void tell(struct rig *rig, enum virtio_event_kind kind, struct vq_chain *chain,
                 uint64_t value)
{
    virtio_observe(rig->dev, kind, &rig->dev->queues[0], chain, value);
}

/* Each chain at a time of its own, more than the meter keeps apart, and one flush for all. */
OnRig(virtio_stats, many_times_at_one_flush_are_all_counted, open_meter(rig))
{
    struct vq_chain chains[40] = {0};
    for (unsigned i = 0; i < ARRAY_SIZE(chains); i++) {
        chains[i].slot = i;
        tell(rig, VIRTIO_ON_TAKE, &chains[i], 0);
        rig->time.now_ns += US;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(chains); i++)
        tell(rig, VIRTIO_ON_GIVE, &chains[i], 0);
    tell(rig, VIRTIO_ON_FLUSH, NULL, false);
    struct virtio_stats s = read_stats(rig, 0);
    cr_expect_eq(virtio_stats_completed(&s), ARRAY_SIZE(chains));
    cr_expect_eq(s.latency_max_ns, ARRAY_SIZE(chains) * US);
    cr_expect_eq(s.batches, ARRAY_SIZE(chains), "each outside of a turn");
    cr_expect_eq(s.in_flight, 0);
}

Test(virtio_stats, percentiles_lie_in_the_bucket_that_holds_them)
{
    struct virtio_stats s = {.latency_max_ns = 900000};
    cr_expect_eq(virtio_stats_latency_ns(&s, 99), 0, "nothing came back");
    s.latencies[10] = 98; /* 512 to 1023 ns */
    s.latencies[20] = 2;  /* 524288 to 1048575 */
    cr_expect_geq(virtio_stats_latency_ns(&s, 50), 512);
    cr_expect_lt(virtio_stats_latency_ns(&s, 50), 1024);
    cr_expect_lt(virtio_stats_latency_ns(&s, 1), virtio_stats_latency_ns(&s, 90));
    cr_expect_geq(virtio_stats_latency_ns(&s, 99), 524288);
    cr_expect_eq(virtio_stats_latency_ns(&s, 100), 900000, "never more than the longest");
}

OnRig(virtio_stats, latencies_of_any_length_have_a_bucket, open_meter(rig))
{
    struct vq_chain chain = {0};
    static const uint64_t lengths[] = {0, 1, UINT64_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        rig->time.now_ns = 0;
        tell(rig, VIRTIO_ON_TAKE, &chain, 0);
        rig->time.now_ns = lengths[i];
        tell(rig, VIRTIO_ON_GIVE, &chain, 0);
        tell(rig, VIRTIO_ON_FLUSH, NULL, true);
    }
    struct virtio_stats s = read_stats(rig, 0);
    cr_expect_eq(s.latencies[0], 1);
    cr_expect_eq(s.latencies[1], 1);
    cr_expect_eq(s.latencies[VIRTIO_STATS_LATENCIES - 1], 1);
    cr_expect_eq(s.interrupts, 3);
}
