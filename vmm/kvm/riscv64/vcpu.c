// SPDX-License-Identifier: BSD-2-Clause
/* A vCPU: what it can do, its registers at power-on and for messages, its external interrupt. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arch/riscv64/hv_riscv64.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "kvm/impl.h"
#include "kvm/riscv64/riscv64.h"

#define SSAIA       "ssaia"
#define SSTATUS_SIE (UINT64_C(1) << 1) /* the supervisor takes interrupts */

/* enum KVM_RISCV_ISA_EXT_ID, in its order. */
static const char *const extensions[] = {
    "a",         "c",       "d",           "f",      "h",      "i",        "m",        "svpbmt",
    "sstc",      "svinval", "zihintpause", "zicbom", "zicboz", "zbb",      SSAIA,      "v",
    "svnapot",   "zba",     "zbs",         "zicntr", "zicsr",  "zifencei", "zihpm",    "smstateen",
    "zicond",    "zbc",     "zbkb",        "zbkc",   "zbkx",   "zknd",     "zkne",     "zknh",
    "zkr",       "zksed",   "zksh",        "zkt",    "zvbb",   "zvbc",     "zvkb",     "zvkg",
    "zvkned",    "zvknha",  "zvknhb",      "zvksed", "zvksh",  "zvkt",     "zfh",      "zfhmin",
    "zihintntl", "zvfh",    "zvfhmin",     "zfa",    "ztso",   "zacas",    "sscofpmf", "zimop",
    "zca",       "zcb",     "zcd",         "zcf",    "zcmop",  "zawrs",
};

static void add(struct hv_riscv64_cpu *cpu, const char *name)
{
    size_t len = strlen(name) + 1;
    if (len > sizeof(cpu->extensions) - cpu->extensions_bytes)
        return;
    memcpy(cpu->extensions + cpu->extensions_bytes, name, len);
    cpu->extensions_bytes += (uint32_t)len;
}

static bool has(int fd, const char *name)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(extensions); i++)
        if (strcmp(extensions[i], name) == 0)
            return riscv64_reg_get(fd, RISCV_REG_ISA_EXT(i), &value) >= 0 && value == 1;
    return false;
}

/* Letters first, in the order in which a string of them has to be; then all that have names. */
static void list_extensions(int fd, struct hv_riscv64_cpu *out)
{
    static const char *const letters[] = {"i", "m", "a", "f", "d", "c", "v"};
    for (unsigned i = 0; i < ARRAY_SIZE(letters); i++)
        if (has(fd, letters[i]))
            add(out, letters[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(extensions); i++)
        if (extensions[i][1] != '\0' && (out->has_aia || strcmp(extensions[i], SSAIA) != 0) &&
            has(fd, extensions[i]))
            add(out, extensions[i]);
}

static uint32_t config(int fd, unsigned n)
{
    uint64_t value = 0;
    return riscv64_reg_get(fd, RISCV_REG_CONFIG(n), &value) >= 0 ? (uint32_t)value : 0;
}

static int cpu(struct hv_vm *vm, struct hv_riscv64_cpu *out)
{
    int fd = vm->vcpu_fds[0];
    uint64_t hz = 0;
    int err = riscv64_reg_get(fd, RISCV_REG_TIMER_HZ, &hz);
    if (err < 0)
        return fail(err, "KVM: get the timer's frequency");
    *out = (struct hv_riscv64_cpu){.timebase_hz = (uint32_t)hz, .has_aia = !vm->has_no_irqchip};
    list_extensions(fd, out);
    if (has(fd, "zicbom"))
        out->cbom_bytes = config(fd, RISCV_CONFIG_CBOM_BYTES);
    if (has(fd, "zicboz"))
        out->cboz_bytes = config(fd, RISCV_CONFIG_CBOZ_BYTES);
    uint32_t mode = config(fd, RISCV_CONFIG_SATP_MODE); /* 8: Sv39, 9: Sv48, 10: Sv57 */
    if (mode >= 8 && mode <= 10)
        out->address_bits = 39 + 9 * (mode - 8);
    return 0;
}

/* a0 and a1. */
static int set_entry(struct hv_vcpu *v, uint64_t pc, uint64_t hart, uint64_t tree_gpa)
{
    int err = riscv64_reg_set(v->fd, RISCV_REG_CORE(0), pc);
    if (err >= 0)
        err = riscv64_reg_set(v->fd, RISCV_REG_CORE(10), hart);
    if (err >= 0)
        err = riscv64_reg_set(v->fd, RISCV_REG_CORE(11), tree_gpa);
    return err < 0 ? fail(err, "vCPU %u: set registers", v->id) : 0;
}

static void set_controller(struct hv_vm *vm, void (*set)(void *ctx, unsigned irq, bool level),
                           void *ctx)
{
    vm->line_set = set;
    vm->line_ctx = ctx;
}

static void interrupt(void *ctx, unsigned id, bool level)
{
    const struct hv_vm *vm = ctx;
    uint32_t arg = level ? (uint32_t)KVM_INTERRUPT_SET : (uint32_t)KVM_INTERRUPT_UNSET;
    (void)kvm_ioctl_ptr(vm->vcpu_fds[id], KVM_INTERRUPT, &arg);
}

const struct hv_arch kvm_hv_arch = {
    .cpu = cpu, .set_entry = set_entry, .set_controller = set_controller, .interrupt = interrupt};

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
    uint64_t sstatus = 0, is_supervisor = 0;
    bool is_waiting = waits(v);
    int err = kvm_ioctl_ptr(v->fd, KVM_GET_MP_STATE, &mp);
    if (err >= 0)
        err = riscv64_reg_get(v->fd, RISCV_REG_CSR(0), &sstatus);
    if (err >= 0)
        err = riscv64_reg_get(v->fd, RISCV_REG_CORE(32), &is_supervisor);
    if (err < 0)
        return err;
    if (mp.mp_state == KVM_MP_STATE_STOPPED)
        return HV_IS_OFF;
    bool masked = is_supervisor && !(sstatus & SSTATUS_SIE); /* programs cannot mask them */
    return is_waiting || !masked ? HV_DOES_WELL : HV_RUNS_MASKED;
}

static void print(const struct hv_vcpu *v, const char *name, uint64_t id, const char *end,
                  FILE *out)
{
    uint64_t value;
    if (riscv64_reg_get(v->fd, id, &value) < 0)
        fprintf(out, "%-7s %-16s%s", name, "?", end);
    else
        fprintf(out, "%-7s %016" PRIx64 "%s", name, value, end);
}

void kvm_arch_state_print(struct hv_vcpu *v, const struct hv_exit *e, FILE *out)
{
    static const char *const core[] = {"pc", "ra", "sp",  "gp",  "tp", "t0", "t1", "t2",
                                       "s0", "s1", "a0",  "a1",  "a2", "a3", "a4", "a5",
                                       "a6", "a7", "s2",  "s3",  "s4", "s5", "s6", "s7",
                                       "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};
    static const char *const csrs[] = {"sstatus", "sie",   "stvec", "sscratch", "sepc",
                                       "scause",  "stval", "sip",   "satp"};
    (void)e;
    for (unsigned i = 0; i < ARRAY_SIZE(core); i++)
        print(v, core[i], RISCV_REG_CORE(i), i % 4 == 3 ? "\n" : "  ", out);
    for (unsigned i = 0; i < ARRAY_SIZE(csrs); i++)
        print(v, csrs[i], RISCV_REG_CSR(i), i % 4 == 3 || i + 1 == ARRAY_SIZE(csrs) ? "\n" : "  ",
              out);
}
