// SPDX-License-Identifier: BSD-2-Clause
/* A network namespace for a benchmark, with taps in it. Both end with the process. */
#ifndef MINIVET_BENCH_NETNS_H
#define MINIVET_BENCH_NETNS_H

#include <stdbool.h>

/* errno says why it could not be. */
bool netns_enter(void);

/* It stays when a VMM goes. Waits until no VMM has it; to be called again before each VMM. */
bool netns_make_tap(const char *name);

/* Gives an interface an IPv4 address in a network of 24 bits. */
bool netns_set_up(const char *name, const char *address);

#endif
