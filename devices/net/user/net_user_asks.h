// SPDX-License-Identifier: BSD-2-Clause
/*
 * Neighbours that libslirp asks for. What it would send to an address whose MAC address it does not
 * know waits, without a limit: behind one packet of a socket's that waits for a second all others
 * of that socket do. So while such a question is open, nothing passes that could cause more: no
 * frames from addresses that libslirp has not sent to, and no datagrams from the host.
 *
 * A guest that has had connections, and then as many addresses that libslirp forgets where it is,
 * has it keep a window of each. From then on, streams from the host wait, too. (Not before: peers
 * at a port that is forwarded to an absent guest would stop those of a present one.)
 */
#ifndef MINIVET_DEVICES_NET_USER_ASKS_H
#define MINIVET_DEVICES_NET_USER_ASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USER_ASK_NS UINT64_C(1000000000) /* then libslirp gives a packet up */

struct user_asks {
    uint64_t until_ns; /* a question is open; 0: none */
    uint8_t asked[16]; /* for this address */
    bool several;      /* and for others: one answer does not end them */
    bool strict; /* addresses have been forgotten: of streams libslirp keeps whole windows, too */
    unsigned victim;
    uint8_t known[8][16]; /* addresses that libslirp has sent to; zeroes: none */
};

/* A frame of libslirp's. */
void user_asks_answer(struct user_asks *a, const uint8_t *frame, size_t bytes, uint64_t now_ns);

/* May a frame of the guest's pass, which libslirp may have otherwise? */
bool user_asks_allow(const struct user_asks *a, const uint8_t *frame, uint64_t now_ns);

#endif
