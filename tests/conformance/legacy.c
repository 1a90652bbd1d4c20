// SPDX-License-Identifier: BSD-2-Clause
/* The legacy interface: what VIRTIO 1.4 says in its "Legacy Interface" sections, on all transports.
 */
#include "conformance.h"

#include <string.h>

#include "core/base/xmath.h"
#include "core/ports/bus.h"

/* ---- what is common ---- */

/* A driver that does not accept VERSION_1 is a legacy driver. */
Test(conformance, basic_features_legacy_1)
{
    FOR_EACH_RIG(rig, ECHO, LEGACY)
    {
        start(rig, 0, 8);
        demand(!(rig->drv.features & VIRTIO_BIT(VIRTIO_F_VERSION_1)));
        expect(serves(rig, 0) && serves(rig, 1));
    }
    FOR_EACH_RIG(rig, ECHO, PCI_TRANSITIONAL)
    { /* the modern interface is not for them */
        vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE);
        vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
        vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                       VIRTIO_STATUS_FEATURES_OK);
        expect(!(vdrv_status(&rig->drv) & VIRTIO_STATUS_FEATURES_OK));
    }
}

/* While the legacy interface is used the legacy rules hold: for features, status and queues. */
Requirement(basic_features_legacy_2, ECHO, LEGACY)
{
    uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE);
    vdrv_set_status(&rig->drv, status);
    vdrv_set_status(&rig->drv, status | VIRTIO_STATUS_FEATURES_OK);
    expect(vdrv_status(&rig->drv) == status);
    demand(vdrv_negotiate(&rig->drv, UINT32_MAX & ~RING_FEATURES)); /* no one refuses */
    vdrv_driver_ok(&rig->drv);
    expect(vdrv_status(&rig->drv) == (status | VIRTIO_STATUS_DRIVER_OK));
    vdrv_queue_alloc(&rig->drv, 0, 8); /* a queue may come late */
    vdrv_queue_write(&rig->drv, 0);
    expect(serves(rig, 0));
}

/* The configuration space can be written before features are read. */
Requirement(basic_init_legacy_1, ECHO, LEGACY)
{
    uint8_t written[4] = {9, 8, 7, 6}, read[4];
    vdrv_set_status(&rig->drv, 0);
    vdrv_config_write(&rig->drv, 2, written, 4);
    vdrv_config_read(&rig->drv, 2, read, 4);
    expect(memcmp(written, read, 4) == 0);
    start(rig, 0, 8);
    expect(serves(rig, 0));
}

/* The device can be used before DRIVER_OK. */
Requirement(basic_init_legacy_2, ECHO, LEGACY)
{
    demand(vdrv_negotiate(&rig->drv, 0));
    vdrv_queue_alloc(&rig->drv, 0, 8);
    vdrv_queue_write(&rig->drv, 0);
    expect(!(vdrv_status(&rig->drv) & VIRTIO_STATUS_DRIVER_OK));
    expect(serves(rig, 0));
    vdrv_driver_ok(&rig->drv);
    expect(serves(rig, 0));
}

/* ANY_LAYOUT is offered, and true. */
RequirementOfAll(basic_reserved_legacy_3, LEGACY)
{
    expect(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_F_ANY_LAYOUT));
}

/* Bit 30 is not offered. */
RequirementOfAll(basic_reserved_legacy_4, LEGACY)
{
    expect(!(vdrv_offered(&rig->drv) & VIRTIO_BIT(30)));
}

/* ---- rings ---- */

/* A queue that is laid out by hand: the used ring at the next multiple of `align`. */
static void lay_out(struct rig *rig, uint32_t align)
{
    struct vdrv_queue *q = &rig->drv.q[0];
    uint64_t used =
        align_up(q->desc_gpa + (uint64_t)q->size * 16 + VIRTQ_AVAIL_BYTES(q->size), align);
    q->avail_gpa = q->desc_gpa + (uint64_t)q->size * 16;
    q->used_gpa = used;
    vdrv_queue_map(q);
    memset(q->used, 0, VIRTQ_USED_BYTES(q->size));
}

/* A queue is one area of memory: descriptors, available ring, and aligned the used ring. */
Test(conformance, split_layout_legacy_1)
{
    FOR_EACH_RIG(rig, ECHO, LEGACY)
    {
        start(rig, 0, 64);
        struct vdrv_queue *q = &rig->drv.q[0];
        demand(q->used_gpa == align_up(q->avail_gpa + VIRTQ_AVAIL_BYTES(q->size), 4096));
        for (unsigned i = 0; i < 10; i++)
            expect(serves(rig, 0));
    }
    FOR_EACH_RIG(rig, ECHO, MMIO_LEGACY)
    {
        static const uint32_t aligns[] = {4, 64, 256, 4096, 8192};
        for (unsigned i = 0; i < ARRAY_SIZE(aligns); i++) {
            demand(vdrv_negotiate(&rig->drv, 0));
            vdrv_queue_alloc(&rig->drv, 0, 64);
            lay_out(rig, aligns[i]);
            vdrv_alloc(&rig->drv, 16384, 16); /* a late used ring stays ours */
            lay_out(rig, aligns[i]);
            vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, 0);
            vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSize, 64);
            vdrv_set(&rig->drv, VIRTIO_MMIO_LEGACY_QueueAlign, aligns[i]);
            vdrv_set(&rig->drv, VIRTIO_MMIO_LEGACY_QueuePFN,
                     (uint32_t)(rig->drv.q[0].desc_gpa / 4096));
            vdrv_driver_ok(&rig->drv);
            expect(serves(rig, 0));
        }
    }
}

/* The rings are in the guest's byte order, which is ours. */
Requirement(split_endian_legacy_1, ECHO, LEGACY)
{
    start(rig, 0, 64);
    struct vdrv_queue *q = &rig->drv.q[0];
    const struct {
        uint64_t addr;
        uint32_t len;
        uint16_t flags, next;
    } desc[] = {{0x100100, 0x203, VIRTQ_DESC_F_NEXT, 1}, {0x101000, 0x304, 2, 0}};
    const uint16_t avail[] = {0, 1, 0}; /* flags, idx, ring[0] */
    uint16_t used_idx;
    uint32_t used[2];
    memcpy(q->desc, desc, sizeof(desc));
    memcpy(q->avail, avail, sizeof(avail));
    vdrv_notify(q);
    rig_step(rig);
    memcpy(&used_idx, q->used + VIRTQ_USED_IDX, 2);
    memcpy(used, q->used + VIRTQ_USED_RING, 8);
    expect(used_idx == 1 && used[0] == 0 && used[1] == 0x203);
}

/* ---- PCI ---- */

static const unsigned transitional = PCI_TRANSITIONAL | PCI_LEGACY | PCI_LEGACY_INTX;

/* A transitional device has revision 0. */
RequirementOfAll(pci_discovery_legacy_1, transitional)
{
    expect(pci_get(rig, PCI_REG_REVISION, 1) == 0);
}

/* A transitional device says its type in the subsystem device ID. */
RequirementOfAll(pci_discovery_legacy_2, transitional)
{
    expect(pci_get(rig, PCI_REG_SUBSYSTEM, 2) == rig->dev->cfg.type->id);
}

/* A transitional device has a device ID from 0x1000 to 0x103f. */
RequirementOfAll(pci_discovery_legacy_3, transitional)
{
    uint32_t id = pci_get(rig, PCI_REG_DEVICE, 2);
    expect(id >= 0x1000 && id <= 0x103f);
}

/* The legacy registers are in BAR 0, and work there. */
Requirement(pci_layout_legacy_1, ECHO, transitional)
{
    demand(pci_get(rig, PCI_REG_BAR, 4) & PCI_BAR_IS_IO);
    port_set(rig, VIRTIO_PCI_LEGACY_device_status, 1, 0);
    expect(port_get(rig, VIRTIO_PCI_LEGACY_device_features, 4) & RING_FEATURES);
    port_set(rig, VIRTIO_PCI_LEGACY_driver_features, 4, 1 << 3);
    expect(port_get(rig, VIRTIO_PCI_LEGACY_driver_features, 4) == 1 << 3);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_select, 2, 1);
    expect(port_get(rig, VIRTIO_PCI_LEGACY_queue_select, 2) == 1);
    expect(port_get(rig, VIRTIO_PCI_LEGACY_queue_size, 2) == 1024);
    port_set(rig, VIRTIO_PCI_LEGACY_queue_select, 2, 2);
    expect(port_get(rig, VIRTIO_PCI_LEGACY_queue_size, 2) == 0);
    port_set(rig, VIRTIO_PCI_LEGACY_device_status, 1, 1);
    port_set(rig, VIRTIO_PCI_LEGACY_device_status, 1, 3);
    expect(port_get(rig, VIRTIO_PCI_LEGACY_device_status, 1) == 3);
}

/* The device configuration can be accessed in any width. */
Requirement(pci_layout_legacy_2, ECHO, PCI_LEGACY_INTX)
{
    for (unsigned width = 1; width <= 4; width *= 2) {
        for (unsigned at = 0; at + 4 <= sizeof(rig->echo.config); at += 4) {
            for (unsigned i = 0; i < 4; i += width)
                port_set(rig, VIRTIO_PCI_LEGACY_config + at + i, width, 0x44332211u >> (8 * i));
            expect(memcmp(rig->echo.config + at, "\x11\x22\x33\x44", 4) == 0);
            for (unsigned as = 1; as <= 4; as *= 2) {
                uint32_t value = 0;
                for (unsigned i = 0; i < 4; i += as)
                    value |= port_get(rig, VIRTIO_PCI_LEGACY_config + at + i, as) << (8 * i);
                expect(value == 0x44332211u);
            }
            memset(rig->echo.config, 0, sizeof(rig->echo.config));
        }
    }
}

/* The device configuration follows the header, whose length depends on MSI-X. */
Requirement(pci_layout_legacy_3, BLK, transitional)
{
    unsigned control = pci_cap(rig, PCI_CAP_MSIX, 0) + 2;
    demand(control > 2);
    pci_set(rig, control, 2, 0);
    expect(port_get(rig, 20, 4) == RIG_DISK_BYTES / 512);
    pci_set(rig, control, 2, 0x8000);
    expect(port_get(rig, 24, 4) == RIG_DISK_BYTES / 512);
    pci_set(rig, control, 2, 0);
    expect(port_get(rig, 20, 4) == RIG_DISK_BYTES / 512);
}

/* Features 32 to 63 do not count, not even those of a driver that was there before. */
Requirement(pci_layout_legacy_4, ECHO, PCI_LEGACY | PCI_LEGACY_INTX)
{
    start(rig, RING_FEATURES, 8);
    expect(serves(rig, 0));
    vdrv_set_status(&rig->drv, 0);
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 1);
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 3);
    common_set(rig, VIRTIO_PCI_COMMON_driver_feature_select, 4, 1);
    common_set(rig, VIRTIO_PCI_COMMON_driver_feature, 4, 1 | 1 << (VIRTIO_F_RING_PACKED - 32));
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 11);
    demand(common_get(rig, VIRTIO_PCI_COMMON_device_status, 1) == 11);
    start(rig, RING_FEATURES, 8); /* which resets */
    expect(serves(rig, 0));       /* a split ring */
}

/* BAR 0 of a transitional device is in I/O space, with room for all of the legacy interface. */
Test(conformance, pci_detect_legacy_1)
{
    FOR_EACH_DEVICE(device)
    {
        FOR_EACH_RIG(rig, device, transitional)
        {
            expect(pci_get(rig, PCI_REG_BAR, 4) & PCI_BAR_IS_IO);
            expect(rig->drv.pci.bar_bytes[0] >= 24 + rig->dev->cfg.config_bytes);
        }
        FOR_EACH_RIG(rig, device, PCI_SPLIT) /* and others have none */
        expect(!(pci_get(rig, PCI_REG_BAR, 4) & PCI_BAR_IS_IO));
    }
}
