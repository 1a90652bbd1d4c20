// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ports of the guest for processes of the host, and the other way round, as UNIX sockets in the
 * convention of Firecracker and others:
 *
 *     a process connects to PATH and writes "CONNECT 1024\n"    a guest listens at port 1024;
 *                                                               "OK PORT\n" comes when it accepts
 *     a guest connects to port 52 of CID 2                      a process listens at PATH_52
 *
 * Where those are sockets of SOCK_SEQPACKET, so are the guest's. A process that wants to connect
 * with one does so at PATH.seqpacket, where both lines are messages. A message of no bytes is
 * dropped: a UNIX socket cannot tell it from an end.
 *
 * The path belongs to this user: processes of others, but for root, are refused at either end.
 */
#ifndef MINIVET_DEVICES_VSOCK_UNIX_H
#define MINIVET_DEVICES_VSOCK_UNIX_H

struct clock;
struct evloop;
struct vsock_backend;

/* Processes that have connected and not yet said to what; of more the first is dropped. */
#define VSOCK_UNIX_ASKING_MAX 64u
/* While so many sockets wait to be closed the guest can connect to no process. */
#define VSOCK_UNIX_CLOSING_MAX 1024u

#define VSOCK_UNIX_MESSAGES ".seqpacket" /* after the path */

/* Errors are reported. The path outlives it. */
int vsock_unix_create(struct vsock_backend **out, struct evloop *loop, const struct clock *clock,
                      const char *path);

#endif
