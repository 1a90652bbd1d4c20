// SPDX-License-Identifier: BSD-2-Clause
/*
 * The riscv64 machine: what Linux finds by a device tree.
 *
 *   0x0100_0000   serial port, interrupt 1
 *   0x0101_0000   goldfish real-time clock, interrupt 2
 *   0x0102_0000   debug exit: a byte ends the run with that status
 *   0x0103_0000   pvpanic
 *   0x0105_0000   fw_cfg, with --fw-cfg
 *   0x0300_0000   virtio-mmio windows, interrupts 16 and up
 *   0x0c00_0000   PLIC, or
 *   0x0d00_0000   APLIC, and at 0x2800_0000 an IMSIC for each vCPU (hv_riscv64.h)
 *   0x2000_0000   framebuffer, if the machine has a display
 *   0x4000_0000   PCI configuration space (ECAM), bus 0
 *   0x5000_0000   PCI memory window; INTx is on interrupts 4 to 7, the buttons on 3 and 8
 *   0x8000_0000   RAM
 *   0x8_0000_0000 64-bit PCI memory window, 32 GiB, if RAM ends below it
 */
#include <errno.h>
#include <stdlib.h>

#include "arch/fdt_board.h"
#include "arch/riscv64/hv_riscv64.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/hv.h"
#include "devices/platform/framebuffer.h"
#include "devices/platform/mmio_rtc.h"
#include "devices/platform/pci_host.h"
#include "devices/platform/plic.h"
#include "firmware/riscv64/riscv64_tree.h"

#define PLIC_GPA      UINT64_C(0x0c000000)
#define RTC_IRQ       2
#define CMDLINE_BYTES 1024 /* Linux's COMMAND_LINE_SIZE */

_Static_assert(PLIC_GPA + PLIC_BYTES <= FDT_FRAMEBUFFER_GPA &&
                   FDT_FRAMEBUFFER_GPA + FRAMEBUFFER_BYTES_MAX <= HV_RISCV64_IMSIC_GPA,
               "devices are clear of each other");
_Static_assert(HV_RISCV64_LINES == PLIC_SOURCES && HV_MAX_VCPUS <= PLIC_CONTEXTS_MAX,
               "the interrupt controller has room");

struct tree {
    struct riscv64_tree tree;
    struct hv_riscv64_cpu cpu;
    struct plic *plic; /* NULL: the hypervisor has interrupt controllers */
};

static int create_plic(const struct board_config *c, struct plic **out)
{
    int r = plic_create(
        out, &(struct plic_config){c->mmio, PLIC_GPA, c->vcpus, c->hv->arch->interrupt, c->vm});
    if (r == 0)
        c->hv->arch->set_controller(c->vm, plic_set_source, *out);
    return r;
}

static int create(const struct board_config *c, struct tree_arch *out)
{
    struct tree *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return fail(-ENOMEM, "device tree");
    int r = c->hv->arch->cpu(c->vm, &t->cpu);
    if (r == 0 && !t->cpu.has_aia)
        r = create_plic(c, &t->plic);
    t->tree = (struct riscv64_tree){
        .cpu = {.extensions = t->cpu.extensions,
                .extensions_bytes = t->cpu.extensions_bytes,
                .address_bits = t->cpu.address_bits,
                .cbom_bytes = t->cpu.cbom_bytes,
                .cboz_bytes = t->cpu.cboz_bytes,
                .timebase_hz = t->cpu.timebase_hz},
        .cpus = c->vcpus,
        .wires = {PLIC_GPA, PLIC_BYTES, PLIC_SOURCES - 1},
        .rtc = {FDT_RTC_GPA, RTC_IRQ},
    };
    if (t->cpu.has_aia) {
        t->tree.wires.gpa = HV_RISCV64_APLIC_GPA;
        t->tree.wires.bytes = HV_RISCV64_APLIC_BYTES;
        t->tree.imsic.gpa = HV_RISCV64_IMSIC_GPA;
        t->tree.imsic.bytes = HV_RISCV64_IMSIC_BYTES;
        t->tree.imsic.ids = HV_RISCV64_IMSIC_IDS;
    }
    *out = riscv64_tree_arch(&t->tree);
    out->ctx = t;
    return r;
}

static void destroy(void *ctx)
{
    struct tree *t = ctx;
    plic_destroy(t->plic);
    free(t);
}

static const struct fdt_board_kind kind = {
    .arch = &arch_host,
    .image = {.wanted = {"a riscv64 Image", "riscv64"},
              .magic = "RSC\x05",
              .cmdline_max_bytes = CMDLINE_BYTES - 1},
    .rtc = &goldfish_rtc_kind,
    .create = create,
    .destroy = destroy,
};

static int board_create(struct board **out, const struct board_config *config)
{
    return fdt_board_create(out, config, &kind);
}

static int power_on(struct board *b, struct hv_vcpu *vcpu, unsigned id)
{
    const struct linux_image *image = fdt_board_image(b);
    return id != 0 ? 0
                   : fdt_board_config(b)->hv->arch->set_entry(vcpu, image->entry_gpa, id,
                                                              image->tree_gpa);
}

const struct arch arch_host = {
    FDT_BOARD_ARCH,
    .name = "riscv64",
    .board_create = board_create,
    .power_on = power_on,
};
