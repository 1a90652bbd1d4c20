// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a run did: the figures of every virtio queue and of the I/O loop, taken at one moment, as a
 * table for people or as JSON.
 */
#ifndef MINIVET_VMM_STATS_H
#define MINIVET_VMM_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/evloop.h"
#include "virtio/stats.h"
#include "vmm/config.h"

struct virtio_device;

struct stats_queue {
    const char *device; /* its name; lives as long as the device */
    unsigned queue;
    bool external; /* another process takes the chains: only interrupts are seen */
    struct virtio_stats stats;
};

struct stats {
    uint64_t run_ns; /* since the guest's start */
    const char *engine;
    struct evloop_stats loop;
    struct stats_queue *queues;
    unsigned count, room;
};

/* On the loop. Adds the device's queues, if they are measured. -ENOMEM; reported. */
int stats_add_device(struct stats *s, const struct virtio_device *dev);
void stats_free(struct stats *s);

/* To standard error: the table line by line, as messages. */
void stats_print(const struct stats *s, enum stats_kind kind);

void stats_print_table(const struct stats *s, FILE *out);
/* An object, in one line. -ENOMEM; reported. */
int stats_print_json(const struct stats *s, FILE *out);

#endif
