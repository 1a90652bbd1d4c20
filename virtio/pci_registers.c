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

#include "core/xmath.h"
#include "virtio/pci_impl.h"
#include "virtio/spec.h"
#include "virtio/strict.h"

#define BAD_ACCESS UINT64_MAX
#define PAGE       ((uint64_t)VIRTIO_PCI_LEGACY_PAGE_BYTES)

struct field {
    uint8_t offset, bytes;
    uint64_t (*get)(struct virtio_pci *p);
    void (*set)(struct virtio_pci *p, uint64_t value); /* NULL: read-only */
};

/* ---- features ---- */

static uint64_t get_device_feature_select(struct virtio_pci *p)
{
    return p->device_feature_select;
}

static void set_device_feature_select(struct virtio_pci *p, uint64_t value)
{
    p->device_feature_select = (uint32_t)value;
}

static uint64_t get_device_feature(struct virtio_pci *p)
{
    return virtio_device_features(p->dev, p->device_feature_select);
}

static uint64_t get_driver_feature_select(struct virtio_pci *p)
{
    return p->driver_feature_select;
}

static void set_driver_feature_select(struct virtio_pci *p, uint64_t value)
{
    p->driver_feature_select = (uint32_t)value;
}

static uint64_t get_driver_feature(struct virtio_pci *p)
{
    return virtio_device_accepted(p->dev, p->driver_feature_select);
}

static void set_driver_feature(struct virtio_pci *p, uint64_t value)
{
    virtio_device_accept(p->dev, p->driver_feature_select, (uint32_t)value);
}

static uint64_t get_low_device_features(struct virtio_pci *p)
{
    return virtio_device_features(p->dev, 0);
}

static uint64_t get_low_driver_features(struct virtio_pci *p)
{
    return virtio_device_accepted(p->dev, 0);
}

static void set_low_driver_features(struct virtio_pci *p, uint64_t value)
{
    virtio_device_accept(p->dev, 0, (uint32_t)value);
}

/* ---- vectors ---- */

static uint16_t valid_vector(const struct virtio_pci *p, uint64_t vector)
{
    unsigned count = msix_vectors(p->msix);
    if (vector >= count && vector != VIRTIO_MSI_NO_VECTOR)
        strict_report(p->dev, STRICT_NO_QUEUE, STRICT_PCI_VECTOR, "%u of %u", (unsigned)vector,
                      count);
    return vector < count ? (uint16_t)vector : (uint16_t)VIRTIO_MSI_NO_VECTOR;
}

static uint64_t get_config_vector(struct virtio_pci *p)
{
    return atomic_load(&p->config_vector);
}

static void set_config_vector(struct virtio_pci *p, uint64_t value)
{
    atomic_store(&p->config_vector, valid_vector(p, value));
}

static bool queue_exists(const struct virtio_pci *p)
{
    return p->queue_select < p->dev->cfg.queue_count;
}

static uint64_t get_queue_vector(struct virtio_pci *p)
{
    return queue_exists(p) ? atomic_load(&p->queue_vector[p->queue_select]) : VIRTIO_MSI_NO_VECTOR;
}

static void set_queue_vector(struct virtio_pci *p, uint64_t value)
{
    if (queue_exists(p))
        atomic_store(&p->queue_vector[p->queue_select], valid_vector(p, value));
}

/* ---- the device ---- */

static uint64_t get_num_queues(struct virtio_pci *p)
{
    return p->dev->cfg.queue_count;
}

static uint64_t get_status(struct virtio_pci *p)
{
    return virtio_device_status(p->dev);
}

static void set_status(struct virtio_pci *p, uint64_t value)
{
    virtio_device_set_status(p->dev, (uint32_t)value);
    virtio_pci_bells_update(p);
    if (value != 0)
        return;
    p->device_feature_select = p->driver_feature_select = 0;
    p->queue_select = 0;
    virtio_pci_forget_interrupts(p);
}

static uint64_t get_generation(struct virtio_pci *p)
{
    return virtio_device_generation(p->dev) & 0xff;
}

static uint64_t get_zero(struct virtio_pci *p)
{
    (void)p;
    return 0;
}

/* ---- the selected queue ---- */

static uint64_t get_queue_select(struct virtio_pci *p)
{
    return p->queue_select;
}

static void set_queue_select(struct virtio_pci *p, uint64_t value)
{
    p->queue_select = (uint16_t)value;
}

/*
 * Without RING_PACKED it reads as a power of two or 0 whatever was written (VIRTIO 1.4 4.1.4.3.1);
 * what is neither is refused when the queue starts.
 */
static uint64_t get_queue_size(struct virtio_pci *p)
{
    const struct vq_config *config = virtio_device_queue_config(p->dev, p->queue_select);
    if (config == NULL)
        return 0;
    bool any = virtio_device_negotiated(p->dev, VIRTIO_F_RING_PACKED);
    return any || is_pow2(config->size) ? config->size : 0;
}

static void set_queue_size(struct virtio_pci *p, uint64_t value)
{
    struct vq_config *config = virtio_device_queue_writable(p->dev, p->queue_select);
    if (config != NULL)
        config->size = (uint32_t)value;
}

static uint64_t get_queue_enable(struct virtio_pci *p)
{
    return virtio_device_queue_ready(p->dev, p->queue_select);
}

static void set_queue_enable(struct virtio_pci *p, uint64_t value)
{
    if (value != 1)
        return;
    virtio_device_set_queue_ready(p->dev, p->queue_select, true);
    virtio_pci_bells_update(p);
}

static uint64_t get_queue_notify_off(struct virtio_pci *p)
{
    return queue_exists(p) ? p->queue_select : 0;
}

static uint64_t get_queue_reset(struct virtio_pci *p)
{
    return virtio_device_queue_resetting(p->dev, p->queue_select);
}

static void set_queue_reset(struct virtio_pci *p, uint64_t value)
{
    if (value != 1 || !virtio_device_queue_ready(p->dev, p->queue_select))
        return;
    virtio_device_queue_reset(p->dev, p->queue_select);
    if (virtio_device_queue_ready(p->dev, p->queue_select)) /* it was not allowed to */
        return;
    virtio_pci_bells_update(p);
    set_queue_vector(p, VIRTIO_MSI_NO_VECTOR);
}

static uint64_t get_queue_desc(struct virtio_pci *p)
{
    const struct vq_config *config = virtio_device_queue_config(p->dev, p->queue_select);
    return config != NULL ? config->desc : 0;
}

static void set_queue_desc(struct virtio_pci *p, uint64_t value)
{
    struct vq_config *config = virtio_device_queue_writable(p->dev, p->queue_select);
    if (config != NULL)
        config->desc = value;
}

static uint64_t get_queue_driver(struct virtio_pci *p)
{
    const struct vq_config *config = virtio_device_queue_config(p->dev, p->queue_select);
    return config != NULL ? config->driver : 0;
}

static void set_queue_driver(struct virtio_pci *p, uint64_t value)
{
    struct vq_config *config = virtio_device_queue_writable(p->dev, p->queue_select);
    if (config != NULL)
        config->driver = value;
}

static uint64_t get_queue_device(struct virtio_pci *p)
{
    const struct vq_config *config = virtio_device_queue_config(p->dev, p->queue_select);
    return config != NULL ? config->device : 0;
}

static void set_queue_device(struct virtio_pci *p, uint64_t value)
{
    struct vq_config *config = virtio_device_queue_writable(p->dev, p->queue_select);
    if (config != NULL)
        config->device = value;
}

/* ---- the selected queue, by its page: the legacy interface ---- */

static uint64_t get_queue_size_max(struct virtio_pci *p)
{
    return virtio_device_queue_size_max(p->dev, p->queue_select);
}

static uint64_t get_queue_page(struct virtio_pci *p)
{
    bool ready = virtio_device_queue_ready(p->dev, p->queue_select);
    return ready ? get_queue_desc(p) / PAGE : 0;
}

/* VIRTIO 1.4 2.7.2: one area, in which the used ring begins a page. Page 0 stops the queue. */
static void set_queue_page(struct virtio_pci *p, uint64_t page)
{
    struct vq_config *config = virtio_device_queue_writable(p->dev, p->queue_select);
    if (page != 0 && config != NULL) {
        uint32_t size = virtio_device_queue_size_max(p->dev, p->queue_select);
        config->size = size;
        config->desc = page * PAGE;
        config->driver = config->desc + (uint64_t)VIRTQ_DESC_BYTES * size;
        config->device = align_up(config->driver + VIRTQ_AVAIL_BYTES(size), PAGE);
    }
    virtio_device_set_queue_ready(p->dev, p->queue_select, page != 0);
    virtio_pci_bells_update(p);
}

/* ---- the layouts ---- */

#define COMMON(name, bytes, get, set)             \
    {                                             \
        VIRTIO_PCI_COMMON_##name, bytes, get, set \
    }
#define LEGACY(name, bytes, get, set)             \
    {                                             \
        VIRTIO_PCI_LEGACY_##name, bytes, get, set \
    }

static const struct field common_fields[] = {
    COMMON(device_feature_select, 4, get_device_feature_select, set_device_feature_select),
    COMMON(device_feature, 4, get_device_feature, NULL),
    COMMON(driver_feature_select, 4, get_driver_feature_select, set_driver_feature_select),
    COMMON(driver_feature, 4, get_driver_feature, set_driver_feature),
    COMMON(config_msix_vector, 2, get_config_vector, set_config_vector),
    COMMON(num_queues, 2, get_num_queues, NULL),
    COMMON(device_status, 1, get_status, set_status),
    COMMON(config_generation, 1, get_generation, NULL),
    COMMON(queue_select, 2, get_queue_select, set_queue_select),
    COMMON(queue_size, 2, get_queue_size, set_queue_size),
    COMMON(queue_msix_vector, 2, get_queue_vector, set_queue_vector),
    COMMON(queue_enable, 2, get_queue_enable, set_queue_enable),
    COMMON(queue_notify_off, 2, get_queue_notify_off, NULL),
    COMMON(queue_desc, 8, get_queue_desc, set_queue_desc),
    COMMON(queue_driver, 8, get_queue_driver, set_queue_driver),
    COMMON(queue_device, 8, get_queue_device, set_queue_device),
    COMMON(queue_notif_config_data, 2, get_zero, NULL),
    COMMON(queue_reset, 2, get_queue_reset, set_queue_reset),
    COMMON(admin_queue_index, 2, get_zero, NULL),
    COMMON(admin_queue_num, 2, get_zero, NULL),
};

/* The notification and the ISR status are not here: they take no lock, or more than one step. */
static const struct field legacy_fields[] = {
    LEGACY(device_features, 4, get_low_device_features, NULL),
    LEGACY(driver_features, 4, get_low_driver_features, set_low_driver_features),
    LEGACY(queue_address, 4, get_queue_page, set_queue_page),
    LEGACY(queue_size, 2, get_queue_size_max, NULL),
    LEGACY(queue_select, 2, get_queue_select, set_queue_select),
    LEGACY(device_status, 1, get_status, set_status),
    /* From here on with MSI-X enabled only; without it the configuration space is there. */
    LEGACY(config_msix_vector, 2, get_config_vector, set_config_vector),
    LEGACY(queue_msix_vector, 2, get_queue_vector, set_queue_vector),
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
    uint64_t value = f->get(p) >> 8 * (offset - f->offset) & width_mask(width);
    pthread_mutex_unlock(&p->lock);
    return value;
}

void virtio_pci_register_write(struct virtio_pci *p, bool legacy, uint64_t offset, unsigned width,
                               uint64_t value)
{
    const struct field *f = find(legacy ? &legacy_layout : &common_layout, offset, width);
    if (f == NULL || f->set == NULL)
        return;
    unsigned shift = 8 * (unsigned)(offset - f->offset);
    uint64_t mask = width_mask(width);
    pthread_mutex_lock(&p->lock);
    virtio_device_set_legacy(p->dev, legacy);
    uint64_t rest = width < f->bytes ? f->get(p) & ~(mask << shift) : 0;
    f->set(p, rest | (value & mask) << shift);
    pthread_mutex_unlock(&p->lock);
}
