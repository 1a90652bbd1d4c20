// SPDX-License-Identifier: BSD-2-Clause
/* What the tests of the virtio-pci transport share: accesses to the function of a bench. */
#ifndef MINIVET_TESTS_UNIT_VIRTIO_PCI_UTIL_H
#define MINIVET_TESTS_UNIT_VIRTIO_PCI_UTIL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/bus.h"
#include "core/ports/pci.h"
#include "tests/harness/rig.h"
#include "virtio/spec.h"

static inline uint32_t config_get(struct rig *rig, unsigned offset, unsigned width)
{
    return rig->drv.pci.func->ops->config_read(rig->drv.pci.func, offset, width);
}

static inline void config_set(struct rig *rig, unsigned offset, unsigned width, uint32_t value)
{
    rig->drv.pci.func->ops->config_write(rig->drv.pci.func, offset, width, value);
}

/* The first virtio capability of that type; 0: there is none. */
static inline unsigned find_cap(struct rig *rig, unsigned type)
{
    unsigned cap = config_get(rig, PCI_REG_CAPABILITIES, 1);
    while (cap != 0 && (config_get(rig, cap, 1) != 0x09 ||
                        config_get(rig, cap + VIRTIO_PCI_CAP_cfg_type, 1) != type))
        cap = config_get(rig, cap + 1, 1);
    return cap;
}

static inline uint64_t common_get(struct rig *rig, unsigned reg, unsigned width)
{
    uint64_t value;
    bus_read(rig->bus, rig->drv.pci.common + reg, width, &value);
    return value;
}

static inline void common_set(struct rig *rig, unsigned reg, unsigned width, uint64_t value)
{
    bus_write(rig->bus, rig->drv.pci.common + reg, width, value);
}

/* The access window in configuration space: offsets are in BAR 4. */
static inline void window_to(struct rig *rig, uint32_t bar, uint32_t offset, uint32_t bytes)
{
    unsigned cap = find_cap(rig, VIRTIO_PCI_CAP_PCI_CFG);
    config_set(rig, cap + VIRTIO_PCI_CAP_bar, 1, bar);
    config_set(rig, cap + VIRTIO_PCI_CAP_offset, 4, offset);
    config_set(rig, cap + VIRTIO_PCI_CAP_length, 4, bytes);
}

static inline uint32_t window_get(struct rig *rig, uint32_t offset, uint32_t bytes)
{
    window_to(rig, 4, offset, bytes);
    return config_get(rig, find_cap(rig, VIRTIO_PCI_CAP_PCI_CFG) + VIRTIO_PCI_CFG_CAP_data, bytes);
}

static inline void window_set(struct rig *rig, uint32_t offset, uint32_t bytes, uint32_t value)
{
    window_to(rig, 4, offset, bytes);
    config_set(rig, find_cap(rig, VIRTIO_PCI_CAP_PCI_CFG) + VIRTIO_PCI_CFG_CAP_data, bytes, value);
}

/* Where in its BAR a structure is. */
static inline uint32_t structure(struct rig *rig, unsigned type)
{
    return config_get(rig, find_cap(rig, type) + VIRTIO_PCI_CAP_offset, 4);
}

/* Sends a chain of 4 bytes there and back by the driver's notification. */
static inline bool echoes(struct rig *rig, unsigned queue)
{
    struct vdrv_buf bufs[2] = {{vdrv_alloc(&rig->drv, 8, 8), 4, false},
                               {vdrv_alloc(&rig->drv, 8, 8), 4, true}};
    uint32_t head, len;
    vdrv_send(&rig->drv.q[queue], bufs, 2);
    rig_step(rig);
    return vdrv_used(&rig->drv.q[queue], &head, &len) && len == 4;
}

#endif
