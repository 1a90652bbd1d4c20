// SPDX-License-Identifier: BSD-2-Clause
/*
 * Memory balloon (VIRTIO 1.4 5.5): pages that the guest does without go back to the host.
 *
 * The host asks for a size of the balloon; the driver puts pages into it (inflate), takes them out
 * again (deflate), and says how large it is. With page reporting the driver also names pages that
 * are free at the moment, without being asked. Either way the host spends nothing on them until the
 * guest touches them again.
 */
#ifndef MINIVET_VIRTIO_BALLOON_H
#define MINIVET_VIRTIO_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "virtio/observe/strict_rules.h"

struct clock;
struct virtio_balloon;
struct virtio_device;
struct virtio_device_type;
struct virtio_setup;

extern const struct virtio_device_type virtio_balloon_type;

/* ---- the specification's numbers ---- */

#define VIRTIO_BALLOON_PAGE_BITS 12u /* page numbers count 4096 bytes, whatever the guest's are */

enum {
    VIRTIO_BALLOON_F_MUST_TELL_HOST,
    VIRTIO_BALLOON_F_STATS_VQ,
    VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
    VIRTIO_BALLOON_F_FREE_PAGE_HINT,
    VIRTIO_BALLOON_F_PAGE_POISON,
    VIRTIO_BALLOON_F_PAGE_REPORTING,
};

/* Queues. Linux before 6.11 numbers those that it has without gaps; the device has all of them. */
enum {
    VIRTIO_BALLOON_INFLATE,
    VIRTIO_BALLOON_DEFLATE,
    VIRTIO_BALLOON_STATS,
    VIRTIO_BALLOON_HINTS,
    VIRTIO_BALLOON_REPORTS,
    VIRTIO_BALLOON_QUEUES,
};

/* The configuration space, all of 32 bits. */
enum {
    VIRTIO_BALLOON_CONFIG_num_pages = 0,
    VIRTIO_BALLOON_CONFIG_actual = 4,
    VIRTIO_BALLOON_CONFIG_free_page_hint_cmd_id = 8,
    VIRTIO_BALLOON_CONFIG_poison_val = 12,
    VIRTIO_BALLOON_CONFIG_BYTES = 16,
};

/* Statistics by their tags (VIRTIO 1.4 5.5.6.3); those of memory are in bytes. */
#define VIRTIO_BALLOON_TAGS       10u
#define VIRTIO_BALLOON_STAT_BYTES 10u /* of an entry: le16 tag, le64 value */

/* Rules of the driver monitor. */
enum {
    STRICT_BALLOON_WRITABLE = STRICT_RULES,
    STRICT_BALLOON_PAGE,
};

/* ---- the device ---- */

/* One turn of the loop gives the host no more than this, and a range counts as a piece at least. */
#define VIRTIO_BALLOON_TURN_BYTES  (UINT64_C(64) << 20)
#define VIRTIO_BALLOON_PIECE_BYTES (UINT64_C(16) << 10)

struct virtio_balloon_config {
    uint64_t target_bytes;     /* of the balloon, at first */
    bool deflate_on_oom;       /* a guest that runs out of memory may take pages out by itself */
    bool reporting;            /* it may name pages that are free */
    const struct clock *clock; /* outlives the device */
};

struct virtio_balloon_status {
    bool driver_runs;
    uint64_t target_bytes; /* that the balloon ought to have */
    uint64_t actual_bytes; /* that it has, as the driver says */
    uint64_t stats[VIRTIO_BALLOON_TAGS];
    uint32_t known;    /* which of the statistics the driver has sent, by bit */
    uint64_t stats_ns; /* when that was, by the clock */
};

/* Errors are reported. */
int virtio_balloon_create(struct virtio_balloon **out, const struct virtio_setup *setup,
                          const struct virtio_balloon_config *config);
void virtio_balloon_destroy(struct virtio_balloon *balloon); /* after its transport */

struct virtio_device *virtio_balloon_device(struct virtio_balloon *balloon);

/* On the loop. How large the balloon shall be: whole pages of it, at most 16 TiB. */
void virtio_balloon_set_target(struct virtio_balloon *balloon, uint64_t bytes);

/* On the loop. What is known now; the driver is asked for its statistics anew. */
void virtio_balloon_status(struct virtio_balloon *balloon, struct virtio_balloon_status *out);

/* The name of a statistic for people and programs. */
const char *virtio_balloon_stat_name(unsigned tag);

#endif
