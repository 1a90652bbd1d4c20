// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a queue does, in figures: requests, bytes, how many at a time, kicks, interrupts, and how
 * long requests took.
 *
 * The clock is read twice a turn, not twice a request: when the first chain of a turn is taken, and
 * when the guest is shown what came back. A latency is the time between these two, so it holds the
 * wait for the rest of the batch, as the guest sees it.
 */
#ifndef MINIVET_VIRTIO_STATS_H
#define MINIVET_VIRTIO_STATS_H

#include <stdbool.h>
#include <stdint.h>

struct clock;
struct virtio_device;

/* 1, 2-3, 4-7, 8-15, 16 and more. */
#define VIRTIO_STATS_BATCHES 5u
/* Bucket n: latencies of n significant bits, 2^(n-1) to 2^n - 1 ns; 0: none. */
#define VIRTIO_STATS_LATENCIES 64u

struct virtio_stats {
    uint64_t requests;  /* chains taken */
    uint64_t in_flight; /* now */
    uint64_t rd_bytes;  /* which the device has read */
    uint64_t wr_bytes;  /* which it has written */
    uint64_t batches;   /* turns in which chains were taken */
    uint64_t batch_sizes[VIRTIO_STATS_BATCHES];
    uint64_t kicks;          /* wake-ups by the guest; what came together is one */
    uint64_t register_kicks; /* notifications that left the guest as a register access */
    uint64_t polled;         /* batches that were found by looking, see evloop_poll_add() */
    uint64_t spurious;       /* kicks after which there was nothing to take */
    uint64_t interrupts;
    uint64_t suppressed; /* chains came back, and the guest wanted no interrupt */
    uint64_t resets;     /* times that the running queue was stopped */
    uint64_t latencies[VIRTIO_STATS_LATENCIES];
    uint64_t latency_max_ns;
};

/* Requests whose latency is known. */
uint64_t virtio_stats_completed(const struct virtio_stats *s);

/*
 * The latency that `percent` of the requests did not exceed, as near as the buckets tell: within
 * one they count as spread evenly. 0 if there was no request.
 */
uint64_t virtio_stats_latency_ns(const struct virtio_stats *s, unsigned percent);

/*
 * Set-up thread, before the transport: measures all queues from now on, by that clock. -ENOMEM;
 * reported.
 */
int virtio_device_measure(struct virtio_device *dev, const struct clock *clock);

/* On the device's loop. Asks the queue's loop what it has done since; false: it is not measured, or
 * there is none. */
bool virtio_device_stats(const struct virtio_device *dev, unsigned queue, struct virtio_stats *out);

#endif
