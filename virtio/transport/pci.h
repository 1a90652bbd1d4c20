// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio-pci transport (VIRTIO 1.4 4.1): one device as a PCI function.
 *
 *     BAR 0   ports, with legacy=on only: the layout of VIRTIO 0.9.5 (4.1.4.10)
 *     BAR 1   memory: MSI-X table and pending bits
 *     BAR 2   memory, 64-bit: shared memory regions, if the device has any
 *     BAR 4   memory, 64-bit: common configuration, ISR status, device configuration, and a
 *             doorbell of four bytes for each queue
 *
 * Any number of vCPUs may access it. Kicks take no lock.
 */
#ifndef MINIVET_VIRTIO_PCI_H
#define MINIVET_VIRTIO_PCI_H

#include <stdbool.h>

#include "core/ports/doorbell.h"
#include "core/ports/irq.h"

struct bus;
struct facts;
struct pci_func;
struct state;
struct virtio_device;
struct virtio_pci;

struct virtio_pci_config {
    struct bus *mmio, *pio;
    struct msi_sink msi;      /* what they refer to outlives the transport */
    struct doorbell doorbell; /* it may bind nothing */
    uint32_t class_code;      /* 0: the device type's */
    bool legacy;              /* a transitional device: old drivers find their interface as well */
    struct virtio_device *device;
};

/* Puts a device behind a PCI function. Errors are reported. */
int virtio_pci_create(struct virtio_pci **out, const struct virtio_pci_config *config);

/* For pci_host_add(). */
struct pci_func *virtio_pci_func(struct virtio_pci *pci);

/* Saves or loads the transport and its device, see virtio_device_state(). No vCPU runs. */
void virtio_pci_state(struct virtio_pci *p, struct state *s);

/* Names what the function and the device hold, see virtio_registers_describe(). */
void virtio_pci_describe(struct virtio_pci *p, struct facts *f);

/* No vCPU may access the function any more. Resets the device, which stays the caller's. */
void virtio_pci_destroy(struct virtio_pci *pci);

#endif
