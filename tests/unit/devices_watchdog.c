// SPDX-License-Identifier: BSD-2-Clause
/* Both kinds of watchdog, by a clock that a test sets. */
#include "devices/platform/watchdog.h"

#include "tests/harness/fake.h"
#include "tests/harness/test.h"

#define BASE   UINT64_C(0x1000)
#define NS_S   UINT64_C(1000000000)
#define UNIT_S (1000 / WDAT_UNIT_MS)

enum { LOAD = 0, VALUE = 4, CONTROL = 8, CLEAR = 12, RAW = 16, MASKED = 20, LOCK = 0xc00 };

static struct bus *bus;
static struct evloop *loop;
static struct watchdog *dog;
static uint64_t now;
static unsigned bites;

static uint64_t now_ns(void *ctx)
{
    (void)ctx;
    return now;
}

static const struct clock fake_clock = {.now_ns = now_ns, .wall_ns = now_ns};

static void on_bite(void *ctx)
{
    (void)ctx;
    bites++;
}

static void open_dog(const struct watchdog_kind *kind, uint64_t boot_ns, bool has_bitten)
{
    cr_assert_eq(watchdog_create(&dog, kind,
                                 &(struct watchdog_config){.bus = bus,
                                                           .base = BASE,
                                                           .clock = &fake_clock,
                                                           .loop = loop,
                                                           .boot_ns = boot_ns,
                                                           .has_bitten = has_bitten,
                                                           .on_bite = on_bite}),
                 0);
}

static void setup(void)
{
    now = 5 * NS_S;
    bites = 0;
    cr_assert_eq(bus_create(&bus, "bus", 65536), 0);
    cr_assert_eq(evloop_create(&loop, "test", &fake_clock), 0);
}

static void teardown(void)
{
    watchdog_destroy(dog);
    evloop_destroy(loop);
    bus_destroy(bus);
}

TestSuite(watchdog, .init = setup, .fini = teardown);

static uint64_t get(uint64_t reg)
{
    uint64_t value = 0;
    cr_assert(bus_read(bus, BASE + reg, 4, &value));
    return value;
}

static void set(uint64_t reg, uint32_t value)
{
    bus_write(bus, BASE + reg, 4, value);
}

/* Bites so far, when so many milliseconds more have passed. */
static unsigned pass(uint64_t ms)
{
    evloop_drain(loop);
    now += ms * 1000000;
    evloop_drain(loop);
    return bites;
}

Test(watchdog, wdat_does_nothing_until_it_is_started)
{
    open_dog(&wdat_kind, 0, false);
    cr_expect_eq(get(WDAT_RUNS), 0);
    cr_expect_eq(get(WDAT_BITTEN), 0);
    cr_expect_eq(get(WDAT_PET), 0);
    set(WDAT_PET, 1);
    cr_expect_eq(pass(UINT32_MAX), 0);
}

Test(watchdog, wdat_bites_once_when_it_is_not_petted)
{
    open_dog(&wdat_kind, 0, false);
    set(WDAT_PERIOD, 2 * UNIT_S);
    set(WDAT_RUNS, 1);
    cr_expect_eq(get(WDAT_RUNS), 1);
    for (unsigned i = 0; i < 5; i++) {
        cr_expect_eq(pass(1500), 0);
        cr_expect_eq(get(WDAT_LEFT), UNIT_S / 2);
        set(WDAT_PET, 1);
        cr_expect_eq(get(WDAT_LEFT), 2 * UNIT_S);
    }
    cr_expect_eq(pass(1999), 0);
    cr_expect_eq(pass(1), 1);
    cr_expect_eq(get(WDAT_RUNS), 0);
    cr_expect_eq(pass(100000), 1);
}

Test(watchdog, wdat_that_has_bitten_is_petted_or_started_again)
{
    open_dog(&wdat_kind, 0, false);
    set(WDAT_PERIOD, UNIT_S);
    set(WDAT_RUNS, 1);
    cr_expect_eq(pass(1000), 1);
    set(WDAT_PET, 1);
    cr_expect_eq(pass(1000), 2);
    set(WDAT_RUNS, 1);
    cr_expect_eq(pass(1000), 3);
    set(WDAT_RUNS, 0);
    set(WDAT_PET, 1);
    cr_expect_eq(pass(100000), 3);
}

Test(watchdog, wdat_stops)
{
    open_dog(&wdat_kind, 0, false);
    set(WDAT_PERIOD, UNIT_S);
    set(WDAT_RUNS, 1);
    cr_expect_eq(pass(999), 0);
    set(WDAT_RUNS, 0);
    cr_expect_eq(pass(100000), 0);
}

Test(watchdog, wdat_takes_periods_of_nothing_and_of_ages)
{
    open_dog(&wdat_kind, 0, false);
    set(WDAT_PERIOD, UINT32_MAX);
    cr_expect_eq(get(WDAT_PERIOD), WDAT_MAX);
    set(WDAT_RUNS, 1);
    cr_expect_eq(pass(3599 * 1000), 0);
    set(WDAT_PERIOD, 0);
    cr_expect_eq(get(WDAT_PERIOD), 1);
    cr_expect_eq(pass(99), 0);
    cr_expect_eq(pass(1), 1);
}

Test(watchdog, wdat_tells_why_the_guest_starts)
{
    open_dog(&wdat_kind, 0, true);
    cr_expect_eq(get(WDAT_BITTEN), 1);
    set(WDAT_BITTEN, 0);
    cr_expect_eq(get(WDAT_BITTEN), 1);
    set(WDAT_BITTEN, 1);
    cr_expect_eq(get(WDAT_BITTEN), 0);
}

Test(watchdog, runs_from_the_start_where_that_is_wanted)
{
    open_dog(&wdat_kind, 1050 * NS_S / 1000, false);
    cr_expect_eq(get(WDAT_RUNS), 1);
    cr_expect_eq(get(WDAT_PERIOD), 11);
    cr_expect_eq(pass(1099), 0);
    cr_expect_eq(pass(1), 1);
    watchdog_destroy(dog);
    open_dog(&sp805_kind, 2 * NS_S, false);
    cr_expect_eq(get(CONTROL), 3);
    cr_expect_eq(get(LOAD), SP805_HZ);
    cr_expect_eq(pass(1000), 1);
    cr_expect_eq(pass(999), 1);
    cr_expect_eq(pass(1), 2);
}

Test(watchdog, a_start_may_be_allowed_to_take_for_ever)
{
    open_dog(&wdat_kind, UINT64_MAX, false);
    cr_expect_eq(get(WDAT_PERIOD), WDAT_MAX);
    watchdog_destroy(dog);
    open_dog(&sp805_kind, UINT64_MAX, false);
    cr_expect_eq(get(LOAD), UINT32_MAX);
}

Test(watchdog, time_stands_still_while_the_guest_is_paused)
{
    static const struct watchdog_kind *const kinds[] = {&wdat_kind, &sp805_kind};
    static const uint64_t lefts[] = {WDAT_LEFT, VALUE};
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        bites = 0;
        open_dog(kinds[i], 4 * NS_S, false);
        cr_expect_eq(pass(1000), 0);
        watchdog_hold(dog, true);
        uint32_t left = (uint32_t)get(lefts[i]);
        watchdog_hold(dog, true);
        cr_expect_eq(pass(100000), 0);
        cr_expect_eq(get(lefts[i]), left);
        watchdog_hold(dog, false);
        cr_expect_eq(pass(1000), 0);
        cr_expect_eq(pass(1999), 0);
        cr_expect_eq(pass(1), 1);
        watchdog_destroy(dog);
    }
    dog = NULL;
}

/* Nothing is left to be held: the loop has not looked yet. */
Test(watchdog, a_time_that_is_out_stays_out_over_a_pause)
{
    open_dog(&wdat_kind, 1 * NS_S, false);
    evloop_drain(loop);
    now += 2 * NS_S;
    watchdog_hold(dog, true);
    cr_expect_eq(get(WDAT_LEFT), 0);
    cr_expect_eq(pass(1000), 0);
    watchdog_hold(dog, false);
    cr_expect_eq(pass(0), 1);
}

Test(watchdog, accesses_of_other_widths_and_places_are_to_nothing)
{
    uint64_t value = 0;
    open_dog(&wdat_kind, 0, false);
    bus_write(bus, BASE + WDAT_RUNS, 1, 1);
    bus_write(bus, BASE + WDAT_RUNS, 8, 1);
    bus_write(bus, BASE + WDAT_RUNS - 2, 4, 0x10001);
    bus_write(bus, BASE + WDAT_RUNS + 1, 4, 0x10001);
    cr_expect_eq(get(WDAT_RUNS), 0);
    cr_expect_eq(get(WDAT_PERIOD + 1), 0);
    cr_expect_not(bus_read(bus, BASE + WDAT_BYTES, 4, &value));
    set(WDAT_LEFT, 7);
    cr_expect_eq(get(WDAT_LEFT), get(WDAT_PERIOD));
}

Test(watchdog, sp805_is_known_by_its_identity)
{
    static const uint8_t ids[] = {0x05, 0x18, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1};
    open_dog(&sp805_kind, 0, false);
    for (unsigned i = 0; i < sizeof(ids); i++)
        cr_expect_eq(get(0xfe0 + 4 * i), ids[i]);
    cr_expect_eq(get(LOAD), UINT32_MAX);
    cr_expect_eq(get(LOCK), 0);
    cr_expect_eq(get(0xf00), 0);
}

Test(watchdog, sp805_barks_and_then_bites)
{
    open_dog(&sp805_kind, 0, false);
    set(LOAD, SP805_HZ);
    set(CONTROL, 3);
    cr_expect_eq(pass(999), 0);
    cr_expect_eq(get(VALUE), SP805_HZ / 1000);
    cr_expect_eq(get(RAW), 0);
    cr_expect_eq(pass(1), 0);
    cr_expect_eq(get(RAW), 1);
    cr_expect_eq(get(MASKED), 1);
    set(CLEAR, 1);
    cr_expect_eq(get(RAW), 0);
    cr_expect_eq(pass(1000), 0);
    cr_expect_eq(pass(999), 0);
    cr_expect_eq(pass(1), 1);
    cr_expect_eq(pass(100000), 1);
    set(CLEAR, 1);
    cr_expect_eq(pass(1000), 1);
    cr_expect_eq(pass(1000), 2);
}

Test(watchdog, sp805_whose_interrupt_is_off_says_so)
{
    open_dog(&sp805_kind, 0, false);
    set(LOAD, SP805_HZ);
    set(CONTROL, 3);
    cr_expect_eq(pass(1000), 0);
    set(CONTROL, 3); /* it runs already */
    cr_expect_eq(get(MASKED), 1);
    set(CONTROL, 2);
    cr_expect_eq(get(RAW), 1);
    cr_expect_eq(get(MASKED), 0);
    set(CLEAR, 1);
    cr_expect_eq(pass(100000), 0);
}

Test(watchdog, sp805_that_may_not_bite_does_not_run)
{
    open_dog(&sp805_kind, 0, false);
    set(LOAD, 1000);
    set(CONTROL, 1);
    cr_expect_eq(pass(100000), 0);
    set(CONTROL, 2);
    cr_expect_eq(pass(100000), 0);
    set(CONTROL, 0xffffffff);
    cr_expect_eq(get(CONTROL), 3);
    set(CONTROL, 0);
    cr_expect_eq(pass(100000), 0);
}

Test(watchdog, sp805_is_locked_and_unlocked)
{
    open_dog(&sp805_kind, 0, false);
    set(LOCK, 1);
    cr_expect_eq(get(LOCK), 1);
    set(LOAD, 7);
    set(CONTROL, 3);
    cr_expect_eq(get(LOAD), UINT32_MAX);
    cr_expect_eq(get(CONTROL), 0);
    set(LOCK, 0x1acce551);
    cr_expect_eq(get(LOCK), 0);
    set(LOAD, 7);
    cr_expect_eq(get(LOAD), 7);
}

Test(watchdog, sp805_takes_times_of_nothing_and_of_ages)
{
    open_dog(&sp805_kind, 0, false);
    set(CONTROL, 3);
    cr_expect_eq(pass(178956 * 2), 0);
    set(LOAD, 0);
    pass(0);
    cr_expect_eq(pass(0), 1);
}

Test(watchdog, one_that_has_no_place_is_reported)
{
    struct watchdog *second = NULL;
    open_dog(&wdat_kind, 0, false);
    cr_expect_lt(watchdog_create(&second, &sp805_kind,
                                 &(struct watchdog_config){
                                     .bus = bus, .base = BASE, .clock = &fake_clock, .loop = loop}),
                 0);
    cr_expect_null(second);
}
