// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/mmio.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/bus.h"
#include "core/fail.h"
#include "core/le.h"
#include "core/log.h"
#include "core/xmath.h"
#include "virtio/device.h"
#include "virtio/spec.h"

#define VENDOR_ID   0x5654494du /* "MITV"; the specification assigns none */
#define KICK_BYTES  4u          /* QueueNotify is written as 32 bits */
#define NOT_OFFERED UINT32_MAX  /* length and base of a shared memory region that is not there */
#define BAD_ACCESS  UINT64_MAX

struct virtio_mmio {
    struct virtio_mmio_config cfg;
    struct virtio_device *dev;
    struct bus_region region;
    _Atomic uint32_t isr;

    pthread_mutex_t lock; /* over all below, and the [registers] side of the device */
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint64_t bound; /* queues whose doorbell is bound, by bit */
};

static_assert(VIRTIO_QUEUES_MAX <= 64, "a bit for each queue in virtio_mmio.bound");

/* ---- interrupts: on the loop, without the lock ---- */

static void interrupt(struct virtio_mmio *m, uint32_t bit)
{
    /* The cause before the edge: whoever takes the interrupt reads the cause. */
    atomic_fetch_or(&m->isr, bit);
    irq_pulse(&m->cfg.irq);
}

static void notify_queue(void *ctx, unsigned queue)
{
    (void)queue;
    interrupt(ctx, VIRTIO_ISR_QUEUE);
}

static void notify_config(void *ctx)
{
    interrupt(ctx, VIRTIO_ISR_CONFIG);
}

static const struct virtio_host_ops host_ops = {
    .notify_queue = notify_queue,
    .notify_config = notify_config,
};

/* ---- doorbells ---- */

static struct doorbell_addr doorbell_of(const struct virtio_mmio *m, unsigned queue)
{
    return (struct doorbell_addr){
        .space = BUS_MMIO,
        .addr = m->cfg.base_gpa + VIRTIO_MMIO_QueueNotify,
        .len = KICK_BYTES,
        .has_match = true,
        .match = queue,
    };
}

static void bind_doorbell(struct virtio_mmio *m, unsigned queue)
{
    int fd = virtio_device_kick_fd(m->dev, queue);
    if (fd < 0 || (m->bound >> queue & 1))
        return;
    struct doorbell_addr addr = doorbell_of(m, queue);
    int err = doorbell_bind(&m->cfg.doorbell, &addr, fd);
    if (err == 0)
        m->bound |= UINT64_C(1) << queue;
    else if (err != -ENOSYS)
        log_debug("virtio %s: queue %u is kicked without a doorbell", m->dev->cfg.name, queue);
}

static void unbind_doorbell(struct virtio_mmio *m, unsigned queue)
{
    if (!(m->bound >> queue & 1))
        return;
    struct doorbell_addr addr = doorbell_of(m, queue);
    doorbell_unbind(&m->cfg.doorbell, &addr, virtio_device_kick_fd(m->dev, queue));
    m->bound &= ~(UINT64_C(1) << queue);
}

/* ---- registers ---- */

/* Before a reset the doorbells go, after an activation they come: they ring for running queues. */
static void write_status(struct virtio_mmio *m, uint32_t value)
{
    unsigned queues = m->dev->cfg.queue_count;
    for (unsigned q = 0; value == 0 && q < queues; q++)
        unbind_doorbell(m, q);
    virtio_device_set_status(m->dev, value);
    for (unsigned q = 0; q < queues; q++)
        bind_doorbell(m, q);
    if (value == 0) {
        atomic_store(&m->isr, 0);
        m->device_features_sel = m->driver_features_sel = m->queue_sel = 0;
    }
}

static void write_queue_ready(struct virtio_mmio *m, uint32_t value)
{
    if (value > 1)
        return;
    if (value == 0 && m->queue_sel < m->dev->cfg.queue_count)
        unbind_doorbell(m, m->queue_sel);
    virtio_device_set_queue_ready(m->dev, m->queue_sel, value == 1);
}

static void set_low(uint64_t *field, uint32_t value)
{
    *field = (*field & ~UINT64_C(0xffffffff)) | value;
}

static void set_high(uint64_t *field, uint32_t value)
{
    *field = (*field & 0xffffffff) | (uint64_t)value << 32;
}

static void write_queue_config(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
    struct vq_config *config = virtio_device_queue_writable(m->dev, m->queue_sel);
    if (config == NULL)
        return;
    switch (reg) {
    case VIRTIO_MMIO_QueueSize:
        config->size = value;
        break;
    case VIRTIO_MMIO_QueueDescLow:
        set_low(&config->desc, value);
        break;
    case VIRTIO_MMIO_QueueDescHigh:
        set_high(&config->desc, value);
        break;
    case VIRTIO_MMIO_QueueDriverLow:
        set_low(&config->driver, value);
        break;
    case VIRTIO_MMIO_QueueDriverHigh:
        set_high(&config->driver, value);
        break;
    case VIRTIO_MMIO_QueueDeviceLow:
        set_low(&config->device, value);
        break;
    case VIRTIO_MMIO_QueueDeviceHigh:
        set_high(&config->device, value);
        break;
    default:
        break;
    }
}

static void write_locked(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
    switch (reg) {
    case VIRTIO_MMIO_DeviceFeaturesSel:
        m->device_features_sel = value;
        break;
    case VIRTIO_MMIO_DriverFeaturesSel:
        m->driver_features_sel = value;
        break;
    case VIRTIO_MMIO_DriverFeatures:
        virtio_device_accept(m->dev, m->driver_features_sel, value);
        break;
    case VIRTIO_MMIO_QueueSel:
        m->queue_sel = value;
        break;
    case VIRTIO_MMIO_QueueReady:
        write_queue_ready(m, value);
        break;
    case VIRTIO_MMIO_Status:
        write_status(m, value);
        break;
    default: /* read-only, not offered (SHMSel, QueueReset) or not there: ignored below */
        write_queue_config(m, reg, value);
        break;
    }
}

static void write_register(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
    switch (reg) {
    case VIRTIO_MMIO_QueueNotify:
        virtio_device_kick(m->dev, value);
        break;
    case VIRTIO_MMIO_InterruptACK:
        atomic_fetch_and(&m->isr, ~value);
        break;
    default:
        pthread_mutex_lock(&m->lock);
        write_locked(m, reg, value);
        pthread_mutex_unlock(&m->lock);
        break;
    }
}

static uint32_t read_locked(struct virtio_mmio *m, uint64_t reg)
{
    switch (reg) {
    case VIRTIO_MMIO_DeviceFeatures:
        return virtio_device_features(m->dev, m->device_features_sel);
    case VIRTIO_MMIO_QueueSizeMax:
        return virtio_device_queue_size_max(m->dev, m->queue_sel);
    case VIRTIO_MMIO_QueueReady:
        return virtio_device_queue_ready(m->dev, m->queue_sel);
    default: /* write-only, QueueReset without RING_RESET, or not there */
        return 0;
    }
}

static uint32_t read_register(struct virtio_mmio *m, uint64_t reg)
{
    uint32_t value;
    switch (reg) {
    case VIRTIO_MMIO_MagicValue:
        return VIRTIO_MMIO_MAGIC;
    case VIRTIO_MMIO_Version:
        return VIRTIO_MMIO_VERSION;
    case VIRTIO_MMIO_DeviceID:
        return m->dev->cfg.device_id;
    case VIRTIO_MMIO_VendorID:
        return VENDOR_ID;
    case VIRTIO_MMIO_InterruptStatus:
        return atomic_load(&m->isr);
    case VIRTIO_MMIO_Status:
        return virtio_device_status(m->dev);
    case VIRTIO_MMIO_ConfigGeneration:
        return virtio_device_generation(m->dev);
    case VIRTIO_MMIO_SHMLenLow:
    case VIRTIO_MMIO_SHMLenHigh:
    case VIRTIO_MMIO_SHMBaseLow:
    case VIRTIO_MMIO_SHMBaseHigh:
        return NOT_OFFERED;
    default:
        pthread_mutex_lock(&m->lock);
        value = read_locked(m, reg);
        pthread_mutex_unlock(&m->lock);
        return value;
    }
}

/* ---- the window ---- */

static bool is_register_access(uint64_t offset, unsigned width)
{
    return width == 4 && is_aligned(offset, 4);
}

static uint64_t window_read(void *dev, uint64_t offset, unsigned width)
{
    struct virtio_mmio *m = dev;
    if (offset < VIRTIO_MMIO_Config)
        return is_register_access(offset, width) ? read_register(m, offset) : BAD_ACCESS;
    uint8_t bytes[8];
    pthread_mutex_lock(&m->lock);
    virtio_device_config_read(m->dev, offset - VIRTIO_MMIO_Config, bytes, width);
    pthread_mutex_unlock(&m->lock);
    return le_get(bytes, width);
}

static void window_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_mmio *m = dev;
    if (offset < VIRTIO_MMIO_Config) {
        if (is_register_access(offset, width))
            write_register(m, offset, (uint32_t)value);
        return;
    }
    uint8_t bytes[8];
    le_put(bytes, value, width);
    pthread_mutex_lock(&m->lock);
    virtio_device_config_write(m->dev, offset - VIRTIO_MMIO_Config, bytes, width);
    pthread_mutex_unlock(&m->lock);
}

static const struct bus_ops window_ops = {.read = window_read, .write = window_write};

/* ---- life ---- */

int virtio_mmio_create(struct virtio_mmio **out, const struct virtio_mmio_config *config)
{
    const char *name = config->device->cfg.name;
    struct virtio_mmio *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return fail(-ENOMEM, "virtio %s: mmio", name);
    m->cfg = *config;
    m->dev = config->device;
    pthread_mutex_init(&m->lock, NULL);
    virtio_device_attach(m->dev, &(struct virtio_host){.ops = &host_ops, .ctx = m});
    m->region = (struct bus_region){
        .name = name,
        .base = config->base_gpa,
        .size = VIRTIO_MMIO_BYTES,
        .widths = BUS_W1248,
        .ops = &window_ops,
        .dev = m,
    };
    int err = bus_add(config->bus, &m->region);
    if (err != 0) {
        fail(err, "virtio %s: window at %#llx", name, (unsigned long long)config->base_gpa);
        virtio_device_detach(m->dev);
        pthread_mutex_destroy(&m->lock);
        free(m);
        return err;
    }
    *out = m;
    return 0;
}

void virtio_mmio_destroy(struct virtio_mmio *m)
{
    if (m == NULL)
        return;
    bus_remove(m->cfg.bus, &m->region);
    for (unsigned q = 0; q < m->dev->cfg.queue_count; q++)
        unbind_doorbell(m, q);
    virtio_device_detach(m->dev);
    pthread_mutex_destroy(&m->lock);
    free(m);
}
