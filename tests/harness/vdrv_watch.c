// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a reset must leave alone. The driver's thread is the only one, and so is its host's, so that
 * between two of its steps nothing moves: a reset gives back what the host was still doing, or
 * nothing; and when it is over the device has forgotten all that it was given.
 */
#include "tests/harness/vdrv_watch.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

/* Less memory than that is looked at whole; else the heap alone. */
#define SMALL_BYTES UINT64_C(0x80000)

static _Noreturn void __attribute__((format(printf, 1, 2))) finding(const char *fmt, ...)
{
    va_list args;
    fputs("finding: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

/* ---- memory ---- */

static void add_range(struct vdrv_watch *w, uint64_t gpa, uint64_t bytes)
{
    if (bytes > 0 && w->range_count < VDRV_RANGES)
        w->ranges[w->range_count++] = (struct vdrv_range){gpa, bytes};
}

/* All that the driver has, or that there is. */
static void add_memory(struct vdrv *d)
{
    struct vdrv_watch *w = &d->watch;
    uint64_t all = 0;
    for (unsigned i = 0; i < d->gmem->count; i++)
        all += d->gmem->regions[i].bytes;
    if (all > SMALL_BYTES)
        add_range(w, d->heap_start_gpa, max_u64(w->heap_max_gpa, d->heap_gpa) - d->heap_start_gpa);
    for (unsigned i = 0; all <= SMALL_BYTES && i < d->gmem->count; i++)
        add_range(w, d->gmem->regions[i].gpa, d->gmem->regions[i].bytes);
}

static void copy_ranges(struct vdrv *d)
{
    struct vdrv_watch *w = &d->watch;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < w->range_count; i++)
        bytes += w->ranges[i].bytes;
    if (bytes > w->copy_bytes) {
        w->copy = realloc(w->copy, bytes);
        BUG_ON(w->copy == NULL);
        w->copy_bytes = bytes;
    }
    uint8_t *to = w->copy;
    for (unsigned i = 0; i < w->range_count; to += w->ranges[i++].bytes)
        memcpy(to, vdrv_ptr(d, w->ranges[i].gpa, w->ranges[i].bytes), w->ranges[i].bytes);
}

static void compare_ranges(struct vdrv *d, const char *when)
{
    struct vdrv_watch *w = &d->watch;
    const uint8_t *was = w->copy;
    for (unsigned i = 0; i < w->range_count; was += w->ranges[i++].bytes) {
        const struct vdrv_range *r = &w->ranges[i];
        const uint8_t *is = vdrv_ptr(d, r->gpa, r->bytes);
        uint64_t at = 0;
        if (memcmp(is, was, r->bytes) == 0)
            continue;
        while (is[at] == was[at])
            at++;
        unsigned long long gpa = r->gpa + at;
        finding("%s byte 0x%llx of guest memory changed", when, gpa);
    }
}

/* ---- a reset of the device or of a queue ---- */

static bool is_watched(const struct vdrv *d)
{
    return d->watch.host != NULL && d->watch.host(d->watch.ctx) != VDRV_HOST_ELSEWHERE;
}

bool vdrv_watch_begin(struct vdrv *d)
{
    struct vdrv_watch *w = &d->watch;
    if (!is_watched(d))
        return false;
    w->heap_max_gpa = max_u64(w->heap_max_gpa, d->heap_gpa);
    w->idle = w->host(w->ctx) == VDRV_HOST_IDLE;
    w->range_count = 0;
    if (w->idle)
        add_memory(d);
    copy_ranges(d);
    return true;
}

/* Each that came back was in flight, and no other is the same. Such as only the driver filled. */
static void check_returned(const struct vdrv_queue *q)
{
    if (q->desc == NULL || q->raw || q->in_order)
        return;
    struct vdrv_ring at = q->ring; /* goes on where the driver stays */
    bool *seen = calloc(q->size, sizeof(*seen));
    BUG_ON(seen == NULL);
    uint32_t head, len;
    for (uint32_t n = 0; n <= q->size && vdrv_ring_peek(&at, &head, &len); n++) {
        if (head >= q->size || q->ring.descs[head] == 0 || seen[head])
            finding("with a reset of queue %u came back chain %u, which was not in flight",
                    q->index, head);
        seen[head] = true;
        vdrv_ring_pass(&at, (uint16_t)head);
    }
    free(seen);
}

void vdrv_watch_end(struct vdrv *d, const struct vdrv_queue *queue)
{
    struct vdrv_watch *w = &d->watch;
    if (w->idle)
        compare_ranges(d, "with a reset");
    if (queue == NULL) /* the driver has all of its memory back */
        w->gone_count = 0;
    for (unsigned i = 0; !w->idle && i < VDRV_QUEUES; i++)
        if (queue == NULL || queue == &d->q[i])
            check_returned(&d->q[i]);
}

/* ---- afterwards ---- */

static void keep(struct vdrv *d, unsigned queue, uint64_t gpa, uint64_t bytes)
{
    struct vdrv_watch *w = &d->watch;
    if (w->gone_count < VDRV_RANGES && bytes > 0 && gmem_ptr(d->gmem, gpa, bytes, 1) != NULL)
        w->gone[w->gone_count++] = (struct vdrv_gone){queue, {gpa, bytes}};
}

void vdrv_watch_queue_gone(struct vdrv *d, const struct vdrv_queue *q)
{
    if (q->desc == NULL || d->watch.host == NULL)
        return;
    keep(d, q->index, q->desc_gpa, (uint64_t)q->size * VIRTQ_DESC_BYTES);
    keep(d, q->index, q->avail_gpa, q->packed ? PVIRTQ_EVENT_BYTES : VIRTQ_AVAIL_BYTES(q->size));
    keep(d, q->index, q->used_gpa, q->packed ? PVIRTQ_EVENT_BYTES : VIRTQ_USED_BYTES(q->size));
    for (uint32_t i = 0; i < q->size; i++)
        if (q->ring.descs[i] != 0)
            keep(d, q->index, q->given[i].largest.gpa, q->given[i].largest.bytes);
}

void vdrv_watch_queue_back(struct vdrv *d, unsigned queue)
{
    struct vdrv_watch *w = &d->watch;
    unsigned left = 0;
    for (unsigned i = 0; i < w->gone_count; i++)
        if (w->gone[i].queue != queue)
            w->gone[left++] = w->gone[i];
    w->gone_count = left;
}

/* Has the driver given it to the device again, in a queue that runs? */
static bool is_given(const struct vdrv *d, const struct vdrv_range *r)
{
    for (unsigned i = 0; i < VDRV_QUEUES; i++) {
        const struct vdrv_queue *q = &d->q[i];
        for (uint32_t k = 0; q->desc != NULL && k < q->size; k++)
            if (q->ring.descs[k] != 0 &&
                range_overlaps(q->given[k].all.gpa, q->given[k].all.bytes, r->gpa, r->bytes))
                return true;
    }
    return false;
}

void vdrv_watch_step_begins(struct vdrv *d, bool is_reset)
{
    struct vdrv_watch *w = &d->watch;
    w->range_count = 0;
    if (!is_watched(d) || (!is_reset && w->gone_count == 0))
        return;
    if (is_reset)
        add_memory(d);
    for (unsigned i = 0; !is_reset && i < w->gone_count; i++)
        if (!is_given(d, &w->gone[i].range))
            add_range(w, w->gone[i].range.gpa, w->gone[i].range.bytes);
    copy_ranges(d);
}

void vdrv_watch_step_ends(struct vdrv *d)
{
    struct vdrv_watch *w = &d->watch;
    if (w->range_count == 0)
        return;
    compare_ranges(d, "after a reset");
}
