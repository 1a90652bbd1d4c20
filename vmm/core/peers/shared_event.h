// SPDX-License-Identifier: BSD-2-Clause
/*
 * Eventfds that another process holds, too. Such a process can clear O_NONBLOCK, which belongs to
 * the description that both share, fill the counter, or empty it; then an ordinary read or write
 * waits for as long as it likes. These never wait, whatever it does.
 */
#ifndef MINIVET_CORE_SHARED_EVENT_H
#define MINIVET_CORE_SHARED_EVENT_H

#include <stdbool.h>

/*
 * Empties the counter; whether something was in it. Of an old kernel (before Linux 5.8), which can
 * only read it in ways that may wait, the answer is always yes.
 */
bool shared_event_take(int eventfd);

/*
 * Adds 1 to eventfds, as the kernel does for its own: at the end of an asynchronous operation that
 * is over when it is submitted. A counter that is full stays full. Zeroed: closed.
 */
struct shared_event_signal {
    unsigned long aio; /* the kernel's context */
    int ready_fd;      /* an eventfd that is always readable; 0: closed */
};

/* A negative errno, not reported: -EAGAIN says that the host's fs.aio-max-nr is reached. */
int shared_event_signal_open(struct shared_event_signal *s);
void shared_event_signal_close(struct shared_event_signal *s);

/* Any thread. */
void shared_event_signal(struct shared_event_signal *s, int eventfd);

#endif
