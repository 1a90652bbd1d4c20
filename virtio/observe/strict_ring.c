// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ring operations that check the driver and then call the real ones. A chain is walked twice: here,
 * where everything that is wrong is told, and by the ring itself, which stops at the first. A
 * driver that changes descriptors between the two is told so when the chain is given back.
 *
 * Nothing here trusts more of the guest than the ring does: each descriptor is copied once, places
 * are checked before they are used, and no walk takes more steps than the queue has descriptors.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "virtio/observe/strict_impl.h"
#include "virtio/ring/vq_ops.h"
#include "virtio/spec.h"

#define CHAIN_MAX_BYTES (UINT64_C(1) << 32)

/* ---- what both formats need to walk a chain ---- */

/* FNV-1a, by words where they are aligned: enough to see that somebody wrote. */
static uint64_t digest(const struct gmem *gmem, uint64_t gpa, uint32_t bytes)
{
    const uint8_t *at = gmem_ptr(gmem, gpa, bytes, 1);
    bool words = is_aligned((uintptr_t)at | bytes, sizeof(uint64_t));
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; at != NULL && i < bytes; i += words ? 8 : 1) {
        uint64_t part =
            words ? __atomic_load_n((const uint64_t *)(const void *)(at + i), __ATOMIC_RELAXED)
                  : __atomic_load_n(&at[i], __ATOMIC_RELAXED);
        hash = (hash ^ part) * UINT64_C(0x100000001b3);
        hash ^= hash >> 32; /* a word's upper bits count as well */
    }
    return hash;
}

/* Both formats begin with address and length. */
static struct strict_fields fields_of(const struct strict_walk *w, const uint8_t *raw)
{
    uint16_t low = le16_get(raw + 12), high = le16_get(raw + 14);
    return (struct strict_fields){
        .addr = le64_get(raw),
        .len = le32_get(raw + 8),
        .flags = w->q->packed ? high : low,
        .link = w->q->packed ? low : high,
    };
}

/* What of its table can be in a chain, or 0. */
static uint64_t digest_table(const struct strict_walk *w, const uint8_t *raw)
{
    struct strict_fields d = fields_of(w, raw);
    if (!(d.flags & VIRTQ_DESC_F_INDIRECT))
        return 0;
    uint64_t most = (uint64_t)w->vq->size * STRICT_DESC_BYTES;
    return digest(w->vq->gmem, d.addr, (uint32_t)min_u64(d.len, most));
}

static void copy_desc(uint8_t *to, const uint8_t *at)
{
    memcpy(to, at, STRICT_DESC_BYTES);
    __asm__ volatile("" : : "r"(to) : "memory"); /* one reading, whatever the compiler would like */
}

struct strict_fields strict_walk_copy(struct strict_walk *w, uint16_t place)
{
    struct strict_desc *d = &w->q->descs[place];
    copy_desc(d->raw, w->q->memory + (size_t)place * STRICT_DESC_BYTES);
    d->walk = w->q->walks;
    if (w->slots == 0)
        w->first = place;
    else
        w->q->descs[w->last].next = place;
    w->last = place;
    w->slots++;
    return fields_of(w, d->raw);
}

struct strict_fields strict_table_desc(const struct strict_walk *w, const uint8_t *table,
                                       uint32_t index)
{
    uint8_t raw[STRICT_DESC_BYTES];
    copy_desc(raw, table + (size_t)index * sizeof(raw));
    return fields_of(w, raw);
}

bool strict_walk_buffer(struct strict_walk *w, struct strict_fields d)
{
    bool packed = w->q->packed, writable = d.flags & VIRTQ_DESC_F_WRITE;
    if (w->descs == w->vq->size) {
        strict_ring_report(w->q, STRICT_OF_RING(packed, LONG), "more than %u", w->vq->size);
        return false;
    }
    w->descs++;
    if (w->writable && !writable)
        strict_ring_report(w->q, STRICT_OF_RING(packed, ORDER), "buffer %u of the chain", w->descs);
    w->writable |= writable;
    if (w->bytes <= CHAIN_MAX_BYTES && w->bytes + d.len > CHAIN_MAX_BYTES)
        strict_ring_report(w->q, packed ? STRICT_PACKED_EXCESSIVE : STRICT_SPLIT_BYTES,
                           "with buffer %u", w->descs);
    w->bytes += d.len;
    struct iovec iov[GMEM_MAX_REGIONS];
    int vectors = gmem_iov(w->vq->gmem, d.addr, d.len, iov, GMEM_MAX_REGIONS);
    if (vectors < 0) {
        strict_ring_report(w->q, STRICT_OF_RING(packed, ADDRESS), "%#llx, %u bytes",
                           (unsigned long long)d.addr, d.len);
        return true;
    }
    if (w->vectors <= w->vq->iov_max && w->vectors + (unsigned)vectors > w->vq->iov_max)
        strict_ring_report(w->q, STRICT_OF_RING(packed, EXCESSIVE), "this device takes %u",
                           w->vq->iov_max);
    w->vectors += (unsigned)vectors;
    return true;
}

const uint8_t *strict_walk_table(struct strict_walk *w, struct strict_fields d)
{
    bool packed = w->q->packed;
    if (!w->vq->indirect)
        strict_ring_report(w->q, STRICT_OF_RING(packed, INDIRECT), "descriptor %u", w->last);
    const uint8_t *table = NULL;
    if (d.len != 0 && d.len % STRICT_DESC_BYTES == 0)
        table = gmem_ptr(w->vq->gmem, d.addr, d.len, 1);
    if (table == NULL)
        strict_ring_report(w->q, STRICT_OF_RING(packed, TABLE), "%#llx, %u bytes",
                           (unsigned long long)d.addr, d.len);
    return table;
}

/* ---- chains in flight ---- */

static void take(struct strict_walk *w, const struct vq_chain *chain)
{
    struct strict_queue *q = w->q;
    q->chains[chain->head] = (struct strict_chain){.first = w->first, .count = w->slots};
    uint16_t place = w->first;
    for (unsigned n = 0; n < w->slots; n++, place = q->descs[place].next) {
        struct strict_desc *d = &q->descs[place];
        d->busy = true;
        d->table = digest_table(w, d->raw);
    }
    q->out++;
}

static bool is_changed(const struct strict_walk *w, const struct strict_desc *d, uint16_t place)
{
    uint8_t now[STRICT_DESC_BYTES];
    copy_desc(now, w->q->memory + (size_t)place * STRICT_DESC_BYTES);
    return memcmp(now, d->raw, sizeof(now)) != 0 || digest_table(w, d->raw) != d->table;
}

/* The chain is in flight no more. */
static void drop(struct virtqueue *vq, const struct vq_chain *chain)
{
    struct strict_queue *q = vq->strict;
    struct strict_walk w = {.q = q, .vq = vq};
    struct strict_chain c = q->chains[chain->head];
    uint16_t place = c.first;
    bool told = false;
    for (unsigned n = 0; n < c.count; n++, place = q->descs[place].next) {
        struct strict_desc *d = &q->descs[place];
        if (!told && d->busy && is_changed(&w, d, place)) {
            strict_ring_report(q, STRICT_OF_RING(q->packed, CHANGED), "descriptor %u", place);
            told = true;
        }
        d->busy = false;
    }
    q->out--;
}

/* ---- the operations ---- */

static void check(struct virtqueue *vq)
{
    if (vq->strict->packed)
        strict_packed_check(vq->strict, vq);
    else
        strict_split_check(vq->strict, vq);
}

static int strict_activate(struct virtqueue *vq, const struct vq_config *config)
{
    struct strict_queue *q = vq->strict;
    if (!q->packed) /* in a packed ring buffers may be available already */
        strict_split_look(q, vq->gmem, config->device);
    int err = q->real->activate(vq, config);
    if (err != 0)
        return err;
    free(q->descs);
    free(q->chains);
    q->descs = calloc(vq->size, sizeof(*q->descs));
    q->chains = calloc(vq->size, sizeof(*q->chains));
    if (q->descs == NULL || q->chains == NULL)
        return vq_error(vq, -ENOMEM, "out of memory");
    q->memory = q->packed ? vq->packed.desc : vq->split.desc;
    q->walks = q->out = q->last_event = 0;
    q->last_idx = 0;
    return 0;
}

static bool walk(struct strict_walk *w)
{
    w->q->walks++;
    return w->q->packed ? strict_packed_walk(w) : strict_split_walk(w);
}

static int strict_pop(struct virtqueue *vq, struct vq_chain *chain)
{
    struct strict_queue *q = vq->strict;
    struct strict_walk w = {
        .q = q,
        .vq = vq,
        .start = q->packed ? vq->packed.next_avail : vq->split.next_avail,
        .room = q->packed ? vq->size - vq->packed.out : 0,
    };
    check(vq);
    bool seen = walk(&w);
    int got = q->real->pop(vq, chain);
    if (got != 1)
        return got;
    if (!seen) /* it came in between */
        seen = walk(&w);
    if (!seen)
        w.slots = 0;
    take(&w, chain);
    strict_request(q, chain);
    return got;
}

static void strict_push(struct virtqueue *vq, const struct vq_chain *chain, uint32_t written)
{
    struct strict_queue *q = vq->strict;
    drop(vq, chain);
    if (q->packed)
        strict_packed_give_back(q, vq, chain);
    q->real->push(vq, chain, written);
}

static bool strict_flush(struct virtqueue *vq)
{
    check(vq);
    return vq->strict->real->flush(vq);
}

static bool strict_notify_on(struct virtqueue *vq)
{
    bool more = vq->strict->real->notify_on(vq);
    check(vq);
    return more;
}

void vq_strict_wrap(struct virtqueue *vq, struct strict_queue *q)
{
    q->packed = vq->ops == &vq_packed_ops;
    q->real = vq->ops;
    q->around = *vq->ops;
    q->around.activate = strict_activate;
    q->around.pop = strict_pop;
    q->around.push = strict_push;
    q->around.flush = strict_flush;
    q->around.notify_on = strict_notify_on;
    vq->strict = q;
    vq->ops = &q->around;
}
