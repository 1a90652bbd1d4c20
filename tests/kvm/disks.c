// SPDX-License-Identifier: BSD-2-Clause
/* Whole machines with disks: who serves them, the guest does not see. */
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch/arch.h"
#include "core/base/clock.h"
#include "core/base/xmath.h"
#include "core/tape/tape.h"
#include "kvm/kvm.h"
#include "tap.h"
#include "tvm.h"
#include "vmm/config/config.h"
#include "vmm/machine/machine.h"
#include "vmm/replay/replay.h"

static sem_t ended;
static _Atomic int end_status;

static void on_end(void *ctx, enum power_event how, int status)
{
    (void)ctx;
    atomic_store(&end_status, how == POWER_EXIT ? status : -1);
    sem_post(&ended);
}

/* The guest reads from the first disk, and fails if a request does; 0: until it has enough. */
static void run_on(const char *rng, const char *first, const char *second, unsigned stop_after_ms,
                   const char *record)
{
    struct tape *tape = NULL;
    char kernel[TVM_PATH];
    tvm_guest(kernel, "blk");
    char *argv[] = {
        "run",         kernel,         "-m",
        "128",         "-a",           stop_after_ms > 0 ? "depth=16" : "depth=16 requests=2000",
        "--console",   "off",          "--rng",
        (char *)rng,   "-d",           (char *)first,
        "-d",          (char *)second, "--record",
        (char *)record};
    int argc = (int)ARRAY_SIZE(argv) - (record == NULL ? 2 : 0);
    struct vm_config vm;
    struct machine *m;
    CHECK_EQ(sem_init(&ended, 0, 0), 0);
    CHECK_EQ(config_parse(&vm, argc, argv), 0);
    if (record != NULL)
        CHECK_EQ(tape_record(&tape, record, &clock_host, argc, argv), 0);
    CHECK_EQ(machine_create(&m, &(struct machine_config){.vm = &vm,
                                                         .arch = &arch_host,
                                                         .hv = &hv_kvm,
                                                         .tape = tape,
                                                         .power = {.request = on_end}}),
             0);
    CHECK_EQ(machine_start(m), 0);
    if (stop_after_ms > 0) {
        usleep(stop_after_ms * 1000);
    } else {
        sem_wait(&ended);
        CHECK_EQ(atomic_load(&end_status), 0);
    }
    machine_stop(m);
    machine_destroy(m);
    config_free(&vm);
    tape_destroy(tape);
}

static void run(const char *first, const char *second, unsigned stop_after_ms)
{
    run_on("on,iothread=b", first, second, stop_after_ms, NULL);
}

static void main_thread(void)
{
    run("null:64M", "null:64M", 0);
}

static void one_thread(void)
{
    run("null:64M,iothread=a", "null:64M,iothread=a", 0);
}

static void several_threads(void)
{
    run("null:64M,queues=3,iothread=a:b", "null:64M,queues=2,iothread=b:a", 0);
}

static void stopped_at_work(void)
{
    for (unsigned ms = 1; ms <= 64; ms *= 2) /* some moment of its work, or before */
        run("null:64M,queues=3,iothread=a:b", "null:64M,iothread=b", ms);
}

static void recorded(const char *first, unsigned stop_after_ms)
{
    char path[64];
    char *said = NULL;
    size_t len;
    snprintf(path, sizeof(path), "/tmp/minivet-tape-%d", (int)getpid());
    run_on("on", first, "null:64M", stop_after_ms, path);
    FILE *out = open_memstream(&said, &len);
    int result = replay_run(path, out, false);
    fclose(out);
    unlink(path);
    if (result != 0)
        tap_say("%s", said);
    free(said);
    CHECK_EQ(result, 0);
}

static void recorded_and_replayed(void)
{
    recorded("null:64M", 0);
    recorded("null:64M,iops=20000,queues=3", 0);
    recorded("null:64M,transport=pci", 16);
}

const struct tap_test disk_tests[] = {
    {"disks: served by the main thread", main_thread, 0},
    {"disks: two served by one thread of their own", one_thread, 0},
    {"disks: queues served by several threads, which two disks share", several_threads, 0},
    {"disks: a machine ends while its threads are at work", stopped_at_work, 0},
    {"disks: what a guest did to them is recorded, and replayed", recorded_and_replayed, 0},
    {0},
};
