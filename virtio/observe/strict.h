// SPDX-License-Identifier: BSD-2-Clause
/*
 * The driver monitor: says what a driver does against VIRTIO 1.4, with the section, as it happens.
 * For authors of drivers; what the device does is the same with and without it.
 *
 *     virtio/base/observer.h --> strict.c: events
 *         register accesses         --> strict_regs.c
 *         queues, chains, faults    --> strict_ring.c --> requests by device type
 *                                                         (strict_types.c, TYPE_type.c)
 *
 * It only looks: it keeps what the driver wrote to registers, and a digest of the descriptors in
 * flight. While it is on no doorbell is handed to the kernel, so that every notification is seen.
 *
 * Threads: register accesses may come from any vCPU and take the monitor's own lock, which is a
 * leaf; rings are the loop's, as ever. What is counted is atomic.
 */
#ifndef MINIVET_VIRTIO_STRICT_H
#define MINIVET_VIRTIO_STRICT_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/base/device.h"
#include "virtio/observe/strict_rules.h"

/* Every rule of every queue is printed so often, and then only counted. */
#define STRICT_BURST 5u

/* Rules are an enum strict_rule, or of the type, whose numbers are STRICT_RULES and above. */
const struct virtio_rule *strict_rule_info(const struct virtio_device_type *type, unsigned rule);

/* Set-up thread, before the device has its transport: from now on. -ENOMEM; reported. */
int virtio_strict_watch(struct virtio_device *dev);

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

#endif
