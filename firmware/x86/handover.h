// SPDX-License-Identifier: BSD-2-Clause
/*
 * What lies in the first MiB when a kernel starts: the tables that the processor needs and what the
 * kernel is told. For linux_boot.c. Everything here writes to fixed addresses (x86_layout.h) in
 * memory that the caller has found to reach up to at least 1 MiB.
 */
#ifndef MINIVET_FIRMWARE_HANDOVER_H
#define MINIVET_FIRMWARE_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "firmware/x86/linux_boot.h"

struct e820_map;
struct gmem;

struct handover {
    const struct e820_map *map;
    uint64_t rsdp_gpa;
    uint64_t initrd_gpa;
    uint64_t initrd_bytes; /* 0: none */
    struct boot_framebuffer framebuffer;
    bool kaslr; /* the kernel was moved; it is to move the rest, too */
    /* The first KERNEL_HEAD_BYTES of a bzImage, or NULL: no setup header to repeat. */
    const uint8_t *setup_head;
};

/* Linux's boot_params, the "zero page". */
void handover_write_boot_params(const struct gmem *g, const struct handover *h);

/* PVH's start_info with its module list and memory map. */
void handover_write_start_info(const struct gmem *g, const struct handover *h);

/* GDT and, for 64-bit mode, page tables; fills in what boot_state says of them. */
void handover_write_gdt(const struct gmem *g, struct boot_state *state);
void handover_write_page_tables(const struct gmem *g, struct boot_state *state);

#endif
