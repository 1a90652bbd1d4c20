// SPDX-License-Identifier: BSD-2-Clause
/*
 * The board of a machine that a device tree describes: platform devices in memory, the tree, a
 * Linux Image. An architecture's board.c says where things are, and what its tree has besides;
 * nearly all calls of its struct arch are these.
 */
#ifndef MINIVET_ARCH_FDT_BOARD_H
#define MINIVET_ARCH_FDT_BOARD_H

#include "arch/arch.h"
#include "firmware/fdt/machine_tree.h"
#include "firmware/kernel/linux_image.h"

struct mmio_rtc_kind;

/* Addresses that are 0 are of devices that the machine does not have. */
struct fdt_board_kind {
    const struct arch *arch; /* virtio-mmio windows, PCI */
    struct linux_image_kind image;
    struct {
        uint64_t gpa;
        unsigned irq;
    } serial;
    uint64_t debug_exit_gpa, pvpanic_gpa;
    struct {
        const struct mmio_rtc_kind *kind;
        uint64_t gpa;
    } rtc;
    /* What the tree has besides; it may ask the hypervisor about the vCPUs. Its ctx is freed with
     * the board. */
    int (*tree)(const struct board_config *config, struct tree_arch *out);
    /* An interrupt controller that the hypervisor has not: first of all devices. NULL: none. */
    int (*create_controller)(const struct board_config *config, void **out);
    void (*destroy_controller)(void *controller);
};

int fdt_board_create(struct board **out, const struct board_config *config,
                     const struct fdt_board_kind *kind);
void fdt_board_flush(struct board *b);
void fdt_board_destroy(struct board *b);
int fdt_board_describe(struct board *b, const struct board_devices *devices);
int fdt_board_load_kernel(struct board *b, const struct boot_request *request);
void fdt_board_press_power(struct board *b);

/* After fdt_board_load_kernel(): where the first vCPU starts, and the tree. */
const struct linux_image *fdt_board_image(const struct board *b);
const struct board_config *fdt_board_config(const struct board *b);

#endif
