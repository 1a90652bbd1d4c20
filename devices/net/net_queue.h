// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets on their way, oldest first, in a buffer of a fixed size: for sources that push, and for
 * what holds packets back. Full means full: nothing grows.
 *
 * Each packet is in one piece. It is written in place: reserve(), fill in, commit().
 */
#ifndef MINIVET_DEVICES_NET_QUEUE_H
#define MINIVET_DEVICES_NET_QUEUE_H

#include <stdint.h>
#include <sys/uio.h>

struct net_queue {
    uint8_t *bytes;
    uint32_t size;
    uint32_t head, tail; /* the oldest packet; where the next one goes */
    uint32_t end;        /* where the part ends that is not at the buffer's beginning */
    uint32_t used;       /* bytes, with what each packet costs */
    uint32_t count;      /* packets */
};

/* Zeroed before. -ENOMEM is not reported. */
int net_queue_init(struct net_queue *q, uint32_t size);
void net_queue_fini(struct net_queue *q);

/* Room for a packet of up to so many bytes, or NULL. It holds until the next reserve(). */
uint8_t *net_queue_reserve(struct net_queue *q, uint32_t bytes);

/* What was reserved becomes the youngest packet. due_ns is the caller's own. */
void net_queue_commit(struct net_queue *q, uint32_t bytes, uint64_t due_ns);

/* The oldest packet; there must be one. */
uint8_t *net_queue_first(const struct net_queue *q, uint32_t *bytes);
uint64_t net_queue_due_ns(const struct net_queue *q);
void net_queue_drop(struct net_queue *q);

/* Moves the oldest packet into the vectors, as net_backend_ops.receive() does. */
ssize_t net_queue_receive(struct net_queue *q, const struct iovec *iov, unsigned count);

#endif
