// SPDX-License-Identifier: BSD-2-Clause
/*
 * A platform-level interrupt controller (RISC-V PLIC specification 1.0.0): wired interrupts to the
 * supervisor mode of each processor, which is a context each. For hosts whose KVM has no interrupt
 * controller. Any thread may access it and set its sources.
 *
 * A source is pending from its rising edge until it is claimed, and again after its completion if
 * its level is high, or if another edge came in between: a pulse is not lost, and a level stays.
 */
#ifndef MINIVET_DEVICES_PLIC_H
#define MINIVET_DEVICES_PLIC_H

#include <stdbool.h>
#include <stdint.h>

struct bus;
struct plic;

#define PLIC_SOURCES      64u /* from 1 up */
#define PLIC_CONTEXTS_MAX 64u
#define PLIC_BYTES        UINT64_C(0x400000)

struct plic_config {
    struct bus *bus;
    uint64_t base;
    unsigned contexts;
    /* A context's interrupt is raised or lowered; under a lock, so that calls are in their order.
     */
    void (*set)(void *ctx, unsigned context, bool level);
    void *ctx;
};

/* Errors are reported. */
int plic_create(struct plic **out, const struct plic_config *config);
void plic_destroy(struct plic *p); /* NULL is allowed */

/* An irq_line's set(). */
void plic_set_source(void *plic, unsigned source, bool level);

#endif
