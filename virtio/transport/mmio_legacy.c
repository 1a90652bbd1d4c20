// SPDX-License-Identifier: BSD-2-Clause
/*
 * Version 1 of the register layout, VIRTIO 1.4 4.2.4: a queue is one area of memory, given by the
 * number of its first page.
 */
#include <string.h>

#include "core/base/xmath.h"
#include "virtio/spec.h"
#include "virtio/transport/mmio_impl.h"

/* A value that is no size of anything leaves the register as it was. */
static void set_pow2(uint32_t *field, uint32_t value)
{
    if (is_pow2(value))
        *field = value;
}

/* Page 0 stops the queue. Without a page size or an alignment there is nowhere to put it. */
static void write_pfn(struct virtio_mmio *m, uint32_t queue, uint32_t pfn)
{
    if (pfn == 0) {
        virtio_mmio_bell_unbind(m, queue);
        virtio_device_set_queue_ready(m->dev, queue, false);
        return;
    }
    struct vq_config *config = virtio_device_queue_writable(m->dev, queue);
    if (config == NULL || m->page_bytes == 0 || m->align[queue] == 0)
        return;
    m->pfn[queue] = pfn;
    virtio_legacy_lay_out(config, (uint64_t)pfn * m->page_bytes, m->align[queue]);
    virtio_device_set_queue_ready(m->dev, queue, true);
    virtio_mmio_bells_bind(m);
}

void virtio_mmio_legacy_write(struct virtio_mmio *m, uint64_t reg, uint32_t value)
{
    uint32_t queue = atomic_load(&m->queue_sel);
    if (reg == VIRTIO_MMIO_LEGACY_GuestPageSize)
        set_pow2(&m->page_bytes, value);
    if (queue >= m->dev->cfg.queue_count)
        return;
    struct vq_config *config = virtio_device_queue_writable(m->dev, queue);
    if (reg == VIRTIO_MMIO_QueueSize && config != NULL)
        config->size = value;
    if (reg == VIRTIO_MMIO_LEGACY_QueueAlign && config != NULL)
        set_pow2(&m->align[queue], value);
    if (reg == VIRTIO_MMIO_LEGACY_QueuePFN)
        write_pfn(m, queue, value);
}

uint32_t virtio_mmio_legacy_read(struct virtio_mmio *m, uint64_t reg)
{
    uint32_t queue = atomic_load(&m->queue_sel);
    if (reg == VIRTIO_MMIO_LEGACY_QueuePFN && virtio_device_queue_ready(m->dev, queue))
        return m->pfn[queue];
    return 0;
}

/*
 * The page size stays: a driver writes it once, before it resets the device for the first time
 * (Linux does).
 */
void virtio_mmio_legacy_reset(struct virtio_mmio *m)
{
    memset(m->align, 0, sizeof(m->align));
    memset(m->pfn, 0, sizeof(m->pfn));
}
