// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/acpi/aml.h"

#include "tests/harness/test.h"

/* Expected bytes: worked out by hand from ACPI 6.5 20.2, 6.4 and 19.3.4. */
#define EXPECT(a, ...)                                            \
    do {                                                          \
        static const uint8_t expected_[] = {__VA_ARGS__};         \
        cr_assert_not((a)->overflow);                             \
        cr_assert_eq((a)->len, sizeof(expected_));                \
        cr_assert_arr_eq((a)->buf, expected_, sizeof(expected_)); \
    } while (0)

static uint8_t room[0x20000];
static struct aml a;

static void init(void)
{
    aml_init(&a, room, sizeof(room));
}

Test(firmware_aml, integers_are_as_short_as_can_be, .init = init)
{
    aml_integer(&a, 0);
    aml_integer(&a, 1);
    aml_integer(&a, 2);
    aml_integer(&a, 0xff);
    aml_integer(&a, 0x100);
    aml_integer(&a, 0x10000);
    aml_integer(&a, UINT64_C(0x123456789));
    EXPECT(&a, 0x00, 0x01, 0x0a, 0x02, 0x0a, 0xff, 0x0b, 0x00, 0x01, 0x0c, 0x00, 0x00, 0x01, 0x00,
           0x0e, 0x89, 0x67, 0x45, 0x23, 0x01, 0x00, 0x00, 0x00);
}

Test(firmware_aml, names_and_strings, .init = init)
{
    aml_name(&a, "_HID");
    aml_string(&a, "AB");
    EXPECT(&a, 0x08, '_', 'H', 'I', 'D', 0x0d, 'A', 'B', 0x00);
}

/* The specification's own example: PNP0C08 is 0x080CD041. */
Test(firmware_aml, eisa_id, .init = init)
{
    aml_eisa_id(&a, "PNP0C08");
    EXPECT(&a, 0x0c, 0x41, 0xd0, 0x0c, 0x08);
}

Test(firmware_aml, nesting, .init = init)
{
    size_t scope = aml_scope(&a, "_SB_");
    size_t dev = aml_device(&a, "COM1");

    aml_close(&a, dev);
    aml_close(&a, scope);
    EXPECT(&a, 0x10, 0x0c, '_', 'S', 'B', '_', 0x5b, 0x82, 0x05, 'C', 'O', 'M', '1');
}

Test(firmware_aml, a_method_notifies, .init = init)
{
    size_t method = aml_method(&a, "_STA", 0);
    aml_notify(&a, "PWRB", 0x80);
    aml_close(&a, method);
    EXPECT(&a, 0x14, 0x0d, '_', 'S', 'T', 'A', 0x00, 0x86, 'P', 'W', 'R', 'B', 0x0a, 0x80);
}

Test(firmware_aml, a_method_looks_at_its_argument, .init = init)
{
    size_t method = aml_method(&a, "_EVT", 1);
    size_t only = aml_if_arg0_is(&a, 9);
    aml_notify(&a, "PWRB", 0x80);
    aml_close(&a, only);
    aml_close(&a, method);
    EXPECT(&a, 0x14, 0x13, '_', 'E', 'V', 'T', 0x01, 0xa0, 0x0c, 0x93, 0x68, 0x0a, 0x09, 0x86, 'P',
           'W', 'R', 'B', 0x0a, 0x80);
}

/* The length counts its own bytes: each border moves down by their number. */
Test(firmware_aml, package_lengths_at_the_borders)
{
    static const struct {
        size_t content; /* with the element count */
        uint8_t enc[4];
        size_t enc_bytes;
    } cases[] = {
        {62, {0x3f}, 1},
        {63, {0x41, 0x04}, 2}, /* 65 */
        {0xfff - 2, {0x4f, 0xff}, 2},
        {0xfff - 1, {0x81, 0x00, 0x01}, 3}, /* 0x1001 */
        {0x12345 - 3, {0x85, 0x34, 0x12}, 3},
        {0xfffff - 3, {0x8f, 0xff, 0xff}, 3},
        {0xfffff - 2, {0xc1, 0x00, 0x00, 0x01}, 4}, /* 0x100001 */
    };
    uint8_t *big = malloc(0x200000);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t package;

        aml_init(&a, big, 0x200000);
        package = aml_package(&a, 7);
        for (size_t n = 1; n < cases[i].content; n++)
            aml_integer(&a, 0);
        aml_close(&a, package);
        cr_assert_not(a.overflow);
        cr_assert_eq(a.len, 1 + cases[i].enc_bytes + cases[i].content, "case %zu", i);
        cr_assert_arr_eq(big + 1, cases[i].enc, cases[i].enc_bytes, "case %zu", i);
        cr_assert_eq(big[1 + cases[i].enc_bytes], 7, "case %zu", i);
    }
    free(big);
}

Test(firmware_aml, resources_of_a_device, .init = init)
{
    size_t crs = aml_resources(&a);

    aml_res_ports(&a, 0x3f8, 8);
    aml_res_irq(&a, 4);
    aml_res_gsi(&a, 0x17);
    aml_res_memory(&a, 0xfeb00000, 0x1000);
    aml_resources_close(&a, crs);
    EXPECT(&a, 0x11, 0x25, 0x0a, 0x22, 0x47, 0x01, 0xf8, 0x03, 0xf8, 0x03, 0x01, 0x08, 0x22, 0x10,
           0x00, 0x89, 0x06, 0x00, 0x03, 0x01, 0x17, 0x00, 0x00, 0x00, 0x86, 0x09, 0x00, 0x01, 0x00,
           0x00, 0xb0, 0xfe, 0x00, 0x10, 0x00, 0x00, 0x79, 0x00);
}

Test(firmware_aml, windows_of_a_bridge, .init = init)
{
    size_t crs = aml_resources(&a);

    aml_res_window(&a, AML_BUS, 2, 0, 1);
    aml_res_window(&a, AML_PORTS, 2, 0xd00, 0xffff);
    aml_res_window(&a, AML_MEMORY, 4, 0xc0000000, 0xdfffffff);
    aml_resources_close(&a, crs);
    EXPECT(&a, 0x11, 0x3f, 0x0a, 0x3c, /* 16 + 16 + 26 + 2 */
           0x88, 0x0d, 0x00, 0x02, 0x0c, 0x00, 0, 0, 0x00, 0x00, 0x01, 0x00, 0, 0, 0x02, 0x00, /**/
           0x88, 0x0d, 0x00, 0x01, 0x0c, 0x03, 0, 0, 0x00, 0x0d, 0xff, 0xff, 0, 0, 0x00, 0xf3, /**/
           0x87, 0x17, 0x00, 0x00, 0x0c, 0x01, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0xc0, 0xff, 0xff, 0xff,
           0xdf, 0, 0, 0, 0, 0x00, 0x00, 0x00, 0x20, 0x79, 0x00);
}

Test(firmware_aml, window_above_4_gib, .init = init)
{
    aml_res_window(&a, AML_MEMORY, 8, UINT64_C(0x8000000000), UINT64_C(0x80ffffffff));
    EXPECT(&a, 0x8a, 0x2b, 0x00, 0x00, 0x0c, 0x01, 0, 0, 0, 0, 0, 0, 0, 0,   /**/
           0, 0, 0, 0, 0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0, /**/
           0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
}

/* Whatever the size of the buffer, nothing is written beyond it and the lack is not forgotten. */
Test(firmware_aml, overflow_at_every_length)
{
    for (size_t capacity = 0; capacity < 64; capacity++) {
        uint8_t *exact = malloc(capacity ? capacity : 1);
        size_t dev, crs;

        aml_init(&a, exact, capacity);
        dev = aml_device(&a, "DEV0");
        aml_name(&a, "_HID");
        aml_string(&a, "LNRO0005");
        aml_name(&a, "_CRS");
        crs = aml_resources(&a);
        aml_res_memory(&a, 0xfeb00000, 0x1000);
        aml_res_gsi(&a, 5);
        aml_resources_close(&a, crs);
        aml_close(&a, dev);
        cr_assert_leq(a.len, capacity);
        cr_assert_eq(a.overflow, capacity < 54, "capacity %zu", capacity);
        free(exact);
    }
}
