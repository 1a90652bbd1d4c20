// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/acpi/acpi.h"

#include <stdio.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "firmware/acpi/aml.h"
#include "firmware/x86/x86_layout.h"

#define MAX_NAMED_CPUS 0x1000u /* three hexadecimal digits */

static void name_integer(struct aml *a, const char *name, uint64_t value)
{
    aml_name(a, name);
    aml_integer(a, value);
}

static void name_string(struct aml *a, const char *name, const char *value)
{
    aml_name(a, name);
    aml_string(a, value);
}

static void name_eisa_id(struct aml *a, const char *name, const char *id)
{
    aml_name(a, name);
    aml_eisa_id(a, id);
}

static size_t name_resources(struct aml *a)
{
    aml_name(a, "_CRS");
    return aml_resources(a);
}

/* What the guest writes to sleep control to power off (ACPI 6.5 7.4.2.6). */
static void put_s5(struct aml *a)
{
    size_t package;

    aml_name(a, "_S5_");
    package = aml_package(a, 4);
    aml_integer(a, X86_S5_TYPE);
    for (unsigned i = 0; i < 3; i++)
        aml_integer(a, 0);
    aml_close(a, package);
}

/* ACPI 6.5 8.4: every processor of the MADT is a device, matched by _UID. */
static void put_processors(struct aml *a, unsigned vcpus)
{
    for (unsigned id = 0; id < vcpus && !a->overflow; id++) {
        char name[8];
        size_t dev;

        snprintf(name, sizeof(name), "C%03X", id % MAX_NAMED_CPUS);
        dev = aml_device(a, name);
        name_string(a, "_HID", "ACPI0007");
        name_integer(a, "_UID", id);
        aml_close(a, dev);
    }
}

/*
 * Which GSI each slot's pins are wired to (ACPI 6.5 6.2.13): {slot and all its functions, pin, 0
 * for "no link device, the next is a GSI", GSI}. Level-triggered and active low, as PCI has it.
 */
static void put_interrupt_routing(struct aml *a)
{
    size_t table, row;

    aml_name(a, "_PRT");
    table = aml_package(a, X86_PCI_SLOTS * X86_PCI_INTX_GSIS);
    for (unsigned slot = 0; slot < X86_PCI_SLOTS; slot++) {
        for (unsigned pin = 0; pin < X86_PCI_INTX_GSIS; pin++) {
            row = aml_package(a, 4);
            aml_integer(a, slot << 16 | 0xffff);
            aml_integer(a, pin);
            aml_integer(a, 0);
            aml_integer(a, X86_PCI_INTX_GSI_OF(slot, pin));
            aml_close(a, row);
        }
    }
    aml_close(a, table);
}

/* The bridge's own ports, and the windows in which it lets BARs answer: no others. */
static void put_pci(struct aml *a, const struct acpi_config *config)
{
    size_t dev = aml_device(a, "PCI0");
    size_t crs;

    name_eisa_id(a, "_HID", "PNP0A08");
    name_eisa_id(a, "_CID", "PNP0A03");
    name_integer(a, "_UID", 0);
    name_integer(a, "_SEG", 0);
    name_integer(a, "_BBN", 0);
    crs = name_resources(a);
    aml_res_window(a, AML_BUS, 2, 0, 0);
    aml_res_ports(a, X86_PCI_ADDRESS_PORT, X86_PCI_CONFIG_PORTS);
    aml_res_window(a, AML_PORTS, 2, X86_PCI_PORT_WINDOW,
                   X86_PCI_PORT_WINDOW + X86_PCI_PORT_WINDOW_PORTS - 1);
    aml_res_window(a, AML_MEMORY, 4, X86_PCI_WINDOW_GPA,
                   X86_PCI_WINDOW_GPA + X86_PCI_WINDOW_BYTES - 1);
    const struct pci_window *w = &config->pci_window64;
    if (w->bytes != 0)
        aml_res_window(a, AML_MEMORY, 8, w->base, w->base + w->bytes - 1);
    aml_resources_close(a, crs);
    put_interrupt_routing(a);
    aml_close(a, dev);
}

/* What has ports, and at most an interrupt besides. */
struct pc_device {
    const char *name, *id; /* an EISA id or an ACPI one */
    bool is_eisa, has_uid;
    uint8_t ports;
    uint16_t port;
    unsigned irq; /* 0: none */
};

static void put_pc_device(struct aml *a, const struct pc_device *d, uint32_t ecam_bytes)
{
    size_t dev = aml_device(a, d->name);
    size_t crs;

    (d->is_eisa ? name_eisa_id : name_string)(a, "_HID", d->id);
    if (d->has_uid)
        name_integer(a, "_UID", 0);
    crs = name_resources(a);
    aml_res_ports(a, d->port, d->ports);
    if (ecam_bytes != 0)
        aml_res_memory(a, (uint32_t)X86_ECAM_GPA, ecam_bytes);
    if (d->irq != 0)
        aml_res_irq(a, d->irq);
    aml_resources_close(a, crs);
    aml_close(a, dev);
}

static void put_pc_devices(struct aml *a, const struct acpi_config *config)
{
    static const struct pc_device devices[] = {
        /* What belongs to the board: Linux trusts ECAM only if it is claimed here. */
        {"MBRD", "PNP0C02", true, true, X86_PM_PORTS, X86_PM_PORT, 0},
        {"COM1", "PNP0501", true, true, X86_SERIAL_PORTS, X86_SERIAL_PORT, X86_GSI_SERIAL},
        {"RTC0", "PNP0B00", true, false, X86_RTC_PORTS, X86_RTC_PORT, X86_GSI_RTC},
        /* Linux's pvpanic-mmio finds its port by this id. */
        {"PEVT", "QEMU0001", false, true, 1, X86_PVPANIC_PORT, 0},
        {"FWCF", "QEMU0002", false, true, X86_FW_CFG_PORTS, X86_FW_CFG_PORT, 0},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(devices); i++)
        if ((devices[i].port != X86_SERIAL_PORT || config->serial) &&
            (devices[i].port != X86_FW_CFG_PORT || config->fw_cfg))
            put_pc_device(a, &devices[i], i == 0 && config->pci ? (uint32_t)X86_ECAM_BYTES : 0);
}

/* An interrupt runs a method, which gets the GSI (ACPI 6.5 5.6.9.3) and notifies of a press. */
static void put_buttons(struct aml *a)
{
    static const struct {
        const char *name, *id;
        unsigned gsi;
    } buttons[] = {{"PWRB", "PNP0C0C", X86_GSI_POWER}, {"SLPB", "PNP0C0E", X86_GSI_SLEEP}};
    enum { PRESSED = 0x80 }; /* ACPI 6.5 tables 5.156 and 5.157 */
    size_t dev, part, only;

    for (unsigned i = 0; i < ARRAY_SIZE(buttons); i++) {
        dev = aml_device(a, buttons[i].name);
        name_eisa_id(a, "_HID", buttons[i].id);
        aml_close(a, dev);
    }
    dev = aml_device(a, "GED_");
    name_string(a, "_HID", "ACPI0013");
    name_integer(a, "_UID", 0);
    part = name_resources(a);
    for (unsigned i = 0; i < ARRAY_SIZE(buttons); i++)
        aml_res_gsi(a, buttons[i].gsi);
    aml_resources_close(a, part);
    part = aml_method(a, "_EVT", 1);
    for (unsigned i = 0; i < ARRAY_SIZE(buttons); i++) {
        only = aml_if_arg0_is(a, buttons[i].gsi);
        aml_notify(a, buttons[i].name, PRESSED);
        aml_close(a, only);
    }
    aml_close(a, part);
    aml_close(a, dev);
}

/* Where guests find the generation id: the lower and the upper half of its address. */
static void put_generation_id(struct aml *a)
{
    size_t dev = aml_device(a, "VGEN"), address;

    name_string(a, "_HID", "MNVT0001");
    name_string(a, "_CID", "VM_Gen_Counter");
    name_string(a, "_DDN", "VM_Gen_Counter");
    aml_name(a, "ADDR");
    address = aml_package(a, 2);
    aml_integer(a, X86_VMGENID_GPA);
    aml_integer(a, 0);
    aml_close(a, address);
    aml_close(a, dev);
}

static void put_virtio(struct aml *a, unsigned n)
{
    static const unsigned gsis[X86_VIRTIO_GSI_COUNT] = X86_VIRTIO_GSIS;
    char name[8];
    size_t dev, crs;

    BUG_ON(n >= X86_VIRTIO_GSI_COUNT);
    snprintf(name, sizeof(name), "VM%02X", n);
    dev = aml_device(a, name);
    name_string(a, "_HID", "LNRO0005");
    name_integer(a, "_UID", n);
    crs = name_resources(a);
    aml_res_memory(a, (uint32_t)(X86_VIRTIO_GPA + n * X86_VIRTIO_STRIDE),
                   (uint32_t)X86_VIRTIO_BYTES);
    aml_res_gsi(a, gsis[n]);
    aml_resources_close(a, crs);
    aml_close(a, dev);
}

void acpi_write_devices(struct aml *a, const struct acpi_config *config)
{
    size_t scope;

    put_s5(a);
    scope = aml_scope(a, "_SB_");
    put_processors(a, config->vcpus);
    if (config->pci)
        put_pci(a, config);
    put_pc_devices(a, config);
    put_buttons(a);
    put_generation_id(a);
    for (unsigned i = 0; i < config->virtio_windows; i++)
        put_virtio(a, i);
    aml_close(a, scope);
}
