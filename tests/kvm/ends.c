// SPDX-License-Identifier: BSD-2-Clause
/* The ways in which a run can end. */
#include <string.h>

#include "tap.h"
#include "tvm.h"

static struct tvm t;

static enum tvm_end run(const char *guest)
{
    tvm_create(&t, &(struct tvm_config){.guest = guest});
    tvm_start(&t);
    return tvm_wait(&t);
}

static void power_off(void)
{
    CHECK_EQ(run("power_off"), TVM_OFF);
    tvm_destroy(&t);
}

static void exception(void)
{
    CHECK_EQ(run("exception"), TVM_STATUS);
    CHECK_EQ(t.exit_status, 2);
    const char *told = strstr(t.text, "unexpected vector "); /* the one that it had said */
    CHECK(told != NULL && strncmp(strchr(told, 'v') + strlen("vector "), t.text, 16) == 0);
    tvm_destroy(&t);
}

const struct tap_test end_tests[] = {
    {"ends: power-off", power_off, 0},
    {"ends: an exception is the guest's own affair", exception, 0},
    {0},
};
