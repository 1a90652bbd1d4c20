// SPDX-License-Identifier: BSD-2-Clause
#include "tests/stress/driver.h"

#include <endian.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "virtio/spec.h"

#define AVAIL_USED (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

/* ---- what both sides touch at the same time ---- */

static uint16_t load16(const uint8_t *at, int order)
{
    return le16toh(__atomic_load_n((const uint16_t *)(const void *)at, order));
}

static void store16(uint8_t *at, unsigned value, int order)
{
    __atomic_store_n((uint16_t *)(void *)at, htole16((uint16_t)value), order);
}

static uint32_t load32(const uint8_t *at, int order)
{
    return le32toh(__atomic_load_n((const uint32_t *)(const void *)at, order));
}

/* ---- free descriptors and ids ---- */

void drv_init(struct drv *d, const struct drv_config *config)
{
    BUG_ON(config->size == 0 || config->size > DRV_MAX_SIZE);
    *d = (struct drv){.cfg = *config, .free_descs = config->size};
    for (uint32_t i = 0; i < config->size; i++)
        d->ids[i] = (uint16_t)i;
    d->ids_end = config->size;
    drv_irq_off(d);
}

/*
 * In the order in which they came back for IN_ORDER, so that descriptors are used as the table has
 * them (VIRTIO 1.4 2.7.9); else the latest first, which mixes them.
 */
static uint16_t *next_free(struct drv *d)
{
    return d->cfg.in_order ? &d->ids[d->ids_at % d->cfg.size]
                           : &d->ids[(d->ids_end - 1) % d->cfg.size];
}

static uint16_t id_take(struct drv *d)
{
    uint16_t id = *next_free(d);
    if (d->cfg.in_order)
        d->ids_at++;
    else
        d->ids_end--;
    return id;
}

static void id_put(struct drv *d, uint16_t id)
{
    d->ids[d->ids_end++ % d->cfg.size] = id;
}

unsigned drv_next_id(const struct drv *d)
{
    return *next_free((struct drv *)d);
}

bool drv_has_room(const struct drv *d, unsigned descs)
{
    return d->free_descs >= descs;
}

uint32_t drv_outstanding(const struct drv *d)
{
    return d->cfg.packed ? d->cfg.size - d->free_descs : d->in_flight;
}

/* ---- split ---- */

static void desc_put(uint8_t *table, unsigned i, const struct drv_buf *buf, unsigned flags,
                     unsigned next)
{
    uint8_t *at = table + (size_t)i * VIRTQ_DESC_BYTES;
    le64_put(at, buf->gpa);
    le32_put(at + 8, buf->len);
    le16_put(at + 12, (uint16_t)(flags | (buf->write ? VIRTQ_DESC_F_WRITE : 0)));
    le16_put(at + 14, (uint16_t)next);
}

static struct drv_buf table_ref(const struct drv_chain *chain)
{
    return (struct drv_buf){chain->table_gpa, (chain->count - chain->direct) * VIRTQ_DESC_BYTES,
                            false};
}

static unsigned ring_descs(const struct drv_chain *chain)
{
    return chain->direct + (chain->direct < chain->count);
}

static void split_table(const struct drv_chain *chain)
{
    for (unsigned i = chain->direct; i < chain->count; i++) {
        unsigned at = i - chain->direct;
        desc_put(chain->table, at, &chain->bufs[i], i + 1 < chain->count ? VIRTQ_DESC_F_NEXT : 0,
                 at + 1);
    }
}

static unsigned split_add(struct drv *d, const struct drv_chain *chain)
{
    unsigned count = ring_descs(chain);
    struct drv_buf ref = table_ref(chain);
    uint16_t head = id_take(d), at = head;
    split_table(chain);
    for (unsigned i = 0; i < count; i++) {
        bool last = i + 1 == count;
        uint16_t next = last ? 0 : id_take(d);
        unsigned flags = last ? 0 : VIRTQ_DESC_F_NEXT;
        if (i < chain->direct)
            desc_put(d->cfg.desc, at, &chain->bufs[i], flags, next);
        else
            desc_put(d->cfg.desc, at, &ref, VIRTQ_DESC_F_INDIRECT, 0);
        d->next[at] = next;
        at = next;
    }
    size_t place = d->next_avail & (d->cfg.size - 1);
    store16(d->cfg.driver + VIRTQ_AVAIL_RING + 2 * place, head, __ATOMIC_RELAXED);
    d->next_avail = (uint16_t)(d->next_avail + 1);
    return head;
}

static bool split_publish(struct drv *d)
{
    uint16_t old = (uint16_t)d->published, now = (uint16_t)d->next_avail;
    d->published = now;
    if (old == now)
        return false;
    /* Releases entries and descriptors; and is stored before the event is loaded. */
    store16(d->cfg.driver + VIRTQ_AVAIL_IDX, now, __ATOMIC_SEQ_CST);
    if (!d->cfg.event_idx)
        return !(load16(d->cfg.device + VIRTQ_USED_FLAGS, __ATOMIC_SEQ_CST) &
                 VIRTQ_USED_F_NO_NOTIFY);
    uint16_t event = load16(d->cfg.device + VIRTQ_USED_AVAIL_EVENT(d->cfg.size), __ATOMIC_SEQ_CST);
    return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

static bool split_has_used(const struct drv *d, int order)
{
    return load16(d->cfg.device + VIRTQ_USED_IDX, order) != d->next_used;
}

static uint32_t split_used(struct drv *d, uint32_t *len)
{
    size_t place = d->next_used & (d->cfg.size - 1);
    const uint8_t *elem = d->cfg.device + VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * place;
    uint32_t head = load32(elem, __ATOMIC_RELAXED);
    *len = load32(elem + 4, __ATOMIC_RELAXED);
    BUG_ON(head >= d->cfg.size || d->descs[head] == 0);
    uint16_t at = (uint16_t)head;
    for (unsigned n = d->descs[head]; n > 0; n--, at = d->next[at])
        id_put(d, at);
    d->next_used = (uint16_t)(d->next_used + 1);
    return head;
}

static bool split_irq_on(struct drv *d, uint32_t skip)
{
    if (d->cfg.event_idx)
        store16(d->cfg.driver + VIRTQ_AVAIL_USED_EVENT(d->cfg.size), d->next_used + skip,
                __ATOMIC_SEQ_CST);
    else
        store16(d->cfg.driver + VIRTQ_AVAIL_FLAGS, 0, __ATOMIC_SEQ_CST);
    return !split_has_used(d, __ATOMIC_SEQ_CST);
}

/* With EVENT_IDX there is no "off": a place that was passed has the same effect for long enough. */
static void split_irq_off(struct drv *d)
{
    if (d->cfg.event_idx)
        store16(d->cfg.driver + VIRTQ_AVAIL_USED_EVENT(d->cfg.size), d->next_used - 1,
                __ATOMIC_RELAXED);
    else
        store16(d->cfg.driver + VIRTQ_AVAIL_FLAGS, VIRTQ_AVAIL_F_NO_INTERRUPT, __ATOMIC_RELAXED);
}

/* ---- packed ---- */

static uint8_t *pdesc_at(const struct drv *d, uint32_t position)
{
    return d->cfg.desc + (size_t)(position % d->cfg.size) * PVIRTQ_DESC_BYTES;
}

static bool wrap_of(const struct drv *d, uint32_t position)
{
    return position < d->cfg.size;
}

static void pdesc_put(uint8_t *at, const struct drv_buf *buf, unsigned id)
{
    le64_put(at + PVIRTQ_DESC_addr, buf->gpa);
    le32_put(at + PVIRTQ_DESC_len, buf->len);
    le16_put(at + PVIRTQ_DESC_id, (uint16_t)id);
}

/* The flags of the first since drv_publish() wait there: behind them the device does not look. */
static void packed_put(struct drv *d, const struct drv_buf *buf, unsigned id, unsigned flags)
{
    uint8_t *at = pdesc_at(d, d->next_avail);
    pdesc_put(at, buf, id);
    flags |= wrap_of(d, d->next_avail) ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
    flags |= buf->write ? VIRTQ_DESC_F_WRITE : 0;
    if (d->next_avail == d->published)
        d->held_flags = (uint16_t)flags;
    else
        store16(at + PVIRTQ_DESC_flags, flags, __ATOMIC_RELAXED);
    d->next_avail = (d->next_avail + 1) % (2 * d->cfg.size);
}

static unsigned packed_add(struct drv *d, const struct drv_chain *chain)
{
    unsigned count = ring_descs(chain), id = id_take(d);
    struct drv_buf ref = table_ref(chain);
    for (unsigned i = chain->direct; i < chain->count; i++) {
        uint8_t *at = chain->table + (size_t)(i - chain->direct) * PVIRTQ_DESC_BYTES;
        pdesc_put(at, &chain->bufs[i], 0);
        le16_put(at + PVIRTQ_DESC_flags, chain->bufs[i].write ? VIRTQ_DESC_F_WRITE : 0);
    }
    for (unsigned i = 0; i < count; i++) {
        bool last = i + 1 == count;
        bool in_ring = i < chain->direct;
        unsigned flags = (last ? 0 : VIRTQ_DESC_F_NEXT) | (in_ring ? 0 : VIRTQ_DESC_F_INDIRECT);
        packed_put(d, in_ring ? &chain->bufs[i] : &ref, id, flags);
    }
    return id;
}

static uint32_t distance(const struct drv *d, uint32_t from, uint32_t to)
{
    return (to + 2 * d->cfg.size - from) % (2 * d->cfg.size);
}

static bool packed_publish(struct drv *d)
{
    uint32_t old = d->published, now = d->next_avail;
    d->published = now;
    if (old == now)
        return false;
    /* Releases all descriptors since; and is stored before the event is loaded. */
    store16(pdesc_at(d, old) + PVIRTQ_DESC_flags, d->held_flags, __ATOMIC_SEQ_CST);
    uint32_t event = load32(d->cfg.device, __ATOMIC_SEQ_CST), flags = event >> 16;
    if (flags != RING_EVENT_FLAGS_DESC)
        return flags == RING_EVENT_FLAGS_ENABLE;
    uint32_t place = event & 0x7fff;
    uint32_t position = event & 1u << PVIRTQ_EVENT_WRAP_SHIFT ? place : place + d->cfg.size;
    return distance(d, old, position) < distance(d, old, now);
}

static bool packed_has_used(const struct drv *d, int order)
{
    unsigned flags = load16(pdesc_at(d, d->next_used) + PVIRTQ_DESC_flags, order);
    return (flags & AVAIL_USED) == (wrap_of(d, d->next_used) ? AVAIL_USED : 0);
}

static uint32_t packed_used(struct drv *d, uint32_t *len)
{
    const uint8_t *at = pdesc_at(d, d->next_used);
    uint16_t id = load16(at + PVIRTQ_DESC_id, __ATOMIC_RELAXED);
    *len = load32(at + PVIRTQ_DESC_len, __ATOMIC_RELAXED);
    BUG_ON(id >= d->cfg.size || d->descs[id] == 0);
    d->next_used = (d->next_used + d->descs[id]) % (2 * d->cfg.size);
    id_put(d, id);
    return id;
}

static bool packed_irq_on(struct drv *d, uint32_t skip)
{
    unsigned flags = RING_EVENT_FLAGS_ENABLE;
    if (d->cfg.event_idx) {
        uint32_t at = (d->next_used + skip) % (2 * d->cfg.size);
        flags = RING_EVENT_FLAGS_DESC;
        store16(d->cfg.driver + PVIRTQ_EVENT_desc,
                at % d->cfg.size | (unsigned)wrap_of(d, at) << PVIRTQ_EVENT_WRAP_SHIFT,
                __ATOMIC_RELEASE);
    }
    store16(d->cfg.driver + PVIRTQ_EVENT_flags, flags, __ATOMIC_SEQ_CST);
    return !packed_has_used(d, __ATOMIC_SEQ_CST);
}

static void packed_irq_off(struct drv *d)
{
    store16(d->cfg.driver + PVIRTQ_EVENT_flags, RING_EVENT_FLAGS_DISABLE, __ATOMIC_RELAXED);
}

/* ---- either ---- */

unsigned drv_add(struct drv *d, const struct drv_chain *chain)
{
    unsigned id = (d->cfg.packed ? packed_add : split_add)(d, chain);
    d->descs[id] = (uint16_t)ring_descs(chain);
    d->free_descs -= ring_descs(chain);
    d->in_flight++;
    return id;
}

bool drv_publish(struct drv *d)
{
    return (d->cfg.packed ? packed_publish : split_publish)(d);
}

bool drv_has_used(const struct drv *d)
{
    return (d->cfg.packed ? packed_has_used : split_has_used)(d, __ATOMIC_ACQUIRE);
}

int drv_used(struct drv *d, uint32_t *len)
{
    if (d->in_flight == 0 || !drv_has_used(d))
        return -1;
    uint32_t id = (d->cfg.packed ? packed_used : split_used)(d, len);
    d->free_descs += d->descs[id];
    d->descs[id] = 0;
    d->in_flight--;
    return (int)id;
}

void drv_irq_off(struct drv *d)
{
    (d->cfg.packed ? packed_irq_off : split_irq_off)(d);
}

bool drv_irq_on(struct drv *d, uint32_t skip)
{
    return (d->cfg.packed ? packed_irq_on : split_irq_on)(d, skip);
}
