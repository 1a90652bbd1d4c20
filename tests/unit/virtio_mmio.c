// SPDX-License-Identifier: BSD-2-Clause
/* The register window itself: identity, widths, doorbells, interrupt registers. */
#include "core/memory/gmem.h"
#include "tests/harness/blkreq.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"
#include "virtio/transport/mmio.h"

OnEcho(virtio_mmio, says_what_it_is)
{
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_MagicValue), 0x74726976);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_Version), 2);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_DeviceID), 42);
    cr_expect_neq(vdrv_get(&rig->drv, VIRTIO_MMIO_VendorID), 0);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueSizeMax), 1024);
}

OnEcho(virtio_mmio, what_is_not_offered_reads_as_that)
{
    vdrv_set(&rig->drv, VIRTIO_MMIO_SHMSel, 0);
    for (uint64_t reg = VIRTIO_MMIO_SHMLenLow; reg <= VIRTIO_MMIO_SHMBaseHigh; reg += 4)
        cr_expect_eq(vdrv_get(&rig->drv, reg), UINT32_MAX);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReset, 1);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReset), 0);
}

OnEcho(virtio_mmio, write_only_and_absent_registers_read_zero)
{
    static const uint64_t regs[] = {VIRTIO_MMIO_DeviceFeaturesSel,
                                    VIRTIO_MMIO_DriverFeatures,
                                    VIRTIO_MMIO_QueueSel,
                                    VIRTIO_MMIO_QueueSize,
                                    VIRTIO_MMIO_QueueNotify,
                                    VIRTIO_MMIO_InterruptACK,
                                    VIRTIO_MMIO_QueueDescLow,
                                    VIRTIO_MMIO_QueueDeviceHigh,
                                    0x018,
                                    0x0f8};
    for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
        cr_expect_eq(vdrv_get(&rig->drv, regs[i]), 0, "%#llx", (unsigned long long)regs[i]);
}

OnEcho(virtio_mmio, there_is_no_queue_beyond_the_last)
{
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, 2);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueSizeMax), 0);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReady), 0);
}

OnEcho(virtio_mmio, doorbells_ring_for_running_queues)
{
    uint32_t head, len;
    uint64_t notify = RIG_WINDOW_GPA + VIRTIO_MMIO_QueueNotify;
    cr_expect_eq(rig->bell.count, 0);
    cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
    cr_expect_eq(rig->bell.count, 2);
    rig_step(rig);

    struct vdrv_queue *q = &rig->drv.q[1];
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 8), 4, true};
    vdrv_add(q, &buf, 1);
    vdrv_publish(q);
    cr_assert(fake_doorbell_store(&rig->bell, notify, 4, 1));
    cr_expect(!fake_doorbell_store(&rig->bell, notify, 4, 2));
    cr_expect(!fake_doorbell_store(&rig->bell, notify, 2, 1));
    rig_step(rig);
    cr_expect(vdrv_used(q, &head, &len));

    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, 1);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReady, 0);
    cr_expect_eq(rig->bell.count, 1);
    vdrv_reset(&rig->drv);
    cr_expect_eq(rig->bell.count, 0);
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    cr_expect_eq(rig->bell.count, 1);
    virtio_mmio_destroy(rig->mmio);
    rig->mmio = NULL;
    cr_expect_eq(rig->bell.count, 0);
}

OnEcho(virtio_mmio, works_where_doorbells_are_refused)
{
    static const int refusals[] = {-ENOSYS, -ENOSPC};
    uint32_t head, len;
    for (unsigned i = 0; i < 2; i++) {
        rig->bell.refuse = refusals[i];
        rig_start(rig, 0, 1, 8);
        struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 8), 4, true};
        vdrv_send(&rig->drv.q[0], &buf, 1);
        rig_step(rig);
        cr_expect(vdrv_used(&rig->drv.q[0], &head, &len));
    }
}

OnEcho(virtio_mmio, interrupt_status_stays_until_acknowledged)
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 8), 4, true};
    vdrv_send(&rig->drv.q[0], &buf, 1);
    rig_step(rig);
    virtio_device_config_changed(rig->dev);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), 3);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), 3, "reading clears nothing");
    vdrv_set(&rig->drv, VIRTIO_MMIO_InterruptACK, VIRTIO_ISR_QUEUE);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), VIRTIO_ISR_CONFIG);
    vdrv_set(&rig->drv, VIRTIO_MMIO_InterruptACK, VIRTIO_ISR_CONFIG);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), 0);
}

OnEcho(virtio_mmio, queue_addresses_have_64_bits)
{
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    vdrv_queue_alloc(&rig->drv, 0, 8);
    rig->drv.q[0].desc_gpa |= UINT64_C(1) << 40; /* the same low half, beyond memory */
    vdrv_queue_write(&rig->drv, 0);
    vdrv_driver_ok(&rig->drv);
    cr_expect(rig_is_broken(rig));
}

/* ---- queue reset ---- */

static void use_queue(struct rig *rig, unsigned queue)
{
    uint32_t head, len;
    struct vdrv_queue *q = &rig->drv.q[queue];
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 8), 4, true};
    vdrv_send(q, &buf, 1);
    rig_step(rig);
    cr_expect(vdrv_used(q, &head, &len), "queue %u", queue);
}

OnEcho(virtio_mmio, queue_reset_takes_the_doorbell_and_the_configuration,
       .features_on = VIRTIO_BIT(VIRTIO_F_RING_RESET))
{
    rig_start(rig, rig->cfg.features_on, 2, 8);
    use_queue(rig, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReset, 2);
    cr_expect_eq(rig->bell.count, 2, "only 1 means anything");
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReset, 1);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReset), 0);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReady), 0);
    cr_expect_eq(rig->bell.count, 1);
    cr_expect_eq(virtio_device_queue_config(rig->dev, 0)->desc, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReset, 1); /* once more: nothing to reset */
    use_queue(rig, 1);
    vdrv_queue_set_up(&rig->drv, 0, 16);
    cr_expect_eq(rig->bell.count, 2);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReset), 0);
    use_queue(rig, 0);
}

OnEcho(virtio_mmio, queue_reset_needs_its_feature, .features_on = VIRTIO_BIT(VIRTIO_F_RING_RESET))
{
    rig_start(rig, 0, 2, 8);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, 1);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReset, 1);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReady), 1);
    cr_expect_eq(rig->bell.count, 2, "it runs on, and rings");
    use_queue(rig, 1);
}

OnEcho(virtio_mmio, queue_reset_of_no_queue, .features_on = VIRTIO_BIT(VIRTIO_F_RING_RESET))
{
    static const uint32_t none[] = {2, 63, 64, UINT32_MAX};
    cr_assert(vdrv_start(&rig->drv, rig->cfg.features_on, 2, 8));
    for (unsigned i = 0; i < 4; i++) {
        vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, none[i]);
        vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReset, 1);
        vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReady, 0);
        cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReset), 0);
    }
    cr_expect_eq(rig->echo.stops, 0);
    cr_expect_eq(rig->bell.count, 2);
}

/* ---- notification data ---- */

Test(virtio_mmio, notification_data_has_a_doorbell_for_one_queue_only)
{
    for (unsigned queues = 1; queues <= 2; queues++) {
        struct rig rig;
        struct rig_config config = {
            .features_on = VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA),
            .queues = queues,
        };
        uint32_t head, len;
        rig_open_echo_on(&rig, &config);
        rig_start(&rig, config.features_on, queues, 8);
        cr_expect_eq(rig.bell.count, queues == 1 ? 1 : 0);
        for (unsigned q = 0; q < queues; q++)
            use_queue(&rig, q);
        if (queues == 1) {
            struct vdrv_buf buf = {vdrv_alloc(&rig.drv, 8, 8), 4, true};
            vdrv_add(&rig.drv.q[0], &buf, 1);
            vdrv_publish(&rig.drv.q[0]);
            uint64_t notify = RIG_WINDOW_GPA + VIRTIO_MMIO_QueueNotify;
            cr_expect(fake_doorbell_store(&rig.bell, notify, 4, 0x20000));
            rig_step(&rig);
            cr_expect(vdrv_used(&rig.drv.q[0], &head, &len));
        }
        vdrv_reset(&rig.drv);
        cr_expect_eq(rig.bell.count, 0);
        cr_assert(vdrv_start(&rig.drv, 0, queues, 8));
        cr_expect_eq(rig.bell.count, queues, "the next driver does without");
        rig_close(&rig);
    }
}

/* ---- shared memory ---- */

OnEcho(virtio_mmio, shared_memory_is_found_by_its_id, .shm_bytes = 0x1800)
{
    uint64_t gpa, bytes, value;
    cr_assert(vdrv_shm(&rig->drv, ECHO_SHM_ID, &gpa, &bytes));
    cr_expect_eq(gpa, RIG_SHM_GPA);
    cr_expect_eq(bytes, 0x1800);
    cr_expect(!vdrv_shm(&rig->drv, ECHO_SHM_ID + 1, &gpa, &bytes));
    cr_expect_eq(gpa, UINT64_MAX);
    vdrv_set(&rig->drv, VIRTIO_MMIO_SHMSel, ECHO_SHM_ID + 0x100);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_SHMLenLow), UINT32_MAX, "an id has 8 bits");
    cr_expect(bus_write(rig->bus, RIG_SHM_GPA + 0x17ff, 1, 0x5a));
    cr_expect_eq(((uint8_t *)rig->echo.shm.hva)[0x17ff], 0x5a);
    cr_expect(!bus_write(rig->bus, RIG_SHM_GPA + 0x17ff, 2, 0), "over its end");
    cr_expect(!bus_read(rig->bus, RIG_SHM_GPA + 0x1800, 1, &value));
    vdrv_reset(&rig->drv);
    vdrv_set(&rig->drv, VIRTIO_MMIO_SHMSel, ECHO_SHM_ID);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_SHMLenLow), 0x1800, "a reset moves nothing");
}

/* ---- version 1 ---- */

static const struct rig_config legacy = {.transport = RIG_MMIO_LEGACY};

OnRig(virtio_mmio, legacy_says_what_it_is, rig_open_echo_on(rig, &legacy))
{
    static const uint64_t absent[] = {VIRTIO_MMIO_QueueReady,       VIRTIO_MMIO_QueueDescLow,
                                      VIRTIO_MMIO_SHMLenLow,        VIRTIO_MMIO_SHMBaseHigh,
                                      VIRTIO_MMIO_QueueReset,       VIRTIO_MMIO_ConfigGeneration,
                                      VIRTIO_MMIO_LEGACY_QueueAlign};
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_MagicValue), 0x74726976);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_Version), 1);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_DeviceID), ECHO_DEVICE_ID);
    cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
    for (unsigned i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        cr_expect_eq(vdrv_get(&rig->drv, absent[i]), 0, "%#llx", (unsigned long long)absent[i]);
    vdrv_set(&rig->drv, VIRTIO_MMIO_DeviceFeaturesSel, 1);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_DeviceFeatures), 0);
}

/* As Linux does: the page size once, then the reset that begins every driver's life. */
OnRig(virtio_mmio, legacy_keeps_the_page_size_over_a_reset, rig_open_echo_on(rig, &legacy))
{
    struct vdrv *d = &rig->drv;
    vdrv_set(d, VIRTIO_MMIO_LEGACY_GuestPageSize, 8192);
    vdrv_reset(d);
    vdrv_set(d, VIRTIO_MMIO_Status, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    vdrv_set(d, VIRTIO_MMIO_QueueSel, 1);
    vdrv_set(d, VIRTIO_MMIO_QueueSize, 8);
    vdrv_set(d, VIRTIO_MMIO_LEGACY_QueueAlign, 64);
    vdrv_set(d, VIRTIO_MMIO_LEGACY_QueuePFN, 9);
    cr_expect_eq(vdrv_get(d, VIRTIO_MMIO_LEGACY_QueuePFN), 9);
    const struct vq_config *config = virtio_device_queue_config(rig->dev, 1);
    cr_expect_eq(config->desc, 9 * 8192);
    cr_expect_eq(config->driver, 9 * 8192 + 128);
    cr_expect_eq(config->device, 9 * 8192 + 192, "22 bytes on, rounded up to 64");
}

OnRig(virtio_mmio, legacy_page_number_zero_stops_a_queue, rig_open_echo_on(rig, &legacy))
{
    rig_start(rig, 0, 2, 8);
    use_queue(rig, 0);
    cr_expect_eq(rig->bell.count, 2);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_LEGACY_QueuePFN, 77);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_LEGACY_QueuePFN), rig->drv.q[0].desc_gpa >> 12,
                 "a queue in use does not move");
    vdrv_set(&rig->drv, VIRTIO_MMIO_LEGACY_QueuePFN, 0);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_LEGACY_QueuePFN), 0);
    cr_expect_eq(rig->echo.stops, 1);
    cr_expect_eq(rig->bell.count, 1);
    use_queue(rig, 1);
    vdrv_queue_set_up(&rig->drv, 0, 16);
    use_queue(rig, 0);
    cr_expect_eq(rig->bell.count, 2);
    vdrv_reset(&rig->drv);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, 0);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_LEGACY_QueuePFN), 0);
    cr_expect_eq(rig->bell.count, 0);
}

/* A disk's partitions are read by such drivers before they say DRIVER_OK. */
OnRig(virtio_mmio, legacy_kicks_work_before_driver_ok, rig_open_echo_on(rig, &legacy))
{
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    vdrv_queue_set_up(&rig->drv, 0, 8);
    use_queue(rig, 0);
    cr_expect_eq(rig->bell.count, 1);
    vdrv_driver_ok(&rig->drv);
    use_queue(rig, 0);
    cr_expect_eq(rig->echo.activations, 1);
}

/* The kick activates a disk that has no queue, which comes afterwards. */
OnRig(virtio_mmio, legacy_queue_after_activation, rig_open_blk_on(rig, &legacy))
{
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueNotify, 0);
    vdrv_driver_ok(&rig->drv);
    vdrv_queue_set_up(&rig->drv, 0, 8);
    struct blkreq req = {.bytes = 512, .data_write = true};
    cr_expect_eq(blkreq_do(rig, &req, NULL), VIRTIO_BLK_S_OK);
}

OnRig(virtio_mmio, legacy_hostile_sizes, rig_open_echo_on(rig, &legacy))
{
    static const uint32_t bad[] = {0, 3, 0xfff, UINT32_MAX};
    struct vdrv *d = &rig->drv;
    for (unsigned i = 0; i < 4; i++) {
        vdrv_set(d, VIRTIO_MMIO_LEGACY_GuestPageSize, bad[i]);
        vdrv_set(d, VIRTIO_MMIO_LEGACY_QueueAlign, 4096);
        vdrv_set(d, VIRTIO_MMIO_LEGACY_QueuePFN, 16);
        cr_expect_eq(vdrv_get(d, VIRTIO_MMIO_LEGACY_QueuePFN), 0, "page size %#x", bad[i]);
    }
    vdrv_set(d, VIRTIO_MMIO_LEGACY_GuestPageSize, 4096);
    for (unsigned i = 0; i < 4; i++) {
        vdrv_reset(d);
        vdrv_set(d, VIRTIO_MMIO_LEGACY_QueueAlign, bad[i]);
        vdrv_set(d, VIRTIO_MMIO_LEGACY_QueuePFN, 16);
        cr_expect_eq(vdrv_get(d, VIRTIO_MMIO_LEGACY_QueuePFN), 0, "alignment %#x", bad[i]);
    }
    cr_assert(vdrv_start(d, 0, 2, 8), "and works as if nothing had been");
    use_queue(rig, 1);
}

OnRig(virtio_mmio, legacy_queues_that_lie_nowhere, rig_open_echo_on(rig, &legacy))
{
    static const struct {
        uint32_t page_bytes, align, size, pfn;
    } bad[] = {
        {4096, 4096, 0, 16},
        {4096, 4096, 7, 16},
        {4096, 4096, UINT32_MAX, 16},
        {4096, 4096, 2048, 16},
        {4096, 4096, 8, UINT32_MAX},
        {1u << 31, 1u << 31, 1024, UINT32_MAX},
        {4096, 1u << 31, 8, 16}, /* the used ring in no memory */
        {4096, 4096, 1024, (uint32_t)(RIG_HOLE_GPA >> 12) - 1},
        {1, 1, 8, 0x20001},
    };
    struct vdrv *d = &rig->drv;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        vdrv_reset(d);
        vdrv_set(d, VIRTIO_MMIO_Status, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
        vdrv_set(d, VIRTIO_MMIO_LEGACY_GuestPageSize, bad[i].page_bytes);
        vdrv_set(d, VIRTIO_MMIO_QueueSize, bad[i].size);
        vdrv_set(d, VIRTIO_MMIO_LEGACY_QueueAlign, bad[i].align);
        vdrv_set(d, VIRTIO_MMIO_LEGACY_QueuePFN, bad[i].pfn);
        vdrv_driver_ok(d);
        rig_step(rig);
        cr_expect(rig_is_broken(rig), "%u", i);
    }
    cr_assert(vdrv_start(d, 0, 2, 8));
    use_queue(rig, 0);
}

OnEcho(virtio_mmio, two_windows_do_not_overlap)
{
    struct echo other = {0};
    struct virtio_mmio *second;
    other.dev = rig->echo.dev;
    cr_expect_eq(virtio_mmio_create(&second,
                                    &(struct virtio_mmio_config){
                                        .bus = rig->bus,
                                        .base_gpa = RIG_WINDOW_GPA + 0x100,
                                        .irq = fake_irq_line(&rig->irq),
                                        .doorbell = doorbell_none,
                                        .device = &other.dev,
                                    }),
                 -EEXIST);
}
