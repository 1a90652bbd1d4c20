// SPDX-License-Identifier: BSD-2-Clause
/*
 * The arm64 machine: what Linux finds by a device tree.
 *
 *   0x0100_0000   serial port, SPI 1
 *   0x0101_0000   PL031 real-time clock
 *   0x0102_0000   debug exit: a byte ends the run with that status
 *   0x0103_0000   pvpanic
 *   0x0300_0000   virtio-mmio windows, SPI 16 and up
 *   0x0800_0000   GICv3: distributor, ITS, redistributors (hv_arm64.h)
 *   0x2000_0000   framebuffer, if the machine has a display
 *   0x4000_0000   PCI configuration space (ECAM), bus 0
 *   0x5000_0000   PCI memory window; INTx is on SPI 4 to 7
 *   0x8000_0000   RAM
 *   0x8_0000_0000 64-bit PCI memory window, 32 GiB, if RAM ends below it
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/arm64/hv_arm64.h"
#include "arch/fdt_board.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/hv.h"
#include "devices/platform/framebuffer.h"
#include "devices/platform/mmio_rtc.h"
#include "devices/platform/pci_host.h"
#include "firmware/arm64/arm64_tree.h"

#define RAM_GPA         UINT64_C(0x80000000)
#define SERIAL_GPA      UINT64_C(0x01000000)
#define RTC_GPA         UINT64_C(0x01010000)
#define DEBUG_EXIT_GPA  UINT64_C(0x01020000)
#define PVPANIC_GPA     UINT64_C(0x01030000)
#define VIRTIO_GPA      UINT64_C(0x03000000)
#define VIRTIO_STRIDE   UINT64_C(0x1000)
#define FRAMEBUFFER_GPA UINT64_C(0x20000000)
#define ECAM_GPA        UINT64_C(0x40000000)
#define WINDOW_GPA      UINT64_C(0x50000000)
#define WINDOW64_GPA    UINT64_C(0x800000000) /* which hosts of 36 address bits reach, too */
#define WINDOW64_BYTES  UINT64_C(0x800000000)
#define SERIAL_SPI      1
#define PCI_SPI         4
#define CMDLINE_BYTES   2048 /* Linux's COMMAND_LINE_SIZE */

static const unsigned virtio_spis[] = {16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
                                       27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37,
                                       38, 39, 40, 41, 42, 43, 44, 45, 46, 47};

_Static_assert(FRAMEBUFFER_GPA + FRAMEBUFFER_BYTES_MAX <= ECAM_GPA &&
                   HV_ARM64_REDIST_GPA + HV_MAX_VCPUS * HV_ARM64_REDIST_BYTES <= FRAMEBUFFER_GPA,
               "the framebuffer is clear of other devices");

struct tree {
    struct arm64_tree tree;
    uint32_t cpu_ids[HV_MAX_VCPUS];
};

static int make_tree(const struct board_config *c, struct tree_arch *out)
{
    struct tree *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return fail(-ENOMEM, "device tree");
    int r = 0;
    for (unsigned i = 0; r == 0 && i < c->vcpus; i++) {
        uint64_t affinity = 0;
        r = c->hv->arch->affinity(c->vm, i, &affinity);
        t->cpu_ids[i] =
            (uint32_t)affinity; /* the fourth field is for more vCPUs than there may be */
    }
    t->tree = (struct arm64_tree){
        .distributor = {HV_ARM64_DIST_GPA, HV_ARM64_DIST_BYTES},
        .redistributors = {HV_ARM64_REDIST_GPA, c->vcpus * HV_ARM64_REDIST_BYTES},
        .its = {HV_ARM64_ITS_GPA, HV_ARM64_ITS_BYTES},
        .rtc_gpa = RTC_GPA,
        .cpu_ids = t->cpu_ids,
    };
    *out = arm64_tree_arch(&t->tree);
    out->ctx = t;
    return r;
}

static const struct fdt_board_kind kind = {
    .arch = &arch_host,
    .image = {.wanted = {"an arm64 Image", "arm64"},
              .magic = "ARM\x64",
              .cmdline_max_bytes = CMDLINE_BYTES - 1},
    .serial = {SERIAL_GPA, SERIAL_SPI},
    .debug_exit_gpa = DEBUG_EXIT_GPA,
    .pvpanic_gpa = PVPANIC_GPA,
    .rtc = {&pl031_kind, RTC_GPA},
    .tree = make_tree,
};

static int board_create(struct board **out, const struct board_config *config)
{
    return fdt_board_create(out, config, &kind);
}

static int power_on(struct board *b, struct hv_vcpu *vcpu, unsigned id)
{
    const struct linux_image *image = fdt_board_image(b);
    return id != 0
               ? 0
               : fdt_board_config(b)->hv->arch->set_entry(vcpu, image->entry_gpa, image->tree_gpa);
}

const struct arch arch_host = {
    .serial_console = "ttyS0",
    .hole_gpa = 0,
    .hole_end_gpa = RAM_GPA,
    .mmio_limit = UINT64_C(1) << 52,
    .framebuffer_gpa = FRAMEBUFFER_GPA,
    .virtio = {VIRTIO_GPA, VIRTIO_STRIDE, ARRAY_SIZE(virtio_spis), virtio_spis},
    .pci = {.ecam_gpa = ECAM_GPA,
            .ecam_bytes = PCI_HOST_ECAM_BYTES,
            .windows = {.memory32 = {WINDOW_GPA, RAM_GPA - WINDOW_GPA},
                        .memory64 = {WINDOW64_GPA, WINDOW64_BYTES}},
            .irq = PCI_SPI},
    .board_create = board_create,
    .board_flush = fdt_board_flush,
    .board_destroy = fdt_board_destroy,
    .describe = fdt_board_describe,
    .load_kernel = fdt_board_load_kernel,
    .press_power = fdt_board_press_power,
    .power_on = power_on,
};
