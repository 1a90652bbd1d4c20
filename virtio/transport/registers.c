// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/transport/registers.h"

#include "core/base/try_lock.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "core/state/state.h"
#include "virtio/base/observer.h"
#include "virtio/spec.h"

#define BAD_ACCESS UINT64_MAX

/* ---- what they do ---- */

/* A legacy driver may kick before DRIVER_OK, and the first kick may start the device. */
static void legacy_notify(struct virtio_registers *r, uint32_t queue)
{
    if (!r->dev->legacy)
        return;
    virtio_device_legacy_kick(r->dev, queue);
    virtio_bells_update(r);
}

static void reset_selectors(struct virtio_registers *r)
{
    r->device_features_sel = r->driver_features_sel = 0;
    atomic_store(&r->queue_sel, 0);
    for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
        r->align[q] = r->queue_align;
}

/* The page size stays: a driver of version 1 writes it once, before its first reset (Linux does).
 */
static void set_status(struct virtio_registers *r, uint32_t value)
{
    virtio_device_set_status(r->dev, value);
    virtio_bells_update(r);
    if (value != 0)
        return;
    if (r->settles || r->dev->legacy)
        virtio_device_settle(r->dev);
    atomic_store(&r->isr, 0);
    reset_selectors(r);
    r->ops->reset(r);
}

static void set_ready(struct virtio_registers *r, uint32_t queue, bool ready)
{
    virtio_device_set_queue_ready(r->dev, queue, ready);
    virtio_bells_update(r);
}

/* VIRTIO 1.4 2.6.1. A queue that was not allowed to stays as it is. */
static void reset_queue(struct virtio_registers *r, uint32_t queue)
{
    if (!virtio_device_queue_ready(r->dev, queue))
        return;
    virtio_device_queue_reset(r->dev, queue);
    if (virtio_device_queue_ready(r->dev, queue))
        return;
    virtio_bells_update(r);
    r->ops->set(r, VREG_QUEUE_VECTOR, VIRTIO_MSI_NO_VECTOR);
}

/* A legacy driver's queue: one area from that page on. Without a page size or an alignment there
 * is nowhere to put it. */
static void set_page(struct virtio_registers *r, uint32_t queue, uint64_t page)
{
    struct vq_config *config = virtio_device_queue_writable(r->dev, queue);
    if (page != 0) {
        if (config == NULL || r->page_bytes == 0 || r->align[queue] == 0)
            return;
        virtio_legacy_lay_out(config, page * r->page_bytes, r->align[queue]);
    }
    set_ready(r, queue, page != 0);
}

/* A value that is no power of two leaves the register as it was. */
static void set_pow2(uint32_t *field, uint64_t value)
{
    if (is_pow2(value))
        *field = (uint32_t)value;
}

/* What is written here takes effect when the queue starts. */
static void set_queue(struct virtio_registers *r, uint32_t queue, enum virtio_register reg,
                      uint64_t value)
{
    struct vq_config *config = virtio_device_queue_writable(r->dev, queue);
    if (config == NULL)
        return;
    if (reg == VREG_QUEUE_SIZE)
        config->size = (uint32_t)value;
    else if (reg == VREG_QUEUE_ALIGN)
        set_pow2(&r->align[queue], value);
    else
        *virtio_queue_area(config, reg) = value;
}

static void set(struct virtio_registers *r, enum virtio_register reg, uint64_t value)
{
    uint32_t queue = atomic_load(&r->queue_sel), low = (uint32_t)value;
    switch (reg) {
    case VREG_LEGACY_NOTIFY:
        legacy_notify(r, low);
        break;
    case VREG_ISR_ACK:
        atomic_fetch_and(&r->isr, ~low);
        break;
    case VREG_DEVICE_FEATURES_SEL:
        r->device_features_sel = low;
        break;
    case VREG_DRIVER_FEATURES_SEL:
        r->driver_features_sel = low;
        break;
    case VREG_DRIVER_FEATURES:
        virtio_device_accept(r->dev, r->driver_features_sel, low);
        break;
    case VREG_DRIVER_FEATURES_LOW:
        virtio_device_accept(r->dev, 0, low);
        break;
    case VREG_STATUS:
        set_status(r, low);
        break;
    case VREG_QUEUE_SEL:
        atomic_store(&r->queue_sel, low);
        break;
    case VREG_QUEUE_READY:
    case VREG_QUEUE_ENABLE:
        if (value == 1 || (value == 0 && reg == VREG_QUEUE_READY))
            set_ready(r, queue, value == 1);
        break;
    case VREG_QUEUE_RESET:
        if (value == 1)
            reset_queue(r, queue);
        break;
    case VREG_QUEUE_PAGE:
        set_page(r, queue, value);
        break;
    case VREG_PAGE_BYTES:
        set_pow2(&r->page_bytes, value);
        break;
    default:
        if (reg < VREG_OWN)
            set_queue(r, queue, reg, value);
        else
            r->ops->set(r, reg, value);
        break;
    }
}

/*
 * Without RING_PACKED it reads as a power of two or 0 whatever was written (VIRTIO 1.4 4.1.4.3.1);
 * what is neither is refused when the queue starts.
 */
static uint32_t shown_size(const struct virtio_registers *r, uint32_t size)
{
    bool any = virtio_device_negotiated(r->dev, VIRTIO_F_RING_PACKED);
    return any || is_pow2(size) ? size : 0;
}

static uint64_t get_queue(const struct virtio_registers *r, uint32_t queue,
                          enum virtio_register reg)
{
    if (queue >= r->dev->cfg.queue_count)
        return 0;
    struct vq_config config = *virtio_device_queue_config(r->dev, queue);
    bool ready = virtio_device_queue_ready(r->dev, queue);
    switch (reg) {
    case VREG_QUEUE_SIZE:
        return shown_size(r, config.size);
    case VREG_QUEUE_READY:
    case VREG_QUEUE_ENABLE:
        return ready;
    case VREG_QUEUE_NOTIFY_OFF:
        return queue;
    case VREG_QUEUE_PAGE:
        return ready && r->page_bytes != 0 ? config.desc / r->page_bytes : 0;
    default:
        return *virtio_queue_area(&config, reg);
    }
}

static uint64_t get(struct virtio_registers *r, enum virtio_register reg)
{
    uint32_t queue = atomic_load(&r->queue_sel);
    switch (reg) {
    case VREG_ISR:
        return atomic_load(&r->isr);
    case VREG_ZERO: /* there is no administration queue, and no data for notifications */
        return 0;
    case VREG_DEVICE_FEATURES_SEL:
        return r->device_features_sel;
    case VREG_DEVICE_FEATURES:
        return virtio_device_features(r->dev, r->device_features_sel);
    case VREG_DEVICE_FEATURES_LOW:
        return virtio_device_features(r->dev, 0);
    case VREG_DRIVER_FEATURES_SEL:
        return r->driver_features_sel;
    case VREG_DRIVER_FEATURES:
        return virtio_device_accepted(r->dev, r->driver_features_sel);
    case VREG_DRIVER_FEATURES_LOW:
        return virtio_device_accepted(r->dev, 0);
    case VREG_QUEUE_COUNT:
        return r->dev->cfg.queue_count;
    case VREG_STATUS:
        return virtio_device_status(r->dev);
    case VREG_GENERATION:
        return virtio_device_generation(r->dev);
    case VREG_QUEUE_SEL:
        return queue;
    case VREG_QUEUE_SIZE_MAX:
        return virtio_device_queue_size_max(r->dev, queue);
    case VREG_QUEUE_RESET:
        return virtio_device_queue_resetting(r->dev, queue);
    default:
        return reg < VREG_OWN ? get_queue(r, queue, reg) : r->ops->get(r, reg);
    }
}

/* ---- accesses ---- */

/* The field that the access is for: the whole of it, or a half of 64 bits. */
static const struct virtio_place *find(const struct virtio_layout *layout, uint64_t offset,
                                       unsigned width)
{
    for (unsigned i = 0; i < layout->count; i++) {
        const struct virtio_place *f = &layout->fields[i];
        uint64_t at = offset - f->offset;
        if (at >= f->bytes)
            continue;
        bool fits = width == f->bytes || (f->bytes == 8 && width == 4);
        return fits && width <= layout->width_max && is_aligned(at, width) ? f : NULL;
    }
    return NULL;
}

static void tell(const struct virtio_registers *r, unsigned structure, bool write, uint64_t offset,
                 unsigned width, uint64_t value, const struct virtio_layout *layout,
                 const struct virtio_place *field)
{
    if (!layout->is_legacy)
        virtio_observe_access(
            r->dev, &(struct virtio_access){structure, write, offset, width, value, layout, field});
}

/*
 * The interface that a driver touches before its first step is the one that it uses (VIRTIO 1.4
 * 1.3.1): it tells the device whether the driver is a legacy one.
 */
static void lock(struct virtio_registers *r, bool legacy)
{
    pthread_mutex_lock(&r->lock);
    virtio_device_set_legacy(r->dev, legacy);
}

static uint64_t read_locked(struct virtio_registers *r, bool legacy, enum virtio_register reg)
{
    lock(r, legacy);
    uint64_t value = get(r, reg);
    pthread_mutex_unlock(&r->lock);
    return value;
}

static uint64_t read_field(struct virtio_registers *r, const struct virtio_layout *layout,
                           const struct virtio_place *f, uint64_t offset, unsigned width)
{
    if (f == NULL || !(f->access & VFIELD_R))
        return layout->is_mmio && width == 4 && is_aligned(offset, 4) ? 0 : BAD_ACCESS;
    uint64_t value =
        f->access & VFIELD_FREE_R ? get(r, f->reg) : read_locked(r, layout->is_legacy, f->reg);
    return value >> 8 * (offset - f->offset) & width_mask(width);
}

uint64_t virtio_registers_read(struct virtio_registers *r, bool legacy, uint64_t offset,
                               unsigned width)
{
    const struct virtio_layout *layout = &r->layouts[legacy];
    const struct virtio_place *f = find(layout, offset, width);
    uint64_t value = read_field(r, layout, f, offset, width);
    tell(r, VIRTIO_PCI_CAP_COMMON_CFG, false, offset, width, value, layout, f);
    return value;
}

static void write_locked(struct virtio_registers *r, bool legacy, const struct virtio_place *f,
                         uint64_t offset, unsigned width, uint64_t value)
{
    unsigned shift = 8 * (unsigned)(offset - f->offset);
    uint64_t mask = width_mask(width);
    lock(r, legacy);
    uint64_t rest = width < f->bytes ? get(r, f->reg) & ~(mask << shift) : 0;
    set(r, f->reg, rest | (value & mask) << shift);
    pthread_mutex_unlock(&r->lock);
}

void virtio_registers_write(struct virtio_registers *r, bool legacy, uint64_t offset,
                            unsigned width, uint64_t value)
{
    const struct virtio_layout *layout = &r->layouts[legacy];
    const struct virtio_place *f = find(layout, offset, width);
    tell(r, VIRTIO_PCI_CAP_COMMON_CFG, true, offset, width, value, layout, f);
    if (f == NULL || !(f->access & VFIELD_W))
        return;
    if (f->reg == VREG_NOTIFY) /* by far the most frequent: no lock, no call more than needed */
        virtio_device_notified(r->dev, (uint32_t)value);
    else if (f->access & VFIELD_FREE_W)
        set(r, f->reg, value);
    else
        write_locked(r, legacy, f, offset, width, value);
}

uint64_t virtio_config_read(struct virtio_registers *r, bool legacy, uint64_t offset,
                            unsigned width)
{
    pthread_mutex_lock(&r->lock);
    uint64_t value = virtio_device_config_read(r->dev, offset, width);
    pthread_mutex_unlock(&r->lock);
    tell(r, VIRTIO_PCI_CAP_DEVICE_CFG, false, offset, width, value, &r->layouts[legacy], NULL);
    return value;
}

void virtio_config_write(struct virtio_registers *r, bool legacy, uint64_t offset, unsigned width,
                         uint64_t value)
{
    tell(r, VIRTIO_PCI_CAP_DEVICE_CFG, true, offset, width, value, &r->layouts[legacy], NULL);
    pthread_mutex_lock(&r->lock);
    virtio_device_config_write(r->dev, offset, width, value);
    pthread_mutex_unlock(&r->lock);
}

/* ---- life ---- */

void virtio_registers_init(struct virtio_registers *r)
{
    pthread_mutex_init(&r->lock, NULL);
    reset_selectors(r);
    virtio_bells_init(r);
}

void virtio_registers_fini(struct virtio_registers *r)
{
    virtio_bells_fini(r);
    pthread_mutex_destroy(&r->lock);
}

/* ---- saved and loaded ---- */

static uint32_t state_pow2(struct state *s, const char *name, uint32_t value)
{
    value = (uint32_t)state_number(s, name, value, UINT32_MAX);
    if (value != 0 && !is_pow2(value))
        state_refuse(s, "a size that is no power of two");
    return value;
}

static void legacy_state(struct virtio_registers *r, struct state *s)
{
    r->page_bytes = state_pow2(s, "page_bytes", r->page_bytes);
    for (unsigned q = 0; q < r->dev->cfg.queue_count && state_begin(s, "align", q, 1); q++) {
        r->align[q] = state_pow2(s, "bytes", r->align[q]);
        state_end(s);
    }
}

void virtio_registers_state(struct virtio_registers *r, struct state *s)
{
    pthread_mutex_lock(&r->lock);
    uint32_t isr = atomic_load(&r->isr), queue = atomic_load(&r->queue_sel);
    atomic_store(&r->isr, (uint32_t)state_number(s, "isr", isr, UINT32_MAX));
    atomic_store(&r->queue_sel, (uint32_t)state_number(s, "queue_sel", queue, UINT32_MAX));
    r->device_features_sel =
        (uint32_t)state_number(s, "device_features_sel", r->device_features_sel, UINT32_MAX);
    r->driver_features_sel =
        (uint32_t)state_number(s, "driver_features_sel", r->driver_features_sel, UINT32_MAX);
    legacy_state(r, s);
    virtio_device_state(r->dev, s);
    virtio_bells_update(r);
    pthread_mutex_unlock(&r->lock);
}

void virtio_registers_describe(struct virtio_registers *r, struct facts *f)
{
    static const char *const causes[] = {"QUEUE", "CONFIG"};
    facts_bits(f, "interrupt_status", atomic_load(&r->isr), causes, ARRAY_SIZE(causes));
    if (!try_lock(&r->lock)) {
        facts_flag(f, "busy", true);
        return;
    }
    facts_number(f, "queue_select", atomic_load(&r->queue_sel));
    virtio_device_describe(r->dev, f);
    pthread_mutex_unlock(&r->lock);
}
