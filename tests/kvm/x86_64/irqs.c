// SPDX-License-Identifier: BSD-2-Clause
/* Interrupts reach the guest's handler, each as often as it was raised. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/ports/irq.h"
#include "kvm/kvm.h"
#include "tap.h"
#include "tvm.h"

/* As the guest `irq` has it. */
#define GSI_A       5
#define VECTOR_A    0x30
#define GSI_B       16
#define VECTOR_B    0x31
#define VECTOR_LAST 0x3e
#define READY       1

#define MSI_ADDR 0xfee00000 /* to APIC id 0 */
#define PULSES   50

static struct tvm t;
static unsigned stamps; /* seen so far */

static void start(void)
{
    tvm_create(&t, &(struct tvm_config){.guest = "irq"});
    tvm_start(&t);
    CHECK_EQ(tvm_wait_stamp(&t, 0), READY);
    stamps = 1;
}

static void expect_vector(unsigned vector)
{
    CHECK_EQ(tvm_wait_stamp(&t, stamps++), vector);
}

/* Ends the guest with the last vector; nothing else may have come before it. */
static void finish(const struct msi_sink *sink)
{
    CHECK_EQ(sink->ops->send(sink->ctx, MSI_ADDR, VECTOR_LAST), 0);
    expect_vector(VECTOR_LAST);
    CHECK_EQ(tvm_wait(&t), TVM_STATUS);
    CHECK_EQ(t.exit_status, 0);
    CHECK_EQ(t.stamp_count, stamps);
    tvm_destroy(&t);
}

static void lines(void)
{
    start();
    struct irq_line a, b;
    CHECK_EQ(hv_kvm.irq_line(t.vm, GSI_A, IRQ_BY_EVENTFD, &a), 0);
    CHECK_EQ(hv_kvm.irq_line(t.vm, GSI_B, IRQ_BY_CALL, &b), 0);
    CHECK(a.eventfd >= 0);
    CHECK_EQ(b.eventfd, -1);
    for (unsigned i = 0; i < PULSES; i++) {
        irq_pulse(&a);
        expect_vector(VECTOR_A);
        irq_pulse(&b);
        expect_vector(VECTOR_B);
    }
    /* By level, the edge is what counts. */
    irq_set(&a, true);
    expect_vector(VECTOR_A);
    irq_set(&a, true);
    irq_set(&a, false);
    irq_set(&a, true);
    expect_vector(VECTOR_A);
    irq_set(&a, false);
    hv_kvm.irq_line_release(t.vm, &a);
    hv_kvm.irq_line_release(t.vm, &b);
    CHECK_EQ(a.eventfd, -1);
    struct msi_sink sink = hv_kvm.msi_sink(t.vm, 8);
    finish(&sink);
}

static void messages(void)
{
    start();
    struct msi_sink sink = hv_kvm.msi_sink(t.vm, 8);
    for (unsigned i = 0; i < PULSES; i++) {
        unsigned vector = 0x32 + i % 4;
        CHECK_EQ(sink.ops->send(sink.ctx, MSI_ADDR, vector), 0);
        expect_vector(vector);
    }
    CHECK_EQ(sink.ops->send(sink.ctx, 0x1000, 0x32), -EINVAL);
    CHECK_EQ(sink.ops->send(sink.ctx, UINT64_C(0x1fee00000), 0x32), -EINVAL);
    finish(&sink);
}

static void routes(void)
{
    start();
    struct msi_sink sink = hv_kvm.msi_sink(t.vm, 8);
    struct irq_line line;
    CHECK_EQ(hv_kvm.irq_line(t.vm, GSI_A, IRQ_BY_EVENTFD, &line), 0);
    int fds[2], handles[2];
    for (unsigned i = 0; i < 2; i++) {
        fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        handles[i] = sink.ops->route_add(sink.ctx, fds[i], MSI_ADDR, 0x32 + i);
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
    CHECK_EQ(sink.ops->route_set(sink.ctx, handles[0], MSI_ADDR, 0x34), 0);
    eventfd_write(fds[0], 1);
    expect_vector(0x34);
    eventfd_write(fds[1], 1);
    expect_vector(0x33);
    irq_pulse(&line);
    expect_vector(VECTOR_A);

    /* A route that is gone is silent, and its place is free. */
    sink.ops->route_del(sink.ctx, handles[0], fds[0]);
    eventfd_write(fds[0], 1);
    eventfd_t pending;
    CHECK_EQ(eventfd_read(fds[0], &pending), 0);
    CHECK_EQ(sink.ops->route_add(sink.ctx, fds[0], MSI_ADDR, 0x35), handles[0]);
    eventfd_write(fds[0], 1);
    expect_vector(0x35);
    for (unsigned i = 0; i < 2; i++) {
        sink.ops->route_del(sink.ctx, handles[i], fds[i]);
        close(fds[i]);
    }
    hv_kvm.irq_line_release(t.vm, &line);
    finish(&sink);
}

static void bad_lines(void)
{
    struct irq_line line;
    tvm_create(&t, &(struct tvm_config){.guest = "irq"});
    CHECK_EQ(hv_kvm.irq_line(t.vm, 24, IRQ_BY_CALL, &line), -EINVAL);
    tvm_destroy(&t);
}

const struct tap_test irq_tests[] = {
    {"irqs: edges of wired lines, by eventfd and by level", lines, 0},
    {"irqs: messages", messages, 0},
    {"irqs: routes of messages can be added, changed and deleted", routes, 0},
    {"irqs: a line that the IOAPIC lacks is refused", bad_lines, 0},
    {0},
};
