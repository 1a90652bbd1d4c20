// SPDX-License-Identifier: BSD-2-Clause
/* I/O ports for the tests of platform devices, and what such a device asks of the machine. */
#ifndef MINIVET_TESTS_HARNESS_PORTS_H
#define MINIVET_TESTS_HARNESS_PORTS_H

#include "core/ports/bus.h"
#include "core/ports/power.h"

extern struct bus *pio;

/* For a suite's .init and .fini. */
void ports_open(void);
void ports_close(void);

/* A byte; fails the test where no device is. */
unsigned port_in(uint64_t port);

/* What was asked for: how often, and the last time. */
extern unsigned requests;
extern enum power_event last_event;
extern int last_status;
void on_power(void *ctx, enum power_event event, int status);

#endif
