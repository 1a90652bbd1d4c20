// SPDX-License-Identifier: BSD-2-Clause
#include "core/ports/bus.h"
#include "core/base/alloc.h"
#include "core/output/facts.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/log.h"
#include "core/base/try_lock.h"
#include "core/base/xmath.h"

#define BUS_REGIONS 256

/*
 * The table is sorted by base and read under a sequence lock: `seq` is odd while a writer changes
 * it, and a reader that saw it odd or changed starts again. All of a region is copied into its
 * slot, so that a device may change its struct bus_region as soon as it is off the bus.
 *
 * Readers and writers pair up without fences, through acquire and release on every field:
 *  - Writer: seq becomes odd, then each field is stored with release. A reader that loads such a
 *    field with acquire sees the odd seq (or a later one) in its second look, and starts again.
 *  - Writer: seq becomes even with release, after the fields. A reader whose first look loads that
 *    value with acquire sees every field at least as new.
 */
#define SLOT_WORDS (sizeof(struct bus_region) / sizeof(uint64_t))
#define BASE_WORD  (offsetof(struct bus_region, base) / sizeof(uint64_t))

union slot_copy {
    struct bus_region region;
    uint64_t words[SLOT_WORDS];
};

struct bus {
    const char *name;
    uint64_t limit;
    struct log_guest_count unclaimed;
    _Atomic unsigned seq;
    _Atomic unsigned count;
    pthread_mutex_t lock; /* for writers; guards regions, the slots' mirror */

    /* The first `count` of each; these are the first members that are not cleared. */
    const struct bus_region *regions[BUS_REGIONS];
    _Atomic uint64_t slots[BUS_REGIONS][SLOT_WORDS];
};

int bus_create(struct bus **out, const char *name, uint64_t limit)
{
    struct bus *bus = ALLOC_BEFORE(struct bus, regions);
    if (!bus)
        return fail(-ENOMEM, "bus %s", name);
    bus->name = name;
    bus->limit = limit;
    pthread_mutex_init(&bus->lock, NULL);
    *out = bus;
    return 0;
}

void bus_destroy(struct bus *bus)
{
    if (!bus)
        return;
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

/* ---- writers ---- */

/* Stores regions[from, count) into their slots. Release: pairs with find()'s loads. */
static void publish(struct bus *bus, unsigned from, unsigned count)
{
    unsigned seq = atomic_load_explicit(&bus->seq, memory_order_relaxed);
    atomic_store_explicit(&bus->seq, seq + 1, memory_order_relaxed);
    for (unsigned i = from; i < count; i++) {
        union slot_copy copy = {.region = *bus->regions[i]};
        for (unsigned k = 0; k < SLOT_WORDS; k++)
            atomic_store_explicit(&bus->slots[i][k], copy.words[k], memory_order_release);
    }
    atomic_store_explicit(&bus->count, count, memory_order_release);
    atomic_store_explicit(&bus->seq, seq + 2, memory_order_release);
}

static int insert_locked(struct bus *bus, const struct bus_region *region)
{
    unsigned count = atomic_load_explicit(&bus->count, memory_order_relaxed);
    unsigned at = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct bus_region *r = bus->regions[i];
        if (range_overlaps(r->base, r->size, region->base, region->size))
            return -EEXIST;
        if (r->base < region->base)
            at = i + 1;
    }
    if (count == BUS_REGIONS)
        return -ENOSPC;
    memmove(&bus->regions[at + 1], &bus->regions[at], (count - at) * sizeof(bus->regions[0]));
    bus->regions[at] = region;
    publish(bus, at, count + 1);
    return 0;
}

int bus_add(struct bus *bus, const struct bus_region *region)
{
    BUG_ON(!region->ops->read || !region->ops->write);
    if (region->size == 0 || !range_within(region->base, region->size, 0, bus->limit))
        return -EINVAL;
    if (region->widths == 0 || region->widths > BUS_W1248)
        return -EINVAL;
    pthread_mutex_lock(&bus->lock);
    int err = insert_locked(bus, region);
    pthread_mutex_unlock(&bus->lock);
    return err;
}

static int remove_locked(struct bus *bus, const struct bus_region *region)
{
    unsigned count = atomic_load_explicit(&bus->count, memory_order_relaxed);
    unsigned at = 0;
    while (at < count && bus->regions[at] != region)
        at++;
    if (at == count)
        return -ENOENT;
    memmove(&bus->regions[at], &bus->regions[at + 1], (count - at - 1) * sizeof(bus->regions[0]));
    publish(bus, at, count - 1);
    return 0;
}

int bus_remove(struct bus *bus, const struct bus_region *region)
{
    pthread_mutex_lock(&bus->lock);
    int err = remove_locked(bus, region);
    pthread_mutex_unlock(&bus->lock);
    return err;
}

/* ---- readers ---- */

/*
 * The last region that begins at or below addr. Acquire on each load: pairs with publish(). The
 * search ends and stays inside the table whatever mixture of old and new it meets.
 */
static bool find(struct bus *bus, uint64_t addr, struct bus_region *hit)
{
    unsigned low = 0, high = atomic_load_explicit(&bus->count, memory_order_acquire);
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (atomic_load_explicit(&bus->slots[mid][BASE_WORD], memory_order_acquire) <= addr)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == 0)
        return false;
    union slot_copy copy;
#pragma GCC unroll 8
    for (unsigned k = 0; k < SLOT_WORDS; k++)
        copy.words[k] = atomic_load_explicit(&bus->slots[low - 1][k], memory_order_acquire);
    *hit = copy.region;
    return true;
}

/* Finds whose address it is. */
static bool find_stable(struct bus *bus, uint64_t addr, struct bus_region *hit)
{
    unsigned seq;
    bool found;
    for (;;) {
        seq = atomic_load_explicit(&bus->seq, memory_order_acquire);
        if (seq % 2 != 0) { /* the writer is at it, or lost its processor: lend it this one */
            sched_yield();
            continue;
        }
        found = find(bus, addr, hit);
        if (atomic_load_explicit(&bus->seq, memory_order_relaxed) == seq)
            break;
    }
    return found && range_within(addr, 1, hit->base, hit->size);
}

/* Finds the region that takes the access. */
static bool lookup(struct bus *bus, uint64_t addr, unsigned width, struct bus_region *hit)
{
    return find_stable(bus, addr, hit) && is_pow2(width) && (hit->widths & width) != 0 &&
           range_within(addr, width, hit->base, hit->size);
}

bool bus_read(struct bus *bus, uint64_t addr, unsigned width, uint64_t *value)
{
    struct bus_region hit;
    if (!lookup(bus, addr, width, &hit)) {
        log_guest(&bus->unclaimed, "%s: nothing reads %u bytes at %#llx", bus->name, width,
                  (unsigned long long)addr);
        *value = width_mask(width);
        return false;
    }
    *value = hit.ops->read(hit.dev, addr - hit.base, width) & width_mask(width);
    return true;
}

bool bus_write(struct bus *bus, uint64_t addr, unsigned width, uint64_t value)
{
    struct bus_region hit;
    if (!lookup(bus, addr, width, &hit)) {
        log_guest(&bus->unclaimed, "%s: nothing writes %u bytes at %#llx", bus->name, width,
                  (unsigned long long)addr);
        return false;
    }
    hit.ops->write(hit.dev, addr - hit.base, width, value & width_mask(width));
    return true;
}

void bus_access(struct bus *bus, uint64_t addr, void *data, unsigned len, bool is_write)
{
    uint8_t *bytes = data;
    bool whole = is_pow2(len) && len <= 8;
    while (len > 0) {
        unsigned width = whole ? len : 8;
        while (width > len || (!whole && !is_aligned(addr, width)))
            width /= 2;
        if (is_write) {
            bus_write(bus, addr, width, le_get(bytes, width));
        } else {
            uint64_t value;
            bus_read(bus, addr, width, &value);
            le_put(bytes, value, width);
        }
        addr += width;
        bytes += width;
        len -= width;
    }
}

const char *bus_name_at(struct bus *bus, uint64_t addr)
{
    struct bus_region hit;
    if (!find_stable(bus, addr, &hit))
        return NULL;
    return hit.ops->name_at != NULL ? hit.ops->name_at(hit.dev, addr - hit.base) : hit.name;
}

uint64_t bus_unclaimed(const struct bus *bus)
{
    return atomic_load_explicit(&bus->unclaimed.events, memory_order_relaxed);
}

void bus_describe(struct bus *bus, struct facts *f)
{
    facts_list(f, bus->name);
    if (!try_lock(&bus->lock)) { /* vCPUs that move regions all the time have it */
        facts_group(f, NULL);
        facts_flag(f, "busy", true);
        facts_end(f);
        facts_end(f);
        return;
    }
    unsigned count = atomic_load(&bus->count);
    for (unsigned i = 0; i < count; i++) {
        const struct bus_region *r = bus->regions[i];
        facts_group(f, NULL);
        facts_hex(f, "at", r->base);
        facts_hex(f, "bytes", r->size);
        facts_word(f, "name", r->name);
        facts_end(f);
    }
    pthread_mutex_unlock(&bus->lock);
    facts_end(f);
}
