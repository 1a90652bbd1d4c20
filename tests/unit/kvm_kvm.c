// SPDX-License-Identifier: BSD-2-Clause
#include "kvm/kvm.h"

#include "kvm/impl.h"
#include "tests/harness/test.h"

Test(kvm_kvm, a_missing_device_names_the_remedy)
{
    cr_expect(strstr(kvm_open_advice(EACCES, true), "usermod -aG kvm"));
    cr_expect(strstr(kvm_open_advice(EPERM, true), "usermod -aG kvm"));
    cr_expect_str_eq(kvm_open_advice(ENOENT, true), kvm_arch.load_advice);
    cr_expect_str_eq(kvm_open_advice(ENODEV, true), kvm_arch.load_advice);
    cr_expect(strstr(kvm_open_advice(ENOENT, false), "nested virtualization"));
    cr_expect(strstr(kvm_open_advice(ENOENT, false), "tools/testbed"));
    cr_expect_null(kvm_open_advice(EMFILE, true));
}

/* Holds on any host: either there is no KVM, and that is an error, or all of it is listed. */
Test(kvm_kvm, capabilities_are_listed_with_their_use)
{
    struct hv_capability caps[64];
    int n = hv_kvm.capabilities(caps, 64);
    if (n < 0)
        cr_skip("no KVM here: %s", strerror(-n));
    cr_expect_gt(n, 10);
    for (int i = 0; i < n; i++)
        cr_expect(caps[i].name && caps[i].used_for && caps[i].value >= 0);
    cr_expect_eq(hv_kvm.capabilities(caps, 3), n, "tells how many there are");
}

Test(kvm_kvm, every_verb_is_there)
{
    void *const *verbs = (void *const *)(const void *)&hv_kvm;
    for (size_t i = 0; i < sizeof(hv_kvm) / sizeof(void *); i++)
        cr_expect_not_null(verbs[i], "entry %zu", i);
}
