// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a device must leave alone when it is reset, or one of its queues is: a part of the driver.
 * vdrv_set_status(), vdrv_queue_reset() and rig_step() ask for it, so that every test has it that
 * resets a device of the rig's. What is wrong is said on a line that begins with `finding: `, and
 * ends the process.
 *
 *   - With a reset chains come back that the host had in hand (a disk's requests), each once, or
 *     none. Where the host has nothing in hand no byte of guest memory changes.
 *   - After a reset, until the next start, no byte changes.
 *   - The rings of a queue that was reset, and the buffers that were in flight there, stay as they
 *     are until it is set up again, or until those buffers are in another queue.
 */
#ifndef MINIVET_TESTS_HARNESS_VDRV_WATCH_H
#define MINIVET_TESTS_HARNESS_VDRV_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vdrv;
struct vdrv_queue;

#define VDRV_RANGES 64u

enum vdrv_host {
    VDRV_HOST_IDLE,      /* it does nothing until the driver's thread lets it */
    VDRV_HOST_BUSY,      /* the same, but it has requests in hand, which may end in a reset */
    VDRV_HOST_ELSEWHERE, /* in another thread: nothing is watched */
};

struct vdrv_range {
    uint64_t gpa, bytes;
};

struct vdrv_gone {
    unsigned queue;
    struct vdrv_range range;
};

/* A driver without host() is not watched. */
struct vdrv_watch {
    enum vdrv_host (*host)(void *ctx);
    void *ctx;

    uint64_t heap_max_gpa; /* how far the heap was ever used */
    bool idle;             /* the host was, when the reset began */
    unsigned range_count, gone_count;
    struct vdrv_range ranges[VDRV_RANGES]; /* what `copy` has */
    struct vdrv_gone gone[VDRV_RANGES];    /* of queues that were reset */
    uint8_t *copy;
    size_t copy_bytes;
};

/* Around a reset; end() after begin() said true. queue: that which was reset; NULL: the device. */
bool vdrv_watch_begin(struct vdrv *d);
void vdrv_watch_end(struct vdrv *d, const struct vdrv_queue *queue);

/* The queue was reset, before its arrays change; the queue is set up again. */
void vdrv_watch_queue_gone(struct vdrv *d, const struct vdrv_queue *q);
void vdrv_watch_queue_back(struct vdrv *d, unsigned queue);

/* Around what the host does while the driver waits. is_reset: the device's status is 0. */
void vdrv_watch_step_begins(struct vdrv *d, bool is_reset);
void vdrv_watch_step_ends(struct vdrv *d);

#endif
