// SPDX-License-Identifier: BSD-2-Clause
/*
 * The arm64 machine: what Linux finds by a device tree.
 *
 *   0x0100_0000   serial port, SPI 1
 *   0x0101_0000   PL031 real-time clock
 *   0x0102_0000   debug exit: a byte ends the run with that status
 *   0x0103_0000   pvpanic
 *   0x0104_0000   SP805 watchdog, with --watchdog
 *   0x0105_0000   fw_cfg, with --fw-cfg
 *   0x0300_0000   virtio-mmio windows, SPI 16 and up
 *   0x0800_0000   GICv3: distributor, ITS, redistributors; or a GICv2 (hv_arm64.h)
 *   0x2000_0000   framebuffer, if the machine has a display
 *   0x4000_0000   PCI configuration space (ECAM), bus 0
 *   0x5000_0000   PCI memory window; INTx is on SPI 4 to 7, the buttons on SPI 3 and 8
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
#include "devices/platform/watchdog.h"
#include "firmware/arm64/arm64_tree.h"

#define CMDLINE_BYTES 2048 /* Linux's COMMAND_LINE_SIZE */

_Static_assert(FDT_FRAMEBUFFER_GPA + FRAMEBUFFER_BYTES_MAX <= FDT_ECAM_GPA &&
                   HV_ARM64_REDIST_GPA + HV_MAX_VCPUS * HV_ARM64_REDIST_BYTES <=
                       FDT_FRAMEBUFFER_GPA,
               "the framebuffer is clear of other devices");

_Static_assert(ARM64_TREE_CLOCK_HZ == SP805_HZ, "the watchdog counts as the tree says");

struct tree {
    struct arm64_tree tree;
    uint32_t cpu_ids[HV_MAX_VCPUS];
};

static int make_tree(const struct board_config *c, struct tree_arch *out)
{
    struct tree *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return fail(-ENOMEM, "device tree");
    const struct hv_arm64_parts parts = c->hv->arch->parts(c->vm);
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
        .has_gicv2 = parts.has_gicv2,
        .cpu_interface = {HV_ARM64_GICV2_CPU_GPA, HV_ARM64_GICV2_CPU_BYTES},
        .pmu_ppi = parts.has_pmu ? HV_ARM64_PMU_PPI : 0,
        .rtc_gpa = FDT_RTC_GPA,
        .watchdog_gpa = c->watchdog.on ? FDT_WATCHDOG_GPA : 0,
        .cpus = c->vcpus,
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
    .rtc = &pl031_kind,
    .watchdog = &sp805_kind,
    .create = make_tree,
    .destroy = free,
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
    FDT_BOARD_ARCH,
    .name = "aarch64",
    .board_create = board_create,
    .power_on = power_on,
};
