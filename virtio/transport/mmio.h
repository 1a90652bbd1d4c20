// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio-mmio transport (VIRTIO 1.4 4.2): a window of registers in front of one device, in
 * version 2 or, for drivers that know nothing newer, version 1 (4.2.4). Control registers take
 * aligned 32-bit accesses; others read as all ones and are dropped as writes. The configuration
 * space takes any width.
 *
 * Any number of vCPUs may access the window. Kicks (but those of version 1) and interrupt registers
 * take no lock.
 */
#ifndef MINIVET_VIRTIO_MMIO_H
#define MINIVET_VIRTIO_MMIO_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/doorbell.h"
#include "core/ports/irq.h"

struct bus;
struct facts;
struct state;
struct virtio_device;
struct virtio_mmio;

/* The window: 0x100 bytes of registers and as many of configuration space. */
#define VIRTIO_MMIO_BYTES 0x200u

struct virtio_mmio_config {
    struct bus *bus;
    uint64_t base_gpa;
    struct irq_line irq;      /* edge-triggered; what it refers to outlives the transport */
    struct doorbell doorbell; /* likewise; it may bind nothing */
    struct virtio_device *device;
    bool legacy;      /* version 1 */
    uint64_t shm_gpa; /* where its shared memory regions begin; 0: none are shown */
};

/* Puts a device on the bus. Errors are reported. */
int virtio_mmio_create(struct virtio_mmio **out, const struct virtio_mmio_config *config);

/* Saves or loads the transport and its device, see virtio_device_state(). No vCPU runs. */
void virtio_mmio_state(struct virtio_mmio *m, struct state *s);

/* Names what the window and the device hold, see virtio_registers_describe(). */
void virtio_mmio_describe(struct virtio_mmio *m, struct facts *f);

/* No vCPU may access the window any more. Resets the device, which stays the caller's. */
void virtio_mmio_destroy(struct virtio_mmio *mmio);

#endif
