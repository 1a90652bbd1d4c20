// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/byte_device.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "core/ports/bus.h"

#define DEBUG_EXIT_PORT 0xf4

static int requests, last_status;
static enum power_event last;

static void on_power(void *ctx, enum power_event event, int status)
{
    (void)ctx;
    requests++;
    last = event;
    last_status = status;
}

Test(debug_exit, a_byte_written_is_the_exit_status)
{
    struct bus *pio = NULL;
    struct byte_device *de = NULL;
    uint64_t value = 0;
    cr_assert(zero(bus_create(&pio, "pio", 65536)));
    struct byte_device_config config = {
        .bus = pio, .base = DEBUG_EXIT_PORT, .power = {.request = on_power}};
    cr_assert(zero(byte_device_create(&de, &debug_exit_kind, &config)));

    cr_expect(bus_read(pio, DEBUG_EXIT_PORT, 1, &value));
    cr_expect(eq(u64, value, 0xff));
    bus_write(pio, DEBUG_EXIT_PORT, 4, 1);
    cr_expect(zero(requests));
    for (int status = 0; status < 256; status++) {
        bus_write(pio, DEBUG_EXIT_PORT, 1, (uint64_t)status);
        cr_expect(eq(int, requests, status + 1));
        cr_expect(eq(int, (int)last, POWER_EXIT));
        cr_expect(eq(int, last_status, status));
    }
    byte_device_destroy(de);
    cr_expect(not(bus_write(pio, DEBUG_EXIT_PORT, 1, 0)));
    bus_destroy(pio);
}
