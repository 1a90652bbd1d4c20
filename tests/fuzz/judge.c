// SPDX-License-Identifier: BSD-2-Clause
/* What a driver that keeps to the rules can rely on: interrupts, notifications, used lengths. */
#include <string.h>
#include <unistd.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "tests/fuzz/play_impl.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/balloon/balloon.h"
#include "virtio/base/device_impl.h"
#include "virtio/input/input.h"
#include "virtio/spec.h"

/* ---- used lengths ---- */

/* Until the arena begins anew a word of it is one buffer's, so it says who wrote it last. */
static uint64_t mark(uint64_t gpa)
{
    uint64_t word = (gpa + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return word ^ word >> 29;
}

void fuzz_mark(struct fuzz_player *p, uint64_t gpa, uint32_t len)
{
    uint64_t marks[FUZZ_BUF_MAX / 8];
    unsigned count = p->wrapped ? 0 : len / 8;
    for (unsigned i = 0; i < count; i++)
        marks[i] = mark(gpa + 8 * i);
    if (count > 0)
        fuzz_guest_wrote(p, gpa, marks, 8 * count);
}

/* Whatever the host makes of the disk, it has no more sectors than that. */
static bool is_behind(uint64_t sector, uint64_t sectors)
{
    return sectors > 0 && !range_within(sector, sectors, 0, 2 * FUZZ_DISK_BYTES / 512);
}

/* Of a disk's request, before it is sent. */
static bool is_beyond(struct fuzz_player *p, unsigned count)
{
    static uint8_t out[FUZZ_BUFS_MAX * FUZZ_BUF_MAX];
    uint64_t len = 0, room = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct vdrv_buf *b = &p->bufs[i];
        if (b->write)
            room += b->len;
        else if (b->len > 0)
            memcpy(out + len, vdrv_ptr(&p->rig.drv, b->gpa, b->len), b->len);
        len += b->write ? 0 : b->len;
    }
    if (len < VIRTIO_BLK_REQ_HEADER_BYTES || room == 0)
        return false;
    uint64_t sector = le64_get(out + VIRTIO_BLK_REQ_sector);
    switch (le32_get(out + VIRTIO_BLK_REQ_type)) {
    case VIRTIO_BLK_T_IN:
        return is_behind(sector, (room - 1) / 512);
    case VIRTIO_BLK_T_OUT:
        return is_behind(sector, (len - VIRTIO_BLK_REQ_HEADER_BYTES) / 512);
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
        for (uint64_t at = VIRTIO_BLK_REQ_HEADER_BYTES; at + VIRTIO_BLK_RANGE_BYTES <= len;
             at += VIRTIO_BLK_RANGE_BYTES)
            if (is_behind(le64_get(out + at + VIRTIO_BLK_RANGE_sector),
                          le32_get(out + at + VIRTIO_BLK_RANGE_num_sectors)))
                return true;
        return false;
    default:
        return false;
    }
}

/* Longer than the queue or than what the device takes, or in the wrong order. */
static bool is_odd(struct fuzz_player *p, unsigned queue, unsigned count)
{
    const struct virtqueue *vq = &p->rig.dev->queues[queue].vq;
    bool writes = false, odd = count > vq->size || count > vq->iov_max;
    for (unsigned i = 0; i < count; i++) {
        odd |= writes && !p->bufs[i].write;
        writes |= p->bufs[i].write;
    }
    return odd;
}

void fuzz_note_given(struct fuzz_player *p, unsigned queue, unsigned head, unsigned count)
{
    struct fuzz_given *given = &p->given[queue][head];
    given->count = 0;
    given->beyond = !p->wild && p->script->head.device == FUZZ_BLK && is_beyond(p, count);
    p->odd |= is_odd(p, queue, count);
    for (unsigned i = 0; i < count; i++)
        if (p->bufs[i].write)
            given->bufs[given->count++] = p->bufs[i];
}

/* Where rings are it is as if the driver wrote into them; so it is if others may be meant. */
static void note_page(struct fuzz_player *p, uint64_t gpa)
{
    uint64_t at = gpa - FUZZ_ARENA_GPA;
    bool is_ring = gpa < FUZZ_LOW_BYTES || p->edited || p->wrapped;
    p->wild |= is_ring;
    if (is_ring && p->trace != NULL)
        p->trace->full = true; /* rings are elsewhere on other transports */
    if (at < FUZZ_ARENA_BYTES)
        p->given_back[at / FUZZ_PAGE_BYTES] = true;
}

void fuzz_note_pages(struct fuzz_player *p, unsigned queue)
{
    uint8_t number[4];
    unsigned have = 0;
    for (unsigned i = 0; i < p->buf_count; i++) {
        const struct vdrv_buf *b = &p->bufs[i];
        const uint8_t *bytes = gmem_ptr(p->rig.gmem, b->gpa, b->len, 1);
        for (uint32_t at = 0;
             queue == VIRTIO_BALLOON_INFLATE && bytes != NULL && !b->write && at < b->len; at++) {
            number[have++ % 4] = bytes[at];
            if (have % 4 == 0)
                note_page(p, (uint64_t)le32_get(number) * FUZZ_PAGE_BYTES);
        }
        for (uint32_t at = 0; queue == VIRTIO_BALLOON_REPORTS && b->write && at < b->len;
             at += FUZZ_PAGE_BYTES)
            note_page(p, b->gpa + at);
    }
}

/* The status is the last byte that the device may write: VIRTIO 1.4 5.2.6. */
static void judge_beyond(struct fuzz_player *p, unsigned queue, const struct fuzz_given *given)
{
    unsigned last = given->count;
    while (last > 0 && given->bufs[last - 1].len == 0)
        last--;
    if (!given->beyond || last == 0 || p->wrapped || p->edited)
        return;
    const struct vdrv_buf *b = &given->bufs[last - 1];
    if (*(const uint8_t *)vdrv_ptr(&p->rig.drv, b->gpa + b->len - 1, 1) == VIRTIO_BLK_S_OK)
        fuzz_finding(p, "queue %u: a request behind the end of the disk is said to be done", queue);
}

/* VIRTIO 1.4 2.7.8.2: the device has written at least as many bytes as it says. */
void fuzz_judge_len(struct fuzz_player *p, unsigned queue, unsigned head, uint32_t len)
{
    const struct fuzz_given *given = &p->given[queue][head];
    judge_beyond(p, queue, given);
    if (p->script->head.device == FUZZ_INPUT && queue == VIRTIO_INPUT_EVENTS)
        fuzz_judge_event(p, given, len);
    for (unsigned i = 0; i < given->count && !p->wrapped; i++) {
        const struct vdrv_buf *b = &given->bufs[i];
        uint32_t said = (uint32_t)min_u64(len, b->len);
        const uint8_t *bytes = said >= 8 ? vdrv_ptr(&p->rig.drv, b->gpa, said) : NULL;
        for (uint32_t at = 0; at + 8 <= said; at += 8) {
            uint64_t word;
            memcpy(&word, bytes + at, 8);
            if (word == mark(b->gpa + at))
                fuzz_finding(p, "queue %u: byte %u is said to be written, and is not", queue, at);
        }
        len -= said;
    }
}

/* ---- interrupts ---- */

/* A real one takes its time. */
static bool comes_late(struct fuzz_player *p, unsigned queue)
{
    for (unsigned ms = 0; p->rig.cfg.machine != NULL && ms < FUZZ_LIVE_MS; ms++) {
        if (rig_queue_irqs(&p->rig, queue) > 0)
            return true;
        usleep(1000);
    }
    return false;
}

/*
 * With EVENT_IDX an interrupt is asked for once, else until it is asked for no more. One line may
 * stand for all queues. What was written to the MSI-X table outlives a reset of the device.
 */
void fuzz_judge_irqs(struct fuzz_player *p)
{
    struct vdrv *d = &p->rig.drv;
    bool wanted = false, came = false, shared = !d->pci.msix;
    for (unsigned i = 0; i < VDRV_QUEUES; i++) {
        bool irq = rig_queue_irqs(&p->rig, i) > 0;
        bool due = !p->ever_wild && d->q[i].desc != NULL && p->armed[i] && vdrv_has_used(&d->q[i]);
        if (due && !shared && !irq && !comes_late(p, i))
            fuzz_finding(p, "queue %u: used buffers, and no interrupt", i);
        if (due && (d->features & VIRTIO_BIT(VIRTIO_F_EVENT_IDX)))
            p->armed[i] = false;
        wanted |= due;
        came |= irq;
    }
    if (shared && wanted && !came && !comes_late(p, 0))
        fuzz_finding(p, "used buffers, and no interrupt");
}

/* ---- notifications ---- */

/* As a driver does that saves them where the device wants none. */
void fuzz_notify(struct fuzz_player *p, struct vdrv_queue *q)
{
    if (p->wild || p->untold[q->index] || vdrv_kick_wanted(q))
        vdrv_notify(q);
    p->untold[q->index] = false;
}

/* These devices take every chain at once: one that is left was not told of. */
void fuzz_judge_waiting(struct fuzz_player *p)
{
    struct virtio_device *dev = p->rig.dev;
    unsigned device = p->script->head.device;
    if (device != FUZZ_ECHO && device != FUZZ_BLK)
        return;
    for (unsigned i = 0; i < min_u64(dev->cfg.queue_count, VDRV_QUEUES); i++) {
        struct virtio_queue *q = &dev->queues[i];
        if (virtio_queue_runs(q) && !p->untold[i] && q->vq.free != NULL && vq_available(&q->vq))
            fuzz_finding(p, "queue %u: a chain waits, and its driver need not say so", i);
    }
}

/* Does the device have all that was added, and nothing that it may keep? */
static bool is_all_due(struct fuzz_player *p, const struct vdrv_queue *q)
{
    const struct virtio_queue *dq = &p->rig.dev->queues[q->index];
    bool held = q->packed ? q->ring.next_avail != q->ring.published
                          : vdrv_load16(q->avail + VIRTQ_AVAIL_IDX) != q->ring.next_avail;
    return virtio_queue_runs(dq) && !p->untold[q->index] && !held && !p->odd && !p->kept &&
           p->rig.disk.out == 0;
}

/* After used buffers were taken: these devices keep none, but when the host holds requests. */
void fuzz_judge_missing(struct fuzz_player *p)
{
    unsigned device = p->script->head.device;
    for (unsigned i = 0; (device == FUZZ_ECHO || device == FUZZ_BLK) && i < VDRV_QUEUES; i++) {
        const struct vdrv_queue *q = &p->rig.drv.q[i];
        if (q->desc != NULL && q->ring.free_descs != q->size && is_all_due(p, q))
            fuzz_finding(p, "queue %u: a chain does not come back", i);
    }
}

/* ---- rings that the device gives up ---- */

void fuzz_judge_broken(struct fuzz_player *p)
{
    struct virtio_device *dev = p->rig.dev;
    for (unsigned i = 0; !p->odd && i < dev->cfg.queue_count; i++)
        if (dev->queues[i].vq.broken)
            fuzz_finding(p, "queue %u: \"%s\", and its driver did nothing wrong", i,
                         dev->queues[i].vq.error);
}

void fuzz_note_torn(struct fuzz_player *p, struct vdrv_queue *q, unsigned head)
{
    p->torn = q;
    p->torn_head = (uint16_t)head;
}

/* VIRTIO 1.4 2.7.5.3.1: in this step a queue that was in order until then got such a chain. */
void fuzz_judge_torn(struct fuzz_player *p)
{
    struct vdrv_queue *q = p->torn;
    uint32_t head, len;
    p->torn = NULL;
    if (q == NULL || q->desc == NULL)
        return;
    struct vdrv_ring at = q->ring; /* goes on where the driver stays */
    for (uint32_t n = 0; n < q->size && vdrv_ring_peek(&at, &head, &len); n++) {
        if (head == p->torn_head)
            fuzz_finding(p, "queue %u: a chain came back whose table is not whole descriptors",
                         q->index);
        if (head >= q->size || q->ring.descs[head] == 0)
            return;
        vdrv_ring_pass(&at, (uint16_t)head);
    }
}
