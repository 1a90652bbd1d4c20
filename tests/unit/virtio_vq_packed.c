// SPDX-License-Identifier: BSD-2-Clause
/* The packed ring, descriptor by descriptor, and IN_ORDER on both rings. */
#include "virtio_ring.h"

#include <errno.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/harness/with.h"

#define PACKED   VIRTIO_BIT(VIRTIO_F_RING_PACKED)
#define NEXT     VIRTQ_DESC_F_NEXT
#define WRITE    VIRTQ_DESC_F_WRITE
#define INDIRECT VIRTQ_DESC_F_INDIRECT
#define AVAIL    VIRTQ_DESC_F_AVAIL
#define USED     VIRTQ_DESC_F_USED

#define DESC_GPA   UINT64_C(0x10000)
#define DRIVER_GPA UINT64_C(0x8000)
#define DEVICE_GPA UINT64_C(0x9000)
#define DATA_GPA   UINT64_C(0x100000)

struct packed {
    struct gmem *gmem;
    struct vq_config config;
    struct vq_setup setup;
    struct virtqueue vq;
    uint32_t size;
    uint8_t *desc, *driver, *device;
};

static void prepare(struct packed *p, uint32_t size, uint64_t features)
{
    *p = (struct packed){.size = size};
    cr_assert_eq(gmem_create(&p->gmem, RIG_RAM_BYTES, RIG_HOLE_GPA, RIG_HOLE_END_GPA), 0);
    p->config = (struct vq_config){size, DESC_GPA, DRIVER_GPA, DEVICE_GPA};
    p->setup = (struct vq_setup){.config = &p->config,
                                 .gmem = p->gmem,
                                 .features = features | PACKED,
                                 .size_max = VIRTQ_MAX_SIZE,
                                 .iov_max = 64};
    p->desc = gmem_ptr(p->gmem, DESC_GPA, (uint64_t)size * PVIRTQ_DESC_BYTES, 1);
    p->driver = gmem_ptr(p->gmem, DRIVER_GPA, 4, 1);
    p->device = gmem_ptr(p->gmem, DEVICE_GPA, 4, 1);
}

static void open(struct packed *p, uint32_t size, uint64_t features)
{
    prepare(p, size, features);
    cr_assert_eq(vq_activate(&p->vq, &p->setup), 0);
}

static void close(struct packed *p)
{
    vq_deactivate(&p->vq);
    gmem_destroy(p->gmem);
}

#define OnPackedRing(suite, name, ...) \
    TestWith(suite, name, struct packed, p, (__VA_ARGS__), close(p))

/* Makes descriptor `at` of the driver's lap (0, 1, ...) available. */
static void put(struct packed *p, unsigned lap, unsigned at, uint32_t len, unsigned id,
                unsigned flags)
{
    uint8_t *d = p->desc + (size_t)at * PVIRTQ_DESC_BYTES;
    le64_put(d, DATA_GPA + at * 64);
    le32_put(d + PVIRTQ_DESC_len, len);
    le16_put(d + PVIRTQ_DESC_id, (uint16_t)id);
    le16_put(d + PVIRTQ_DESC_flags, (uint16_t)(flags | (lap % 2 == 0 ? AVAIL : USED)));
}

static bool is_used(struct packed *p, unsigned lap, unsigned at, uint32_t *len, unsigned *id)
{
    const uint8_t *d = p->desc + (size_t)at * PVIRTQ_DESC_BYTES;
    unsigned flags = le16_get(d + PVIRTQ_DESC_flags);
    *len = le32_get(d + PVIRTQ_DESC_len);
    *id = le16_get(d + PVIRTQ_DESC_id);
    return (flags & (AVAIL | USED)) == (lap % 2 == 0 ? AVAIL | USED : 0);
}

static void expect_used(struct packed *p, unsigned lap, unsigned at, uint32_t len, unsigned id)
{
    uint32_t got_len;
    unsigned got_id;
    cr_expect(is_used(p, lap, at, &got_len, &got_id), "descriptor %u of lap %u", at, lap);
    cr_expect_eq(got_len, len);
    cr_expect_eq(got_id, id);
}

static struct vq_chain *pop(struct packed *p)
{
    struct vq_chain *chain = NULL;
    cr_assert_eq(vq_pop(&p->vq, &chain), 1, "%s", p->vq.error ? p->vq.error : "empty");
    return chain;
}

static void expect_broken(struct packed *p, const char *why)
{
    struct vq_chain *chain;
    cr_expect_eq(vq_pop(&p->vq, &chain), -EPROTO);
    cr_expect_str_eq(p->vq.error, why);
}

Test(vq_packed, any_size_will_do)
{
    static const uint32_t sizes[] = {1, 2, 3, 7, 100, 255, 32767, 32768};
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct packed p;
        open(&p, sizes[i], 0);
        put(&p, 0, 0, 10, 0, WRITE);
        struct vq_chain *chain = pop(&p);
        iobuf_skip(&chain->wr, 4);
        vq_push(&p.vq, chain);
        cr_expect(vq_flush(&p.vq));
        expect_used(&p, 0, 0, 4, 0);
        close(&p);
    }
}

OnPackedRing(vq_packed, areas_are_aligned_and_in_memory, prepare(p, 8, 0))
{
    static const struct vq_config bad[] = {
        {8, DESC_GPA + 8, DRIVER_GPA, DEVICE_GPA},
        {8, DESC_GPA, DRIVER_GPA + 2, DEVICE_GPA},
        {8, DESC_GPA, DRIVER_GPA, DEVICE_GPA + 2},
        {8, RIG_HOLE_GPA - 112, DRIVER_GPA, DEVICE_GPA},
        {8, DESC_GPA, RIG_HOLE_GPA, DEVICE_GPA},
        {8, DESC_GPA, DRIVER_GPA, RIG_RAM_END_GPA},
        {0, DESC_GPA, DRIVER_GPA, DEVICE_GPA},
        {VIRTQ_MAX_SIZE + 1, DESC_GPA, DRIVER_GPA, DEVICE_GPA},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        p->setup.config = &bad[i];
        cr_expect_eq(vq_activate(&p->vq, &p->setup), -EINVAL, "configuration %u", i);
    }
}

OnPackedRing(vq_packed, chains_go_round_an_odd_ring_for_many_laps, open(p, 7, 0))
{
    unsigned at = 0, lap = 0;
    for (unsigned n = 0; n < 1000; n++) {
        unsigned first = at, first_lap = lap;
        for (unsigned i = 0; i < 3; i++) {
            put(p, lap, at, 8, n % 7, (i < 2 ? NEXT : 0) | (i > 0 ? WRITE : 0));
            at = (at + 1) % 7;
            lap += at == 0;
        }
        struct vq_chain *chain = pop(p);
        cr_assert_eq(chain->rd.left, 8);
        cr_assert_eq(chain->wr.left, 16);
        iobuf_skip(&chain->wr, n % 17);
        vq_push(&p->vq, chain);
        cr_assert(vq_flush(&p->vq));
        expect_used(p, first_lap, first, n % 17, n % 7);
        cr_assert_eq(vq_pop(&p->vq, &chain), 0);
    }
}

OnPackedRing(vq_packed, nothing_is_seen_before_the_flush, open(p, 8, 0))
{
    uint32_t len;
    unsigned id;
    for (unsigned i = 0; i < 3; i++)
        put(p, 0, i, 8, i, WRITE);
    for (unsigned i = 0; i < 3; i++)
        vq_push(&p->vq, pop(p));
    cr_expect(!is_used(p, 0, 0, &len, &id));
    cr_expect(vq_flush(&p->vq));
    for (unsigned i = 0; i < 3; i++)
        expect_used(p, 0, i, 0, i);
    cr_expect(!vq_flush(&p->vq), "nothing new");
}

OnPackedRing(vq_packed, chains_come_back_in_the_order_of_their_end, open(p, 8, 0))
{
    put(p, 0, 0, 8, 5, WRITE | NEXT);
    put(p, 0, 1, 8, 5, WRITE);
    put(p, 0, 2, 8, 6, WRITE);
    struct vq_chain *first = pop(p), *second = pop(p);
    iobuf_skip(&second->wr, 8);
    vq_push(&p->vq, second);
    vq_flush(&p->vq);
    expect_used(p, 0, 0, 8, 6);
    vq_push(&p->vq, first);
    vq_flush(&p->vq);
    expect_used(p, 0, 1, 0, 5); /* behind the one descriptor of the other */
}

OnPackedRing(vq_packed, the_write_flag_tells_whether_anything_was_written, open(p, 8, 0))
{
    put(p, 0, 0, 8, 0, WRITE);
    put(p, 0, 1, 8, 1, WRITE);
    struct vq_chain *chain = pop(p);
    iobuf_skip(&chain->wr, 1);
    vq_push(&p->vq, chain);
    vq_push(&p->vq, pop(p));
    vq_flush(&p->vq);
    cr_expect_eq(le16_get(p->desc + PVIRTQ_DESC_flags) & WRITE, WRITE);
    cr_expect_eq(le16_get(p->desc + PVIRTQ_DESC_BYTES + PVIRTQ_DESC_flags) & WRITE, 0);
}

OnPackedRing(vq_packed, an_indirect_table_is_taken_whole, open(p, 8, RING_FEATURES))
{
    uint8_t *table = gmem_ptr(p->gmem, DATA_GPA + 3 * 64, 48, 1);
    for (unsigned i = 0; i < 3; i++) {
        le64_put(table + 16 * i, DATA_GPA + 0x1000);
        le32_put(table + 16 * i + 8, 100);
        le16_put(table + 16 * i + 12, 0xffff);
        /* All but WRITE is to be ignored. */
        le16_put(table + 16 * i + 14, i == 2 ? 0xffff : (uint16_t)(0xffff & ~WRITE));
    }
    for (unsigned i = 0; i < 3; i++)
        put(p, 0, i, 8, i, 0);
    put(p, 0, 3, 48, 3, INDIRECT | WRITE);
    for (unsigned i = 0; i < 3; i++)
        pop(p);
    struct vq_chain *chain = pop(p);
    cr_expect_eq(chain->rd.left, 200);
    cr_expect_eq(chain->wr.left, 100);
    cr_expect_eq(chain->slots, 1);
}

/* ---- who wants to hear of what ---- */

static bool serve_one(struct packed *p, unsigned lap, unsigned at)
{
    put(p, lap, at, 8, at, WRITE);
    vq_push(&p->vq, pop(p));
    return vq_flush(&p->vq);
}

OnPackedRing(vq_packed, interrupts_by_flag, open(p, 4, 0))
{
    cr_expect(serve_one(p, 0, 0));
    le16_put(p->driver + PVIRTQ_EVENT_flags, RING_EVENT_FLAGS_DISABLE);
    cr_expect(!serve_one(p, 0, 1));
    le16_put(p->driver + PVIRTQ_EVENT_flags, RING_EVENT_FLAGS_ENABLE);
    cr_expect(serve_one(p, 0, 2));
}

OnPackedRing(vq_packed, interrupts_at_a_descriptor, open(p, 4, RING_FEATURES))
{
    le16_put(p->driver + PVIRTQ_EVENT_flags, RING_EVENT_FLAGS_DESC);
    le16_put(p->driver, 1u << 15 | 2);
    cr_expect(!serve_one(p, 0, 0));
    cr_expect(!serve_one(p, 0, 1));
    cr_expect(serve_one(p, 0, 2));
    le16_put(p->driver, 1); /* next lap */
    cr_expect(!serve_one(p, 0, 3));
    cr_expect(!serve_one(p, 1, 0));
    cr_expect(serve_one(p, 1, 1));
    cr_expect(!serve_one(p, 1, 2));
    le16_put(p->driver, 100); /* nowhere */
    cr_expect(serve_one(p, 1, 3));
}

Test(vq_packed, kicks_by_flag_and_at_a_descriptor)
{
    struct packed p;
    open(&p, 4, 0);
    vq_notify_off(&p.vq);
    cr_expect_eq(le16_get(p.device + PVIRTQ_EVENT_flags), RING_EVENT_FLAGS_DISABLE);
    cr_expect(!vq_notify_on(&p.vq));
    cr_expect_eq(le16_get(p.device + PVIRTQ_EVENT_flags), RING_EVENT_FLAGS_ENABLE);
    put(&p, 0, 0, 8, 0, WRITE);
    cr_expect(vq_notify_on(&p.vq), "one came before");
    close(&p);

    open(&p, 4, RING_FEATURES);
    for (unsigned at = 0; at < 4; at++)
        serve_one(&p, 0, at);
    serve_one(&p, 1, 0);
    vq_notify_off(&p.vq);
    cr_expect_eq(le16_get(p.device + PVIRTQ_EVENT_flags), RING_EVENT_FLAGS_DISABLE);
    cr_expect(!vq_notify_on(&p.vq));
    cr_expect_eq(le16_get(p.device + PVIRTQ_EVENT_flags), RING_EVENT_FLAGS_DESC);
    cr_expect_eq(le16_get(p.device), 1, "place 1 with wrap counter 0");
    close(&p);
}

/* ---- rings that lie ---- */

Test(vq_packed, what_is_wrong_is_refused)
{
    struct packed p;
    open(&p, 4, 0);
    put(&p, 0, 0, 8, 4, 0);
    expect_broken(&p, "buffer id not below the queue's size");
    close(&p);

    open(&p, 4, 0);
    put(&p, 0, 0, 8, 2, 0);
    put(&p, 0, 1, 8, 2, 0);
    pop(&p);
    expect_broken(&p, "buffer id is in flight already");
    close(&p);

    open(&p, 4, 0);
    put(&p, 0, 0, 8, 0, NEXT);
    expect_broken(&p, "chain goes on where nothing is available");
    close(&p);

    /* For ever round: the second lap would need the other wrap counter, and no room is left. */
    open(&p, 4, 0);
    for (unsigned at = 0; at < 4; at++)
        put(&p, 0, at, 8, 0, NEXT);
    expect_broken(&p, "chain runs into descriptors in flight");
    close(&p);

    open(&p, 4, 0);
    for (unsigned at = 0; at < 4; at++)
        put(&p, 0, at, 8, 0, at < 3 ? NEXT : 0);
    pop(&p);
    put(&p, 1, 0, 8, 1, 0);
    expect_broken(&p, "chain runs into descriptors in flight");
    close(&p);

    open(&p, 4, 0);
    put(&p, 0, 0, 16, 0, INDIRECT);
    expect_broken(&p, "INDIRECT was not negotiated");
    close(&p);
}

Test(vq_packed, wrong_indirect_tables_are_refused)
{
    static const uint32_t lengths[] = {0, 1, 8, 15, 17, 31, 0xfffffff0, 16 * 5};
    struct packed p;
    for (unsigned i = 0; i < ARRAY_SIZE(lengths); i++) {
        struct vq_chain *chain;
        open(&p, 4, RING_FEATURES);
        put(&p, 0, 0, lengths[i], 0, INDIRECT);
        cr_expect_eq(vq_pop(&p.vq, &chain), -EPROTO, "length %u", lengths[i]);
        close(&p);
    }
    open(&p, 4, RING_FEATURES);
    put(&p, 0, 0, 16, 0, INDIRECT | NEXT);
    put(&p, 0, 1, 16, 0, 0);
    expect_broken(&p, "INDIRECT and NEXT together");
    close(&p);
    open(&p, 4, RING_FEATURES);
    put(&p, 0, 0, 16, 0, NEXT);
    put(&p, 0, 1, 16, 0, INDIRECT);
    expect_broken(&p, "INDIRECT and NEXT together");
    close(&p);
}

OnPackedRing(vq_packed, flags_of_the_wrong_lap_are_not_there, open(p, 4, 0))
{
    static const unsigned flags[] = {0, USED, AVAIL | USED};
    struct vq_chain *chain;
    for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
        le16_put(p->desc + PVIRTQ_DESC_flags, (uint16_t)flags[i]);
        cr_expect_eq(vq_pop(&p->vq, &chain), 0);
    }
}

/* ---- IN_ORDER ---- */

OnPackedRing(vq_in_order, packed_chains_wait_for_those_before_them,
             open(p, 4, VIRTIO_BIT(VIRTIO_F_IN_ORDER)))
{
    uint32_t len;
    unsigned id;
    struct vq_chain *chains[3];
    for (unsigned i = 0; i < 3; i++) {
        put(p, 0, i, 8, i, WRITE);
        chains[i] = pop(p);
        iobuf_skip(&chains[i]->wr, i + 1);
    }
    vq_push(&p->vq, chains[2]);
    vq_push(&p->vq, chains[1]);
    cr_expect(!vq_flush(&p->vq));
    cr_expect(!is_used(p, 0, 0, &len, &id));
    vq_push(&p->vq, chains[0]);
    cr_expect(vq_flush(&p->vq));
    for (unsigned i = 0; i < 3; i++)
        expect_used(p, 0, i, i + 1, i);
}

Test(vq_in_order, split_chains_wait_for_those_before_them)
{
    struct ring r;
    uint32_t head, len;
    ring_open(&r, 4, RING_FEATURES | VIRTIO_BIT(VIRTIO_F_IN_ORDER));
    for (unsigned round = 0; round < 10; round++) {
        int heads[4];
        struct vq_chain *chains[4];
        for (unsigned i = 0; i < 4; i++) {
            heads[i] = ring_add(&r, 8, true);
            chains[i] = ring_pop(&r);
        }
        for (unsigned i = 4; i-- > 1;)
            vq_push(&r.vq, chains[i]);
        vq_flush(&r.vq);
        cr_assert(!vdrv_used(r.q, &head, &len));
        vq_push(&r.vq, chains[0]);
        vq_flush(&r.vq);
        for (unsigned i = 0; i < 4; i++) {
            cr_assert(vdrv_used(r.q, &head, &len));
            cr_assert_eq(head, (uint32_t)heads[i]);
        }
    }
    ring_close(&r);
}
