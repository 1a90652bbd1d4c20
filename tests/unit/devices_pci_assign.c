// SPDX-License-Identifier: BSD-2-Clause
/* The bridge with real functions behind it: addresses before boot, interrupt wires, windows. */
#include "devices/platform/pci_host.h"

#include "core/ports/pci.h"
#include "pci/function.h"
#include "tests/harness/test.h"

#define ECAM      UINT64_C(0xe0000000)
#define MEM32     UINT64_C(0xc0000000)
#define MEM64     UINT64_C(0x800000000)
#define PORTS     UINT64_C(0xc000)
#define FUNCTIONS 6u
#define FIRST_GSI 16u

static struct bus *pio, *mmio;
static struct pci_host *host;
static struct pci_func funcs[FUNCTIONS];
static unsigned func_count;

static const struct pci_windows windows = {
    .memory32 = {MEM32, 0x20000000},
    .memory64 = {MEM64, 0x800000000},
    .ports = {PORTS, 0x4000},
};

/* The controller's side of the wires. */
static struct {
    _Atomic bool level;
    atomic_uint calls;
} wires[PCI_HOST_WIRES];

static void set_wire(void *ctx, unsigned irq, bool level)
{
    (void)ctx;
    cr_assert_lt(irq - FIRST_GSI, PCI_HOST_WIRES);
    atomic_store(&wires[irq - FIRST_GSI].level, level);
    atomic_fetch_add(&wires[irq - FIRST_GSI].calls, 1);
}

static void create_host(bool connected)
{
    struct pci_host_config config = {.pio = pio, .mmio = mmio, .ecam_gpa = ECAM};
    for (unsigned i = 0; connected && i < PCI_HOST_WIRES; i++)
        config.wires[i] = (struct irq_line){.set = set_wire, .irq = FIRST_GSI + i, .eventfd = -1};
    cr_assert_eq(pci_host_create(&host, &config), 0);
}

static void setup(void)
{
    listen_to_log(LOG_ERROR);
    cr_assert_eq(bus_create(&pio, "pio", 65536), 0);
    cr_assert_eq(bus_create(&mmio, "mmio", UINT64_C(1) << 46), 0);
    create_host(true);
}

static void teardown(void)
{
    for (unsigned i = 0; i < func_count; i++)
        pci_func_fini(&funcs[i]);
    pci_host_destroy(host);
    bus_destroy(pio);
    bus_destroy(mmio);
}

TestSuite(pci_assign, .init = setup, .fini = teardown);

/* ---- functions ---- */

/* A BAR answers with its number. */
static uint64_t bar_read(void *dev, uint64_t offset, unsigned width)
{
    (void)offset;
    (void)width;
    return (uint64_t)(uintptr_t)dev;
}

static void bar_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)dev;
    (void)offset;
    (void)width;
    (void)value;
}

static const struct bus_ops bar_ops = {.read = bar_read, .write = bar_write};

enum kind {
    KIND_IO,
    KIND_32,
    KIND_64,
};

static void add_bar(struct pci_func *f, unsigned bar, enum kind kind, uint64_t bytes)
{
    pci_func_add_bar(f, bar,
                     &(struct pci_bar_config){.space = kind == KIND_IO ? BUS_PIO : BUS_MMIO,
                                              .is_64 = kind == KIND_64,
                                              .bytes = bytes,
                                              .name = "bar",
                                              .widths = BUS_W1248,
                                              .ops = &bar_ops,
                                              .dev = (void *)(uintptr_t)bar});
}

static struct pci_func *make(bool has_intx)
{
    struct pci_func *f = &funcs[func_count++];
    struct pci_func_config config = {
        .name = "nic", .vendor = 0x1af4, .has_intx = has_intx, .mmio = mmio, .pio = pio};
    cr_assert_eq(pci_func_init(f, &config), 0);
    return f;
}

static struct pci_func *plug(unsigned devfn, struct pci_func *f)
{
    cr_assert_eq(pci_host_add(host, devfn, &f->port), 0);
    return f;
}

static uint64_t cfg(unsigned devfn, unsigned reg, unsigned width)
{
    uint64_t value = 0;
    bus_read(mmio, ECAM + (devfn << 12) + reg, width, &value);
    return value;
}

static void cfg_write(unsigned devfn, unsigned reg, unsigned width, uint64_t value)
{
    bus_write(mmio, ECAM + (devfn << 12) + reg, width, value);
}

/* ---- addresses ---- */

Test(pci_assign, every_bar_gets_an_aligned_place_of_its_own)
{
    static const struct {
        enum kind kind;
        uint64_t bytes;
    } bars[] = {{KIND_IO, 64}, {KIND_32, 4096}, {KIND_64, MIB}, {KIND_64, 16}};
    for (unsigned i = 0; i < 5; i++) {
        struct pci_func *f = make(true);
        add_bar(f, 0, bars[0].kind, bars[0].bytes << i);
        add_bar(f, 1, bars[1].kind, bars[1].bytes << i);
        add_bar(f, 2, bars[2].kind, bars[2].bytes << 2 * i);
        add_bar(f, 4, bars[3].kind, bars[3].bytes << i);
        plug(PCI_DEVFN(i + 1, 0), f);
    }
    cr_assert_eq(pci_host_assign(host, &windows), 0);
    for (unsigned i = 0; i < 5; i++) {
        for (unsigned bar = 0; bar < PCI_BARS; bar++) {
            uint64_t bytes = funcs[i].bars[bar].cfg.bytes;
            uint64_t addr = funcs[i].bars[bar].addr, value = 0;
            if (bytes == 0)
                continue;
            /* That it decodes says that it is inside a window and overlaps nothing. */
            cr_expect_neq(addr, PCI_NO_ADDRESS);
            cr_expect(is_aligned(addr, bytes));
            cr_expect_eq(addr >= MEM64, bar >= 2, "64-bit ones are above");
            cr_expect(bus_read(bar == 0 ? pio : mmio, addr, 4, &value));
            cr_expect_eq(value, bar);
        }
        cr_expect_eq(cfg(PCI_DEVFN(i + 1, 0), 0x04, 2), 3, "memory and ports, not master");
    }
}

Test(pci_assign, without_a_64_bit_window_all_are_below)
{
    struct pci_windows low = windows;
    low.memory64.bytes = 0;
    struct pci_func *f = make(false);
    add_bar(f, 0, KIND_64, MIB);
    add_bar(f, 2, KIND_32, 4096);
    plug(PCI_DEVFN(1, 0), f);
    cr_assert_eq(pci_host_assign(host, &low), 0);
    cr_expect_eq(f->bars[0].addr, MEM32);
    cr_expect_eq(f->bars[2].addr, MEM32 + MIB);
}

Test(pci_assign, a_bar_beyond_4_gib_is_sized)
{
    struct pci_func *f = make(false);
    add_bar(f, 0, KIND_64, 8 * GIB);
    add_bar(f, 2, KIND_64, 16 * GIB);
    plug(PCI_DEVFN(1, 0), f);
    cr_assert_eq(pci_host_assign(host, &windows), 0);
    cr_expect_eq(f->bars[0].addr, MEM64);
    cr_expect_eq(f->bars[2].addr, MEM64 + 16 * GIB);
}

static void check_full(enum kind kind, const char *message)
{
    static const struct pci_windows small = {
        .memory32 = {MEM32 + 4096, 3 * 4096},
        .memory64 = {MEM64, 3 * 4096},
        .ports = {PORTS, 3 * 64},
    };
    struct pci_func *f = make(false);
    uint64_t bytes = kind == KIND_IO ? 64 : 4096;
    add_bar(f, 0, kind, bytes);
    add_bar(f, 2, kind, bytes * 2); /* from the third on, so none is left */
    plug(PCI_DEVFN(7, 2), f);
    cr_expect_eq(pci_host_assign(host, &small), -ENOSPC);
    cr_expect_str_eq(logged_line, message);
}

Test(pci_assign, a_full_port_window_is_named)
{
    check_full(KIND_IO, "PCI function 07.2 (nic): BAR 2 of 0x80 bytes in the port window: "
                        "No space left on device");
}

Test(pci_assign, a_full_32_bit_window_is_named)
{
    struct pci_func *f = make(false);
    add_bar(f, 0, KIND_32, 4096);
    plug(PCI_DEVFN(1, 0), f);
    check_full(KIND_32, "PCI function 07.2 (nic): BAR 2 of 0x2000 bytes in the 32-bit memory "
                        "window: No space left on device");
}

Test(pci_assign, a_full_64_bit_window_is_named)
{
    check_full(KIND_64, "PCI function 07.2 (nic): BAR 2 of 0x2000 bytes in the 64-bit memory "
                        "window: No space left on device");
}

Test(pci_assign, before_it_nothing_decodes)
{
    struct pci_func *f = make(false);
    add_bar(f, 0, KIND_32, 4096);
    plug(PCI_DEVFN(1, 0), f);
    cfg_write(PCI_DEVFN(1, 0), 0x10, 4, MEM32);
    cfg_write(PCI_DEVFN(1, 0), 0x04, 2, 2);
    cr_expect_eq(f->bars[0].addr, PCI_NO_ADDRESS);
    cr_assert_eq(pci_host_assign(host, &windows), 0);
    cr_expect_eq(f->bars[0].addr, MEM32);
}

/* A function that leaves out the upper half of a port's address, and one that is a bridge. */
static struct {
    struct pci_function f;
    uint32_t bar, command;
    unsigned header_type, writes;
} raw;

static uint32_t raw_read(struct pci_function *f, unsigned offset, unsigned width)
{
    (void)f;
    (void)width;
    if (offset == 0x0e)
        return raw.header_type;
    return offset == 0x10 ? raw.bar : offset == 0x04 ? raw.command : 0;
}

static void raw_write(struct pci_function *f, unsigned offset, unsigned width, uint32_t value)
{
    (void)f;
    (void)width;
    raw.writes++;
    if (offset == 0x10)
        raw.bar = (value & 0xff00) | 1;
    if (offset == 0x04)
        raw.command = value;
}

static const struct pci_function_ops raw_ops = {.config_read = raw_read, .config_write = raw_write};

Test(pci_assign, ports_may_have_16_address_bits)
{
    raw.f = (struct pci_function){.ops = &raw_ops, .name = "raw"};
    raw.command = 4;
    cr_assert_eq(pci_host_add(host, PCI_DEVFN(2, 0), &raw.f), 0);
    cr_assert_eq(pci_host_assign(host, &windows), 0);
    cr_expect_eq(raw.bar, PORTS | 1);
    cr_expect_eq(raw.command, 7, "a bit that was set stays");
}

Test(pci_assign, other_headers_are_left_alone)
{
    raw.f = (struct pci_function){.ops = &raw_ops, .name = "raw"};
    raw.header_type = 1;
    cr_assert_eq(pci_host_add(host, PCI_DEVFN(2, 0), &raw.f), 0);
    cr_assert_eq(pci_host_assign(host, &windows), 0);
    cr_expect_eq(raw.writes, 0);
}

/* ---- several functions in a slot ---- */

Test(pci_assign, header_type_says_whether_there_are_more_functions)
{
    plug(PCI_DEVFN(1, 0), make(false));
    plug(PCI_DEVFN(2, 0), make(false));
    plug(PCI_DEVFN(2, 7), make(false));
    cr_expect_eq(cfg(PCI_DEVFN(1, 0), 0x0e, 1), 0);
    cr_expect_eq(cfg(PCI_DEVFN(2, 0), 0x0e, 1), 0x80);
    cr_expect_eq(cfg(PCI_DEVFN(2, 0), 0x0e, 2), 0x80);
    cr_expect_eq(cfg(PCI_DEVFN(2, 0), 0x0c, 4), 0x800000);
    cr_expect_eq(cfg(PCI_DEVFN(2, 0), 0x0c, 2), 0);
    cr_expect_eq(cfg(PCI_DEVFN(2, 0), 0x0f, 1), 0);
    cr_expect_eq(cfg(PCI_DEVFN(2, 7), 0x0e, 1), 0);
    cr_expect_eq(cfg(PCI_DEVFN(0, 0), 0x0e, 1), 0);
}

/* ---- interrupts ---- */

Test(pci_assign, slots_are_spread_over_the_wires)
{
    for (unsigned slot = 1; slot <= 5; slot++) {
        struct pci_func *f = plug(PCI_DEVFN(slot, 0), make(true));
        pci_func_intx(f, true);
        for (unsigned w = 0; w < PCI_HOST_WIRES; w++)
            cr_expect_eq(wires[w].level, w == slot % 4, "slot %u, wire %u", slot, w);
        pci_func_intx(f, false);
        cr_expect_not(wires[slot % 4].level);
    }
}

Test(pci_assign, a_wire_is_up_while_anyone_pulls)
{
    struct pci_func *a = plug(PCI_DEVFN(1, 0), make(true));
    struct pci_func *b = plug(PCI_DEVFN(5, 0), make(true));
    struct pci_func *c = plug(PCI_DEVFN(5, 1), make(true));
    pci_func_intx(a, true);
    pci_func_intx(b, true);
    pci_func_intx(c, true);
    pci_func_intx(b, false);
    pci_func_intx(a, false);
    cr_expect(wires[1].level);
    cr_expect_eq(wires[1].calls, 1, "the controller hears of changes");
    pci_func_intx(c, false);
    cr_expect_not(wires[1].level);
    cr_expect_eq(wires[1].calls, 2);
}

Test(pci_assign, functions_learn_their_line)
{
    plug(PCI_DEVFN(3, 0), make(true));
    plug(PCI_DEVFN(4, 0), make(false));
    cr_assert_eq(pci_host_assign(host, &windows), 0);
    cr_expect_eq(cfg(PCI_DEVFN(3, 0), 0x3c, 2), 0x0113);
    cr_expect_eq(cfg(PCI_DEVFN(4, 0), 0x3c, 2), 0);
}

Test(pci_assign, wires_may_lead_nowhere)
{
    pci_host_destroy(host);
    create_host(false);
    struct pci_func *f = plug(PCI_DEVFN(3, 0), make(true));
    cr_assert_eq(pci_host_assign(host, &windows), 0);
    cr_expect_eq(cfg(PCI_DEVFN(3, 0), 0x3c, 1), 0xff);
    pci_func_intx(f, true);
    cr_expect_eq(cfg(PCI_DEVFN(3, 0), 0x06, 1), 0x08);
}

static void *pull(void *arg)
{
    for (unsigned i = 0; i < 20000; i++)
        pci_func_intx(arg, i % 2 != 0);
    return NULL;
}

/* The last level that the controller hears is the right one. */
Test(pci_assign, functions_may_race_on_a_wire)
{
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        struct pci_func *f = plug(PCI_DEVFN(1 + 4 * i, 0), make(true));
        cr_assert_eq(pthread_create(&threads[i], NULL, pull, f), 0);
    }
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    cr_expect(wires[1].level);
    pci_func_intx(&funcs[0], false);
    cr_expect(wires[1].level);
    pci_func_intx(&funcs[1], false);
    cr_expect_not(wires[1].level);
}
