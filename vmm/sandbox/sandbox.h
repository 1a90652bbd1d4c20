// SPDX-License-Identifier: BSD-2-Clause
/*
 * What Minivet gives up before a guest runs (--sandbox): a guest that takes one of its threads over
 * finds as little behind it as can be.
 *
 *     sandbox_begin()     files, TCP, signals (Landlock), capabilities, new privileges: in all
 *                         threads, since there is one only
 *     set-up: threads     each says its role (core/base/thread_role.h)
 *     sandbox_seal()      system calls (seccomp), of all threads
 *     the guest runs      a vCPU's thread has a filter of its own, besides
 *
 * The files are those that the command line names (files.c), the system calls those of calls.c.
 */
#ifndef MINIVET_VMM_SANDBOX_H
#define MINIVET_VMM_SANDBOX_H

#include <stdbool.h>

struct hv;
struct vm_config;

struct sandbox_report {
    const char *what;
    bool is_active;
    const char *detail; /* what it stops, or why it is not there */
};

#define SANDBOX_REPORTS 8

/*
 * The main thread, before it starts another. restore: called in a thread that has broken a rule,
 * before the process ends with EXIT_VMM_FAULT. 0, or a negative errno, reported.
 */
int sandbox_begin(const struct vm_config *vm, const struct hv *hv, void (*restore)(void));

/* The main thread, when all other threads but vCPUs have begun; the first time counts. */
void sandbox_seal(void);

/* Each measure on this host, for `minivet check`. Returns how many. */
unsigned sandbox_measures(struct sandbox_report out[SANDBOX_REPORTS]);

#endif
