// SPDX-License-Identifier: BSD-2-Clause

#include "devices/platform/byte_device.h"
#include "tests/harness/ports.h"
#include "tests/harness/test.h"

#define PM_PORT       0x600
#define SLEEP_CONTROL (PM_PORT + ACPI_PM_SLEEP_CONTROL)
#define SLEEP_STATUS  (PM_PORT + ACPI_PM_SLEEP_STATUS)
#define RESET         (PM_PORT + ACPI_PM_RESET)

static struct byte_device *pm;

static void setup(void)
{
    ports_open();
    struct byte_device_config config = {
        .bus = pio, .base = PM_PORT, .power = {.request = on_power}};
    cr_assert_eq(byte_device_create(&pm, &acpi_pm_kind, &config), 0);
}

static void teardown(void)
{
    byte_device_destroy(pm);
    ports_close();
}

TestSuite(acpi_pm, .init = setup, .fini = teardown);

Test(acpi_pm, sleep_state_5_powers_off)
{
    bus_write(pio, SLEEP_CONTROL, 1, ACPI_PM_SLP_TYP_S5 << 2 | 0x20);
    cr_expect_eq(requests, 1);
    cr_expect_eq((int)last_event, POWER_OFF);
}

Test(acpi_pm, a_sleep_needs_its_enable_bit_and_a_known_type)
{
    bus_write(pio, SLEEP_CONTROL, 1, ACPI_PM_SLP_TYP_S5 << 2);
    for (unsigned type = 0; type < 8; type++)
        if (type != ACPI_PM_SLP_TYP_S5)
            bus_write(pio, SLEEP_CONTROL, 1, type << 2 | 0x20);
    cr_expect_eq(requests, 0);
}

Test(acpi_pm, the_reset_value_resets)
{
    for (unsigned value = 0; value < 256; value++)
        if (value != ACPI_PM_RESET_VALUE)
            bus_write(pio, RESET, 1, value);
    cr_expect_eq(requests, 0);
    bus_write(pio, RESET, 1, ACPI_PM_RESET_VALUE);
    cr_expect_eq(requests, 1);
    cr_expect_eq((int)last_event, POWER_RESET);
}

Test(acpi_pm, no_wake_is_ever_pending)
{
    bus_write(pio, SLEEP_STATUS, 1, 0xff);
    cr_expect_eq(port_in(SLEEP_STATUS), 0);
    cr_expect_eq(requests, 0);
}

Test(acpi_pm, only_bytes_are_taken)
{
    bus_write(pio, SLEEP_CONTROL, 2, 0x0034);
    bus_write(pio, SLEEP_CONTROL, 4, 0x00010034);
    cr_expect_eq(requests, 0);
}

Test(acpi_pm, a_taken_port_is_an_error)
{
    struct byte_device *second = NULL;
    struct byte_device_config config = {
        .bus = pio, .base = PM_PORT, .power = {.request = on_power}};
    cr_expect_lt(byte_device_create(&second, &acpi_pm_kind, &config), 0);
    bus_write(pio, RESET, 1, ACPI_PM_RESET_VALUE);
    cr_expect_eq(requests, 1);
}
