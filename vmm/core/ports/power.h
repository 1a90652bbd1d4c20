// SPDX-License-Identifier: BSD-2-Clause
/*
 * Power port: how a device says that the guest wants to end. Any thread may call; the first
 * request of a run decides how it ends.
 */
#ifndef MINIVET_CORE_POWER_H
#define MINIVET_CORE_POWER_H

enum power_event {
    POWER_OFF,   /* the guest powered off */
    POWER_RESET, /* the guest asks for a reset */
    POWER_EXIT,  /* the guest ends the run with a status of its own */
    POWER_PANIC, /* the guest says that its kernel has panicked */
};

struct power {
    void (*request)(void *ctx, enum power_event event, int status);
    void *ctx;
};

static inline void power_request(const struct power *p, enum power_event event, int status)
{
    p->request(p->ctx, event, status);
}

#endif
