// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a run did: the figures of every virtio queue, of the I/O loops, of the vCPUs' exits, of the
 * host's threads and of the hypervisor, as tables for people or as JSON. Each thread's are taken at
 * one moment.
 */
#ifndef MINIVET_VMM_STATS_H
#define MINIVET_VMM_STATS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/loop/evloop.h"
#include "core/ports/hv.h"
#include "virtio/net/net.h"
#include "virtio/observe/stats.h"
#include "vmm/report/exits.h"
#include "vmm/report/usage.h"

#define STATS_MAX_HV   160
#define STATS_MAX_NETS 8

struct cJSON;
struct virtio_device;

struct stats_loop {
    const char *name; /* lives as long as the loop */
    struct evloop *loop;
    const char *engine;
    struct evloop_stats stats;
};

struct stats_queue {
    const char *device; /* its name; lives as long as the device */
    const char *thread; /* the name of its loop */
    unsigned queue;
    bool external; /* another process takes the chains: only interrupts are seen */
    struct virtio_stats stats;
};

/* What a network card has dropped. */
struct stats_net {
    const char *device;
    struct virtio_net_drops drops;
};

struct stats {
    uint64_t run_ns; /* since the guest's start */
    struct stats_loop *loops;
    unsigned loop_count;
    struct stats_queue *queues;
    unsigned count, room;
    struct stats_net nets[STATS_MAX_NETS];
    unsigned net_count;
    struct exits exits; /* of all vCPUs */
    struct usage usage;
    struct hv_stat hv[STATS_MAX_HV];
    unsigned hv_count;
};

/* On the main loop. -ENOMEM; reported. */
int stats_add_loop(struct stats *s, const char *name, struct evloop *loop);

/* On the main loop. Adds the device's queues, if they are measured. -ENOMEM; reported. */
int stats_add_device(struct stats *s, const struct virtio_device *dev);
void stats_free(struct stats *s);

/* To standard error: as JSON, or the table line by line, as messages. */
void stats_print(const struct stats *s, bool json);

void stats_print_table(const struct stats *s, FILE *out);
/* stats_host.c: what of it is not the devices'. False: out of memory. */
void stats_print_host(const struct stats *s, FILE *out);
bool stats_add_host(struct cJSON *top, const struct stats *s);
const char *stats_format_ns(char text[16], uint64_t ns);
const char *stats_shown_name(const char *name);

/* An object, in one line. -ENOMEM; reported. */
int stats_print_json(const struct stats *s, FILE *out);

#endif
