// SPDX-License-Identifier: BSD-2-Clause
/*
 * The ACPI tables of the machine (ACPI 6.5 5.2): RSDP, XSDT, FADT, MADT, MCFG if there is a PCI
 * host bridge, WDAT if there is a watchdog, and DSDT. The machine is hardware-reduced
 * (ACPI 6.5 4.1): no PM timer, no fixed events, no SCI; power-off and reset are byte-wide registers
 * among the ports. The power and the sleep button are devices whose interrupts are a Generic Event
 * Device's (ACPI 6.5 5.6.9). Another device says where the VM generation id is (Microsoft's
 * "Virtual Machine Generation ID"), of which Linux makes random numbers.
 */
#ifndef MINIVET_FIRMWARE_ACPI_H
#define MINIVET_FIRMWARE_ACPI_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/pci.h"

#define ACPI_GENERATION_ID_BYTES 16

struct aml;
struct gmem;

struct acpi_config {
    unsigned vcpus; /* with APIC ids 0, 1 and so on */
    bool serial;
    bool fw_cfg;
    bool watchdog;
    bool pci;
    struct pci_window pci_window64; /* for 64-bit BARs */
    unsigned virtio_windows;        /* the first so many; each is a device LNRO0005 */
    uint8_t generation_id[ACPI_GENERATION_ID_BYTES]; /* of this start alone: random */
};

/*
 * Writes the tables into guest memory at X86_ACPI_GPA, where the RSDP then is, and the generation
 * id at X86_VMGENID_GPA. Before the guest runs. 0, -ENOMEM if memory ends below, -ENOSPC if there
 * are more vCPUs than the tables have room for; reported.
 */
int acpi_write(const struct gmem *g, const struct acpi_config *config);

/* The body of the DSDT: the devices as AML. For acpi_write(). */
void acpi_write_devices(struct aml *a, const struct acpi_config *config);

#endif
