// SPDX-License-Identifier: BSD-2-Clause
/*
 * PCI host bridge: bus 0, its configuration space through both doors (mechanism #1 at ports 0xcf8
 * and 0xcfc, PCI 3.0 3.2.2.3.2, and the ECAM window, PCIe 5.0 7.2.2), and the bridge itself as
 * function 00:00.0.
 *
 * An access that crosses a doubleword, and one to a function that is absent or on another bus,
 * reads all ones and is dropped as a write; so functions only see accesses inside one doubleword.
 * Any number of vCPUs may access. They share one address register, as on any PC, and lock around
 * it; ECAM needs no lock.
 */
#ifndef MINIVET_DEVICES_PCI_HOST_H
#define MINIVET_DEVICES_PCI_HOST_H

#include <stdint.h>

#define PCI_HOST_ADDRESS_PORT 0xcf8
#define PCI_HOST_DATA_PORT    0xcfc
#define PCI_HOST_ECAM_BYTES   0x100000u /* bus 0 */

/* Red Hat's number for a generic host bridge: no quirk of a driver is tied to it. */
#define PCI_HOST_VENDOR_ID 0x1b36
#define PCI_HOST_DEVICE_ID 0x0008

#define PCI_DEVFN(slot, function) ((unsigned)(slot) << 3 | (unsigned)(function))
#define PCI_DEVFN_COUNT           256u

struct bus;
struct pci_function;
struct pci_host;

struct pci_host_config {
    struct bus *pio;
    struct bus *mmio;
    uint64_t ecam_gpa;
};

/* Errors are reported. */
int pci_host_create(struct pci_host **out, const struct pci_host_config *config);

/*
 * Puts a function on the bus, before the first vCPU runs; it stays until the host is destroyed,
 * which does not destroy it. -EEXIST if something is there, -EINVAL if there is no such devfn;
 * silent.
 */
int pci_host_add(struct pci_host *host, unsigned devfn, struct pci_function *function);

/* While no vCPU runs. NULL is allowed. */
void pci_host_destroy(struct pci_host *host);

#endif
