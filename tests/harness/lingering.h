// SPDX-License-Identifier: BSD-2-Clause
#ifndef MINIVET_TESTS_HARNESS_LINGERING_H
#define MINIVET_TESTS_HARNESS_LINGERING_H

/*
 * A TCP socket whose last close waits so many seconds: it has bytes that its peer does not take.
 * *peer: its other end, whose close ends the wait.
 */
int lingering(int *peer, int seconds);

#endif
