// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/peer.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

int peer_check(int fd, uid_t *uid)
{
    struct ucred peer;
    socklen_t bytes = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) != 0)
        return -errno;
    if (uid != NULL)
        *uid = peer.uid;
    return peer.uid == geteuid() || peer.uid == 0 ? 0 : -EPERM;
}
