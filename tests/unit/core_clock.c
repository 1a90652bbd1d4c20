// SPDX-License-Identifier: BSD-2-Clause
#include <time.h>

#include "tests/harness/test.h"

Test(core_clock, monotonic_time_does_not_go_back)
{
    uint64_t last = clock_now_ns(&clock_host);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = clock_now_ns(&clock_host);
        cr_assert_geq(now, last);
        last = now;
    }
}

Test(core_clock, wall_time_is_the_hosts)
{
    time_t before = time(NULL);
    uint64_t seconds = clock_wall_ns(&clock_host) / 1000000000u;
    time_t after = time(NULL);
    /* time() may lag behind by a tick. */
    cr_assert(seconds >= (uint64_t)before && seconds <= (uint64_t)after + 1);
}

Test(core_clock, entropy_fills_all_of_it)
{
    uint8_t a[600] = {0}, b[600] = {0};
    cr_assert_eq(entropy_host.fill(entropy_host.ctx, a, sizeof(a)), 0);
    cr_assert_eq(entropy_host.fill(entropy_host.ctx, b, sizeof(b) - 1), 0);
    cr_assert_neq(memcmp(a, b, sizeof(a)), 0);
    cr_assert_neq(memcmp(a + 500, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16), 0);
    cr_assert_eq(b[599], 0);
    cr_assert_eq(entropy_host.fill(entropy_host.ctx, NULL, 0), 0);
}
