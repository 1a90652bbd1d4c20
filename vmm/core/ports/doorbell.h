// SPDX-License-Identifier: BSD-2-Clause
/*
 * Doorbells: a guest's write to an address becomes an eventfd signal without leaving the kernel.
 * Only an accelerator: the register write that it stands for must work too, since bind() may say
 * -ENOSYS and a guest may write with another width. (Port: vmm/kvm, tests' harness.)
 */
#ifndef MINIVET_CORE_DOORBELL_H
#define MINIVET_CORE_DOORBELL_H

#include <stdbool.h>
#include <stdint.h>

enum bus_space {
    BUS_MMIO,
    BUS_PIO,
};

struct doorbell_addr {
    enum bus_space space;
    uint64_t addr;
    unsigned len;   /* 1, 2, 4 or 8; 0 matches any width (no datamatch then) */
    bool has_match; /* only this value rings */
    uint64_t match;
};

struct doorbell {
    int (*bind)(void *ctx, const struct doorbell_addr *addr, int eventfd);
    int (*unbind)(void *ctx, const struct doorbell_addr *addr, int eventfd);
    void *ctx;
};

/* A doorbell that binds nothing: every kick is a register write. */
extern const struct doorbell doorbell_none;

static inline int doorbell_bind(const struct doorbell *d, const struct doorbell_addr *a, int fd)
{
    return d->bind(d->ctx, a, fd);
}

static inline int doorbell_unbind(const struct doorbell *d, const struct doorbell_addr *a, int fd)
{
    return d->unbind(d->ctx, a, fd);
}

#endif
