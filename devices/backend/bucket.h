// SPDX-License-Identifier: BSD-2-Clause
/*
 * A budget that is refilled evenly, as a point in time: when all that was spent will have been
 * refilled. Something may start when that is no more than the burst ahead, and moves it by what it
 * costs.
 */
#ifndef MINIVET_DEVICES_BACKEND_BUCKET_H
#define MINIVET_DEVICES_BACKEND_BUCKET_H

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

#endif
