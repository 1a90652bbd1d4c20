// SPDX-License-Identifier: BSD-2-Clause
#include "core/ports/doorbell.h"
#include "tests/harness/test.h"

Test(core_doorbell, none_binds_nothing)
{
    struct doorbell_addr addr = {.space = BUS_MMIO, .addr = 0x1000, .len = 4};
    cr_assert_eq(doorbell_bind(&doorbell_none, &addr, 0), -ENOSYS);
    cr_assert_eq(doorbell_unbind(&doorbell_none, &addr, 0), -ENOSYS);
}
