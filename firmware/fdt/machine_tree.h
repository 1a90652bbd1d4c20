// SPDX-License-Identifier: BSD-2-Clause
/*
 * The device tree of a machine: memory, processors, and the devices that every architecture has.
 * What differs comes from the architecture's calls. What the kernel is told besides (its command
 * line, its initrd) is added to the tree when it is written: tree_file.h.
 */
#ifndef MINIVET_FIRMWARE_MACHINE_TREE_H
#define MINIVET_FIRMWARE_MACHINE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ports/pci.h"
#include "firmware/fdt/dt.h"
#include "firmware/kernel/boot_request.h"

struct gmem;

/* Phandles. An architecture's own nodes begin with the last. */
enum { TREE_IRQS = 1, TREE_MSI, TREE_CLOCK, TREE_OWN };

#define TREE_IRQ_CELLS_MAX 3

/* How an architecture's interrupts are told, and what nodes it has of its own. */
struct tree_arch {
    unsigned irq_cells; /* of an interrupt */
    /* #address-cells of the interrupt controller, which PCI's interrupt-map repeats */
    unsigned irqs_address_cells;
    void (*irq)(uint32_t *cells, unsigned irq, bool is_level);
    uint32_t timebase_hz; /* of all processors; 0: they know it themselves */
    bool has_msi;         /* a node has the phandle TREE_MSI */
    bool knows_senders;   /* and takes a message's sender as one cell */
    uint32_t (*cpu_reg)(void *ctx, unsigned id);
    void (*cpu)(struct dt *t, void *ctx, unsigned id); /* in the processor's node */
    /* In the root: interrupt controllers, a timer, a clock, how to power off. */
    void (*nodes)(struct dt *t, void *ctx);
    void *ctx;
};

struct machine_tree {
    struct tree_arch arch;
    const struct gmem *gmem;
    unsigned vcpus;
    struct {
        uint64_t gpa; /* 0: there is none */
        unsigned irq;
    } serial;
    uint64_t pvpanic_gpa; /* 0: there is none */
    uint64_t fw_cfg_gpa;  /* likewise */
    unsigned power_irq;   /* the power button's; 0: there are no buttons */
    unsigned sleep_irq;   /* the sleep button's */
    struct {
        uint64_t gpa, stride;
        unsigned count;
        const unsigned *irqs;
    } virtio;
    struct {
        uint64_t ecam_gpa, ecam_bytes; /* 0: nothing is on the bus */
        const struct pci_windows *windows;
        unsigned irq; /* the first wire's */
    } pci;
    struct boot_framebuffer framebuffer;
    const struct entropy *entropy; /* NULL: the kernel gets no random bytes */
};

/* Room for the tree of any machine with so many vCPUs. libfdt clears all the room that it is given.
 */
#define MACHINE_TREE_BYTES(vcpus) (16384u + 3072u * (vcpus))

/* How many bytes the tree has, or a negative errno; reported. */
int machine_tree_write(const struct machine_tree *m, void *blob, size_t room);

#endif
