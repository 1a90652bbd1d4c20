// SPDX-License-Identifier: BSD-2-Clause
/* The ways in which x86-64 alone ends a run. */
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

static void triple_fault(void)
{
    CHECK_EQ(run("triple_fault"), TVM_PANIC);
    CHECK(strstr(t.log, "triple-faulted"));
    tvm_destroy(&t);
}

static void emulation_failure(void)
{
    CHECK_EQ(run("emulation_failure"), TVM_FAULT);
    const char *const parts[] = {
        "vCPU 0: KVM internal error, suberror 1: an instruction could not be emulated",
        "code at rip: d9 ", /* flds */
        "rip 00000000001",
        "cs  0008 base 0000000000000000",
        "cr0 00000000800000",
    };
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (strstr(t.log, parts[i]) == NULL)
            tap_fail(__FILE__, __LINE__, "no '%s' in: %s", parts[i], t.log);
    }
    tvm_destroy(&t);
}

const struct tap_test fault_tests[] = {
    {"ends: triple fault", triple_fault, 0},
    {"ends: an emulation failure is explained", emulation_failure, 0},
    {0},
};
