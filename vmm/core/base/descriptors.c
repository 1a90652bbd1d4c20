// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/descriptors.h"

#include <sys/resource.h>

#include "core/base/xmath.h"

unsigned descriptors_allow(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    rlim_t more = min_u64(limit.rlim_max, DESCRIPTORS_MAX);
    if (limit.rlim_cur < more) {
        const struct rlimit raised = {more, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return (unsigned)min_u64(limit.rlim_cur, DESCRIPTORS_MAX);
}

bool descriptors_spare(int fd)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
           (rlim_t)fd + min_u64(DESCRIPTORS_SPARE, limit.rlim_cur / 4) < limit.rlim_cur;
}
