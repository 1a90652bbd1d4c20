// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

static uint64_t host_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t host_now_ns(void *ctx)
{
    (void)ctx;
    return host_ns(CLOCK_MONOTONIC);
}

static uint64_t host_wall_ns(void *ctx)
{
    (void)ctx;
    return host_ns(CLOCK_REALTIME);
}

/* GRND_NONBLOCK: -EAGAIN on a host that has just booted, rather than a stopped loop. */
static int host_fill(void *ctx, void *dst, size_t len)
{
    (void)ctx;
    for (char *p = dst; len > 0;) {
        ssize_t n = getrandom(p, len, GRND_NONBLOCK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

const struct clock clock_host = {.now_ns = host_now_ns, .wall_ns = host_wall_ns};
const struct entropy entropy_host = {.fill = host_fill};
