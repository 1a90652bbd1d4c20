// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/byte_device.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "core/ports/bus.h"

static int requests;
static enum power_event last;

static void on_power(void *ctx, enum power_event event, int status)
{
    (void)ctx;
    (void)status;
    requests++;
    last = event;
}

Test(pvpanic, only_a_panic_ends_the_run)
{
    struct bus *pio = NULL;
    struct byte_device *p = NULL;
    uint64_t value = 0;
    cr_assert(zero(bus_create(&pio, "pio", 65536)));
    struct byte_device_config config = {.bus = pio, .base = 0x505, .power = {.request = on_power}};
    cr_assert(zero(byte_device_create(&p, &pvpanic_kind, &config)));
    cr_expect(bus_read(pio, 0x505, 1, &value));
    cr_expect(eq(u64, value, 3));
    bus_write(pio, 0x505, 1, 0);
    bus_write(pio, 0x505, 1, 0xfc);
    bus_write(pio, 0x505, 1, 2);
    bus_write(pio, 0x505, 2, 1);
    cr_expect(zero(requests));
    bus_write(pio, 0x505, 1, 1);
    cr_expect(eq(int, requests, 1));
    cr_expect(eq(int, (int)last, POWER_PANIC));
    byte_device_destroy(p);
    cr_expect(not(bus_read(pio, 0x505, 1, &value)));
    bus_destroy(pio);
}
