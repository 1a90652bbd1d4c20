// SPDX-License-Identifier: BSD-2-Clause
/* Where a VNC server listens: ":N", "HOST:N" (TCP port 5900 + N) or "unix:PATH". */
#ifndef MINIVET_DEVICES_VNC_LISTEN_H
#define MINIVET_DEVICES_VNC_LISTEN_H

#include <stdbool.h>

#include "core/peers/unix_listener.h"

struct addrinfo;
struct cancel;

#define VNC_ADDRESS ":N, HOST:N (N: 0 to 59635) or unix:PATH"

struct vnc_place {
    const char *path;        /* into the text that was parsed; NULL: host and port count */
    char host[256], port[8]; /* no host: this host alone */
};

/* False: it is none. Names are not looked up; nothing is reported. */
bool vnc_place_parse(struct vnc_place *out, const char *address);

/* Of TCP it has the descriptor alone. Names are looked up until `cancel` (or NULL). Errors are
 * reported. */
int vnc_listen(struct unix_listener *out, const char *address, const struct cancel *cancel);
void vnc_unlisten(struct unix_listener *l);

/* On the first address of a host where that is possible; -EADDRINUSE: at one before it another
 * process listens, to which viewers would connect. Nothing is reported. */
int vnc_listen_first(const struct addrinfo *found, int *fd);

#endif
