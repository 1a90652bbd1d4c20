// SPDX-License-Identifier: BSD-2-Clause
/* What a VM is refused, without a KVM. */
#include "core/base/xmath.h"
#include "kvm/impl.h"
#include "tests/harness/listen.h"
#include "tests/harness/test.h"

#define RAM_GPA UINT64_C(0x80000000)

static void setup(void)
{
    listen_to_log(LOG_ERROR);
}

TestSuite(kvm_vm, .init = setup);

Test(kvm_vm, memory_beyond_the_processor_s_addresses)
{
    cr_expect_eq(kvm_memory_refused(-EFAULT, RAM_GPA, 1024 * GIB, 40), -EFAULT);
    expect_logged("1048576 MiB of guest memory at 0x80000000: this host's processor has "
                  "guest-physical addresses of 40 bits; give --mem 1046528M or less");
}

Test(kvm_vm, memory_that_is_refused_for_another_reason)
{
    static const struct {
        int err;
        uint64_t bytes;
        unsigned bits;
    } cases[] = {
        {-EFAULT, 1022 * GIB, 40}, {-EFAULT, 1024 * GIB, 0}, {-EFAULT, GIB, 64},
        {-EINVAL, 1024 * GIB, 40}, {-ENOMEM, 32 * MIB, 40},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        cr_expect_eq(kvm_memory_refused(cases[i].err, RAM_GPA, cases[i].bytes, cases[i].bits),
                     cases[i].err);
        expect_logged(" MiB of guest memory at 0x80000000: ");
        expect_logged(strerror(-cases[i].err));
    }
}

/* No host has them behind this descriptor; x86-64 has none to choose. */
Test(kvm_vm, a_feature_that_the_host_cannot_give)
{
    uint64_t features = 1;
    cr_expect_eq(kvm_cpu_features(-1, &(struct hv_vm_config){.cpu_on = HV_CPU_SVE}, &features),
                 -ENOTSUP);
    expect_logged("--cpu-features");
    expect_logged("; leave it out");
    cr_expect_eq(kvm_cpu_features(-1, &(struct hv_vm_config){0}, &features), 0);
    cr_expect_eq(features, 0);
    cr_expect_eq(logged_lines, 1);
}
