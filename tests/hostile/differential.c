// SPDX-License-Identifier: BSD-2-Clause
/*
 * H53: the same input over every transport and both rings, good and bad mixed at random from a
 * fixed seed. What the guest sees shall be the same, step by step.
 */
#include "hostile.h"

#define STEPS    4000u
#define RESTART  25u /* steps at most */
#define RUNS     6u
#define FEATURES (HOSTILE_FEATURES | VIRTIO_BIT(VIRTIO_F_RING_RESET))

struct player {
    struct rig rig;
    uint64_t random;
    uint64_t seen; /* in this step, as a hash */
    bool plain;    /* started by vdrv_start(), and no register written since */
};

static uint32_t next(struct player *p, uint32_t below)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return (uint32_t)(p->random >> 32) % below;
}

static void see(struct player *p, uint64_t what)
{
    p->seen = (p->seen ^ what) * UINT64_C(0x100000001b3);
}

/* Whatever comes back, and whether it interrupts. */
static void see_used(struct player *p)
{
    struct vdrv_queue *q = &p->rig.drv.q[0];
    uint32_t head, len;
    rig_step(&p->rig);
    while (vdrv_used(q, &head, &len))
        see(p, len + 1);
    bool queue = rig_queue_irqs(&p->rig, 0) > 0, config = rig_config_irqs(&p->rig) > 0;
    if (p->plain)
        see(p, queue + 2u * config);
}

static void start(struct player *p)
{
    uint64_t bits = p->random;
    uint32_t size = UINT32_C(4) << next(p, 5);
    p->plain = vdrv_start(&p->rig.drv, FEATURES & ~(bits & HOSTILE_FEATURES), 1, size);
    cr_assert(p->plain);
    rig_step(&p->rig);
    rig_queue_irqs(&p->rig, 0);
    rig_config_irqs(&p->rig);
}

static void request(struct player *p)
{
    static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_FLUSH,
                                     VIRTIO_BLK_T_GET_ID, 77};
    struct blkreq req = {
        .type = types[next(p, 5)],
        .sector = next(p, 8) == 0 ? p->random : next(p, 64),
        .bytes = next(p, 3) == 0 ? next(p, 1500) : 512 * next(p, 4),
        .cut = next(p, 3) == 0 ? 100 + next(p, 700) : 0,
        .header_bytes = next(p, 10) == 0 ? 1 + next(p, 20) : 0,
        .no_status = next(p, 15) == 0,
        .indirect = next(p, 3) == 0,
    };
    req.data_write = req.type != VIRTIO_BLK_T_OUT;
    vdrv_irq_on(&p->rig.drv.q[0]);
    bool sent = blkreq_send(&p->rig, &req);
    see(p, sent);
    see_used(p);
    see(p, blkreq_status(&p->rig, &req));
    for (uint32_t i = 0; i < req.bytes; i += 97)
        see(p, *(uint8_t *)vdrv_ptr(&p->rig.drv, req.data_gpa + i, 1));
}

static void bad_buffer(struct player *p)
{
    static const uint64_t addrs[] = {RIG_HOLE_GPA, RIG_RAM_END_GPA, RIG_RAM_END_GPA - 8,
                                     UINT64_MAX - 15};
    struct vdrv_buf buf = {addrs[next(p, 4)], 16, next(p, 2) == 0};
    see(p, vdrv_send(&p->rig.drv.q[0], &buf, 1) >= 0);
    see_used(p);
}

static void write_status(struct player *p)
{
    vdrv_set_status(&p->rig.drv, next(p, 256));
    p->plain = false;
    see_used(p);
}

static void touch_config(struct player *p)
{
    uint8_t bytes[VIRTIO_BLK_CONFIG_BYTES];
    uint32_t at = next(p, sizeof(bytes));
    vdrv_config_write(&p->rig.drv, at, &at, min_u64(4, sizeof(bytes) - at));
    vdrv_config_read(&p->rig.drv, 0, bytes, sizeof(bytes));
    for (unsigned i = 0; i < sizeof(bytes); i++)
        see(p, bytes[i]);
}

static void reset_queue(struct player *p)
{
    see(p, vdrv_queue_reset(&p->rig.drv, 0));
    vdrv_queue_alloc(&p->rig.drv, 0, UINT32_C(4) << next(p, 5));
    vdrv_queue_write(&p->rig.drv, 0);
    see(p, vdrv_queue_ready(&p->rig.drv, 0));
    see_used(p);
}

static void notify(struct player *p)
{
    vdrv_notify_value(&p->rig.drv.q[0], next(p, 0x10000));
    see_used(p);
}

/* Requests are most of it. */
static void (*const acts[])(struct player *) = {request,    request,      request,     request,
                                                request,    notify,       reset_queue, touch_config,
                                                bad_buffer, write_status, start};

static void play(const struct rig_config *on, uint64_t seed, uint64_t *seen)
{
    struct player p = {.random = seed};
    struct rig_config config = *on;
    config.features_on |= VIRTIO_BIT(VIRTIO_F_RING_RESET);
    rig_open_blk_on(&p.rig, &config);
    for (unsigned i = 0; i < STEPS; i++) {
        p.seen = seed;
        (i % RESTART == 0 ? start : acts[next(&p, ARRAY_SIZE(acts))])(&p);
        see(&p, vdrv_status(&p.rig.drv));
        see(&p, vdrv_generation(&p.rig.drv));
        see(&p, p.rig.disk.submitted);
        seen[i] = p.seen;
    }
    hostile_close(&p.rig);
}

Test(hostile_differential, h53_the_same_everywhere)
{
    static uint64_t first[STEPS], other[STEPS];
    for (unsigned run = 1; run <= RUNS; run++) {
        play(&rig_variants[0], run * UINT64_C(0x9e3779b97f4a7c15), first);
        for (unsigned v = 1; v < RIG_VARIANTS; v++) {
            play(&rig_variants[v], run * UINT64_C(0x9e3779b97f4a7c15), other);
            for (unsigned i = 0; i < STEPS; i++)
                cr_assert_eq(first[i], other[i], "run %u, step %u: %s sees something else", run, i,
                             rig_config_name(&rig_variants[v]));
        }
    }
}
