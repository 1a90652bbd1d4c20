// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/transport/mmio.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "virtio/base/observer.h"
#include "virtio/base/shm.h"
#include "virtio/spec.h"
#include "virtio/transport/mmio_impl.h"

#define VENDOR_ID  0x5654494du /* "MITV"; the specification assigns none */
#define NO_SHM     UINT64_MAX  /* length and base of a region that is not there */
#define SHM_ALIGN  UINT64_C(4096)
#define BAD_ACCESS UINT64_MAX

/* ---- interrupts: on any of the loops, without the lock ---- */

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

/* ---- shared memory ---- */

/* Regions lie one behind the other, each from a page's start. */
static int add_shm(struct virtio_mmio *m)
{
    unsigned count = m->cfg.shm_gpa != 0 ? m->dev->cfg.shm_count : 0;
    uint64_t gpa = m->cfg.shm_gpa;
    if (count == 0)
        return 0;
    m->shm = calloc(count, sizeof(*m->shm));
    if (m->shm == NULL)
        return fail(-ENOMEM, "virtio %s: mmio", m->dev->setup.name);
    for (; m->shm_count < count; m->shm_count++) {
        const struct virtio_shm *shm = &m->dev->cfg.shm[m->shm_count];
        struct bus_region *region = &m->shm[m->shm_count];
        *region = (struct bus_region){
            .name = m->dev->setup.name,
            .base = gpa,
            .size = shm->bytes,
            .widths = BUS_W1248,
            .ops = &virtio_shm_ops,
            .dev = (void *)shm,
        };
        int err = bus_add(m->cfg.bus, region);
        if (err != 0)
            return fail(err, "virtio %s: shared memory %u at %#llx", m->dev->setup.name, shm->id,
                        (unsigned long long)gpa);
        gpa = align_up(gpa + shm->bytes, SHM_ALIGN);
    }
    return 0;
}

static void remove_shm(struct virtio_mmio *m)
{
    while (m->shm_count > 0)
        bus_remove(m->cfg.bus, &m->shm[--m->shm_count]);
    free(m->shm);
}

/* The selected region's length and base. */
static void find_shm(const struct virtio_mmio *m, uint64_t *bytes, uint64_t *gpa)
{
    const struct virtio_shm *shm = virtio_device_shm(m->dev, m->shm_sel);
    *bytes = *gpa = NO_SHM;
    for (unsigned i = 0; i < m->shm_count; i++) {
        if (m->shm[i].dev == shm) {
            *bytes = m->shm[i].size;
            *gpa = m->shm[i].base;
        }
    }
}

static uint32_t read_shm(const struct virtio_mmio *m, uint64_t reg)
{
    uint64_t bytes, gpa;
    find_shm(m, &bytes, &gpa);
    switch (reg) {
    case VIRTIO_MMIO_SHMLenLow:
        return (uint32_t)bytes;
    case VIRTIO_MMIO_SHMLenHigh:
        return (uint32_t)(bytes >> 32);
    case VIRTIO_MMIO_SHMBaseLow:
        return (uint32_t)gpa;
    default:
        return (uint32_t)(gpa >> 32);
    }
}

/* ---- registers ---- */

/* Before a reset the doorbells go, after an activation they come: they ring for running queues. */
static void write_status(struct virtio_mmio *m, uint32_t value)
{
    for (unsigned q = 0; value == 0 && q < m->dev->cfg.queue_count; q++)
        virtio_mmio_bell_unbind(m, q);
    virtio_device_set_status(m->dev, value);
    virtio_mmio_bells_bind(m);
    if (value == 0) {
        virtio_device_settle(m->dev); /* Linux does not ask whether the reset is done */
        atomic_store(&m->isr, 0);
        atomic_store(&m->queue_sel, 0);
        m->device_features_sel = m->driver_features_sel = m->shm_sel = 0;
        virtio_mmio_legacy_reset(m);
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
        atomic_store(&m->queue_sel, value);
        break;
    case VIRTIO_MMIO_SHMSel:
        m->shm_sel = value;
        break;
    case VIRTIO_MMIO_QueueNotify: /* of a legacy driver, see write_register() */
        virtio_device_legacy_kick(m->dev, value);
        virtio_mmio_bells_bind(m);
        break;
    case VIRTIO_MMIO_Status:
        write_status(m, value);
        break;
    default: /* the queue's, read-only or not there */
        (m->cfg.legacy ? virtio_mmio_legacy_write : virtio_mmio_queue_write)(m, reg, value);
        break;
    }
}

/* A kick takes no lock, but that of a legacy driver may have to start the device. */
static void write_register(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
    if (reg == VIRTIO_MMIO_QueueNotify && !m->cfg.legacy) {
        virtio_device_notified(m->dev, value);
    } else if (reg == VIRTIO_MMIO_InterruptACK) {
        atomic_fetch_and(&m->isr, ~value);
    } else {
        pthread_mutex_lock(&m->lock);
        write_locked(m, reg, value);
        pthread_mutex_unlock(&m->lock);
    }
}

static uint32_t read_locked(struct virtio_mmio *m, uint64_t reg)
{
    switch (reg) {
    case VIRTIO_MMIO_DeviceFeatures:
        return virtio_device_features(m->dev, m->device_features_sel);
    case VIRTIO_MMIO_QueueSizeMax:
        return virtio_device_queue_size_max(m->dev, atomic_load(&m->queue_sel));
    case VIRTIO_MMIO_SHMLenLow:
    case VIRTIO_MMIO_SHMLenHigh:
    case VIRTIO_MMIO_SHMBaseLow:
    case VIRTIO_MMIO_SHMBaseHigh:
        return m->cfg.legacy ? 0 : read_shm(m, reg);
    default: /* the queue's, write-only or not there */
        return (m->cfg.legacy ? virtio_mmio_legacy_read : virtio_mmio_queue_read)(m, reg);
    }
}

static uint32_t read_register(struct virtio_mmio *m, uint64_t reg)
{
    uint32_t value;
    switch (reg) {
    case VIRTIO_MMIO_MagicValue:
        return VIRTIO_MMIO_MAGIC;
    case VIRTIO_MMIO_Version:
        return m->cfg.legacy ? VIRTIO_MMIO_VERSION_LEGACY : VIRTIO_MMIO_VERSION;
    case VIRTIO_MMIO_DeviceID:
        return m->dev->cfg.type->id;
    case VIRTIO_MMIO_VendorID:
        return VENDOR_ID;
    case VIRTIO_MMIO_InterruptStatus:
        return atomic_load(&m->isr);
    case VIRTIO_MMIO_Status:
        return virtio_device_status(m->dev);
    case VIRTIO_MMIO_QueueReset: /* without the lock, which is held as long as it is 1 */
        return virtio_device_queue_resetting(m->dev, atomic_load(&m->queue_sel));
    case VIRTIO_MMIO_ConfigGeneration:
        return m->cfg.legacy ? 0 : virtio_device_generation(m->dev);
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

static uint64_t read_window(struct virtio_mmio *m, uint64_t offset, unsigned width)
{
    if (offset < VIRTIO_MMIO_Config)
        return is_register_access(offset, width) ? read_register(m, offset) : BAD_ACCESS;
    pthread_mutex_lock(&m->lock);
    uint64_t value = virtio_device_config_read(m->dev, offset - VIRTIO_MMIO_Config, width);
    pthread_mutex_unlock(&m->lock);
    return value;
}

static void watch(struct virtio_mmio *m, bool write, uint64_t offset, unsigned width,
                  uint64_t value)
{
    bool config = offset >= VIRTIO_MMIO_Config;
    if (!m->cfg.legacy)
        virtio_observe_access(m->dev, config ? VIRTIO_ACCESS_MMIO_CONFIG : VIRTIO_ACCESS_MMIO,
                              write, config ? offset - VIRTIO_MMIO_Config : offset, width, value);
}

static uint64_t window_read(void *dev, uint64_t offset, unsigned width)
{
    struct virtio_mmio *m = dev;
    uint64_t value = read_window(m, offset, width);
    watch(m, false, offset, width, value);
    return value;
}

static void window_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_mmio *m = dev;
    watch(m, true, offset, width, value);
    if (offset < VIRTIO_MMIO_Config) {
        if (is_register_access(offset, width))
            write_register(m, offset, (uint32_t)value);
        return;
    }
    pthread_mutex_lock(&m->lock);
    virtio_device_config_write(m->dev, offset - VIRTIO_MMIO_Config, width, value);
    pthread_mutex_unlock(&m->lock);
}

static const struct bus_ops window_ops = {.read = window_read, .write = window_write};

/* ---- life ---- */

static int add_window(struct virtio_mmio *m)
{
    m->region = (struct bus_region){
        .name = m->dev->setup.name,
        .base = m->cfg.base_gpa,
        .size = VIRTIO_MMIO_BYTES,
        .widths = BUS_W1248,
        .ops = &window_ops,
        .dev = m,
    };
    int err = bus_add(m->cfg.bus, &m->region);
    if (err != 0)
        return fail(err, "virtio %s: window at %#llx", m->dev->setup.name,
                    (unsigned long long)m->cfg.base_gpa);
    return 0;
}

static void forget(struct virtio_mmio *m)
{
    remove_shm(m);
    virtio_device_detach(m->dev);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

int virtio_mmio_create(struct virtio_mmio **out, const struct virtio_mmio_config *config)
{
    struct virtio_mmio *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return fail(-ENOMEM, "virtio %s: mmio", config->device->setup.name);
    m->cfg = *config;
    m->dev = config->device;
    pthread_mutex_init(&m->lock, NULL);
    virtio_device_attach(m->dev, &(struct virtio_host){.ops = &host_ops, .ctx = m});
    virtio_device_set_legacy(m->dev, config->legacy);
    int err = add_shm(m);
    if (err == 0)
        err = add_window(m);
    if (err != 0) {
        forget(m);
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
        virtio_mmio_bell_unbind(m, q);
    forget(m);
}
