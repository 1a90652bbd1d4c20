// SPDX-License-Identifier: BSD-2-Clause
/*
 * MC146818 real-time clock and CMOS memory, as a PC has them at ports 0x70 and 0x71. The time is
 * the host's wall clock plus what the user and the guest have set; BCD and binary, 24 and 12 hours.
 * It interrupts when a second has begun, at the time of an alarm, and periodically at up to 8192
 * Hz; while an interrupt waits for its acknowledgement (a read of register C) there is no other,
 * and no work.
 *
 * Any vCPU may access. (A PC's vCPUs share the index register, so guests lock around it; one that
 * does not reads another register's byte, no worse.)
 */
#ifndef MINIVET_DEVICES_RTC_H
#define MINIVET_DEVICES_RTC_H

#include <stdint.h>

#include "core/ports/irq.h"

#define RTC_PORT       0x70
#define RTC_PORT_COUNT 2

struct bus;
struct clock;
struct evloop;
struct facts;
struct rtc;

struct rtc_config {
    struct bus *pio;
    const struct clock *clock; /* outlives the device, as do the others */
    struct evloop *loop;       /* for timers; by the same clock */
    struct irq_line irq;
    int64_t ahead_s; /* the guest's time minus the host's */
    /* What the CMOS memory says about RAM. */
    uint64_t ram_below_4g_bytes;
    uint64_t ram_above_4g_bytes;
};

/* Errors are reported. */
int rtc_create(struct rtc **out, const struct rtc_config *config);
/* Any thread: names what it does, and changes nothing. */
void rtc_describe(struct rtc *rtc, struct facts *f);
void rtc_destroy(struct rtc *rtc); /* NULL is allowed */

#endif
