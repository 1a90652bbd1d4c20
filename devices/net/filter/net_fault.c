// SPDX-License-Identifier: BSD-2-Clause
/*
 * Each direction is a lane: packets are copied into its queue, where faults befall them, and leave
 * it when they are due. What is held for the packet behind it is the lane's second queue, of one.
 */
#include "devices/net/filter/net_fault.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "devices/net/filter/net_filter.h"
#include "devices/net/net_frame.h"
#include "devices/net/net_queue.h"

#define QUEUE_BYTES (1 * MIB)
#define HELD_BYTES  (72 * KIB)
#define HOLD_NS     UINT64_C(10000000)
/* What one packet can become: itself, once more, and the one that was held. */
#define ROOM_BYTES (4 * HELD_BYTES)
#define BATCH      64u /* packets that are taken from the base at once */

struct lane {
    struct net_queue queue, held;
    struct fault_cause drop, dup, corrupt, reorder;
    struct ev_timer timer;
};

struct net_fault {
    struct net_filter f;
    const struct clock *clock;
    struct lane out, in;
    uint64_t delay_ns;
    uint64_t random;
    bool full;    /* send() had no room */
    bool blocked; /* the base's send() had none */
    bool starved; /* receive() had nothing */
    uint8_t packet[NET_PACKET_MAX];
};

static struct net_fault *fault_of(struct net_backend *b)
{
    return container_of(b, struct net_fault, f.b);
}

/* ---- a lane ---- */

static bool has_room(const struct lane *lane)
{
    return lane->queue.size - lane->queue.used >= ROOM_BYTES;
}

/* With so much room there is a place for it, wherever the queue's end is. */
static void put(struct net_queue *q, const uint8_t *packet, uint32_t bytes, uint64_t due_ns)
{
    uint8_t *at = net_queue_reserve(q, bytes);
    if (!at)
        return;
    memcpy(at, packet, bytes);
    net_queue_commit(q, bytes, due_ns);
}

static void release(struct lane *lane, uint64_t due_ns)
{
    uint32_t bytes;
    if (lane->held.count == 0)
        return;
    const uint8_t *packet = net_queue_first(&lane->held, &bytes);
    put(&lane->queue, packet, bytes, due_ns);
    net_queue_drop(&lane->held);
}

static void flip_a_bit(struct net_fault *t, uint8_t *packet, size_t bytes)
{
    uint64_t bit = fault_random(&t->random) % ((bytes - NET_HEADER_BYTES) * 8);
    packet[NET_HEADER_BYTES + bit / 8] ^= (uint8_t)(1u << bit % 8);
}

/* t->packet goes into the lane. All dice fall for each, so that one fault changes no other. */
static void enter(struct net_fault *t, struct lane *lane, uint32_t bytes)
{
    uint64_t now_ns = clock_now_ns(t->clock), due_ns = now_ns + t->delay_ns;
    bool drop = fault_happens(&lane->drop, &t->random);
    bool dup = fault_happens(&lane->dup, &t->random);
    bool corrupt = fault_happens(&lane->corrupt, &t->random);
    bool reorder = fault_happens(&lane->reorder, &t->random);
    if (drop)
        return;
    if (corrupt)
        flip_a_bit(t, t->packet, bytes);
    if (reorder && lane->held.count == 0) {
        put(&lane->held, t->packet, bytes, due_ns + HOLD_NS);
        return;
    }
    put(&lane->queue, t->packet, bytes, due_ns);
    if (dup)
        put(&lane->queue, t->packet, bytes, due_ns);
    release(lane, due_ns);
}

/* Whether the oldest packet is due. What has been held for too long comes last. */
static bool is_due(struct lane *lane, uint64_t now_ns)
{
    if (lane->held.count > 0 && net_queue_due_ns(&lane->held) <= now_ns)
        release(lane, now_ns);
    return lane->queue.count > 0 && net_queue_due_ns(&lane->queue) <= now_ns;
}

static void set_timer(struct net_fault *t, struct lane *lane)
{
    uint64_t at_ns = UINT64_MAX;
    if (lane->queue.count > 0)
        at_ns = net_queue_due_ns(&lane->queue);
    if (lane->held.count > 0)
        at_ns = min_u64(at_ns, net_queue_due_ns(&lane->held));
    if (at_ns != UINT64_MAX)
        evloop_timer_set(t->f.loop, &lane->timer, at_ns);
    else
        evloop_timer_cancel(t->f.loop, &lane->timer);
}

/* ---- to the host ---- */

static void send_due(struct net_fault *t)
{
    struct net_backend *base = t->f.base;
    uint64_t now_ns = clock_now_ns(t->clock);
    while (!t->blocked && is_due(&t->out, now_ns)) {
        uint32_t bytes;
        uint8_t *packet = net_queue_first(&t->out.queue, &bytes);
        const struct iovec iov = {packet, bytes};
        t->blocked = base->ops->send(base, 0, &iov, 1) == -EAGAIN;
        if (!t->blocked)
            net_queue_drop(&t->out.queue);
    }
    if (!t->blocked)
        set_timer(t, &t->out);
}

/* From the loop. */
static void carry_on(struct net_fault *t)
{
    send_due(t);
    net_filter_flush(&t->f.b, 0);
    if (t->full && has_room(&t->out)) {
        t->full = false;
        net_tell_writable(&t->f.b, 0);
    }
}

static void on_out_timer(void *ctx)
{
    carry_on(ctx);
}

static void base_writable(void *ctx, unsigned pair)
{
    struct net_fault *t = container_of((struct net_filter *)ctx, struct net_fault, f);
    (void)pair;
    t->blocked = false;
    carry_on(t);
}

static int net_fault_send(struct net_backend *b, unsigned pair, const struct iovec *iov,
                          unsigned count)
{
    struct net_fault *t = fault_of(b);
    (void)pair;
    if (!has_room(&t->out)) {
        t->full = true;
        return -EAGAIN;
    }
    ssize_t bytes = net_frame_copy(t->packet, iov, count);
    if (bytes < 0)
        return 0;
    enter(t, &t->out, (uint32_t)bytes);
    send_due(t);
    return 0;
}

/* ---- to the guest ---- */

static void on_in_timer(void *ctx)
{
    struct net_fault *t = ctx;
    bool was_starved = t->starved;
    t->starved = false;
    if (was_starved)
        net_tell_rx(&t->f.b, 0);
}

static void take_from_base(struct net_fault *t)
{
    struct net_backend *base = t->f.base;
    const struct iovec iov = {t->packet, sizeof(t->packet)};
    for (unsigned n = 0; n < BATCH && has_room(&t->in); n++) {
        ssize_t bytes = base->ops->receive(base, 0, &iov, 1);
        if (bytes < 0)
            break;
        if ((size_t)bytes > NET_HEADER_BYTES)
            enter(t, &t->in, (uint32_t)bytes);
    }
}

static ssize_t net_fault_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                                 unsigned count)
{
    struct net_fault *t = fault_of(b);
    (void)pair;
    if (!is_due(&t->in, clock_now_ns(t->clock)))
        take_from_base(t);
    if (is_due(&t->in, clock_now_ns(t->clock)))
        return net_queue_receive(&t->in.queue, iov, count);
    t->starved = true;
    set_timer(t, &t->in);
    return -EAGAIN;
}

/* ---- life ---- */

static void lane_fini(struct net_fault *t, struct lane *lane)
{
    evloop_timer_cancel(t->f.loop, &lane->timer);
    net_queue_fini(&lane->queue);
    net_queue_fini(&lane->held);
}

static void net_fault_destroy(struct net_backend *b)
{
    struct net_fault *t = fault_of(b);
    lane_fini(t, &t->out);
    lane_fini(t, &t->in);
    net_filter_fini(&t->f);
    free(t);
}

static const struct net_backend_ops net_fault_ops = {
    .send = net_fault_send,
    .flush = net_filter_flush,
    .receive = net_fault_receive,
    .set_offloads = net_filter_set_offloads,
    .destroy = net_fault_destroy,
};

static int lane_init(struct lane *lane, const struct net_fault_spec *spec, void (*cb)(void *),
                     void *ctx)
{
    lane->drop.when = spec->drop;
    lane->dup.when = spec->dup;
    lane->corrupt.when = spec->corrupt;
    lane->reorder.when = spec->reorder;
    lane->timer = (struct ev_timer){.cb = cb, .ctx = ctx};
    int err = net_queue_init(&lane->queue, QUEUE_BYTES);
    return err < 0 ? err : net_queue_init(&lane->held, HELD_BYTES);
}

int net_fault_create(struct net_backend **b, struct evloop *loop, const struct clock *clock,
                     const struct net_fault_spec *spec)
{
    struct net_fault *t = calloc(1, sizeof(*t));
    if (!t || lane_init(&t->out, spec, on_out_timer, t) < 0 ||
        lane_init(&t->in, spec, on_in_timer, t) < 0) {
        if (t) {
            net_queue_fini(&t->out.queue);
            net_queue_fini(&t->out.held);
            net_queue_fini(&t->in.queue);
        }
        free(t);
        return fail(-ENOMEM, "network faults");
    }
    net_filter_init(&t->f, *b, loop, &net_fault_ops);
    t->f.b.info.pairs = 1;
    t->f.base->handler.on_writable = base_writable;
    t->clock = clock;
    t->delay_ns = spec->delay_ns;
    t->random = fault_random_init(spec->seed);
    *b = &t->f.b;
    return 0;
}

int net_fault_parse(struct net_fault_spec *out, const char *what, const char *words)
{
    *out = (struct net_fault_spec){0};
    const struct fault_word table[] = {
        {"drop", FAULT_WHEN, &out->drop},
        {"dup", FAULT_WHEN, &out->dup},
        {"corrupt", FAULT_WHEN, &out->corrupt},
        {"reorder", FAULT_WHEN, &out->reorder},
        {"delay", FAULT_TIME, &out->delay_ns},
        {"seed", FAULT_COUNT, &out->seed},
        {NULL, FAULT_COUNT, NULL},
    };
    return fault_parse(table, what, words);
}
