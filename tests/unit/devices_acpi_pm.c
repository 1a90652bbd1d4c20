// SPDX-License-Identifier: BSD-2-Clause

#include <criterion/criterion.h>

#include "core/ports/bus.h"
#include "devices/platform/byte_device.h"

#define PM_PORT       0x600
#define SLEEP_CONTROL (PM_PORT + ACPI_PM_SLEEP_CONTROL)
#define SLEEP_STATUS  (PM_PORT + ACPI_PM_SLEEP_STATUS)
#define RESET         (PM_PORT + ACPI_PM_RESET)

static struct bus *pio;
static struct byte_device *pm;
static int requests;
static enum power_event last;

static void on_power(void *ctx, enum power_event event, int status)
{
    (void)ctx;
    (void)status;
    requests++;
    last = event;
}

static void setup(void)
{
    cr_assert_eq(bus_create(&pio, "pio", 65536), 0);
    struct byte_device_config config = {
        .bus = pio, .base = PM_PORT, .power = {.request = on_power}};
    cr_assert_eq(byte_device_create(&pm, &acpi_pm_kind, &config), 0);
}

static void teardown(void)
{
    byte_device_destroy(pm);
    bus_destroy(pio);
}

TestSuite(acpi_pm, .init = setup, .fini = teardown);

Test(acpi_pm, sleep_state_5_powers_off)
{
    bus_write(pio, SLEEP_CONTROL, 1, ACPI_PM_SLP_TYP_S5 << 2 | 0x20);
    cr_expect_eq(requests, 1);
    cr_expect_eq((int)last, POWER_OFF);
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
    cr_expect_eq((int)last, POWER_RESET);
}

Test(acpi_pm, no_wake_is_ever_pending)
{
    uint64_t value = 1;
    bus_write(pio, SLEEP_STATUS, 1, 0xff);
    cr_expect(bus_read(pio, SLEEP_STATUS, 1, &value));
    cr_expect_eq(value, 0);
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
