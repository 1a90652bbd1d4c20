// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/byte_device.h"

#include "core/ports/pci.h"
#include "devices/platform/pci_host.h"
#include "devices/platform/pvpanic_pci.h"
#include "tests/harness/ports.h"
#include "tests/harness/test.h"

TestSuite(pvpanic, .init = ports_open, .fini = ports_close);

Test(pvpanic, only_a_panic_ends_the_run)
{
    struct byte_device *p = NULL;
    uint64_t value = 0;
    struct byte_device_config config = {.bus = pio, .base = 0x505, .power = {.request = on_power}};
    cr_assert_eq(byte_device_create(&p, &pvpanic_kind, &config), 0);
    cr_expect_eq(port_in(0x505), 3);
    bus_write(pio, 0x505, 1, 0);
    bus_write(pio, 0x505, 1, 0xfc);
    bus_write(pio, 0x505, 1, 2);
    bus_write(pio, 0x505, 2, 1);
    cr_expect_eq(requests, 0);
    bus_write(pio, 0x505, 1, 1);
    cr_expect_eq(requests, 1);
    cr_expect_eq((int)last_event, POWER_PANIC);
    byte_device_destroy(p);
    cr_expect_not(bus_read(pio, 0x505, 1, &value));
}

/* ---- on PCI ---- */
#define ECAM   UINT64_C(0x40000000)
#define WINDOW UINT64_C(0x50000000)
#define DEVFN  PCI_DEVFN(1, 0)

static struct bus *mmio;
static struct pci_host *host;
static struct pvpanic_pci *function;

static void open_function(void)
{
    static const struct pci_windows windows = {.memory32 = {WINDOW, 0x100000}};
    cr_assert_eq(bus_create(&mmio, "mmio", UINT64_C(1) << 32), 0);
    cr_assert_eq(pci_host_create(&host, &(struct pci_host_config){.mmio = mmio, .ecam_gpa = ECAM}),
                 0);
    cr_assert_eq(
        pvpanic_pci_create(&function, &(struct pvpanic_pci_config){mmio, {.request = on_power}}),
        0);
    cr_assert_eq(pci_host_add(host, DEVFN, pvpanic_pci_function(function)), 0);
    cr_assert_eq(pci_host_assign(host, &windows), 0);
}

static void close_function(void)
{
    pci_host_destroy(host);
    pvpanic_pci_destroy(function);
    bus_destroy(mmio);
}

static uint32_t config_of(unsigned reg, unsigned width)
{
    uint64_t value = 0;
    cr_assert(bus_read(mmio, ECAM + (DEVFN << 12) + reg, width, &value));
    return (uint32_t)value;
}

TestSuite(pvpanic_pci, .init = open_function, .fini = close_function);

Test(pvpanic_pci, drivers_find_it)
{
    cr_expect_eq(config_of(PCI_REG_VENDOR, 2), 0x1b36);
    cr_expect_eq(config_of(PCI_REG_DEVICE, 2), 0x0011);
    cr_expect_eq(config_of(PCI_REG_REVISION, 4), 0x08800001, "a system device of no other kind");
    cr_expect_eq(config_of(PCI_REG_INTERRUPT_PIN, 1), 0);
    cr_expect_eq(config_of(PCI_REG_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);
    cr_expect_eq(config_of(PCI_REG_BAR, 4), WINDOW, "memory of 32 bits");
    bus_write(mmio, ECAM + (DEVFN << 12) + PCI_REG_BAR, 4, UINT32_MAX);
    cr_expect_eq(config_of(PCI_REG_BAR, 4), 0xfffffff0);
    for (unsigned bar = 1; bar < PCI_BARS; bar++)
        cr_expect_eq(config_of(PCI_REG_BAR + 4 * bar, 4), 0);
}

Test(pvpanic_pci, the_first_byte_is_the_register)
{
    uint64_t value = 0;
    cr_expect(bus_read(mmio, WINDOW, 1, &value) && value == 3);
    cr_expect(bus_read(mmio, WINDOW + 1, 1, &value) && value == 0);
    bus_write(mmio, WINDOW + 1, 1, 1);
    bus_write(mmio, WINDOW, 1, 2);
    bus_write(mmio, WINDOW, 1, 4);
    cr_expect_eq(requests, 0);
    bus_write(mmio, WINDOW, 1, 1);
    cr_expect_eq(requests, 1);
    cr_expect_eq((int)last_event, POWER_PANIC);
}

/* As any BAR, it answers where the guest has put it, and only while memory is decoded. */
Test(pvpanic_pci, it_moves)
{
    uint64_t value = 0;
    bus_write(mmio, ECAM + (DEVFN << 12) + PCI_REG_BAR, 4, WINDOW + 0x1000);
    cr_expect_not(bus_read(mmio, WINDOW, 1, &value));
    cr_expect(bus_read(mmio, WINDOW + 0x1000, 1, &value) && value == 3);
    bus_write(mmio, ECAM + (DEVFN << 12) + PCI_REG_COMMAND, 2, 0);
    cr_expect_not(bus_read(mmio, WINDOW + 0x1000, 1, &value));
}
