// SPDX-License-Identifier: BSD-2-Clause
/*
 * MSI-X (PCI 3.0 6.8.2): the capability, the table of messages, the pending bits. A vector that is
 * unmasked has a route in the hypervisor, so that raising it is one write to an eventfd; where
 * there is none, the message is sent. A masked vector's interrupt is remembered in its pending bit
 * and sent when the guest unmasks it, and so is one that is raised while the function may not write
 * to memory (bus mastering is off). Nothing is lost and nothing comes twice.
 *
 * An eventfd that the device does not own may raise a vector, too: a source. While the vector is
 * unmasked the hypervisor delivers a write to it by itself. At other times the thread that polls
 * the eventfd calls msix_raise_source(); that does nothing while the hypervisor delivers, so the
 * thread need not know which of the two it is.
 *
 * Table and pending bits share a BAR: the table at 0, the pending bits at half of it. The guest
 * chooses addresses and data: what the hypervisor refuses does not arrive, and is no error here.
 *
 * msix_raise() may be called by any thread and takes a leaf lock only.
 */
#ifndef MINIVET_PCI_MSIX_H
#define MINIVET_PCI_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/bus.h"
#include "core/ports/irq.h"

struct facts;
struct msix;
struct pci_func;
struct state;

#define MSIX_VECTORS_MAX 2048u
#define MSIX_ENTRY_BYTES 16u

struct msix_config {
    struct pci_func *func; /* gets the capability; its cap_written calls msix_control_changed() */
    unsigned bar;          /* msix_create() adds it, with 32-bit addresses */
    unsigned vectors;      /* 1 to MSIX_VECTORS_MAX */
    unsigned sources;      /* may be 0 */
    struct msi_sink sink;  /* what it refers to outlives this */
};

/* Before the function is on the bus. Errors are reported. */
int msix_create(struct msix **out, const struct msix_config *config);
/* After pci_func_fini(). NULL is allowed. */
void msix_destroy(struct msix *m);

/* The capability's offset in configuration space. */
unsigned msix_cap(const struct msix *m);

/* The guest wrote to the capability: under the function's lock. */
void msix_control_changed(struct msix *m);

/* Any thread. */
bool msix_enabled(const struct msix *m);
void msix_raise(struct msix *m, unsigned vector); /* below the count, and ignored if disabled */

/* Any thread: from now on, that eventfd raises that vector; fd -1: none, and it may be closed. */
void msix_set_source(struct msix *m, unsigned source, int eventfd, unsigned vector);
/* Any thread: the source's eventfd was written to, or may have been. False: it has none. */
bool msix_raise_source(struct msix *m, unsigned source);

unsigned msix_vectors(const struct msix *m);

/* Saves or loads table and pending bits, after its function's capability. No vCPU runs. */
void msix_state(struct msix *m, struct state *s);

/* Any thread: names its state, and the vectors that the guest has set up. */
void msix_describe(struct msix *m, struct facts *f);

/* The function was reset by its driver: pending bits go. */
void msix_clear_pending(struct msix *m);

#endif
