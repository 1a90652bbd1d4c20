// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a process has not read yet, in a ring of bytes: a stream, or messages, of which the last
 * byte of each has a mark. The memory is allocated with the first byte, and is the bound of all
 * that a guest can leave here, however short its messages are.
 */
#ifndef MINIVET_VIRTIO_VSOCK_HELD_H
#define MINIVET_VIRTIO_VSOCK_HELD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct iobuf;

struct vsock_held {
    uint32_t size;     /* of the ring */
    bool has_messages; /* else a stream */
    uint8_t *ring;     /* NULL: nothing has been held; of messages the marks follow, a bit a byte */
    uint32_t from, bytes;
    uint32_t partial; /* the last of the bytes, of a message that has not ended */
};

void vsock_held_init(struct vsock_held *h, uint32_t size, bool has_messages);
void vsock_held_fini(struct vsock_held *h);

/* Adds the payload, which has room. False: no memory. */
bool vsock_held_put(struct vsock_held *h, struct iobuf *payload);
/* The message ends; one of no bytes is none. */
void vsock_held_end(struct vsock_held *h);
/* The message never ends. */
void vsock_held_cut(struct vsock_held *h);

/* How much may be written: what is not of a message that has yet to end. */
static inline uint32_t vsock_held_ready(const struct vsock_held *h)
{
    return h->bytes - h->partial;
}

/* What is to be written at once, of which there is some: all of a stream, or one message. Returns
 * the number of vectors. */
unsigned vsock_held_next(const struct vsock_held *h, struct iovec iov[2]);
/* So much of it was. */
void vsock_held_take(struct vsock_held *h, uint32_t bytes);

#endif
