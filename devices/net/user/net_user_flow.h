// SPDX-License-Identifier: BSD-2-Clause
/*
 * How far each TCP connection of a guest's has come. libslirp keeps every segment that begins
 * beyond what it has acknowledged, in a list and without a limit: 60,000 segments of one byte
 * behind a hole are 250 MB. The wire between guest and libslirp loses nothing, so such segments are
 * few: what is dropped instead the guest sends again.
 *
 * What libslirp acknowledges is read from its own frames. Two rules follow:
 *
 *   - a segment that begins at or before what was acknowledged always passes: libslirp takes it out
 *     of its queue at once. A guest's retransmission begins there, so no connection gets stuck;
 *   - those that begin later are counted, until an acknowledgement covers all of them. Far beyond
 *     every window they do not pass: libslirp takes what is 2 GiB ahead for something else.
 *
 * A connection that is not in the table (others have taken its place) gets its data taken away:
 * what is left is a keepalive probe, whose answer says how far it has come.
 */
#ifndef MINIVET_DEVICES_NET_USER_FLOW_H
#define MINIVET_DEVICES_NET_USER_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USER_FLOW_SETS  256u
#define USER_FLOW_WAYS  8u
#define USER_FLOW_AHEAD 128u /* segments at a time that begin later, of one connection */

struct user_flow {
    uint8_t key[36]; /* the guest's address and the other one, the guest's port and the other one */
    uint32_t used;   /* when, in answers; 0: it is free */
    uint32_t acked;  /* the sequence number that libslirp expects next, or later */
    uint32_t window; /* so many bytes it takes from there */
    uint32_t end;    /* of what passed beyond that, */
    uint32_t waiting; /* which are so many segments, or buffers for as many of the largest MTU */
};

/* Zeroed, it is empty. */
struct user_flows {
    uint32_t answers;
    struct user_flow flow[USER_FLOW_SETS][USER_FLOW_WAYS];
};

enum user_flow_verdict {
    USER_FLOW_PASS,
    USER_FLOW_DROP,
    USER_FLOW_PROBE, /* the connection is unknown: no data may pass */
};

/* A TCP segment of the guest's: headers and lengths are right. ahead: how many may be, now. */
enum user_flow_verdict user_flow_vet(struct user_flows *flows, const uint8_t *ip,
                                     const uint8_t *tcp, size_t bytes, unsigned ahead);

/* A frame of libslirp's. */
void user_flow_answer(struct user_flows *flows, const uint8_t *frame, size_t bytes);

/* Makes a segment a keepalive probe without data, with right checksums. Its bytes. */
size_t user_flow_make_probe(uint8_t *ip, uint8_t *tcp);

#endif
