// SPDX-License-Identifier: BSD-2-Clause
/*
 * Addresses of names: getaddrinfo(), whose name servers may be silent for half a minute, and which
 * nothing interrupts. So a thread of its own calls it where a request may end the wait
 * (core/loop/cancel.h), and is left behind then: it keeps only what is its own.
 */
#ifndef MINIVET_CORE_LOOKUP_H
#define MINIVET_CORE_LOOKUP_H

#include <netdb.h>

struct cancel;

typedef int lookup_fn(const char *host, const char *port, const struct addrinfo *hints,
                      struct addrinfo **found);

/*
 * As getaddrinfo(), whose result it is, for freeaddrinfo(). 0, or -EINVAL, -ECANCELED, -ENOMEM,
 * which are reported with `what` before them. `cancel` NULL: in this thread. Set-up thread.
 */
int lookup(struct addrinfo **found, const char *what, const char *host, const char *port,
           const struct addrinfo *hints, const struct cancel *cancel);

/* By another function than getaddrinfo(). */
int lookup_by(lookup_fn *fn, struct addrinfo **found, const char *what, const char *host,
              const char *port, const struct addrinfo *hints, const struct cancel *cancel);

#endif
