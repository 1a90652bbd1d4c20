// SPDX-License-Identifier: BSD-2-Clause
#include "pci/function.h"

#include "core/ports/pci.h"
#include "tests/harness/test.h"

#define MEM32   UINT64_C(0xc0000000)
#define MEM64   UINT64_C(0x800000000)
#define PORTS   UINT64_C(0xc000)
#define CAP_ID  0x09
#define SIZE_32 0x1000u
#define SIZE_64 0x4000u
#define SIZE_IO 0x40u

enum {
    BAR_IO = 0,
    BAR_32 = 1,
    BAR_64 = 4,
};

static struct bus *pio, *mmio;
static struct pci_func func;
static unsigned cap;

static const struct pci_windows windows = {
    .memory32 = {MEM32, 0x20000000},
    .memory64 = {MEM64, 0x800000000},
    .ports = {PORTS, 0x4000},
};

/* What the owner and the bridge hear. */
static struct {
    uint64_t come[PCI_BARS], going[PCI_BARS]; /* the last addresses */
    unsigned comes, goings;
    bool off_bus_when_come, off_bus_when_going; /* the region was not there when it should be */
    unsigned cap_reads, cap_writes, cap, offset, width;
    unsigned intx_calls, pin, devfn;
    bool level;
    unsigned master_calls;
    bool master;
} heard;

/* A BAR answers with its tag. */
static const char tag_io = 'i', tag_32 = 'm', tag_64 = 'M';

static uint64_t bar_read(void *dev, uint64_t offset, unsigned width)
{
    (void)offset;
    (void)width;
    return (uint64_t) * (const char *)dev;
}

static void bar_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)dev;
    (void)offset;
    (void)width;
    (void)value;
}

static const struct bus_ops bar_ops = {.read = bar_read, .write = bar_write};

static struct bus *bus_of(unsigned bar)
{
    return bar == BAR_IO ? pio : mmio;
}

static bool answers(unsigned bar, uint64_t addr)
{
    static const char *const tags[] = {[BAR_IO] = &tag_io, [BAR_32] = &tag_32, [BAR_64] = &tag_64};
    uint64_t value;
    return bus_read(bus_of(bar), addr, 4, &value) && value == (uint64_t)*tags[bar];
}

static void on_come(void *ctx, unsigned bar, uint64_t addr)
{
    (void)ctx;
    heard.come[bar] = addr;
    heard.comes++;
    heard.off_bus_when_come |= !answers(bar, addr);
}

static void on_going(void *ctx, unsigned bar, uint64_t addr)
{
    (void)ctx;
    heard.going[bar] = addr;
    heard.goings++;
    heard.off_bus_when_going |= !answers(bar, addr);
}

static void on_cap_read(void *ctx, unsigned at, unsigned offset, unsigned width)
{
    (void)ctx;
    (void)width;
    heard.cap_reads++;
    if (offset == 8)
        pci_func_put(&func, at + 8, 4, 0x11223344);
}

static void on_cap_written(void *ctx, unsigned at, unsigned offset, unsigned width)
{
    (void)ctx;
    heard.cap_writes++;
    heard.cap = at;
    heard.offset = offset;
    heard.width = width;
}

static void on_intx(void *ctx, unsigned devfn, unsigned pin, bool level)
{
    (void)ctx;
    heard.intx_calls++;
    heard.devfn = devfn;
    heard.pin = pin;
    heard.level = level;
}

static void on_master(void *ctx, bool on)
{
    (void)ctx;
    heard.master_calls++;
    heard.master = on;
    cr_expect_eq(atomic_load(&func.master), on);
}

static const struct pci_func_ops ops = {
    .bar_going = on_going,
    .bar_come = on_come,
    .cap_read = on_cap_read,
    .cap_written = on_cap_written,
};

static uint32_t rd(unsigned offset, unsigned width)
{
    return func.port.ops->config_read(&func.port, offset, width);
}

static void wr(unsigned offset, unsigned width, uint32_t value)
{
    func.port.ops->config_write(&func.port, offset, width, value);
}

static unsigned reg(unsigned bar)
{
    return 0x10 + 4 * bar;
}

static void add_bar(unsigned bar, const char *tag, struct pci_bar_config config)
{
    config.widths = BUS_W1248;
    config.ops = &bar_ops;
    config.dev = (void *)(uintptr_t)tag;
    pci_func_add_bar(&func, bar, &config);
}

static void connect_to_bridge(void)
{
    func.port.ops->connect(&func.port, &(struct pci_intx){.set = on_intx, .devfn = 0x18}, &windows);
}

static void setup(void)
{
    heard = (typeof(heard)){0};
    cr_assert_eq(bus_create(&pio, "pio", 65536), 0);
    cr_assert_eq(bus_create(&mmio, "mmio", UINT64_C(1) << 46), 0);
    struct pci_func_config config = {.name = "fn",
                                     .vendor = 0x1af4,
                                     .device = 0x1042,
                                     .subsystem_vendor = 0x1af5,
                                     .subsystem = 0x40,
                                     .revision = 1,
                                     .class_code = 0x018000,
                                     .has_intx = true,
                                     .mmio = mmio,
                                     .pio = pio,
                                     .ops = &ops};
    cr_assert_eq(pci_func_init(&func, &config), 0);
    add_bar(BAR_IO, &tag_io, (struct pci_bar_config){.space = BUS_PIO, .bytes = SIZE_IO});
    add_bar(BAR_32, &tag_32, (struct pci_bar_config){.space = BUS_MMIO, .bytes = SIZE_32});
    add_bar(BAR_64, &tag_64,
            (struct pci_bar_config){
                .space = BUS_MMIO, .is_64 = true, .prefetch = true, .bytes = SIZE_64});
    cap = pci_func_add_cap(&func, CAP_ID, 10);
    pci_func_watch_master(&func, &(struct pci_master_watch){.changed = on_master});
    connect_to_bridge();
}

static void teardown(void)
{
    cr_expect_not(heard.off_bus_when_come, "bar_come comes after the region");
    cr_expect_not(heard.off_bus_when_going, "bar_going comes before the region goes");
    pci_func_fini(&func);
    bus_destroy(pio);
    bus_destroy(mmio);
}

TestSuite(pci_function, .init = setup, .fini = teardown);

/* Good addresses for all, and decoding on. */
static void place(void)
{
    wr(reg(BAR_IO), 4, PORTS);
    wr(reg(BAR_32), 4, MEM32);
    wr(reg(BAR_64), 4, (uint32_t)MEM64);
    wr(reg(BAR_64 + 1), 4, MEM64 >> 32);
    wr(0x04, 2, 3);
}

/* ---- the header ---- */

Test(pci_function, header_says_who_it_is)
{
    cr_expect_eq(rd(0x00, 4), 0x10421af4);
    cr_expect_eq(rd(0x08, 4), 0x01800001);
    cr_expect_eq(rd(0x0e, 1), 0);
    cr_expect_eq(rd(0x2c, 4), 0x00401af5);
    cr_expect_eq(rd(0x3d, 1), 1); /* pin A */
    cr_expect_eq(rd(0x06, 2), 0x0010);
    cr_expect_eq(rd(0x34, 1), cap);
    cr_expect_eq(rd(0x30, 4), 0); /* no ROM */
}

Test(pci_function, every_width_reads_the_same_bytes)
{
    place();
    for (unsigned at = 0; at < 256; at += 4) {
        uint32_t whole = rd(at, 4);
        for (unsigned i = 0; i < 4; i++)
            cr_expect_eq(rd(at + i, 1), whole >> 8 * i & 0xff);
        for (unsigned i = 0; i < 3; i++)
            cr_expect_eq(rd(at + i, 2), whole >> 8 * i & 0xffff);
    }
}

Test(pci_function, only_what_is_writable_changes)
{
    static const struct {
        unsigned at;
        uint32_t mask;
    } writable[] = {
        {0x04, 0x0547}, {0x0c, 0xff},       {0x10, ~(SIZE_IO - 1)}, {0x14, ~(SIZE_32 - 1)},
        {0x3c, 0xff},   {0x24, 0xffffffff}, {0x20, ~(SIZE_64 - 1)},
    };
    for (unsigned at = 0; at < 256; at += 4) {
        uint32_t mask = 0, before = rd(at, 4);
        for (unsigned i = 0; i < ARRAY_SIZE(writable); i++)
            mask |= writable[i].at == at ? writable[i].mask : 0;
        if (at == cap + 8) /* the owner's */
            continue;
        wr(at, 4, ~before);
        cr_expect_eq(rd(at, 4) & ~mask, before & ~mask, "at 0x%x", at);
        cr_expect_eq(rd(at, 4) & mask, ~before & mask, "at 0x%x", at);
    }
}

Test(pci_function, there_is_nothing_beyond_256_bytes)
{
    for (unsigned at = 256; at < 4096; at += 4) {
        wr(at, 4, 0xffffffff);
        cr_expect_eq(rd(at, 4), 0);
    }
    cr_expect_eq(rd(4095, 1), 0);
}

Test(pci_function, status_bits_are_cleared_by_ones)
{
    pci_func_put(&func, 0x06, 2, 0xf910);
    wr(0x06, 2, 0x8000);
    cr_expect_eq(rd(0x06, 2), 0x7910);
    wr(0x07, 1, 0x01);
    cr_expect_eq(rd(0x06, 2), 0x7810);
    wr(0x04, 4, 0x00000002); /* with the command register */
    cr_expect_eq(rd(0x04, 4), 0x78100002);
    wr(0x06, 2, 0xffff);
    cr_expect_eq(rd(0x06, 2), 0x0010);
}

/* ---- base address registers ---- */

Test(pci_function, bars_are_sized_by_all_ones)
{
    for (unsigned bar = 0; bar < 6; bar++)
        wr(reg(bar), 4, 0xffffffff);
    cr_expect_eq(rd(reg(0), 4), 0xffffffc1);
    cr_expect_eq(rd(reg(1), 4), 0xfffff000);
    cr_expect_eq(rd(reg(2), 4), 0);
    cr_expect_eq(rd(reg(3), 4), 0);
    cr_expect_eq(rd(reg(4), 4), 0xffffc00c);
    cr_expect_eq(rd(reg(5), 4), 0xffffffff);
}

Test(pci_function, decoding_follows_the_command_register)
{
    place();
    cr_expect(answers(BAR_IO, PORTS) && answers(BAR_32, MEM32) && answers(BAR_64, MEM64));
    cr_expect_eq(heard.comes, 3);
    wr(0x04, 2, 1);
    cr_expect(answers(BAR_IO, PORTS));
    cr_expect_not(answers(BAR_32, MEM32) || answers(BAR_64, MEM64));
    cr_expect_eq(heard.going[BAR_64], MEM64);
    wr(0x04, 1, 2);
    cr_expect_not(answers(BAR_IO, PORTS));
    cr_expect(answers(BAR_32, MEM32) && answers(BAR_64, MEM64));
    wr(0x05, 1, 0xff); /* the other half of the register */
    cr_expect(answers(BAR_32, MEM32));
    wr(0x04, 2, 0);
    cr_expect_not(answers(BAR_32, MEM32) || answers(BAR_64, MEM64));
    cr_expect_eq(func.bars[BAR_32].addr, PCI_NO_ADDRESS);
    cr_expect_eq(heard.goings, heard.comes);
}

Test(pci_function, a_region_answers_to_its_last_byte)
{
    place();
    cr_expect(answers(BAR_32, MEM32 + SIZE_32 - 4));
    cr_expect_not(answers(BAR_32, MEM32 + SIZE_32));
}

Test(pci_function, moving_a_bar_moves_its_region)
{
    place();
    wr(reg(BAR_32), 4, MEM32 + 0x10000);
    cr_expect_not(answers(BAR_32, MEM32));
    cr_expect(answers(BAR_32, MEM32 + 0x10000));
    cr_expect_eq(heard.going[BAR_32], MEM32);
    cr_expect_eq(heard.come[BAR_32], MEM32 + 0x10000);
    wr(reg(BAR_32) + 2, 1, 0x07); /* a byte of it */
    cr_expect(answers(BAR_32, MEM32 + 0x70000));
    unsigned comes = heard.comes;
    wr(reg(BAR_32) + 2, 1, 0x07);
    cr_expect_eq(heard.comes, comes, "the same again moves nothing");
}

Test(pci_function, sizing_with_decoding_on_leaves_no_region_behind)
{
    place();
    for (unsigned bar = 0; bar < 6; bar++)
        wr(reg(bar), 4, 0xffffffff);
    cr_expect_eq(heard.goings, heard.comes);
    for (unsigned bar = 0; bar < 6; bar++)
        cr_expect_eq(func.bars[bar].addr, PCI_NO_ADDRESS);
    cr_expect_not(answers(BAR_32, 0xfffff000));
    place();
    cr_expect(answers(BAR_IO, PORTS) && answers(BAR_32, MEM32) && answers(BAR_64, MEM64));
}

Test(pci_function, halves_of_a_64_bit_bar_come_one_at_a_time)
{
    place();
    wr(reg(BAR_64) + 4, 4, 0); /* at 0 now: nowhere */
    cr_expect_not(answers(BAR_64, MEM64));
    cr_expect_eq(func.bars[BAR_64].addr, PCI_NO_ADDRESS);
    wr(reg(BAR_64), 4, 0xd0000000);
    cr_expect(answers(BAR_64, 0xd0000000)); /* the window below will do too */
    wr(reg(BAR_64) + 4, 4, 9);
    cr_expect(answers(BAR_64, UINT64_C(0x9d0000000)));
    cr_expect_not(answers(BAR_64, 0xd0000000));
}

Test(pci_function, addresses_outside_the_windows_do_not_decode)
{
    static const uint64_t bad[] = {
        0,          0x1000,     0x7ffff000, MEM32 - SIZE_32, 0xe0000000,
        0xfeb00000, 0xfec00000, 0xfee00000, 0xfffff000,
    };
    place();
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        wr(reg(BAR_32), 4, (uint32_t)bad[i]);
        cr_expect_not(answers(BAR_32, bad[i]));
        cr_expect_eq(rd(reg(BAR_32), 4), (uint32_t)bad[i], "the register keeps it");
    }
    wr(reg(BAR_32), 4, 0xe0000000 - SIZE_32); /* the last place in the window */
    cr_expect(answers(BAR_32, 0xe0000000 - SIZE_32));

    wr(reg(BAR_64) + 4, 4, 1); /* RAM above 4 GiB */
    cr_expect_not(answers(BAR_64, UINT64_C(0x100000000)));
    wr(reg(BAR_64) + 4, 4, 0xffffffff);
    cr_expect_eq(func.bars[BAR_64].addr, PCI_NO_ADDRESS);

    static const uint32_t bad_ports[] = {0, 0x40, 0x3c0, 0xcc0, 0xbfc0, 0x10000, 0x1c000};
    for (unsigned i = 0; i < ARRAY_SIZE(bad_ports); i++) {
        wr(reg(BAR_IO), 4, bad_ports[i]);
        cr_expect_not(answers(BAR_IO, bad_ports[i]));
        cr_expect_not(answers(BAR_IO, PORTS));
    }
}

Test(pci_function, where_another_is_a_bar_does_not_decode)
{
    place();
    wr(reg(BAR_32), 4, (uint32_t)MEM32 + SIZE_32);
    wr(reg(BAR_64), 4, (uint32_t)MEM32);
    wr(reg(BAR_64) + 4, 4, 0);
    cr_expect(answers(BAR_32, MEM32 + SIZE_32), "who was first stays");
    cr_expect_eq(func.bars[BAR_64].addr, PCI_NO_ADDRESS);
    wr(reg(BAR_32), 4, (uint32_t)MEM32 + 0x100000);
    cr_expect(answers(BAR_64, MEM32), "it comes when the place is free");
    cr_expect(answers(BAR_32, MEM32 + 0x100000));
}

Test(pci_function, nothing_decodes_while_the_windows_are_closed)
{
    static const struct pci_windows closed;
    place();
    func.port.ops->connect(&func.port, &(struct pci_intx){.set = NULL}, &closed);
    cr_expect_eq(heard.goings, 3);
    wr(reg(BAR_32), 4, 0);
    wr(reg(BAR_32), 4, (uint32_t)MEM32);
    cr_expect_not(answers(BAR_32, MEM32));
}

Test(pci_function, fini_takes_the_bars_off_the_bus)
{
    place();
    pci_func_fini(&func);
    cr_expect_not(answers(BAR_IO, PORTS) || answers(BAR_32, MEM32) || answers(BAR_64, MEM64));
    cr_expect_eq(heard.goings, 3);
    pci_func_fini(&func); /* and once more is nothing */
    struct pci_func zeroed = {0};
    pci_func_fini(&zeroed);
}

/* ---- capabilities ---- */

Test(pci_function, capabilities_are_a_list_that_ends)
{
    unsigned second = pci_func_add_cap(&func, 0x11, 12);
    unsigned third = pci_func_add_cap(&func, CAP_ID, 20);
    cr_expect_eq(rd(0x34, 1), cap);
    cr_expect_eq(rd(cap, 1), CAP_ID);
    cr_expect_eq(rd(cap + 1, 1), second);
    cr_expect_eq(rd(second, 2), third << 8 | 0x11);
    cr_expect_eq(rd(third, 2), CAP_ID);
    cr_expect_eq(cap % 4 + second % 4 + third % 4, 0);
    cr_expect_eq(second, cap + 12, "10 bytes take 12");
    wr(0x34, 1, 0xff);
    wr(cap, 4, 0xffffffff);
    cr_expect_eq(rd(0x34, 1), cap);
    cr_expect_eq(rd(cap, 2), second << 8 | CAP_ID);
}

Test(pci_function, the_owner_hears_of_its_capability)
{
    pci_func_allow(&func, cap + 4, 2, 0xc00f);
    wr(cap + 4, 2, 0xffff);
    cr_expect_eq(heard.cap_writes, 1);
    cr_expect_eq(heard.cap, cap);
    cr_expect_eq(heard.offset, 4);
    cr_expect_eq(heard.width, 2);
    cr_expect_eq(rd(cap + 4, 2), 0xc00f);
    cr_expect_eq(rd(cap + 8, 4), 0x11223344, "cap_read comes before the read");
    cr_expect_eq(heard.cap_reads, 2);
    wr(0x3c, 1, 5);
    (void)rd(0x3c, 4);
    (void)rd(cap + 12, 4);
    cr_expect_eq(heard.cap_reads, 2);
    cr_expect_eq(heard.cap_writes, 1);
}

/* ---- INTx ---- */

Test(pci_function, intx_shows_in_status_and_at_the_bridge)
{
    pci_func_intx(&func, true);
    cr_expect_eq(rd(0x06, 2), 0x0018);
    cr_expect_eq(heard.intx_calls, 1);
    cr_expect(heard.level);
    cr_expect_eq(heard.devfn, 0x18);
    cr_expect_eq(heard.pin, 0);
    pci_func_intx(&func, true);
    cr_expect_eq(heard.intx_calls, 1, "only changes are told");
    pci_func_intx(&func, false);
    cr_expect_eq(heard.intx_calls, 2);
    cr_expect_not(heard.level);
    cr_expect_eq(rd(0x04, 4), 0x00100000);
}

Test(pci_function, intx_can_be_disabled)
{
    wr(0x04, 2, 0x0400);
    pci_func_intx(&func, true);
    cr_expect_eq(heard.intx_calls, 0);
    cr_expect_eq(rd(0x06, 1), 0x18, "the status shows it all the same");
    wr(0x05, 1, 0);
    cr_expect_eq(heard.intx_calls, 1);
    cr_expect(heard.level);
    wr(0x06, 2, 0xffff);
    cr_expect(heard.level, "writing the status does not clear it");
    cr_expect_eq(rd(0x06, 1), 0x18);
    wr(0x04, 2, 0x0400);
    cr_expect_eq(heard.intx_calls, 2);
    cr_expect_not(heard.level);
}

Test(pci_function, a_level_from_before_the_bridge_is_told)
{
    pci_func_intx(&func, true);
    heard.intx_calls = 0;
    connect_to_bridge();
    cr_expect_eq(heard.intx_calls, 1);
    cr_expect(heard.level);
}

/* ---- bus mastering ---- */

Test(pci_function, bus_mastering_is_watched)
{
    cr_expect_not(atomic_load(&func.master));
    wr(0x04, 2, 4);
    cr_expect(atomic_load(&func.master));
    wr(0x04, 2, 7);
    cr_expect_eq(heard.master_calls, 1);
    cr_expect(heard.master);
    wr(0x04, 1, 3);
    cr_expect_eq(heard.master_calls, 2);
    cr_expect_not(atomic_load(&func.master));
}

/* ---- hostile guests ---- */

static void *storm(void *seed)
{
    unsigned state = (unsigned)(uintptr_t)seed;
    for (int i = 0; i < 20000; i++) {
        unsigned r = (unsigned)rand_r(&state);
        unsigned at = r >> 4 & 0xff, width = 1u << r % 3;
        if (at % 4 + width > 4)
            continue;
        uint32_t value = (uint32_t)rand_r(&state) << 16 ^ (uint32_t)rand_r(&state);
        if (r & 0x10000) { /* an address that may be good */
            at = reg(r >> 20 & 7);
            width = 4;
            value = (value & 0xff000) | MEM32;
        }
        wr(at, width, value);
        (void)rd(at, width);
        pci_func_intx(&func, r & 0x20000);
        uint64_t answer;
        bus_read(mmio, MEM32 + (value & 0xff000), 4, &answer);
    }
    return NULL;
}

Test(pci_function, vcpus_may_race)
{
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, storm, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    wr(0x04, 2, 0);
    for (unsigned bar = 0; bar < 6; bar++)
        cr_expect_eq(func.bars[bar].addr, PCI_NO_ADDRESS);
    cr_expect_eq(heard.comes, heard.goings);
    place();
    cr_expect(answers(BAR_IO, PORTS) && answers(BAR_32, MEM32) && answers(BAR_64, MEM64));
}
