// SPDX-License-Identifier: BSD-2-Clause
/*
 * Guest memory: the guest's RAM, as the devices and the boot loader see it.
 *
 * RAM is mapped region by region with an inaccessible guard page on both sides of each.
 * A range is checked here, once: every call takes a length, and a range that wraps, leaves RAM or
 * touches a hole is refused whole. Regions never change after gmem_create(), so any thread may
 * call; the bytes themselves are shared with the running guest, which may change them at any time:
 * copy once, check the copy, use the copy.
 *
 * The checks are in this header because each descriptor of each request takes one.
 */
#ifndef MINIVET_CORE_GMEM_H
#define MINIVET_CORE_GMEM_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/xmath.h"

struct cancel;

#define GMEM_MAX_REGIONS 4

struct gmem_region {
    uint64_t gpa;      /* first guest-physical address */
    uint64_t bytes;    /* a multiple of the host's page size */
    uint64_t fd_bytes; /* where the region begins in the file of RAM that is shared */
    uint8_t *hva;      /* where it is mapped */
};

struct gmem {
    int fd;     /* of RAM that is shared; -1 */
    bool keeps; /* nothing is discarded */
    unsigned count;
    struct gmem_region regions[GMEM_MAX_REGIONS]; /* by rising gpa */
};

/*
 * ram_bytes of RAM from address 0 up; what would fall on [hole_gpa, hole_end_gpa) continues at
 * hole_end_gpa instead. hole_gpa == hole_end_gpa means no hole. Memory is not populated: the host
 * spends a page when it is first touched, a huge one where it can. -EINVAL for a size of 0 or not
 * in whole pages, else what mmap said; reported.
 */
int gmem_create(struct gmem **out, uint64_t ram_bytes, uint64_t hole_gpa, uint64_t hole_end_gpa);
/* The same in a memfd, which other processes may map, for devices that they serve. Its pages are
 * huge only where the host's administrator said so. */
int gmem_create_shared(struct gmem **out, uint64_t ram_bytes, uint64_t hole_gpa,
                       uint64_t hole_end_gpa);
void gmem_destroy(struct gmem *g);

/*
 * Has the host spend all pages now, while they are not in use yet, on several processors where the
 * memory is large. -ENOMEM if the host has not as much to give, -ECANCELED, else what it said;
 * reported.
 */
int gmem_populate(const struct gmem *g, const struct cancel *cancel);

/*
 * The host takes back the pages that lie wholly in the range, which gmem_ptr() gave: they read as
 * zeroes, and cost nothing until they are written to. A host that cannot leaves them.
 */
void gmem_discard(const struct gmem *g, void *hva, uint64_t bytes);

/*
 * For a replay: small pages from now on, since a little here and there shall not take huge ones;
 * and gmem_discard() does nothing, which a tape could ask for a billion times.
 */
void gmem_save(struct gmem *g);

/* The region that holds all of the range, or NULL. */
static inline const struct gmem_region *gmem_find(const struct gmem *g, uint64_t gpa, uint64_t len)
{
    for (unsigned i = 0; i < g->count; i++)
        if (range_within(gpa, len, g->regions[i].gpa, g->regions[i].bytes))
            return &g->regions[i];
    return NULL;
}

/* Copies; 0 or -EFAULT, and then nothing was copied. */
int gmem_read(const struct gmem *g, uint64_t gpa, void *dst, size_t len);
int gmem_write(const struct gmem *g, uint64_t gpa, const void *src, size_t len);

/*
 * A pointer through which all len bytes are reachable, or NULL if the range is not all RAM or gpa
 * is not a multiple of align (a power of two). Valid until gmem_destroy().
 */
static inline void *gmem_ptr(const struct gmem *g, uint64_t gpa, uint64_t len, uint64_t align)
{
    const struct gmem_region *r = gmem_find(g, gpa, len);
    return r && is_aligned(gpa, align) ? r->hva + (gpa - r->gpa) : NULL;
}

#endif
