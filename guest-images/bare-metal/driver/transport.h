// SPDX-License-Identifier: BSD-2-Clause
/* A virtio driver's way to a device behind virtio-mmio (VIRTIO 1.4 4.2). */
#ifndef MINIVET_BARE_METAL_TRANSPORT_H
#define MINIVET_BARE_METAL_TRANSPORT_H

#include <stdint.h>

struct ring;

/* The base address of the first device of this type; 0 if there is none. */
uint64_t transport_find(uint32_t device_id);

/* Resets the device and takes those of the wanted features that it offers: their set. */
uint64_t transport_negotiate(uint64_t base_gpa, uint64_t wanted);

/* The largest ring that the queue can have. */
uint32_t transport_queue_max(uint64_t base_gpa, unsigned queue);

/* Makes the ring that queue. */
void transport_queue(uint64_t base_gpa, unsigned queue, const struct ring *ring);

/* Makes the device live. */
void transport_start(uint64_t base_gpa);

uint64_t transport_config64(uint64_t base_gpa, unsigned offset);

void transport_kick(uint64_t base_gpa, unsigned queue);

/* Its wired interrupt, on Minivet's machines; in its handler: takes note of it. */
unsigned transport_irq(uint64_t base_gpa);
void transport_irq_ack(uint64_t base_gpa);

#endif
