// SPDX-License-Identifier: BSD-2-Clause
/*
 * A request to give up: what may take long while a machine is set up looks at it, so that a signal
 * ends the set-up, too. It is made once and never taken back.
 *
 *     computes or copies in pieces       cancel_asked() between two pieces
 *     waits for a descriptor             cancel_poll(), or cancel_fd() beside it in a poll() of its
 * own a system call that may block       ends with EINTR (vmm/cli/run.c interrupts it): return it,
 * or cancel_asked() before the call is made again
 *
 * What gives up returns -ECANCELED, having undone what it had begun as after any other error, and
 * reports it as any other error. NULL stands for a request that never comes. Any thread may call.
 */
#ifndef MINIVET_CORE_CANCEL_H
#define MINIVET_CORE_CANCEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct cancel {
    atomic_bool asked;
    int fd; /* an eventfd, readable once the request is made, and never read */
};

/* 0 or a negative errno; reported. cancel_fini() is right after a failure, too. */
int cancel_init(struct cancel *c);
void cancel_fini(struct cancel *c);

/* Makes the request. From a signal handler, too. */
void cancel_ask(struct cancel *c);

static inline bool cancel_asked(const struct cancel *c)
{
    return c != NULL && atomic_load_explicit(&c->asked, memory_order_acquire);
}

/* For poll(), which passes over -1. */
static inline int cancel_fd(const struct cancel *c)
{
    return c != NULL ? c->fd : -1;
}

/*
 * Waits until fd is ready for `events` (POLLIN, POLLOUT), at most timeout_ms (-1: without end).
 * 0: it is, or has failed or ended; -ECANCELED, -ETIMEDOUT, or what poll() said; not reported.
 */
int cancel_poll(const struct cancel *c, int fd, short events, int timeout_ms);

#endif
