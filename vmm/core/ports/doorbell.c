// SPDX-License-Identifier: BSD-2-Clause
#include "core/ports/doorbell.h"

#include <errno.h>

static int none_bind(void *ctx, const struct doorbell_addr *addr, int eventfd)
{
    (void)ctx;
    (void)addr;
    (void)eventfd;
    return -ENOSYS;
}

const struct doorbell doorbell_none = {.bind = none_bind, .unbind = none_bind};
