// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/pci_host.h"

#include "core/ports/pci.h"
#include "tests/harness/test.h"

#define ECAM UINT64_C(0xe0000000)

static struct bus *pio, *mmio;
static struct pci_host *host;

/* A function that remembers the last access and answers with its offset. */
static struct {
    struct pci_function f;
    unsigned reads, writes, offset, width;
    uint32_t value;
} fn;

static uint32_t fn_read(struct pci_function *f, unsigned offset, unsigned width)
{
    cr_assert_eq(f, &fn.f);
    cr_assert_leq((int)(offset % 4 + width), 4);
    fn.reads++;
    fn.offset = offset;
    fn.width = width;
    return 0xa5a50000 | offset;
}

static void fn_write(struct pci_function *f, unsigned offset, unsigned width, uint32_t value)
{
    cr_assert_eq(f, &fn.f);
    cr_assert_leq((int)(offset % 4 + width), 4);
    fn.writes++;
    fn.offset = offset;
    fn.width = width;
    fn.value = value;
}

static const struct pci_function_ops fn_ops = {.config_read = fn_read, .config_write = fn_write};

static void setup(void)
{
    cr_assert_eq(bus_create(&pio, "pio", 65536), 0);
    cr_assert_eq(bus_create(&mmio, "mmio", UINT64_C(1) << 46), 0);
    struct pci_host_config config = {.pio = pio, .mmio = mmio, .ecam_gpa = ECAM};
    cr_assert_eq(pci_host_create(&host, &config), 0);
    fn.f = (struct pci_function){.ops = &fn_ops, .name = "fn"};
    cr_assert_eq(pci_host_add(host, PCI_DEVFN(3, 1), &fn.f), 0);
}

static void teardown(void)
{
    pci_host_destroy(host);
    bus_destroy(pio);
    bus_destroy(mmio);
}

TestSuite(pci_host, .init = setup, .fini = teardown);

static uint32_t latch(unsigned bus, unsigned devfn, unsigned reg)
{
    return 0x80000000u | bus << 16 | devfn << 8 | (reg & 0xfc);
}

static uint64_t port_read(unsigned devfn, unsigned reg, unsigned width)
{
    uint64_t value = 0;
    bus_write(pio, 0xcf8, 4, latch(0, devfn, reg));
    bus_read(pio, 0xcfc + reg % 4, width, &value);
    return value;
}

static uint64_t ecam_read(unsigned devfn, unsigned reg, unsigned width)
{
    uint64_t value = 0;
    bus_read(mmio, ECAM + (devfn << 12) + reg, width, &value);
    return value;
}

Test(pci_host, the_bridge_is_function_0)
{
    cr_expect_eq(port_read(0, 0, 4), 0x00081b36);
    cr_expect_eq(ecam_read(0, 0, 4), 0x00081b36);
    cr_expect_eq(ecam_read(0, 2, 2), 0x0008);
    cr_expect_eq(port_read(0, 0x08, 4), 0x06000000);
    cr_expect_eq(port_read(0, 0x0b, 1), 0x06);
    cr_expect_eq(port_read(0, 0x0e, 1), 0); /* header type 0, one function */
    for (unsigned reg = 0x0c; reg < 4096; reg += 4)
        cr_expect_eq(ecam_read(0, reg, 4), 0);
}

Test(pci_host, is_empty_until_the_first_function)
{
    cr_assert_not(pci_host_is_empty(host));
    pci_host_destroy(host);
    cr_assert_eq(pci_host_create(
                     &host, &(struct pci_host_config){.pio = pio, .mmio = mmio, .ecam_gpa = ECAM}),
                 0);
    cr_assert(pci_host_is_empty(host));
    cr_assert_eq(pci_host_add(host, PCI_DEVFN(31, 7), &fn.f), 0);
    cr_assert_not(pci_host_is_empty(host));
}

Test(pci_host, the_bridge_cannot_be_written)
{
    for (unsigned reg = 0; reg < 4096; reg += 4) {
        uint64_t before = ecam_read(0, reg, 4);
        bus_write(mmio, ECAM + reg, 4, 0xffffffff);
        cr_expect_eq(ecam_read(0, reg, 4), before);
    }
}

/* What Linux does before it believes in mechanism #1. */
Test(pci_host, mechanism_1_is_detected)
{
    uint64_t value = 0;
    bus_write(pio, 0xcfb, 1, 1);
    bus_write(pio, 0xcf8, 4, 0x80000000);
    cr_expect(bus_read(pio, 0xcf8, 4, &value));
    cr_expect_eq(value, 0x80000000);
}

Test(pci_host, both_doors_reach_a_function)
{
    cr_expect_eq(port_read(PCI_DEVFN(3, 1), 0x44, 4), 0xa5a50044);
    cr_expect_eq(port_read(PCI_DEVFN(3, 1), 0x46, 2), 0x0046);
    cr_expect_eq((int)fn.width, 2);
    cr_expect_eq(port_read(PCI_DEVFN(3, 1), 0xff, 1), 0xff);
    cr_expect_eq((int)fn.offset, 0xff);
    cr_expect_eq(ecam_read(PCI_DEVFN(3, 1), 0xffc, 4), 0xa5a50ffc);
    cr_expect_eq(ecam_read(PCI_DEVFN(3, 1), 0xffe, 2), 0x0ffe);

    bus_write(mmio, ECAM + (PCI_DEVFN(3, 1) << 12) + 0x105, 1, 0x5a);
    cr_expect_eq((int)fn.offset, 0x105);
    cr_expect_eq((int)fn.value, 0x5a);
    bus_write(pio, 0xcf8, 4, latch(0, PCI_DEVFN(3, 1), 0x10));
    bus_write(pio, 0xcfd, 2, 0xbeef);
    cr_expect_eq((int)fn.offset, 0x11);
    cr_expect_eq((int)fn.value, 0xbeef);
    cr_expect_eq((int)fn.writes, 2);
}

Test(pci_host, what_is_absent_reads_all_ones)
{
    uint64_t value;
    for (unsigned devfn = 1; devfn < PCI_DEVFN_COUNT; devfn++) {
        if (devfn == PCI_DEVFN(3, 1))
            continue;
        cr_expect_eq(port_read(devfn, 0, 4), 0xffffffff);
        cr_expect_eq(ecam_read(devfn, 0, 2), 0xffff);
        bus_write(mmio, ECAM + (devfn << 12), 4, 0);
    }
    for (unsigned bus = 1; bus < 256; bus++) {
        bus_write(pio, 0xcf8, 4, latch(bus, PCI_DEVFN(3, 1), 0));
        bus_read(pio, 0xcfc, 4, &value);
        cr_expect_eq(value, 0xffffffff);
        bus_write(pio, 0xcfc, 4, 0);
    }
    cr_expect_eq((int)(fn.reads + fn.writes), 0);
}

Test(pci_host, a_disabled_latch_reaches_nobody)
{
    uint64_t value;
    bus_write(pio, 0xcf8, 4, latch(0, PCI_DEVFN(3, 1), 0) & 0x7fffffff);
    bus_read(pio, 0xcfc, 1, &value);
    cr_expect_eq(value, 0xff);
    bus_write(pio, 0xcfc, 4, 0);
    cr_expect_eq((int)(fn.reads + fn.writes), 0);
}

Test(pci_host, reserved_latch_bits_are_not_kept)
{
    uint64_t value;
    bus_write(pio, 0xcf8, 4, 0xffffffff);
    bus_read(pio, 0xcf8, 4, &value);
    cr_expect_eq(value, 0x80fffffc);
    bus_write(pio, 0xcf8, 2, 0);
    bus_write(pio, 0xcf9, 1, 6);
    bus_read(pio, 0xcf8, 4, &value);
    cr_expect_eq(value, 0x80fffffc);
}

Test(pci_host, an_access_across_doublewords_is_dropped)
{
    unsigned devfn = PCI_DEVFN(3, 1);
    cr_expect_eq(ecam_read(devfn, 2, 4), 0xffffffff);
    cr_expect_eq(ecam_read(devfn, 3, 2), 0xffff);
    cr_expect_eq(ecam_read(devfn, 0xfff, 4), 0xffffffff);
    cr_expect_eq(ecam_read(devfn, 0, 8), UINT64_MAX);
    cr_expect_eq(port_read(devfn, 3, 2), 0xffff);
    cr_expect_eq(port_read(devfn, 2, 4), 0xffffffff);
    bus_write(mmio, ECAM + PCI_HOST_ECAM_BYTES - 1, 4, 0);
    cr_expect_eq((int)(fn.reads + fn.writes), 0);
}

Test(pci_host, functions_are_placed_once)
{
    struct pci_function other = {.ops = &fn_ops, .name = "other"};
    cr_expect_eq(pci_host_add(host, PCI_DEVFN(0, 0), &other), -EEXIST);
    cr_expect_eq(pci_host_add(host, PCI_DEVFN(3, 1), &other), -EEXIST);
    cr_expect_eq(pci_host_add(host, PCI_DEVFN_COUNT, &other), -EINVAL);
    cr_expect_eq(pci_host_add(host, PCI_DEVFN(31, 7), &other), 0);
}

static void *storm(void *seed)
{
    unsigned state = (unsigned)(uintptr_t)seed;
    uint64_t value;
    for (int i = 0; i < 20000; i++) {
        unsigned r = (unsigned)rand_r(&state);
        /* Everything but function 3.1, whose fake is not made for threads. */
        bus_write(pio, 0xcf8, 4, (r | 0x80000000u) & ~0x1800u);
        bus_read(pio, 0xcfc + r % 4, 1u << (r >> 4) % 3, &value);
        bus_write(pio, 0xcfc + r % 4, 1u << (r >> 4) % 3, r);
        bus_read(mmio, ECAM + (r & 0xf7fff), 1u << (r >> 8) % 4, &value);
    }
    return NULL;
}

Test(pci_host, vcpus_may_race)
{
    pthread_t threads[3];
    for (uintptr_t i = 0; i < 3; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, storm, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(port_read(0, 0, 4), 0x00081b36);
}
