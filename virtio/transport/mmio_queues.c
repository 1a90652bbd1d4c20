// SPDX-License-Identifier: BSD-2-Clause
/* The selected queue's registers in version 2, VIRTIO 1.4 4.2.2, and the queues' doorbells. */
#include <assert.h>
#include <errno.h>

#include "core/base/log.h"
#include "core/base/xmath.h"
#include "virtio/spec.h"
#include "virtio/transport/mmio_impl.h"

#define KICK_BYTES 4u /* QueueNotify is written as 32 bits */

static_assert(VIRTIO_QUEUES_MAX <= 64, "a bit for each queue in virtio_mmio.bound");

/* ---- doorbells ---- */

/*
 * With NOTIFICATION_DATA the written value is another each time: one queue takes any of them,
 * several cannot be told apart and have no doorbell.
 */
static bool has_data(const struct virtio_mmio *m)
{
    return virtio_device_negotiated(m->dev, VIRTIO_F_NOTIFICATION_DATA);
}

static struct doorbell_addr doorbell_of(const struct virtio_mmio *m, unsigned queue)
{
    return (struct doorbell_addr){
        .space = BUS_MMIO,
        .addr = m->cfg.base_gpa + VIRTIO_MMIO_QueueNotify,
        .len = KICK_BYTES,
        .has_match = !has_data(m),
        .match = has_data(m) ? 0 : queue,
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
        log_debug("virtio %s: queue %u is kicked without a doorbell", m->dev->setup.name, queue);
}

void virtio_mmio_bells_bind(struct virtio_mmio *m)
{
    unsigned queues = m->dev->cfg.queue_count;
    if (has_data(m) && queues > 1)
        return;
    for (unsigned q = 0; q < queues; q++)
        bind_doorbell(m, q);
}

void virtio_mmio_bell_unbind(struct virtio_mmio *m, unsigned queue)
{
    if (!(m->bound >> queue & 1))
        return;
    struct doorbell_addr addr = doorbell_of(m, queue);
    doorbell_unbind(&m->cfg.doorbell, &addr, virtio_device_kick_fd(m->dev, queue));
    m->bound &= ~(UINT64_C(1) << queue);
}

/* ---- registers ---- */

static void write_ready(struct virtio_mmio *m, uint32_t queue, uint32_t value)
{
    if (value > 1 || queue >= m->dev->cfg.queue_count)
        return;
    if (value == 0)
        virtio_mmio_bell_unbind(m, queue);
    virtio_device_set_queue_ready(m->dev, queue, value == 1);
    virtio_mmio_bells_bind(m);
}

/* VIRTIO 1.4 2.6.1. A queue that stays as it is keeps its doorbell. */
static void write_reset(struct virtio_mmio *m, uint32_t queue, uint32_t value)
{
    if (value != 1 || queue >= m->dev->cfg.queue_count)
        return;
    virtio_mmio_bell_unbind(m, queue);
    virtio_device_queue_reset(m->dev, queue);
    virtio_mmio_bells_bind(m);
}

static void write_area(struct vq_config *config, uint64_t reg, uint32_t value)
{
    bool high = reg % 8 != 0;
    switch (align_down(reg, 8)) {
    case VIRTIO_MMIO_QueueDescLow:
        set_half(&config->desc, high, value);
        break;
    case VIRTIO_MMIO_QueueDriverLow:
        set_half(&config->driver, high, value);
        break;
    case VIRTIO_MMIO_QueueDeviceLow:
        set_half(&config->device, high, value);
        break;
    default:
        break;
    }
}

void virtio_mmio_queue_write(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
    uint32_t queue = atomic_load(&m->queue_sel);
    struct vq_config *config = virtio_device_queue_writable(m->dev, queue);
    switch (reg) {
    case VIRTIO_MMIO_QueueSize:
        if (config != NULL)
            config->size = value;
        break;
    case VIRTIO_MMIO_QueueReady:
        write_ready(m, queue, value);
        break;
    case VIRTIO_MMIO_QueueReset:
        write_reset(m, queue, value);
        break;
    default:
        if (config != NULL)
            write_area(config, reg, value);
        break;
    }
}

uint32_t virtio_mmio_queue_read(struct virtio_mmio *m, uint64_t reg)
{
    uint32_t queue = atomic_load(&m->queue_sel);
    return reg == VIRTIO_MMIO_QueueReady ? virtio_device_queue_ready(m->dev, queue) : 0;
}
