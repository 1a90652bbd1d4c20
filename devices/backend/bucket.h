// SPDX-License-Identifier: BSD-2-Clause
/*
 * A budget that is refilled evenly, as a point in time: when all that was spent will have been
 * refilled. Something may start when that is no more than the burst ahead, and moves it by what it
 * costs.
 */
#ifndef MINIVET_DEVICES_BACKEND_BUCKET_H
#define MINIVET_DEVICES_BACKEND_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/xmath.h"

struct bucket {
    uint64_t per_s; /* 0: no limit */
    uint64_t full_ns;
};

/* When the bucket lets something start; a time that has passed means now. */
static inline uint64_t bucket_opens_ns(const struct bucket *bucket, uint64_t burst_ns)
{
    return bucket->full_ns > burst_ns ? bucket->full_ns - burst_ns : 0;
}

/* A guest's request may have more bytes than 64 bits have nanoseconds for. */
static inline uint64_t bucket_cost_ns(const struct bucket *bucket, uint64_t amount)
{
    unsigned __int128 cost = (unsigned __int128)amount * UINT64_C(1000000000) / bucket->per_s;
    return cost > INT64_MAX ? INT64_MAX : (uint64_t)cost;
}

static inline void bucket_spend(struct bucket *bucket, uint64_t amount, uint64_t now_ns)
{
    if (bucket->per_s == 0)
        return;
    uint64_t cost_ns = bucket_cost_ns(bucket, amount);
    if (!checked_add_u64(max_u64(bucket->full_ns, now_ns), cost_ns, &bucket->full_ns))
        bucket->full_ns = UINT64_MAX;
}

/* Gives back what was spent. */
static inline void bucket_refund(struct bucket *bucket, uint64_t amount)
{
    if (bucket->per_s != 0)
        bucket->full_ns -= min_u64(bucket->full_ns, bucket_cost_ns(bucket, amount));
}

/* What may be done a second, in numbers and in bytes; 0: any number. */
struct budget_config {
    uint64_t count_per_s, bytes_per_s;
    uint64_t burst_ns; /* for so long is kept what is not used */
};

#define BUDGET_BURST_NS UINT64_C(100000000) /* when it is not said */

static inline bool budget_is_limited(const struct budget_config *c)
{
    return c->count_per_s != 0 || c->bytes_per_s != 0;
}

/* Two buckets, both of which have to be open. */
struct budget {
    struct bucket count, bytes;
    uint64_t burst_ns;
};

static inline struct budget budget_init(const struct budget_config *c)
{
    return (struct budget){{.per_s = c->count_per_s}, {.per_s = c->bytes_per_s}, c->burst_ns};
}

static inline uint64_t budget_opens_ns(const struct budget *b)
{
    return max_u64(bucket_opens_ns(&b->count, b->burst_ns),
                   bucket_opens_ns(&b->bytes, b->burst_ns));
}

static inline void budget_spend(struct budget *b, uint64_t bytes, uint64_t now_ns)
{
    bucket_spend(&b->count, 1, now_ns);
    bucket_spend(&b->bytes, bytes, now_ns);
}

#endif
