// SPDX-License-Identifier: BSD-2-Clause
/* What a driver that keeps to the rules can rely on: interrupts, notifications, used lengths. */
#include <string.h>
#include <unistd.h>

#include "core/xmath.h"
#include "tests/fuzz/play_impl.h"
#include "virtio/device_impl.h"
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

void fuzz_note_given(struct fuzz_player *p, unsigned queue, unsigned head, unsigned count)
{
    struct fuzz_given *given = &p->given[queue][head];
    given->count = 0;
    for (unsigned i = 0; i < count; i++)
        if (p->bufs[i].write)
            given->bufs[given->count++] = p->bufs[i];
}

/* VIRTIO 1.4 2.7.8.2: the device has written at least as many bytes as it says. */
void fuzz_judge_len(struct fuzz_player *p, unsigned queue, unsigned head, uint32_t len)
{
    const struct fuzz_given *given = &p->given[queue][head];
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
        if (dev->running && q->live && !p->untold[i] && q->vq.free != NULL && vq_available(&q->vq))
            fuzz_finding(p, "queue %u: a chain waits, and its driver need not say so", i);
    }
}
