// SPDX-License-Identifier: BSD-2-Clause
/*
 * A bus: which device answers at an address. One for MMIO and one for port I/O in a machine.
 *
 * bus_access() is the way in from a vCPU, from a test and from a fuzzer alike. It takes no lock:
 * any number of threads look up while one adds or removes. A region declares the widths it takes;
 * an access of another width, one that straddles a region's end and one that no region claims read
 * as all ones, are dropped as writes, and are counted.
 */
#ifndef MINIVET_CORE_BUS_H
#define MINIVET_CORE_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct bus;
struct facts;

/* Widths as a mask: the sum of the byte counts that are accepted. */
enum {
    BUS_W1 = 1,
    BUS_W2 = 2,
    BUS_W4 = 4,
    BUS_W8 = 8,
    BUS_W124 = 7,
    BUS_W1248 = 15,
};

/*
 * Called on the thread that makes the access, several at once if several vCPUs do. offset
 * is from the region's base; offset + width is inside the region.
 */
struct bus_ops {
    uint64_t (*read)(void *dev, uint64_t offset, unsigned width);
    void (*write)(void *dev, uint64_t offset, unsigned width, uint64_t value);
    /* Of a region that passes accesses on: the name of what takes them. NULL: the region's. */
    const char *(*name_at)(void *dev, uint64_t offset);
};

/* Owned by the device, which keeps it in place from bus_add() until the bus is destroyed. */
struct bus_region {
    const char *name; /* for statistics: stays in place as long as the bus does */
    uint64_t base;
    uint64_t size;
    unsigned widths;
    const struct bus_ops *ops;
    void *dev;
};

/* limit: the first address beyond the bus (65536 for ports). */
int bus_create(struct bus **out, const char *name, uint64_t limit);
void bus_destroy(struct bus *bus);

/* -EEXIST on overlap, -EINVAL for an empty, wrapping or out-of-bus region, -ENOSPC when full. */
int bus_add(struct bus *bus, const struct bus_region *region);

/* -ENOENT if it is not there. An access that is under way in the device may still finish. */
int bus_remove(struct bus *bus, const struct bus_region *region);

/* width is 1, 2, 4 or 8. Returns whether a region took the access. */
bool bus_read(struct bus *bus, uint64_t addr, unsigned width, uint64_t *value);
bool bus_write(struct bus *bus, uint64_t addr, unsigned width, uint64_t value);

/* The same on bytes, as a vCPU exit brings them; a width that is not 1, 2, 4 or 8 is cut up. */
void bus_access(struct bus *bus, uint64_t addr, void *data, unsigned len, bool is_write);

/* The name of what takes accesses to the address, or NULL: nothing does. */
const char *bus_name_at(struct bus *bus, uint64_t addr);

/* Any thread: lists what answers where. */
void bus_describe(struct bus *bus, struct facts *f);

/* Accesses that no region took. */
uint64_t bus_unclaimed(const struct bus *bus);

#endif
