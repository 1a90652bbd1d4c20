// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/balloon/balloon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/output/facts.h"
#include "core/state/state.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"

#define NUMBERS    256u /* page numbers that are looked at together */
#define REPORT_IOV 16u
#define STATS_MAX  256u /* entries that are looked at */

struct virtio_balloon {
    struct virtio_device dev;
    const struct clock *clock;
    /* Chains that wait for another turn, or NULL; of the statistics: until they are asked for. */
    struct vq_chain *current[VIRTIO_BALLOON_QUEUES];
    struct iobuf reported; /* what is left of such a report: its pages are not written to */
    uint64_t stats[VIRTIO_BALLOON_TAGS], stats_ns;
    uint32_t known;
    bool has_been_asked; /* the driver, for its statistics */
    uint8_t config[VIRTIO_BALLOON_CONFIG_BYTES];
};

/* ---- pages that go back to the host ---- */

static void give_back(struct virtio_balloon *b, void *hva, uint64_t bytes, uint64_t *budget)
{
    if (hva != NULL)
        gmem_discard(b->dev.setup.gmem, hva, bytes);
    *budget -= min_u64(*budget, max_u64(bytes, VIRTIO_BALLOON_PIECE_BYTES));
}

/* Pages begin..end, in numbers. What is no memory is the guest's mistake, and left out, but it
 * takes time, too. */
static void give_back_run(struct virtio_balloon *b, uint64_t begin, uint64_t end, uint64_t *budget)
{
    uint64_t bytes = (end - begin) << VIRTIO_BALLOON_PAGE_BITS;
    void *hva = gmem_ptr(b->dev.setup.gmem, begin << VIRTIO_BALLOON_PAGE_BITS, bytes, 1);
    if (hva != NULL || begin == end) {
        give_back(b, hva, bytes, budget);
        return;
    }
    for (uint64_t page = begin; page < end; page++) {
        hva = gmem_ptr(b->dev.setup.gmem, page << VIRTIO_BALLOON_PAGE_BITS,
                       UINT64_C(1) << VIRTIO_BALLOON_PAGE_BITS, 1);
        give_back(b, hva, UINT64_C(1) << VIRTIO_BALLOON_PAGE_BITS, budget);
    }
}

/* Neighbours go together, in whichever order they come. */
static void give_back_numbers(struct virtio_balloon *b, const uint8_t *numbers, size_t count,
                              uint64_t *budget)
{
    uint64_t begin = 0, end = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t page = le32_get(numbers + 4 * i);
        if (page == end) {
            end++;
        } else if (page + 1 == begin) {
            begin--;
        } else {
            give_back_run(b, begin, end, budget);
            begin = page;
            end = page + 1;
        }
    }
    give_back_run(b, begin, end, budget);
}

/* ---- what queues do with a chain: false if there is more to do in another turn ---- */

static bool inflate(struct virtio_balloon *b, struct vq_chain *chain, uint64_t *budget)
{
    uint8_t numbers[4 * NUMBERS];
    while (chain->rd.left >= 4) {
        if (*budget == 0)
            return false;
        uint64_t whole = chain->rd.left - chain->rd.left % 4;
        size_t len = iobuf_get(&chain->rd, numbers, (size_t)min_u64(sizeof(numbers), whole));
        give_back_numbers(b, numbers, len / 4, budget);
    }
    return true;
}

/* Pages that are taken out; and hints, which the device never asks for: nothing is to be done. */
static bool take_note(struct virtio_balloon *b, struct vq_chain *chain, uint64_t *budget)
{
    (void)b;
    (void)chain;
    (void)budget;
    return true;
}

/* The buffers are the free pages. They stay if they have to keep another value than 0. */
static bool report(struct virtio_balloon *b, struct vq_chain *chain, uint64_t *budget)
{
    struct iobuf *pages = &b->reported;
    bool has_poison = virtio_device_has(&b->dev, VIRTIO_BALLOON_F_PAGE_POISON) &&
                      le32_get(b->config + VIRTIO_BALLOON_CONFIG_poison_val) != 0;
    (void)chain;
    while (!has_poison && pages->left > 0) {
        struct iovec iov[REPORT_IOV];
        unsigned count;
        if (*budget == 0)
            return false;
        uint64_t bytes = iobuf_fill(pages, *budget, iov, REPORT_IOV, &count);
        for (unsigned i = 0; i < count; i++)
            give_back(b, iov[i].iov_base, iov[i].iov_len, budget);
        iobuf_skip(pages, bytes);
    }
    return true;
}

/* The driver sends statistics in a buffer, and new ones when it has that back. */
static bool take_stats(struct virtio_balloon *b, struct vq_chain *chain, uint64_t *budget)
{
    uint8_t entry[VIRTIO_BALLOON_STAT_BYTES];
    (void)budget;
    bool counts = !b->dev.legacy || b->has_been_asked; /* VIRTIO 1.4 5.5.6.3: a legacy driver's
                                                          first buffer has no values */
    for (unsigned i = 0; counts && i < STATS_MAX && chain->rd.left >= sizeof(entry); i++) {
        iobuf_get(&chain->rd, entry, sizeof(entry));
        unsigned tag = le16_get(entry);
        if (tag >= VIRTIO_BALLOON_TAGS)
            continue;
        b->stats[tag] = le64_get(entry + 2);
        b->known |= UINT32_C(1) << tag;
    }
    b->stats_ns = clock_now_ns(b->clock);
    return false;
}

/* ---- the device's half ---- */

static struct virtio_balloon *balloon_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_balloon, dev);
}

static struct vq_chain *take(struct virtio_balloon *b, unsigned queue)
{
    struct vq_chain *chain = virtio_queue_next(&b->dev, queue);
    if (chain != NULL && queue == VIRTIO_BALLOON_REPORTS)
        b->reported = chain->wr;
    return chain;
}

static void balloon_queue_ready(struct virtio_device *dev, unsigned queue)
{
    static bool (*const work[])(struct virtio_balloon *, struct vq_chain *, uint64_t *) = {
        [VIRTIO_BALLOON_INFLATE] = inflate,  [VIRTIO_BALLOON_DEFLATE] = take_note,
        [VIRTIO_BALLOON_STATS] = take_stats, [VIRTIO_BALLOON_HINTS] = take_note,
        [VIRTIO_BALLOON_REPORTS] = report,
    };
    struct virtio_balloon *b = balloon_of(dev);
    struct vq_chain **current = &b->current[queue];
    uint64_t budget = VIRTIO_BALLOON_TURN_BYTES;
    if (queue == VIRTIO_BALLOON_STATS && *current != NULL)
        return;
    while (*current != NULL || (*current = take(b, queue)) != NULL) {
        if (!work[queue](b, *current, &budget)) {
            if (queue != VIRTIO_BALLOON_STATS)
                virtio_queue_serve_later(dev, queue);
            return;
        }
        virtio_queue_push(dev, queue, *current);
        *current = NULL;
    }
}

static void balloon_queue_stop(struct virtio_device *dev, unsigned queue)
{
    balloon_of(dev)->current[queue] = NULL;
}

/* A chain that was begun is begun again: to give a page back twice does no harm. */
static unsigned balloon_queue_hold(struct virtio_device *dev, unsigned queue)
{
    return balloon_of(dev)->current[queue] != NULL;
}

static void balloon_config_write(struct virtio_device *dev, unsigned offset, const void *src,
                                 unsigned len)
{
    memcpy(balloon_of(dev)->config + offset, src, len);
}

static void balloon_reset(struct virtio_device *dev)
{
    struct virtio_balloon *b = balloon_of(dev);
    le32_put(b->config + VIRTIO_BALLOON_CONFIG_actual, 0);
    le32_put(b->config + VIRTIO_BALLOON_CONFIG_poison_val, 0);
    b->known = 0;
    b->has_been_asked = false;
}

static void balloon_state(struct virtio_device *dev, struct state *s)
{
    struct virtio_balloon *b = balloon_of(dev);
    state_bytes(s, "config", b->config, sizeof(b->config));
}

static uint64_t field_bytes(const struct virtio_balloon *b, unsigned offset)
{
    return (uint64_t)le32_get(b->config + offset) << VIRTIO_BALLOON_PAGE_BITS;
}

static void balloon_describe(struct virtio_device *dev, struct facts *f)
{
    const struct virtio_balloon *b = balloon_of(dev);
    facts_number(f, "target_bytes", field_bytes(b, VIRTIO_BALLOON_CONFIG_num_pages));
    facts_number(f, "actual_bytes", field_bytes(b, VIRTIO_BALLOON_CONFIG_actual));
}

static const struct virtio_device_ops balloon_ops = {
    .config_write = balloon_config_write,
    .queue_ready = balloon_queue_ready,
    .queue_stop = balloon_queue_stop,
    .queue_hold = balloon_queue_hold,
    .reset = balloon_reset,
    .state = balloon_state,
    .describe = balloon_describe,
};

/* ---- life ---- */

/* All queues are there at any rate, see the header; so are the features that they belong to. */
static uint64_t features_of(const struct virtio_balloon_config *config)
{
    uint64_t features = VIRTIO_BIT(VIRTIO_BALLOON_F_STATS_VQ) |
                        VIRTIO_BIT(VIRTIO_BALLOON_F_FREE_PAGE_HINT) |
                        VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_POISON);
    if (config->deflate_on_oom)
        features |= VIRTIO_BIT(VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
    if (config->reporting)
        features |= VIRTIO_BIT(VIRTIO_BALLOON_F_PAGE_REPORTING);
    return features;
}

static uint32_t pages_of(uint64_t bytes)
{
    return (uint32_t)min_u64(bytes >> VIRTIO_BALLOON_PAGE_BITS, UINT32_MAX);
}

int virtio_balloon_create(struct virtio_balloon **out, const struct virtio_setup *setup,
                          const struct virtio_balloon_config *config)
{
    struct virtio_balloon *b = calloc(1, sizeof(*b));
    if (b == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    b->clock = config->clock;
    le32_put(b->config + VIRTIO_BALLOON_CONFIG_num_pages, pages_of(config->target_bytes));
    int err = virtio_device_init(&b->dev, setup,
                                 &(struct virtio_device_config){
                                     .type = &virtio_balloon_type,
                                     .ops = &balloon_ops,
                                     .features = features_of(config),
                                     .config = b->config,
                                     .config_bytes = sizeof(b->config),
                                     .queue_count = VIRTIO_BALLOON_QUEUES,
                                     .iov_max = VIRTIO_QUEUE_SIZE_DEFAULT,
                                 });
    if (err != 0) {
        free(b);
        return err;
    }
    *out = b;
    return 0;
}

void virtio_balloon_destroy(struct virtio_balloon *b)
{
    if (b == NULL)
        return;
    virtio_device_fini(&b->dev);
    free(b);
}

struct virtio_device *virtio_balloon_device(struct virtio_balloon *b)
{
    return &b->dev;
}

void virtio_balloon_set_target(struct virtio_balloon *b, uint64_t bytes)
{
    uint8_t *target = b->config + VIRTIO_BALLOON_CONFIG_num_pages;
    if (le32_get(target) == pages_of(bytes))
        return;
    le32_put(target, pages_of(bytes));
    virtio_device_config_changed(&b->dev);
}

void virtio_balloon_status(struct virtio_balloon *b, struct virtio_balloon_status *out)
{
    struct virtio_queue *q = &b->dev.queues[VIRTIO_BALLOON_STATS];
    struct vq_chain *stats = b->current[VIRTIO_BALLOON_STATS];
    *out = (struct virtio_balloon_status){
        .driver_runs = atomic_load_explicit(&b->dev.running, memory_order_relaxed),
        .target_bytes = field_bytes(b, VIRTIO_BALLOON_CONFIG_num_pages),
        .actual_bytes = field_bytes(b, VIRTIO_BALLOON_CONFIG_actual),
        .known = b->known,
        .stats_ns = b->stats_ns,
    };
    memcpy(out->stats, b->stats, sizeof(out->stats));
    if (stats == NULL || !virtio_queue_runs(q))
        return;
    virtio_queue_push(&b->dev, VIRTIO_BALLOON_STATS, stats);
    b->current[VIRTIO_BALLOON_STATS] = NULL;
    b->has_been_asked = true;
    virtio_queue_serve_later(&b->dev, VIRTIO_BALLOON_STATS); /* if there is another already */
}

const char *virtio_balloon_stat_name(unsigned tag)
{
    static const char *const names[VIRTIO_BALLOON_TAGS] = {"swap_in",
                                                           "swap_out",
                                                           "major_faults",
                                                           "minor_faults",
                                                           "free_bytes",
                                                           "total_bytes",
                                                           "available_bytes",
                                                           "cache_bytes",
                                                           "huge_pages_allocated",
                                                           "huge_page_allocation_failures"};
    return names[tag];
}
