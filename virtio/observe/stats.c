// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/observe/stats.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "virtio/base/observer.h"

/*
 * What came back since the last flush, by when it was taken. One turn takes many chains at one
 * time, so these are few; more than that are settled early, at the price of a look at the clock.
 */
#define RUNS 16u

struct run {
    uint64_t taken_ns;
    uint64_t count;
};

/* Of a queue. */
struct meter {
    struct virtio_stats stats;
    _Atomic uint64_t register_kicks;
    bool in_turn, kicked, polled, found_nothing;
    uint64_t batch;     /* chains taken in this turn */
    uint64_t turn_ns;   /* when its first one was */
    uint64_t *taken_ns; /* when each chain in flight was, by slot */
    struct run runs[RUNS];
    unsigned run_count;
};

struct meters {
    struct virtio_observer observer;
    const struct clock *clock;
    uint64_t *taken_ns; /* of all queues */
    struct meter of[];
};

/* ---- figures ---- */

/* 0 for 0; else the number of significant bits. */
static unsigned bit_length(uint64_t n)
{
    return n == 0 ? 0 : 64 - (unsigned)__builtin_clzll(n);
}

static unsigned latency_bucket(uint64_t ns)
{
    return (unsigned)min_u64(bit_length(ns), VIRTIO_STATS_LATENCIES - 1);
}

uint64_t virtio_stats_completed(const struct virtio_stats *s)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < VIRTIO_STATS_LATENCIES; i++)
        sum += s->latencies[i];
    return sum;
}

uint64_t virtio_stats_latency_ns(const struct virtio_stats *s, unsigned percent)
{
    double rank = (double)virtio_stats_completed(s) * percent / 100;
    double before = 0;
    for (unsigned i = 0; i < VIRTIO_STATS_LATENCIES; i++) {
        double count = (double)s->latencies[i];
        if (count > 0 && before + count >= rank) {
            uint64_t low = i > 0 ? UINT64_C(1) << (i - 1) : 0;
            double inside = (double)low * (rank - before) / count; /* as wide as it is low */
            return min_u64(low + (uint64_t)inside, s->latency_max_ns);
        }
        before += count;
    }
    return 0;
}

/* ---- what happens ---- */

static void count_batch(struct meter *m, uint64_t chains)
{
    unsigned bucket = (unsigned)min_u64(bit_length(chains), VIRTIO_STATS_BATCHES) - 1;
    m->stats.batches++;
    m->stats.batch_sizes[bucket]++;
}

static void end_turn(struct meter *m)
{
    if (m->batch > 0)
        count_batch(m, m->batch);
    else if (m->kicked && m->found_nothing)
        m->stats.spurious++;
    if (m->batch > 0 && m->polled)
        m->stats.polled++;
    m->in_turn = m->kicked = m->polled = false;
    m->batch = 0;
}

static void take(struct meter *m, const struct clock *clock, const struct vq_chain *chain)
{
    if (m->batch == 0)
        m->turn_ns = clock_now_ns(clock);
    if (m->in_turn)
        m->batch++;
    else
        count_batch(m, 1); /* a device may take one when its backend has something for it */
    m->stats.requests++;
    m->stats.in_flight++;
    m->taken_ns[chain->slot] = m->turn_ns;
}

static void settle(struct meter *m, const struct clock *clock)
{
    uint64_t now = m->run_count > 0 ? clock_now_ns(clock) : 0;
    for (unsigned i = 0; i < m->run_count; i++) {
        const struct run *run = &m->runs[i];
        uint64_t ns = now > run->taken_ns ? now - run->taken_ns : 0;
        m->stats.latencies[latency_bucket(ns)] += run->count;
        if (ns > m->stats.latency_max_ns)
            m->stats.latency_max_ns = ns;
    }
    m->run_count = 0;
}

static void give(struct meter *m, const struct clock *clock, const struct vq_chain *chain)
{
    uint64_t taken_ns = m->taken_ns[chain->slot];
    m->stats.in_flight--;
    m->stats.rd_bytes += chain->rd.done;
    m->stats.wr_bytes += chain->wr.done + chain->tail.done;
    if (m->run_count > 0 && m->runs[m->run_count - 1].taken_ns == taken_ns) {
        m->runs[m->run_count - 1].count++;
        return;
    }
    if (m->run_count == RUNS)
        settle(m, clock);
    m->runs[m->run_count++] = (struct run){.taken_ns = taken_ns, .count = 1};
}

static void stop(struct meter *m)
{
    m->stats.resets++;
    m->stats.in_flight = 0;
    m->run_count = 0; /* the guest will not see them */
    m->kicked = m->polled = false;
}

static void on_event(struct virtio_observer *o, const struct virtio_event *e)
{
    struct meters *all = container_of(o, struct meters, observer);
    if (e->queue == NULL)
        return;
    struct meter *m = &all->of[e->queue->index];
    switch (e->kind) {
    case VIRTIO_ON_REGISTER_KICK:
        atomic_fetch_add_explicit(&m->register_kicks, 1, memory_order_relaxed);
        break;
    case VIRTIO_ON_STOP:
        stop(m);
        break;
    case VIRTIO_ON_KICK:
        m->kicked = true;
        m->stats.kicks++;
        break;
    case VIRTIO_ON_FOUND:
        m->polled |= e->value != 0;
        break;
    case VIRTIO_ON_TURN:
        m->in_turn = true;
        m->found_nothing = false;
        break;
    case VIRTIO_ON_TURN_END:
        end_turn(m);
        break;
    case VIRTIO_ON_TAKE:
        take(m, all->clock, e->chain);
        break;
    case VIRTIO_ON_EMPTY:
    case VIRTIO_ON_MORE:
        m->found_nothing = e->kind == VIRTIO_ON_EMPTY;
        break;
    case VIRTIO_ON_GIVE:
        give(m, all->clock, e->chain);
        break;
    case VIRTIO_ON_FLUSH:
        settle(m, all->clock);
        m->stats.suppressed += e->value == 0;
        m->stats.interrupts += e->value;
        break;
    case VIRTIO_ON_INTERRUPT:
        m->stats.interrupts++;
        break;
    default:
        break;
    }
}

/* ---- life ---- */

static void destroy(struct virtio_observer *o)
{
    struct meters *all = container_of(o, struct meters, observer);
    free(all->taken_ns);
    free(all);
}

int virtio_device_measure(struct virtio_device *dev, const struct clock *clock)
{
    size_t queues = dev->cfg.queue_count, size_max = dev->setup.queue_size_max;
    struct meters *all = calloc(1, sizeof(*all) + queues * sizeof(all->of[0]));
    uint64_t *taken_ns = calloc(queues * size_max, sizeof(*taken_ns));
    if (all == NULL || taken_ns == NULL) {
        free(all);
        free(taken_ns);
        return fail(-ENOMEM, "virtio %s: statistics", dev->setup.name);
    }
    all->observer = (struct virtio_observer){
        .event = on_event, .destroy = destroy, .sees = VIRTIO_SEES_INTERRUPTS};
    all->clock = clock;
    all->taken_ns = taken_ns;
    for (size_t i = 0; i < queues; i++)
        all->of[i].taken_ns = &taken_ns[i * size_max];
    virtio_observer_add(dev, &all->observer);
    return 0;
}

/* ---- reading them ---- */

struct stats_call {
    const struct meter *meter;
    struct virtio_stats *out;
};

static int read_meter(void *arg)
{
    const struct stats_call *call = arg;
    *call->out = call->meter->stats;
    call->out->register_kicks =
        atomic_load_explicit(&call->meter->register_kicks, memory_order_relaxed);
    return 0;
}

bool virtio_device_stats(const struct virtio_device *dev, unsigned queue, struct virtio_stats *out)
{
    struct virtio_observer *o = virtio_observer_find(dev, on_event);
    if (queue >= dev->cfg.queue_count || o == NULL)
        return false;
    struct stats_call call = {&container_of(o, struct meters, observer)->of[queue], out};
    evloop_call(dev->queues[queue].loop, read_meter, &call);
    return true;
}
