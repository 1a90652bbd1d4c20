// SPDX-License-Identifier: BSD-2-Clause
/*
 * PCI port: what the host bridge needs of a function behind it. (Implementations: the devices that
 * sit on PCI; the bridge is devices/pci_host.)
 */
#ifndef MINIVET_CORE_PCI_H
#define MINIVET_CORE_PCI_H

#include <stdint.h>

struct pci_function;

/* Configuration space accesses, on the thread of the vCPU that makes them; offset + width <= 4096.
 */
struct pci_function_ops {
    uint32_t (*config_read)(struct pci_function *f, unsigned offset, unsigned width);
    void (*config_write)(struct pci_function *f, unsigned offset, unsigned width, uint32_t value);
};

struct pci_function {
    const struct pci_function_ops *ops;
    const char *name;
};

#endif
