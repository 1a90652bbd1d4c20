// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/blk_overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "devices/disk/blk_file.h"
#include "devices/disk/filter/blk_filter.h"

#define SLOTS     64 /* requests at once that cannot be passed on as they are */
#define SLOT_IOV  64
#define WORD_BITS 64u

/* A request that reads from both, or whose sectors are the top's once it has succeeded. */
struct slot {
    struct blk_req piece; /* what the base or the top sees of it */
    struct blk_overlay *overlay;
    struct blk_req *req;
    struct iobuf data; /* what is ahead of it */
    uint64_t done;     /* bytes */
    SLIST_ENTRY(slot) link;
    struct iovec iov[SLOT_IOV];
};

struct blk_overlay {
    struct blk_filter f;
    struct blk_backend *top;
    bool owns_scratch; /* the top is a file of our own: it grows with the base */
    uint64_t *map;     /* a bit for each sector: the top has it */
    uint64_t map_sectors;
    SLIST_HEAD(, slot) free;
    struct slot slots[SLOTS];
};

static struct blk_overlay *overlay_of(struct blk_backend *b)
{
    return container_of(b, struct blk_overlay, f.b);
}

/* ---- the map ---- */

static uint64_t map_bytes(uint64_t sectors)
{
    return align_up(sectors, WORD_BITS) / 8;
}

static void map_set(struct blk_overlay *o, uint64_t sector, uint64_t count)
{
    while (count > 0) {
        unsigned bit = (unsigned)(sector % WORD_BITS);
        unsigned n = (unsigned)min_u64(count, WORD_BITS - bit);
        o->map[sector / WORD_BITS] |= (UINT64_MAX >> (WORD_BITS - n)) << bit;
        sector += n;
        count -= n;
    }
}

/* How many of the bytes [at, end) are where the first one is; there is at least one. */
static uint64_t map_run(const struct blk_overlay *o, uint64_t at, uint64_t end, bool *in_top)
{
    uint64_t sector = at / BLK_SECTOR_BYTES, last = (end - 1) / BLK_SECTOR_BYTES;
    *in_top = o->map[sector / WORD_BITS] >> (sector % WORD_BITS) & 1;
    while (sector <= last) {
        unsigned bit = (unsigned)(sector % WORD_BITS);
        uint64_t word = o->map[sector / WORD_BITS];
        uint64_t others = (*in_top ? ~word : word) >> bit;
        if (others != 0) {
            sector += (unsigned)__builtin_ctzll(others);
            break;
        }
        sector += WORD_BITS - bit;
    }
    return min_u64(sector * BLK_SECTOR_BYTES, end) - at;
}

/* ---- requests ---- */

static void start(struct blk_overlay *o, struct blk_req *req);

static void finish(struct slot *slot, int result)
{
    struct blk_overlay *o = slot->overlay;
    struct blk_req *req = slot->req;
    SLIST_INSERT_HEAD(&o->free, slot, link);
    req->done(req, result);
    /* done() may have emptied the list by a drain, or submitted a request that took the slot. */
    if (!SLIST_EMPTY(&o->free) && !STAILQ_EMPTY(&o->f.waiting))
        start(o, blk_list_take(&o->f.waiting));
}

/* The next sectors that are all in one place, as far as the slot's vectors reach. */
static void read_piece(struct slot *slot)
{
    struct blk_overlay *o = slot->overlay;
    uint64_t at = slot->req->offset_bytes + slot->done;
    uint64_t end = slot->req->offset_bytes + slot->req->bytes;
    bool in_top;
    uint64_t bytes = map_run(o, at, end, &in_top);
    slot->piece.offset_bytes = at;
    slot->piece.bytes = iobuf_fill(&slot->data, bytes, slot->iov, SLOT_IOV, &slot->piece.iov_count);
    slot->piece.iov = slot->iov;
    struct blk_backend *from = in_top ? o->top : o->f.base;
    from->ops->submit(from, &slot->piece);
}

static void piece_done(struct blk_req *piece, int result)
{
    struct slot *slot = container_of(piece, struct slot, piece);
    struct blk_overlay *o = slot->overlay;
    slot->done += piece->bytes;
    if (result < 0) {
        finish(slot, result);
    } else if (slot->req->op != BLK_READ) {
        map_set(o, piece->offset_bytes / BLK_SECTOR_BYTES, piece->bytes / BLK_SECTOR_BYTES);
        finish(slot, 0);
    } else if (slot->done == slot->req->bytes) {
        finish(slot, 0);
    } else if (o->f.draining) {
        finish(slot, -ECANCELED);
    } else {
        iobuf_skip(&slot->data, piece->bytes);
        read_piece(slot);
    }
}

/* A discard becomes zeroes, too: then the top need not keep what the base still has. */
static void change(struct slot *slot)
{
    const struct blk_req *req = slot->req;
    struct blk_backend *top = slot->overlay->top;
    slot->piece.op = req->op == BLK_WRITE ? BLK_WRITE : BLK_ZERO;
    slot->piece.may_unmap = true;
    slot->piece.offset_bytes = req->offset_bytes;
    slot->piece.bytes = req->bytes;
    slot->piece.iov = req->iov;
    slot->piece.iov_count = req->iov_count;
    top->ops->submit(top, &slot->piece);
}

static void start(struct blk_overlay *o, struct blk_req *req)
{
    struct slot *slot = SLIST_FIRST(&o->free);
    SLIST_REMOVE_HEAD(&o->free, link);
    slot->req = req;
    slot->done = 0;
    slot->piece = (struct blk_req){.op = req->op, .done = piece_done};
    if (req->op != BLK_READ) {
        change(slot);
        return;
    }
    slot->data = blk_req_data(req);
    read_piece(slot);
}

static int check(const struct blk_overlay *o, const struct blk_req *req)
{
    if (req->op != BLK_READ && !is_aligned(req->offset_bytes | req->bytes, BLK_SECTOR_BYTES))
        return -EINVAL;
    return blk_check(&o->f.b.info, req);
}

static void blk_overlay_submit(struct blk_backend *b, struct blk_req *req)
{
    struct blk_overlay *o = overlay_of(b);
    if (blk_filter_refuses(&o->f, req))
        return;
    int err = check(o, req);
    if (err < 0 || req->bytes == 0) { /* a flush has none */
        blk_ended_add(&o->f.ended, req, err);
        return;
    }
    bool in_top;
    uint64_t run = map_run(o, req->offset_bytes, req->offset_bytes + req->bytes, &in_top);
    bool one_place = run == req->bytes;
    if (one_place && (req->op == BLK_READ || (req->op == BLK_WRITE && in_top))) {
        struct blk_backend *to = in_top ? o->top : o->f.base;
        to->ops->submit(to, req);
    } else if (!SLIST_EMPTY(&o->free) && STAILQ_EMPTY(&o->f.waiting)) {
        start(o, req);
    } else {
        STAILQ_INSERT_TAIL(&o->f.waiting, req, link);
    }
}

/* Each slot has one piece out, in the base or in the top, and begins no other one meanwhile. */
static void blk_overlay_drain(struct blk_backend *b)
{
    struct blk_overlay *o = overlay_of(b);
    struct blk_req *req;
    o->f.draining = true;
    while ((req = blk_list_take(&o->f.waiting)) != NULL)
        blk_ended_add(&o->f.ended, req, -ECANCELED);
    o->top->ops->drain(o->top);
    blk_filter_drain(b);
}

/* ---- size ---- */

static int map_resize(struct blk_overlay *o, uint64_t sectors)
{
    void *map;
    if (sectors <= o->map_sectors)
        return 0;
    if (o->map)
        map = mremap(o->map, map_bytes(o->map_sectors), map_bytes(sectors), MREMAP_MAYMOVE);
    else
        map = mmap(NULL, map_bytes(sectors), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return fail(-errno, "disk overlay: a map of %llu bytes",
                    (unsigned long long)map_bytes(sectors));
    o->map = map;
    o->map_sectors = sectors;
    return 0;
}

/* What cannot grow stays as large as it was; what shrinks keeps what it has, out of reach. */
static void base_resized(void *ctx)
{
    struct blk_overlay *o = ctx;
    uint64_t bytes = o->f.base->info.capacity_bytes;
    if (map_resize(o, bytes / BLK_SECTOR_BYTES) < 0)
        return;
    if (bytes > o->top->info.capacity_bytes &&
        (!o->owns_scratch || blk_file_resize(o->top, bytes) < 0))
        return;
    blk_set_capacity(&o->f.b, bytes);
}

/* ---- life ---- */

static void blk_overlay_destroy(struct blk_backend *b)
{
    struct blk_overlay *o = overlay_of(b);
    blk_overlay_drain(b);
    o->top->ops->destroy(o->top);
    blk_filter_fini(&o->f);
    munmap(o->map, map_bytes(o->map_sectors));
    free(o);
}

static const struct blk_backend_ops blk_overlay_ops = {
    .submit = blk_overlay_submit,
    .drain = blk_overlay_drain,
    .destroy = blk_overlay_destroy,
};

static int open_top(struct blk_overlay *o, const struct blk_overlay_config *config)
{
    uint64_t bytes = config->base->info.capacity_bytes;
    int err = map_resize(o, bytes / BLK_SECTOR_BYTES);
    if (err < 0)
        return err;
    o->top = config->top;
    o->owns_scratch = !o->top;
    return o->top ? 0 : blk_file_create_scratch(&o->top, config->loop, bytes);
}

static void init(struct blk_overlay *o, const struct blk_overlay_config *config)
{
    blk_filter_init(&o->f, config->base, config->loop, &blk_overlay_ops);
    config->base->handler = (struct blk_handler){.on_resize = base_resized, .ctx = o};
    o->f.b.info.read_only = false;
    o->f.b.info.can_zero = o->f.b.info.can_discard = o->top->info.can_zero;
    o->f.b.info.discard_bytes = o->top->info.discard_bytes;
    for (unsigned i = 0; i < SLOTS; i++) {
        o->slots[i].overlay = o;
        SLIST_INSERT_HEAD(&o->free, &o->slots[i], link);
    }
}

int blk_overlay_create(struct blk_backend **out, const struct blk_overlay_config *config)
{
    struct blk_overlay *o = calloc(1, sizeof(*o));
    if (!o)
        return fail(-ENOMEM, "disk overlay");
    int err = open_top(o, config);
    if (err < 0) {
        if (o->map)
            munmap(o->map, map_bytes(o->map_sectors));
        free(o);
        return err;
    }
    init(o, config);
    *out = &o->f.b;
    return 0;
}
