// SPDX-License-Identifier: BSD-2-Clause
/*
 * Watchdogs: timers that a guest starts and pets, and that say so when it has not done that for as
 * long as it wanted. What follows then is the owner's business; the device stops, until the guest
 * pets or starts it again. Any thread may access.
 *
 *   wdat    five registers of 32 bits, which firmware describes to guests in a table of actions
 *           (ACPI's WDAT): Linux drives it with wdat_wdt
 *   sp805   Arm PrimeCell (DDI 0270): the time runs out twice before it bites, and its interrupt,
 *           after the first time, is wired to nothing; Linux drives it with sp805_wdt
 */
#ifndef MINIVET_DEVICES_WATCHDOG_H
#define MINIVET_DEVICES_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

struct bus;
struct clock;
struct evloop;
struct watchdog;
struct watchdog_kind;

/* The registers of wdat, each four bytes. The firmware's WDAT tells the guest where they are. */
enum {
    WDAT_PET = 0x00,    /* written: the time begins anew; reads as 0 */
    WDAT_RUNS = 0x04,   /* 1: it runs, 0: it is stopped */
    WDAT_PERIOD = 0x08, /* how long without petting, in units */
    WDAT_LEFT = 0x0c,   /* of that; read-only */
    WDAT_BITTEN = 0x10, /* bit 0: this start of the guest is the watchdog's; 1 clears it */
    WDAT_BYTES = 0x14,
};
#define WDAT_UNIT_MS 100u
#define WDAT_MAX     36000u /* units that a guest may ask for: an hour; more are as many */

/* What drives a sp805's counter; the device tree tells the guest. */
#define SP805_HZ    24000000u
#define SP805_BYTES 0x1000u

struct watchdog_config {
    struct bus *bus;
    uint64_t base;
    const struct clock *clock; /* the loop's; outlives the device, as do the others */
    struct evloop *loop;
    uint64_t boot_ns;           /* it runs from the start, for so long; 0: the guest starts it */
    bool has_bitten;            /* it is why the guest starts */
    void (*on_bite)(void *ctx); /* on the loop */
    void *ctx;
};

extern const struct watchdog_kind wdat_kind, sp805_kind;

/* Errors are reported. */
int watchdog_create(struct watchdog **out, const struct watchdog_kind *kind,
                    const struct watchdog_config *config);
/* No thread runs the loop. NULL is allowed. */
void watchdog_destroy(struct watchdog *w);

/* The guest is paused: its time stands still, too. Any thread, while no vCPU runs. */
void watchdog_hold(struct watchdog *w, bool on);

#endif
