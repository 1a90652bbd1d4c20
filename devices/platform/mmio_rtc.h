// SPDX-License-Identifier: BSD-2-Clause
/*
 * Real-time clocks of machines that have devices in memory: the host's wall clock plus what the
 * user and the guest have set. They raise no interrupt: what a guest says of alarms can be read
 * back and no more. Any thread may access.
 *
 *   pl031     Arm PrimeCell (DDI 0224), seconds; Linux knows it by the identification registers
 *   goldfish  Google's (QEMU docs/specs/goldfish-rtc), nanoseconds
 */
#ifndef MINIVET_DEVICES_MMIO_RTC_H
#define MINIVET_DEVICES_MMIO_RTC_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/ports/bus.h"

struct clock;
struct facts;

struct mmio_rtc_config {
    struct bus *bus;
    uint64_t base;
    const struct clock *clock; /* outlives the device */
    int64_t ahead_s;           /* the guest's time minus the host's */
};

#define MMIO_RTC_STORED 4

struct mmio_rtc;

struct mmio_rtc_kind {
    const char *name;
    uint64_t bytes;
    uint32_t (*read)(struct mmio_rtc *rtc, uint64_t offset);
    void (*write)(struct mmio_rtc *rtc, uint64_t offset, uint32_t value);
};

struct mmio_rtc {
    const struct mmio_rtc_kind *kind;
    struct mmio_rtc_config config;
    struct bus_region region;
    _Atomic uint64_t ahead_ns;                /* of the host */
    _Atomic uint32_t stored[MMIO_RTC_STORED]; /* registers that do nothing */
    _Atomic uint32_t high; /* goldfish: of the time that was read, or will be set */
};

extern const struct mmio_rtc_kind pl031_kind, goldfish_rtc_kind;

/* Errors are reported. */
int mmio_rtc_create(struct mmio_rtc **out, const struct mmio_rtc_kind *kind,
                    const struct mmio_rtc_config *config);
/* Any thread: names what it shows. */
void mmio_rtc_describe(struct mmio_rtc *rtc, struct facts *f);
void mmio_rtc_destroy(struct mmio_rtc *rtc); /* NULL is allowed */

#endif
