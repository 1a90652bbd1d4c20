// SPDX-License-Identifier: BSD-2-Clause
/* riscv64's APLIC and IMSICs, as KVM is asked for them: with a KVM that only writes it down. */
#include "kvm_aia.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arch/riscv64/hv_riscv64.h"
#include "core/base/xmath.h"
#include "core/ports/irq.h"
#include "kvm/impl.h"
#include "kvm/riscv64/riscv64.h"
#include "tests/harness/listen.h"
#include "tests/harness/test.h"

#define IMSIC(vcpu) (HV_RISCV64_IMSIC_GPA + (vcpu)*HV_RISCV64_IMSIC_BYTES)
#define CALLS       80
#define ROUTES      (HV_RISCV64_LINES + 4)

/* Only what changes something is written down. */
struct call {
    unsigned long request;
    uint64_t what, value; /* an attribute's group and number, a register, an interrupt; its value */
};

static struct {
    bool has_irqchip;
    unsigned fail_at; /* this one of the calls, from 1 up */
    struct call calls[CALLS];
    unsigned count;
    int device_fd;
    unsigned route_count;
    struct kvm_irq_routing_entry routes[ROUTES];
    struct kvm_msi msi;
} kvm;

static struct hv_vm vm;

static int note(unsigned long request, uint64_t what, uint64_t value)
{
    cr_assert_lt(kvm.count, CALLS);
    kvm.calls[kvm.count++] = (struct call){request, what, value};
    return kvm.count == kvm.fail_at ? -EIO : 0;
}

#define ATTR(group, attr) ((uint64_t)(group) << 32 | (attr))

static int note_attr(const struct kvm_device_attr *a)
{
    uint32_t word = 0;
    uint64_t gpa = 0;
    if (a->group == RISCV_AIA_CONFIG)
        memcpy(&word, (const void *)(uintptr_t)a->addr, sizeof(word));
    if (a->group == RISCV_AIA_ADDR)
        memcpy(&gpa, (const void *)(uintptr_t)a->addr, sizeof(gpa));
    return note(KVM_SET_DEVICE_ATTR, ATTR(a->group, a->attr), word + gpa);
}

int aia_ioctl(int fd, unsigned long request, unsigned long arg)
{
    void *at = (void *)(uintptr_t)arg;
    (void)fd;
    switch (request) {
    case KVM_CHECK_EXTENSION:
        return arg == KVM_CAP_IRQCHIP && kvm.has_irqchip;
    case KVM_CREATE_DEVICE:
        ((struct kvm_create_device *)at)->fd = (uint32_t)(kvm.device_fd = eventfd(0, EFD_CLOEXEC));
        return note(request, ((const struct kvm_create_device *)at)->type, 0);
    case KVM_SET_DEVICE_ATTR:
        return note_attr(at);
    case KVM_SET_ONE_REG:
        return note(request, ((const struct kvm_one_reg *)at)->id,
                    *(const uint64_t *)(uintptr_t)((const struct kvm_one_reg *)at)->addr);
    case KVM_IRQ_LINE:
        return note(request, ((const struct kvm_irq_level *)at)->irq,
                    ((const struct kvm_irq_level *)at)->level);
    case KVM_IRQFD:
        return note(request, ((const struct kvm_irqfd *)at)->gsi,
                    ((const struct kvm_irqfd *)at)->flags);
    case KVM_SIGNAL_MSI:
        memcpy(&kvm.msi, at, sizeof(kvm.msi));
        return 1;
    default:
        cr_assert_eq(request, KVM_SET_GSI_ROUTING);
        kvm.route_count = ((const struct kvm_irq_routing *)at)->nr;
        cr_assert_leq(kvm.route_count, ROUTES);
        memcpy(kvm.routes, ((const struct kvm_irq_routing *)at)->entries,
               kvm.route_count * sizeof(kvm.routes[0]));
        return 0;
    }
}

int aia_vcpu_open(struct hv_vm *v, unsigned id)
{
    v->vcpu_fds[id] = 100 + (int)id;
    return note(KVM_CREATE_VCPU, id, 0);
}

static void setup(void)
{
    kvm.has_irqchip = true;
    vm = (struct hv_vm){.vcpus = 3};
    pthread_mutex_init(&vm.routes_lock, NULL);
    listen_to_log(LOG_ERROR);
}

static void teardown(void)
{
    kvm_irq_fini(&vm);
}

TestSuite(kvm_aia, .init = setup, .fini = teardown);

static void expect_calls(const struct call *calls, unsigned count)
{
    cr_assert_eq(kvm.count, count);
    for (unsigned i = 0; i < count; i++) {
        cr_expect_eq(kvm.calls[i].request, calls[i].request, "call %u", i);
        cr_expect_eq(kvm.calls[i].what, calls[i].what, "call %u", i);
        cr_expect_eq(kvm.calls[i].value, calls[i].value, "call %u", i);
    }
}

#define VCPU(id)                                                                               \
    {KVM_CREATE_VCPU, id, 0}, {KVM_SET_ONE_REG, RISCV_REG_SBI_EXT(RISCV_SBI_EXPERIMENTAL), 0}, \
    {                                                                                          \
        KVM_SET_ONE_REG, RISCV_REG_SBI_EXT(RISCV_SBI_VENDOR), 0                                \
    }
#define CONFIG(attr, value)                                      \
    {                                                            \
        KVM_SET_DEVICE_ATTR, ATTR(RISCV_AIA_CONFIG, attr), value \
    }
#define PLACE(attr, gpa)                                     \
    {                                                        \
        KVM_SET_DEVICE_ATTR, ATTR(RISCV_AIA_ADDR, attr), gpa \
    }

/* The last of them, which makes the controllers, comes when all is said. */
Test(kvm_aia, controllers_are_set_up_after_all_vcpus)
{
    static const struct call calls[] = {
        VCPU(0),
        VCPU(1),
        VCPU(2),
        {KVM_CREATE_DEVICE, RISCV_DEV_AIA, 0},
        CONFIG(RISCV_AIA_IDS, 255),
        CONFIG(RISCV_AIA_SOURCES, 63),
        CONFIG(RISCV_AIA_HART_BITS, 2),
        PLACE(RISCV_AIA_ADDR_APLIC, HV_RISCV64_APLIC_GPA),
        PLACE(RISCV_AIA_ADDR_IMSIC, IMSIC(0)),
        PLACE(RISCV_AIA_ADDR_IMSIC + 1, IMSIC(1)),
        PLACE(RISCV_AIA_ADDR_IMSIC + 2, IMSIC(2)),
        {KVM_SET_DEVICE_ATTR, ATTR(RISCV_AIA_CTRL, 0), 0},
    };
    cr_expect_eq(kvm_arch_vm_init(&vm), 0);
    expect_calls(calls, ARRAY_SIZE(calls));
    cr_expect_not(vm.has_no_irqchip);
    cr_expect_eq(fcntl(kvm.device_fd, F_GETFD), -1, "the VM has the device, we no longer");
}

Test(kvm_aia, as_many_bits_as_the_vcpus_numbers_have)
{
    static const struct {
        unsigned vcpus, bits;
    } cases[] = {{1, 0}, {2, 1}, {4, 2}, {5, 3}, {16, 4}};
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        kvm.count = 0;
        vm.vcpus = cases[i].vcpus;
        cr_expect_eq(kvm_arch_vm_init(&vm), 0);
        cr_expect_eq(kvm.calls[3 * vm.vcpus + 3].what, ATTR(RISCV_AIA_CONFIG, RISCV_AIA_HART_BITS));
        cr_expect_eq(kvm.calls[3 * vm.vcpus + 3].value, cases[i].bits, "%u vCPUs", vm.vcpus);
    }
}

Test(kvm_aia, a_host_without_has_the_board_s_controller)
{
    static const struct call calls[] = {VCPU(0), VCPU(1), VCPU(2)};
    kvm.has_irqchip = false;
    cr_expect_eq(kvm_arch_vm_init(&vm), 0);
    cr_expect_eq(kvm_irq_init(&vm), 0);
    expect_calls(calls, ARRAY_SIZE(calls));
    cr_expect(vm.has_no_irqchip);
    cr_expect_eq(kvm.route_count, 0);
}

Test(kvm_aia, each_refusal_is_told)
{
    for (kvm.fail_at = 10; kvm.fail_at <= 18; kvm.fail_at++) {
        kvm.count = 0;
        listen_to_log(LOG_ERROR);
        cr_expect_eq(kvm_arch_vm_init(&vm), -EIO, "call %u", kvm.fail_at);
        expect_logged("interrupt controllers (AIA): ");
        cr_expect_eq(kvm.count, kvm.fail_at, "nothing is asked for after it");
        cr_expect(kvm.fail_at == 10 || fcntl(kvm.device_fd, F_GETFD) == -1);
    }
}

static void make_controllers(void)
{
    cr_assert_eq(kvm_arch_vm_init(&vm), 0);
    cr_assert_eq(kvm_irq_init(&vm), 0);
    kvm.count = 0;
}

/* An irqfd would raise it, and never lower it. */
Test(kvm_aia, wired_interrupts_are_levels_of_the_aplic_s_sources)
{
    static const struct call calls[] = {{KVM_IRQ_LINE, 16, 1}, {KVM_IRQ_LINE, 16, 0}};
    struct irq_line line;
    make_controllers();
    cr_assert_eq(kvm.route_count, HV_RISCV64_LINES);
    for (unsigned i = 0; i < HV_RISCV64_LINES; i++) {
        const struct kvm_irq_routing_entry *e = &kvm.routes[i];
        cr_expect(e->gsi == i && e->type == KVM_IRQ_ROUTING_IRQCHIP && e->u.irqchip.pin == i);
    }
    cr_assert_eq(kvm_irq_line(&vm, 16, IRQ_BY_EVENTFD, &line), 0);
    cr_expect_eq(line.eventfd, -1);
    irq_pulse(&line);
    expect_calls(calls, ARRAY_SIZE(calls));
    cr_expect_eq(kvm_irq_line(&vm, HV_RISCV64_LINES, IRQ_BY_CALL, &line), -EINVAL);
}

Test(kvm_aia, a_message_goes_to_a_vcpu_s_imsic)
{
    make_controllers();
    struct msi_sink sink = kvm_msi_sink(&vm, 8);
    cr_expect_eq(sink.ops->send(sink.ctx, IMSIC(1), 7), 0);
    cr_expect(kvm.msi.address_lo == IMSIC(1) && kvm.msi.address_hi == 0 && kvm.msi.data == 7);
    cr_expect_eq(kvm.msi.flags, 0, "who sends it is not asked");
    const uint64_t others[] = {IMSIC(1) + 4, IMSIC(HV_MAX_VCPUS), HV_RISCV64_APLIC_GPA,
                               IMSIC(0) - HV_RISCV64_IMSIC_BYTES, IMSIC(0) | UINT64_C(1) << 32};
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        cr_expect_eq(sink.ops->send(sink.ctx, others[i], 7), -EINVAL, "%u", i);
}

Test(kvm_aia, routes_of_messages_follow_the_wired_interrupts)
{
    static const struct call calls[] = {
        {KVM_IRQFD, HV_RISCV64_LINES, 0},
        {KVM_IRQFD, HV_RISCV64_LINES, KVM_IRQFD_FLAG_DEASSIGN},
    };
    const struct kvm_irq_routing_entry *e = &kvm.routes[HV_RISCV64_LINES];
    make_controllers();
    struct msi_sink sink = kvm_msi_sink(&vm, 8);
    cr_assert_eq(sink.ops->route_add(sink.ctx, 5, IMSIC(2), 0x21), 0);
    cr_assert_eq(kvm.route_count, HV_RISCV64_LINES + 1);
    cr_expect(e->gsi == HV_RISCV64_LINES && e->type == KVM_IRQ_ROUTING_MSI && e->flags == 0);
    cr_expect(e->u.msi.address_lo == IMSIC(2) && e->u.msi.address_hi == 0);
    cr_expect_eq(e->u.msi.data, 0x21);
    cr_assert_eq(sink.ops->route_set(sink.ctx, 0, IMSIC(0), 0x22), 0);
    cr_expect(e->u.msi.address_lo == IMSIC(0) && e->u.msi.data == 0x22);
    sink.ops->route_del(sink.ctx, 0, 5);
    cr_expect_eq(kvm.route_count, HV_RISCV64_LINES);
    expect_calls(calls, ARRAY_SIZE(calls));
}
