// SPDX-License-Identifier: BSD-2-Clause
#ifndef MINIVET_DEVICES_HOST_PORT_H
#define MINIVET_DEVICES_HOST_PORT_H

#include <sys/socket.h>

struct cancel;

/*
 * The address for TCP of "HOST:PORT": a name, which is looked up until `cancel` (or NULL), or a
 * number, which stands in brackets if it has colons; without it 127.0.0.1. Errors are reported.
 */
int host_port(struct sockaddr_storage *addr, socklen_t *bytes, const char *text,
              const struct cancel *cancel);

#endif
