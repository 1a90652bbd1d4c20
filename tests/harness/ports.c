// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/ports.h"

#include <criterion/criterion.h>

struct bus *pio;
unsigned requests;
enum power_event last_event;
int last_status;

void ports_open(void)
{
    cr_assert_eq(bus_create(&pio, "pio", 65536), 0);
}

void ports_close(void)
{
    bus_destroy(pio);
}

unsigned port_in(uint64_t port)
{
    uint64_t value = 0;
    cr_assert(bus_read(pio, port, 1, &value));
    return (unsigned)value;
}

void on_power(void *ctx, enum power_event event, int status)
{
    (void)ctx;
    requests++;
    last_event = event;
    last_status = status;
}
