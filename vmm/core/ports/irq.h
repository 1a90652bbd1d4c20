// SPDX-License-Identifier: BSD-2-Clause
/*
 * Interrupts as tiny values: a function, a context, a number. A device raises a line or sends a
 * message and cannot see the controller. (Port: the implementations are vmm/kvm and the tests'
 * harness.)
 */
#ifndef MINIVET_CORE_IRQ_H
#define MINIVET_CORE_IRQ_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A wired interrupt. Any thread may call. A line with an eventfd (an irqfd) is edge-triggered:
 * irq_pulse() is then one write(2) and no ioctl. Without one, pulses of two threads at once may
 * become one edge.
 */
struct irq_line {
    void (*set)(void *ctx, unsigned irq, bool level);
    void *ctx;
    unsigned irq; /* its number at the interrupt controller */
    int eventfd;  /* -1: none; owned by the maker of the line */
};

/* How the VMM tells the kernel about a line. */
enum irq_way {
    IRQ_BY_CALL,    /* levels, and pulses that are rare */
    IRQ_BY_EVENTFD, /* pulses; the kernel takes time to release each irqfd when a VM ends */
};

void irq_set(const struct irq_line *line, bool level);

/* Raises and lowers: one edge. */
void irq_pulse(const struct irq_line *line);

/*
 * Message-signalled interrupts. send() takes effect at once; 0 or a negative errno. A route ties an
 * eventfd to a message so that the kernel delivers it without the VMM: route_add() returns a
 * handle >= 0 or a negative errno (-ENOSYS: use send()).
 */
struct msi_ops {
    int (*send)(void *ctx, uint64_t addr, uint32_t data);
    int (*route_add)(void *ctx, int eventfd, uint64_t addr, uint32_t data);
    int (*route_set)(void *ctx, int handle, uint64_t addr, uint32_t data);
    void (*route_del)(void *ctx, int handle, int eventfd);
};

struct msi_sink {
    const struct msi_ops *ops;
    void *ctx;
};

#endif
