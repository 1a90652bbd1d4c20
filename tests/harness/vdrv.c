// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/vdrv.h"

#include <endian.h>
#include <string.h>

#include "core/bus.h"
#include "core/fail.h"
#include "core/gmem.h"
#include "core/le.h"
#include "core/xmath.h"
#include "virtio/spec.h"

#define HEAP_START_GPA UINT64_C(0x10000)

/* ---- what guest and device touch at the same time ---- */

static uint16_t load16(const uint8_t *at)
{
    return le16toh(__atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_SEQ_CST));
}

static void store16(uint8_t *at, uint16_t value)
{
    __atomic_store_n((uint16_t *)(void *)at, htole16(value), __ATOMIC_SEQ_CST);
}

static uint32_t load32(const uint8_t *at)
{
    return le32toh(__atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_RELAXED));
}

/* ---- guest memory ---- */

void vdrv_init(struct vdrv *d, const struct gmem *gmem, struct bus *bus, uint64_t base_gpa)
{
    const struct gmem_region *low = &gmem->regions[0];
    *d = (struct vdrv){
        .bus = bus,
        .base_gpa = base_gpa,
        .gmem = gmem,
        .heap_gpa = HEAP_START_GPA,
        .heap_start_gpa = HEAP_START_GPA,
        .heap_end_gpa = low->gpa + low->bytes,
    };
}

void *vdrv_ptr(struct vdrv *d, uint64_t gpa, uint64_t len)
{
    void *p = gmem_ptr(d->gmem, gpa, len, 1);
    BUG_ON(p == NULL);
    return p;
}

uint64_t vdrv_alloc(struct vdrv *d, uint64_t bytes, uint64_t align)
{
    uint64_t gpa = align_up(d->heap_gpa, align);
    d->heap_gpa = gpa + bytes;
    BUG_ON(d->heap_gpa > d->heap_end_gpa);
    memset(vdrv_ptr(d, gpa, bytes), 0, bytes);
    return gpa;
}

/* ---- registers ---- */

uint32_t vdrv_get(struct vdrv *d, uint64_t reg)
{
    uint64_t value = 0;
    bus_read(d->bus, d->base_gpa + reg, 4, &value);
    return (uint32_t)value;
}

void vdrv_set(struct vdrv *d, uint64_t reg, uint32_t value)
{
    bus_write(d->bus, d->base_gpa + reg, 4, value);
}

uint64_t vdrv_offered(struct vdrv *d)
{
    vdrv_set(d, VIRTIO_MMIO_DeviceFeaturesSel, 0);
    uint64_t low = vdrv_get(d, VIRTIO_MMIO_DeviceFeatures);
    vdrv_set(d, VIRTIO_MMIO_DeviceFeaturesSel, 1);
    return low | (uint64_t)vdrv_get(d, VIRTIO_MMIO_DeviceFeatures) << 32;
}

/* ---- initialisation ---- */

void vdrv_reset(struct vdrv *d)
{
    vdrv_set(d, VIRTIO_MMIO_Status, 0);
    d->heap_gpa = d->heap_start_gpa;
    d->features = 0;
}

bool vdrv_negotiate(struct vdrv *d, uint64_t features)
{
    uint32_t status = VIRTIO_STATUS_ACKNOWLEDGE;
    vdrv_reset(d);
    vdrv_set(d, VIRTIO_MMIO_Status, status);
    vdrv_set(d, VIRTIO_MMIO_Status, status |= VIRTIO_STATUS_DRIVER);
    d->features = features | VIRTIO_BIT(VIRTIO_F_VERSION_1);
    for (unsigned word = 0; word < 2; word++) {
        vdrv_set(d, VIRTIO_MMIO_DriverFeaturesSel, word);
        vdrv_set(d, VIRTIO_MMIO_DriverFeatures, (uint32_t)(d->features >> (32 * word)));
    }
    vdrv_set(d, VIRTIO_MMIO_Status, status | VIRTIO_STATUS_FEATURES_OK);
    return vdrv_get(d, VIRTIO_MMIO_Status) & VIRTIO_STATUS_FEATURES_OK;
}

void vdrv_queue_alloc(struct vdrv *d, unsigned queue, uint32_t size)
{
    struct vdrv_queue *q = &d->q[queue];
    BUG_ON(size > VDRV_MAX_SIZE);
    *q = (struct vdrv_queue){.drv = d, .index = queue, .size = size, .free_count = size};
    q->desc_gpa = vdrv_alloc(d, (uint64_t)size * VIRTQ_DESC_BYTES, VIRTQ_DESC_ALIGN);
    q->avail_gpa = vdrv_alloc(d, VIRTQ_AVAIL_BYTES(size), VIRTQ_AVAIL_ALIGN);
    q->used_gpa = vdrv_alloc(d, VIRTQ_USED_BYTES(size), VIRTQ_USED_ALIGN);
    q->desc = vdrv_ptr(d, q->desc_gpa, (uint64_t)size * VIRTQ_DESC_BYTES);
    q->avail = vdrv_ptr(d, q->avail_gpa, VIRTQ_AVAIL_BYTES(size));
    q->used = vdrv_ptr(d, q->used_gpa, VIRTQ_USED_BYTES(size));
    for (unsigned i = 0; i < size; i++)
        q->free[i] = (uint16_t)(size - 1 - i);
}

void vdrv_queue_write(struct vdrv *d, unsigned queue)
{
    const struct vdrv_queue *q = &d->q[queue];
    vdrv_set(d, VIRTIO_MMIO_QueueSel, queue);
    vdrv_set(d, VIRTIO_MMIO_QueueSize, q->size);
    vdrv_set(d, VIRTIO_MMIO_QueueDescLow, (uint32_t)q->desc_gpa);
    vdrv_set(d, VIRTIO_MMIO_QueueDescHigh, (uint32_t)(q->desc_gpa >> 32));
    vdrv_set(d, VIRTIO_MMIO_QueueDriverLow, (uint32_t)q->avail_gpa);
    vdrv_set(d, VIRTIO_MMIO_QueueDriverHigh, (uint32_t)(q->avail_gpa >> 32));
    vdrv_set(d, VIRTIO_MMIO_QueueDeviceLow, (uint32_t)q->used_gpa);
    vdrv_set(d, VIRTIO_MMIO_QueueDeviceHigh, (uint32_t)(q->used_gpa >> 32));
    vdrv_set(d, VIRTIO_MMIO_QueueReady, 1);
}

void vdrv_driver_ok(struct vdrv *d)
{
    uint32_t status = vdrv_get(d, VIRTIO_MMIO_Status);
    vdrv_set(d, VIRTIO_MMIO_Status, status | VIRTIO_STATUS_DRIVER_OK);
}

bool vdrv_start(struct vdrv *d, uint64_t features, unsigned queues, uint32_t size)
{
    if (!vdrv_negotiate(d, features))
        return false;
    for (unsigned i = 0; i < queues; i++) {
        vdrv_queue_alloc(d, i, size);
        vdrv_queue_write(d, i);
    }
    vdrv_driver_ok(d);
    uint32_t status = vdrv_get(d, VIRTIO_MMIO_Status);
    return (status & VIRTIO_STATUS_DRIVER_OK) && !(status & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
}

/* ---- chains ---- */

void vdrv_desc_put(uint8_t *table, unsigned i, uint64_t addr, uint32_t len, unsigned flags,
                   unsigned next)
{
    uint8_t *at = table + (size_t)i * VIRTQ_DESC_BYTES;
    le64_put(at, addr);
    le32_put(at + 8, len);
    le16_put(at + 12, (uint16_t)flags);
    le16_put(at + 14, (uint16_t)next);
}

void vdrv_avail_put(struct vdrv_queue *q, uint16_t head)
{
    size_t place = q->avail_idx % q->size;
    store16(q->avail + VIRTQ_AVAIL_RING + 2 * place, head);
    q->avail_idx++;
}

static unsigned flags_of(const struct vdrv_buf *bufs, unsigned i, unsigned count)
{
    return (bufs[i].write ? VIRTQ_DESC_F_WRITE : 0) | (i + 1 < count ? VIRTQ_DESC_F_NEXT : 0);
}

int vdrv_add(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    if (count == 0 || q->free_count < count)
        return -1;
    uint16_t head = q->free[q->free_count - 1];
    for (unsigned i = 0; i < count; i++) {
        uint16_t at = q->free[q->free_count - 1 - i];
        uint16_t next = i + 1 < count ? q->free[q->free_count - 2 - i] : 0;
        vdrv_desc_put(q->desc, at, bufs[i].gpa, bufs[i].len, flags_of(bufs, i, count), next);
        q->next[at] = next;
    }
    q->free_count -= count;
    q->count[head] = (uint16_t)count;
    vdrv_avail_put(q, head);
    return head;
}

int vdrv_add_indirect(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    if (count == 0 || q->free_count == 0)
        return -1;
    uint64_t table = vdrv_alloc(q->drv, (uint64_t)count * VIRTQ_DESC_BYTES, VIRTQ_DESC_ALIGN);
    uint8_t *at = vdrv_ptr(q->drv, table, (uint64_t)count * VIRTQ_DESC_BYTES);
    for (unsigned i = 0; i < count; i++)
        vdrv_desc_put(at, i, bufs[i].gpa, bufs[i].len, flags_of(bufs, i, count), i + 1);
    uint16_t head = q->free[--q->free_count];
    vdrv_desc_put(q->desc, head, table, count * VIRTQ_DESC_BYTES, VIRTQ_DESC_F_INDIRECT, 0);
    q->count[head] = 1;
    vdrv_avail_put(q, head);
    return head;
}

int vdrv_send(struct vdrv_queue *q, const struct vdrv_buf *bufs, unsigned count)
{
    int head = vdrv_add(q, bufs, count);
    vdrv_kick(q);
    return head;
}

void vdrv_publish(struct vdrv_queue *q)
{
    q->published = load16(q->avail + VIRTQ_AVAIL_IDX);
    store16(q->avail + VIRTQ_AVAIL_IDX, q->avail_idx);
}

bool vdrv_kick_wanted(struct vdrv_queue *q)
{
    if (!(q->drv->features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)))
        return !(vdrv_used_flags(q) & VIRTQ_USED_F_NO_NOTIFY);
    return (uint16_t)(q->avail_idx - vdrv_avail_event(q) - 1) <
           (uint16_t)(q->avail_idx - q->published);
}

void vdrv_kick(struct vdrv_queue *q)
{
    vdrv_publish(q);
    vdrv_set(q->drv, VIRTIO_MMIO_QueueNotify, q->index);
}

bool vdrv_used(struct vdrv_queue *q, uint32_t *head, uint32_t *len)
{
    if (vdrv_used_idx(q) == q->used_idx)
        return false;
    const uint8_t *elem =
        q->used + VIRTQ_USED_RING + VIRTQ_USED_ELEM_BYTES * (size_t)(q->used_idx++ % q->size);
    *head = load32(elem);
    *len = load32(elem + 4);
    BUG_ON(*head >= q->size);
    uint16_t at = (uint16_t)*head;
    for (unsigned n = q->count[*head]; n > 0; n--, at = q->next[at])
        q->free[q->free_count++] = at;
    q->count[*head] = 0;
    return true;
}

/* ---- raw ---- */

uint16_t vdrv_used_idx(const struct vdrv_queue *q)
{
    return load16(q->used + VIRTQ_USED_IDX);
}

void vdrv_used_event(struct vdrv_queue *q, uint16_t index)
{
    store16(q->avail + VIRTQ_AVAIL_USED_EVENT(q->size), index);
}

uint16_t vdrv_avail_event(const struct vdrv_queue *q)
{
    return load16(q->used + VIRTQ_USED_AVAIL_EVENT(q->size));
}

void vdrv_avail_flags(struct vdrv_queue *q, uint16_t flags)
{
    store16(q->avail + VIRTQ_AVAIL_FLAGS, flags);
}

uint16_t vdrv_used_flags(const struct vdrv_queue *q)
{
    return load16(q->used + VIRTQ_USED_FLAGS);
}
