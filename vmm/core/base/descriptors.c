// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/descriptors.h"

#include <sys/resource.h>

#include "core/base/xmath.h"

void descriptors_allow(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS_MAX)
        return;
    limit.rlim_cur = min_u64(limit.rlim_max, DESCRIPTORS_MAX);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

bool descriptors_spare(int fd)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
           (rlim_t)fd + min_u64(DESCRIPTORS_SPARE, limit.rlim_cur / 4) < limit.rlim_cur;
}
