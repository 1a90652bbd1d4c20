// SPDX-License-Identifier: BSD-2-Clause
#ifndef MINIVET_TESTS_HARNESS_LINGERING_H
#define MINIVET_TESTS_HARNESS_LINGERING_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A TCP socket whose last close waits so many seconds: it has bytes that its peer does not take.
 * *peer: its other end, whose close ends the wait.
 */
int lingering(int *peer, int seconds);

/*
 * Sends bytes over the UNIX socket `to`, and with them the last descriptor of such a socket. False:
 * the other end has the kernel refuse descriptors, and nothing was sent.
 */
bool lingering_send(int to, const void *data, size_t bytes, int *peer, int seconds);

#endif
