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
 *
 * The bridge has four interrupt wires, as a PC has. The pins of the slots are spread over them (PCI
 * 3.0 2.2.6), and a wire is up while any function asserts a pin on it.
 *
 * There is no firmware in the guest: pci_host_assign() does what a firmware does at power-on.
 */
#ifndef MINIVET_DEVICES_PCI_HOST_H
#define MINIVET_DEVICES_PCI_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/irq.h"
#include "core/ports/pci.h"

#define PCI_HOST_ADDRESS_PORT 0xcf8
#define PCI_HOST_DATA_PORT    0xcfc
#define PCI_HOST_ECAM_BYTES   0x100000u /* bus 0 */

/* Red Hat's number for a generic host bridge: no quirk of a driver is tied to it. */
#define PCI_HOST_VENDOR_ID 0x1b36
#define PCI_HOST_DEVICE_ID 0x0008

#define PCI_DEVFN(slot, function) ((unsigned)(slot) << 3 | (unsigned)(function))
#define PCI_DEVFN_COUNT           256u
#define PCI_FUNCTIONS             8u /* of a slot */

#define PCI_HOST_WIRES 4u
/* The wire of a slot's pin; pin 0 is A. */
#define PCI_HOST_WIRE(slot, pin) (((unsigned)(slot) + (unsigned)(pin)) % PCI_HOST_WIRES)

struct bus;
struct pci_host;

struct pci_host_config {
    struct bus
        *pio; /* NULL: the machine has no port I/O, and configuration space is in ECAM alone */
    struct bus *mmio;
    uint64_t ecam_gpa;
    struct irq_line wires[PCI_HOST_WIRES]; /* set NULL: not connected; used by irq_set() */
};

/* Errors are reported. */
int pci_host_create(struct pci_host **out, const struct pci_host_config *config);

/*
 * Puts a function on the bus, before the first vCPU runs; it stays until the host is destroyed,
 * which does not destroy it. -EEXIST if something is there, -EINVAL if there is no such devfn;
 * silent.
 */
int pci_host_add(struct pci_host *host, unsigned devfn, struct pci_function *function);

/* Is there nothing on the bus but the bridge? */
bool pci_host_is_empty(const struct pci_host *host);

/*
 * Opens the windows and gives every BAR of every function an address in one, with decoding on:
 * 64-bit BARs in the 64-bit window if there is one, else below. Once, after the last
 * pci_host_add() and before the first vCPU runs; until then no BAR answers anywhere. -ENOSPC when a
 * window is full; reported.
 */
int pci_host_assign(struct pci_host *host, const struct pci_windows *windows);

/* While no vCPU runs. NULL is allowed. */
void pci_host_destroy(struct pci_host *host);

#endif
