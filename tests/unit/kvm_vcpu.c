// SPDX-License-Identifier: BSD-2-Clause
/* Exits, decoded without a KVM. */
#include "kvm/impl.h"
#include "tests/harness/test.h"

/* As KVM maps it: port data lies beyond the structure. */
static union {
    struct kvm_run run;
    uint8_t page[8192];
} shared;

static struct hv_exit decode(void)
{
    struct hv_exit e;
    memset(&e, 0x5a, sizeof(e));
    kvm_exit_decode(&shared.run, &e);
    return e;
}

Test(kvm_vcpu, port_access)
{
    shared.run.exit_reason = KVM_EXIT_IO;
    shared.run.io.direction = KVM_EXIT_IO_OUT;
    shared.run.io.size = 2;
    shared.run.io.port = 0x3f8;
    shared.run.io.count = 7;
    shared.run.io.data_offset = 4096;
    struct hv_exit e = decode();
    cr_expect_eq(e.reason, HV_EXIT_PIO);
    cr_expect(e.addr == 0x3f8 && e.width == 2 && e.count == 7 && e.is_write);
    cr_expect_eq(e.data, shared.page + 4096);
    shared.run.io.direction = KVM_EXIT_IO_IN;
    cr_expect_not(decode().is_write);
}

Test(kvm_vcpu, memory_access)
{
    shared.run.exit_reason = KVM_EXIT_MMIO;
    shared.run.mmio.phys_addr = 0x123456789000;
    shared.run.mmio.len = 8;
    shared.run.mmio.is_write = 1;
    struct hv_exit e = decode();
    cr_expect_eq(e.reason, HV_EXIT_MMIO);
    cr_expect(e.addr == 0x123456789000 && e.width == 8 && e.count == 1 && e.is_write);
    cr_expect_eq(e.data, shared.run.mmio.data);
}

Test(kvm_vcpu, reasons)
{
    static const struct {
        uint32_t kvm;
        enum hv_exit_reason hv;
    } table[] = {
        {KVM_EXIT_INTR, HV_EXIT_INTERRUPTED},
        {KVM_EXIT_IRQ_WINDOW_OPEN, HV_EXIT_INTERRUPTED},
        {KVM_EXIT_HLT, HV_EXIT_HALT},
        {KVM_EXIT_SHUTDOWN, HV_EXIT_SHUTDOWN},
        {KVM_EXIT_FAIL_ENTRY, HV_EXIT_ENTRY_FAILED},
        {KVM_EXIT_INTERNAL_ERROR, HV_EXIT_INTERNAL_ERROR},
        {KVM_EXIT_UNKNOWN, HV_EXIT_UNKNOWN},
        {KVM_EXIT_HYPERCALL, HV_EXIT_UNKNOWN},
        {9999, HV_EXIT_UNKNOWN},
    };
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        shared.run.exit_reason = table[i].kvm;
        cr_expect_eq(decode().reason, table[i].hv, "KVM exit %u", table[i].kvm);
        cr_expect_eq(decode().raw_reason, table[i].kvm);
    }
}

Test(kvm_vcpu, system_events)
{
    static const enum hv_exit_reason by_type[] = {
        [KVM_SYSTEM_EVENT_SHUTDOWN] = HV_EXIT_POWER_OFF,
        [KVM_SYSTEM_EVENT_RESET] = HV_EXIT_RESET,
        [KVM_SYSTEM_EVENT_CRASH] = HV_EXIT_CRASH,
        [KVM_SYSTEM_EVENT_SUSPEND] = HV_EXIT_UNKNOWN,
    };
    const uint32_t types[] = {KVM_SYSTEM_EVENT_SHUTDOWN, KVM_SYSTEM_EVENT_RESET,
                              KVM_SYSTEM_EVENT_CRASH, KVM_SYSTEM_EVENT_SUSPEND};
    shared.run.exit_reason = KVM_EXIT_SYSTEM_EVENT;
    for (unsigned i = 0; i < 4; i++) {
        shared.run.system_event.type = types[i];
        cr_expect_eq(decode().reason, by_type[types[i]]);
        cr_expect_eq(decode().raw_detail, types[i]);
    }
}
