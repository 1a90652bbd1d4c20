// SPDX-License-Identifier: BSD-2-Clause
/*
 * A PCI function with a type 0 header (PCI 3.0 6.1): identity, command and status, base address
 * registers, capabilities, INTx. What sits on PCI embeds one and tells it what it has; the host
 * bridge sees its struct pci_function.
 *
 * A BAR is on its bus while the guest has the decoding on and a possible address in it: moving it
 * moves its region. Before its region goes and after it has come the owner hears of it, and
 * unbinds or binds what else hangs on addresses (doorbells). An address is possible if all of the
 * BAR is in one of the bridge's windows and nothing else is there; with any other the BAR answers
 * nowhere until the guest writes a better one.
 *
 * Configuration accesses come on any vCPU's thread; the function orders them by a lock of its own,
 * under which the owner's callbacks run. pci_func_intx() may be called by any thread, takes
 * only a leaf lock, and so may be called under any lock.
 */
#ifndef MINIVET_PCI_FUNCTION_H
#define MINIVET_PCI_FUNCTION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/ports/bus.h"
#include "core/ports/doorbell.h"
#include "core/ports/irq.h"
#include "core/ports/pci.h"

#define PCI_CONFIG_BYTES 256u
#define PCI_NO_ADDRESS   UINT64_MAX

struct facts;
struct pci_func;
struct state;

/* What a BAR decodes: a whole power of two of bytes, at least 16 (memory) or 4 (ports). */
struct pci_bar_config {
    enum bus_space space;
    bool is_64;    /* memory only; takes this register and the next */
    bool prefetch; /* reads have no side effects */
    uint64_t bytes;
    const char *name; /* for messages */
    unsigned widths;  /* see struct bus_region */
    const struct bus_ops *ops;
    void *dev;
};

struct pci_func_ops {
    /* All under the function's lock; any may be NULL. */
    void (*bar_going)(void *ctx, unsigned bar, uint64_t addr);
    void (*bar_come)(void *ctx, unsigned bar, uint64_t addr);
    /* Before a read and after a write of a capability's bytes (offset from its first byte). */
    void (*cap_read)(void *ctx, unsigned cap_offset, unsigned offset, unsigned width);
    void (*cap_written)(void *ctx, unsigned cap_offset, unsigned offset, unsigned width);
};

struct pci_func_config {
    const char *name;
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint8_t revision;
    uint32_t class_code; /* 24 bits: class, subclass, interface */
    bool has_intx;       /* pin A */
    struct bus *mmio, *pio;
    const struct pci_func_ops *ops;
    void *ctx;
};

struct pci_bar {
    struct pci_bar_config cfg;
    struct bus_region region;
    uint64_t addr; /* where the region is on the bus; PCI_NO_ADDRESS: it is not */
};

/* Told whether the function may send messages. */
struct pci_master_watch {
    void (*changed)(void *ctx, bool on); /* under the function's lock; NULL: none */
    void *ctx;
};

struct pci_func {
    struct pci_function port; /* for pci_host_add() */
    struct pci_func_config cfg;
    pthread_mutex_t lock;
    uint8_t config[PCI_CONFIG_BYTES];
    uint8_t writable[PCI_CONFIG_BYTES]; /* bits that the guest can write */
    uint8_t cap_of[PCI_CONFIG_BYTES];   /* which capability owns the byte; 0: none */
    unsigned cap_end, cap_last;
    struct pci_bar bars[PCI_BARS];
    const struct pci_windows *windows; /* the bridge's; NULL: no bridge, any address will do */
    _Atomic bool master;
    struct pci_master_watch master_watch;

    pthread_mutex_t intx_lock; /* leaf */
    struct pci_intx intx;      /* the bridge's; see core/ports/pci.h */
    bool intx_asserted, intx_disabled, intx_out;
};

/* Errors are reported. */
int pci_func_init(struct pci_func *f, const struct pci_func_config *config);
/* No vCPU may access it any more. Takes its BARs off the bus. A zeroed one is allowed. */
void pci_func_fini(struct pci_func *f);

/* ---- set-up: before the function is on the bus ---- */
void pci_func_add_bar(struct pci_func *f, unsigned bar, const struct pci_bar_config *config);

/* A capability of `bytes` (whole, with id and link): returns its offset in configuration space. */
unsigned pci_func_add_cap(struct pci_func *f, uint8_t id, unsigned bytes);
/* Bits of configuration space that the guest may write, bytes (up to 4) at once. */
void pci_func_allow(struct pci_func *f, unsigned offset, unsigned bytes, uint32_t mask);

/* One watcher; msix.c is it. */
void pci_func_watch_master(struct pci_func *f, const struct pci_master_watch *watch);

/* ---- at any time, under the function's lock or before the guest runs ---- */
/* The bytes as they are: no side effects, and the guest's rights do not matter. */
uint32_t pci_func_get(const struct pci_func *f, unsigned offset, unsigned width);
void pci_func_put(struct pci_func *f, unsigned offset, unsigned width, uint32_t value);

/* Saves or loads what the guest may write; what it may not has to be the same. No vCPU runs. An
 * owner whose capabilities mean something looks at them after it. */
void pci_func_state(struct pci_func *f, struct state *s);

/* Any thread that is no loop's and no vCPU's: names what it is, and what the guest has set. */
void pci_func_describe(struct pci_func *f, struct facts *facts);

/* Any thread: the level of INTx, which shows in the status register too. */
void pci_func_intx(struct pci_func *f, bool level);

#endif
