// SPDX-License-Identifier: BSD-2-Clause
/* What no driver does: chains that are bent out of shape, bytes and registers at random. */
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/ports/bus.h"
#include "core/ports/pci.h"
#include "tests/fuzz/play_impl.h"
#include "tests/harness/vdrv_impl.h"
#include "virtio/spec.h"

/* Both rings have descriptors of 16 bytes that begin with an address and a length. */
_Static_assert((int)VIRTQ_DESC_BYTES == (int)PVIRTQ_DESC_BYTES, "one size");
enum {
    DESC_LEN = 8,
    SPLIT_FLAGS = 12,
    SPLIT_NEXT = 14,
    TABLE_END_BYTES = 256,
};

/* A chain in memory: its first and last descriptor, and what the ring itself has of it. */
struct bent {
    struct vdrv_queue *q;
    uint8_t *first, *last, *ring;
    uint16_t first_index, place;
    bool held; /* packed: the flags of `ring` are still to come */
};

static uint8_t *desc(const struct vdrv_queue *q, uint32_t i)
{
    return q->desc + (size_t)(i % q->size) * VIRTQ_DESC_BYTES;
}

static struct bent find_chain(struct fuzz_player *p, struct vdrv_queue *q, uint16_t head,
                              uint32_t place, bool indirect)
{
    struct bent b = {.q = q, .place = (uint16_t)place, .first_index = indirect ? 0 : head};
    b.ring = desc(q, q->packed ? place : head);
    b.held = q->packed && q->ring.next_avail != q->ring.published &&
             vdrv_ring_place(&q->ring, q->ring.published) == place;
    b.first = b.last = b.ring;
    if (indirect) {
        uint32_t bytes = le32_get(b.ring + DESC_LEN);
        b.first = vdrv_ptr(&p->rig.drv, le64_get(b.ring), bytes);
        b.last = b.first + bytes - VIRTQ_DESC_BYTES;
    } else if (q->packed) {
        b.last = desc(q, place + q->ring.descs[head] - 1u);
    } else {
        uint16_t at = head;
        for (unsigned n = q->ring.descs[head]; n > 1; n--)
            at = q->ring.next[at];
        b.last = desc(q, at);
    }
    return b;
}

static void flip(struct bent *b, uint8_t *at, uint64_t bits)
{
    if (b->held && at == b->ring) {
        b->q->ring.held_flags ^= (uint16_t)bits;
        return;
    }
    uint8_t *flags = at + (b->q->packed ? PVIRTQ_DESC_flags : SPLIT_FLAGS);
    vdrv_store16(flags, vdrv_load16(flags) ^ (uint16_t)bits);
}

/* The chain goes on with that descriptor. */
static void go_on(struct bent *b, uint8_t *from, uint16_t next)
{
    flip(b, from, from == b->last ? VIRTQ_DESC_F_NEXT : 0);
    if (!b->q->packed)
        le16_put(from + SPLIT_NEXT, next);
}

static void name(struct bent *b, uint16_t what)
{
    struct vdrv_queue *q = b->q;
    if (q->packed)
        le16_put(b->last + PVIRTQ_DESC_id, what);
    else
        vdrv_store16(
            q->avail + VIRTQ_AVAIL_RING + 2 * (size_t)((q->ring.next_avail - 1u) % q->size), what);
}

/* Behind it is no memory: who reads on faults. */
static void cut_table(struct fuzz_player *p, struct bent *b, uint32_t bytes)
{
    uint64_t gpa = FUZZ_ARENA_GPA + FUZZ_ARENA_BYTES - bytes;
    if (bytes > 0)
        memmove(vdrv_ptr(&p->rig.drv, gpa, bytes), b->first,
                min_u64(bytes, le32_get(b->ring + DESC_LEN)));
    le64_put(b->ring, gpa);
    le32_put(b->ring + DESC_LEN, bytes);
}

void fuzz_bend(struct fuzz_player *p, struct vdrv_queue *q, uint16_t head, uint32_t place,
               bool indirect)
{
    struct bent b = find_chain(p, q, head, place, indirect);
    uint64_t value = p->fault_value;
    p->wild = true;
    switch (p->fault) {
    case FUZZ_LOOP:
        go_on(&b, b.last, b.first_index);
        break;
    case FUZZ_SELF:
        go_on(&b, b.first, b.first_index);
        break;
    case FUZZ_NEXT:
        go_on(&b, b.last, (uint16_t)value);
        break;
    case FUZZ_HEAD:
        name(&b, (uint16_t)value);
        break;
    case FUZZ_JUMP:
        if (q->packed)
            flip(&b, b.ring, value & (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED));
        else
            q->ring.next_avail = (uint16_t)(q->ring.next_avail + value);
        break;
    case FUZZ_ADDR:
        le64_put(b.first, value);
        break;
    case FUZZ_LEN:
        le32_put(b.first + DESC_LEN, (uint32_t)value);
        break;
    case FUZZ_FLAGS:
        flip(&b, b.first, value);
        break;
    case FUZZ_LAST_FLAGS:
        flip(&b, b.last, value);
        break;
    case FUZZ_TABLE_LEN:
        le32_put(b.ring + DESC_LEN, (uint32_t)value);
        break;
    case FUZZ_TABLE_FLAGS:
        flip(&b, b.ring, value);
        break;
    case FUZZ_TABLE_END:
        if (indirect)
            cut_table(p, &b, (uint32_t)(value % TABLE_END_BYTES));
        break;
    default: /* FUZZ_TWICE */
        if (q->packed)
            name(&b, (uint16_t)(value % q->size));
        else
            vdrv_avail_put(q, head);
        break;
    }
}

/* ---- bytes and registers ---- */

static void poke(struct fuzz_player *p, const struct fuzz_step *step)
{
    struct vdrv_queue *q = &p->rig.drv.q[step->arg[0] % VDRV_QUEUES];
    if (q->desc == NULL)
        return;
    uint32_t bytes[FUZZ_AREAS] = {
        [FUZZ_AREA_DESC] = q->size * VIRTQ_DESC_BYTES,
        [FUZZ_AREA_DRIVER] = q->packed ? PVIRTQ_EVENT_BYTES : VIRTQ_AVAIL_BYTES(q->size),
        [FUZZ_AREA_DEVICE] = q->packed ? PVIRTQ_EVENT_BYTES : VIRTQ_USED_BYTES(q->size),
    };
    uint8_t *const areas[FUZZ_AREAS] = {q->desc, q->avail, q->used};
    unsigned area = step->arg[1] % FUZZ_AREAS;
    uint32_t at = (uint32_t)step->arg[2] % bytes[area];
    p->wild = true;
    if (step->len > 0)
        memcpy(areas[area] + at, step->bytes, min_u64(step->len, bytes[area] - at));
}

static void write_memory(struct fuzz_player *p, const struct fuzz_step *step)
{
    uint64_t at = step->arg[0] % (FUZZ_LOW_BYTES + FUZZ_ARENA_BYTES);
    bool low = at < FUZZ_LOW_BYTES;
    uint64_t end = low ? FUZZ_LOW_BYTES : FUZZ_LOW_BYTES + FUZZ_ARENA_BYTES;
    uint32_t len = (uint32_t)min_u64(step->len, end - at);
    if (len == 0)
        return;
    if (low) {
        memcpy(vdrv_ptr(&p->rig.drv, at, len), step->bytes, len);
        p->wild = true;
    } else {
        fuzz_guest_wrote(p, FUZZ_ARENA_GPA + at - FUZZ_LOW_BYTES, step->bytes, len);
        p->edited = true;
    }
}

static uint64_t space_base(struct fuzz_player *p, enum fuzz_space space)
{
    struct vdrv *d = &p->rig.drv;
    bool pci = p->rig.pci != NULL;
    switch (space) {
    case FUZZ_SPACE_REGS:
        return pci ? d->pci.common : RIG_WINDOW_GPA;
    case FUZZ_SPACE_CONFIG:
        return vdrv_config_gpa(d);
    case FUZZ_SPACE_NOTIFY:
        return pci ? d->pci.notify : RIG_WINDOW_GPA + 0x50;
    case FUZZ_SPACE_ISR:
        return pci ? d->pci.isr : RIG_WINDOW_GPA + 0x60;
    case FUZZ_SPACE_BAR1:
        return d->pci.bar_gpa[1];
    case FUZZ_SPACE_PORT:
        return RIG_BAR_PORT;
    default:
        return RIG_HOLE_GPA;
    }
}

static void touch_register(struct fuzz_player *p, const struct fuzz_step *step)
{
    enum fuzz_space space = step->arg[0] % FUZZ_SPACES;
    unsigned width = 1u << (step->arg[2] % 4);
    bool set = step->op == FUZZ_SET;
    uint64_t value = step->arg[3];
    if (set)
        p->wild = true;
    if (space == FUZZ_SPACE_PCI) {
        if (p->rig.pci == NULL)
            return;
        struct pci_function *func = p->rig.drv.pci.func;
        width = width == 8 ? 4 : width;
        unsigned offset = (unsigned)(step->arg[1] % 4096) & ~(width - 1);
        p->lost |= set;
        if (set)
            func->ops->config_write(func, offset, width, (uint32_t)value);
        else
            func->ops->config_read(func, offset, width);
        return;
    }
    struct bus *bus = space == FUZZ_SPACE_PORT ? p->rig.guest_pio : p->rig.guest_bus;
    uint64_t at = space_base(p, space) + step->arg[1];
    if (space == FUZZ_SPACE_PORT)
        at &= 0xffff;
    p->lost |= set && p->rig.pci != NULL && space == FUZZ_SPACE_HOLE; /* the window is there, too */
    if (set)
        bus_write(bus, at, width, value);
    else
        bus_read(bus, at, width, &value);
}

void fuzz_raw_step(struct fuzz_player *p, const struct fuzz_step *step)
{
    struct vdrv *d = &p->rig.drv;
    switch (step->op) {
    case FUZZ_AT:
        if (p->buf_count < FUZZ_BUFS_MAX)
            p->bufs[p->buf_count++] =
                (struct vdrv_buf){step->arg[0], (uint32_t)step->arg[1], step->arg[2] % 2 != 0};
        p->wild = true;
        break;
    case FUZZ_NOTIFY:
        if (d->q[step->arg[0] % VDRV_QUEUES].desc != NULL)
            vdrv_notify_value(&d->q[step->arg[0] % VDRV_QUEUES], (uint32_t)step->arg[1]);
        break;
    case FUZZ_BEND:
        p->bend = true;
        p->fault = step->arg[0] % FUZZ_FAULTS;
        p->fault_value = step->arg[1];
        break;
    case FUZZ_POKE:
        poke(p, step);
        break;
    case FUZZ_MEM:
        write_memory(p, step);
        break;
    case FUZZ_ACCEPT:
        vdrv_accept(d, (uint32_t)step->arg[0], (uint32_t)step->arg[1]);
        p->wild = true;
        break;
    default:
        touch_register(p, step);
        break;
    }
}
