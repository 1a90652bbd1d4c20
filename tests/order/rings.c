// SPDX-License-Identifier: BSD-2-Clause
/*
 * The orders of the rings' accesses, on all executions that a machine as weak as C17 allows: what
 * is handed over is there when it is seen to be, and of two sides that ask each other "have you
 * stored yours?" at least one sees the other's. The driver is tests/harness/vdrv_ring.c, in the
 * model too: it keeps to the orders that VIRTIO 1.4 asks for, and to no more; once by the orders of
 * its accesses, once by fences between accesses that have none, as Linux's driver.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "core/memory/gmem.h"
#include "tests/harness/vdrv.h"
#include "tests/order/model.h"
#include "tests/order/needed.h"
#include "virtio/ring/virtqueue.h"
#include "virtio/spec.h"

enum {
    MEMORY = 0x20000,
    SIZE = 2,
    DATA_BYTES = 2,
    DATA = 0x1234,
    NEW_DATA = 0x5678,
    CHAIN_ID = 1,
};

struct pair {
    bool packed, event_idx;
    struct gmem *gmem;
    struct vdrv drv;
    struct vdrv_queue *q;
    uint64_t data_gpa, second_gpa;
    struct virtqueue vq;
    struct vq_chain *chain, *second;

    /* What the two saw. */
    bool wanted, saw;
    uint32_t head, len, data;
    int popped;
    const char *wrong;
};

static void prepare(struct pair *p)
{
    vq_deactivate(&p->vq);
    p->drv.heap_gpa = p->drv.heap_start_gpa;
    p->drv.features = (p->packed ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0) |
                      (p->event_idx ? VIRTIO_BIT(VIRTIO_F_EVENT_IDX) : 0);
    vdrv_queue_alloc(&p->drv, 0, SIZE);
    p->data_gpa = vdrv_alloc(&p->drv, 16, 16);
    p->second_gpa = vdrv_alloc(&p->drv, 16, 16);
    p->q = &p->drv.q[0];
    p->q->ring.ids[0] = CHAIN_ID; /* not what memory is filled with */
    p->q->ring.ids[1] = 0;
    struct vq_config config = {SIZE, p->q->desc_gpa, p->q->avail_gpa, p->q->used_gpa};
    int err = vq_activate(&p->vq, &(struct vq_setup){.config = &config,
                                                     .gmem = p->gmem,
                                                     .features = p->drv.features,
                                                     .size_max = SIZE,
                                                     .iov_max = SIZE});
    cr_assert_eq(err, 0);
    p->chain = NULL;
    p->wanted = p->saw = false;
    p->popped = 0;
    p->wrong = NULL;
}

static uint8_t *data(struct pair *p)
{
    return vdrv_ptr(&p->drv, p->data_gpa, DATA_BYTES);
}

/* ---- to the driver: a buffer that was written, and its interrupt ---- */

static void prepare_used(void *ctx)
{
    struct pair *p = ctx;
    prepare(p);
    vdrv_add(p->q, &(struct vdrv_buf){p->data_gpa, DATA_BYTES, true}, 1);
    vdrv_publish(p->q);
    vdrv_irq_off(p->q);
    cr_assert_eq(vq_pop(&p->vq, &p->chain), 1);
}

static void give(void *ctx)
{
    struct pair *p = ctx;
    model_guest_write(data(p), DATA_BYTES, DATA);
    iobuf_skip(&p->chain->wr, DATA_BYTES);
    vq_push(&p->vq, p->chain);
    p->wanted = vq_flush(&p->vq);
}

/* Interrupts on; then is there something already? */
static void look(void *ctx)
{
    struct pair *p = ctx;
    p->saw = !vdrv_ring_irq_on(&p->q->ring, 0);
    if (p->saw) {
        vdrv_ring_peek(&p->q->ring, &p->head, &p->len);
        p->data = model_guest_read(data(p), DATA_BYTES);
    }
}

static const char *judge_used(void *ctx)
{
    struct pair *p = ctx;
    if (!p->saw)
        return p->wanted ? NULL : "the driver sees no used buffer, and gets no interrupt";
    if (p->head != CHAIN_ID || p->len != DATA_BYTES)
        return "the driver sees a used buffer before its id and length";
    return p->data == DATA ? NULL : "the driver sees a used buffer before what was written to it";
}

/* ---- to the device: a chain that is published, and its notification ---- */

static void prepare_avail(void *ctx)
{
    struct pair *p = ctx;
    prepare(p);
    vq_notify_off(&p->vq);
}

/* "Tell me"; then is there something already? */
static void wait(void *ctx)
{
    struct pair *p = ctx;
    p->saw = vq_notify_on(&p->vq);
    p->popped = vq_pop(&p->vq, &p->chain);
}

static void take(void *ctx)
{
    struct pair *p = ctx;
    p->popped = vq_pop(&p->vq, &p->chain);
}

static void publish(void *ctx)
{
    struct pair *p = ctx;
    vdrv_add(p->q, &(struct vdrv_buf){p->data_gpa, DATA_BYTES, true}, 1);
    vdrv_publish(p->q);
    p->wanted = vdrv_kick_wanted(p->q);
}

static const char *judge_chain(struct pair *p)
{
    if (p->popped == 1 && (p->chain->wr.left != DATA_BYTES || p->chain->head != CHAIN_ID))
        return "the device sees a chain before its descriptor";
    return p->popped < 0 ? "the device sees a chain that is none" : NULL;
}

static const char *judge_waiting(void *ctx)
{
    struct pair *p = ctx;
    if (!p->saw && !p->wanted && p->popped == 0)
        return "the device sees no chain, and gets no notification";
    return judge_chain(p);
}

static const char *judge_taken(void *ctx)
{
    return judge_chain(ctx);
}

/* ---- to the driver: two at once, the second behind the first ---- */

static void prepare_batch(void *ctx)
{
    struct pair *p = ctx;
    prepare(p);
    vdrv_add(p->q, &(struct vdrv_buf){p->data_gpa, DATA_BYTES, true}, 1);
    vdrv_add(p->q, &(struct vdrv_buf){p->second_gpa, DATA_BYTES, true}, 1);
    vdrv_publish(p->q);
    cr_assert_eq(vq_pop(&p->vq, &p->chain), 1);
    cr_assert_eq(vq_pop(&p->vq, &p->second), 1);
}

static void give_both(void *ctx)
{
    struct pair *p = ctx;
    model_guest_write(vdrv_ptr(&p->drv, p->second_gpa, DATA_BYTES), DATA_BYTES, DATA);
    iobuf_skip(&p->chain->wr, DATA_BYTES);
    iobuf_skip(&p->second->wr, DATA_BYTES);
    vq_push(&p->vq, p->chain);
    vq_push(&p->vq, p->second);
    vq_flush(&p->vq);
}

static void look_twice(void *ctx)
{
    struct pair *p = ctx;
    if (!vdrv_ring_peek(&p->q->ring, &p->head, &p->len) || p->head != CHAIN_ID)
        return;
    vdrv_ring_pass(&p->q->ring, CHAIN_ID);
    p->saw = vdrv_ring_peek(&p->q->ring, &p->head, &p->len);
    if (p->saw)
        p->data = model_guest_read(vdrv_ptr(&p->drv, p->second_gpa, DATA_BYTES), DATA_BYTES);
    else
        p->wrong = "the driver sees a batch in part";
}

static const char *judge_batch(void *ctx)
{
    struct pair *p = ctx;
    if (p->saw && (p->head != 0 || p->len != DATA_BYTES || p->data != DATA))
        return "the driver sees a used buffer of a batch before what is in it";
    return p->wrong;
}

/* ---- both ways: what was used is the driver's again ---- */

static void prepare_round(void *ctx)
{
    struct pair *p = ctx;
    prepare(p);
    model_guest_write(data(p), DATA_BYTES, DATA);
    vdrv_add(p->q, &(struct vdrv_buf){p->data_gpa, DATA_BYTES, false}, 1);
    vdrv_publish(p->q);
    cr_assert_eq(vq_pop(&p->vq, &p->chain), 1);
}

static void use_and_take(void *ctx)
{
    struct pair *p = ctx;
    if (model_guest_read(data(p), DATA_BYTES) != DATA)
        p->wrong = "the device sees a buffer that was used already";
    vq_push(&p->vq, p->chain);
    vq_flush(&p->vq);
    p->popped = vq_pop(&p->vq, &p->chain);
    if (p->popped == 1)
        p->data = model_guest_read(data(p), DATA_BYTES);
}

static void add_again(void *ctx)
{
    struct pair *p = ctx;
    if (!vdrv_ring_peek(&p->q->ring, &p->head, &p->len) || p->head != CHAIN_ID)
        return;
    vdrv_ring_free(&p->q->ring, CHAIN_ID);
    model_guest_write(data(p), DATA_BYTES, NEW_DATA);
    vdrv_add(p->q, &(struct vdrv_buf){p->data_gpa, DATA_BYTES, false}, 1);
    vdrv_publish(p->q);
}

static const char *judge_round(void *ctx)
{
    struct pair *p = ctx;
    if (p->popped < 0)
        return "the device sees a chain that is none";
    if (p->popped == 1 && (p->chain->rd.left != DATA_BYTES || p->data != NEW_DATA))
        return "the device sees a chain before its buffer";
    return p->wrong;
}

/* ---- */

/* What is wrong, or NULL. */
static const char *explore(struct pair *p, const struct model_case *steps, bool fences,
                           unsigned *count)
{
    struct model_case c = *steps;
    c.guest = gmem_ptr(p->gmem, 0, MEMORY, 1);
    c.guest_bytes = MEMORY;
    c.fences_of = fences ? 1u << 1 : 0;
    c.ctx = p;
    return model_explore(&c, count);
}

static bool on_all_rings(const struct model_case *steps, bool says)
{
    static struct pair p;
    bool good = true;
    for (unsigned kind = 0; kind < 8 && good; kind++) {
        p = (struct pair){.packed = kind & 1, .event_idx = kind & 2};
        bool fences = kind & 4;
        cr_assert_eq(gmem_create(&p.gmem, MEMORY, MEMORY, MEMORY), 0);
        vdrv_init(&p.drv, p.gmem, NULL, 0);
        unsigned count;
        const char *wrong = explore(&p, steps, fences, &count);
        good = wrong == NULL;
        cr_expect(good || !says, "%s%s%s, execution %u: %s", p.packed ? "packed" : "split",
                  p.event_idx ? " with EVENT_IDX" : "", fences ? ", the driver by fences" : "",
                  count, wrong);
        cr_expect(!good || count > 1, "there was something to choose");
        vq_deactivate(&p.vq);
        vdrv_fini(&p.drv);
        gmem_destroy(p.gmem);
    }
    return good;
}

static const struct model_case used = {
    .prepare = prepare_used, .threads = {give, look}, .judge = judge_used};
static const struct model_case waiting = {
    .prepare = prepare_avail, .threads = {wait, publish}, .judge = judge_waiting};
static const struct model_case taken = {
    .prepare = prepare_avail, .threads = {take, publish}, .judge = judge_taken};
static const struct model_case batch = {
    .prepare = prepare_batch, .threads = {give_both, look_twice}, .judge = judge_batch};
static const struct model_case around = {
    .prepare = prepare_round, .threads = {use_and_take, add_again}, .judge = judge_round};

Test(order, used_buffers_are_whole_and_heard_of)
{
    on_all_rings(&used, true);
}

Test(order, chains_are_whole_and_heard_of)
{
    on_all_rings(&waiting, true);
}

Test(order, chains_are_whole_when_they_are_seen)
{
    on_all_rings(&taken, true);
}

Test(order, a_batch_is_seen_as_a_whole)
{
    on_all_rings(&batch, true);
}

Test(order, used_buffers_are_the_drivers_again)
{
    on_all_rings(&around, true);
}

static bool all_hold(bool says)
{
    return on_all_rings(&used, says) && on_all_rings(&waiting, says) &&
           on_all_rings(&taken, says) && on_all_rings(&batch, says) && on_all_rings(&around, says);
}

Test(order, rings_need_each_of_their_orders)
{
    check_orders_are_needed(all_hold, (const struct stronger[]){{NULL, NULL}});
}
