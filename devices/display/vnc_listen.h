// SPDX-License-Identifier: BSD-2-Clause
/* Where a VNC server listens: ":N", "HOST:N" (TCP port 5900 + N) or "unix:PATH". */
#ifndef MINIVET_DEVICES_VNC_LISTEN_H
#define MINIVET_DEVICES_VNC_LISTEN_H

#include <stdbool.h>
#include <sys/un.h>

struct vnc_address {
    bool is_unix;
    struct sockaddr_un path; /* of the socket that vnc_listen() has made */
};

/* Errors are reported. */
int vnc_listen(struct vnc_address *out, const char *address, int *fd);
/* Closes the socket and removes its path. fd may be -1: nothing listens. */
void vnc_unlisten(const struct vnc_address *address, int fd);

#endif
