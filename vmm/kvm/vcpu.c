// SPDX-License-Identifier: BSD-2-Clause
/*
 * Running a vCPU, and stopping it. A kick must not be lost wherever the vCPU's thread is:
 *
 *   kicker                          vCPU's thread
 *   kicked = true                   KVM_RUN reads immediate_exit on entry
 *   immediate_exit = 1              and returns EINTR for it, or for a signal later on
 *   signal the thread               immediate_exit = 0, then exchange(kicked, false)
 *
 * Before entry, immediate_exit stops it; after entry, the signal does, since its handler does not
 * restart the call. A signal that arrives too late costs one more HV_EXIT_INTERRUPTED. Whatever the
 * kicker wrote before the kick is seen after the exit: the exchange reads what the kicker stored.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "kvm/impl.h"

#define KICK_SIGNAL SIGRTMIN

static void immediate_exit_set(struct hv_vcpu *v, uint8_t value)
{
    __atomic_store_n(&v->run->immediate_exit, value, __ATOMIC_SEQ_CST);
}

int kvm_vcpu_open(struct hv_vm *vm, unsigned id)
{
    if (vm->vcpu_fds[id] < 0)
        vm->vcpu_fds[id] = kvm_ioctl(vm->fd, KVM_CREATE_VCPU, id);
    return vm->vcpu_fds[id] < 0 ? fail(vm->vcpu_fds[id], "vCPU %u: KVM_CREATE_VCPU", id) : 0;
}

int kvm_vcpu_create(struct hv_vcpu **out, struct hv_vm *vm, unsigned id)
{
    struct hv_vcpu *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return fail(-ENOMEM, "vCPU %u", id);
    v->vm = vm;
    v->id = id;
    v->run = MAP_FAILED;
    v->stats_fd = -1;
    int err = kvm_vcpu_open(vm, id);
    v->fd = vm->vcpu_fds[id];
    if (err < 0) {
        kvm_vcpu_destroy(v);
        return err;
    }
    v->run = mmap(NULL, vm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED) {
        err = fail(-errno, "vCPU %u: map its state", id);
        kvm_vcpu_destroy(v);
        return err;
    }
    if (id == 0)
        kvm_arch_counter_begin(v);
    if (vm->stats)
        v->stats_fd = kvm_stats_open(v->fd);
    *out = v;
    return 0;
}

void kvm_vcpu_destroy(struct hv_vcpu *v)
{
    if (v == NULL)
        return;
    if (v->run != MAP_FAILED)
        munmap(v->run, v->vm->run_bytes);
    if (v->stats_fd >= 0)
        close(v->stats_fd);
    /* A controller of the board's interrupts it as long as there are devices: the VM closes it. */
    if (v->fd >= 0 && !v->vm->has_no_irqchip) {
        close(v->fd);
        v->vm->vcpu_fds[v->id] = -1;
    }
    free(v);
}

static void on_kick(int signal)
{
    (void)signal; /* it is enough that KVM_RUN was interrupted */
}

static void kick_handler_install(void)
{
    struct sigaction action = {.sa_handler = on_kick}; /* no SA_RESTART */
    sigaction(KICK_SIGNAL, &action, NULL);
}

void kvm_vcpu_bind_thread(struct hv_vcpu *v)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, kick_handler_install);
    sigset_t kick;
    sigemptyset(&kick);
    sigaddset(&kick, KICK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
    atomic_store(&v->tid, (pid_t)syscall(SYS_gettid));
}

/* By thread id and not by pthread_t: a kick may come when the thread has already ended. */
void kvm_vcpu_kick(struct hv_vcpu *v)
{
    atomic_store(&v->kicked, true);
    immediate_exit_set(v, 1);
    pid_t tid = atomic_load(&v->tid);
    if (tid != 0)
        syscall(SYS_tgkill, getpid(), tid, KICK_SIGNAL);
}

static void interrupted(struct hv_vcpu *v, struct hv_exit *exit)
{
    immediate_exit_set(v, 0);
    atomic_exchange(&v->kicked, false);
    *exit = (struct hv_exit){.reason = HV_EXIT_INTERRUPTED, .raw_reason = KVM_EXIT_INTR};
}

int kvm_vcpu_run(struct hv_vcpu *v, struct hv_exit *exit)
{
    while (!v->exit_waiting && ioctl(v->fd, KVM_RUN, 0) < 0) {
        switch (errno) {
        case EINTR:
            interrupted(v, exit);
            return 0;
        case EAGAIN: /* it waited to be started, and was */
            continue;
        case EFAULT:
            return fail(-EFAULT, "vCPU %u: KVM_RUN: guest memory cannot be reached", v->id);
        default:
            return fail(-errno, "vCPU %u: KVM_RUN", v->id);
        }
    }
    v->exit_waiting = false;
    kvm_exit_decode(v->run, exit);
    return 0;
}

/*
 * KVM finishes a port or memory access when it is entered again; immediate_exit makes it leave
 * before guest code runs. An access in several parts comes back with the next one instead.
 */
void kvm_vcpu_complete(struct hv_vcpu *v)
{
    if (v->exit_waiting)
        return;
    immediate_exit_set(v, 1);
    v->exit_waiting = ioctl(v->fd, KVM_RUN, 0) == 0;
    immediate_exit_set(v, 0);
    if (atomic_load(&v->kicked)) /* it came while we held immediate_exit */
        immediate_exit_set(v, 1);
}

static void decode_system_event(const struct kvm_run *run, struct hv_exit *exit)
{
    exit->raw_detail = run->system_event.type;
    switch (run->system_event.type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN:
        exit->reason = HV_EXIT_POWER_OFF;
        break;
    case KVM_SYSTEM_EVENT_RESET:
        exit->reason = HV_EXIT_RESET;
        break;
    case KVM_SYSTEM_EVENT_CRASH:
        exit->reason = HV_EXIT_CRASH;
        break;
    default:
        exit->reason = HV_EXIT_UNKNOWN;
        break;
    }
}

void kvm_exit_decode(struct kvm_run *run, struct hv_exit *exit)
{
    *exit = (struct hv_exit){.reason = HV_EXIT_UNKNOWN, .raw_reason = run->exit_reason};
    switch (run->exit_reason) {
    case KVM_EXIT_IO:
        exit->reason = HV_EXIT_PIO;
        exit->addr = run->io.port;
        exit->data = (uint8_t *)run + run->io.data_offset;
        exit->width = run->io.size;
        exit->count = run->io.count;
        exit->is_write = run->io.direction == KVM_EXIT_IO_OUT;
        break;
    case KVM_EXIT_MMIO:
        exit->reason = HV_EXIT_MMIO;
        exit->addr = run->mmio.phys_addr;
        exit->data = run->mmio.data;
        exit->width = run->mmio.len;
        exit->count = 1;
        exit->is_write = run->mmio.is_write;
        break;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
        exit->reason = HV_EXIT_INTERRUPTED;
        break;
    case KVM_EXIT_HLT:
        exit->reason = HV_EXIT_HALT;
        break;
    case KVM_EXIT_SHUTDOWN:
        exit->reason = HV_EXIT_SHUTDOWN;
        break;
    case KVM_EXIT_SYSTEM_EVENT:
        decode_system_event(run, exit);
        break;
    case KVM_EXIT_FAIL_ENTRY:
        exit->reason = HV_EXIT_ENTRY_FAILED;
        exit->raw_detail = run->fail_entry.hardware_entry_failure_reason;
        break;
    case KVM_EXIT_INTERNAL_ERROR:
        exit->reason = HV_EXIT_INTERNAL_ERROR;
        exit->raw_detail = run->internal.suberror;
        break;
    case KVM_EXIT_UNKNOWN:
        exit->raw_detail = run->hw.hardware_exit_reason;
        break;
    case KVM_EXIT_EXCEPTION:
        exit->raw_detail = run->ex.exception;
        break;
    default: /* the rest is for what this VMM never enables, and for other architectures */
        break;
    }
}
