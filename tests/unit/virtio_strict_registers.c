// SPDX-License-Identifier: BSD-2-Clause
/* Slips by registers: see virtio_strict.c, which runs them. */
#include "core/ports/bus.h"
#include "tests/harness/test.h"
#include "tests/unit/virtio_strict_cases.h"
#include "virtio/observe/strict_impl.h"
#include "virtio/spec.h"

#define ACKNOWLEDGE VIRTIO_STATUS_ACKNOWLEDGE
#define DRIVER      VIRTIO_STATUS_DRIVER
#define FEATURES_OK VIRTIO_STATUS_FEATURES_OK
#define FAILED      VIRTIO_STATUS_FAILED

static void go_on_after_refusal(struct rig *rig)
{
    cr_assert((vdrv_status(&rig->drv) & FEATURES_OK) == 0);
    vdrv_set_status(&rig->drv, ACKNOWLEDGE | DRIVER | FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
}

static void notify_a_broken_device(struct rig *rig)
{
    virtio_device_fail(rig->dev, "the test says so");
    vdrv_notify(&rig->drv.q[0]); /* it may not know yet */
    cr_assert_eq(virtio_strict_total(rig->dev), 0);
    cr_assert(vdrv_status(&rig->drv) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    vdrv_notify(&rig->drv.q[0]);
}

static void write_config(struct rig *rig)
{
    vdrv_config_write(&rig->drv, 0, "x", 1);
}

static void notify_anywhere(struct rig *rig)
{
    vdrv_notify_value(&rig->drv.q[0], 100u << VIRTIO_NOTIFY_OFF_SHIFT);
}

static void notify_wide(struct rig *rig)
{
    bus_write(rig->bus, rig->drv.q[0].notify_gpa, 4, 0);
}

static void notify_at_another_address(struct rig *rig)
{
    bus_write(rig->bus, rig->drv.q[0].notify_gpa, 2, 1);
}

static void misalign(struct rig *rig)
{
    rig->drv.q[0].avail_gpa++;
    vdrv_queue_write(&rig->drv, 0);
}

static void leave_memory(struct rig *rig)
{
    rig->drv.q[0].used_gpa = RIG_HOLE_GPA;
    vdrv_queue_write(&rig->drv, 0);
}

static void bad_size(struct rig *rig)
{
    rig->drv.q[0].size = rig->cfg.packed ? 0 : 3;
    vdrv_queue_write(&rig->drv, 0);
}

static void discover_nothing(struct rig *rig)
{
    virtio_strict_of(rig->dev)->read = 0; /* the driver has read them: take it back */
    vdrv_reset(&rig->drv);
    vdrv_set_status(&rig->drv, ACKNOWLEDGE);
}

static void read_a_byte(struct rig *rig)
{
    uint64_t value;
    bus_read(rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Status, 1, &value);
}

static void read_status_wide(struct rig *rig)
{
    uint64_t value;
    bus_read(rig->bus, rig->drv.pci.common + VIRTIO_PCI_COMMON_device_status, 2, &value);
}

static uint32_t pci_get(struct rig *rig, unsigned offset, unsigned width)
{
    return rig->drv.pci.func->ops->config_read(rig->drv.pci.func, offset, width);
}

static void use_window_badly(struct rig *rig)
{
    struct pci_function *func = rig->drv.pci.func;
    unsigned cap = pci_get(rig, 0x34, 1);
    while (pci_get(rig, cap, 1) != 9 ||
           pci_get(rig, cap + VIRTIO_PCI_CAP_cfg_type, 1) != VIRTIO_PCI_CAP_PCI_CFG)
        cap = pci_get(rig, cap + 1, 1);
    pci_get(rig, cap + VIRTIO_PCI_CFG_CAP_data, 4); /* who looks at all there is, is no driver */
    cr_assert_eq(virtio_strict_total(rig->dev), 0);
    func->ops->config_write(func, cap + VIRTIO_PCI_CAP_bar, 1, 4);
    func->ops->config_write(func, cap + VIRTIO_PCI_CAP_length, 4, 4);
    func->ops->config_write(func, cap + VIRTIO_PCI_CAP_offset, 4, 2);
    pci_get(rig, cap + VIRTIO_PCI_CFG_CAP_data, 4);
}

#define ON_PCI            .config.transport = RIG_PCI
#define ON_PACKED         .config.packed = true
#define NOTIFICATION_DATA VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA)
#define WITH_DATA         .config.features_on = NOTIFICATION_DATA, .config.always = NOTIFICATION_DATA

/* The driver takes FEATURES_OK for set, and goes on. */
#define UNREAD_FEATURES_OK \
    {TO_DRIVER}, {ACCEPT, 1, 1}, {STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK}, {ALLOC}, {READY},
#define QUEUE_RESET                    \
    {SET, VIRTIO_MMIO_QueueSel, 0},    \
    {                                  \
        SET, VIRTIO_MMIO_QueueReset, 1 \
    }

const struct strict_case strict_register_cases[] = {
    {STRICT_STATUS_CLEARED, {{START}, {STATUS, ACKNOWLEDGE | DRIVER}}},
    {STRICT_STATUS_CLEARED, {{START}, {STATUS, ACKNOWLEDGE | DRIVER}}, ON_PCI},
    {STRICT_STATUS_UNKNOWN, {{RESET}, {STATUS, ACKNOWLEDGE | 32}}},
    {STRICT_STATUS_ORDER, {{TO_DRIVER}, {STATUS_MORE, VIRTIO_STATUS_DRIVER_OK}}},
    {STRICT_STATUS_ORDER, /* without VERSION_1 */
     {{TO_DRIVER}, {ACCEPT, 0, 0}, {STATUS_MORE, FEATURES_OK}},
     go_on_after_refusal,
     .more = true},
    {STRICT_STATUS_FAILED,
     {{RESET}, {STATUS, ACKNOWLEDGE | FAILED}, {STATUS, ACKNOWLEDGE | FAILED | DRIVER}}},
    {STRICT_STATUS_NEEDS_RESET, {{START}}, notify_a_broken_device},
    {STRICT_STATUS_NEEDS_RESET, {{START}}, notify_a_broken_device, ON_PCI},
    {STRICT_INIT_NO_RESET, {{STATUS, ACKNOWLEDGE}}},
    {STRICT_RESET_UNREAD, {{STATUS, 0}, {STATUS, ACKNOWLEDGE}}},
    {STRICT_RESET_UNREAD,
     {{COMMON, VIRTIO_PCI_COMMON_device_status, 1, 0},
      {COMMON, VIRTIO_PCI_COMMON_device_status, 1, ACKNOWLEDGE}},
     ON_PCI},
    {STRICT_FEATURES_OK_UNREAD, {UNREAD_FEATURES_OK}},
    {STRICT_FEATURES_OK_UNREAD, {UNREAD_FEATURES_OK}, ON_PCI, .config.intx = true},
    {STRICT_FEATURES_OK_UNREAD,
     {{TO_DRIVER},
      {ACCEPT, 1, 1},
      {STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | VIRTIO_STATUS_DRIVER_OK}}},
    {STRICT_FEATURE_UNOFFERED, {{TO_DRIVER}, {ACCEPT, 0, 1u << 20}}},
    {STRICT_FEATURE_UNOFFERED, {{TO_DRIVER}, {ACCEPT, 77, 1}}},
    {STRICT_FEATURE_UNOFFERED, {{TO_DRIVER}, {ACCEPT, 77, 1}}, ON_PCI},
    {STRICT_FEATURE_EARLY, {{RESET}, {ACCEPT, 1, 1}}},
    {STRICT_FEATURE_LATE, {{START}, {ACCEPT, 0, VIRTIO_BIT(3)}}},
    {STRICT_VERSION_1, {{TO_DRIVER}, {ACCEPT, 0, VIRTIO_BIT(3)}, {STATUS_MORE, FEATURES_OK}}},
    {STRICT_CONFIG_OPTIONAL, {{CONFIG, 8, 4}}, .device = ON_BLK}, /* size_max */
    {STRICT_CONFIG_WRITE_EARLY, {{TO_DRIVER}}, write_config},
    {STRICT_CONFIG_WRITE_EARLY, {{TO_DRIVER}}, write_config, ON_PCI},
    {STRICT_QUEUE_NONE,
     {{NEGOTIATE}, {SET, VIRTIO_MMIO_QueueSel, 7}, {SET, VIRTIO_MMIO_QueueSize, STRICT_SIZE}}},
    {STRICT_QUEUE_EARLY,
     {{TO_DRIVER}, {SET, VIRTIO_MMIO_QueueSel, 0}, {SET, VIRTIO_MMIO_QueueSize, STRICT_SIZE}}},
    {STRICT_QUEUE_LATE,
     {{START}, {SET, VIRTIO_MMIO_QueueSel, 1}, {SET, VIRTIO_MMIO_QueueSize, STRICT_SIZE}}},
    {STRICT_QUEUE_RESET_FEATURE, {{START}, QUEUE_RESET}},
    {STRICT_QUEUE_RESET_UNREAD,
     {{START, VIRTIO_BIT(VIRTIO_F_RING_RESET)}, QUEUE_RESET, {ALLOC}, {READY}}},
    {STRICT_NOTIFY_EARLY, {{SET_UP}, {NOTIFY}}},
    {STRICT_NOTIFY_EARLY, {{SET_UP}, {NOTIFY}}, ON_PCI},
    {STRICT_NOTIFY_QUEUE, {{START}, {SET, VIRTIO_MMIO_QueueNotify, 77}}},
    {STRICT_NOTIFY_QUEUE, {{START}, {SET, VIRTIO_MMIO_QueueNotify, 1}}},
    {STRICT_NOTIFY_QUEUE, {{START}}, notify_at_another_address, ON_PCI},
    {STRICT_NOTIFY_DATA, {{START}}, notify_anywhere, WITH_DATA},
    {STRICT_NOTIFY_DATA, {{START}}, notify_anywhere, WITH_DATA, ON_PACKED},
    {STRICT_MMIO_DISCOVERY, {{0}}, discover_nothing},
    {STRICT_MMIO_WIDTH, {{0}}, read_a_byte},
    {STRICT_MMIO_NOT_THERE, {{GET, 0x018}}},
    {STRICT_MMIO_NOT_THERE, {{CONFIG, 10, 1}}},
    {STRICT_MMIO_READ_ONLY, {{SET, VIRTIO_MMIO_Version, 1}}},
    {STRICT_MMIO_WRITE_ONLY, {{GET, VIRTIO_MMIO_QueueSel}}},
    {STRICT_MMIO_SELECTOR, {{RESET}, {GET, VIRTIO_MMIO_DeviceFeatures}}},
    {STRICT_MMIO_QUEUE_SIZE,
     {{NEGOTIATE}, {SET, VIRTIO_MMIO_QueueSel, 0}, {SET, VIRTIO_MMIO_QueueSize, 2048}}},
    {STRICT_MMIO_QUEUE_BUSY, {{SET_UP}, {SET, VIRTIO_MMIO_QueueDescLow, 0}}},
    {STRICT_MMIO_QUEUE_STOP, {{SET_UP}, {SET, VIRTIO_MMIO_QueueReady, 0}, {READY}}},
    {STRICT_MMIO_ACK, {{SET, VIRTIO_MMIO_InterruptACK, UINT32_MAX}}},
    {STRICT_MMIO_CONFIG_WIDTH, {{CONFIG, VIRTIO_BLK_CONFIG_capacity, 8}}, .device = ON_BLK},
    {STRICT_MMIO_CONFIG_WIDTH, {{CONFIG, VIRTIO_BLK_CONFIG_blk_size + 1, 1}}, .device = ON_BLK},
    {STRICT_MMIO_CONFIG_WIDTH, {{CONFIG, VIRTIO_BLK_CONFIG_blk_size + 1, 1}}, .device = ON_SCSI},
    {STRICT_PCI_WIDTH, {{CONFIG, VIRTIO_BLK_CONFIG_blk_size + 1, 1}}, ON_PCI, .device = ON_SCSI},
    /* The device has one pair, and does not offer MQ. */
    {STRICT_CONFIG_OPTIONAL,
     {{CONFIG, VIRTIO_NET_CONFIG_max_virtqueue_pairs, 2}},
     .device = ON_NET},
    {STRICT_PCI_WIDTH, {{0}}, read_status_wide, ON_PCI},
    {STRICT_PCI_WIDTH, {{NEGOTIATE}, {COMMON, VIRTIO_PCI_COMMON_queue_desc, 8, 0x1000}}, ON_PCI},
    {STRICT_PCI_WIDTH, {{CONFIG, VIRTIO_BLK_CONFIG_blk_size + 1, 1}}, ON_PCI, .device = ON_BLK},
    {STRICT_PCI_READ_ONLY, {{COMMON, VIRTIO_PCI_COMMON_num_queues, 2, 1}}, ON_PCI},
    {STRICT_PCI_QUEUE_SIZE, {{NEGOTIATE}, {COMMON, VIRTIO_PCI_COMMON_queue_size, 2, 3}}, ON_PCI},
    {STRICT_PCI_QUEUE_SIZE,
     {{NEGOTIATE}, {COMMON, VIRTIO_PCI_COMMON_queue_size, 2, 0}},
     ON_PCI,
     ON_PACKED},
    {STRICT_PCI_QUEUE_SIZE_MAX,
     {{NEGOTIATE}, {COMMON, VIRTIO_PCI_COMMON_queue_size, 2, 2048}},
     ON_PCI},
    {STRICT_PCI_QUEUE_BUSY, {{SET_UP}, {COMMON, VIRTIO_PCI_COMMON_queue_desc, 4, 0}}, ON_PCI},
    {STRICT_PCI_QUEUE_DISABLE, {{SET_UP}, {COMMON, VIRTIO_PCI_COMMON_queue_enable, 2, 0}}, ON_PCI},
    {STRICT_PCI_VECTOR, {{COMMON, VIRTIO_PCI_COMMON_config_msix_vector, 2, 100}}, ON_PCI},
    {STRICT_PCI_VECTOR_UNREAD,
     {{NEGOTIATE}, {COMMON, VIRTIO_PCI_COMMON_queue_msix_vector, 2, 1}, {DRIVER_OK}},
     ON_PCI},
    {STRICT_PCI_NOTIFY_WIDTH, {{START}}, notify_wide, ON_PCI},
    {STRICT_PCI_WINDOW, {{0}}, use_window_badly, ON_PCI},
    {STRICT_SPLIT_SIZE, {{NEGOTIATE}, {ALLOC}}, bad_size},
    {STRICT_SPLIT_ALIGN, {{NEGOTIATE}, {ALLOC}}, misalign},
    {STRICT_SPLIT_MEMORY, {{NEGOTIATE}, {ALLOC}}, leave_memory},
    {STRICT_PACKED_SIZE, {{NEGOTIATE}, {ALLOC}}, bad_size, ON_PACKED},
    {STRICT_PACKED_ALIGN, {{NEGOTIATE}, {ALLOC}}, misalign, ON_PACKED},
    {STRICT_PACKED_MEMORY, {{NEGOTIATE}, {ALLOC}}, leave_memory, ON_PACKED},
};
const unsigned strict_register_count = ARRAY_SIZE(strict_register_cases);
