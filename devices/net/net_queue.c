// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/net_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/iobuf.h"

/*
 * Packets lie one behind the other, first from the head up to the end, then from the beginning up
 * to the tail. The tail never catches up with the head: equal means empty.
 */
struct entry {
    uint32_t bytes;
    uint32_t room; /* with the entry itself */
    uint64_t due_ns;
};

static struct entry *entry_at(const struct net_queue *q, uint32_t at)
{
    return (struct entry *)(void *)(q->bytes + at);
}

static uint32_t room_for(uint32_t bytes)
{
    return (uint32_t)align_up(sizeof(struct entry) + bytes, sizeof(struct entry));
}

int net_queue_init(struct net_queue *q, uint32_t size)
{
    *q = (struct net_queue){.size = size, .end = size, .bytes = malloc(size)};
    return q->bytes ? 0 : -ENOMEM;
}

void net_queue_fini(struct net_queue *q)
{
    free(q->bytes);
    q->bytes = NULL;
}

uint8_t *net_queue_reserve(struct net_queue *q, uint32_t bytes)
{
    uint32_t room = room_for(bytes);
    if (q->count == 0) {
        q->head = q->tail = 0;
        q->end = q->size;
    }
    if (q->tail >= q->head && q->size - q->tail < room) {
        if (q->head <= room)
            return NULL;
        q->end = q->tail;
        q->tail = 0;
    } else if (q->tail < q->head && q->head - q->tail <= room) {
        return NULL;
    }
    return q->tail + room <= q->size ? q->bytes + q->tail + sizeof(struct entry) : NULL;
}

void net_queue_commit(struct net_queue *q, uint32_t bytes, uint64_t due_ns)
{
    uint32_t room = room_for(bytes);
    *entry_at(q, q->tail) = (struct entry){.bytes = bytes, .room = room, .due_ns = due_ns};
    q->tail += room;
    q->used += room;
    q->count++;
}

uint8_t *net_queue_first(const struct net_queue *q, uint32_t *bytes)
{
    BUG_ON(q->count == 0);
    *bytes = entry_at(q, q->head)->bytes;
    return q->bytes + q->head + sizeof(struct entry);
}

uint64_t net_queue_due_ns(const struct net_queue *q)
{
    BUG_ON(q->count == 0);
    return entry_at(q, q->head)->due_ns;
}

void net_queue_drop(struct net_queue *q)
{
    BUG_ON(q->count == 0);
    uint32_t room = entry_at(q, q->head)->room;
    q->head += room;
    q->used -= room;
    q->count--;
    if (q->head == q->end) {
        q->head = 0;
        q->end = q->size;
    }
}

ssize_t net_queue_receive(struct net_queue *q, const struct iovec *iov, unsigned count)
{
    uint32_t bytes;
    if (q->count == 0)
        return -EAGAIN;
    const uint8_t *packet = net_queue_first(q, &bytes);
    struct iobuf buf = iobuf_init(iov, count);
    ssize_t result = buf.left >= bytes ? (ssize_t)iobuf_put(&buf, packet, bytes) : -EMSGSIZE;
    net_queue_drop(q);
    return result;
}
