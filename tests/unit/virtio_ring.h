// SPDX-License-Identifier: BSD-2-Clause
/*
 * A queue without a device or a transport: guest memory, the driver's half, the device's half.
 */
#ifndef MINIVET_TESTS_UNIT_VIRTIO_RING_H
#define MINIVET_TESTS_UNIT_VIRTIO_RING_H

#include <criterion/criterion.h>

#include "core/memory/gmem.h"
#include "tests/harness/rig.h"
#include "tests/harness/vdrv.h"
#include "tests/harness/with.h"
#include "virtio/ring/virtqueue.h"
#include "virtio/spec.h"

#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))

struct ring {
    struct gmem *gmem;
    struct vdrv drv;
    struct vdrv_queue *q;
    struct vq_config config;
    struct vq_setup setup;
    struct virtqueue vq;
    uint64_t data_gpa; /* a page for whatever */
};

/* Memory and driver, everything but the activation. */
static inline void ring_prepare(struct ring *r, uint32_t size, uint64_t features)
{
    *r = (struct ring){0};
    cr_assert_eq(gmem_create(&r->gmem, RIG_RAM_BYTES, RIG_HOLE_GPA, RIG_HOLE_END_GPA), 0);
    vdrv_init(&r->drv, r->gmem, NULL, 0);
    r->drv.features = features;
    vdrv_queue_alloc(&r->drv, 0, size);
    r->q = &r->drv.q[0];
    r->data_gpa = vdrv_alloc(&r->drv, 4096, 4096);
    r->config = (struct vq_config){
        .size = size,
        .desc = r->q->desc_gpa,
        .driver = r->q->avail_gpa,
        .device = r->q->used_gpa,
    };
    r->setup = (struct vq_setup){
        .config = &r->config,
        .gmem = r->gmem,
        .features = features,
        .size_max = VIRTQ_MAX_SIZE,
        .iov_max = 64,
    };
}

static inline void ring_open(struct ring *r, uint32_t size, uint64_t features)
{
    ring_prepare(r, size, features);
    cr_assert_eq(vq_activate(&r->vq, &r->setup), 0);
}

static inline void ring_close(struct ring *r)
{
    vq_deactivate(&r->vq);
    vdrv_fini(&r->drv);
    gmem_destroy(r->gmem);
}

/* The driver publishes one buffer of the data page. */
static inline int ring_add(struct ring *r, uint32_t len, bool write)
{
    int head = vdrv_add(r->q, &(struct vdrv_buf){r->data_gpa, len, write}, 1);
    vdrv_publish(r->q);
    return head;
}

static inline struct vq_chain *ring_pop(struct ring *r)
{
    struct vq_chain *chain = NULL;
    cr_assert_eq(vq_pop(&r->vq, &chain), 1, "%s", r->vq.error ? r->vq.error : "empty");
    return chain;
}

/* The device takes one and gives it back. */
static inline void ring_serve(struct ring *r)
{
    vq_push(&r->vq, ring_pop(r));
}

#define OnRing(suite, name, ...) TestWith(suite, name, struct ring, r, (__VA_ARGS__), ring_close(r))

#endif
