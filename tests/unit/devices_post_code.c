// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/byte_device.h"

#include "tests/harness/ports.h"
#include "tests/harness/test.h"

#define POST_CODE_PORT 0x80

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
    ports_open();
    config.bus = pio;
    config.base = POST_CODE_PORT;
    cr_assert_eq(byte_device_create(&pc, &post_code_kind, &config), 0);
}

static void destroy(void)
{
    byte_device_destroy(pc);
    ports_close();
}

Test(post_code, every_write_is_told_and_the_last_is_read)
{
    create((struct byte_device_config){.on_byte = on_code, .ctx = codes});
    cr_expect_eq(port_in(POST_CODE_PORT), 0);
    for (unsigned i = 0; i < 3; i++)
        cr_expect(bus_write(pio, POST_CODE_PORT, 1, 0xa0 + i));
    cr_expect_not(bus_write(pio, POST_CODE_PORT, 2, 0xb0), "a byte and no more");
    cr_assert_eq(count, 3);
    for (unsigned i = 0; i < 3; i++)
        cr_expect_eq(codes[i], 0xa0 + i);
    cr_expect_eq(port_in(POST_CODE_PORT), 0xa2);
    destroy();
}

Test(post_code, nobody_needs_to_listen)
{
    create((struct byte_device_config){0});
    cr_expect(bus_write(pio, POST_CODE_PORT, 1, 0x42));
    cr_expect_eq(port_in(POST_CODE_PORT), 0x42);
    destroy();
}
