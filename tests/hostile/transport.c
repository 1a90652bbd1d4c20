// SPDX-License-Identifier: BSD-2-Clause
/* Registers used in every wrong way: H22 to H33; a transport's own are tested over virtio-mmio. */
#include "hostile.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/loop/evloop.h"

#define ACKNOWLEDGE VIRTIO_STATUS_ACKNOWLEDGE
#define DRIVER      VIRTIO_STATUS_DRIVER
#define FEATURES_OK VIRTIO_STATUS_FEATURES_OK
#define DRIVER_OK   VIRTIO_STATUS_DRIVER_OK
#define FAILED      VIRTIO_STATUS_FAILED
#define RING_RESET  VIRTIO_BIT(VIRTIO_F_RING_RESET)
#define RUNNING     (ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)

static uint32_t status(struct rig *rig)
{
    return vdrv_status(&rig->drv);
}

static void set(struct rig *rig, uint64_t reg, uint32_t value)
{
    vdrv_set(&rig->drv, reg, value);
}

/* A disk up to FEATURES_OK, with rings in memory that no register knows of. */
static struct vdrv_queue *open_negotiated(struct rig *rig, const struct rig_config *on)
{
    rig_open_blk_on(rig, on);
    cr_assert(vdrv_negotiate(&rig->drv, HOSTILE_FEATURES));
    vdrv_queue_alloc(&rig->drv, 0, HOSTILE_SIZE);
    return &rig->drv.q[0];
}

static bool is_odd_size(uint32_t size)
{
    return size == 3 || size == 255;
}

OnEach(hostile_transport, h22_queue_sizes)
{
    static const uint32_t bad[] = {0, 3, 255, 257, 512, 32768, 0x10000, 0x10010, UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        if ((bad[i] > 0xffff && on->transport != RIG_MMIO) || (is_odd_size(bad[i]) && on->packed))
            continue; /* the register has 16 bits; a packed ring has any size */
        struct rig rig;
        struct vdrv_queue *q = open_negotiated(&rig, on);
        q->size = bad[i];
        vdrv_queue_write(&rig.drv, 0);
        vdrv_driver_ok(&rig.drv);
        cr_expect_eq(status(&rig), RUNNING | VIRTIO_STATUS_DEVICE_NEEDS_RESET, "%u", bad[i]);
        hostile_close(&rig);
    }
}

/* CVE-2026-5747: the geometry of a running queue. */
OnRunning(hostile_transport, h23_geometry_changed_while_running)
{
    struct vdrv_queue real = rig->drv.q[0];
    for (unsigned i = 0; i < 2; i++) {
        rig->drv.q[0].size = 256;
        rig->drv.q[0].desc_gpa = RIG_RAM_END_GPA - 16;
        rig->drv.q[0].avail_gpa = rig->drv.q[0].used_gpa = UINT64_MAX - 1;
        vdrv_queue_write(&rig->drv, 0);
        rig->drv.q[0] = real;
        cr_expect_eq(hostile_reads(rig), VIRTIO_BLK_S_OK, "nothing has changed");
        real = rig->drv.q[0];
    }
}

OnEachDisk(hostile_transport, h23_geometry_changed_after_ready, open_negotiated(rig, on))
{
    struct vdrv_queue *q = &rig->drv.q[0];
    vdrv_queue_write(&rig->drv, 0);
    struct vdrv_queue real = *q;
    q->size = 256;
    q->desc_gpa = UINT64_MAX - 15;
    vdrv_queue_write(&rig->drv, 0);
    *q = real;
    vdrv_driver_ok(&rig->drv);
    cr_expect_eq(status(rig), RUNNING);
    cr_expect_eq(hostile_reads(rig), VIRTIO_BLK_S_OK);
}

Test(hostile_transport, h24_selectors_out_of_range)
{
    static const uint32_t bad[] = {1, 2, 63, 64, 0xffff, 0x10000, 0x80000000, UINT32_MAX};
    struct rig rig;
    open_negotiated(&rig, &rig_variants[0]);
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        set(&rig, VIRTIO_MMIO_QueueSel, bad[i]);
        cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_QueueSizeMax), 0);
        set(&rig, VIRTIO_MMIO_QueueSize, 16);
        set(&rig, VIRTIO_MMIO_QueueDescLow, 0x10000);
        set(&rig, VIRTIO_MMIO_QueueReady, 1);
        cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_QueueReady), 0);
        set(&rig, VIRTIO_MMIO_QueueReady, 0);
        set(&rig, VIRTIO_MMIO_QueueReset, 1);
        set(&rig, VIRTIO_MMIO_QueueNotify, bad[i]);
        set(&rig, VIRTIO_MMIO_SHMSel, bad[i]);
        cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_SHMLenLow), UINT32_MAX);
    }
    rig_step(&rig);
    hostile_close(&rig);
}

/* Notifications of queues that there are not, by every value. */
OnRunning(hostile_transport, h24_notifications_out_of_range)
{
    for (uint32_t value = 0; value <= 0x10000; value++)
        vdrv_notify_value(&rig->drv.q[0], value != 0x10000 ? value : UINT32_MAX);
    rig_step(rig);
    cr_expect_eq(rig->disk.submitted, 0);
    cr_expect_eq(rig_queue_irqs(rig, 0), 0);
    cr_expect(!rig_is_broken(rig));
}

OnEachDisk(hostile_transport, h25_notify_at_any_time, open_negotiated(rig, on))
{
    struct vdrv_queue *q = &rig->drv.q[0];
    vdrv_notify(&rig->drv.q[0]);
    rig_step(rig);
    vdrv_queue_write(&rig->drv, 0);
    hostile_read(rig);
    cr_expect(!vdrv_has_used(q), "not before DRIVER_OK");
    cr_expect_eq(rig_queue_irqs(rig, 0), 0);
    vdrv_reset(&rig->drv);
    for (unsigned i = 0; i < 1000; i++)
        vdrv_notify_value(q, i % 3);
    rig_step(rig);
    cr_expect(!vdrv_has_used(q), "not after a reset");
    cr_expect_eq(rig_queue_irqs(rig, 0), 0);
}

OnRunningMmio(hostile_transport, h25_notify_of_a_disabled_queue)
{
    set(rig, VIRTIO_MMIO_QueueSel, 0);
    set(rig, VIRTIO_MMIO_QueueReady, 0);
    hostile_read(rig);
    cr_expect_eq(rig->disk.submitted, 0);
    cr_expect_eq(vdrv_used_idx(&rig->drv.q[0]), 0);
}

OnEachDisk(hostile_transport, h26_ready_without_addresses, rig_open_blk_on(rig, on))
{
    cr_assert(vdrv_negotiate(&rig->drv, HOSTILE_FEATURES));
    vdrv_queue_alloc(&rig->drv, 0, HOSTILE_SIZE);
    rig->drv.q[0].desc_gpa = rig->drv.q[0].avail_gpa = rig->drv.q[0].used_gpa = 0;
    vdrv_queue_write(&rig->drv, 0);
    vdrv_driver_ok(&rig->drv);
    vdrv_notify(&rig->drv.q[0]);
    rig_step(rig); /* address 0 is memory: a queue of zeros, one part on the other */
}

OnEach(hostile_transport, h26_misaligned_rings)
{
    for (unsigned i = 0; i < 3; i++) {
        struct rig rig;
        struct vdrv_queue *q = open_negotiated(&rig, on);
        uint64_t *parts[] = {&q->desc_gpa, &q->avail_gpa, &q->used_gpa};
        *parts[i] += 1;
        vdrv_queue_write(&rig.drv, 0);
        vdrv_driver_ok(&rig.drv);
        hostile_expect_broken(&rig, "misaligned");
        hostile_close(&rig);
    }
}

OnEachDisk(hostile_transport, h27_status_skips_steps, rig_open_blk_on(rig, on))
{
    static const struct {
        uint32_t write, read;
    } steps[] = {
        {DRIVER, 0},
        {FEATURES_OK, 0},
        {DRIVER_OK, 0},
        {ACKNOWLEDGE | DRIVER_OK, ACKNOWLEDGE},
        {ACKNOWLEDGE | FEATURES_OK, ACKNOWLEDGE},
        {DRIVER, ACKNOWLEDGE | DRIVER},
        {ACKNOWLEDGE | DRIVER | DRIVER_OK, ACKNOWLEDGE | DRIVER},
        {RUNNING, ACKNOWLEDGE | DRIVER}, /* without VERSION_1 */
        {0xffffff00, ACKNOWLEDGE | DRIVER},
        {0xff, ACKNOWLEDGE | DRIVER | FAILED},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        if (steps[i].write > 0xff && rig->cfg.transport != RIG_MMIO)
            continue; /* the register has 8 bits */
        vdrv_set_status(&rig->drv, steps[i].write);
        cr_expect_eq(status(rig), steps[i].read, "step %u", i);
    }
}

OnRunning(hostile_transport, h27_status_bits_are_not_cleared_singly)
{
    for (uint32_t bit = 1; bit <= 128; bit <<= 1) {
        vdrv_set_status(&rig->drv, bit);
        cr_expect_eq(status(rig) & ~(uint32_t)FAILED, RUNNING);
    }
    cr_expect_eq(hostile_reads(rig), VIRTIO_BLK_S_OK);
}

OnRunning(hostile_transport, h27_driver_ok_twice)
{
    unsigned bells = rig->bell.count;
    struct blkreq req = {.bytes = 512, .data_write = true};
    for (unsigned i = 0; i < 3; i++) {
        vdrv_set_status(&rig->drv, RUNNING);
        cr_expect_eq(blkreq_do(rig, &req, NULL), VIRTIO_BLK_S_OK);
        req = (struct blkreq){.bytes = 512, .data_write = true};
    }
    cr_expect_eq(rig->bell.count, bells);
}

OnEachDisk(hostile_transport, h28_features_that_were_not_offered, rig_open_blk_on(rig, on))
{
    uint64_t offered = vdrv_offered(&rig->drv);
    for (unsigned bit = 0; bit < 64; bit++) {
        bool known = (offered >> bit & 1) != 0;
        cr_expect_eq(vdrv_negotiate(&rig->drv, VIRTIO_BIT(bit)), known, "bit %u", bit);
    }
}

OnEachDisk(hostile_transport, h28_features_beyond_64, rig_open_blk_on(rig, on))
{
    static const uint32_t words[] = {2, 3, 4, 0x80000000, UINT32_MAX};
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        cr_assert(vdrv_negotiate(&rig->drv, 0));
        vdrv_reset(&rig->drv);
        vdrv_set_status(&rig->drv, ACKNOWLEDGE | DRIVER);
        vdrv_accept(&rig->drv, 1, 1); /* VERSION_1 */
        vdrv_accept(&rig->drv, words[i], 1);
        vdrv_set_status(&rig->drv, ACKNOWLEDGE | DRIVER | FEATURES_OK);
        cr_expect_eq(status(rig), ACKNOWLEDGE | DRIVER, "word %u", words[i]);
    }
}

OnEachDisk(hostile_transport, h28_features_changed_after_features_ok, open_negotiated(rig, on))
{
    for (uint32_t word = 0; word < 4; word++)
        vdrv_accept(&rig->drv, word, UINT32_MAX);
    vdrv_queue_write(&rig->drv, 0);
    vdrv_driver_ok(&rig->drv);
    cr_expect_eq(status(rig), RUNNING);
    cr_expect_eq(rig->dev->features[0],
                 HOSTILE_FEATURES | VIRTIO_BIT(VIRTIO_F_VERSION_1) | rig->drv.always);
}

OnEachDisk(hostile_transport, h28_no_version_1, rig_open_blk_on(rig, on))
{
    vdrv_set_status(&rig->drv, ACKNOWLEDGE | DRIVER);
    vdrv_accept(&rig->drv, 0, 0);
    vdrv_set_status(&rig->drv, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    cr_expect_eq(status(rig), ACKNOWLEDGE | DRIVER);
}

OnRunningMmio(hostile_transport, h29_widths_and_alignment)
{
    uint64_t value;
    for (uint64_t reg = 0; reg < VIRTIO_MMIO_Config; reg++)
        for (unsigned width = 1; width <= 8; width *= 2) {
            if (width == 4 && reg % 4 == 0)
                continue;
            value = 0;
            bus_read(rig->bus, RIG_WINDOW_GPA + reg, width, &value);
            cr_expect_eq(value & width_mask(width), width_mask(width));
            bus_write(rig->bus, RIG_WINDOW_GPA + reg, width, 0);
        }
    cr_expect_eq(status(rig), RUNNING, "none of it was a reset");
}

OnRunningMmio(hostile_transport, h29_across_the_windows_end)
{
    uint64_t value;
    for (uint64_t at = 0x1f9; at < 0x200; at++) {
        cr_expect(!bus_read(rig->bus, RIG_WINDOW_GPA + at, 8, &value));
        cr_expect(!bus_write(rig->bus, RIG_WINDOW_GPA + at, 8, 0));
    }
    bus_write(rig->bus, RIG_WINDOW_GPA - 1, 4, 0);
    bus_write(rig->bus, RIG_WINDOW_GPA - 4, 8, 0);
    cr_expect_eq(status(rig), RUNNING);
}

OnRunningMmio(hostile_transport, h29_strings_of_odd_length)
{
    uint8_t bytes[0x300];
    for (unsigned len = 0; len <= sizeof(bytes); len += 31) {
        bus_access(rig->bus, RIG_WINDOW_GPA + len % 7, bytes, len, false);
        memset(bytes, 0, sizeof(bytes));
        bus_access(rig->bus, RIG_WINDOW_GPA + len % 7 + 1, bytes, len, true);
    }
}

OnRunningMmio(hostile_transport, h30_configuration_past_its_end)
{
    uint64_t value;
    for (uint64_t at = VIRTIO_BLK_CONFIG_BYTES; at < 0x100; at++) {
        bus_write(rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Config + at, 1, 0xff);
        bus_read(rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Config + at, 1, &value);
        cr_expect_eq(value, 0);
    }
}

OnRunning(hostile_transport, h30_configuration_is_not_the_guests_to_write)
{
    static const uint8_t ones[VIRTIO_BLK_CONFIG_BYTES] = {[0 ... VIRTIO_BLK_CONFIG_BYTES - 1] =
                                                              0xff};
    uint8_t before[VIRTIO_BLK_CONFIG_BYTES], after[VIRTIO_BLK_CONFIG_BYTES];
    vdrv_config_read(&rig->drv, 0, before, sizeof(before));
    vdrv_config_write(&rig->drv, 0, ones, sizeof(ones));
    vdrv_config_read(&rig->drv, 0, after, sizeof(after));
    cr_expect_arr_eq(before, after, sizeof(before));
    cr_expect_eq(le64_get(after), RIG_DISK_BYTES / 512);
}

/* Eight bytes at the last one, and at each place around it. */
OnEach(hostile_transport, h30_accesses_across_the_configurations_end)
{
    struct rig rig;
    uint64_t value;
    hostile_open(&rig, on, NULL);
    const uint64_t end = vdrv_config_gpa(&rig.drv) + VIRTIO_BLK_CONFIG_BYTES;
    for (uint64_t gpa = end - 9; gpa < end + 9; gpa++)
        for (unsigned width = 1; width <= 8; width *= 2) {
            bus_write(rig.bus, gpa, width, UINT64_MAX);
            value = 0;
            bus_read(rig.bus, gpa, width, &value);
            cr_expect(gpa < end || value == 0 || value == width_mask(width), "%s: %#lx at %d",
                      rig_config_name(on), value, (int)(gpa - end));
        }
    cr_expect_eq(status(&rig), RUNNING);
    hostile_close(&rig);
}

OnEachRig(hostile_transport, h30_generation_during_a_read, rig_open_console_on(rig, on),
          rig_close(rig))
{
    uint32_t before = vdrv_generation(&rig->drv);
    rig->chr.backend.handler->on_resize(rig->chr.backend.handler->ctx, 1, 2);
    cr_expect_neq(vdrv_generation(&rig->drv), before);
}

OnRunningMmio(hostile_transport, h31_acknowledging_what_is_not_there)
{
    struct blkreq req = {.bytes = 512, .data_write = true};
    blkreq_do(rig, &req, NULL);
    set(rig, VIRTIO_MMIO_InterruptACK, ~(uint32_t)VIRTIO_ISR_QUEUE);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), VIRTIO_ISR_QUEUE);
    for (unsigned i = 0; i < 10000; i++)
        set(rig, VIRTIO_MMIO_InterruptACK, i);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), 0);
}

OnRunning(hostile_transport, h31_interrupt_status_read_all_the_time)
{
    struct blkreq req = {.bytes = 512, .data_write = true};
    blkreq_do(rig, &req, NULL);
    (void)vdrv_take_isr(&rig->drv);
    for (unsigned i = 0; i < 10000; i++)
        cr_assert_eq(vdrv_take_isr(&rig->drv), 0, "taken once");
}

OnEachDisk(hostile_transport, h32_rapid_resets_with_requests_in_flight, rig_open_blk_on(rig, on))
{
    for (unsigned i = 0; i < 10000; i++) {
        cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
        rig->disk.hold = i % 2;
        struct blkreq req = {.bytes = 512, .data_write = true};
        blkreq_send(rig, &req);
        if (i % 3 == 0)
            virtio_queue_serve(rig->dev, 0);
    }
}

/* One vCPU kicks, in a storm, while another resets and starts the device. */
static void *storm(void *arg)
{
    struct vdrv *d = arg;
    for (unsigned i = 0; i < 50000; i++)
        vdrv_notify_value(&d->q[0], i & 1);
    return NULL;
}

OnEachDisk(hostile_transport, h32_reset_while_another_vcpu_notifies, rig_open_blk_on(rig, on))
{
    pthread_t thread;
    cr_assert_eq(evloop_start_thread(rig->loop), 0);
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
    struct vdrv other = rig->drv; /* which knows where to kick */
    other.q[0].drv = &other;
    cr_assert_eq(pthread_create(&thread, NULL, storm, &other), 0);
    for (unsigned i = 0; i < 200; i++) {
        cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
        struct blkreq req = {.bytes = 512, .data_write = true};
        blkreq_send(rig, &req);
    }
    pthread_join(thread, NULL);
    evloop_stop_thread(rig->loop);
}

/* One queue is reset with requests in flight, time and again; what they wrote comes too late. */
OnEachDisk(hostile_transport, h32_queue_reset_with_requests_in_flight,
           on->features_on |= RING_RESET, rig_open_blk_on(rig, on))
{
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES | RING_RESET, 1, HOSTILE_SIZE));
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t heap_gpa = rig->drv.heap_gpa;
        rig->disk.hold = i % 2;
        struct blkreq req = {.bytes = 512, .data_write = true};
        blkreq_send(rig, &req);
        if (i % 3 == 0)
            rig_step(rig);
        cr_assert(vdrv_queue_reset(&rig->drv, 0), "%s", rig_config_name(&rig->cfg));
        cr_assert_eq(rig->disk.out, 0);
        cr_assert(!vdrv_queue_ready(&rig->drv, 0));
        vdrv_notify(&rig->drv.q[0]);
        rig->drv.heap_gpa = heap_gpa;
        vdrv_queue_alloc(&rig->drv, 0, HOSTILE_SIZE >> i % 2);
        rig_step(rig);
        cr_assert(!vdrv_has_used(&rig->drv.q[0]), "nothing comes after a reset");
        vdrv_queue_write(&rig->drv, 0);
    }
    cr_expect(!rig_is_broken(rig));
}

/* Small first, then as large as may be: what the device keeps for each request grows with it. */
OnEachDisk(hostile_transport, h32_queue_reset_to_a_larger_queue, on->features_on |= RING_RESET,
           rig_open_blk_on(rig, on))
{
    cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES | RING_RESET, 1, 4));
    rig_step(rig);
    cr_assert(vdrv_queue_reset(&rig->drv, 0));
    vdrv_queue_alloc(&rig->drv, 0, 256);
    vdrv_queue_write(&rig->drv, 0);
    rig->disk.hold = true;
    struct blkreq req[60];
    for (unsigned i = 0; i < ARRAY_SIZE(req); i++) {
        req[i] = (struct blkreq){.bytes = 1024, .data_write = true, .cut = i == 0 ? 128 : 512};
        cr_assert(blkreq_send(rig, &req[i]), "%u", i);
    }
    rig_step(rig);
    cr_expect_eq(rig->disk.out, ARRAY_SIZE(req));
    fake_blk_release(&rig->disk);
    rig_step(rig);
    for (unsigned i = 0; i < ARRAY_SIZE(req); i++)
        cr_expect_eq(blkreq_status(rig, &req[i]), VIRTIO_BLK_S_OK, "%u", i);
}

/* Set up anew with what is no queue: that is the end, as it is in the beginning. */
OnEachDisk(hostile_transport, h32_queue_reset_then_garbage, on->features_on |= RING_RESET,
           rig_open_blk_on(rig, on))
{
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES | RING_RESET, 1, HOSTILE_SIZE));
        rig_step(rig);
        cr_assert(vdrv_queue_reset(&rig->drv, 0));
        vdrv_queue_alloc(&rig->drv, 0, HOSTILE_SIZE);
        struct vdrv_queue *q = &rig->drv.q[0];
        uint64_t *parts[] = {&q->desc_gpa, &q->avail_gpa, &q->used_gpa};
        *parts[i] = i == 1 ? RIG_HOLE_GPA : *parts[i] + 1;
        vdrv_queue_write(&rig->drv, 0);
        hostile_expect_broken(rig, "part of a ring");
    }
}

OnEachDisk(hostile_transport, h33_other_sizes_each_time, rig_open_blk_on(rig, on))
{
    for (unsigned i = 0; i < 200; i++) {
        uint32_t size = UINT32_C(1) << (2 + i % 7);
        cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, size));
        cr_assert_eq(hostile_reads(rig), VIRTIO_BLK_S_OK);
    }
}

/* ---- nothing grows ---- */

static size_t allocated(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* A chain by a name that it cannot have. */
static void break_ring(struct rig *rig, uint16_t name)
{
    struct vdrv_queue *q = &rig->drv.q[0];
    if (!q->packed) {
        hostile_publish(rig, name);
        return;
    }
    uint32_t at = q->ring.next_avail;
    vdrv_pdesc_put(q, vdrv_ring_place(&q->ring, at), 0x30000, 1, name,
                   vdrv_pavail_flags(vdrv_ring_wrap(&q->ring, at)));
    vdrv_notify(q);
    rig_step(rig);
}

OnEachDisk(hostile_transport, h51_nothing_grows, rig_open_blk_on(rig, on))
{
    unsigned fds = 0;
    size_t bytes = 0;
    for (unsigned i = 0; i < 1000; i++) {
        cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, 256));
        rig->disk.hold = true;
        struct blkreq req = hostile_read(rig);
        break_ring(rig, i % 2 == 0 ? 0xffff : (uint16_t)req.head);
        cr_assert(rig_is_broken(rig));
        if (i == 10) {
            fds = hostile_fds();
            bytes = allocated();
        }
    }
    cr_expect_eq(hostile_fds(), fds);
    cr_expect_lt(allocated(), bytes + 990, "less than a byte for each"); /* a block may be cut */
}

/* A new kernel without a reset: it finds the device running, and starts over. */
OnRunning(hostile_transport, h33_takeover_without_a_reset)
{
    rig->disk.hold = true;
    hostile_read(rig);
    vdrv_set_status(&rig->drv, ACKNOWLEDGE);
    vdrv_set_status(&rig->drv, ACKNOWLEDGE | DRIVER);
    vdrv_queue_alloc(&rig->drv, 0, HOSTILE_SIZE);
    vdrv_queue_write(&rig->drv, 0);
    vdrv_set_status(&rig->drv, RUNNING);
    rig_step(rig);
    cr_expect(!vdrv_has_used(&rig->drv.q[0]), "the new rings are nobody's");
}
