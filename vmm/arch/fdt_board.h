// SPDX-License-Identifier: BSD-2-Clause
/*
 * The board of a machine that a device tree describes: platform devices in memory, the tree, a
 * Linux Image. An architecture's board.c says where things are, and what its tree has besides;
 * nearly all calls of its struct arch are these.
 */
#ifndef MINIVET_ARCH_FDT_BOARD_H
#define MINIVET_ARCH_FDT_BOARD_H

#include "arch/arch.h"
#include "devices/platform/pci_host.h"
#include "firmware/fdt/machine_tree.h"
#include "firmware/kernel/linux_image.h"

struct mmio_rtc_kind;
struct watchdog_kind;

/* Where all of them have what they have all; what an architecture adds is beside it. */
#define FDT_SERIAL_GPA      UINT64_C(0x01000000)
#define FDT_RTC_GPA         UINT64_C(0x01010000)
#define FDT_DEBUG_EXIT_GPA  UINT64_C(0x01020000)
#define FDT_PVPANIC_GPA     UINT64_C(0x01030000)
#define FDT_WATCHDOG_GPA    UINT64_C(0x01040000)
#define FDT_FW_CFG_GPA      UINT64_C(0x01050000)
#define FDT_VIRTIO_GPA      UINT64_C(0x03000000)
#define FDT_VIRTIO_STRIDE   UINT64_C(0x1000)
#define FDT_VIRTIO_WINDOWS  32
#define FDT_FRAMEBUFFER_GPA UINT64_C(0x20000000)
#define FDT_ECAM_GPA        UINT64_C(0x40000000)
#define FDT_WINDOW_GPA      UINT64_C(0x50000000)
#define FDT_RAM_GPA         UINT64_C(0x80000000)
#define FDT_WINDOW64_GPA    UINT64_C(0x800000000) /* which hosts of 36 address bits reach, too */
#define FDT_WINDOW64_BYTES  UINT64_C(0x800000000)

/* Interrupts; virtio-mmio's are in fdt_board.c. */
#define FDT_SERIAL_IRQ 1
#define FDT_POWER_IRQ  3
#define FDT_PCI_IRQ    4 /* and 3 more */
#define FDT_SLEEP_IRQ  8

/* Members of their struct arch: all but what makes a board, and how a vCPU starts. */
#define FDT_BOARD_ARCH                                                                        \
    .serial_console = "ttyS0", .hole_gpa = 0, .hole_end_gpa = FDT_RAM_GPA,                    \
    .mmio_limit = UINT64_C(1) << 52, .framebuffer_gpa = FDT_FRAMEBUFFER_GPA,                  \
    .virtio = {FDT_VIRTIO_GPA, FDT_VIRTIO_STRIDE, FDT_VIRTIO_WINDOWS, fdt_board_virtio_irqs}, \
    .pci = {.ecam_gpa = FDT_ECAM_GPA,                                                         \
            .ecam_bytes = PCI_HOST_ECAM_BYTES,                                                \
            .windows = {.memory32 = {FDT_WINDOW_GPA, FDT_RAM_GPA - FDT_WINDOW_GPA},           \
                        .memory64 = {FDT_WINDOW64_GPA, FDT_WINDOW64_BYTES}},                  \
            .irq = FDT_PCI_IRQ},                                                              \
    .board_flush = fdt_board_flush, .board_destroy = fdt_board_destroy,                       \
    .describe = fdt_board_describe, .load_kernel = fdt_board_load_kernel,                     \
    .board_describe = fdt_board_devices, .board_function = fdt_board_function,                \
    .press = fdt_board_press, .hold = fdt_board_hold

extern const unsigned fdt_board_virtio_irqs[FDT_VIRTIO_WINDOWS];

struct fdt_board_kind {
    const struct arch *arch; /* virtio-mmio windows, PCI */
    struct linux_image_kind image;
    const struct mmio_rtc_kind *rtc;
    const struct watchdog_kind *watchdog; /* that stock kernels drive; NULL: they drive none */
    /*
     * First of all: what the tree has besides, for which it may ask the hypervisor about the vCPUs,
     * and an interrupt controller, if that is the board's. The tree's ctx lives as long as the
     * board; after an error, too, unless it is NULL.
     */
    int (*create)(const struct board_config *config, struct tree_arch *out);
    void (*destroy)(void *ctx); /* after all devices */
};

int fdt_board_create(struct board **out, const struct board_config *config,
                     const struct fdt_board_kind *kind);
void fdt_board_flush(struct board *b);
void fdt_board_destroy(struct board *b);
int fdt_board_describe(struct board *b, const struct board_devices *devices);
int fdt_board_load_kernel(struct board *b, const struct boot_request *request);
struct pci_function *fdt_board_function(struct board *b);
void fdt_board_devices(const struct board *b, struct facts *f);
void fdt_board_press(struct board *b, enum power_button button);
void fdt_board_hold(struct board *b, bool on);

/* After fdt_board_load_kernel(): where the first vCPU starts, and the tree. */
const struct linux_image *fdt_board_image(const struct board *b);
const struct board_config *fdt_board_config(const struct board *b);

#endif
