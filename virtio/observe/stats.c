// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/observe/stats.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/xmath.h"
#include "virtio/ring/virtqueue.h"

/*
 * What came back since the last flush, by when it was taken. One turn takes many chains at one
 * time, so these are few; more than that are settled early, at the price of a look at the clock.
 */
#define RUNS 16u

struct run {
    uint64_t taken_ns;
    uint64_t count;
};

struct virtio_meter {
    const struct clock *clock;
    struct virtio_stats stats;
    _Atomic uint64_t register_kicks;
    bool in_turn, kicked, polled, found_nothing;
    uint64_t batch;    /* chains taken in this turn */
    uint64_t taken_ns; /* when its first one was */
    struct run runs[RUNS];
    unsigned run_count;
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

/* ---- the meter ---- */

struct virtio_meter *virtio_meter_create(const struct clock *clock)
{
    struct virtio_meter *m = calloc(1, sizeof(*m));
    if (m != NULL)
        m->clock = clock;
    return m;
}

void virtio_meter_destroy(struct virtio_meter *m)
{
    free(m);
}

void virtio_meter_kicked(struct virtio_meter *m)
{
    m->stats.kicks++;
    m->kicked = true;
}

void virtio_meter_polled(struct virtio_meter *m)
{
    m->polled = true;
}

void virtio_meter_register_kick(struct virtio_meter *m)
{
    atomic_fetch_add_explicit(&m->register_kicks, 1, memory_order_relaxed);
}

static void count_batch(struct virtio_meter *m, uint64_t chains)
{
    unsigned bucket = (unsigned)min_u64(bit_length(chains), VIRTIO_STATS_BATCHES) - 1;
    m->stats.batches++;
    m->stats.batch_sizes[bucket]++;
}

void virtio_meter_turn_begins(struct virtio_meter *m)
{
    m->in_turn = true;
    m->found_nothing = false;
    m->batch = 0;
}

void virtio_meter_turn_ends(struct virtio_meter *m)
{
    if (m->batch > 0)
        count_batch(m, m->batch);
    else if (m->kicked && m->found_nothing)
        m->stats.spurious++;
    if (m->batch > 0 && m->polled)
        m->stats.polled++;
    m->in_turn = false;
    m->kicked = false;
    m->polled = false;
}

void virtio_meter_took(struct virtio_meter *m, struct vq_chain *chain)
{
    if (!m->in_turn || m->batch == 0)
        m->taken_ns = clock_now_ns(m->clock);
    if (m->in_turn)
        m->batch++;
    else
        count_batch(m, 1); /* a device may take one when its backend has something for it */
    m->stats.requests++;
    m->stats.in_flight++;
    chain->taken_ns = m->taken_ns;
}

void virtio_meter_found_nothing(struct virtio_meter *m)
{
    m->found_nothing = true;
}

static void settle(struct virtio_meter *m)
{
    uint64_t now = m->run_count > 0 ? clock_now_ns(m->clock) : 0;
    for (unsigned i = 0; i < m->run_count; i++) {
        const struct run *run = &m->runs[i];
        uint64_t ns = now > run->taken_ns ? now - run->taken_ns : 0;
        m->stats.latencies[latency_bucket(ns)] += run->count;
        if (ns > m->stats.latency_max_ns)
            m->stats.latency_max_ns = ns;
    }
    m->run_count = 0;
}

void virtio_meter_gives(struct virtio_meter *m, const struct vq_chain *chain)
{
    m->stats.in_flight--;
    m->stats.rd_bytes += chain->rd.done;
    m->stats.wr_bytes += chain->wr.done + chain->tail.done;
    if (m->run_count > 0 && m->runs[m->run_count - 1].taken_ns == chain->taken_ns) {
        m->runs[m->run_count - 1].count++;
        return;
    }
    if (m->run_count == RUNS)
        settle(m);
    m->runs[m->run_count++] = (struct run){.taken_ns = chain->taken_ns, .count = 1};
}

void virtio_meter_flushed(struct virtio_meter *m, bool interrupt)
{
    settle(m);
    if (interrupt)
        m->stats.interrupts++;
    else
        m->stats.suppressed++;
}

void virtio_meter_interrupt(struct virtio_meter *m)
{
    m->stats.interrupts++;
}

void virtio_meter_stopped(struct virtio_meter *m)
{
    m->stats.resets++;
    m->stats.in_flight = 0;
    m->run_count = 0; /* the guest will not see them */
    m->kicked = false;
    m->polled = false;
}

void virtio_meter_read(const struct virtio_meter *m, struct virtio_stats *out)
{
    *out = m->stats;
    out->register_kicks = atomic_load_explicit(&m->register_kicks, memory_order_relaxed);
}
