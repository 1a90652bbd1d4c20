// SPDX-License-Identifier: BSD-2-Clause
/* Packed rings that lie: H20 and H21, and what H01 to H19 are on a packed ring. */
#include "hostile.h"

#include <pthread.h>
#include <stdatomic.h>

#define NEXT     VIRTQ_DESC_F_NEXT
#define WRITE    VIRTQ_DESC_F_WRITE
#define INDIRECT VIRTQ_DESC_F_INDIRECT
#define AVAIL    VIRTQ_DESC_F_AVAIL
#define USED     VIRTQ_DESC_F_USED

/* A descriptor of the ring's first round. */
static void put(struct rig *rig, unsigned i, uint64_t addr, uint32_t len, uint16_t id,
                unsigned flags)
{
    vdrv_pdesc_put(&rig->drv.q[0], i, addr, len, id, (uint16_t)(flags | AVAIL));
}

static void kick(struct rig *rig)
{
    vdrv_notify(&rig->drv.q[0]);
    rig_step(rig);
}

static bool is_used(struct rig *rig, unsigned i)
{
    uint16_t flags = vdrv_pdesc_flags(&rig->drv.q[0], i);
    return (flags & AVAIL) && (flags & USED);
}

/* The first descriptor last, as a driver does; then a kick, and the ring is broken. */
static void check_broken(struct rig *rig, uint64_t *gpa, const char *what)
{
    kick(rig);
    hostile_expect_broken(rig, what);
    hostile_restart(rig, gpa);
}

OnRunningPacked(hostile_packed, h01_chain_without_end)
{
    for (unsigned i = HOSTILE_SIZE; i-- > 0;)
        put(rig, i, gpa, 1, 0, NEXT);
    check_broken(rig, &gpa, "all around the ring");
    for (unsigned i = HOSTILE_SIZE; i-- > 0;)
        put(rig, i, gpa, 0, 0, NEXT);
    check_broken(rig, &gpa, "of empty buffers");
}

OnRunningPacked(hostile_packed, h02_chain_into_what_is_in_flight)
{
    rig->disk.hold = true;
    struct blkreq req = {.bytes = 512, .data_write = true};
    blkreq_send(rig, &req); /* three descriptors */
    rig_step(rig);
    cr_assert_eq(rig->disk.out, 1);
    for (unsigned i = HOSTILE_SIZE; i-- > 3;)
        put(rig, i, 0x30000, 1, 5, NEXT);
    /* In the second round what is in flight would be available. */
    for (unsigned i = 0; i < 3; i++)
        vdrv_pdesc_put(&rig->drv.q[0], i, 0x30000, 1, 5, USED | (i < 2 ? NEXT : 0));
    kick(rig);
    hostile_expect_broken(rig, "16 descriptors, 13 free");
    cr_expect_eq(rig->disk.submitted, 1);
}

OnRunningPacked(hostile_packed, h02_indirect_table_longer_than_the_queue)
{
    put(rig, 0, gpa, PVIRTQ_DESC_BYTES * (HOSTILE_SIZE + 1), 0, INDIRECT);
    check_broken(rig, &gpa, "17 in a queue of 16");
}

OnRunningPacked(hostile_packed, h06_id_in_flight)
{
    rig->disk.hold = true;
    struct blkreq req = {.bytes = 512, .data_write = true};
    blkreq_send(rig, &req);
    rig_step(rig);
    cr_assert_eq(rig->disk.out, 1);
    put(rig, 3, 0x30000, 16, (uint16_t)req.head, 0);
    kick(rig);
    hostile_expect_broken(rig, "the same id");
    fake_blk_release(&rig->disk);
    rig_step(rig);
    cr_expect(!is_used(rig, 0), "a broken ring is not written");
}

OnRunningPacked(hostile_packed, h12_readable_after_writable)
{
    put(rig, 1, gpa, 16, 0, 0);
    put(rig, 0, gpa, 16, 0, WRITE | NEXT);
    check_broken(rig, &gpa, "order");
}

OnRunningPacked(hostile_packed, h12_unknown_flags_are_ignored)
{
    const unsigned unknown = 0xffff & ~(unsigned)(NEXT | WRITE | INDIRECT | AVAIL | USED);
    put(rig, 1, gpa + 512, 513, 9, unknown | WRITE);
    put(rig, 0, gpa, 16, 0xffff, unknown | NEXT);
    kick(rig);
    cr_expect(!rig_is_broken(rig));
    cr_expect(is_used(rig, 0));
    cr_expect_eq(vdrv_pdesc_id(&rig->drv.q[0], 0), 9, "the last descriptor's");
}

OnRunningPacked(hostile_packed, h17_indirect_wrongly_used)
{
    put(rig, 1, gpa, 16, 0, 0);
    put(rig, 0, gpa, 16, 0, INDIRECT | NEXT);
    check_broken(rig, &gpa, "INDIRECT and NEXT");
    put(rig, 1, gpa, 16, 0, INDIRECT);
    put(rig, 0, gpa, 16, 0, NEXT);
    check_broken(rig, &gpa, "a table at the end of a chain");
    cr_assert(vdrv_start(&rig->drv, 0, 1, HOSTILE_SIZE));
    put(rig, 0, gpa, 16, 0, INDIRECT);
    kick(rig);
    hostile_expect_broken(rig, "not negotiated");
}

/* In a table all flags but WRITE mean nothing (VIRTIO 1.4 2.8.7), so no table leads to another. */
OnRunningPacked(hostile_packed, h17_flags_inside_a_table)
{
    uint8_t *table = vdrv_ptr(&rig->drv, gpa, 32);
    vdrv_desc_put(table, 0, gpa + 1024, 16, 0xdead, 0xffff & ~(unsigned)WRITE);
    vdrv_desc_put(table, 1, gpa + 512, 1, 0xdead, 0xffff);
    put(rig, 0, gpa, 32, 3, INDIRECT);
    kick(rig);
    cr_expect(!rig_is_broken(rig));
    cr_expect(is_used(rig, 0));
}

OnRunningPacked(hostile_packed, h18_tables_of_odd_lengths_or_places)
{
    static const uint32_t lens[] = {0, 1, 15, 17, 31, 33, UINT32_MAX, UINT32_MAX - 15};
    static const uint64_t addrs[] = {RIG_RAM_END_GPA - 16, RIG_HOLE_GPA - 16,
                                     RIG_WINDOW_GPA,       UINT64_MAX - 15,
                                     UINT64_MAX - 31,      RIG_HOLE_END_GPA - 16};
    for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
        put(rig, 0, gpa, lens[i], 0, INDIRECT);
        check_broken(rig, &gpa, "length");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(addrs); i++) {
        put(rig, 0, addrs[i], 32, 0, INDIRECT);
        check_broken(rig, &gpa, "place");
    }
}

OnRunningPacked(hostile_packed, h20_ids_beyond_the_queue)
{
    static const uint16_t bad[] = {HOSTILE_SIZE, HOSTILE_SIZE + 1, 0x8000, 0xffff};
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        put(rig, 0, gpa, 16, bad[i], 0);
        check_broken(rig, &gpa, "id");
    }
}

/* What does not look available is not there, however it is wrong. */
OnRunningPacked(hostile_packed, h20_wrong_wrap_bits)
{
    static const uint16_t wrong[] = {0, USED, AVAIL | USED};
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        vdrv_pdesc_put(&rig->drv.q[0], 0, gpa, 16, 0, wrong[i]);
        kick(rig);
        cr_expect(!rig_is_broken(rig), "%#x", wrong[i]);
        cr_expect_eq(vdrv_pdesc_flags(&rig->drv.q[0], 0), wrong[i], "untouched");
    }
}

OnRunningPacked(hostile_packed, h20_wrap_bits_flip_inside_a_chain)
{
    static const uint16_t wrong[] = {0, USED, AVAIL | USED};
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        vdrv_pdesc_put(&rig->drv.q[0], 1, gpa + 512, 1, 0, WRITE | wrong[i]);
        put(rig, 0, gpa, 16, 0, NEXT);
        check_broken(rig, &gpa, "the chain's second descriptor");
    }
}

/* Event suppression that makes no sense costs an interrupt too many or one too few, and no more. */
OnRunningPacked(hostile_packed, h21_event_suppression_is_garbage)
{
    uint32_t head, len;
    struct vdrv_queue *q = &rig->drv.q[0];
    for (unsigned i = 0; i < 200; i++) {
        vdrv_driver_event(q, (uint16_t)(i * 331), (uint16_t)(i % 5 == 4 ? 0xffff : i % 4));
        memset(q->used, (int)i, PVIRTQ_EVENT_BYTES);
        struct blkreq req = {.sector = i, .bytes = 512, .data_write = true};
        blkreq_send(rig, &req);
        rig_step(rig);
        cr_assert(vdrv_used(q, &head, &len), "every kick is served");
    }
    cr_expect(!rig_is_broken(rig));
}

OnPacked(hostile_packed, h21_in_order_from_a_disk_that_is_not)
{
    struct rig rig;
    struct rig_config config = *on;
    uint32_t head, len;
    config.features_on |= VIRTIO_BIT(VIRTIO_F_IN_ORDER);
    rig_open_blk_on(&rig, &config);
    cr_assert(vdrv_start(&rig.drv, VIRTIO_BIT(VIRTIO_F_IN_ORDER), 1, 64));
    rig_step(&rig);
    rig.disk.hold = true;
    /* The first waits for the disk, the others are answered at once. */
    struct blkreq read = {.bytes = 512, .data_write = true};
    blkreq_send(&rig, &read);
    int heads[4] = {read.head};
    for (unsigned i = 1; i < 4; i++) {
        struct blkreq id = {.type = VIRTIO_BLK_T_GET_ID, .bytes = 20, .data_write = true};
        blkreq_send(&rig, &id);
        heads[i] = id.head;
    }
    rig_step(&rig);
    cr_expect(!vdrv_used(&rig.drv.q[0], &head, &len), "nothing before the first");
    fake_blk_release(&rig.disk);
    rig_step(&rig);
    for (unsigned i = 0; i < 4; i++) {
        cr_assert(vdrv_used(&rig.drv.q[0], &head, &len), "%u", i);
        cr_expect_eq(head, (uint32_t)heads[i]);
    }
    hostile_close(&rig);
}

/* A second vCPU edits the ring all the time. */
struct editor {
    struct vdrv_queue *q;
    _Atomic bool stop;
};

static void *edit(void *arg)
{
    static const uint64_t addrs[] = {0, RIG_HOLE_GPA, RIG_RAM_END_GPA - 1, UINT64_MAX, 0x20000};
    static const uint32_t lens[] = {0, 1, 16, 512, UINT32_MAX};
    struct editor *e = arg;
    uint8_t *ring = e->q->desc;
    for (uint32_t i = 1; !atomic_load(&e->stop); i = i * 1103515245 + 12345) {
        uint8_t bytes[PVIRTQ_DESC_BYTES];
        volatile uint8_t *at = ring + (size_t)((i >> 12) % HOSTILE_SIZE) * PVIRTQ_DESC_BYTES;
        /* id and flags are where a split ring has flags and next */
        vdrv_desc_put(bytes, 0, addrs[(i >> 8) % 5], lens[(i >> 16) % 5],
                      (i >> 24) % (HOSTILE_SIZE + 1),
                      ((i >> 20) & 7) | (i & 0x800 ? AVAIL : 0) | (i & 0x400 ? USED : 0));
        for (unsigned b = 0; b < sizeof(bytes); b++)
            at[b] = bytes[b];
    }
    return NULL;
}

OnRunningPacked(hostile_packed, h09_ring_edited_all_the_time)
{
    if (RACES_ON_PURPOSE)
        cr_skip_test("the guest's race is the point");
    struct editor e = {.q = &(struct vdrv_queue){.desc = rig->drv.q[0].desc}};
    pthread_t thread;
    rig->drv.watch.host = NULL; /* the guest has another thread, which writes */
    cr_assert_eq(pthread_create(&thread, NULL, edit, &e), 0);
    for (unsigned i = 0; i < 3000; i++) {
        if (rig_is_broken(rig)) {
            cr_assert(vdrv_start(&rig->drv, HOSTILE_FEATURES, 1, HOSTILE_SIZE));
            cr_assert_eq(rig->drv.q[0].desc, e.q->desc);
        }
        kick(rig);
    }
    atomic_store(&e.stop, true);
    pthread_join(thread, NULL);
}

/* A descriptor becomes available and vanishes while the device looks. */
static void *flicker(void *arg)
{
    struct editor *e = arg;
    uint16_t *flags = (uint16_t *)(void *)(e->q->desc + PVIRTQ_DESC_flags);
    while (!atomic_load(&e->stop)) {
        __atomic_store_n(flags, AVAIL | WRITE, __ATOMIC_RELAXED);
        __atomic_store_n(flags, 0, __ATOMIC_RELAXED);
    }
    return NULL;
}

OnRunningPacked(hostile_packed, h11_descriptor_that_flickers)
{
    if (RACES_ON_PURPOSE)
        cr_skip_test("the guest's race is the point");
    struct editor e = {.q = &rig->drv.q[0]};
    pthread_t thread;
    vdrv_pdesc_put(&rig->drv.q[0], 0, 0x30000, 1, 0, WRITE);
    rig->drv.watch.host = NULL; /* the guest has another thread, which writes */
    cr_assert_eq(pthread_create(&thread, NULL, flicker, &e), 0);
    for (unsigned i = 0; i < 2000; i++)
        virtio_queue_serve(rig->dev, 0); /* returns */
    atomic_store(&e.stop, true);
    pthread_join(thread, NULL);
}

/* ---- changes of ring ---- */

OnPacked(hostile_packed, h33_split_and_packed_in_turn)
{
    struct rig rig;
    rig_open_blk_on(&rig, on);
    for (unsigned i = 0; i < 60; i++) {
        rig.drv.always = i % 2 ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0;
        uint32_t size = i % 2 ? 5 + i : UINT32_C(1) << (2 + i % 7);
        cr_assert(vdrv_start(&rig.drv, HOSTILE_FEATURES, 1, size));
        struct blkreq req = {.bytes = 512, .data_write = true};
        cr_assert_eq(blkreq_do(&rig, &req, NULL), VIRTIO_BLK_S_OK, "size %u", size);
    }
    hostile_close(&rig);
}

/* ---- memory that both sides write ---- */

/* What the device wrote is the driver's to spoil; the device keeps its own account. */
OnRunningPacked(hostile_packed, h07_used_descriptors_overwritten_by_the_guest)
{
    uint32_t head, len;
    struct vdrv_queue *q = &rig->drv.q[0];
    for (unsigned i = 0; i < 40; i++) {
        struct blkreq req = {.sector = i, .bytes = 512, .data_write = true};
        blkreq_send(rig, &req);
        rig_step(rig);
        cr_assert_eq(blkreq_status(rig, &req), VIRTIO_BLK_S_OK, "%u", i);
        cr_assert(vdrv_used(q, &head, &len));
        cr_assert_eq(len, 513);
        /* All that is not available keeps its flags, and loses the rest. */
        for (unsigned at = 0; at < HOSTILE_SIZE; at++)
            vdrv_pdesc_put(q, at, UINT64_MAX, UINT32_MAX, 0xffff, vdrv_pdesc_flags(q, at));
        memset(q->used, (int)i, PVIRTQ_EVENT_BYTES);
    }
}

OnPacked(hostile_packed, h08_areas_on_top_of_each_other)
{
    struct rig rig;
    rig_open_blk_on(&rig, on);
    for (unsigned i = 0; i < 256; i++) {
        cr_assert(vdrv_negotiate(&rig.drv, HOSTILE_FEATURES));
        vdrv_queue_alloc(&rig.drv, 0, HOSTILE_SIZE);
        struct vdrv_queue *q = &rig.drv.q[0];
        q->avail_gpa = q->desc_gpa + 4 * (uint64_t)(i & 15);
        q->used_gpa = q->desc_gpa + 4 * (uint64_t)(i >> 4);
        vdrv_queue_write(&rig.drv, 0);
        vdrv_driver_ok(&rig.drv);
        put(&rig, 1, q->desc_gpa, 250, 0, WRITE);
        put(&rig, 0, q->desc_gpa, 16, 0, NEXT);
        kick(&rig);
    }
    hostile_close(&rig);
}
