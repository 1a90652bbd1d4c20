// SPDX-License-Identifier: BSD-2-Clause
/* A vCPU's registers: at power-on, and for messages. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "arch/arm64/hv_arm64.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "kvm/impl.h"

#define CORE(member)                                       \
    (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
     offsetof(struct kvm_regs, member) / sizeof(uint32_t))
#define CORE_X(n) (CORE(regs.regs[0]) + (n) * (sizeof(uint64_t) / sizeof(uint32_t)))

#define MPIDR_EL1 ARM64_SYS_REG(3, 0, 0, 0, 5)
#define ESR_EL1   ARM64_SYS_REG(3, 0, 5, 2, 0)
#define FAR_EL1   ARM64_SYS_REG(3, 0, 6, 0, 0)
#define VBAR_EL1  ARM64_SYS_REG(3, 0, 12, 0, 0)
#define SCTLR_EL1 ARM64_SYS_REG(3, 0, 1, 0, 0)

#define PSTATE_I       (UINT64_C(1) << 7) /* interrupts are masked */
#define MPIDR_AFFINITY UINT64_C(0xff00ffffff)

static int reg_get(int fd, uint64_t id, uint64_t *value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)value};
    return kvm_ioctl_ptr(fd, KVM_GET_ONE_REG, &reg);
}

static int reg_set(const struct hv_vcpu *v, uint64_t id, uint64_t value)
{
    struct kvm_one_reg reg = {.id = id, .addr = (uintptr_t)&value};
    int err = kvm_ioctl_ptr(v->fd, KVM_SET_ONE_REG, &reg);
    return err < 0 ? fail(err, "vCPU %u: set registers", v->id) : 0;
}

static int affinity(struct hv_vm *vm, unsigned id, uint64_t *out)
{
    int err = reg_get(vm->vcpu_fds[id], MPIDR_EL1, out);
    *out &= MPIDR_AFFINITY;
    return err < 0 ? fail(err, "vCPU %u: get registers", id) : 0;
}

/* The rest is as the reset left it: EL1, exceptions masked, no translation. */
static int set_entry(struct hv_vcpu *v, uint64_t pc, uint64_t x0)
{
    int err = reg_set(v, CORE(regs.pc), pc);
    return err < 0 ? err : reg_set(v, CORE_X(0), x0);
}

static struct hv_arm64_parts parts(const struct hv_vm *vm)
{
    return (struct hv_arm64_parts){.has_gicv2 = vm->has_gicv2,
                                   .has_pmu = (vm->cpu_features & HV_CPU_PMU) != 0};
}

const struct hv_arch kvm_hv_arch = {.parts = parts, .affinity = affinity, .set_entry = set_entry};

/* Guests use the processor's own counter. */
int kvm_arch_clock_enabled(struct hv_vcpu *v)
{
    (void)v;
    return -ENOTSUP;
}

void kvm_arch_paused(struct hv_vcpu *v)
{
    (void)v; /* KVM has no way to tell the guest */
}

void kvm_arch_counter_begin(struct hv_vcpu *v)
{
    (void)v;
}

int kvm_arch_counter(struct hv_vm *vm, enum hv_counter counter, uint64_t *cycles)
{
    (void)vm;
    (void)counter;
    (void)cycles;
    return -ENOTSUP;
}

/* Does it wait for interrupts? Each look makes it go on, and wait again. */
static bool waits(struct hv_vcpu *v)
{
    uint64_t before = v->waits;
    v->waits = kvm_vcpu_stat(v, "wfi_exit_stat");
    return v->waits != before;
}

/* Linux waits with interrupts masked: those that are pending end that, too. */
int kvm_arch_doing(struct hv_vcpu *v)
{
    struct kvm_mp_state mp;
    uint64_t pstate = 0;
    bool is_waiting = waits(v);
    int err = kvm_ioctl_ptr(v->fd, KVM_GET_MP_STATE, &mp);
    if (err >= 0)
        err = reg_get(v->fd, CORE(regs.pstate), &pstate);
    if (err < 0)
        return err;
    if (mp.mp_state == KVM_MP_STATE_STOPPED)
        return HV_IS_OFF;
    return is_waiting || !(pstate & PSTATE_I) ? HV_DOES_WELL : HV_RUNS_MASKED;
}

static void print(const struct hv_vcpu *v, const char *name, uint64_t id, const char *end,
                  FILE *out)
{
    uint64_t value;
    if (reg_get(v->fd, id, &value) < 0)
        fprintf(out, "%-5s %-16s%s", name, "?", end);
    else
        fprintf(out, "%-5s %016" PRIx64 "%s", name, value, end);
}

void kvm_arch_state_print(struct hv_vcpu *v, const struct hv_exit *e, FILE *out)
{
    const struct {
        const char *name;
        uint64_t id;
    } others[] = {{"pc", CORE(regs.pc)},  {"cpsr", CORE(regs.pstate)},
                  {"sp0", CORE(regs.sp)}, {"sp1", CORE(sp_el1)},
                  {"elr", CORE(elr_el1)}, {"spsr", CORE(spsr[KVM_SPSR_EL1])},
                  {"esr", ESR_EL1},       {"far", FAR_EL1},
                  {"vbar", VBAR_EL1},     {"sctlr", SCTLR_EL1}};
    (void)e;
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        print(v, others[i].name, others[i].id,
              i % 4 == 3 || i + 1 == ARRAY_SIZE(others) ? "\n" : "  ", out);
    for (unsigned i = 0; i <= 30; i++) {
        char name[4];
        snprintf(name, sizeof(name), "x%u", i);
        print(v, name, CORE_X(i), i % 4 == 3 || i == 30 ? "\n" : "  ", out);
    }
}
