// SPDX-License-Identifier: BSD-2-Clause
/*
 * pvpanic as a PCI function (QEMU's pvpanic-pci; its specification: docs/specs/pvpanic of QEMU),
 * for guests that look for it there: Linux drives it with pvpanic-pci. The first byte of BAR 0 is
 * the register that pvpanic of byte_device.h has at a fixed place. No interrupt, no capability.
 */
#ifndef MINIVET_DEVICES_PVPANIC_PCI_H
#define MINIVET_DEVICES_PVPANIC_PCI_H

#include "core/ports/power.h"

#define PVPANIC_PCI_VENDOR_ID 0x1b36 /* Red Hat's */
#define PVPANIC_PCI_DEVICE_ID 0x0011

struct bus;
struct pci_function;
struct pvpanic_pci;

struct pvpanic_pci_config {
    struct bus *mmio;
    struct power power;
};

/* Errors are reported. */
int pvpanic_pci_create(struct pvpanic_pci **out, const struct pvpanic_pci_config *config);
/* After the bridge that has its function. NULL is allowed. */
void pvpanic_pci_destroy(struct pvpanic_pci *p);

/* For pci_host_add(). */
struct pci_function *pvpanic_pci_function(struct pvpanic_pci *p);

#endif
