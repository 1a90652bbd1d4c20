// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/byte_device.h"

#include <criterion/criterion.h>

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
    cr_assert_eq(bus_create(&pio, "pio", 65536), 0);
    struct byte_device_config config = {
        .bus = pio, .base = DEBUG_EXIT_PORT, .power = {.request = on_power}};
    cr_assert_eq(byte_device_create(&de, &debug_exit_kind, &config), 0);

    cr_expect(bus_read(pio, DEBUG_EXIT_PORT, 1, &value));
    cr_expect_eq(value, 0xff);
    bus_write(pio, DEBUG_EXIT_PORT, 4, 1);
    cr_expect_eq(requests, 0);
    for (int status = 0; status < 256; status++) {
        bus_write(pio, DEBUG_EXIT_PORT, 1, (uint64_t)status);
        cr_expect_eq(requests, status + 1);
        cr_expect_eq((int)last, POWER_EXIT);
        cr_expect_eq(last_status, status);
    }
    byte_device_destroy(de);
    cr_expect_not(bus_write(pio, DEBUG_EXIT_PORT, 1, 0));
    bus_destroy(pio);
}
