// SPDX-License-Identifier: BSD-2-Clause
/* A guest's TSC: what the host says that it is, beside what KVM says. */
#include <unistd.h>

#include "core/memory/gmem.h"
#include "kvm/impl.h"
#include "kvm/kvm.h"
#include "tests/harness/test.h"

#define MSR_TSC 0x10u

static struct gmem *memory;
static struct hv_vm *vm;
static struct hv_vcpu *vcpus[2];

static void setup(void)
{
    if (access("/dev/kvm", R_OK | W_OK) != 0)
        cr_skip_test("there is no /dev/kvm");
    cr_assert_eq(gmem_create(&memory, 1 << 20, 0, 0), 0);
    cr_assert_eq(hv_kvm.vm_create(&vm, &(struct hv_vm_config){.memory = memory, .vcpus = 2}), 0);
    usleep(1000); /* so that an offset of nothing is seen */
    for (unsigned i = 0; i < 2; i++)
        cr_assert_eq(hv_kvm.vcpu_create(&vcpus[i], vm, i), 0);
}

static void teardown(void)
{
    for (unsigned i = 0; i < 2; i++)
        hv_kvm.vcpu_destroy(vcpus[i]);
    if (vm != NULL)
        hv_kvm.vm_destroy(vm);
    gmem_destroy(memory);
}

TestSuite(kvm_counter, .init = setup, .fini = teardown);

static uint64_t tsc_of(const struct hv_vcpu *v)
{
    _Alignas(struct kvm_msrs)
        uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)] = {0};
    struct kvm_msrs *m = (struct kvm_msrs *)(void *)room;
    m->nmsrs = 1;
    m->entries[0].index = MSR_TSC;
    cr_assert_eq(kvm_ioctl_ptr(v->fd, KVM_GET_MSRS, m), 1);
    return m->entries[0].data;
}

Test(kvm_counter, is_that_of_the_guests_processors)
{
    uint64_t cycles;
    if (hv_kvm.guest_counter(vm, HV_COUNTER_TSC, &cycles) == -ENOTSUP)
        cr_skip_test("this host's KVM does not tell the TSC's offset");
    for (unsigned i = 0; i < 100; i++) {
        uint64_t before = tsc_of(vcpus[i % 2]);
        cr_assert_eq(hv_kvm.guest_counter(vm, HV_COUNTER_TSC, &cycles), 0);
        uint64_t after = tsc_of(vcpus[i % 2]);
        cr_expect(before <= cycles && cycles <= after, "%u", i);
    }
}

Test(kvm_counter, is_not_told_when_the_host_has_slept)
{
    uint64_t cycles;
    if (hv_kvm.guest_counter(vm, HV_COUNTER_TSC, &cycles) == -ENOTSUP)
        cr_skip_test("this host's KVM does not tell the TSC's offset");
    vm->slept_ns -= UINT64_C(2000000000);
    cr_expect_lt(hv_kvm.guest_counter(vm, HV_COUNTER_TSC, &cycles), 0);
    cr_expect_eq(hv_kvm.guest_counter(vm, HV_COUNTER_VCT, &cycles), -ENOTSUP);
}
