// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whole machines whose guest means harm with several CPUs at once (guest-images/bare-metal/
 * hostile.c). The guest goes on until it is told its end, and nothing of it is left.
 */
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "held.h"
#include "kvm/kvm.h"
#include "tap.h"
#include "tvm.h"
#include "vmm/config/config.h"
#include "vmm/machine/machine.h"

static sem_t ended;
static _Atomic enum power_event end_how;
static _Atomic int end_status;

static void on_end(void *ctx, enum power_event how, int status)
{
    (void)ctx;
    atomic_store(&end_how, how);
    atomic_store(&end_status, status);
    sem_post(&ended);
}

/* What broken rings have to say is not for the test's output. */
static void drop(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)line;
}

static void run_once(const char *orders, const char *disk, enum power_event how)
{
    char kernel[TVM_PATH], cpus[] = "4";
    tvm_guest(kernel, "hostile");
    char *argv[] = {"run", kernel,         "-m",        "128", "-c", cpus,
                    "-a",  (char *)orders, "--console", "off", "-d", (char *)disk};
    struct vm_config vm;
    struct machine *m;
    CHECK_EQ(sem_init(&ended, 0, 0), 0);
    CHECK_EQ(config_parse(&vm, ARRAY_SIZE(argv), argv), 0);
    CHECK_EQ(machine_create(&m, &(struct machine_config){.vm = &vm,
                                                         .arch = &arch_host,
                                                         .hv = &hv_kvm,
                                                         .power = {.request = on_end}}),
             0);
    CHECK_EQ(machine_start(m), 0);
    sem_wait(&ended);
    CHECK_EQ(atomic_load(&end_how), how);
    if (how == POWER_EXIT)
        CHECK_EQ(atomic_load(&end_status), 0);
    machine_stop(m);
    machine_destroy(m);
    config_free(&vm);
}

/*
 * By one thread, by threads of its own; after the first of each nothing more is held. Each access
 * is dear in an emulated host: there are fewer rounds then.
 */
static void run(const char *mode, unsigned rounds, const char *keys, enum power_event how)
{
    char disk[128], orders[64];
    snprintf(orders, sizeof(orders), "%s rounds=%u", mode,
             getenv("MINIVET_TESTBED") != NULL ? (rounds + 49) / 50 : rounds);
    unsigned fds = 0, threads = 0;
    long rss = 0;
    log_set_sink(drop, NULL);
    held_huge_pages(false);
    for (unsigned i = 0; i < 4; i++) {
        snprintf(disk, sizeof(disk), "null:64M%s%s", keys, i % 2 ? ",iothread=a" : "");
        run_once(orders, disk, how);
        if (i == 1) {
            fds = held_fds();
            threads = held_threads();
            rss = held_rss_kib();
        }
    }
    CHECK_EQ(held_fds(), fds);
    CHECK(held_threads_fall_to(threads));
    CHECK(held_rss_kib() - rss <= HELD_RSS_SLACK_KIB);
    held_huge_pages(true);
}

static void edits(void)
{
    run("mode=0", 20000, "", POWER_EXIT);
    run("mode=0 packed=1", 20000, ",ring=packed", POWER_EXIT);
}

static void refills(void)
{
    run("mode=1", 200, "", POWER_EXIT);
}

static void storms(void)
{
    run("mode=2 cpus=4", 100, "", POWER_EXIT);
    run("mode=2 cpus=4 packed=1", 100, ",ring=packed", POWER_EXIT);
}

static void busy_power_off(void)
{
    run("mode=3", 0, ",iops=10", POWER_OFF);
}

/* x86-64: by a triple fault. */
static void busy_break(void)
{
    run("mode=4", 0, ",iops=100000", arch_host.pio_limit != 0 ? POWER_PANIC : POWER_OFF);
}

const struct tap_test hostile_tests[] = {
    {"hostile: H09: descriptors edited by another CPU", edits, 400},
    {"hostile: H11: a queue that is refilled without end", refills, 400},
    {"hostile: H25, H32: another CPU kicks through all resets", storms, 400},
    {"hostile: H50: power-off with 100 requests in flight", busy_power_off, 0},
    {"hostile: H50: an abrupt end while another CPU is inside of a device", busy_break, 0},
    {0},
};
