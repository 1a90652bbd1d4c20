// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/mmio_rtc.h"

#include "tests/harness/test.h"

#define NS_PER_S UINT64_C(1000000000)
#define BASE     UINT64_C(0x10000)
#define START_S  UINT64_C(1769867159) /* 2026-01-31 */

static struct bus *bus;
static struct mmio_rtc *rtc;
static uint64_t wall = START_S * NS_PER_S;

static uint64_t wall_ns(void *ctx)
{
    (void)ctx;
    return wall;
}

static const struct clock fake_clock = {.now_ns = wall_ns, .wall_ns = wall_ns};

static void create(const struct mmio_rtc_kind *kind)
{
    cr_assert_eq(bus_create(&bus, "mmio", 0x100000), 0);
    cr_assert_eq(mmio_rtc_create(&rtc, kind, &(struct mmio_rtc_config){bus, BASE, &fake_clock, 0}),
                 0);
}

static void teardown(void)
{
    mmio_rtc_destroy(rtc);
    bus_destroy(bus);
}

TestSuite(mmio_rtc, .fini = teardown);

static uint32_t get(uint64_t offset)
{
    uint64_t value = 0;
    cr_assert(bus_read(bus, BASE + offset, 4, &value));
    return (uint32_t)value;
}

static void set(uint64_t offset, uint32_t value)
{
    bus_write(bus, BASE + offset, 4, value);
}

Test(mmio_rtc, pl031_counts_seconds)
{
    create(&pl031_kind);
    cr_expect_eq(get(0), START_S);
    wall += 2 * NS_PER_S;
    cr_expect_eq(get(0), START_S + 2);
    set(8, 1000);
    cr_expect_eq(get(0), 1000);
    cr_expect_eq(get(8), 1000);
    wall += NS_PER_S;
    cr_expect_eq(get(0), 1001);
    set(0, 5); /* read-only */
    cr_expect_eq(get(0), 1001);
}

Test(mmio_rtc, begins_ahead_of_the_wall_clock_or_behind)
{
    static const int64_t ahead_s[] = {3600, -(int64_t)START_S, UINT32_MAX - (int64_t)START_S};
    for (unsigned i = 0; i < ARRAY_SIZE(ahead_s); i++) {
        cr_assert_eq(bus_create(&bus, "mmio", 0x100000), 0);
        cr_assert_eq(mmio_rtc_create(&rtc, &pl031_kind,
                                     &(struct mmio_rtc_config){bus, BASE, &fake_clock, ahead_s[i]}),
                     0);
        cr_expect_eq(get(0), (uint64_t)((int64_t)START_S + ahead_s[i]));
        teardown();
    }
    rtc = NULL;
    bus = NULL;
}

Test(mmio_rtc, pl031_is_known_by_its_numbers)
{
    static const uint8_t ids[] = {0x31, 0x10, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1};
    create(&pl031_kind);
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        cr_expect_eq(get(0xfe0 + 4 * i), ids[i]);
    cr_expect_eq(get(0xc), 1);
    set(4, 0x1234);
    set(0x10, 3);
    cr_expect_eq(get(4), 0x1234);
    cr_expect_eq(get(0x10), 1);
    cr_expect_eq(get(0x14) | get(0x18) | get(0x800), 0, "no interrupt is pending");
}

static uint64_t goldfish(void)
{
    uint32_t low = get(0);
    return (uint64_t)get(4) << 32 | low;
}

Test(mmio_rtc, goldfish_counts_nanoseconds)
{
    create(&goldfish_rtc_kind);
    cr_expect_eq(goldfish(), START_S * NS_PER_S);
    wall += 7;
    cr_expect_eq(goldfish(), START_S * NS_PER_S + 7);
    set(4, 0x10);
    set(0, 0x20);
    wall += 1;
    cr_expect_eq(goldfish(), UINT64_C(0x1000000021));
    set(8, 1);
    set(0xc, 2);
    set(0x10, 1);
    set(0x14, 9);
    cr_expect(get(8) == 1 && get(0xc) == 2 && get(0x10) == 1);
    cr_expect_eq(get(0x14) | get(0x18) | get(0x1c), 0, "no interrupt is pending");
}

/* Between two registers, before the first that is stored: there is none. */
Test(mmio_rtc, misaligned_accesses_reach_no_register)
{
    static const struct mmio_rtc_kind *const kinds[] = {&goldfish_rtc_kind, &pl031_kind};
    for (unsigned i = 0; i < 2; i++) {
        create(kinds[i]);
        uint32_t low = get(0);
        for (uint64_t offset = 0; offset <= 0x1000 - 4; offset++) {
            if (offset % 4 == 0)
                continue;
            set(offset, UINT32_MAX);
            cr_assert_eq(get(offset), 0, "%s at %#llx", kinds[i]->name, (unsigned long long)offset);
        }
        cr_expect_eq(get(0), low, "%s: the time is as it was", kinds[i]->name);
        teardown();
    }
    rtc = NULL;
    bus = NULL;
}

Test(mmio_rtc, two_at_one_place)
{
    struct mmio_rtc *other;
    create(&pl031_kind);
    cr_expect_lt(mmio_rtc_create(&other, &pl031_kind,
                                 &(struct mmio_rtc_config){bus, BASE + 8, &fake_clock, 0}),
                 0);
}
