// SPDX-License-Identifier: BSD-2-Clause
/* What the runtime has on all machines with a device tree. */
#ifndef MINIVET_BARE_METAL_FDT_H
#define MINIVET_BARE_METAL_FDT_H

#include <stdint.h>

#include "layout.h"

/* Such a machine has its registers in memory. A processor has mmio_*() before this. */
static inline uint8_t serial_in(unsigned reg)
{
    return mmio_read8(SERIAL_GPA + reg);
}

static inline void serial_out(unsigned reg, uint8_t value)
{
    mmio_write8(SERIAL_GPA + reg, value);
}

static inline void stamp(uint8_t value)
{
    mmio_write8(STAMP_GPA, value);
}

static inline unsigned virtio_irq(unsigned window)
{
    return 16 + window;
}

extern const uint8_t *rt_tree; /* which the first CPU was given */

#endif
