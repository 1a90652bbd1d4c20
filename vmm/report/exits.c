// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/report/exits.h"

#include <stdbool.h>

#include "core/base/xmath.h"

static const char *kind_of(const struct hv_exit *exit)
{
    static const char *const kinds[] = {[HV_EXIT_INTERRUPTED] = "interrupted",
                                        [HV_EXIT_PIO] = "port read",
                                        [HV_EXIT_MMIO] = "memory read",
                                        [HV_EXIT_HALT] = "halt",
                                        [HV_EXIT_SHUTDOWN] = "triple fault",
                                        [HV_EXIT_RESET] = "reset",
                                        [HV_EXIT_POWER_OFF] = "power-off",
                                        [HV_EXIT_CRASH] = "crash",
                                        [HV_EXIT_ENTRY_FAILED] = "entry failed",
                                        [HV_EXIT_INTERNAL_ERROR] = "internal error",
                                        [HV_EXIT_UNKNOWN] = "unknown"};
    if (exit->is_write && exit->reason == HV_EXIT_PIO)
        return "port write";
    if (exit->is_write && exit->reason == HV_EXIT_MMIO)
        return "memory write";
    return kinds[exit->reason];
}

/*
 * One thread writes, so that no sum is ever lost; others read each figure whole. A row's names are
 * there before the count that shows it: release here, acquire in exits_add().
 */
static uint64_t figure(const uint64_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

static void raise_by(uint64_t *figure, uint64_t by)
{
    __atomic_store_n(figure, *figure + by, __ATOMIC_RELAXED);
}

static struct exits_row *row_of(struct exits *x, const char *kind, const char *device)
{
    unsigned count = x->count;
    for (unsigned i = 0; i < count; i++) {
        if (x->rows[i].kind == kind && x->rows[i].device == device)
            return &x->rows[i];
    }
    if (count == EXITS_ROWS)
        return &x->rows[EXITS_ROWS - 1];
    struct exits_row *row = &x->rows[count];
    if (count == EXITS_ROWS - 1)
        *row = (struct exits_row){.kind = "others"};
    else
        *row = (struct exits_row){.kind = kind, .device = device};
    __atomic_store_n(&x->count, count + 1, __ATOMIC_RELEASE);
    return row;
}

static void count_in(struct exits_row *row, uint64_t count, uint64_t total_ns, uint64_t max_ns)
{
    raise_by(&row->count, count);
    raise_by(&row->total_ns, total_ns);
    if (max_ns > row->max_ns)
        __atomic_store_n(&row->max_ns, max_ns, __ATOMIC_RELAXED);
}

void exits_count(struct exits *x, const struct hv_exit *exit, const char *device,
                 uint64_t inside_ns, uint64_t outside_ns)
{
    bool access = exit->reason == HV_EXIT_PIO || exit->reason == HV_EXIT_MMIO;
    if (access && device == NULL)
        device = "none";
    raise_by(&x->inside_ns, inside_ns);
    raise_by(&x->outside_ns, outside_ns);
    count_in(row_of(x, kind_of(exit), access ? device : NULL), 1, outside_ns, outside_ns);
}

void exits_add(struct exits *sum, const struct exits *x)
{
    raise_by(&sum->inside_ns, figure(&x->inside_ns));
    raise_by(&sum->outside_ns, figure(&x->outside_ns));
    unsigned count = __atomic_load_n(&x->count, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < count; i++) {
        const struct exits_row *r = &x->rows[i];
        count_in(row_of(sum, r->kind, r->device), figure(&r->count), figure(&r->total_ns),
                 figure(&r->max_ns));
    }
}
