// SPDX-License-Identifier: BSD-2-Clause
/*
 * The driver monitor: says what a driver does against VIRTIO 1.4, with the section, as it happens.
 * For people who write drivers; what the device does is the same with and without it.
 *
 *     register access -> transport -> strict_access() (strict_access.c)
 *                                        -> the driver's progress        (strict_regs.c)
 *     ring            -> vq_pop() -> strict_vq_ops -> the ring's own ops (strict_ring.c,
 *                                        |              strict_split.c, strict_packed.c)
 *                                        -> requests by device type      (strict_types.c,
 * TYPE_type.c)
 *
 * It only looks: it keeps what the driver wrote to registers, and a copy of the descriptors in
 * flight. virtio_device.strict is NULL while it is off; then a register access costs one test more
 * and a ring nothing, because its ops are not wrapped. While it is on no doorbell is handed to the
 * kernel, so that every notification is seen.
 *
 * Threads: register calls may come from any vCPU and take the monitor's own lock, which is a leaf;
 * rings are the loop's, as ever. What is counted is atomic.
 */
#ifndef MINIVET_VIRTIO_STRICT_H
#define MINIVET_VIRTIO_STRICT_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/base/device.h"
#include "virtio/observe/strict_rules.h"

struct vq_ops;

/* Every rule of every queue is printed so often, and then only counted. */
#define STRICT_BURST 5u

/* Rules are an enum strict_rule, or of the type, whose numbers are STRICT_RULES and above. */
const struct virtio_rule *strict_rule_info(const struct virtio_device_type *type, unsigned rule);

/* ---- for device.c ---- */

/* -ENOMEM; reported. The device is initialised up to its queues. */
int virtio_strict_create(struct virtio_strict **out, struct virtio_device *dev);
void virtio_strict_destroy(struct virtio_strict *strict);

/* For vq_setup.strict; strict may be NULL. */
struct strict_queue *virtio_strict_queue(struct virtio_strict *strict, unsigned queue);

/* ---- reports: any thread ---- */

#define STRICT_NO_QUEUE (-1)

/* Prints one line, or counts. Does nothing while the monitor is off. */
void strict_report(struct virtio_device *dev, int queue, unsigned rule, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* How often the rule was broken, on all queues; all rules. 0 while the monitor is off. */
uint64_t virtio_strict_count(const struct virtio_device *dev, unsigned rule);
uint64_t virtio_strict_total(const struct virtio_device *dev);

/* Prints what was reported and how often, a line a rule and queue. Nothing while it is off. */
void virtio_strict_summary(const struct virtio_device *dev);

/* ---- for the transports: any thread, without their locks ---- */

/* A register access: of a write before it takes effect, of a read with what was read. */
struct strict_access {
    uint64_t offset, value;
    unsigned width;
    bool write;
};

/* What was accessed: a VIRTIO_PCI_CAP_ number, or one of these; offsets are within it. */
#define STRICT_MMIO        0u
#define STRICT_MMIO_CONFIG 0x100u

void strict_check(struct virtio_device *dev, unsigned structure, const struct strict_access *a);

/* Not of legacy interfaces. */
static inline void strict_access(struct virtio_device *dev, unsigned structure, bool write,
                                 uint64_t offset, unsigned width, uint64_t value)
{
    if (dev->strict != NULL)
        strict_check(dev, structure, &(struct strict_access){offset, value, width, write});
}

#endif
