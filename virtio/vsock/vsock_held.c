// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/vsock/vsock_held.h"

#include <stdlib.h>

#include "core/base/xmath.h"
#include "core/memory/iobuf.h"

void vsock_held_init(struct vsock_held *h, uint32_t size, bool has_messages)
{
    *h = (struct vsock_held){.size = size, .has_messages = has_messages};
}

void vsock_held_fini(struct vsock_held *h)
{
    free(h->ring);
    h->ring = NULL;
    h->bytes = h->partial = 0;
}

bool vsock_held_put(struct vsock_held *h, struct iobuf *payload)
{
    if (h->ring == NULL)
        h->ring = calloc(1, h->has_messages ? h->size + (h->size + 7) / 8 : h->size);
    if (h->ring == NULL)
        return false;
    while (payload->left > 0) {
        uint32_t at = (h->from + h->bytes) % h->size;
        uint32_t n = (uint32_t)iobuf_get(payload, h->ring + at, h->size - at);
        h->bytes += n;
        h->partial += h->has_messages ? n : 0;
    }
    return true;
}

void vsock_held_end(struct vsock_held *h)
{
    if (h->partial == 0)
        return;
    uint32_t last = (h->from + h->bytes - 1) % h->size;
    h->ring[h->size + last / 8] |= (uint8_t)(1u << last % 8);
    h->partial = 0;
}

void vsock_held_cut(struct vsock_held *h)
{
    h->bytes -= h->partial;
    h->partial = 0;
}

/* The length of the first message, which has ended. */
static uint32_t first_message(const struct vsock_held *h)
{
    const uint8_t *marks = h->ring + h->size;
    uint32_t at = h->from, bytes = 0;
    for (;;) {
        if (at % 8 == 0 && at + 8 <= h->size && marks[at / 8] == 0) { /* eight without one */
            at += 8;
            bytes += 8;
        } else {
            bytes++;
            if (marks[at / 8] >> at % 8 & 1)
                return bytes;
            at++;
        }
        at = at == h->size ? 0 : at;
    }
}

unsigned vsock_held_next(const struct vsock_held *h, struct iovec iov[2])
{
    uint32_t bytes = h->has_messages ? first_message(h) : h->bytes;
    uint32_t first = (uint32_t)min_u64(bytes, h->size - h->from);
    iov[0] = (struct iovec){h->ring + h->from, first};
    iov[1] = (struct iovec){h->ring, bytes - first};
    return bytes > first ? 2 : 1;
}

void vsock_held_take(struct vsock_held *h, uint32_t bytes)
{
    uint32_t last = (h->from + bytes - 1) % h->size;
    if (h->has_messages)
        h->ring[h->size + last / 8] &= (uint8_t) ~(1u << last % 8);
    h->from = (h->from + bytes) % h->size;
    h->bytes -= bytes;
}
