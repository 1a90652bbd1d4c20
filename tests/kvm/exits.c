// SPDX-License-Identifier: BSD-2-Clause
/* What the guest asks of the buses arrives there, whole and once. */
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "core/ports/doorbell.h"
#include "kvm/kvm.h"
#include "tap.h"
#include "tvm.h"
#include "vmm/report/exits.h"

#define RINGS 100 /* as many as the guest makes */

static struct tvm t;

static void comes_up(void)
{
    tvm_create(&t, &(struct tvm_config){.guest = "hello", .cmdline = "hello"});
    tvm_finish(&t);
    CHECK(strcmp(t.text, "hello\n") == 0);
    tvm_destroy(&t);
}

static void memory_widths(void)
{
    tvm_run_ok(&(struct tvm_config){.guest = "mmio"});
}

/* ---- doorbells: [0] matching 7; [1] any value ---- */
static void run_doorbells(bool bound, unsigned any_len, uint64_t rings[2])
{
    tvm_create(&t, &(struct tvm_config){.guest = "doorbell"});
    const struct doorbell bell = hv_kvm.doorbell(t.vm);
    const struct doorbell_addr addrs[2] = {
        {BUS_MMIO, TVM_DOORBELL_GPA, 4, true, 7},
        {BUS_MMIO, TVM_DOORBELL_GPA + 8, any_len, false, 0},
    };
    int fds[2];
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        CHECK_EQ(doorbell_bind(&bell, &addrs[i], fds[i]), 0);
        if (!bound)
            CHECK_EQ(doorbell_unbind(&bell, &addrs[i], fds[i]), 0);
    }
    tvm_finish(&t);
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
        rings[i] = 0;
        if (eventfd_read(fds[i], &rings[i]) < 0)
            rings[i] = 0;
        close(fds[i]);
    }
}

static void doorbells_ring_without_an_exit(void)
{
    const unsigned any_lens[] = {4, 0};
    for (unsigned i = 0; i < ARRAY_SIZE(any_lens); i++) {
        uint64_t rings[2];
        run_doorbells(true, any_lens[i], rings);
        CHECK_EQ(rings[0], RINGS);
        CHECK_EQ(rings[1], RINGS);
        /* Only the value that nobody waits for came to the bus. */
        CHECK_EQ(t.mmio_doorbell.writes, 1);
        CHECK_EQ(t.mmio_doorbell.bytes[0], 8);
        tvm_destroy(&t);
    }
}

static void an_unbound_doorbell_is_a_register(void)
{
    uint64_t rings[2];
    run_doorbells(false, 0, rings);
    CHECK_EQ(rings[0] + rings[1], 0);
    CHECK_EQ(t.mmio_doorbell.writes, 2 * RINGS + 1);
    tvm_destroy(&t);
}

/* By us, device by device, and by KVM, which sees all of ours and more. */
static void exits_are_counted(void)
{
    static struct exits sum;
    static struct hv_stat stats[200];
    uint64_t rings[2], memory = 0, kvm = 0;
    run_doorbells(false, 0, rings);
    vcpus_exits(t.vcpus, &sum);
    for (unsigned i = 0; i < sum.count; i++) {
        const struct exits_row *r = &sum.rows[i];
        CHECK(r->max_ns <= r->total_ns);
        CHECK(r->total_ns <= r->count * r->max_ns);
        if (r->device == NULL || strcmp(r->device, "latch") != 0)
            continue;
        memory += strcmp(r->kind, "memory write") == 0 ? r->count : 0;
    }
    CHECK_EQ(memory, 2 * RINGS + 1);
    CHECK(sum.inside_ns > 0);
    CHECK(sum.outside_ns > 0);
    int n = hv_kvm.stats(t.vm, vcpus_get(t.vcpus, 0), stats, ARRAY_SIZE(stats));
    for (int i = 0; i < n; i++)
        kvm += strcmp(stats[i].name, "exits") == 0 ? stats[i].value : 0;
    CHECK(n == 0 || kvm >= memory); /* 0: a kernel before 5.14 */
    tvm_destroy(&t);
}

const struct tap_test exit_tests[] = {
    {"exits: a guest comes up and knows its command line", comes_up, 0},
    {"exits: memory accesses of every width", memory_widths, 0},
    {"exits: doorbells ring without an exit", doorbells_ring_without_an_exit, 0},
    {"exits: an unbound doorbell is a register", an_unbound_doorbell_is_a_register, 0},
    {"exits: they are counted, here and by KVM", exits_are_counted, 0},
    {0},
};
