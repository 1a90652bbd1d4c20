// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a driver does to rings. What a ring cannot go on with it finds itself: enum vq_fault, for
 * which there is a table of rules here. This file looks for what rings let pass: flags that mean
 * nothing, orders that were promised, descriptors of two chains, chains that change in flight.
 *
 * Nothing here trusts more of the guest than the ring does: each descriptor is copied once, places
 * are checked before they are used, and no walk takes more steps than the queue has descriptors.
 */
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "virtio/observe/strict_impl.h"
#include "virtio/ring/vq_math.h"
#include "virtio/ring/vq_ops.h"
#include "virtio/spec.h"

#define DESC_BYTES   16u /* of both formats */
#define SPLIT_FLAGS  (VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE | VIRTQ_DESC_F_INDIRECT)
#define PACKED_FLAGS (SPLIT_FLAGS | PACKED_AVAIL_USED)

/* ---- faults ---- */

#define BOTH(name)                                \
    {                                             \
        STRICT_SPLIT_##name, STRICT_PACKED_##name \
    }
#define ONE(name)                    \
    {                                \
        STRICT_##name, STRICT_##name \
    }

static const struct {
    uint8_t split, packed;
} fault_rules[VQ_FAULTS] = {
    [VQ_HEAD] = ONE(SPLIT_HEAD),
    [VQ_HEAD_BUSY] = ONE(SPLIT_BUSY),
    [VQ_NEXT] = ONE(SPLIT_NEXT),
    [VQ_TABLE_NEXT] = ONE(SPLIT_NEXT),
    [VQ_LOOP] = ONE(SPLIT_LOOP),
    [VQ_NESTED] = ONE(SPLIT_INDIRECT_NESTED),
    [VQ_BUSY] = ONE(PACKED_BUSY),
    [VQ_PARTIAL] = ONE(PACKED_PARTIAL),
    [VQ_ID] = ONE(PACKED_ID),
    [VQ_ID_BUSY] = ONE(PACKED_ID_BUSY),
    [VQ_LONG] = BOTH(LONG),
    [VQ_ORDER] = BOTH(ORDER),
    [VQ_BYTES] = {STRICT_SPLIT_BYTES, STRICT_PACKED_EXCESSIVE},
    [VQ_EXCESSIVE] = BOTH(EXCESSIVE),
    [VQ_ADDRESS] = BOTH(ADDRESS),
    [VQ_INDIRECT] = BOTH(INDIRECT),
    [VQ_INDIRECT_NEXT] = BOTH(INDIRECT_NEXT),
    [VQ_TABLE_BYTES] = BOTH(TABLE),
    [VQ_TABLE_ADDRESS] = BOTH(TABLE),
};

/* check() reports an index that jumps: it knows the old value. */
static void report_fault(const struct strict_queue *q, const struct virtqueue *vq)
{
    if (vq->fault == VQ_OK || vq->fault == VQ_IDX)
        return;
    unsigned rule = q->packed ? fault_rules[vq->fault].packed : fault_rules[vq->fault].split;
    strict_ring_report(q, (enum strict_rule)rule, "%s, %#llx", vq->error,
                       (unsigned long long)vq->fault_value);
}

/* ---- what is beside descriptors ---- */

/* What the driver left in the memory that is to be a ring. */
static void check_fresh(struct strict_queue *q, const struct gmem *gmem, uint64_t used_gpa)
{
    uint8_t raw[4];
    if (gmem_read(gmem, used_gpa, raw, sizeof(raw)) != 0)
        return;
    unsigned flags = le16_get(raw + VIRTQ_USED_FLAGS), idx = le16_get(raw + VIRTQ_USED_IDX);
    if (flags != 0)
        strict_ring_report(q, STRICT_SPLIT_USED_FLAGS, "%#x", flags);
    if (idx != 0)
        strict_ring_report(q, STRICT_SPLIT_USED_IDX, "%u", idx);
}

static void check_split(struct strict_queue *q, const struct virtqueue *vq)
{
    const uint8_t *avail = vq->split.avail;
    uint16_t flags = ring_load16_relaxed(avail + VIRTQ_AVAIL_FLAGS);
    if (flags != q->last_event && flags > (vq->event_idx ? 0 : VIRTQ_AVAIL_F_NO_INTERRUPT))
        strict_ring_report(q, STRICT_SPLIT_AVAIL_FLAGS, "%#x", flags);
    q->last_event = flags;

    uint16_t idx = ring_load16_acquire(avail + VIRTQ_AVAIL_IDX), last = q->last_idx;
    if (idx == last)
        return;
    q->last_idx = idx;
    if ((uint16_t)(idx - last) > VIRTQ_MAX_SIZE)
        strict_ring_report(q, STRICT_SPLIT_IDX_BACK, "from %u to %u", last, idx);
    else if ((uint16_t)(idx - vq->split.next_avail) + q->out > vq->size)
        strict_ring_report(q, STRICT_SPLIT_IDX_AHEAD, "from %u to %u, with %u in flight", last, idx,
                           q->out + (uint16_t)(last - vq->split.next_avail));
}

static void check_packed(struct strict_queue *q, const struct virtqueue *vq)
{
    uint32_t event = ring_load32_seq_cst(vq->packed.driver_event), flags = event >> 16;
    uint32_t offset = event & ((1u << PVIRTQ_EVENT_WRAP_SHIFT) - 1);
    if (event == q->last_event)
        return;
    q->last_event = event;
    if (flags > RING_EVENT_FLAGS_DESC)
        strict_ring_report(q, STRICT_PACKED_EVENT_FLAGS, "%#x", flags);
    else if (flags == RING_EVENT_FLAGS_DESC && !vq->event_idx)
        strict_ring_report(q, STRICT_PACKED_EVENT_DESC, "flags %#x", flags);
    else if (flags == RING_EVENT_FLAGS_DESC && offset >= vq->size)
        strict_ring_report(q, STRICT_PACKED_EVENT_OFFSET, "%u in a ring of %u", offset, vq->size);
}

static void check(struct strict_queue *q, const struct virtqueue *vq)
{
    if (q->packed)
        check_packed(q, vq);
    else
        check_split(q, vq);
}

/* ---- descriptors ---- */

/* What a descriptor says, in either format. */
struct desc {
    uint64_t addr, rest; /* as they are in memory */
    uint32_t len;
    uint16_t flags, link; /* next, or the buffer's id */
};

static struct desc load(const struct strict_queue *q, const uint8_t *table, uint32_t index)
{
    struct ring_desc d = ring_load_desc(table + (size_t)index * DESC_BYTES);
    return (struct desc){
        .addr = d.addr,
        .rest = d.rest,
        .len = d.len,
        .flags = q->packed ? d.at14 : d.at12,
        .link = q->packed ? d.at12 : d.at14,
    };
}

static struct desc load_place(const struct strict_queue *q, const struct virtqueue *vq,
                              uint16_t place)
{
    return load(q, q->packed ? vq->packed.desc : vq->split.desc, place);
}

/* The table that a descriptor points to, and how much of it can be in a chain; NULL: none. */
static const uint8_t *table_of(const struct virtqueue *vq, struct desc d, uint32_t *count)
{
    *count = (uint32_t)min_u64(d.len / DESC_BYTES, vq->size);
    if (!(d.flags & VIRTQ_DESC_F_INDIRECT) || *count == 0)
        return NULL;
    return gmem_ptr(vq->gmem, d.addr, (uint64_t)*count * DESC_BYTES, 1);
}

/* FNV-1a, by words: enough to see that a driver wrote. */
static uint64_t mix(uint64_t hash, struct desc d)
{
    hash = (hash ^ d.addr) * UINT64_C(0x100000001b3);
    hash ^= hash >> 32; /* a word's upper bits count as well */
    hash = (hash ^ d.rest) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

/* Of a descriptor, and of the table that it points to. */
static uint64_t digest(const struct strict_queue *q, const struct virtqueue *vq, struct desc d)
{
    uint32_t count;
    const uint8_t *table = table_of(vq, d, &count);
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), d);
    for (uint32_t i = 0; table != NULL && i < count; i++)
        hash = mix(hash, load(q, table, i));
    return hash;
}

/* ---- chains ---- */

static void check_table(const struct strict_queue *q, const struct virtqueue *vq, struct desc ref)
{
    uint32_t count, i = 0;
    const uint8_t *table = table_of(vq, ref, &count);
    unsigned known = q->packed ? VIRTQ_DESC_F_WRITE : SPLIT_FLAGS;
    for (uint32_t n = 0; table != NULL && n < count; n++) {
        struct desc d = load(q, table, i);
        if (d.flags & ~known)
            strict_ring_report(q, q->packed ? STRICT_PACKED_INDIRECT_FLAGS : STRICT_SPLIT_FLAGS,
                               "%#x in descriptor %u of a table", d.flags, i);
        if (!q->packed && (!(d.flags & VIRTQ_DESC_F_NEXT) || d.link >= count))
            return;
        uint32_t next = q->packed ? i + 1 : d.link;
        if (vq->in_order && next != i + 1)
            strict_ring_report(q, STRICT_SPLIT_INDIRECT_ORDER, "%u after %u", next, i);
        i = next;
    }
}

/* Where the chain goes on in a split ring; false: it ends, or has changed since it was taken. */
static bool follow(const struct strict_queue *q, const struct virtqueue *vq, struct desc d,
                   uint16_t *place)
{
    if ((d.flags & VIRTQ_DESC_F_INDIRECT) || !(d.flags & VIRTQ_DESC_F_NEXT) || d.link >= vq->size)
        return false;
    if (vq->in_order && d.link != (*place + 1u) % vq->size)
        strict_ring_report(q, STRICT_SPLIT_IN_ORDER, "%u after %u", d.link, *place);
    *place = d.link;
    return true;
}

/* Where the chain begins that the ring has taken last. */
static uint16_t packed_first(const struct virtqueue *vq, const struct vq_chain *chain)
{
    uint32_t back = 2 * vq->size - chain->slots;
    return (uint16_t)packed_place(vq->size, packed_ahead(vq->size, vq->packed.next_avail, back));
}

/* A chain that the ring has found good, from its first descriptor on. */
static void take(struct strict_queue *q, const struct virtqueue *vq, const struct vq_chain *chain)
{
    struct strict_chain *c = &q->chains[chain->head];
    uint16_t place = q->packed ? packed_first(vq, chain) : chain->head;
    *c = (struct strict_chain){.first = place};
    q->out++;
    for (uint16_t last = place;; last = place) {
        struct strict_desc *known = &q->descs[place];
        if (!q->packed && known->busy) {
            strict_ring_report(q, STRICT_SPLIT_BUSY, "descriptor %u is in flight", place);
            return;
        }
        struct desc d = load_place(q, vq, place);
        if (d.flags & ~(q->packed ? PACKED_FLAGS : SPLIT_FLAGS))
            strict_ring_report(q, STRICT_OF_RING(q->packed, FLAGS), "%#x in descriptor %u", d.flags,
                               place);
        check_table(q, vq, d);
        *known = (struct strict_desc){.digest = digest(q, vq, d), .busy = true};
        c->count++;
        if (q->packed ? c->count == chain->slots : !follow(q, vq, d, &place))
            return;
        if (q->packed)
            place = (uint16_t)((place + 1u) % vq->size);
        q->descs[last].next = place;
    }
}

static void give(struct strict_queue *q, const struct virtqueue *vq, const struct vq_chain *chain)
{
    struct strict_chain c = q->chains[chain->head];
    uint16_t place = c.first;
    bool told = false;
    for (unsigned n = 0; n < c.count; n++) {
        struct strict_desc *d = &q->descs[place];
        if (d->busy && !told && d->digest != digest(q, vq, load_place(q, vq, place))) {
            strict_ring_report(q, STRICT_OF_RING(q->packed, CHANGED), "descriptor %u", place);
            told = true;
        }
        d->busy = false;
        place = d->next;
    }
    q->out--;
    /*
     * The used descriptor goes where the ring's used part ends, and the driver gets as many from
     * there on as the chain had: they may be another chain's. In order they are its own.
     */
    for (uint32_t i = 0; q->packed && !vq->in_order && i < chain->slots; i++) {
        uint32_t position = packed_ahead(vq->size, vq->packed.next_used, i);
        q->descs[packed_place(vq->size, position)].busy = false;
    }
}

/* ---- events ---- */

static void start(struct strict_queue *q, const struct virtio_queue *dq)
{
    q->packed = virtio_device_has(dq->dev, VIRTIO_F_RING_PACKED);
    memset(q->descs, 0, dq->dev->setup.queue_size_max * sizeof(*q->descs));
    q->out = q->last_event = 0;
    q->last_idx = dq->resumes ? (uint16_t)dq->position : 0;
    if (!q->packed && !dq->resumes) /* in a packed ring buffers may be available already */
        check_fresh(q, dq->dev->setup.gmem, dq->config.device);
}

void strict_ring_event(struct strict_queue *q, const struct virtio_event *e)
{
    const struct virtqueue *vq = &e->queue->vq;
    switch (e->kind) {
    case VIRTIO_ON_START:
        start(q, e->queue);
        break;
    case VIRTIO_ON_TAKE:
        take(q, vq, e->chain);
        check(q, vq);
        strict_request(q, e->chain);
        break;
    case VIRTIO_ON_GIVE:
        give(q, vq, e->chain);
        break;
    case VIRTIO_ON_BROKEN:
        check(q, vq);
        report_fault(q, vq);
        break;
    case VIRTIO_ON_EMPTY:
    case VIRTIO_ON_FLUSH:
    case VIRTIO_ON_MORE:
        check(q, vq);
        break;
    default:
        break;
    }
}
