// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the files of the virtio-pci transport share.
 *
 *   pci.c          the function: identity, BARs, capabilities, interrupts
 *   pci_windows.c  what the BARs show, and the access window to it
 *
 * Locks, outermost first:
 *   func.lock       by the function: around configuration accesses and what they call here
 *   regs.lock       over the registers
 *   regs.bell_lock, intr_lock, source_lock, and the leaf locks of the function and of MSI-X
 * The access window in configuration space reaches registers, which is why the function's lock
 * comes first: nothing that a BAR's handler calls may take it. The loop takes leaf locks only.
 */
#ifndef MINIVET_VIRTIO_PCI_IMPL_H
#define MINIVET_VIRTIO_PCI_IMPL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "pci/function.h"
#include "pci/msix.h"
#include "virtio/transport/pci.h"
#include "virtio/transport/registers.h"

/* The BARs; see pci.h. */
enum {
    VIRTIO_PCI_BAR_LEGACY = 0,
    VIRTIO_PCI_BAR_MSIX = 1,
    VIRTIO_PCI_BAR_SHM = 2,
    VIRTIO_PCI_BAR_REGISTERS = 4,
};

/* What BAR 4 holds: a page for each structure, so that a driver may map them apart. */
enum {
    VIRTIO_PCI_PAGE_BYTES = 0x1000,
    VIRTIO_PCI_AT_COMMON = 0x0000,
    VIRTIO_PCI_AT_ISR = 0x1000,
    VIRTIO_PCI_AT_CONFIG = 0x2000,
    VIRTIO_PCI_AT_NOTIFY = 0x3000,
    VIRTIO_PCI_REGISTERS_BYTES = 0x4000,
};

struct virtio_pci {
    struct virtio_pci_config cfg;
    struct virtio_device *dev;
    struct pci_func func;
    struct msix *msix;
    unsigned access_cap; /* VIRTIO_PCI_CAP_PCI_CFG in configuration space */
    struct virtio_registers regs;

    /* Any thread. */
    _Atomic uint16_t config_vector;
    _Atomic uint16_t queue_vector[VIRTIO_QUEUES_MAX];
    _Atomic int queue_source[VIRTIO_QUEUES_MAX]; /* an eventfd that notifies; -1: none */
    /* What the hypervisor has follows what is above: the line, and the queues' sources. */
    pthread_mutex_t intr_lock, source_lock;
};

/* ---- pci.c ---- */

/* Reads the ISR status, which clears it. */
uint8_t virtio_pci_take_isr(struct virtio_pci *p);

/* ---- pci_windows.c ---- */

extern const struct bus_ops virtio_pci_registers_ops; /* BAR 4 */
extern const struct bus_ops virtio_pci_legacy_ops;    /* BAR 0 */

/* How many ports the legacy layout takes. */
uint64_t virtio_pci_legacy_bytes(const struct virtio_device *dev);

/* Under the function's lock: the guest is about to read the access window's data, or wrote it. */
void virtio_pci_access_read(struct virtio_pci *p);
void virtio_pci_access_write(struct virtio_pci *p);

#endif
