// SPDX-License-Identifier: BSD-2-Clause
/*
 * The user at the other end of a UNIX socket. A path in a folder that others may write to can be
 * any user's by the time it is connected to; the kernel says whose process listened or connected.
 */
#ifndef MINIVET_CORE_PEER_H
#define MINIVET_CORE_PEER_H

#include <sys/types.h>

/*
 * Of a connected UNIX socket, by either end: 0 if the other end was opened by this process's user
 * or by root; -EPERM if by another, whose number is in *uid then (NULL: not wanted). Nothing is
 * reported.
 */
int peer_check(int fd, uid_t *uid);

#endif
