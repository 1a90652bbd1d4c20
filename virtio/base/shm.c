// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/base/shm.h"

#include "core/base/xmath.h"
#include "virtio/base/device.h"

/* Any number of vCPUs at once, byte by byte: what they do to one place is theirs to order. */

static uint64_t shm_read(void *dev, uint64_t offset, unsigned width)
{
    const struct virtio_shm *shm = dev;
    if (!range_within(offset, width, 0, shm->bytes))
        return UINT64_MAX;
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)__atomic_load_n((const uint8_t *)shm->hva + offset + i, __ATOMIC_RELAXED)
                 << 8 * i;
    return value;
}

static void shm_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    const struct virtio_shm *shm = dev;
    if (!range_within(offset, width, 0, shm->bytes))
        return;
    for (unsigned i = 0; i < width; i++)
        __atomic_store_n((uint8_t *)shm->hva + offset + i, (uint8_t)(value >> 8 * i),
                         __ATOMIC_RELAXED);
}

const struct bus_ops virtio_shm_ops = {.read = shm_read, .write = shm_write};
