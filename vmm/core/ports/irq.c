// SPDX-License-Identifier: BSD-2-Clause
#include "core/ports/irq.h"

#include <sys/eventfd.h>

void irq_set(const struct irq_line *line, bool level)
{
    line->set(line->ctx, line->irq, level);
}

void irq_pulse(const struct irq_line *line)
{
    if (line->eventfd >= 0) {
        /* Fails only if the counter is full, and then an edge is pending already. */
        (void)eventfd_write(line->eventfd, 1);
        return;
    }
    irq_set(line, true);
    irq_set(line, false);
}
