// SPDX-License-Identifier: BSD-2-Clause
/* What arm64's vCPUs may have, where a host has none of it. */
#include "kvm/impl.h"
#include "tests/harness/listen.h"
#include "tests/harness/test.h"

Test(kvm_platform, features_are_asked_for_by_their_names)
{
    static const struct {
        uint64_t on;
        const char *says;
    } wanted[] = {
        {HV_CPU_PMU, "--cpu-features +pmu: this host's processor has no performance counters"},
        {HV_CPU_SVE, "--cpu-features +sve: this host's processor has no scalable vectors"},
    };
    uint64_t features;
    for (unsigned i = 0; i < 2; i++) {
        listen_to_log(LOG_ERROR);
        const struct hv_vm_config on = {.cpu_on = wanted[i].on}, off = {.cpu_off = wanted[i].on};
        cr_expect_eq(kvm_cpu_features(-1, &on, &features), -ENOTSUP);
        expect_logged(wanted[i].says);
        cr_expect_eq(kvm_cpu_features(-1, &off, &features), 0, "there is nothing to turn off");
    }
}
