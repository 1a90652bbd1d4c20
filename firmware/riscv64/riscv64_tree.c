// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/riscv64/riscv64_tree.h"

#include <stdio.h>
#include <string.h>

#define RTC_BYTES  0x1000
#define ISA_BYTES  768 /* of the old way to tell extensions */
#define CPUS_MAX   64
#define S_EXTERNAL 9u /* the supervisor's external interrupt, at a hart's own controller */

enum { EDGE_RISING = 1, LEVEL_HIGH = 4 };

#define HART_IRQS(id) (TREE_OWN + (id)) /* the phandle of that controller */

static unsigned long long ull(uint64_t v)
{
    return v;
}

/* A PLIC knows edges and levels alike, and has one cell. */
static void irq(uint32_t *cells, unsigned irq, bool is_level)
{
    cells[0] = irq;
    cells[1] = is_level ? LEVEL_HIGH : EDGE_RISING;
}

static uint32_t cpu_reg(void *ctx, unsigned id)
{
    (void)ctx;
    return id;
}

/* "rv64imac_zicsr_...", which kernels before 6.6 look at. */
static void put_isa(const struct riscv64_tree *r, struct dt *t)
{
    char isa[ISA_BYTES] = "rv64";
    size_t len = strlen(isa);
    const char *end = r->cpu.extensions + r->cpu.extensions_bytes;
    for (const char *at = r->cpu.extensions; at < end && len < sizeof(isa); at += strlen(at) + 1)
        len += (size_t)snprintf(isa + len, sizeof(isa) - len, "%s%s", at[1] != '\0' ? "_" : "", at);
    dt_text(t, "riscv,isa", isa);
}

static void cpu(struct dt *t, void *ctx, unsigned id)
{
    const struct riscv64_tree *r = ctx;
    char mmu[24];
    dt_text(t, "compatible", "riscv");
    dt_text(t, "riscv,isa-base", "rv64i");
    dt_bytes(t, "riscv,isa-extensions", r->cpu.extensions, r->cpu.extensions_bytes);
    put_isa(r, t);
    if (r->cpu.address_bits != 0) {
        snprintf(mmu, sizeof(mmu), "riscv,sv%u", r->cpu.address_bits);
        dt_text(t, "mmu-type", mmu);
    }
    if (r->cpu.cbom_bytes != 0)
        dt_cells(t, "riscv,cbom-block-size", r->cpu.cbom_bytes);
    if (r->cpu.cboz_bytes != 0)
        dt_cells(t, "riscv,cboz-block-size", r->cpu.cboz_bytes);
    dt_begin(t, "interrupt-controller");
    dt_text(t, "compatible", "riscv,cpu-intc");
    dt_flag(t, "interrupt-controller");
    dt_cells(t, "#interrupt-cells", 1);
    dt_cells(t, "#address-cells", 0);
    dt_cells(t, "interrupt-parent", HART_IRQS(id)); /* none: the root's is for devices */
    dt_cells(t, "phandle", HART_IRQS(id));
    dt_end(t);
}

/* To each processor's external interrupt. */
static void put_wires(const struct riscv64_tree *r, struct dt *t)
{
    uint32_t wires[2 * CPUS_MAX];
    unsigned cpus = r->cpus < CPUS_MAX ? r->cpus : CPUS_MAX;
    for (unsigned i = 0; i < cpus; i++) {
        wires[2 * i] = HART_IRQS(i);
        wires[2 * i + 1] = S_EXTERNAL;
    }
    dt_cells_put(t, "interrupts-extended", wires, 2 * (size_t)cpus);
}

static void begin_controller(struct dt *t, uint64_t gpa, uint64_t bytes, unsigned cells)
{
    dt_begin(t, "interrupt-controller@%llx", ull(gpa));
    dt_flag(t, "interrupt-controller");
    dt_cells(t, "#interrupt-cells", cells);
    dt_cells(t, "#address-cells", 0);
    dt_cells(t, "reg", DT_64(gpa), DT_64(bytes));
}

static void add_plic(const struct riscv64_tree *r, struct dt *t)
{
    begin_controller(t, r->wires.gpa, r->wires.bytes, 1);
    dt_texts(t, "compatible", "sifive,plic-1.0.0\0riscv,plic0");
    dt_cells(t, "riscv,ndev", r->wires.sources);
    put_wires(r, t);
    dt_cells(t, "phandle", TREE_IRQS);
    dt_end(t);
}

/* Wired interrupts become messages, too. */
static void add_aia(const struct riscv64_tree *r, struct dt *t)
{
    begin_controller(t, r->imsic.gpa, r->cpus * r->imsic.bytes, 0);
    dt_texts(t, "compatible", "qemu,imsics\0riscv,imsics");
    dt_flag(t, "msi-controller");
    dt_cells(t, "#msi-cells", 0);
    dt_cells(t, "riscv,num-ids", r->imsic.ids);
    put_wires(r, t);
    dt_cells(t, "phandle", TREE_MSI);
    dt_end(t);
    begin_controller(t, r->wires.gpa, r->wires.bytes, 2);
    dt_texts(t, "compatible", "qemu,aplic\0riscv,aplic");
    dt_cells(t, "riscv,num-sources", r->wires.sources);
    dt_cells(t, "msi-parent", TREE_MSI);
    dt_cells(t, "phandle", TREE_IRQS);
    dt_end(t);
}

static unsigned irq_cells(const struct riscv64_tree *r)
{
    return r->imsic.bytes != 0 ? 2 : 1;
}

static void nodes(struct dt *t, void *ctx)
{
    const struct riscv64_tree *r = ctx;
    uint32_t cells[TREE_IRQ_CELLS_MAX];
    (r->imsic.bytes != 0 ? add_aia : add_plic)(r, t);
    irq(cells, r->rtc.irq, true);
    dt_begin(t, "rtc@%llx", ull(r->rtc.gpa));
    dt_text(t, "compatible", "google,goldfish-rtc");
    dt_cells(t, "reg", DT_64(r->rtc.gpa), DT_64(RTC_BYTES));
    dt_cells_put(t, "interrupts", cells, irq_cells(r));
    dt_end(t);
}

struct tree_arch riscv64_tree_arch(const struct riscv64_tree *tree)
{
    return (struct tree_arch){
        .irq_cells = irq_cells(tree),
        .irq = irq,
        .has_msi = tree->imsic.bytes != 0,
        .timebase_hz = tree->cpu.timebase_hz,
        .cpu_reg = cpu_reg,
        .cpu = cpu,
        .nodes = nodes,
        .ctx = (void *)(uintptr_t)tree,
    };
}
