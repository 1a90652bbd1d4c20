// SPDX-License-Identifier: BSD-2-Clause
/*
 * What an arm64 machine's device tree has of its own: a GICv3 with an ITS, or a GICv2; PSCI, the
 * generic timer, a PL031, performance counters.
 */
#ifndef MINIVET_FIRMWARE_ARM64_TREE_H
#define MINIVET_FIRMWARE_ARM64_TREE_H

#include <stdint.h>

#include "firmware/fdt/machine_tree.h"

#define ARM64_TREE_CLOCK_HZ 24000000u /* of PrimeCells: a watchdog counts by it */

struct arm64_range {
    uint64_t gpa, bytes;
};

struct arm64_tree {
    struct arm64_range distributor;
    struct arm64_range redistributors, its; /* of a GICv3 */
    bool has_gicv2;
    struct arm64_range cpu_interface; /* of a GICv2 */
    uint64_t rtc_gpa;
    uint64_t watchdog_gpa; /* 0: there is none */
    unsigned pmu_ppi;      /* the counters' interrupt; 0: there are none */
    unsigned cpus;
    const uint32_t *cpu_ids; /* of each vCPU: the affinity fields of its MPIDR_EL1 */
};

/* The tree outlives what comes out. Interrupt n is SPI n. */
struct tree_arch arm64_tree_arch(const struct arm64_tree *tree);

#endif
