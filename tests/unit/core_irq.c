// SPDX-License-Identifier: BSD-2-Clause

#include "core/ports/irq.h"
#include "tests/harness/test.h"

struct wire {
    unsigned irq;
    char levels[8];
    unsigned count;
};

static void record(void *ctx, unsigned irq, bool level)
{
    struct wire *w = ctx;
    w->irq = irq;
    w->levels[w->count++] = level ? '1' : '0';
}

Test(core_irq, a_pulse_is_one_edge)
{
    struct wire w = {0};
    struct irq_line line = {.set = record, .ctx = &w, .irq = 11, .eventfd = -1};
    irq_pulse(&line);
    irq_set(&line, true);
    cr_assert_str_eq(w.levels, "101");
    cr_assert_eq(w.irq, 11);
}

Test(core_irq, a_pulse_prefers_the_eventfd_and_never_blocks_on_a_full_one)
{
    struct wire w = {0};
    eventfd_t count;
    int fd = eventfd(0, EFD_NONBLOCK);
    struct irq_line line = {.set = record, .ctx = &w, .eventfd = fd};
    irq_pulse(&line);
    irq_pulse(&line);
    cr_assert_eq(eventfd_read(fd, &count), 0);
    cr_assert_eq(count, 2);
    cr_assert_eq(eventfd_write(fd, UINT64_MAX - 1), 0);
    irq_pulse(&line);
    cr_assert_eq(w.count, 0);
    close(fd);
}
