// SPDX-License-Identifier: BSD-2-Clause
/*
 * A VNC client (RFC 6143) that throws its pictures away: raw pixels, and an incremental request
 * after each update, so that it gets as many as the server sends. A thread of its own reads.
 */
#ifndef MINIVET_BENCH_RFB_H
#define MINIVET_BENCH_RFB_H

#include <stdbool.h>

struct rfb;

/* Connects to a server's UNIX socket, and waits for a whole picture of that size. */
struct rfb *rfb_open(const char *path, unsigned width, unsigned height);

/* Updates with pixels in them so far. */
double rfb_updates(struct rfb *c);

/* Presses the key of that keysym, or lets it go. */
void rfb_key(struct rfb *c, unsigned keysym, bool down);

/* When the server is gone. */
void rfb_close(struct rfb *c);

#endif
