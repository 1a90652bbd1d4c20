// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/byte_device.h"

#include <criterion/criterion.h>

#include "core/ports/bus.h"

#define POST_CODE_PORT 0x80

static struct bus *pio;
static struct byte_device *pc;
static uint8_t codes[8];
static unsigned count;

static void on_code(void *ctx, uint8_t code)
{
    cr_expect_eq(ctx, codes);
    codes[count++ % 8] = code;
}

static void create(struct byte_device_config config)
{
    cr_assert_eq(bus_create(&pio, "pio", 65536), 0);
    config.bus = pio;
    config.base = POST_CODE_PORT;
    cr_assert_eq(byte_device_create(&pc, &post_code_kind, &config), 0);
}

static void destroy(void)
{
    byte_device_destroy(pc);
    bus_destroy(pio);
}

Test(post_code, every_write_is_told_and_the_last_is_read)
{
    uint64_t value = 1;
    create((struct byte_device_config){.on_byte = on_code, .ctx = codes});
    cr_expect(bus_read(pio, POST_CODE_PORT, 1, &value));
    cr_expect_eq(value, 0);
    for (unsigned i = 0; i < 3; i++)
        cr_expect(bus_write(pio, POST_CODE_PORT, 1, 0xa0 + i));
    cr_expect_not(bus_write(pio, POST_CODE_PORT, 2, 0xb0), "a byte and no more");
    cr_assert_eq(count, 3);
    for (unsigned i = 0; i < 3; i++)
        cr_expect_eq(codes[i], 0xa0 + i);
    cr_expect(bus_read(pio, POST_CODE_PORT, 1, &value));
    cr_expect_eq(value, 0xa2);
    destroy();
}

Test(post_code, nobody_needs_to_listen)
{
    uint64_t value;
    create((struct byte_device_config){0});
    cr_expect(bus_write(pio, POST_CODE_PORT, 1, 0x42));
    cr_expect(bus_read(pio, POST_CODE_PORT, 1, &value));
    cr_expect_eq(value, 0x42);
    destroy();
}
