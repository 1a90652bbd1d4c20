// SPDX-License-Identifier: BSD-2-Clause
#include "devices/post_code.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "core/bus.h"
#include "core/clock.h"

static struct bus *pio;
static struct post_code *pc;
static uint64_t now;

static uint64_t now_ns(void *ctx)
{
    (void)ctx;
    return now;
}

static const struct clock fake_clock = {.now_ns = now_ns, .wall_ns = now_ns};

static void setup(void)
{
    cr_assert(zero(bus_create(&pio, "pio", 65536)));
    struct post_code_config config = {.pio = pio, .clock = &fake_clock};
    cr_assert(zero(post_code_create(&pc, &config)));
}

static void teardown(void)
{
    post_code_destroy(pc);
    bus_destroy(pio);
}

TestSuite(post_code, .init = setup, .fini = teardown);

Test(post_code, stamps_carry_value_and_time_in_order)
{
    struct post_code_stamp stamps[POST_CODE_STAMPS];
    uint64_t written = 1, value = 0;
    cr_expect(zero(int, (int)post_code_stamps(pc, stamps, POST_CODE_STAMPS, &written)));
    cr_expect(zero(u64, written));
    for (unsigned i = 0; i < 3; i++) {
        now = 1000 + i;
        bus_write(pio, POST_CODE_PORT, 1, 0xa0 + i);
    }
    cr_assert(eq(int, (int)post_code_stamps(pc, stamps, POST_CODE_STAMPS, &written), 3));
    cr_expect(eq(u64, written, 3));
    for (unsigned i = 0; i < 3; i++) {
        cr_expect(eq(u64, stamps[i].when_ns, 1000 + i));
        cr_expect(eq(int, stamps[i].value, 0xa0 + (int)i));
    }
    cr_expect(bus_read(pio, POST_CODE_PORT, 1, &value));
    cr_expect(eq(u64, value, 0xa2));
}

Test(post_code, only_the_last_are_kept)
{
    struct post_code_stamp stamps[POST_CODE_STAMPS];
    uint64_t written = 0;
    for (now = 0; now < 1000; now++)
        bus_write(pio, POST_CODE_PORT, 1, now);
    cr_assert(
        eq(int, (int)post_code_stamps(pc, stamps, POST_CODE_STAMPS, &written), POST_CODE_STAMPS));
    cr_expect(eq(u64, written, 1000));
    for (unsigned i = 0; i < POST_CODE_STAMPS; i++)
        cr_expect(eq(u64, stamps[i].when_ns, 1000 - POST_CODE_STAMPS + i));
    cr_expect(eq(int, (int)post_code_stamps(pc, stamps, 2, NULL), 2));
    cr_expect(eq(u64, stamps[1].when_ns, 999));
}
