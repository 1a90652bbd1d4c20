// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/fdt/machine_tree.h"

#include <linux/input-event-codes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"

#define SERIAL_NODE  "serial@%llx"
#define SERIAL_CLOCK 1843200u /* a PC's crystal: 115200 baud are divisor 1 */
#define SERIAL_BYTES 8
#define WINDOW_BYTES 0x200 /* of virtio-mmio, without a device's own */
#define SEED_BYTES   64
#define FW_CFG_BYTES 10 /* of the layout without DMA */

/* PCI's addresses in a tree (IEEE 1275's PCI binding, 2.2.1.1). */
#define PCI_MEMORY32  UINT32_C(0x02000000)
#define PCI_MEMORY64  UINT32_C(0x03000000)
#define PCI_WIRES     4u
#define PCI_SLOT(n)   ((uint32_t)(n) << 11)
#define PCI_SLOT_MASK PCI_SLOT(PCI_WIRES - 1) /* wires are the same for every fourth slot */
#define PCI_PIN_MASK  7u

static unsigned long long ull(uint64_t v)
{
    return v;
}

static void put_irq(const struct machine_tree *m, struct dt *t, unsigned irq)
{
    uint32_t cells[TREE_IRQ_CELLS_MAX];
    m->arch.irq(cells, irq, false);
    dt_cells_put(t, "interrupts", cells, m->arch.irq_cells);
}

static void put_reg(struct dt *t, uint64_t gpa, uint64_t bytes)
{
    dt_cells(t, "reg", DT_64(gpa), DT_64(bytes));
}

/* What has nothing but them. */
static void add_registers(struct dt *t, const char *name, const char *compatible, uint64_t gpa,
                          uint64_t bytes)
{
    dt_begin(t, "%s@%llx", name, ull(gpa));
    dt_text(t, "compatible", compatible);
    put_reg(t, gpa, bytes);
    dt_end(t);
}

static void add_framebuffer(const struct boot_framebuffer *f, struct dt *t)
{
    dt_cells(t, "#address-cells", 2);
    dt_cells(t, "#size-cells", 2);
    dt_flag(t, "ranges");
    dt_begin(t, "framebuffer@%llx", ull(f->gpa));
    dt_text(t, "compatible", "simple-framebuffer");
    put_reg(t, f->gpa, boot_framebuffer_bytes(f));
    dt_cells(t, "width", f->width);
    dt_cells(t, "height", f->height);
    dt_cells(t, "stride", 4 * f->width);
    dt_text(t, "format", "x8r8g8b8");
    dt_end(t);
}

static void add_chosen(const struct machine_tree *m, struct dt *t)
{
    uint8_t seed[SEED_BYTES];
    dt_begin(t, "chosen");
    if (m->serial.gpa != 0) {
        char path[40];
        snprintf(path, sizeof(path), "/" SERIAL_NODE, ull(m->serial.gpa));
        dt_text(t, "stdout-path", path);
    }
    if (m->entropy != NULL && m->entropy->fill(m->entropy->ctx, seed, sizeof(seed)) == 0) {
        dt_bytes(t, "kaslr-seed", seed, 8);
        dt_bytes(t, "rng-seed", seed + 8, sizeof(seed) - 8);
    }
    if (m->framebuffer.width != 0)
        add_framebuffer(&m->framebuffer, t);
    dt_end(t);
}

static void add_memory(const struct machine_tree *m, struct dt *t)
{
    for (unsigned i = 0; i < m->gmem->count; i++) {
        const struct gmem_region *r = &m->gmem->regions[i];
        dt_begin(t, "memory@%llx", ull(r->gpa));
        dt_text(t, "device_type", "memory");
        put_reg(t, r->gpa, r->bytes);
        dt_end(t);
    }
}

static void add_cpus(const struct machine_tree *m, struct dt *t)
{
    dt_begin(t, "cpus");
    dt_cells(t, "#address-cells", 1);
    dt_cells(t, "#size-cells", 0);
    if (m->arch.timebase_hz != 0)
        dt_cells(t, "timebase-frequency", m->arch.timebase_hz);
    for (unsigned i = 0; i < m->vcpus; i++) {
        uint32_t reg = m->arch.cpu_reg(m->arch.ctx, i);
        dt_begin(t, "cpu@%x", reg);
        dt_text(t, "device_type", "cpu");
        dt_cells(t, "reg", reg);
        m->arch.cpu(t, m->arch.ctx, i);
        dt_end(t);
    }
    dt_end(t);
}

static void add_serial(const struct machine_tree *m, struct dt *t)
{
    dt_begin(t, SERIAL_NODE, ull(m->serial.gpa));
    dt_text(t, "compatible", "ns16550a");
    put_reg(t, m->serial.gpa, SERIAL_BYTES);
    dt_cells(t, "clock-frequency", SERIAL_CLOCK);
    put_irq(m, t, m->serial.irq);
    dt_end(t);
}

static void add_windows(const struct machine_tree *m, struct dt *t)
{
    for (unsigned i = 0; i < m->virtio.count; i++) {
        uint64_t gpa = m->virtio.gpa + i * m->virtio.stride;
        dt_begin(t, "virtio_mmio@%llx", ull(gpa));
        dt_text(t, "compatible", "virtio,mmio");
        put_reg(t, gpa, WINDOW_BYTES);
        put_irq(m, t, m->virtio.irqs[i]);
        dt_flag(t, "dma-coherent");
        dt_end(t);
    }
}

/*
 * Keys of a keyboard that have no GPIO but an interrupt alone: each edge is a key that is pressed
 * and let go (Linux Documentation/devicetree/bindings/input/gpio-keys.yaml).
 */
static void add_key(const struct machine_tree *m, struct dt *t, const char *name, const char *label,
                    unsigned code, unsigned irq)
{
    dt_begin(t, "%s", name);
    dt_text(t, "label", label);
    dt_cells(t, "linux,code", code);
    dt_flag(t, "wakeup-source");
    put_irq(m, t, irq);
    dt_end(t);
}

static void add_buttons(const struct machine_tree *m, struct dt *t)
{
    dt_begin(t, "gpio-keys");
    dt_text(t, "compatible", "gpio-keys");
    add_key(m, t, "key-power", "Power Button", KEY_POWER, m->power_irq);
    add_key(m, t, "key-sleep", "Sleep Button", KEY_SLEEP, m->sleep_irq);
    dt_end(t);
}

/* The pins of four slots, spread over the wires as devices/platform/pci_host.h says. */
static void add_wires(const struct machine_tree *m, struct dt *t)
{
    uint32_t map[PCI_WIRES * PCI_WIRES * (3 + 1 + 1 + 2 + TREE_IRQ_CELLS_MAX)], *c = map;
    for (unsigned slot = 0; slot < PCI_WIRES; slot++) {
        for (unsigned pin = 0; pin < PCI_WIRES; pin++) {
            *c++ = PCI_SLOT(slot);
            *c++ = 0;
            *c++ = 0;
            *c++ = pin + 1;
            *c++ = TREE_IRQS;
            for (unsigned i = 0; i < m->arch.irqs_address_cells; i++)
                *c++ = 0;
            m->arch.irq(c, m->pci.irq + (slot + pin) % PCI_WIRES, true);
            c += m->arch.irq_cells;
        }
    }
    dt_cells(t, "interrupt-map-mask", PCI_SLOT_MASK, 0, 0, PCI_PIN_MASK);
    dt_cells_put(t, "interrupt-map", map, (size_t)(c - map));
}

static void add_pci(const struct machine_tree *m, struct dt *t)
{
    const struct pci_window *low = &m->pci.windows->memory32, *high = &m->pci.windows->memory64;
    const uint32_t ranges[] = {PCI_MEMORY32,      DT_64(low->base),  DT_64(low->base),
                               DT_64(low->bytes), PCI_MEMORY64,      DT_64(high->base),
                               DT_64(high->base), DT_64(high->bytes)};
    dt_begin(t, "pcie@%llx", ull(m->pci.ecam_gpa));
    dt_text(t, "compatible", "pci-host-ecam-generic");
    dt_text(t, "device_type", "pci");
    dt_cells(t, "#address-cells", 3);
    dt_cells(t, "#size-cells", 2);
    dt_cells(t, "#interrupt-cells", 1);
    dt_cells(t, "bus-range", 0, (uint32_t)(m->pci.ecam_bytes / MIB - 1));
    put_reg(t, m->pci.ecam_gpa, m->pci.ecam_bytes);
    dt_cells_put(t, "ranges", ranges, ARRAY_SIZE(ranges) / (high->bytes != 0 ? 1 : 2));
    dt_flag(t, "dma-coherent");
    if (m->arch.has_msi && !m->arch.knows_senders)
        dt_cells(t, "msi-parent", TREE_MSI);
    else if (m->arch.has_msi)
        dt_cells(t, "msi-map", 0, TREE_MSI, 0, 0x10000);
    add_wires(m, t);
    dt_end(t);
}

int machine_tree_write(const struct machine_tree *m, void *blob, size_t room)
{
    struct dt t;
    dt_start(&t, blob, room);
    dt_text(&t, "compatible", "linux,dummy-virt");
    dt_text(&t, "model", "minivet");
    dt_cells(&t, "#address-cells", 2);
    dt_cells(&t, "#size-cells", 2);
    dt_cells(&t, "interrupt-parent", TREE_IRQS);
    add_chosen(m, &t);
    add_memory(m, &t);
    add_cpus(m, &t);
    m->arch.nodes(&t, m->arch.ctx);
    if (m->serial.gpa != 0)
        add_serial(m, &t);
    if (m->pvpanic_gpa != 0)
        add_registers(&t, "pvpanic", "qemu,pvpanic-mmio", m->pvpanic_gpa, 1);
    if (m->fw_cfg_gpa != 0)
        add_registers(&t, "fw-cfg", "qemu,fw-cfg-mmio", m->fw_cfg_gpa, FW_CFG_BYTES);
    if (m->power_irq != 0)
        add_buttons(m, &t);
    add_windows(m, &t);
    if (m->pci.ecam_bytes != 0)
        add_pci(m, &t);
    return dt_finish(&t);
}
