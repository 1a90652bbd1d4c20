// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/plic.h"

#include "tests/harness/test.h"

#define BASE         UINT64_C(0x100000)
#define ENABLES(ctx) (0x2000 + 0x80 * (ctx))
#define THRESHOLD(c) (0x200000 + 0x1000 * (c))
#define CLAIM(ctx)   (THRESHOLD(ctx) + 4)
#define CONTEXTS     2u

static struct bus *bus;
static struct plic *plic;
static bool raised[CONTEXTS];
static unsigned changes;

static void on_set(void *ctx, unsigned context, bool level)
{
    (void)ctx;
    cr_assert_lt(context, CONTEXTS);
    cr_assert_neq(raised[context], level, "told only when it changes");
    raised[context] = level;
    changes++;
}

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

static void setup(void)
{
    cr_assert_eq(bus_create(&bus, "mmio", 0x1000000), 0);
    cr_assert_eq(plic_create(&plic,
                             &(struct plic_config){
                                 .bus = bus, .base = BASE, .contexts = CONTEXTS, .set = on_set}),
                 0);
    for (unsigned source = 1; source < PLIC_SOURCES; source++)
        set(4 * source, 1);
}

static void teardown(void)
{
    plic_destroy(plic);
    bus_destroy(bus);
}

TestSuite(plic, .init = setup, .fini = teardown);

static void pulse(unsigned source)
{
    plic_set_source(plic, source, true);
    plic_set_source(plic, source, false);
}

Test(plic, a_pulse_is_delivered_once)
{
    set(ENABLES(0), 1u << 5);
    pulse(5);
    cr_expect(raised[0] && !raised[1]);
    cr_expect_eq(get(0x1000), 1u << 5);
    cr_expect_eq(get(CLAIM(0)), 5);
    cr_expect_not(raised[0]);
    cr_expect_eq(get(0x1000), 0);
    cr_expect_eq(get(CLAIM(0)), 0, "there is nothing else");
    set(CLAIM(0), 5);
    cr_expect_not(raised[0]);
}

Test(plic, a_pulse_while_another_is_handled_waits)
{
    set(ENABLES(0), 1u << 5);
    pulse(5);
    cr_expect_eq(get(CLAIM(0)), 5);
    pulse(5);
    cr_expect_not(raised[0]);
    cr_expect_eq(get(CLAIM(0)), 0);
    set(CLAIM(0), 5);
    cr_expect(raised[0]);
    cr_expect_eq(get(CLAIM(0)), 5);
}

Test(plic, a_level_stays)
{
    set(ENABLES(1) + 4, 1u << 1); /* the second word */
    plic_set_source(plic, 33, true);
    cr_expect_eq(get(CLAIM(1)), 33);
    set(CLAIM(1), 33);
    cr_expect(raised[1], "it is high as before");
    plic_set_source(plic, 33, true);
    cr_expect_eq(get(CLAIM(1)), 33);
    plic_set_source(plic, 33, false);
    set(CLAIM(1), 33);
    cr_expect_not(raised[1]);
}

Test(plic, priorities_and_thresholds)
{
    set(ENABLES(0), 0xffffffff);
    set(4 * 9, 3);
    pulse(3);
    pulse(9);
    pulse(7);
    cr_expect_eq(get(CLAIM(0)), 9, "the highest priority");
    cr_expect_eq(get(CLAIM(0)), 3, "then the lowest number");
    set(THRESHOLD(0), 1);
    cr_expect_not(raised[0]);
    cr_expect_eq(get(CLAIM(0)), 0);
    set(THRESHOLD(0), 0);
    cr_expect(raised[0]);
    set(4 * 7, 0); /* never interrupts */
    cr_expect_not(raised[0]);
    set(4 * 7, 0xffffffff);
    cr_expect_eq(get(4 * 7), 7);
    cr_expect_eq(get(CLAIM(0)), 7);
}

Test(plic, one_context_takes_it_from_all)
{
    set(ENABLES(0), 1u << 4);
    set(ENABLES(1), 1u << 4);
    pulse(4);
    cr_expect(raised[0] && raised[1]);
    cr_expect_eq(get(CLAIM(1)), 4);
    cr_expect(!raised[0] && !raised[1]);
    cr_expect_eq(changes, 4);
    set(CLAIM(0), 4);
    pulse(4);
    cr_expect(raised[0] && raised[1], "who completes does not matter");
}

/* A guest may complete what it has not claimed, and access what is not there. */
Test(plic, what_a_guest_gets_wrong)
{
    set(CLAIM(0), 5);
    set(CLAIM(0), 0);
    set(CLAIM(0), 0xffffffff);
    set(ENABLES(0), 0xffffffff);
    cr_expect_eq(get(ENABLES(0)), 0xfffffffe, "0 is no source");
    set(0, 7);
    set(0x1000, 0xffffffff);
    cr_expect_eq(get(0x1000), 0, "pending bits are not written");
    set(ENABLES(CONTEXTS), 0xffffffff);
    set(THRESHOLD(CONTEXTS), 1);
    set(ENABLES(0) + 8, 0xffffffff);
    cr_expect_eq(get(ENABLES(CONTEXTS)) | get(CLAIM(CONTEXTS)) | get(ENABLES(0) + 8), 0);
    for (uint64_t at = 0; at < PLIC_BYTES; at += 0x7c)
        set(at & ~UINT64_C(3), get(at & ~UINT64_C(3)));
    set(PLIC_BYTES - 4, 0xffffffff);
    cr_expect_eq(get(PLIC_BYTES - 4), 0);
    cr_expect_eq(changes, 0);
}

Test(plic, its_place_is_taken)
{
    struct plic *other = NULL;
    struct plic_config config = {.bus = bus, .base = BASE + 0x1000, .set = on_set};
    cr_expect_eq(plic_create(&other, &config), -EEXIST);
}
