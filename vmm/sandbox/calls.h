// SPDX-License-Identifier: BSD-2-Clause
/* The system calls that the threads of a run may make: tables for filter.h. */
#ifndef MINIVET_VMM_SANDBOX_CALLS_H
#define MINIVET_VMM_SANDBOX_CALLS_H

#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/thread_role.h"

/* Bits of roles. A lane is filtered as a loop is, in a run without processes. */
enum {
    BY_VCPU = 1 << THREAD_VCPU,
    BY_WORK = 1 << THREAD_WORK,
    BY_MAIN = 1 << THREAD_MAIN,
    BY_ALL = BY_VCPU | BY_WORK | BY_MAIN,
};

/* What a run has, which needs more than others. */
enum {
    USE_AGAIN = 1,    /* --reboot restart: the machine is set up again */
    USE_SHARE = 2,    /* a directory is served here */
    USE_IP = 4,       /* sockets of TCP, UDP and ICMP */
    USE_UNIX = 8,     /* sockets of the host, other than the control socket */
    USE_PROCESS = 16, /* lanes start processes */
    USE_WINDOW = 32,  /* SDL, with what that loads */
};

#define SANDBOX_SELF UINT64_MAX /* a value: this process's number */

struct sandbox_call {
    const char *name; /* NULL: the table's end */
    int number;       /* negative: not a call of this architecture */
    uint8_t roles;
    uint8_t uses;     /* one of them is enough; 0: all runs */
    bool is_absent;   /* the call answers ENOSYS, and the C library does without */
    uint8_t argument; /* from 1: (argument & mask) == value; 0: any */
    uint64_t mask, value;
};

extern const struct sandbox_call sandbox_calls[];

#endif
