// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/rtc.h"

#include "tests/harness/fake.h"
#include "tests/harness/test.h"

#define NS_PER_S UINT64_C(1000000000)

/* Saturday, 2026-01-31 13:45:59 UTC */
#define START_S UINT64_C(1769867159)

static struct bus *pio;
static struct rtc *rtc;
static struct evloop *loop;
static struct fake_irq irq;
static uint64_t wall = START_S * NS_PER_S;

static uint64_t wall_ns(void *ctx)
{
    (void)ctx;
    return wall;
}

static const struct clock fake_clock = {.now_ns = wall_ns, .wall_ns = wall_ns};

static void setup(void)
{
    cr_assert_eq(bus_create(&pio, "pio", 65536), 0);
    cr_assert_eq(evloop_create(&loop, "test", &fake_clock), 0);
    struct rtc_config config = {
        .pio = pio,
        .clock = &fake_clock,
        .loop = loop,
        .irq = fake_irq_line(&irq),
        .ram_below_4g_bytes = 3 * GIB,
        .ram_above_4g_bytes = 2 * GIB,
    };
    cr_assert_eq(rtc_create(&rtc, &config), 0);
}

static void teardown(void)
{
    rtc_destroy(rtc);
    evloop_destroy(loop);
    bus_destroy(pio);
}

TestSuite(rtc, .init = setup, .fini = teardown);

static int get(unsigned reg)
{
    uint64_t value = 0;
    bus_write(pio, RTC_PORT, 1, reg);
    cr_assert(bus_read(pio, RTC_PORT + 1, 1, &value));
    return (int)value;
}

static void set(unsigned reg, unsigned value)
{
    bus_write(pio, RTC_PORT, 1, reg);
    bus_write(pio, RTC_PORT + 1, 1, value);
}

static void expect_time(int century, int year, int month, int day, int hour, int minute, int second)
{
    cr_expect_eq(get(0x32), century);
    cr_expect_eq(get(0x09), year);
    cr_expect_eq(get(0x08), month);
    cr_expect_eq(get(0x07), day);
    cr_expect_eq(get(0x04), hour);
    cr_expect_eq(get(0x02), minute);
    cr_expect_eq(get(0x00), second);
}

Test(rtc, begins_ahead_of_the_wall_clock_or_behind)
{
    static const struct {
        int64_t ahead_s;
        int century, year, month, day, hour;
    } rows[] = {{86400, 0x20, 0x26, 0x02, 0x01, 0x13},
                {-(int64_t)START_S, 0x19, 0x70, 0x01, 0x01, 0x00},
                {UINT32_MAX - (int64_t)START_S, 0x21, 0x06, 0x02, 0x07, 0x06}};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        rtc_destroy(rtc);
        cr_assert_eq(rtc_create(&rtc, &(struct rtc_config){.pio = pio,
                                                           .clock = &fake_clock,
                                                           .loop = loop,
                                                           .irq = fake_irq_line(&irq),
                                                           .ahead_s = rows[i].ahead_s}),
                     0);
        cr_expect_eq(get(0x32), rows[i].century);
        cr_expect_eq(get(0x09), rows[i].year);
        cr_expect_eq(get(0x08), rows[i].month);
        cr_expect_eq(get(0x07), rows[i].day);
        cr_expect_eq(get(0x04), rows[i].hour);
    }
}

Test(rtc, tells_the_wall_clock_in_bcd)
{
    expect_time(0x20, 0x26, 0x01, 0x31, 0x13, 0x45, 0x59);
    cr_expect_eq(get(0x06), 7);
    wall += NS_PER_S;
    expect_time(0x20, 0x26, 0x01, 0x31, 0x13, 0x46, 0x00);
}

Test(rtc, tells_it_in_binary_and_in_12_hours)
{
    set(0x0b, 0x06);
    expect_time(20, 26, 1, 31, 13, 45, 59);
    set(0x0b, 0x00);
    cr_expect_eq(get(0x04), 0x81);
    wall -= 13 * 3600 * NS_PER_S; /* 00:45 */
    cr_expect_eq(get(0x04), 0x12);
    wall += 12 * 3600 * NS_PER_S; /* 12:45 */
    cr_expect_eq(get(0x04), 0x92);
}

Test(rtc, the_nmi_mask_bit_is_no_index_bit)
{
    cr_expect_eq(get(0x80 | 0x09), 0x26);
}

/* As Linux does it: SET, the year first, the divider held, then all of it at once. */
Test(rtc, can_be_set)
{
    set(0x0b, 0x82);
    set(0x0a, 0x76);
    set(0x09, 0x28);
    set(0x08, 0x02); /* with the 31st still in place */
    set(0x07, 0x29);
    set(0x04, 0x23);
    set(0x02, 0x59);
    set(0x00, 0x58);
    set(0x32, 0x20);
    wall += 5 * NS_PER_S;
    expect_time(0x20, 0x28, 0x02, 0x29, 0x23, 0x59, 0x58);
    set(0x0b, 0x02);
    set(0x0a, 0x26);
    wall += 3 * NS_PER_S;
    expect_time(0x20, 0x28, 0x03, 0x01, 0x00, 0x00, 0x01);
    cr_expect_eq(get(0x06), 4); /* Wednesday */
}

Test(rtc, a_running_clock_can_be_set_field_by_field)
{
    set(0x07, 0x15);
    set(0x08, 0x02);
    expect_time(0x20, 0x26, 0x02, 0x15, 0x13, 0x45, 0x59);
}

Test(rtc, an_update_is_announced_and_only_then)
{
    cr_expect_eq(get(0x0a) & 0x80, 0);
    wall += NS_PER_S - 244001;
    cr_expect_eq(get(0x0a) & 0x80, 0);
    wall += 1001;
    cr_expect_eq(get(0x0a) & 0x80, 0x80);
    set(0x0b, 0x82);
    cr_expect_eq(get(0x0a) & 0x80, 0);
    set(0x0b, 0x02);
    wall += 243000;
    cr_expect_eq(get(0x0a) & 0x80, 0);
}

/* Register C, which has flags of periods all the time. */
static unsigned flags(void)
{
    return (unsigned)get(0x0c) & ~0x40u;
}

Test(rtc, update_ended_can_be_polled)
{
    cr_expect_eq(flags(), 0);
    wall += NS_PER_S;
    cr_expect_eq(flags(), 0x10);
    cr_expect_eq(flags(), 0);
    set(0x0b, 0x12);
    wall += NS_PER_S;
    cr_expect_eq(flags(), 0x90);
    set(0x0c, 0xff);
    cr_expect_eq(flags(), 0);
}

/* Interrupts while `ns` pass in steps. */
static unsigned wait_for(uint64_t ns, unsigned steps)
{
    fake_irq_take(&irq);
    evloop_drain(loop);
    for (unsigned i = 0; i < steps; i++) {
        wall += ns / steps;
        evloop_drain(loop);
    }
    return fake_irq_take(&irq);
}

Test(rtc, interrupts_when_a_second_has_begun)
{
    cr_expect_eq(wait_for(2 * NS_PER_S, 4), 0, "nothing was asked for");
    flags();
    wall += NS_PER_S / 4;
    set(0x0b, 0x12);
    cr_expect_eq(wait_for(NS_PER_S / 4 * 3 - 1, 1), 0, "the second is not over");
    cr_expect_eq(wait_for(1, 1), 1);
    cr_expect_eq(wait_for(3 * NS_PER_S, 6), 0, "it was not acknowledged");
    cr_expect_eq(flags(), 0x90);
    cr_expect_eq(wait_for(NS_PER_S, 2), 1);
    cr_expect_eq(flags(), 0x90);
    set(0x0b, 0x02);
    cr_expect_eq(wait_for(3 * NS_PER_S, 6), 0);
    set(0x0b, 0x12);
    cr_expect_eq(wait_for(0, 1), 1, "what has happened since then interrupts at once");
    set(0x0b, 0x92);
    cr_expect_eq(get(0x0b), 0x82, "a clock that is stopped has no updates");
}

Test(rtc, interrupts_at_the_time_of_an_alarm)
{
    set(0x05, 0x13);
    set(0x03, 0x46);
    set(0x01, 0x02); /* in three seconds */
    flags();
    set(0x0b, 0x22);
    cr_expect_eq(wait_for(2 * NS_PER_S, 4), 0);
    cr_expect_eq(wait_for(NS_PER_S, 4), 1);
    cr_expect_eq(flags() & 0xa0, 0xa0);
    cr_expect_eq(wait_for(3600 * NS_PER_S, 3600), 0);
    set(0x05, 0xff); /* at any hour */
    cr_expect_eq(wait_for(3600 * NS_PER_S, 10), 1, "however late it is looked at");
    set(0x0b, 0x02);
    flags();
    wall -= 2 * 86400 * NS_PER_S;
    flags();
    set(0x0b, 0x22);
    wall += 86400 * NS_PER_S * 1000;
    evloop_drain(loop);
    cr_expect_eq(fake_irq_take(&irq), 1);
}

Test(rtc, interrupts_periodically)
{
    static const struct {
        unsigned rate;
        unsigned hz;
    } rows[] = {{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {15, 2}};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        set(0x0b, 0x02);
        set(0x0a, 0x20 | rows[i].rate);
        get(0x0c);
        set(0x0b, 0x42);
        evloop_drain(loop);
        fake_irq_take(&irq);
        unsigned seen = 0;
        for (unsigned step = 0; step < 32768; step++) {
            wall += NS_PER_S / 32768;
            evloop_drain(loop);
            if (fake_irq_take(&irq) > 0) {
                cr_expect_eq(get(0x0c) & 0xc0, 0xc0);
                seen++;
            }
        }
        cr_expect_leq(seen, rows[i].hz + 1, "rate %u: %u", rows[i].rate, seen);
        cr_expect_geq(seen, rows[i].hz - 1, "rate %u: %u", rows[i].rate, seen);
    }
    static const unsigned off[] = {0x20, 0x60, 0x06};
    for (unsigned i = 0; i < ARRAY_SIZE(off); i++) {
        set(0x0a, off[i]);
        get(0x0c);
        cr_expect_eq(wait_for(NS_PER_S / 10, 10), 0, "register A is 0x%x", off[i]);
    }
}

Test(rtc, alarms_and_memory_are_stored)
{
    static const unsigned regs[] = {0x01, 0x03, 0x05, 0x0f, 0x40, 0x7f};
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        set(regs[i], 0xc0 + i);
        cr_expect_eq(get(regs[i]), 0xc0 + (int)i);
    }
    set(0x0d, 0);
    cr_expect_eq(get(0x0d), 0x80);
}

Test(rtc, memory_size_bytes)
{
    cr_expect_eq(get(0x15) | get(0x16) << 8, 640);
    cr_expect_eq(get(0x17) | get(0x18) << 8, 0xffff);
    cr_expect_eq(get(0x30) | get(0x31) << 8, 0xffff);
    cr_expect_eq(get(0x34) | get(0x35) << 8, (3072 - 16) * 16);
    cr_expect_eq(get(0x5b) | get(0x5c) << 8 | get(0x5d) << 16, 2048 * 16);
}

Test(rtc, the_host_clock_may_step_back)
{
    wall = 0;
    expect_time(0x19, 0x70, 0x01, 0x01, 0x00, 0x00, 0x00);
    set(0x09, 0x00);
    set(0x32, 0x00);
    wall = START_S * NS_PER_S;
    get(0x00);
    wall = 0;
    get(0x32);
}

Test(rtc, garbage_is_carried_on_and_harms_nothing)
{
    srand(1);
    for (int i = 0; i < 100000; i++) {
        set((unsigned)rand() % 256, (unsigned)rand() % 256);
        get((unsigned)rand() % 256);
        wall += (uint64_t)rand() * 64;
    }
    set(0x0b, 0x82);
    for (unsigned reg = 0; reg < 10; reg++)
        set(reg, 0xff);
    set(0x0b, 0x06);
    cr_expect_lt(get(0x08), 13);
    cr_expect_gt(get(0x08), 0);
    cr_expect_lt(get(0x07), 32);
    cr_expect_lt(get(0x00), 60);
}
