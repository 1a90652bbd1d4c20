// SPDX-License-Identifier: BSD-2-Clause
/* Namespaces for a benchmark, and taps in one of the network. They end with the process. */
#ifndef MINIVET_BENCH_NETNS_H
#define MINIVET_BENCH_NETNS_H

#include <stdbool.h>

/* Namespaces (CLONE_NEW...). A user who is not root is root in a user namespace of its own. errno
 * says why it could not be, here and below. */
bool unshare_as_root(int spaces);

bool netns_enter(void);

/* It stays when a VMM goes. Waits until no VMM has it; to be called again before each VMM. */
bool netns_make_tap(const char *name);

/* Gives an interface an IPv4 address in a network of 24 bits. */
bool netns_set_up(const char *name, const char *address);

#endif
