// SPDX-License-Identifier: BSD-2-Clause
/*
 * A seccomp filter from rows of calls (calls.h): an allow-list. What is not on it raises SIGSYS in
 * the thread that makes the call.
 *
 * libseccomp names and numbers the calls. It does not write the filter: that takes it 0.4 ms, a
 * tenth of a start.
 */
#ifndef MINIVET_VMM_SANDBOX_FILTER_H
#define MINIVET_VMM_SANDBOX_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

struct sandbox_call;

#define FILTER_MAX 1024u /* instructions */

struct filter {
    unsigned short len;
    bool is_full; /* it lacks rows */
    struct sock_filter code[FILTER_MAX];
};

/*
 * The rows of `calls` (up to one without a name) that threads of one of the roles may make, in a
 * run that has what the bits of `uses` say. gate: calls whose next instruction this is are all let
 * through; 0: none.
 */
void filter_begin(struct filter *f, uintptr_t gate);
void filter_add(struct filter *f, const struct sandbox_call *calls, unsigned roles, unsigned uses);
void filter_end(struct filter *f);

/*
 * The calling thread's, or all threads', for good. 0 or a negative errno. Wants no_new_privs. For
 * all: none of them may have a filter that the caller does not have.
 */
int filter_enter(const struct filter *f, bool all);

#endif
