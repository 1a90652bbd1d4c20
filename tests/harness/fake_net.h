// SPDX-License-Identifier: BSD-2-Clause
/*
 * A network in memory: what a device sends lies in one list, what it is to receive in another, for
 * each pair. It can do all that a network can, and is full when the test says so.
 */
#ifndef MINIVET_TESTS_HARNESS_FAKE_NET_H
#define MINIVET_TESTS_HARNESS_FAKE_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ports/net.h"

#define FAKE_NET_PAIRS 3u

struct fake_packet {
    struct fake_packet *next;
    uint32_t bytes; /* header included */
    uint8_t data[];
};

struct fake_net_pair {
    struct fake_packet *sent, **sent_tail;       /* by the device, oldest first */
    struct fake_packet *waiting, **waiting_tail; /* for it */
    unsigned sent_count, waiting_count;
    unsigned room;                              /* packets that it takes */
    unsigned sends, flushes, receives, vectors; /* calls; the vectors of the last of them */
    bool owes_rx, owes_writable;                /* it has said -EAGAIN */
};

struct fake_net {
    struct net_backend backend;
    struct fake_net_pair pairs[FAKE_NET_PAIRS];
    unsigned offloads;   /* as set by the device */
    unsigned pairs_used; /* likewise */
    int refuse_pairs;    /* a negative errno that set_pairs() answers */
};

void fake_net_init(struct fake_net *net);
void fake_net_fini(struct fake_net *net);

/* A packet with its header comes from outside, and the device hears of it. */
void fake_net_arrive(struct fake_net *net, unsigned pair, const void *packet, uint32_t bytes);
/* Takes so many more packets, and says so. */
void fake_net_open(struct fake_net *net, unsigned pair, unsigned packets);
/* The link goes up or down, and it says so. */
void fake_net_link(struct fake_net *net, bool up);
/* The oldest packet that the device sent, which is the caller's to free(); NULL: there is none. */
struct fake_packet *fake_net_take(struct fake_net *net, unsigned pair);

#endif
