// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/byte_device.h"

#include "tests/harness/ports.h"
#include "tests/harness/test.h"

#define DEBUG_EXIT_PORT 0xf4

TestSuite(debug_exit, .init = ports_open, .fini = ports_close);

Test(debug_exit, a_byte_written_is_the_exit_status)
{
    struct byte_device *de = NULL;
    struct byte_device_config config = {
        .bus = pio, .base = DEBUG_EXIT_PORT, .power = {.request = on_power}};
    cr_assert_eq(byte_device_create(&de, &debug_exit_kind, &config), 0);

    cr_expect_eq(port_in(DEBUG_EXIT_PORT), 0xff);
    bus_write(pio, DEBUG_EXIT_PORT, 4, 1);
    cr_expect_eq(requests, 0);
    for (int status = 0; status < 256; status++) {
        bus_write(pio, DEBUG_EXIT_PORT, 1, (uint64_t)status);
        cr_expect_eq((int)requests, status + 1);
        cr_expect_eq((int)last_event, POWER_EXIT);
        cr_expect_eq(last_status, status);
    }
    byte_device_destroy(de);
    cr_expect_not(bus_write(pio, DEBUG_EXIT_PORT, 1, 0));
}
