// SPDX-License-Identifier: BSD-2-Clause
#include "core/loop/may_block.h"

#include "core/base/fail.h"

#ifdef MINIVET_DEBUG

static _Thread_local unsigned forbidden_count;

void may_block(void)
{
    BUG_ON(forbidden_count > 0);
}

void may_block_forbid(void)
{
    forbidden_count++;
}

void may_block_allow(void)
{
    BUG_ON(forbidden_count == 0);
    forbidden_count--;
}

unsigned may_block_lift(void)
{
    unsigned forbidden = forbidden_count;
    forbidden_count = 0;
    return forbidden;
}

void may_block_restore(unsigned forbidden)
{
    forbidden_count = forbidden;
}

#endif
