// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/fw_cfg.h"

#include "tests/harness/ports.h"
#include "tests/harness/test.h"

#define PORT   0x510u
#define MEMORY 0x5000u /* on a bus of ports, which does not know what it is of */

static struct fw_cfg *device, *in_memory;
static const struct fw_cfg_file files[] = {{"opt/a", "first", 5}, {"opt/b/c", "second file", 11}};

static void open_device(void)
{
    ports_open();
    struct fw_cfg_config config = {BUS_PIO, pio, PORT, files, ARRAY_SIZE(files)};
    cr_assert_eq(fw_cfg_create(&device, &config), 0);
    config.space = BUS_MMIO;
    config.base = MEMORY;
    cr_assert_eq(fw_cfg_create(&in_memory, &config), 0);
}

static void close_device(void)
{
    fw_cfg_destroy(device);
    fw_cfg_destroy(in_memory);
    ports_close();
}

TestSuite(fw_cfg, .init = open_device, .fini = close_device);

/* The first bytes of an item. */
static const uint8_t *item(uint16_t selector, size_t bytes)
{
    static uint8_t data[256];
    bus_write(pio, PORT, 2, selector);
    for (size_t i = 0; i < bytes; i++)
        data[i] = (uint8_t)port_in(PORT + 1);
    return data;
}

Test(fw_cfg, tells_what_it_is)
{
    cr_expect_arr_eq(item(0, 4), "QEMU", 4);
    cr_expect_arr_eq(item(1, 4), "\1\0\0\0", 4, "ports, no DMA");
}

Test(fw_cfg, has_a_directory_of_files)
{
    static const uint8_t first[] = {0,    0, 0, 2,   0,   0,   0,   5,   0,
                                    0x20, 0, 0, 'o', 'p', 't', '/', 'a', 0},
                         second[] = {0,   0,   0,   11,  0,   0x21, 0,   0,
                                     'o', 'p', 't', '/', 'b', '/',  'c', 0};
    const uint8_t *directory = item(0x19, 4 + 2 * 64 + 8);
    cr_expect_arr_eq(directory, first, sizeof(first));
    cr_expect_arr_eq(directory + 4 + 64, second, sizeof(second));
    for (unsigned i = 0; i < 8; i++)
        cr_expect_eq(directory[4 + 2 * 64 + i], 0, "behind its end");
}

Test(fw_cfg, gives_files_from_their_start)
{
    cr_expect_arr_eq(item(0x20, 7), "first\0", 7);
    cr_expect_arr_eq(item(0x21, 11), "second file", 11);
    cr_expect_arr_eq(item(0x21, 3), "sec", 3);
    cr_expect_arr_eq(item(0xc020, 5), "first", 5, "the upper bits say nothing here");
}

/* What a hostile guest tries: items that are none, widths that are none, writing. */
Test(fw_cfg, what_is_not_there_is_zero)
{
    static const uint16_t none[] = {2, 0x18, 0x1a, 0x1f, 0x22, 0x3fff, 0x4022, 0xffff};
    uint64_t value = 1;
    for (unsigned i = 0; i < ARRAY_SIZE(none); i++)
        cr_expect_arr_eq(item(none[i], 4), "\0\0\0\0", 4, "item 0x%x", none[i]);
    item(0x20, 1);
    bus_write(pio, PORT, 1, 0x21);     /* no selector is that narrow */
    bus_write(pio, PORT + 1, 1, 0x55); /* read-only */
    bus_write(pio, PORT + 1, 2, 0x21); /* beyond the end */
    cr_expect(bus_read(pio, PORT, 2, &value));
    cr_expect_eq(value, 0);
    cr_expect_eq(port_in(PORT), 0);
    cr_expect_eq(port_in(PORT + 1), 'i', "where it was");
}

/* ---- in memory ---- */
#define SELECT(item) bus_write(pio, MEMORY + 8, 2, __builtin_bswap16(item))

static uint64_t data(unsigned width)
{
    uint64_t value = 0;
    cr_assert(bus_read(pio, MEMORY, width, &value));
    return value;
}

/* Numbers of any width are a text's bytes in the order of memory, as the specification has it. */
Test(fw_cfg, in_memory_data_comes_in_all_widths)
{
    SELECT(0);
    for (unsigned i = 0; i < 4; i++)
        cr_expect_eq(data(1), (uint8_t) "QEMU"[i]);
    SELECT(1);
    cr_expect_eq(data(4), 1, "no DMA");
    SELECT(0x21);
    uint64_t value = data(8);
    cr_expect_arr_eq(&value, "second f", 8);
    value = data(2);
    cr_expect_arr_eq(&value, "il", 2);
    value = data(4);
    cr_expect_arr_eq(&value, "e\0\0", 4, "behind the end");
    cr_expect_eq(data(8), 0);
    SELECT(0xc020);
    value = data(8);
    cr_expect_arr_eq(&value, "first\0\0", 8);
}

Test(fw_cfg, in_memory_the_selector_is_big_endian)
{
    uint64_t value = 1;
    SELECT(0x20);
    cr_expect_eq(data(1), 'f');
    bus_write(pio, MEMORY + 8, 2, 0x0021); /* is 0x2100 */
    cr_expect_eq(data(4), 0);
    SELECT(0x20);
    bus_write(pio, MEMORY + 8, 1, 0x21); /* no selector is that narrow */
    bus_write(pio, MEMORY + 8, 4, 0x2100);
    bus_write(pio, MEMORY, 2, 0x2100); /* read-only */
    bus_write(pio, MEMORY + 2, 2, 0x2100);
    cr_expect(bus_read(pio, MEMORY + 8, 2, &value) && value == 0);
    cr_expect(bus_read(pio, MEMORY + 1, 1, &value) && value == 0, "data is at the start alone");
    cr_expect_eq(data(1), 'f');
    cr_expect_not(bus_read(pio, MEMORY + 16, 8, &value), "there is no DMA");
}
