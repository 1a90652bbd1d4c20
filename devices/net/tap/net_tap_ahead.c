// SPDX-License-Identifier: BSD-2-Clause
/*
 * Reading ahead. While packets are small, to copy one costs less than to enter the kernel for it
 * with as many vectors as the largest would need: so several are read at once, to places of ours.
 * Large ones go where they belong.
 *
 *   packets come small, and more of them than were read      twice as many the next time
 *   the host has no more                                     one at a time
 *   a large one comes                                        none, until some have been small
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "core/memory/iobuf.h"
#include "devices/net/tap/net_tap_impl.h"

#define SMALL_BYTES 2048u
#define DOUBTS      4u /* so many after a large one */

/* Not a multiple of a page, which would have them compete for places in the cache. */
#define PLACE_BYTES ((NET_PACKET_MAX + 127u) & ~63u)

struct net_tap_ahead {
    unsigned first, count; /* places with packets, or without */
    unsigned next;         /* how many to read then */
    unsigned doubts;
    int bytes[NET_TAP_BATCH_PACKETS]; /* negative: no packet */
    uint8_t places[NET_TAP_BATCH_PACKETS][PLACE_BYTES];
};

/* Read-only memory has none. */
struct net_tap_ahead *net_tap_ahead_create(void)
{
    struct net_tap_ahead *a = calloc(1, sizeof(*a));
    if (a != NULL)
        a->next = 1;
    return a;
}

bool net_tap_ahead_wants(const struct net_tap_ahead *a)
{
    return a->first < a->count || a->doubts == 0;
}

void net_tap_ahead_note(struct net_tap_ahead *a, size_t bytes)
{
    if (bytes > SMALL_BYTES)
        a->doubts = DOUBTS;
    else if (a->doubts > 0)
        a->doubts--;
}

void net_tap_ahead_drop(struct net_tap_ahead *a)
{
    a->first = a->count = 0;
}

static void fill(struct net_tap_ahead *a, const struct net_tap_pair *p)
{
    struct net_tap_batch *batch = p->tap->batch;
    bool many = batch != NULL && a->next >= NET_TAP_BATCH_WORTH;
    a->first = 0;
    a->count = many ? a->next : 1;
    if (many)
        net_tap_batch_read(batch, p, a->places[0], PLACE_BYTES, a->bytes, a->count);
    else
        a->bytes[0] = (int)read(p->fd, a->places[0], PLACE_BYTES);
    bool dry = a->bytes[a->count - 1] < 0;
    a->next = dry ? 1 : (unsigned)min_u64(2 * a->next, NET_TAP_BATCH_PACKETS);
}

/* False: there is no packet here. */
static bool find(struct net_tap_ahead *a)
{
    while (a->first < a->count && a->bytes[a->first] < 0)
        a->first++;
    return a->first < a->count;
}

ssize_t net_tap_ahead_receive(struct net_tap_pair *p, const struct iovec *iov, unsigned count)
{
    struct net_tap_ahead *a = p->ahead;
    if (!find(a)) {
        fill(a, p);
        if (!find(a))
            return -EAGAIN;
    }
    struct iobuf buf = iobuf_init(iov, count);
    size_t bytes = (size_t)a->bytes[a->first];
    const uint8_t *place = a->places[a->first++];
    net_tap_ahead_note(a, bytes);
    return buf.left >= bytes ? (ssize_t)iobuf_put(&buf, place, bytes) : -EMSGSIZE;
}
