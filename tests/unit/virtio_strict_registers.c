// SPDX-License-Identifier: BSD-2-Clause
/* Slips by registers: see virtio_strict.c, which runs them. */
#include "core/ports/bus.h"
#include "tests/harness/test.h"
#include "tests/unit/virtio_strict_cases.h"
#include "virtio/observe/strict_impl.h"
#include "virtio/spec.h"

#define SIZE 8u
#define PCI                  \
    {                        \
        .transport = RIG_PCI \
    }

#define NOTIFICATION_DATA VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA)

/* ---- the way up to there, without a fault ---- */

static void to_driver(struct rig *rig)
{
    vdrv_reset(&rig->drv);
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE);
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
}

static void negotiate(struct rig *rig, uint64_t features)
{
    cr_assert(vdrv_negotiate(&rig->drv, features));
}

static void start(struct rig *rig, uint64_t features)
{
    cr_assert(vdrv_start(&rig->drv, features, 1, SIZE));
}

static void set_up(struct rig *rig)
{
    negotiate(rig, 0);
    vdrv_queue_alloc(&rig->drv, 0, SIZE);
    vdrv_queue_write(&rig->drv, 0);
}

static void select_queue(struct rig *rig, uint32_t queue)
{
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, queue);
}

static void common_set(struct rig *rig, unsigned reg, unsigned width, uint64_t value)
{
    bus_write(rig->bus, rig->drv.pci.common + reg, width, value);
}

/* ---- status, features, reset ---- */

static void clear_status(struct rig *rig)
{
    start(rig, 0);
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
}

static void set_unknown_status(struct rig *rig)
{
    vdrv_reset(&rig->drv);
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | 32);
}

static void skip_features_ok(struct rig *rig)
{
    to_driver(rig);
    vdrv_set_status(&rig->drv, vdrv_status(&rig->drv) | VIRTIO_STATUS_DRIVER_OK);
}

static void go_on_after_refusal(struct rig *rig)
{
    to_driver(rig);
    vdrv_accept(&rig->drv, 0, 0); /* no VERSION_1 */
    uint32_t status = vdrv_status(&rig->drv) | VIRTIO_STATUS_FEATURES_OK;
    vdrv_set_status(&rig->drv, status);
    cr_assert((vdrv_status(&rig->drv) & VIRTIO_STATUS_FEATURES_OK) == 0);
    vdrv_set_status(&rig->drv, status | VIRTIO_STATUS_DRIVER_OK);
}

static void go_on_after_failed(struct rig *rig)
{
    vdrv_reset(&rig->drv);
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_FAILED);
    vdrv_set_status(&rig->drv,
                    VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_FAILED | VIRTIO_STATUS_DRIVER);
}

static void notify_a_broken_device(struct rig *rig)
{
    start(rig, 0);
    virtio_device_fail(rig->dev, "the test says so");
    vdrv_notify(&rig->drv.q[0]); /* it may not know yet */
    cr_assert_eq(virtio_strict_total(rig->dev), 0);
    cr_assert(vdrv_status(&rig->drv) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    vdrv_notify(&rig->drv.q[0]);
}

static void begin_without_reset(struct rig *rig)
{
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE);
}

static void hurry_after_reset(struct rig *rig)
{
    vdrv_set_status(&rig->drv, 0);
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE);
}

static void pci_hurry_after_reset(struct rig *rig)
{
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 0);
    common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, VIRTIO_STATUS_ACKNOWLEDGE);
}

static void to_features_ok_unread(struct rig *rig)
{
    to_driver(rig);
    vdrv_accept(&rig->drv, 1, 1);
    vdrv_set_status(&rig->drv,
                    VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
}

static void trust_features_ok(struct rig *rig)
{
    to_features_ok_unread(rig);
    vdrv_queue_alloc(&rig->drv, 0, SIZE);
    vdrv_queue_write(&rig->drv, 0);
}

static void two_steps_at_once(struct rig *rig)
{
    to_driver(rig);
    vdrv_accept(&rig->drv, 1, 1);
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                   VIRTIO_STATUS_FEATURES_OK | VIRTIO_STATUS_DRIVER_OK);
}

static void accept_unoffered(struct rig *rig)
{
    to_driver(rig);
    vdrv_accept(&rig->drv, 0, 1u << 20);
}

static void accept_unoffered_word(struct rig *rig)
{
    to_driver(rig);
    vdrv_accept(&rig->drv, 77, 1);
}

static void accept_early(struct rig *rig)
{
    vdrv_reset(&rig->drv);
    vdrv_accept(&rig->drv, 1, 1);
}

static void accept_late(struct rig *rig)
{
    start(rig, 0);
    vdrv_accept(&rig->drv, 0, VIRTIO_BIT(3));
}

static void leave_out_version_1(struct rig *rig)
{
    to_driver(rig);
    vdrv_accept(&rig->drv, 0, VIRTIO_BIT(3));
    vdrv_set_status(&rig->drv, vdrv_status(&rig->drv) | VIRTIO_STATUS_FEATURES_OK);
}

/* ---- configuration space ---- */

static void config_read(struct rig *rig, unsigned offset, unsigned width)
{
    uint64_t value;
    bus_read(rig->bus, rig->drv.t->config_gpa(&rig->drv) + offset, width, &value);
}

static void read_optional_field(struct rig *rig)
{
    config_read(rig, 8, 4); /* size_max */
}

static void write_config_early(struct rig *rig)
{
    to_driver(rig);
    vdrv_config_write(&rig->drv, 0, "x", 1);
}

static void read_config_wide(struct rig *rig)
{
    config_read(rig, VIRTIO_BLK_CONFIG_capacity, 8);
}

static void read_config_narrow(struct rig *rig)
{
    config_read(rig, VIRTIO_BLK_CONFIG_blk_size + 1, 1);
}

/* The device has one, and does not offer MQ. */
static void read_pairs(struct rig *rig)
{
    config_read(rig, VIRTIO_NET_CONFIG_max_virtqueue_pairs, 2);
}

static void read_beyond_config(struct rig *rig)
{
    config_read(rig, 10, 1);
}

/* ---- queues ---- */

static void set_up_no_queue(struct rig *rig)
{
    negotiate(rig, 0);
    select_queue(rig, 7);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSize, SIZE);
}

static void set_up_early(struct rig *rig)
{
    to_driver(rig);
    select_queue(rig, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSize, SIZE);
}

static void set_up_late(struct rig *rig)
{
    start(rig, 0);
    select_queue(rig, 1);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSize, SIZE);
}

static void reset_queue_without_feature(struct rig *rig)
{
    start(rig, 0);
    select_queue(rig, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReset, 1);
}

static void hurry_after_queue_reset(struct rig *rig)
{
    start(rig, VIRTIO_BIT(VIRTIO_F_RING_RESET));
    select_queue(rig, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReset, 1);
    vdrv_queue_alloc(&rig->drv, 0, SIZE);
    vdrv_queue_write(&rig->drv, 0);
}

static void notify_early(struct rig *rig)
{
    set_up(rig);
    vdrv_notify(&rig->drv.q[0]);
}

static void notify_no_queue(struct rig *rig)
{
    start(rig, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueNotify, 77);
}

static void notify_idle_queue(struct rig *rig)
{
    start(rig, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueNotify, 1);
}

static void notify_anywhere(struct rig *rig)
{
    start(rig, 0);
    vdrv_notify_value(&rig->drv.q[0], 100u << VIRTIO_NOTIFY_OFF_SHIFT);
}

static void misalign(struct rig *rig)
{
    negotiate(rig, 0);
    vdrv_queue_alloc(&rig->drv, 0, SIZE);
    rig->drv.q[0].avail_gpa++;
    vdrv_queue_write(&rig->drv, 0);
}

static void leave_memory(struct rig *rig)
{
    negotiate(rig, 0);
    vdrv_queue_alloc(&rig->drv, 0, SIZE);
    rig->drv.q[0].used_gpa = RIG_HOLE_GPA;
    vdrv_queue_write(&rig->drv, 0);
}

static void bad_size(struct rig *rig)
{
    negotiate(rig, 0);
    vdrv_queue_alloc(&rig->drv, 0, SIZE);
    rig->drv.q[0].size = rig->cfg.packed ? 0 : 3;
    vdrv_queue_write(&rig->drv, 0);
}

/* ---- virtio-mmio ---- */

static void discover_nothing(struct rig *rig)
{
    virtio_strict_of(rig->dev)->read = 0; /* the driver has read them: take it back */
    vdrv_reset(&rig->drv);
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE);
}

static void read_a_byte(struct rig *rig)
{
    uint64_t value;
    bus_read(rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Status, 1, &value);
}

static void read_nothing(struct rig *rig)
{
    vdrv_get(&rig->drv, 0x018);
}

static void write_read_only(struct rig *rig)
{
    vdrv_set(&rig->drv, VIRTIO_MMIO_Version, 1);
}

static void read_write_only(struct rig *rig)
{
    vdrv_get(&rig->drv, VIRTIO_MMIO_QueueSel);
}

static void select_no_features(struct rig *rig)
{
    vdrv_reset(&rig->drv);
    vdrv_get(&rig->drv, VIRTIO_MMIO_DeviceFeatures);
}

static void oversize(struct rig *rig)
{
    negotiate(rig, 0);
    select_queue(rig, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSize, 2048);
}

static void touch_ready_queue(struct rig *rig)
{
    set_up(rig);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueDescLow, 0);
}

static void hurry_after_stop(struct rig *rig)
{
    set_up(rig);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReady, 0);
    vdrv_queue_write(&rig->drv, 0);
}

static void acknowledge_all(struct rig *rig)
{
    vdrv_set(&rig->drv, VIRTIO_MMIO_InterruptACK, UINT32_MAX);
}

/* ---- virtio-pci ---- */

static void read_status_wide(struct rig *rig)
{
    uint64_t value;
    bus_read(rig->bus, rig->drv.pci.common + VIRTIO_PCI_COMMON_device_status, 2, &value);
}

static void write_address_wide(struct rig *rig)
{
    negotiate(rig, 0);
    common_set(rig, VIRTIO_PCI_COMMON_queue_desc, 8, 0x1000);
}

static void write_num_queues(struct rig *rig)
{
    common_set(rig, VIRTIO_PCI_COMMON_num_queues, 2, 1);
}

static void pci_size(struct rig *rig)
{
    negotiate(rig, 0);
    common_set(rig, VIRTIO_PCI_COMMON_queue_size, 2, rig->cfg.packed ? 0 : 3);
}

static void pci_oversize(struct rig *rig)
{
    negotiate(rig, 0);
    common_set(rig, VIRTIO_PCI_COMMON_queue_size, 2, 2048);
}

static void pci_touch_enabled_queue(struct rig *rig)
{
    set_up(rig);
    common_set(rig, VIRTIO_PCI_COMMON_queue_desc, 4, 0);
}

static void pci_disable_queue(struct rig *rig)
{
    set_up(rig);
    common_set(rig, VIRTIO_PCI_COMMON_queue_enable, 2, 0);
}

static void choose_no_vector(struct rig *rig)
{
    common_set(rig, VIRTIO_PCI_COMMON_config_msix_vector, 2, 100);
}

static void trust_vector(struct rig *rig)
{
    negotiate(rig, 0);
    common_set(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2, 1);
    vdrv_driver_ok(&rig->drv);
}

static void notify_wide(struct rig *rig)
{
    start(rig, 0);
    bus_write(rig->bus, rig->drv.q[0].notify_gpa, 4, 0);
}

static void notify_at_another_address(struct rig *rig)
{
    start(rig, 0);
    bus_write(rig->bus, rig->drv.q[0].notify_gpa, 2, 1);
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

#define DATA                                                          \
    {                                                                 \
        .features_on = NOTIFICATION_DATA, .always = NOTIFICATION_DATA \
    }
#define PACKED_DATA                                                                   \
    {                                                                                 \
        .features_on = NOTIFICATION_DATA, .always = NOTIFICATION_DATA, .packed = true \
    }

const struct strict_case strict_register_cases[] = {
    {.rule = STRICT_STATUS_CLEARED, .slip = clear_status},
    {.rule = STRICT_STATUS_CLEARED, .slip = clear_status, .config = PCI},
    {.rule = STRICT_STATUS_UNKNOWN, .slip = set_unknown_status},
    {.rule = STRICT_STATUS_ORDER, .slip = skip_features_ok},
    {.rule = STRICT_STATUS_ORDER, .slip = go_on_after_refusal, .more = true},
    {.rule = STRICT_STATUS_FAILED, .slip = go_on_after_failed},
    {.rule = STRICT_STATUS_NEEDS_RESET, .slip = notify_a_broken_device},
    {.rule = STRICT_STATUS_NEEDS_RESET, .slip = notify_a_broken_device, .config = PCI},
    {.rule = STRICT_INIT_NO_RESET, .slip = begin_without_reset},
    {.rule = STRICT_RESET_UNREAD, .slip = hurry_after_reset},
    {.rule = STRICT_RESET_UNREAD, .slip = pci_hurry_after_reset, .config = PCI},
    {.rule = STRICT_FEATURES_OK_UNREAD, .slip = trust_features_ok},
    {.rule = STRICT_FEATURES_OK_UNREAD,
     .slip = trust_features_ok,
     .config = {.transport = RIG_PCI, .intx = true}},
    {.rule = STRICT_FEATURES_OK_UNREAD, .slip = two_steps_at_once},
    {.rule = STRICT_FEATURE_UNOFFERED, .slip = accept_unoffered},
    {.rule = STRICT_FEATURE_UNOFFERED, .slip = accept_unoffered_word},
    {.rule = STRICT_FEATURE_UNOFFERED, .slip = accept_unoffered_word, .config = PCI},
    {.rule = STRICT_FEATURE_EARLY, .slip = accept_early},
    {.rule = STRICT_FEATURE_LATE, .slip = accept_late},
    {.rule = STRICT_VERSION_1, .slip = leave_out_version_1},
    {.rule = STRICT_CONFIG_OPTIONAL, .slip = read_optional_field, .device = ON_BLK},
    {.rule = STRICT_CONFIG_WRITE_EARLY, .slip = write_config_early},
    {.rule = STRICT_CONFIG_WRITE_EARLY, .slip = write_config_early, .config = PCI},
    {.rule = STRICT_QUEUE_NONE, .slip = set_up_no_queue},
    {.rule = STRICT_QUEUE_EARLY, .slip = set_up_early},
    {.rule = STRICT_QUEUE_LATE, .slip = set_up_late},
    {.rule = STRICT_QUEUE_RESET_FEATURE, .slip = reset_queue_without_feature},
    {.rule = STRICT_QUEUE_RESET_UNREAD, .slip = hurry_after_queue_reset},
    {.rule = STRICT_NOTIFY_EARLY, .slip = notify_early},
    {.rule = STRICT_NOTIFY_EARLY, .slip = notify_early, .config = PCI},
    {.rule = STRICT_NOTIFY_QUEUE, .slip = notify_no_queue},
    {.rule = STRICT_NOTIFY_QUEUE, .slip = notify_idle_queue},
    {.rule = STRICT_NOTIFY_QUEUE, .slip = notify_at_another_address, .config = PCI},
    {.rule = STRICT_NOTIFY_DATA, .slip = notify_anywhere, .config = DATA},
    {.rule = STRICT_NOTIFY_DATA, .slip = notify_anywhere, .config = PACKED_DATA},
    {.rule = STRICT_MMIO_DISCOVERY, .slip = discover_nothing},
    {.rule = STRICT_MMIO_WIDTH, .slip = read_a_byte},
    {.rule = STRICT_MMIO_NOT_THERE, .slip = read_nothing},
    {.rule = STRICT_MMIO_NOT_THERE, .slip = read_beyond_config},
    {.rule = STRICT_MMIO_READ_ONLY, .slip = write_read_only},
    {.rule = STRICT_MMIO_WRITE_ONLY, .slip = read_write_only},
    {.rule = STRICT_MMIO_SELECTOR, .slip = select_no_features},
    {.rule = STRICT_MMIO_QUEUE_SIZE, .slip = oversize},
    {.rule = STRICT_MMIO_QUEUE_BUSY, .slip = touch_ready_queue},
    {.rule = STRICT_MMIO_QUEUE_STOP, .slip = hurry_after_stop},
    {.rule = STRICT_MMIO_ACK, .slip = acknowledge_all},
    {.rule = STRICT_MMIO_CONFIG_WIDTH, .slip = read_config_wide, .device = ON_BLK},
    {.rule = STRICT_MMIO_CONFIG_WIDTH, .slip = read_config_narrow, .device = ON_BLK},
    {.rule = STRICT_MMIO_CONFIG_WIDTH, .slip = read_config_narrow, .device = ON_SCSI},
    {.rule = STRICT_PCI_WIDTH, .slip = read_config_narrow, .config = PCI, .device = ON_SCSI},
    {.rule = STRICT_CONFIG_OPTIONAL, .slip = read_pairs, .device = ON_NET},
    {.rule = STRICT_PCI_WIDTH, .slip = read_status_wide, .config = PCI},
    {.rule = STRICT_PCI_WIDTH, .slip = write_address_wide, .config = PCI},
    {.rule = STRICT_PCI_WIDTH, .slip = read_config_narrow, .config = PCI, .device = ON_BLK},
    {.rule = STRICT_PCI_READ_ONLY, .slip = write_num_queues, .config = PCI},
    {.rule = STRICT_PCI_QUEUE_SIZE, .slip = pci_size, .config = PCI},
    {.rule = STRICT_PCI_QUEUE_SIZE,
     .slip = pci_size,
     .config = {.transport = RIG_PCI, .packed = true}},
    {.rule = STRICT_PCI_QUEUE_SIZE_MAX, .slip = pci_oversize, .config = PCI},
    {.rule = STRICT_PCI_QUEUE_BUSY, .slip = pci_touch_enabled_queue, .config = PCI},
    {.rule = STRICT_PCI_QUEUE_DISABLE, .slip = pci_disable_queue, .config = PCI},
    {.rule = STRICT_PCI_VECTOR, .slip = choose_no_vector, .config = PCI},
    {.rule = STRICT_PCI_VECTOR_UNREAD, .slip = trust_vector, .config = PCI},
    {.rule = STRICT_PCI_NOTIFY_WIDTH, .slip = notify_wide, .config = PCI},
    {.rule = STRICT_PCI_WINDOW, .slip = use_window_badly, .config = PCI},
    {.rule = STRICT_SPLIT_SIZE, .slip = bad_size},
    {.rule = STRICT_SPLIT_ALIGN, .slip = misalign},
    {.rule = STRICT_SPLIT_MEMORY, .slip = leave_memory},
    {.rule = STRICT_PACKED_SIZE, .slip = bad_size, .config = {.packed = true}},
    {.rule = STRICT_PACKED_ALIGN, .slip = misalign, .config = {.packed = true}},
    {.rule = STRICT_PACKED_MEMORY, .slip = leave_memory, .config = {.packed = true}},
};
const unsigned strict_register_count = ARRAY_SIZE(strict_register_cases);
