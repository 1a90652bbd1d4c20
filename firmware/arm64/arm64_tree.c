// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/arm64/arm64_tree.h"

#include <string.h>

/* An interrupt's cells (Linux
 * Documentation/devicetree/bindings/interrupt-controller/arm,gic-v3.yaml). */
enum { GIC_SPI, GIC_PPI };
enum { GIC_EDGE_RISING = 1, GIC_LEVEL_HIGH = 4 };
#define GICV2_CPUS(n) (((1u << (n)) - 1) << 8) /* with a processor's own interrupt: whose it is */

#define RTC_BYTES      0x1000
#define WATCHDOG_BYTES 0x1000

static unsigned long long ull(uint64_t v)
{
    return v;
}

static void irq(uint32_t *cells, unsigned irq, bool is_level)
{
    cells[0] = GIC_SPI;
    cells[1] = irq;
    cells[2] = is_level ? GIC_LEVEL_HIGH : GIC_EDGE_RISING;
}

static uint32_t cpu_reg(void *ctx, unsigned id)
{
    const struct arm64_tree *a = ctx;
    return a->cpu_ids[id];
}

static void cpu(struct dt *t, void *ctx, unsigned id)
{
    (void)ctx, (void)id;
    dt_text(t, "compatible", "arm,armv8");
    dt_text(t, "enable-method", "psci");
}

static void add_gicv2(const struct arm64_tree *a, struct dt *t)
{
    dt_begin(t, "interrupt-controller@%llx", ull(a->distributor.gpa));
    dt_text(t, "compatible", "arm,cortex-a15-gic");
    dt_flag(t, "interrupt-controller");
    dt_cells(t, "#interrupt-cells", 3);
    dt_cells(t, "#address-cells", 0);
    dt_cells(t, "reg", DT_64(a->distributor.gpa), DT_64(a->distributor.bytes),
             DT_64(a->cpu_interface.gpa), DT_64(a->cpu_interface.bytes));
    dt_cells(t, "phandle", TREE_IRQS);
    dt_end(t);
}

static void add_gicv3(const struct arm64_tree *a, struct dt *t)
{
    dt_begin(t, "interrupt-controller@%llx", ull(a->distributor.gpa));
    dt_text(t, "compatible", "arm,gic-v3");
    dt_flag(t, "interrupt-controller");
    dt_cells(t, "#interrupt-cells", 3);
    dt_cells(t, "#address-cells", 2);
    dt_cells(t, "#size-cells", 2);
    dt_flag(t, "ranges");
    dt_cells(t, "reg", DT_64(a->distributor.gpa), DT_64(a->distributor.bytes),
             DT_64(a->redistributors.gpa), DT_64(a->redistributors.bytes));
    dt_cells(t, "phandle", TREE_IRQS);
    dt_begin(t, "msi-controller@%llx", ull(a->its.gpa));
    dt_text(t, "compatible", "arm,gic-v3-its");
    dt_flag(t, "msi-controller");
    dt_cells(t, "#msi-cells", 1);
    dt_cells(t, "reg", DT_64(a->its.gpa), DT_64(a->its.bytes));
    dt_cells(t, "phandle", TREE_MSI);
    dt_end(t);
    dt_end(t);
}

static void add_rtc(const struct arm64_tree *a, struct dt *t)
{
    dt_begin(t, "apb-clock");
    dt_text(t, "compatible", "fixed-clock");
    dt_cells(t, "#clock-cells", 0);
    dt_cells(t, "clock-frequency", ARM64_TREE_CLOCK_HZ);
    dt_cells(t, "phandle", TREE_CLOCK);
    dt_end(t);
    dt_begin(t, "rtc@%llx", ull(a->rtc_gpa));
    dt_texts(t, "compatible", "arm,pl031\0arm,primecell");
    dt_cells(t, "reg", DT_64(a->rtc_gpa), DT_64(RTC_BYTES));
    dt_cells(t, "clocks", TREE_CLOCK);
    dt_text(t, "clock-names", "apb_pclk");
    dt_end(t);
}

/* Its interrupt is optional: Linux has no use for it. */
static void add_watchdog(const struct arm64_tree *a, struct dt *t)
{
    dt_begin(t, "watchdog@%llx", ull(a->watchdog_gpa));
    dt_texts(t, "compatible", "arm,sp805\0arm,primecell");
    dt_cells(t, "reg", DT_64(a->watchdog_gpa), DT_64(WATCHDOG_BYTES));
    dt_cells(t, "clocks", TREE_CLOCK, TREE_CLOCK);
    dt_texts(t, "clock-names", "wdog_clk\0apb_pclk");
    dt_end(t);
}

static void nodes(struct dt *t, void *ctx)
{
    const struct arm64_tree *a = ctx;
    const uint32_t level = GIC_LEVEL_HIGH | (a->has_gicv2 ? GICV2_CPUS(a->cpus) : 0);
    dt_begin(t, "psci");
    dt_texts(t, "compatible", "arm,psci-1.0\0arm,psci-0.2");
    dt_text(t, "method", "hvc");
    dt_end(t);
    dt_begin(t, "timer");
    dt_text(t, "compatible", "arm,armv8-timer");
    /* Secure, non-secure, virtual and the hypervisor's, as KVM raises them. */
    dt_cells(t, "interrupts", GIC_PPI, 13, level, GIC_PPI, 14, level, GIC_PPI, 11, level, GIC_PPI,
             10, level);
    dt_flag(t, "always-on");
    dt_end(t);
    if (a->pmu_ppi != 0) {
        dt_begin(t, "pmu");
        dt_text(t, "compatible", "arm,armv8-pmuv3");
        dt_cells(t, "interrupts", GIC_PPI, a->pmu_ppi, level);
        dt_end(t);
    }
    (a->has_gicv2 ? add_gicv2 : add_gicv3)(a, t);
    add_rtc(a, t);
    if (a->watchdog_gpa != 0)
        add_watchdog(a, t);
}

struct tree_arch arm64_tree_arch(const struct arm64_tree *tree)
{
    return (struct tree_arch){
        .irq_cells = 3,
        .irqs_address_cells = tree->has_gicv2 ? 0 : 2,
        .irq = irq,
        .has_msi = !tree->has_gicv2,
        .knows_senders = true,
        .cpu_reg = cpu_reg,
        .cpu = cpu,
        .nodes = nodes,
        .ctx = (void *)(uintptr_t)tree,
    };
}
