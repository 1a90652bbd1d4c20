// SPDX-License-Identifier: BSD-2-Clause
/*
 * 16550A UART: the guest's first console. All registers of the part with 16-byte FIFOs, loopback
 * included; bytes cross at once whatever the divisor says.
 *
 * Threads: registers are accessed on vCPU threads, the character backend lives on the loop; one
 * small lock in the device is between them. What the guest sends waits in a bounded ring for the
 * loop, and counts as sent: the transmitter says that it is full when the ring is (the outside has
 * stalled), and what the guest writes nevertheless is lost, as on a real line. No vCPU ever waits.
 *
 * The interrupt is an edge. The line is pulsed whenever a condition becomes pending or enabled, and
 * once more for every batch of received bytes, so that an edge that was lost while the guest had
 * the line masked does not stop it for good.
 */
#ifndef MINIVET_DEVICES_SERIAL_H
#define MINIVET_DEVICES_SERIAL_H

#include <stdint.h>

#include "core/ports/irq.h"

#define SERIAL_REGISTERS 8

struct bus;
struct chr_backend;
struct evloop;
struct facts;
struct serial;

struct serial_config {
    struct bus *bus;
    uint64_t base; /* of SERIAL_REGISTERS, a byte each */
    struct irq_line irq;
    struct evloop *loop;
    struct chr_backend *chr; /* lives on the loop, outlives the device; NULL: a line to nowhere */
};

/* While no thread runs the loop. Errors are reported. */
int serial_create(struct serial **out, const struct serial_config *config);

/*
 * Hands what the guest has sent to the backend and has that write it out, for a bounded time.
 * While no thread runs the loop and no vCPU runs.
 */
void serial_flush(struct serial *s);

/* Any thread: names its registers, and changes none. */
void serial_describe(struct serial *s, struct facts *f);

/* Flushes first; the same rule. NULL is allowed. */
void serial_destroy(struct serial *s);

#endif
