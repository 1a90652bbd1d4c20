// SPDX-License-Identifier: BSD-2-Clause
/* Interrupts reach the guest's handler, each as often as it was raised. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arch/arch.h"
#include "core/ports/irq.h"
#include "kvm/kvm.h"
#include "tap.h"
#include "tvm.h"

/* As the guest `irq` has it. */
#define GSI_A       5
#define VECTOR_A    0x30
#define GSI_B       16
#define VECTOR_B    0x31
#define GSI_LAST    17
#define VECTOR_LAST 0x3e
#define READY       1
#define NO_MESSAGES 2 /* nor can there be any */

#define PULSES 50

static struct tvm t;
static unsigned stamps; /* seen so far */

static uint8_t start(void)
{
    tvm_create(&t, &(struct tvm_config){.guest = "irq"});
    tvm_start(&t);
    stamps = 1;
    return tvm_wait_stamp(&t, 0);
}

static void expect_vector(unsigned vector)
{
    CHECK_EQ(tvm_wait_stamp(&t, stamps++), vector);
}

/* Ends the guest with the last vector; nothing else may have come before it. */
static void finish(void)
{
    struct irq_line last;
    CHECK_EQ(hv_kvm.irq_line(t.vm, GSI_LAST, IRQ_BY_CALL, &last), 0);
    irq_pulse(&last);
    expect_vector(VECTOR_LAST);
    CHECK_EQ(tvm_wait(&t), TVM_STATUS);
    CHECK_EQ(t.exit_status, 0);
    CHECK_EQ(t.stamp_count, stamps);
    hv_kvm.irq_line_release(t.vm, &last);
    tvm_destroy(&t);
}

static struct irq_line line(unsigned gsi, enum irq_way way)
{
    struct irq_line l;
    CHECK_EQ(hv_kvm.irq_line(t.vm, gsi, way, &l), 0);
    bool by_eventfd = way == IRQ_BY_EVENTFD && strcmp(arch_host.name, "riscv64") != 0;
    CHECK_EQ(l.eventfd >= 0, by_eventfd);
    return l;
}

/* The edge is what counts. */
static void hold(const struct irq_line *l)
{
    irq_set(l, true);
    expect_vector(VECTOR_A);
    irq_set(l, true);
    irq_set(l, false);
    irq_set(l, true);
    expect_vector(VECTOR_A);
    irq_set(l, false);
}

static void lines(void)
{
    start();
    struct irq_line a = line(GSI_A, IRQ_BY_EVENTFD), b = line(GSI_B, IRQ_BY_CALL);
    for (unsigned i = 0; i < PULSES; i++) {
        irq_pulse(&a);
        expect_vector(VECTOR_A);
        irq_pulse(&b);
        expect_vector(VECTOR_B);
    }
    if (arch_host.pio_limit != 0) /* a GIC takes each call for an edge; a PLIC comes while high */
        hold(&a);
    hv_kvm.irq_line_release(t.vm, &a);
    hv_kvm.irq_line_release(t.vm, &b);
    CHECK_EQ(a.eventfd, -1);
    finish();
}

static struct msi_sink start_for_messages(void)
{
    uint8_t can = start();
    if (can == NO_MESSAGES)
        tap_skip("this host has no controller for messages");
    CHECK_EQ(can, READY);
    return hv_kvm.msi_sink(t.vm, TVM_SENDER_DEVFN);
}

static void messages(void)
{
    const uint64_t gpa = tvm_msi_gpa();
    struct msi_sink sink = start_for_messages();
    for (unsigned i = 0; i < PULSES; i++) {
        unsigned vector = 0x32 + i % 4;
        CHECK_EQ(sink.ops->send(sink.ctx, gpa, vector), 0);
        expect_vector(vector);
    }
    CHECK_EQ(sink.ops->send(sink.ctx, 0x1000, 0x32), -EINVAL);
    CHECK_EQ(sink.ops->send(sink.ctx, gpa | UINT64_C(1) << 32, 0x32), -EINVAL);
    finish();
}

static void routes(void)
{
    const uint64_t gpa = tvm_msi_gpa();
    struct msi_sink sink = start_for_messages();
    struct irq_line a = line(GSI_A, IRQ_BY_EVENTFD);
    int fds[2], handles[2];
    for (unsigned i = 0; i < 2; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        handles[i] = sink.ops->route_add(sink.ctx, fds[i], gpa, 0x32 + i);
        CHECK(handles[i] >= 0);
    }
    CHECK(handles[0] != handles[1]);
    for (unsigned i = 0; i < PULSES; i++) {
        eventfd_write(fds[i % 2], 1);
        expect_vector(0x32 + i % 2);
    }
    CHECK_EQ(sink.ops->route_add(sink.ctx, fds[0], 0x1000, 0x32), -EINVAL);
    CHECK_EQ(sink.ops->route_set(sink.ctx, handles[0], 0x1000, 0x32), -EINVAL);

    /* A route changes under way; its neighbour and the wired lines do not. */
    CHECK_EQ(sink.ops->route_set(sink.ctx, handles[0], gpa, 0x34), 0);
    eventfd_write(fds[0], 1);
    expect_vector(0x34);
    eventfd_write(fds[1], 1);
    expect_vector(0x33);
    irq_pulse(&a);
    expect_vector(VECTOR_A);

    /* A route that is gone is silent, and its place is free. */
    sink.ops->route_del(sink.ctx, handles[0], fds[0]);
    eventfd_write(fds[0], 1);
    eventfd_t pending;
    CHECK_EQ(eventfd_read(fds[0], &pending), 0);
    CHECK_EQ(sink.ops->route_add(sink.ctx, fds[0], gpa, 0x35), handles[0]);
    eventfd_write(fds[0], 1);
    expect_vector(0x35);
    for (unsigned i = 0; i < 2; i++) {
        sink.ops->route_del(sink.ctx, handles[i], fds[i]);
        close(fds[i]);
    }
    hv_kvm.irq_line_release(t.vm, &a);
    finish();
}

static void bad_lines(void)
{
    struct irq_line l;
    tvm_create(&t, &(struct tvm_config){.guest = "irq"});
    CHECK_EQ(hv_kvm.irq_line(t.vm, 64, IRQ_BY_CALL, &l), -EINVAL);
    tvm_destroy(&t);
}

const struct tap_test irq_tests[] = {
    {"irqs: edges of wired lines, by eventfd and by level", lines, 0},
    {"irqs: messages", messages, 0},
    {"irqs: routes of messages can be added, changed and deleted", routes, 0},
    {"irqs: a line that the interrupt controller lacks is refused", bad_lines, 0},
    {0},
};
