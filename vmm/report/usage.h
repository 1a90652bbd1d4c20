// SPDX-License-Identifier: BSD-2-Clause
/* What the process and each of its threads have taken of the host: processor time, page faults. */
#ifndef MINIVET_VMM_USAGE_H
#define MINIVET_VMM_USAGE_H

#include <stdint.h>

#define USAGE_THREADS 160 /* of more, the first ones */

struct usage_thread {
    char name[16];
    uint64_t cpu_ns;    /* in user space, in the kernel and in the guest */
    uint64_t waited_ns; /* ready to run, and no processor was free */
    uint64_t minor_faults, major_faults;
};

struct usage {
    uint64_t user_ns, system_ns; /* of the process; guest code is user's */
    uint64_t minor_faults, major_faults;
    uint64_t sleeps, preemptions; /* context switches, voluntary and not */
    uint64_t max_rss_bytes;
    unsigned count;
    struct usage_thread threads[USAGE_THREADS];
};

/* How long this thread has been ready to run, and no processor was free. */
uint64_t usage_waited_ns(void);

/* Of the threads that live now. What the host does not tell is 0. */
void usage_take(struct usage *u);

#endif
