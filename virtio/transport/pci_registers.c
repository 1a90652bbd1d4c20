// SPDX-License-Identifier: BSD-2-Clause
/*
 * The registers of the virtio-pci transport: one set of them, in two layouts. Each register takes
 * accesses of its own width, and one of 64 bits its halves as well; anything else reads as all ones
 * and is dropped as a write.
 *
 * The interface that a driver touches before its first step is the one that it uses (VIRTIO 1.4
 * 1.3.1): it tells the device whether the driver is a legacy one.
 */
#include <stdatomic.h>

#include "core/base/xmath.h"
#include "virtio/base/observer.h"
#include "virtio/spec.h"
#include "virtio/transport/pci_impl.h"

#define BAD_ACCESS UINT64_MAX
#define PAGE       ((uint64_t)VIRTIO_PCI_LEGACY_PAGE_BYTES)

/* The registers, as the modern layout has them; the others are of the legacy one. */
#define COMMON(name) VIRTIO_PCI_COMMON_##name

enum {
    QUEUE_PAGE = 0x80,
    QUEUE_SIZE_MAX,
    LOW_DEVICE_FEATURES,
    LOW_DRIVER_FEATURES,
};

struct field {
    uint8_t offset, bytes, reg;
};

/* ---- what they do ---- */

static uint16_t valid_vector(const struct virtio_pci *p, uint64_t vector)
{
    unsigned count = msix_vectors(p->msix);
    if (vector >= count && vector != VIRTIO_MSI_NO_VECTOR)
        virtio_observe(p->dev, VIRTIO_ON_BAD_VECTOR, NULL, NULL, vector);
    return vector < count ? (uint16_t)vector : (uint16_t)VIRTIO_MSI_NO_VECTOR;
}

static void set_status(struct virtio_pci *p, uint32_t value)
{
    virtio_device_set_status(p->dev, value);
    virtio_pci_bells_update(p);
    if (value != 0)
        return;
    if (p->dev->legacy) /* such drivers do not ask whether the reset is done */
        virtio_device_settle(p->dev);
    p->device_feature_select = p->driver_feature_select = 0;
    p->queue_select = 0;
    virtio_pci_forget_interrupts(p);
}

static void enable_queue(struct virtio_pci *p)
{
    virtio_device_set_queue_ready(p->dev, p->queue_select, true);
    virtio_pci_bells_update(p);
}

static void reset_queue(struct virtio_pci *p)
{
    if (!virtio_device_queue_ready(p->dev, p->queue_select))
        return;
    virtio_device_queue_reset(p->dev, p->queue_select);
    if (virtio_device_queue_ready(p->dev, p->queue_select)) /* it was not allowed to */
        return;
    virtio_pci_bells_update(p);
    virtio_pci_set_vector(p, p->queue_select, VIRTIO_MSI_NO_VECTOR);
}

/* A legacy driver's queue: one area from that page on. Page 0 stops it. */
static void set_queue_page(struct virtio_pci *p, struct vq_config *config, uint64_t page)
{
    if (page != 0) {
        config->size = virtio_device_queue_size_max(p->dev, p->queue_select);
        virtio_legacy_lay_out(config, page * PAGE, PAGE);
    }
    virtio_device_set_queue_ready(p->dev, p->queue_select, page != 0);
    virtio_pci_bells_update(p);
}

/*
 * Without RING_PACKED it reads as a power of two or 0 whatever was written (VIRTIO 1.4 4.1.4.3.1);
 * what is neither is refused when the queue starts.
 */
static uint32_t shown_size(const struct virtio_pci *p, uint32_t size)
{
    bool any = virtio_device_negotiated(p->dev, VIRTIO_F_RING_PACKED);
    return any || is_pow2(size) ? size : 0;
}

static uint64_t get(const struct virtio_pci *p, unsigned reg)
{
    static const struct vq_config none;
    uint32_t queue = p->queue_select;
    const struct vq_config *config = virtio_device_queue_config(p->dev, queue);
    bool exists = config != NULL;
    if (!exists)
        config = &none;
    switch (reg) {
    case COMMON(device_feature_select):
        return p->device_feature_select;
    case COMMON(device_feature):
        return virtio_device_features(p->dev, p->device_feature_select);
    case LOW_DEVICE_FEATURES:
        return virtio_device_features(p->dev, 0);
    case COMMON(driver_feature_select):
        return p->driver_feature_select;
    case COMMON(driver_feature):
        return virtio_device_accepted(p->dev, p->driver_feature_select);
    case LOW_DRIVER_FEATURES:
        return virtio_device_accepted(p->dev, 0);
    case COMMON(config_msix_vector):
        return atomic_load(&p->config_vector);
    case COMMON(num_queues):
        return p->dev->cfg.queue_count;
    case COMMON(device_status):
        return virtio_device_status(p->dev);
    case COMMON(config_generation):
        return virtio_device_generation(p->dev) & 0xff;
    case COMMON(queue_select):
        return queue;
    case COMMON(queue_size):
        return shown_size(p, config->size);
    case QUEUE_SIZE_MAX:
        return virtio_device_queue_size_max(p->dev, queue);
    case COMMON(queue_msix_vector):
        return exists ? atomic_load(&p->queue_vector[queue]) : VIRTIO_MSI_NO_VECTOR;
    case COMMON(queue_enable):
        return virtio_device_queue_ready(p->dev, queue);
    case COMMON(queue_notify_off):
        return exists ? queue : 0;
    case COMMON(queue_desc):
        return config->desc;
    case COMMON(queue_driver):
        return config->driver;
    case COMMON(queue_device):
        return config->device;
    case QUEUE_PAGE:
        return virtio_device_queue_ready(p->dev, queue) ? config->desc / PAGE : 0;
    case COMMON(queue_reset):
        return virtio_device_queue_resetting(p->dev, queue);
    default: /* there is no administration queue, and no data for notifications */
        return 0;
    }
}

static void set(struct virtio_pci *p, unsigned reg, uint64_t value)
{
    struct vq_config ignored, *config = virtio_device_queue_writable(p->dev, p->queue_select);
    if (config == NULL)
        config = &ignored;
    switch (reg) {
    case COMMON(device_feature_select):
        p->device_feature_select = (uint32_t)value;
        break;
    case COMMON(driver_feature_select):
        p->driver_feature_select = (uint32_t)value;
        break;
    case COMMON(driver_feature):
        virtio_device_accept(p->dev, p->driver_feature_select, (uint32_t)value);
        break;
    case LOW_DRIVER_FEATURES:
        virtio_device_accept(p->dev, 0, (uint32_t)value);
        break;
    case COMMON(config_msix_vector):
        atomic_store(&p->config_vector, valid_vector(p, value));
        break;
    case COMMON(device_status):
        set_status(p, (uint32_t)value);
        break;
    case COMMON(queue_select):
        p->queue_select = (uint16_t)value;
        break;
    case COMMON(queue_size):
        config->size = (uint32_t)value;
        break;
    case COMMON(queue_msix_vector):
        if (p->queue_select < p->dev->cfg.queue_count)
            virtio_pci_set_vector(p, p->queue_select, valid_vector(p, value));
        break;
    case COMMON(queue_enable):
        if (value == 1)
            enable_queue(p);
        break;
    case COMMON(queue_desc):
        config->desc = value;
        break;
    case COMMON(queue_driver):
        config->driver = value;
        break;
    case COMMON(queue_device):
        config->device = value;
        break;
    case QUEUE_PAGE:
        set_queue_page(p, config, value);
        break;
    case COMMON(queue_reset):
        if (value == 1)
            reset_queue(p);
        break;
    default: /* read-only */
        break;
    }
}

/* ---- the layouts ---- */

#define FIELD(name, bytes)                \
    {                                     \
        COMMON(name), bytes, COMMON(name) \
    }
#define LEGACY(name, bytes, reg)             \
    {                                        \
        VIRTIO_PCI_LEGACY_##name, bytes, reg \
    }

static const struct field common_fields[] = {
    FIELD(device_feature_select, 4),
    FIELD(device_feature, 4),
    FIELD(driver_feature_select, 4),
    FIELD(driver_feature, 4),
    FIELD(config_msix_vector, 2),
    FIELD(num_queues, 2),
    FIELD(device_status, 1),
    FIELD(config_generation, 1),
    FIELD(queue_select, 2),
    FIELD(queue_size, 2),
    FIELD(queue_msix_vector, 2),
    FIELD(queue_enable, 2),
    FIELD(queue_notify_off, 2),
    FIELD(queue_desc, 8),
    FIELD(queue_driver, 8),
    FIELD(queue_device, 8),
    FIELD(queue_notif_config_data, 2),
    FIELD(queue_reset, 2),
    FIELD(admin_queue_index, 2),
    FIELD(admin_queue_num, 2),
};

/* The notification and the ISR status are not here: they take no lock, or more than one step. */
static const struct field legacy_fields[] = {
    LEGACY(device_features, 4, LOW_DEVICE_FEATURES),
    LEGACY(driver_features, 4, LOW_DRIVER_FEATURES),
    LEGACY(queue_address, 4, QUEUE_PAGE),
    LEGACY(queue_size, 2, QUEUE_SIZE_MAX),
    LEGACY(queue_select, 2, COMMON(queue_select)),
    LEGACY(device_status, 1, COMMON(device_status)),
    /* From here on with MSI-X enabled only; without it the configuration space is there. */
    LEGACY(config_msix_vector, 2, COMMON(config_msix_vector)),
    LEGACY(queue_msix_vector, 2, COMMON(queue_msix_vector)),
};

struct layout {
    const struct field *fields;
    unsigned count;
};

static const struct layout common_layout = {common_fields, ARRAY_SIZE(common_fields)};
static const struct layout legacy_layout = {legacy_fields, ARRAY_SIZE(legacy_fields)};

/* The field that the access is for: the whole of it, or a half of 64 bits. */
static const struct field *find(const struct layout *layout, uint64_t offset, unsigned width)
{
    for (unsigned i = 0; i < layout->count; i++) {
        const struct field *f = &layout->fields[i];
        if (offset == f->offset && width == f->bytes)
            return f;
        if (f->bytes == 8 && width == 4 && (offset == f->offset || offset == f->offset + 4u))
            return f;
    }
    return NULL;
}

uint64_t virtio_pci_register_read(struct virtio_pci *p, bool legacy, uint64_t offset,
                                  unsigned width)
{
    const struct field *f = find(legacy ? &legacy_layout : &common_layout, offset, width);
    if (f == NULL)
        return BAD_ACCESS;
    pthread_mutex_lock(&p->lock);
    virtio_device_set_legacy(p->dev, legacy);
    uint64_t value = get(p, f->reg) >> 8 * (offset - f->offset) & width_mask(width);
    pthread_mutex_unlock(&p->lock);
    return value;
}

void virtio_pci_register_write(struct virtio_pci *p, bool legacy, uint64_t offset, unsigned width,
                               uint64_t value)
{
    const struct field *f = find(legacy ? &legacy_layout : &common_layout, offset, width);
    if (f == NULL)
        return;
    unsigned shift = 8 * (unsigned)(offset - f->offset);
    uint64_t mask = width_mask(width);
    pthread_mutex_lock(&p->lock);
    virtio_device_set_legacy(p->dev, legacy);
    uint64_t rest = width < f->bytes ? get(p, f->reg) & ~(mask << shift) : 0;
    set(p, f->reg, rest | (value & mask) << shift);
    pthread_mutex_unlock(&p->lock);
}
