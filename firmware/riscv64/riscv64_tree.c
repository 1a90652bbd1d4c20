// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/riscv64/riscv64_tree.h"

#include <stdio.h>
#include <string.h>

#define RTC_BYTES  0x1000
#define ISA_BYTES  768 /* of the old way to tell extensions */
#define CPUS_MAX   64
#define S_EXTERNAL 9u /* the supervisor's external interrupt, at a hart's own controller */

#define HART_IRQS(id) (TREE_OWN + (id)) /* the phandle of that controller */

static unsigned long long ull(uint64_t v)
{
    return v;
}

static void irq(uint32_t *cells, unsigned irq, bool is_level)
{
    (void)is_level; /* the controller knows edges and levels alike */
    cells[0] = irq;
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

static void add_plic(const struct riscv64_tree *r, struct dt *t)
{
    uint32_t wires[2 * CPUS_MAX];
    unsigned cpus = r->cpus < CPUS_MAX ? r->cpus : CPUS_MAX;
    for (unsigned i = 0; i < cpus; i++) {
        wires[2 * i] = HART_IRQS(i);
        wires[2 * i + 1] = S_EXTERNAL;
    }
    dt_begin(t, "interrupt-controller@%llx", ull(r->plic.gpa));
    dt_texts(t, "compatible", "sifive,plic-1.0.0\0riscv,plic0");
    dt_flag(t, "interrupt-controller");
    dt_cells(t, "#interrupt-cells", 1);
    dt_cells(t, "#address-cells", 0);
    dt_cells(t, "reg", DT_64(r->plic.gpa), DT_64(r->plic.bytes));
    dt_cells(t, "riscv,ndev", r->plic.sources);
    dt_cells_put(t, "interrupts-extended", wires, 2 * (size_t)cpus);
    dt_cells(t, "phandle", TREE_IRQS);
    dt_end(t);
}

static void nodes(struct dt *t, void *ctx)
{
    const struct riscv64_tree *r = ctx;
    add_plic(r, t);
    dt_begin(t, "rtc@%llx", ull(r->rtc.gpa));
    dt_text(t, "compatible", "google,goldfish-rtc");
    dt_cells(t, "reg", DT_64(r->rtc.gpa), DT_64(RTC_BYTES));
    dt_cells(t, "interrupts", r->rtc.irq);
    dt_end(t);
}

struct tree_arch riscv64_tree_arch(const struct riscv64_tree *tree)
{
    return (struct tree_arch){
        .irq_cells = 1,
        .irq = irq,
        .timebase_hz = tree->cpu.timebase_hz,
        .cpu_reg = cpu_reg,
        .cpu = cpu,
        .nodes = nodes,
        .ctx = (void *)(uintptr_t)tree,
    };
}
