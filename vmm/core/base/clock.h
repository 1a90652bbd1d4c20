// SPDX-License-Identifier: BSD-2-Clause
/*
 * Clock and randomness as ports, so that tests and replays decide what time it is.
 */
#ifndef MINIVET_CORE_CLOCK_H
#define MINIVET_CORE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct clock {
    uint64_t (*now_ns)(void *ctx);  /* monotonic */
    uint64_t (*wall_ns)(void *ctx); /* since 1970-01-01 00:00 UTC */
    void *ctx;
};

struct entropy {
    /* Fills dst; 0 or a negative errno. Never blocks. */
    int (*fill)(void *ctx, void *dst, size_t len);
    void *ctx;
};

/* The host's own: CLOCK_MONOTONIC, CLOCK_REALTIME and getrandom(2). */
extern const struct clock clock_host;
extern const struct entropy entropy_host;

static inline uint64_t clock_now_ns(const struct clock *c)
{
    return c->now_ns(c->ctx);
}

static inline uint64_t clock_wall_ns(const struct clock *c)
{
    return c->wall_ns(c->ctx);
}

#endif
