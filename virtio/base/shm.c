// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/base/shm.h"

#include "core/base/xmath.h"
#include "virtio/base/device.h"

#define SHM_ALIGN UINT64_C(4096)

uint64_t virtio_shm_offset(const struct virtio_device *dev, unsigned region)
{
    uint64_t offset = 0;
    for (unsigned i = 0; i < region; i++)
        offset += align_up(dev->cfg.shm[i].bytes, SHM_ALIGN);
    return offset;
}

uint64_t virtio_shm_bytes(const struct virtio_device *dev)
{
    unsigned last = dev->cfg.shm_count - 1;
    return dev->cfg.shm_count > 0 ? virtio_shm_offset(dev, last) + dev->cfg.shm[last].bytes : 0;
}

/* NULL: an access of that width is in no region. */
static uint8_t *find(const struct virtio_device *dev, uint64_t offset, unsigned width)
{
    for (unsigned i = 0; i < dev->cfg.shm_count; i++) {
        uint64_t start = virtio_shm_offset(dev, i);
        if (range_within(offset, width, start, dev->cfg.shm[i].bytes))
            return (uint8_t *)dev->cfg.shm[i].hva + (offset - start);
    }
    return NULL;
}

/* Any number of vCPUs at once, byte by byte: what they do to one place is theirs to order. */

static uint64_t shm_read(void *dev, uint64_t offset, unsigned width)
{
    const uint8_t *at = find(dev, offset, width);
    if (at == NULL)
        return UINT64_MAX;
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)__atomic_load_n(at + i, __ATOMIC_RELAXED) << 8 * i;
    return value;
}

static void shm_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    uint8_t *at = find(dev, offset, width);
    for (unsigned i = 0; at != NULL && i < width; i++)
        __atomic_store_n(at + i, (uint8_t)(value >> 8 * i), __ATOMIC_RELAXED);
}

const struct bus_ops virtio_shm_ops = {.read = shm_read, .write = shm_write};
