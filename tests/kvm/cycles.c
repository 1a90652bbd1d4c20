// SPDX-License-Identifier: BSD-2-Clause
/*
 * Machines come and go without leaving anything behind. MINIVET_CYCLES says how many; by default
 * 10,000, and in the testbed, where each takes a tenth of a second and more, fewer.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arch/arch.h"
#include "core/ports/doorbell.h"
#include "core/ports/irq.h"
#include "held.h"
#include "kvm/kvm.h"
#include "tap.h"
#include "tvm.h"

#define CYCLES         10000
#define CYCLES_TESTBED 200
#define WARM_UP        10

/* Two CPUs, a line, a route and a doorbell; the guest runs to its end. */
static void cycle(void)
{
    static struct tvm t;
    tvm_create(&t, &(struct tvm_config){.guest = "hello", .cmdline = "hello", .cpus = 2});
    struct irq_line line;
    CHECK_EQ(hv_kvm.irq_line(t.vm, 5, IRQ_BY_EVENTFD, &line), 0);
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct msi_sink sink = hv_kvm.msi_sink(t.vm, TVM_SENDER_DEVFN);
    int handle = sink.ops->route_add(sink.ctx, fd, tvm_msi_gpa(), 0x30);
    bool has_messages = arch_host.pio_limit != 0 || handle >= 0; /* not with each controller */
    CHECK(handle >= 0 || !has_messages);
    struct doorbell bell = hv_kvm.doorbell(t.vm);
    struct doorbell_addr addr = {BUS_MMIO, TVM_DOORBELL_GPA, 4, true, 1};
    CHECK_EQ(doorbell_bind(&bell, &addr, fd), 0);

    tvm_finish(&t);

    CHECK_EQ(doorbell_unbind(&bell, &addr, fd), 0);
    if (has_messages)
        sink.ops->route_del(sink.ctx, handle, fd);
    close(fd);
    hv_kvm.irq_line_release(t.vm, &line);
    tvm_destroy(&t);
}

static void nothing_is_left(void)
{
    const char *text = getenv("MINIVET_CYCLES");
    long cycles = text != NULL                        ? strtol(text, NULL, 10)
                  : getenv("MINIVET_TESTBED") != NULL ? CYCLES_TESTBED
                                                      : CYCLES;
    held_huge_pages(false);
    for (long i = 0; i < WARM_UP; i++)
        cycle();
    unsigned fds = held_fds(), threads = held_threads();
    long rss = held_rss_kib();
    for (long i = 0; i < cycles; i++)
        cycle();
    long grown = held_rss_kib() - rss;
    held_huge_pages(true);
    tap_say("%ld machines: resident memory grew by %ld KiB", cycles, grown);
    CHECK_EQ(held_fds(), fds);
    CHECK(held_threads_fall_to(threads));
    CHECK(grown <= HELD_RSS_SLACK_KIB);
}

const struct tap_test cycle_tests[] = {
    {"cycles: machines come and go without leaving anything behind", nothing_is_left, 3600},
    {0},
};
