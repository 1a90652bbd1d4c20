// SPDX-License-Identifier: BSD-2-Clause
/*
 * A driver as a guest has one: finds a virtio-mmio device through bus accesses, lays split rings
 * into guest memory, publishes chains and reads what comes back. It keeps to the specification
 * where it is left alone, and hands out the raw parts for tests that do not.
 *
 * One thread at a time. Ring indices are accessed as a guest CPU would, so that the device's loop
 * may run in another thread.
 */
#ifndef MINIVET_TESTS_HARNESS_VDRV_H
#define MINIVET_TESTS_HARNESS_VDRV_H

#include <stdbool.h>
#include <stdint.h>

struct bus;
struct gmem;
struct vdrv;

#define VDRV_QUEUES   2
#define VDRV_MAX_SIZE 1024

struct vdrv_buf {
    uint64_t gpa;
    uint32_t len;
    bool write; /* for the device to write */
};

struct vdrv_queue {
    struct vdrv *drv;
    unsigned index;
    uint32_t size;
    uint64_t desc_gpa, avail_gpa, used_gpa;
    uint8_t *desc, *avail, *used;
    uint16_t avail_idx; /* entries filled; the guest's idx follows at vdrv_publish() */
    uint16_t published;
    uint16_t used_idx;
    unsigned free_count;
    uint16_t free[VDRV_MAX_SIZE]; /* descriptors */
    uint16_t next[VDRV_MAX_SIZE]; /* within a chain in flight */
    uint16_t count[VDRV_MAX_SIZE];
};

struct vdrv {
    struct bus *bus;
    uint64_t base_gpa;
    const struct gmem *gmem;
    uint64_t heap_gpa, heap_start_gpa, heap_end_gpa;
    uint64_t features; /* negotiated */
    struct vdrv_queue q[VDRV_QUEUES];
};

void vdrv_init(struct vdrv *d, const struct gmem *gmem, struct bus *bus, uint64_t base_gpa);

/* ---- guest memory ---- */
/* Zeroed; all of it is taken back by vdrv_reset(). */
uint64_t vdrv_alloc(struct vdrv *d, uint64_t bytes, uint64_t align);
void *vdrv_ptr(struct vdrv *d, uint64_t gpa, uint64_t len);

/* ---- registers ---- */
uint32_t vdrv_get(struct vdrv *d, uint64_t reg);
void vdrv_set(struct vdrv *d, uint64_t reg, uint32_t value);
uint64_t vdrv_offered(struct vdrv *d);

/* ---- initialisation, VIRTIO 1.4 3.1.1 ---- */
void vdrv_reset(struct vdrv *d);
/* Reset to FEATURES_OK; features always include VERSION_1. Returns whether the device agreed. */
bool vdrv_negotiate(struct vdrv *d, uint64_t features);
void vdrv_queue_alloc(struct vdrv *d, unsigned queue, uint32_t size);
void vdrv_queue_write(struct vdrv *d, unsigned queue); /* registers, with QueueReady */
void vdrv_driver_ok(struct vdrv *d);
/* All of these, with the first `queues` queues. Returns whether the device runs. */
bool vdrv_start(struct vdrv *d, uint64_t features, unsigned queues, uint32_t size);

/* ---- chains ---- */
/* Fills descriptors and a ring entry, returns the head; -1 if there are too few descriptors. */
int vdrv_add(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count);
int vdrv_add_indirect(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count);
/* The same, and lets the device see it and kicks. */
int vdrv_send(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count);

void vdrv_publish(struct vdrv_queue *q);
bool vdrv_kick_wanted(struct vdrv_queue *q); /* after vdrv_publish() */
void vdrv_kick(struct vdrv_queue *q);        /* publishes, and writes QueueNotify always */

/* The next chain that came back, whose descriptors are free again. */
bool vdrv_used(struct vdrv_queue *q, uint32_t *head, uint32_t *len);

/* ---- raw ---- */
void vdrv_desc_put(uint8_t *table, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
                   unsigned next);
void vdrv_avail_put(struct vdrv_queue *q, uint16_t head); /* at avail_idx, which it moves */
uint16_t vdrv_used_idx(const struct vdrv_queue *q);
void vdrv_used_event(struct vdrv_queue *q, uint16_t index);
uint16_t vdrv_avail_event(const struct vdrv_queue *q);
void vdrv_avail_flags(struct vdrv_queue *q, uint16_t flags);
uint16_t vdrv_used_flags(const struct vdrv_queue *q);

#endif
