// SPDX-License-Identifier: BSD-2-Clause
/* What all ring formats share: activation, chains and their accounting. */
#include <errno.h>
#include <string.h>

#include "core/base/xmath.h"
#include "virtio_ring.h"

OnRing(virtqueue, activation_wants_a_size_in_range, ring_prepare(r, 8, 0))
{
    static const uint32_t bad[] = {0, 65536, 32769, UINT32_MAX};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        r->config.size = bad[i];
        cr_expect_eq(vq_activate(&r->vq, &r->setup), -EINVAL);
        cr_expect(!vq_is_active(&r->vq));
        cr_expect_not_null(r->vq.error);
    }
}

OnRing(virtqueue, chains_carry_both_directions, ring_open(r, 8, 0))
{
    memcpy(vdrv_ptr(&r->drv, r->data_gpa, 6), "abcdef", 6);
    struct vdrv_buf bufs[] = {
        {r->data_gpa, 2, false},
        {r->data_gpa + 2, 4, false},
        {r->data_gpa + 100, 3, true},
        {r->data_gpa + 200, 5, true},
    };
    int head = vdrv_add(r->q, bufs, 4);
    vdrv_publish(r->q);

    struct vq_chain *chain = ring_pop(r);
    char text[7] = {0};
    cr_expect_eq(chain->rd.left, 6);
    cr_expect_eq(chain->wr.left, 8);
    cr_expect_eq(iobuf_get(&chain->rd, text, 6), 6);
    cr_expect_str_eq(text, "abcdef");
    cr_expect_eq(iobuf_put(&chain->wr, "12345", 5), 5);
    vq_push(&r->vq, chain);
    cr_expect(vq_flush(&r->vq));

    uint32_t id, len;
    cr_assert(vdrv_used(r->q, &id, &len));
    cr_expect_eq(id, (uint32_t)head);
    cr_expect_eq(len, 5);
    cr_expect_arr_eq((char *)vdrv_ptr(&r->drv, r->data_gpa + 100, 3), "123", 3);
    cr_expect_arr_eq((char *)vdrv_ptr(&r->drv, r->data_gpa + 200, 2), "45", 2);
}

OnRing(virtqueue, an_empty_queue_is_empty, ring_open(r, 8, 0))
{
    struct vq_chain *chain;
    cr_expect_eq(vq_pop(&r->vq, &chain), 0);
    cr_expect(!vq_flush(&r->vq), "nothing was pushed");
}

OnRing(virtqueue, written_counts_the_first_bytes_only, ring_open(r, 8, 0))
{
    ring_add(r, 100, true);
    struct vq_chain *chain = ring_pop(r);
    cr_assert(iobuf_split_tail(&chain->wr, 1, &chain->tail));
    cr_expect_eq(chain->wr.left, 99);
    cr_expect_eq(vq_chain_written(chain), 0);
    iobuf_put(&chain->tail, "s", 1);
    cr_expect_eq(vq_chain_written(chain), 0, "the status alone is not contiguous");
    iobuf_put_zero(&chain->wr, 98);
    cr_expect_eq(vq_chain_written(chain), 98);
    iobuf_put_zero(&chain->wr, 1);
    cr_expect_eq(vq_chain_written(chain), 100);
    vq_push(&r->vq, chain);
}

OnRing(virtqueue, split_tail_crosses_buffers, ring_open(r, 8, 0))
{
    struct vdrv_buf bufs[] = {{r->data_gpa, 3, true}, {r->data_gpa + 100, 2, true}};
    vdrv_add(r->q, bufs, 2);
    vdrv_publish(r->q);
    struct vq_chain *chain = ring_pop(r);
    cr_expect(!iobuf_split_tail(&chain->wr, 6, &chain->tail));
    cr_assert(iobuf_split_tail(&chain->wr, 4, &chain->tail));
    cr_expect_eq(chain->wr.left, 1);
    iobuf_put(&chain->tail, "wxyz", 4);
    cr_expect_arr_eq((char *)vdrv_ptr(&r->drv, r->data_gpa + 1, 2), "wx", 2);
    cr_expect_arr_eq((char *)vdrv_ptr(&r->drv, r->data_gpa + 100, 2), "yz", 2);
}

OnRing(virtqueue, slots_are_unique_in_flight, ring_open(r, 8, 0))
{
    struct vq_chain *chains[8];
    unsigned seen = 0;
    for (unsigned i = 0; i < 8; i++)
        ring_add(r, 1, true);
    for (unsigned i = 0; i < 8; i++) {
        chains[i] = ring_pop(r);
        cr_assert_lt(chains[i]->slot, 8);
        seen |= 1u << chains[i]->slot;
    }
    cr_expect_eq(seen, 0xff);
    struct vq_chain *none;
    cr_expect_eq(vq_pop(&r->vq, &none), 0, "all in flight, none more");
    for (unsigned i = 8; i-- > 0;)
        vq_push(&r->vq, chains[i]);
    vq_flush(&r->vq);
    uint32_t id, len;
    for (unsigned i = 8; i-- > 0;) {
        cr_assert(vdrv_used(r->q, &id, &len));
        cr_expect_eq(id, i, "used in the order of the pushes");
    }
}

OnRing(virtqueue, with_all_heads_in_flight_one_more_is_broken, ring_open(r, 4, 0))
{
    struct vq_chain *chain;
    for (unsigned i = 0; i < 4; i++)
        ring_add(r, 1, true);
    for (unsigned i = 0; i < 4; i++)
        ring_pop(r);
    vdrv_avail_put(r->q, 2);
    vdrv_publish(r->q);
    cr_expect_eq(vq_pop(&r->vq, &chain), -EPROTO);
}

/* Longer than the queue both are: without a table the chain has come back to itself. */
Test(virtqueue, a_fault_has_a_name_and_a_number)
{
    struct ring r;
    struct vdrv_buf bufs[9];
    struct vq_chain *chain;
    ring_open(&r, 8, RING_FEATURES);
    vdrv_desc_put(r.q->desc, 5, r.data_gpa, 1, VIRTQ_DESC_F_NEXT, 5);
    vdrv_avail_put(r.q, 5);
    vdrv_publish(r.q);
    cr_expect_eq(vq_pop(&r.vq, &chain), -EPROTO);
    cr_expect_eq(r.vq.fault, VQ_LOOP);
    cr_expect_eq(r.vq.fault_value, 5);
    cr_expect_str_eq(r.vq.error, "chain comes back to itself");
    ring_close(&r);

    ring_open(&r, 8, RING_FEATURES);
    for (unsigned i = 0; i < ARRAY_SIZE(bufs); i++)
        bufs[i] = (struct vdrv_buf){r.data_gpa, 1, true};
    vdrv_add_indirect(r.q, bufs, ARRAY_SIZE(bufs));
    vdrv_publish(r.q);
    cr_expect_eq(vq_pop(&r.vq, &chain), -EPROTO);
    cr_expect_eq(r.vq.fault, VQ_LONG);
    cr_expect_eq(r.vq.fault_value, 8);
    ring_close(&r);
}

OnRing(virtqueue, a_broken_queue_stays_broken_and_writes_nothing, ring_open(r, 8, 0))
{
    struct vq_chain *chain, *none;
    ring_add(r, 16, true);
    chain = ring_pop(r);
    vdrv_avail_put(r->q, 8); /* no such descriptor */
    vdrv_publish(r->q);
    cr_expect_eq(vq_pop(&r->vq, &none), -EPROTO);
    cr_expect_eq(vq_pop(&r->vq, &none), -EPROTO);
    vq_push(&r->vq, chain);
    cr_expect(!vq_flush(&r->vq));
    cr_expect(!vq_notify_on(&r->vq));
    cr_expect_eq(vdrv_used_idx(r->q), 0);
}

OnRing(virtqueue, empty_buffers_are_allowed_anywhere, ring_open(r, 8, 0))
{
    struct vdrv_buf bufs[] = {
        {UINT64_MAX, 0, false}, {r->data_gpa, 4, false}, {0, 0, false},
        {r->data_gpa, 0, true}, {r->data_gpa, 4, true},  {UINT64_MAX, 0, true},
    };
    vdrv_add(r->q, bufs, 6);
    vdrv_publish(r->q);
    struct vq_chain *chain = ring_pop(r);
    cr_expect_eq(chain->rd.left, 4);
    cr_expect_eq(chain->wr.left, 4);
}

OnRing(virtqueue, chains_end_at_the_devices_limit, ring_prepare(r, 8, 0))
{
    struct vdrv_buf bufs[5];
    struct vq_chain *chain;
    r->setup.iov_max = 4;
    cr_assert_eq(vq_activate(&r->vq, &r->setup), 0);
    for (unsigned i = 0; i < 5; i++)
        bufs[i] = (struct vdrv_buf){r->data_gpa, 1, true};
    vdrv_add(r->q, bufs, 4);
    vdrv_publish(r->q);
    cr_expect_eq(ring_pop(r)->wr.left, 4);
    r->q->ring.free_descs = 8; /* as if it had come back */
    vdrv_add(r->q, bufs, 5);
    vdrv_publish(r->q);
    cr_expect_eq(vq_pop(&r->vq, &chain), -EPROTO);
}

OnRing(virtqueue, a_queue_can_be_used_again_after_deactivation, ring_open(r, 8, 0))
{
    ring_add(r, 1, true);
    ring_pop(r);
    vq_deactivate(&r->vq);
    vq_deactivate(&r->vq);
    vdrv_queue_alloc(&r->drv, 0, 4);
    r->config = (struct vq_config){
        .size = 4, .desc = r->q->desc_gpa, .driver = r->q->avail_gpa, .device = r->q->used_gpa};
    cr_assert_eq(vq_activate(&r->vq, &r->setup), 0);
    ring_add(r, 3, true);
    cr_expect_eq(ring_pop(r)->wr.left, 3);
}
