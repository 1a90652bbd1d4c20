// SPDX-License-Identifier: BSD-2-Clause
/* Where the registers are: VIRTIO 1.4 4.2.2, 4.2.4, 4.1.4.3 and 4.1.4.10. */
#include "core/base/xmath.h"
#include "virtio/spec.h"
#include "virtio/transport/registers.h"

enum {
    R = VFIELD_R,
    W = VFIELD_W,
    RW = R | W,
    FREE_R = VFIELD_R | VFIELD_FREE_R,
    FREE_W = VFIELD_W | VFIELD_FREE_W,
    FREE_RW = RW | VFIELD_FREE_R, /* writes take the lock */
};

#define MMIO(name, bytes, access, reg)                \
    {                                                 \
        VIRTIO_MMIO_##name, bytes, access, VREG_##reg \
    }
#define COMMON(name, bytes, access, reg)                    \
    {                                                       \
        VIRTIO_PCI_COMMON_##name, bytes, access, VREG_##reg \
    }
#define LEGACY(name, bytes, access, reg)                    \
    {                                                       \
        VIRTIO_PCI_LEGACY_##name, bytes, access, VREG_##reg \
    }

/* clang-format off */
/* In both versions of virtio-mmio. */
#define MMIO_FIELDS                                           \
    MMIO(InterruptStatus,   4, FREE_R,  ISR),                 \
    MMIO(InterruptACK,      4, FREE_W,  ISR_ACK),             \
    MMIO(Status,            4, FREE_RW, STATUS),              \
    MMIO(MagicValue,        4, FREE_R,  MAGIC),               \
    MMIO(Version,           4, FREE_R,  VERSION),             \
    MMIO(DeviceID,          4, FREE_R,  DEVICE_ID),           \
    MMIO(VendorID,          4, FREE_R,  VENDOR_ID),           \
    MMIO(DeviceFeatures,    4, R,       DEVICE_FEATURES),     \
    MMIO(DeviceFeaturesSel, 4, W,       DEVICE_FEATURES_SEL), \
    MMIO(DriverFeatures,    4, W,       DRIVER_FEATURES),     \
    MMIO(DriverFeaturesSel, 4, W,       DRIVER_FEATURES_SEL), \
    MMIO(QueueSel,          4, W,       QUEUE_SEL),           \
    MMIO(QueueSizeMax,      4, R,       QUEUE_SIZE_MAX),      \
    MMIO(QueueSize,         4, W,       QUEUE_SIZE)

/* QueueReset is read without the lock, which is held as long as it is 1. */
static const struct virtio_place mmio[] = {
    MMIO(QueueNotify,       4, FREE_W,  NOTIFY),
    MMIO_FIELDS,
    MMIO(QueueReady,        4, RW,      QUEUE_READY),
    MMIO(QueueDescLow,      8, W,       QUEUE_DESC),
    MMIO(QueueDriverLow,    8, W,       QUEUE_DRIVER),
    MMIO(QueueDeviceLow,    8, W,       QUEUE_DEVICE),
    MMIO(SHMSel,            4, W,       SHM_SEL),
    MMIO(SHMLenLow,         8, R,       SHM_LEN),
    MMIO(SHMBaseLow,        8, R,       SHM_BASE),
    MMIO(QueueReset,        4, FREE_RW, QUEUE_RESET),
    MMIO(ConfigGeneration,  4, FREE_R,  GENERATION),
};

static const struct virtio_place mmio_legacy[] = {
    MMIO(QueueNotify,          4, W,       LEGACY_NOTIFY),
    MMIO_FIELDS,
    MMIO(LEGACY_GuestPageSize, 4, W,       PAGE_BYTES),
    MMIO(LEGACY_QueueAlign,    4, W,       QUEUE_ALIGN),
    MMIO(LEGACY_QueuePFN,      4, RW,      QUEUE_PAGE),
};

static const struct virtio_place pci[] = {
    COMMON(device_feature_select,   4, RW, DEVICE_FEATURES_SEL),
    COMMON(device_feature,          4, R,  DEVICE_FEATURES),
    COMMON(driver_feature_select,   4, RW, DRIVER_FEATURES_SEL),
    COMMON(driver_feature,          4, RW, DRIVER_FEATURES),
    COMMON(config_msix_vector,      2, RW, CONFIG_VECTOR),
    COMMON(num_queues,              2, R,  QUEUE_COUNT),
    COMMON(device_status,           1, RW, STATUS),
    COMMON(config_generation,       1, R,  GENERATION),
    COMMON(queue_select,            2, RW, QUEUE_SEL),
    COMMON(queue_size,              2, RW, QUEUE_SIZE),
    COMMON(queue_msix_vector,       2, RW, QUEUE_VECTOR),
    COMMON(queue_enable,            2, RW, QUEUE_ENABLE),
    COMMON(queue_notify_off,        2, R,  QUEUE_NOTIFY_OFF),
    COMMON(queue_desc,              8, RW, QUEUE_DESC),
    COMMON(queue_driver,            8, RW, QUEUE_DRIVER),
    COMMON(queue_device,            8, RW, QUEUE_DEVICE),
    COMMON(queue_notif_config_data, 2, R,  ZERO),
    COMMON(queue_reset,             2, RW, QUEUE_RESET),
    COMMON(admin_queue_index,       2, R,  ZERO),
    COMMON(admin_queue_num,         2, R,  ZERO),
};

static const struct virtio_place pci_legacy[] = {
    LEGACY(queue_notify,       2, W,      LEGACY_NOTIFY),
    LEGACY(isr_status,         1, FREE_R, ISR_TAKE),
    LEGACY(device_features,    4, R,      DEVICE_FEATURES_LOW),
    LEGACY(driver_features,    4, RW,     DRIVER_FEATURES_LOW),
    LEGACY(queue_address,      4, RW,     QUEUE_PAGE),
    LEGACY(queue_size,         2, R,      QUEUE_SIZE_MAX),
    LEGACY(queue_select,       2, RW,     QUEUE_SEL),
    LEGACY(device_status,      1, RW,     STATUS),
    /* From here on with MSI-X enabled only; without it the configuration space is there. */
    LEGACY(config_msix_vector, 2, RW,     CONFIG_VECTOR),
    LEGACY(queue_msix_vector,  2, RW,     QUEUE_VECTOR),
};
/* clang-format on */

#define FIELDS(table) .fields = (table), .count = ARRAY_SIZE(table)

const struct virtio_layout virtio_mmio_layouts[] = {
    {FIELDS(mmio), .width_max = 4, .is_mmio = true, .kick_bytes = 4, .kick_space = BUS_MMIO},
    {FIELDS(mmio_legacy), .width_max = 4, .is_mmio = true, .is_legacy = true, .kick_bytes = 4,
     .kick_space = BUS_MMIO},
};

const struct virtio_layout virtio_pci_layouts[] = {
    {FIELDS(pci), .width_max = 8, .kick_stride = VIRTIO_PCI_NOTIFY_MULTIPLIER,
     .kick_space = BUS_MMIO},
    {FIELDS(pci_legacy), .width_max = 4, .is_legacy = true, .kick_bytes = 2, .kick_space = BUS_PIO},
};
