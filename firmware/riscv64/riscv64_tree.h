// SPDX-License-Identifier: BSD-2-Clause
/* What a riscv64 machine's device tree has of its own: processors with their instruction sets, a
 * PLIC or an APLIC with IMSICs, a goldfish clock. Timers, power-off and reset are SBI's, which no
 * node tells of. */
#ifndef MINIVET_FIRMWARE_RISCV64_TREE_H
#define MINIVET_FIRMWARE_RISCV64_TREE_H

#include <stdint.h>

#include "firmware/fdt/machine_tree.h"

struct riscv64_tree {
    struct {
        const char *extensions; /* names, each ended by a NUL */
        uint32_t extensions_bytes;
        uint32_t address_bits;           /* 0: it is not said */
        uint32_t cbom_bytes, cboz_bytes; /* 0: likewise */
        uint32_t timebase_hz;
    } cpu;
    unsigned cpus;
    struct {
        uint64_t gpa, bytes;
        unsigned sources; /* the number of the last one */
    } wires;              /* a PLIC; an APLIC, if there is an imsic */
    struct {
        uint64_t gpa, bytes; /* of a processor's, one behind the other; 0: there is none */
        unsigned ids;
    } imsic;
    struct {
        uint64_t gpa;
        unsigned irq;
    } rtc;
};

/* The tree outlives what comes out. Interrupt n is source n, processor n is hart n. */
struct tree_arch riscv64_tree_arch(const struct riscv64_tree *tree);

#endif
