// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/i8042.h"

#include "tests/harness/ports.h"
#include "tests/harness/test.h"

static struct i8042 *kbc;

static void setup(void)
{
    ports_open();
    struct i8042_config config = {.pio = pio, .power = {.request = on_power}};
    cr_assert_eq(i8042_create(&kbc, &config), 0);
}

static void teardown(void)
{
    i8042_destroy(kbc);
    ports_close();
}

TestSuite(i8042, .init = setup, .fini = teardown);

static unsigned status(void)
{
    return port_in(I8042_COMMAND_PORT);
}

static void command(unsigned byte)
{
    bus_write(pio, I8042_COMMAND_PORT, 1, byte);
}

static void data(unsigned byte)
{
    bus_write(pio, I8042_DATA_PORT, 1, byte);
}

Test(i8042, command_fe_resets)
{
    command(0xfe);
    cr_expect_eq(requests, 1);
    cr_expect_eq((int)last_event, POWER_RESET);
}

Test(i8042, output_port_bit_0_resets)
{
    command(0xd1);
    data(0x03);
    cr_expect_eq(requests, 0);
    command(0xd1);
    data(0x02);
    cr_expect_eq(requests, 1);
}

Test(i8042, other_pulses_do_not_reset)
{
    for (unsigned byte = 0; byte < 256; byte++)
        if (byte < 0xf0 || (byte & 1))
            command(byte);
    cr_expect_eq(requests, 0);
}

Test(i8042, self_test_passes)
{
    command(0xaa);
    cr_expect_eq((int)(status() & 0x05), 0x05);
    cr_expect_eq((int)port_in(I8042_DATA_PORT), 0x55);
    cr_expect_eq((int)(status() & 0x01), 0);
    command(0xab);
    cr_expect_eq((int)port_in(I8042_DATA_PORT), 0);
}

Test(i8042, command_byte_can_be_stored)
{
    command(0x60);
    data(0x47);
    command(0x20);
    cr_expect_eq((int)port_in(I8042_DATA_PORT), 0x47);
    cr_expect_eq((int)(status() & 0x04), 0x04);
}

Test(i8042, there_is_no_mouse_port)
{
    command(0xd3);
    data(0x5a);
    cr_expect_eq((int)(status() & 0x20), 0);
    port_in(I8042_DATA_PORT);
    command(0xa9);
    cr_expect_neq((int)port_in(I8042_DATA_PORT), 0);
}

Test(i8042, there_is_no_keyboard)
{
    data(0xf2);
    cr_expect_eq((int)(status() & 0x41), 0x41);
    cr_expect_eq((int)port_in(I8042_DATA_PORT), 0xfe);
    cr_expect_eq((int)(status() & 0x41), 0);
}

Test(i8042, input_is_never_busy)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        command(byte);
        cr_expect_eq((int)(status() & 0x02), 0);
        data(byte | 1);
        cr_expect_eq((int)(status() & 0x02), 0);
        port_in(I8042_DATA_PORT);
    }
}
