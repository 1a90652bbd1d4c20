// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/vdrv.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

#define HEAP_START_GPA UINT64_C(0x10000)

/* The legacy ring's used part; the transports all say it so (QueueAlign, or fixed). */
#define LEGACY_ALIGN 4096u

/* ---- guest memory ---- */

void vdrv_init_memory(struct vdrv *d, const struct gmem *gmem, struct bus *bus)
{
    const struct gmem_region *low = &gmem->regions[0];
    *d = (struct vdrv){
        .bus = bus,
        .gmem = gmem,
        .heap_gpa = HEAP_START_GPA,
        .heap_start_gpa = HEAP_START_GPA,
        .heap_end_gpa = low->gpa + low->bytes,
    };
}

void vdrv_fini(struct vdrv *d)
{
    for (unsigned i = 0; i < VDRV_QUEUES; i++)
        vdrv_queue_fini(&d->q[i]);
    free(d->watch.copy);
    d->watch = (struct vdrv_watch){0};
}

void *vdrv_ptr(struct vdrv *d, uint64_t gpa, uint64_t len)
{
    void *p = gmem_ptr(d->gmem, gpa, len, 1);
    BUG_ON(p == NULL);
    return p;
}

uint64_t vdrv_alloc(struct vdrv *d, uint64_t bytes, uint64_t align)
{
    uint64_t gpa = align_up(d->heap_gpa, align);
    d->heap_gpa = gpa + bytes;
    BUG_ON(d->heap_gpa > d->heap_end_gpa);
    memset(vdrv_ptr(d, gpa, bytes), 0, bytes);
    return gpa;
}

/* ---- initialisation ---- */

void vdrv_set_status(struct vdrv *d, uint32_t value)
{
    bool watched = value == 0 && vdrv_watch_begin(d);
    vdrv_write_status(d, value);
    if (watched)
        vdrv_watch_end(d, NULL);
}

void vdrv_reset(struct vdrv *d)
{
    vdrv_set_status(d, 0);
    BUG_ON(vdrv_status(d) != 0); /* VIRTIO 1.4 2.4.2 */
    d->heap_gpa = d->heap_start_gpa;
    d->features = 0;
}

bool vdrv_negotiate(struct vdrv *d, uint64_t features)
{
    uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE;
    vdrv_reset(d);
    vdrv_set_status(d, status);
    vdrv_set_status(d, status |= VIRTIO_STATUS_DRIVER);
    d->features = features | d->always;
    if (d->t->legacy) {
        d->features &= UINT32_MAX;
        vdrv_accept(d, 0, (uint32_t)d->features);
    } else {
        d->features |= VIRTIO_BIT(VIRTIO_F_VERSION_1);
        for (unsigned word = 0; word < 2; word++)
            vdrv_accept(d, word, (uint32_t)(d->features >> (32 * word)));
        vdrv_set_status(d, status | VIRTIO_STATUS_FEATURES_OK);
    }
    vdrv_ready_to_start(d);
    return d->t->legacy || (vdrv_status(d) & VIRTIO_STATUS_FEATURES_OK);
}

/* VIRTIO 1.4 2.7.2: one area, the used ring at the next boundary. */
static void alloc_legacy(struct vdrv *d, struct vdrv_queue *q)
{
    uint64_t head =
        align_up((uint64_t)q->size * VIRTQ_DESC_BYTES + VIRTQ_AVAIL_BYTES(q->size), LEGACY_ALIGN);
    q->desc_gpa = vdrv_alloc(d, head + VIRTQ_USED_BYTES(q->size), LEGACY_ALIGN);
    q->avail_gpa = q->desc_gpa + (uint64_t)q->size * VIRTQ_DESC_BYTES;
    q->used_gpa = q->desc_gpa + head;
}

static void alloc_packed(struct vdrv *d, struct vdrv_queue *q)
{
    q->desc_gpa = vdrv_alloc(d, (uint64_t)q->size * PVIRTQ_DESC_BYTES, PVIRTQ_DESC_ALIGN);
    q->avail_gpa = vdrv_alloc(d, PVIRTQ_EVENT_BYTES, PVIRTQ_EVENT_ALIGN);
    q->used_gpa = vdrv_alloc(d, PVIRTQ_EVENT_BYTES, PVIRTQ_EVENT_ALIGN);
}

static void alloc_split(struct vdrv *d, struct vdrv_queue *q)
{
    q->desc_gpa = vdrv_alloc(d, (uint64_t)q->size * VIRTQ_DESC_BYTES, VIRTQ_DESC_ALIGN);
    q->avail_gpa = vdrv_alloc(d, VIRTQ_AVAIL_BYTES(q->size), VIRTQ_AVAIL_ALIGN);
    q->used_gpa = vdrv_alloc(d, VIRTQ_USED_BYTES(q->size), VIRTQ_USED_ALIGN);
}

void vdrv_queue_map(struct vdrv_queue *q)
{
    uint64_t avail = q->packed ? PVIRTQ_EVENT_BYTES : VIRTQ_AVAIL_BYTES(q->size);
    uint64_t used = q->packed ? PVIRTQ_EVENT_BYTES : VIRTQ_USED_BYTES(q->size);
    q->ring.desc = q->desc = vdrv_ptr(q->drv, q->desc_gpa, (uint64_t)q->size * VIRTQ_DESC_BYTES);
    q->ring.driver = q->avail = vdrv_ptr(q->drv, q->avail_gpa, avail);
    q->ring.device = q->used = vdrv_ptr(q->drv, q->used_gpa, used);
}

void vdrv_queue_alloc(struct vdrv *d, unsigned queue, uint32_t size)
{
    BUG_ON(queue >= VDRV_QUEUES);
    struct vdrv_queue *q = &d->q[queue];
    vdrv_watch_queue_back(d, queue);
    if (d->t->fixed_size)
        size = vdrv_queue_size_max(d, queue);
    vdrv_queue_init(q, d, queue, size);
    if (d->bus != NULL)
        vdrv_find_notify(d, q);
    if (d->t->legacy)
        alloc_legacy(d, q);
    else if (q->packed)
        alloc_packed(d, q);
    else
        alloc_split(d, q);
    vdrv_queue_map(q);
}

void vdrv_queue_write(struct vdrv *d, unsigned queue)
{
    vdrv_watch_queue_back(d, queue);
    vdrv_write_queue(d, &d->q[queue]);
}

void vdrv_queue_set_up(struct vdrv *d, unsigned queue, uint32_t size)
{
    vdrv_queue_alloc(d, queue, size);
    vdrv_queue_write(d, queue);
}

void vdrv_driver_ok(struct vdrv *d)
{
    vdrv_set_status(d, vdrv_status(d) | VIRTIO_STATUS_DRIVER_OK);
}

bool vdrv_start(struct vdrv *d, uint64_t features, unsigned queues, uint32_t size)
{
    if (!vdrv_negotiate(d, features))
        return false;
    for (unsigned i = 0; i < queues; i++) {
        vdrv_queue_alloc(d, i, size);
        vdrv_queue_write(d, i);
    }
    vdrv_driver_ok(d);
    uint32_t status = vdrv_status(d);
    return (status & VIRTIO_STATUS_DRIVER_OK) && !(status & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
}

bool vdrv_queue_reset(struct vdrv *d, unsigned queue)
{
    if (d->t->queue_reset.bytes == 0)
        return false;
    bool watched = vdrv_watch_begin(d), done = vdrv_reset_queue(d, queue);
    if (watched)
        vdrv_watch_end(d, &d->q[queue]);
    if (done)
        vdrv_watch_queue_gone(d, &d->q[queue]);
    return done;
}
