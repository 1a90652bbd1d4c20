// SPDX-License-Identifier: BSD-2-Clause
/* The other CPUs start when the first one says so, and not before. */
#include "tap.h"
#include "tvm.h"

static void starts(void)
{
    for (unsigned cpus = 2; cpus <= 4; cpus++)
        tvm_run_ok(&(struct tvm_config){.guest = "smp", .cpus = cpus});
}

static void unstarted(void)
{
    tvm_run_ok(&(struct tvm_config){.guest = "hello", .cmdline = "hello", .cpus = 4});
}

const struct tap_test smp_tests[] = {
    {"smp: two, three and four CPUs", starts, 0},
    {"smp: CPUs that are never started do not hinder the end", unstarted, 0},
    {0},
};
