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

/* The guest reads from the first disk, and fails if a request does. */
struct work {
    const char *rng, *first, *second;
    const char *orders;     /* NULL: many requests at once */
    unsigned stop_after_ms; /* 0: until it has enough */
    const char *record;
};

static void do_work(const struct work *w)
{
    static const char *const many = "depth=16", *const enough = "depth=16 requests=2000";
    const char *orders = w->stop_after_ms > 0 ? many : w->orders != NULL ? w->orders : enough;
    struct tape *tape = NULL;
    char kernel[TVM_PATH];
    tvm_guest(kernel, "blk");
    char *argv[] = {"run",       kernel,
                    "-m",        "128",
                    "-a",        (char *)orders,
                    "--console", "off",
                    "--rng",     (char *)w->rng,
                    "-d",        (char *)w->first,
                    "-d",        (char *)w->second,
                    "--record",  (char *)w->record};
    int argc = (int)ARRAY_SIZE(argv) - (w->record == NULL ? 2 : 0);
    struct vm_config vm;
    struct machine *m;
    CHECK_EQ(sem_init(&ended, 0, 0), 0);
    CHECK_EQ(config_parse(&vm, argc, argv), 0);
    if (w->record != NULL)
        CHECK_EQ(tape_record(&tape, w->record, &clock_host, argc, argv), 0);
    CHECK_EQ(machine_create(&m, &(struct machine_config){.vm = &vm,
                                                         .arch = &arch_host,
                                                         .hv = &hv_kvm,
                                                         .tape = tape,
                                                         .power = {.request = on_end}}),
             0);
    CHECK_EQ(machine_start(m), 0);
    if (w->stop_after_ms > 0) {
        usleep(w->stop_after_ms * 1000);
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
    do_work(&(struct work){
        .rng = "on,iothread=b", .first = first, .second = second, .stop_after_ms = stop_after_ms});
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

/* It sleeps until each interrupt: none may be lost. */
static void by_interrupts(void)
{
    static const char *const rings[] = {"event_idx=0", "event_idx=1", "packed=1"};
    for (unsigned i = 0; i < ARRAY_SIZE(rings); i++) {
        char orders[64];
        const char *disk = i == 2 ? "null:64M,ring=packed" : "null:64M";
        snprintf(orders, sizeof(orders), "irq=1 depth=2 requests=500 %s", rings[i]);
        do_work(&(struct work){"on", disk, "null:64M", orders, 0, NULL});
    }
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
    do_work(&(struct work){.rng = "on",
                           .first = first,
                           .second = "null:64M",
                           .stop_after_ms = stop_after_ms,
                           .record = path});
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
    {"disks: a guest waits for their interrupts", by_interrupts, 0},
    {"disks: a machine ends while its threads are at work", stopped_at_work, 0},
    {"disks: what a guest did to them is recorded, and replayed", recorded_and_replayed, 0},
    {0},
};
