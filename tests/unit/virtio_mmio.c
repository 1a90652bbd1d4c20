// SPDX-License-Identifier: BSD-2-Clause
/* The register window itself: identity, widths, doorbells, interrupt registers. */
#include <criterion/criterion.h>

#include <errno.h>

#include "core/bus.h"
#include "core/gmem.h"
#include "tests/harness/rig.h"
#include "virtio/mmio.h"
#include "virtio/spec.h"

Test(virtio_mmio, says_what_it_is)
{
    struct rig rig;
    rig_open_echo(&rig);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_MagicValue), 0x74726976);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_Version), 2);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_DeviceID), 42);
    cr_expect_neq(vdrv_get(&rig.drv, VIRTIO_MMIO_VendorID), 0);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_QueueSizeMax), 1024);
    rig_close(&rig);
}

Test(virtio_mmio, what_is_not_offered_reads_as_that)
{
    struct rig rig;
    rig_open_echo(&rig);
    vdrv_set(&rig.drv, VIRTIO_MMIO_SHMSel, 0);
    for (uint64_t reg = VIRTIO_MMIO_SHMLenLow; reg <= VIRTIO_MMIO_SHMBaseHigh; reg += 4)
        cr_expect_eq(vdrv_get(&rig.drv, reg), UINT32_MAX);
    vdrv_set(&rig.drv, VIRTIO_MMIO_QueueReset, 1);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_QueueReset), 0);
    rig_close(&rig);
}

Test(virtio_mmio, write_only_and_absent_registers_read_zero)
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
    struct rig rig;
    rig_open_echo(&rig);
    for (unsigned i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
        cr_expect_eq(vdrv_get(&rig.drv, regs[i]), 0, "%#llx", (unsigned long long)regs[i]);
    rig_close(&rig);
}

Test(virtio_mmio, there_is_no_queue_beyond_the_last)
{
    struct rig rig;
    rig_open_echo(&rig);
    vdrv_set(&rig.drv, VIRTIO_MMIO_QueueSel, 2);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_QueueSizeMax), 0);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_QueueReady), 0);
    rig_close(&rig);
}

Test(virtio_mmio, doorbells_ring_for_running_queues)
{
    struct rig rig;
    uint32_t head, len;
    uint64_t notify = RIG_WINDOW_GPA + VIRTIO_MMIO_QueueNotify;
    rig_open_echo(&rig);
    cr_expect_eq(rig.bell.count, 0);
    cr_assert(vdrv_start(&rig.drv, 0, 2, 8));
    cr_expect_eq(rig.bell.count, 2);
    rig_step(&rig);

    struct vdrv_queue *q = &rig.drv.q[1];
    struct vdrv_buf buf = {vdrv_alloc(&rig.drv, 8, 8), 4, true};
    vdrv_add(q, &buf, 1);
    vdrv_publish(q);
    cr_assert(fake_doorbell_store(&rig.bell, notify, 4, 1));
    cr_expect(!fake_doorbell_store(&rig.bell, notify, 4, 2));
    cr_expect(!fake_doorbell_store(&rig.bell, notify, 2, 1));
    rig_step(&rig);
    cr_expect(vdrv_used(q, &head, &len));

    vdrv_set(&rig.drv, VIRTIO_MMIO_QueueSel, 1);
    vdrv_set(&rig.drv, VIRTIO_MMIO_QueueReady, 0);
    cr_expect_eq(rig.bell.count, 1);
    vdrv_reset(&rig.drv);
    cr_expect_eq(rig.bell.count, 0);
    cr_assert(vdrv_start(&rig.drv, 0, 1, 8));
    cr_expect_eq(rig.bell.count, 1);
    virtio_mmio_destroy(rig.mmio);
    rig.mmio = NULL;
    cr_expect_eq(rig.bell.count, 0);
    rig_close(&rig);
}

Test(virtio_mmio, works_where_doorbells_are_refused)
{
    static const int refusals[] = {-ENOSYS, -ENOSPC};
    struct rig rig;
    uint32_t head, len;
    rig_open_echo(&rig);
    for (unsigned i = 0; i < 2; i++) {
        rig.bell.refuse = refusals[i];
        cr_assert(vdrv_start(&rig.drv, 0, 1, 8));
        rig_step(&rig);
        struct vdrv_buf buf = {vdrv_alloc(&rig.drv, 8, 8), 4, true};
        vdrv_send(&rig.drv.q[0], &buf, 1);
        rig_step(&rig);
        cr_expect(vdrv_used(&rig.drv.q[0], &head, &len));
    }
    rig_close(&rig);
}

Test(virtio_mmio, interrupt_status_stays_until_acknowledged)
{
    struct rig rig;
    rig_open_echo(&rig);
    cr_assert(vdrv_start(&rig.drv, 0, 1, 8));
    struct vdrv_buf buf = {vdrv_alloc(&rig.drv, 8, 8), 4, true};
    vdrv_send(&rig.drv.q[0], &buf, 1);
    rig_step(&rig);
    virtio_device_config_changed(rig.dev);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_InterruptStatus), 3);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_InterruptStatus), 3, "reading clears nothing");
    vdrv_set(&rig.drv, VIRTIO_MMIO_InterruptACK, VIRTIO_ISR_QUEUE);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_InterruptStatus), VIRTIO_ISR_CONFIG);
    vdrv_set(&rig.drv, VIRTIO_MMIO_InterruptACK, VIRTIO_ISR_CONFIG);
    cr_expect_eq(vdrv_get(&rig.drv, VIRTIO_MMIO_InterruptStatus), 0);
    rig_close(&rig);
}

Test(virtio_mmio, queue_addresses_have_64_bits)
{
    struct rig rig;
    rig_open_echo(&rig);
    cr_assert(vdrv_negotiate(&rig.drv, 0));
    vdrv_queue_alloc(&rig.drv, 0, 8);
    rig.drv.q[0].desc_gpa |= UINT64_C(1) << 40; /* the same low half, beyond memory */
    vdrv_queue_write(&rig.drv, 0);
    vdrv_driver_ok(&rig.drv);
    cr_expect(rig_is_broken(&rig));
    rig_close(&rig);
}

Test(virtio_mmio, two_windows_do_not_overlap)
{
    struct rig rig;
    struct echo other = {0};
    struct virtio_mmio *second;
    rig_open_echo(&rig);
    other.dev = rig.echo.dev;
    cr_expect_eq(virtio_mmio_create(&second,
                                    &(struct virtio_mmio_config){
                                        .bus = rig.bus,
                                        .base_gpa = RIG_WINDOW_GPA + 0x100,
                                        .irq = fake_irq_line(&rig.irq),
                                        .doorbell = doorbell_none,
                                        .device = &other.dev,
                                    }),
                 -EEXIST);
    rig_close(&rig);
}
