// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/shm.h"

#include "core/le.h"
#include "core/xmath.h"
#include "virtio/device.h"

static uint64_t shm_read(void *dev, uint64_t offset, unsigned width)
{
    const struct virtio_shm *shm = dev;
    if (!range_within(offset, width, 0, shm->bytes))
        return UINT64_MAX;
    return le_get((const uint8_t *)shm->hva + offset, width);
}

static void shm_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    const struct virtio_shm *shm = dev;
    if (range_within(offset, width, 0, shm->bytes))
        le_put((uint8_t *)shm->hva + offset, value, width);
}

const struct bus_ops virtio_shm_ops = {.read = shm_read, .write = shm_write};
