// SPDX-License-Identifier: BSD-2-Clause
/* What drivers do with devices that are saved and loaded meanwhile, and what they see. */
#ifndef MINIVET_TESTS_UNIT_VIRTIO_STATE_H
#define MINIVET_TESTS_UNIT_VIRTIO_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/harness/netio.h"
#include "tests/harness/rig_test.h"

#define QUEUE_SIZE  8
#define QUEUES      3
#define TRACE_BYTES 131072

#define NET(feature) VIRTIO_BIT(VIRTIO_NET_F_##feature)

/* What a driver saw. */
struct trace {
    uint8_t bytes[TRACE_BYTES];
    size_t len;
};

void note_number(struct trace *t, uint64_t n);
/* Lets the device work; notes what came back, interrupts and registers. */
void take_all(struct rig *rig, struct trace *t);

/* A chain: bytes that the device reads, and room that it may write. Returns where the room is. */
uint64_t send_chain(struct rig *rig, unsigned queue, const void *bytes, uint32_t len,
                    uint32_t room);
void echo_some(struct rig *rig, struct trace *t);
/* For one block; returns where the response is. */
uint64_t scsi_command(struct rig *rig, uint8_t op, uint32_t out, uint32_t in);

struct workload {
    const char *name;
    void (*open)(struct rig *rig, const struct rig_config *config);
    uint64_t features;
    unsigned queues;
    bool rss;
    void (*first)(struct rig *rig, struct trace *t);
    void (*second)(struct rig *rig, struct trace *t);
};

#define STATE_WORKLOADS 12u
extern const struct workload workloads[STATE_WORKLOADS];

#endif
