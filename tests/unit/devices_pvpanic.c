// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/byte_device.h"

#include "tests/harness/ports.h"
#include "tests/harness/test.h"

TestSuite(pvpanic, .init = ports_open, .fini = ports_close);

Test(pvpanic, only_a_panic_ends_the_run)
{
    struct byte_device *p = NULL;
    uint64_t value = 0;
    struct byte_device_config config = {.bus = pio, .base = 0x505, .power = {.request = on_power}};
    cr_assert_eq(byte_device_create(&p, &pvpanic_kind, &config), 0);
    cr_expect_eq(port_in(0x505), 3);
    bus_write(pio, 0x505, 1, 0);
    bus_write(pio, 0x505, 1, 0xfc);
    bus_write(pio, 0x505, 1, 2);
    bus_write(pio, 0x505, 2, 1);
    cr_expect_eq(requests, 0);
    bus_write(pio, 0x505, 1, 1);
    cr_expect_eq(requests, 1);
    cr_expect_eq((int)last_event, POWER_PANIC);
    byte_device_destroy(p);
    cr_expect_not(bus_read(pio, 0x505, 1, &value));
}
