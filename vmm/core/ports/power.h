// SPDX-License-Identifier: BSD-2-Clause
/*
 * Power port: how a device, a vCPU or the terminal says that the run ends. Any thread may call; the
 * first request of a run decides how it ends.
 */
#ifndef MINIVET_CORE_POWER_H
#define MINIVET_CORE_POWER_H

enum power_event {
    POWER_OFF,   /* the guest powered off */
    POWER_RESET, /* the guest asks for a reset */
    POWER_EXIT,  /* the guest ends the run with a status of its own; others have none: 0 */
    POWER_PANIC, /* the guest says that its kernel has panicked, or it triple-faulted */
    POWER_FAULT, /* the hypervisor could not go on; registers were printed */
    POWER_QUIT,  /* the person at the terminal asked for it */
};

/* What a person may press; how a guest takes it is the guest's. */
enum power_button {
    POWER_BUTTON,
    SLEEP_BUTTON,
    POWER_BUTTONS,
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
