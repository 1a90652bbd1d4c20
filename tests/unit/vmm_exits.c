// SPDX-License-Identifier: BSD-2-Clause
/* vmm/report/exits.c: what is counted where, and that a guest cannot make it grow. */
#include "vmm/report/exits.h"

#include "tests/harness/test.h"

static struct exits x, sum;

static const struct exits_row *row(const struct exits *of, const char *kind, const char *device)
{
    for (unsigned i = 0; i < of->count; i++) {
        const struct exits_row *r = &of->rows[i];
        if (strcmp(r->kind, kind) == 0 && (device == NULL) == (r->device == NULL) &&
            (device == NULL || strcmp(r->device, device) == 0))
            return r;
    }
    return NULL;
}

static void expect_row(const struct exits *of, const char *kind, const char *device, uint64_t count,
                       uint64_t total_ns, uint64_t max_ns)
{
    const struct exits_row *r = row(of, kind, device);
    cr_assert(r != NULL, "no row for %s %s", kind, device);
    cr_expect_eq(r->count, count, "%s %s", kind, device);
    cr_expect_eq(r->total_ns, total_ns, "%s %s", kind, device);
    cr_expect_eq(r->max_ns, max_ns, "%s %s", kind, device);
}

static void count_some(void)
{
    const struct hv_exit out = {.reason = HV_EXIT_PIO, .is_write = true};
    const struct hv_exit in = {.reason = HV_EXIT_PIO};
    const struct hv_exit store = {.reason = HV_EXIT_MMIO, .is_write = true};
    const struct hv_exit kicked = {.reason = HV_EXIT_INTERRUPTED};
    exits_count(&x, &out, "serial", 100, 3);
    exits_count(&x, &out, "serial", 100, 9);
    exits_count(&x, &out, "rtc", 100, 4);
    exits_count(&x, &in, "serial", 100, 1);
    exits_count(&x, &store, NULL, 100, 6);
    exits_count(&x, &kicked, NULL, 100, 2);
}

Test(exits, by_kind_and_device)
{
    count_some();
    cr_expect_eq(x.inside_ns, 600);
    cr_expect_eq(x.outside_ns, 25);
    cr_expect_eq(x.count, 5);
    expect_row(&x, "port write", "serial", 2, 12, 9);
    expect_row(&x, "port write", "rtc", 1, 4, 4);
    expect_row(&x, "port read", "serial", 1, 1, 1);
    expect_row(&x, "memory write", "none", 1, 6, 6);
    expect_row(&x, "interrupted", NULL, 1, 2, 2);
}

Test(exits, vcpus_add_up)
{
    static struct exits other;
    const struct hv_exit load = {.reason = HV_EXIT_MMIO};
    const struct hv_exit out = {.reason = HV_EXIT_PIO, .is_write = true};
    count_some();
    exits_count(&other, &load, "disk", 50, 8);
    exits_count(&other, &out, "serial", 50, 7);
    exits_add(&sum, &x);
    exits_add(&sum, &other);
    cr_expect_eq(sum.inside_ns, 700);
    cr_expect_eq(sum.outside_ns, 40);
    cr_expect_eq(sum.count, 6);
    expect_row(&sum, "port write", "serial", 3, 19, 9);
    expect_row(&sum, "memory read", "disk", 1, 8, 8);
    expect_row(&sum, "interrupted", NULL, 1, 2, 2);
}

Test(exits, every_reason_has_a_name)
{
    for (unsigned reason = HV_EXIT_INTERRUPTED; reason <= HV_EXIT_UNKNOWN; reason++)
        exits_count(&x, &(struct hv_exit){.reason = reason}, NULL, 0, 1);
    cr_expect_eq(x.count, HV_EXIT_UNKNOWN + 1);
    for (unsigned i = 0; i < x.count; i++)
        cr_expect(x.rows[i].kind != NULL && x.rows[i].kind[0] != '\0');
}

Test(exits, more_than_there_is_room_for_are_others)
{
    static const char names[2 * EXITS_ROWS];
    const struct hv_exit in = {.reason = HV_EXIT_PIO};
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
            exits_count(&x, &in, &names[i], 10, 5);
    }
    cr_expect_eq(x.count, EXITS_ROWS);
    cr_expect_eq(x.rows[0].count, 2);
    expect_row(&x, "others", NULL, 2 * (EXITS_ROWS + 1), 10 * (EXITS_ROWS + 1), 5);
    exits_add(&sum, &x);
    exits_add(&sum, &x);
    expect_row(&sum, "others", NULL, 4 * (EXITS_ROWS + 1), 20 * (EXITS_ROWS + 1), 5);
}
