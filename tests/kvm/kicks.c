// SPDX-License-Identifier: BSD-2-Clause
/* A vCPU stops when it is asked to, whatever the guest does, and nothing is lost by it. */
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "kvm/kvm.h"
#include "tap.h"
#include "tvm.h"

static struct tvm t;

static uint64_t counter(unsigned cpu)
{
    return atomic_load(tvm_counters(&t) + cpu);
}

static void wait_for_progress(unsigned cpu, uint64_t from)
{
    while (counter(cpu) == from)
        sched_yield();
}

/* The guest makes no exits of its own: only the kick stops it. */
static void pause_spinning(unsigned cpus, unsigned times)
{
    tvm_create(&t, &(struct tvm_config){.guest = "spin", .cpus = cpus});
    tvm_start(&t);
    tvm_wait_stamp(&t, 0);
    for (unsigned i = 0; i < times; i++) {
        uint64_t before[4];
        for (unsigned cpu = 0; cpu < cpus; cpu++)
            wait_for_progress(cpu, counter(cpu));
        vcpus_stop(t.vcpus);
        for (unsigned cpu = 0; cpu < cpus; cpu++)
            before[cpu] = counter(cpu);
        for (unsigned yields = 0; yields < 100; yields++)
            sched_yield();
        for (unsigned cpu = 0; cpu < cpus; cpu++)
            CHECK_EQ(counter(cpu), before[cpu]);
        CHECK_EQ(vcpus_start(t.vcpus), 0);
    }
    vcpus_stop(t.vcpus);
    tvm_destroy(&t);
}

static void spinning(void)
{
    pause_spinning(1, 100);
}

static void spinning_smp(void)
{
    pause_spinning(4, 10);
}

/* CPU 1 waits for a start that never comes. */
static void waiting_for_start(void)
{
    tvm_create(&t, &(struct tvm_config){.guest = "framebuffer", .cpus = 2});
    tvm_start(&t);
    tvm_wait_stamp(&t, 0);
    for (unsigned i = 0; i < 20; i++) {
        vcpus_stop(t.vcpus);
        CHECK_EQ(vcpus_start(t.vcpus), 0);
    }
    vcpus_stop(t.vcpus);
    tvm_destroy(&t);
}

static void memory_access(void)
{
    tvm_run_paused("mmio");
}

/* Before its first entry there is no thread to signal; the kick must hold all the same. */
static void kick_before_start(void)
{
    tvm_create(&t, &(struct tvm_config){.guest = "spin"});
    struct hv_vcpu *v = vcpus_get(t.vcpus, 0);
    struct hv_exit exit;
    hv_kvm.vcpu_kick(v);
    hv_kvm.vcpu_bind_thread(v);
    CHECK_EQ(hv_kvm.vcpu_run(v, &exit), 0);
    CHECK_EQ(exit.reason, HV_EXIT_INTERRUPTED);
    /* The next run is a run again: the guest comes to its first access. */
    CHECK_EQ(hv_kvm.vcpu_run(v, &exit), 0);
    CHECK(exit.reason == HV_EXIT_PIO || exit.reason == HV_EXIT_MMIO);
    /* A kick during completion is kept for the run that follows. */
    memset(exit.data, 1, exit.width);
    hv_kvm.vcpu_kick(v);
    hv_kvm.vcpu_complete(v);
    CHECK_EQ(hv_kvm.vcpu_run(v, &exit), 0);
    CHECK_EQ(exit.reason, HV_EXIT_INTERRUPTED);
    tvm_destroy(&t);
}

const struct tap_test kick_tests[] = {
    {"kicks: a spinning guest pauses and goes on", spinning, 0},
    {"kicks: four spinning CPUs pause and go on", spinning_smp, 0},
    {"kicks: a CPU that waits for its start pauses", waiting_for_start, 0},
    {"kicks: pauses lose no memory access", memory_access, 0},
    {"kicks: one that comes before the thread is not lost", kick_before_start, 0},
    {0},
};
