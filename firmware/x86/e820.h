// SPDX-License-Identifier: BSD-2-Clause
/*
 * The memory map that the machine tells its guest: which addresses are RAM to use, which are not
 * to be touched. It goes into the Linux zero page and into the PVH start_info alike.
 */
#ifndef MINIVET_FIRMWARE_E820_H
#define MINIVET_FIRMWARE_E820_H

#include <stdbool.h>
#include <stdint.h>

struct gmem;

/* ACPI 6.5 15, table 15.374 */
enum e820_type {
    E820_USABLE = 1,
    E820_RESERVED = 2,
};

struct e820_entry {
    uint64_t gpa;
    uint64_t bytes;
    enum e820_type type;
};

#define E820_MAX_ENTRIES 8

/* By rising address, without overlaps. */
struct e820_map {
    unsigned count;
    struct e820_entry entries[E820_MAX_ENTRIES];
};

/*
 * pci: the machine has a host bridge, whose configuration window is then reserved, as is the
 * framebuffer of framebuffer_bytes (0: there is none).
 */
void e820_build(struct e820_map *map, const struct gmem *g, bool pci, uint64_t framebuffer_bytes);

#endif
