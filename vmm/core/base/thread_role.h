// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a thread of the VMM is for. Each says so before it handles what a stranger wrote, and a
 * sandbox then takes from it what such a thread does not need.
 */
#ifndef MINIVET_CORE_THREAD_ROLE_H
#define MINIVET_CORE_THREAD_ROLE_H

#include <stdbool.h>

enum thread_role {
    THREAD_MAIN,   /* sets the machine up, and waits for the run's end */
    THREAD_VCPU,   /* runs guest code, carries register accesses to the devices */
    THREAD_WORK,   /* a loop, its helpers; connects, look-ups, closes; a viewer */
    THREAD_LANE,   /* of a loop: waits for other processes, starts and ends them */
    THREAD_WINDOW, /* runs SDL, with what that loads */
    THREAD_ROLES,
};

extern const char *const thread_role_names[THREAD_ROLES];

/* The calling thread's, from now on; there is no way back. */
void thread_role_enter(enum thread_role role);

/* THREAD_MAIN if it has never said one. Safe in a signal handler. */
enum thread_role thread_role(void);

/* Will something be taken from the calling thread, once it enters its role? */
bool thread_role_is_ahead(void);

/* Called in each thread that enters a role from now on; NULL: nothing is. Before there are threads.
 */
void thread_role_hook(void (*hook)(enum thread_role role));

#endif
