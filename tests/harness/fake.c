// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/fake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/peers/shared_event.h"

/* ---- interrupts ---- */

static void irq_level(void *ctx, unsigned number, bool level)
{
    struct fake_irq *irq = ctx;
    (void)number;
    if (level && !atomic_exchange(&irq->level, true))
        atomic_fetch_add(&irq->edges, 1);
    if (!level)
        atomic_store(&irq->level, false);
}

struct irq_line fake_irq_line(struct fake_irq *irq)
{
    return (struct irq_line){.set = irq_level, .ctx = irq, .eventfd = -1};
}

unsigned fake_irq_take(struct fake_irq *irq)
{
    return atomic_exchange(&irq->edges, 0);
}

/* ---- messages ---- */

static void msi_record(struct fake_msi *msi, struct fake_msi_message message)
{
    if (msi->count < FAKE_MSI_SENT)
        msi->sent[msi->count] = message;
    msi->count++;
    msi->total++;
}

static int msi_send(void *ctx, uint64_t addr, uint32_t data)
{
    struct fake_msi *msi = ctx;
    pthread_mutex_lock(&msi->lock);
    int err = msi->fail;
    msi->sends++;
    if (err == 0)
        msi_record(msi, (struct fake_msi_message){addr, data});
    pthread_mutex_unlock(&msi->lock);
    return err;
}

static int msi_route_add(void *ctx, int eventfd, uint64_t addr, uint32_t data)
{
    struct fake_msi *msi = ctx;
    pthread_mutex_lock(&msi->lock);
    int handle = msi->refuse_routes;
    msi->adds++;
    if (handle == 0) {
        while (handle < FAKE_MSI_ROUTES && msi->routes[handle].used)
            handle++;
        if (handle < FAKE_MSI_ROUTES)
            msi->routes[handle] = (struct fake_msi_route){true, eventfd, {addr, data}};
        else
            handle = -ENOSPC;
        if (handle == (int)msi->route_end)
            msi->route_end++;
    }
    pthread_mutex_unlock(&msi->lock);
    return handle;
}

/* What a kernel did when the eventfd was written. */
static void msi_deliver(struct fake_msi *msi, const struct fake_msi_route *route)
{
    if (route->used && shared_event_take(route->eventfd))
        msi_record(msi, route->message);
}

static int msi_route_set(void *ctx, int handle, uint64_t addr, uint32_t data)
{
    struct fake_msi *msi = ctx;
    pthread_mutex_lock(&msi->lock);
    BUG_ON(handle < 0 || handle >= FAKE_MSI_ROUTES || !msi->routes[handle].used);
    msi->sets++;
    msi_deliver(msi, &msi->routes[handle]);
    if (msi->refuse_routes == 0)
        msi->routes[handle].message = (struct fake_msi_message){addr, data};
    int err = msi->refuse_routes;
    pthread_mutex_unlock(&msi->lock);
    return err;
}

static void msi_route_del(void *ctx, int handle, int eventfd)
{
    struct fake_msi *msi = ctx;
    pthread_mutex_lock(&msi->lock);
    BUG_ON(handle < 0 || handle >= FAKE_MSI_ROUTES || !msi->routes[handle].used);
    BUG_ON(msi->routes[handle].eventfd != eventfd);
    msi->dels++;
    msi_deliver(msi, &msi->routes[handle]);
    msi->routes[handle].used = false;
    pthread_mutex_unlock(&msi->lock);
}

struct msi_sink fake_msi_sink(struct fake_msi *msi)
{
    static const struct msi_ops ops = {
        .send = msi_send,
        .route_add = msi_route_add,
        .route_set = msi_route_set,
        .route_del = msi_route_del,
    };
    *msi = (struct fake_msi){0};
    pthread_mutex_init(&msi->lock, NULL);
    return (struct msi_sink){.ops = &ops, .ctx = msi};
}

unsigned fake_msi_routes(struct fake_msi *msi)
{
    unsigned used = 0;
    pthread_mutex_lock(&msi->lock);
    for (unsigned i = 0; i < FAKE_MSI_ROUTES; i++)
        used += msi->routes[i].used;
    pthread_mutex_unlock(&msi->lock);
    return used;
}

static void msi_deliver_all(struct fake_msi *msi)
{
    for (unsigned i = 0; i < msi->route_end; i++)
        msi_deliver(msi, &msi->routes[i]);
}

unsigned fake_msi_sent(struct fake_msi *msi)
{
    pthread_mutex_lock(&msi->lock);
    msi_deliver_all(msi);
    unsigned total = msi->total;
    pthread_mutex_unlock(&msi->lock);
    return total;
}

static unsigned msi_take(struct fake_msi *msi, bool all, uint32_t data)
{
    unsigned taken = 0, left = 0;
    pthread_mutex_lock(&msi->lock);
    msi_deliver_all(msi);
    if (all)
        taken = msi->count;
    else
        BUG_ON(msi->count > FAKE_MSI_SENT);
    for (unsigned i = 0; !all && i < msi->count; i++) {
        if (msi->sent[i].data == data)
            taken++;
        else
            msi->sent[left++] = msi->sent[i];
    }
    msi->count = left;
    pthread_mutex_unlock(&msi->lock);
    return taken;
}

unsigned fake_msi_take(struct fake_msi *msi, uint32_t data)
{
    return msi_take(msi, false, data);
}

unsigned fake_msi_take_all(struct fake_msi *msi)
{
    return msi_take(msi, true, 0);
}

/* ---- doorbells ---- */

static bool same_bell(const struct doorbell_addr *a, const struct doorbell_addr *b)
{
    return a->space == b->space && a->addr == b->addr && a->len == b->len &&
           a->has_match == b->has_match && a->match == b->match;
}

static int bell_find(const struct fake_doorbell *bell, const struct doorbell_addr *addr)
{
    for (unsigned i = 0; i < bell->count; i++)
        if (same_bell(&bell->addr[i], addr))
            return (int)i;
    return -ENOENT;
}

static int bell_bind(void *ctx, const struct doorbell_addr *addr, int eventfd)
{
    struct fake_doorbell *bell = ctx;
    if (bell->refuse != 0)
        return bell->refuse;
    if (bell_find(bell, addr) >= 0)
        return -EEXIST;
    BUG_ON(bell->count == FAKE_BELLS);
    bell->addr[bell->count] = *addr;
    bell->fd[bell->count++] = eventfd;
    return 0;
}

static int bell_unbind(void *ctx, const struct doorbell_addr *addr, int eventfd)
{
    struct fake_doorbell *bell = ctx;
    int at = bell_find(bell, addr);
    if (at < 0 || bell->fd[at] != eventfd)
        return -ENOENT;
    bell->count--;
    bell->addr[at] = bell->addr[bell->count];
    bell->fd[at] = bell->fd[bell->count];
    return 0;
}

struct doorbell fake_doorbell_port(struct fake_doorbell *bell)
{
    return (struct doorbell){.bind = bell_bind, .unbind = bell_unbind, .ctx = bell};
}

bool fake_doorbell_store(struct fake_doorbell *bell, uint64_t addr, unsigned len, uint64_t value)
{
    for (unsigned i = 0; i < bell->count; i++) {
        const struct doorbell_addr *a = &bell->addr[i];
        if (a->addr == addr && (a->len == 0 || a->len == len) &&
            (!a->has_match || a->match == value))
            return eventfd_write(bell->fd[i], 1) == 0;
    }
    return false;
}

/* ---- time and randomness ---- */

static uint64_t clock_now(void *ctx)
{
    return ((const struct fake_clock *)ctx)->now_ns;
}

static uint64_t clock_wall(void *ctx)
{
    return clock_now(ctx) + ((const struct fake_clock *)ctx)->wall_ahead_ns;
}

struct clock fake_clock_port(struct fake_clock *clock)
{
    return (struct clock){.now_ns = clock_now, .wall_ns = clock_wall, .ctx = clock};
}

uint8_t fake_entropy_byte(uint64_t n)
{
    return (uint8_t)((n * UINT64_C(0x9e3779b97f4a7c15)) >> 56) | 1; /* never 0 */
}

static int entropy_fill(void *ctx, void *dst, size_t len)
{
    struct fake_entropy *entropy = ctx;
    if (entropy->fail != 0)
        return entropy->fail;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)dst)[i] = fake_entropy_byte(entropy->given++);
    return 0;
}

struct entropy fake_entropy_port(struct fake_entropy *entropy)
{
    return (struct entropy){.fill = entropy_fill, .ctx = entropy};
}

/* ---- a disk ---- */

static void blk_move(struct fake_blk *blk, const struct blk_req *req)
{
    uint8_t *at = blk->bytes + req->offset_bytes;
    for (unsigned i = 0; i < req->iov_count; i++) {
        const struct iovec *v = &req->iov[i];
        if (req->op == BLK_READ)
            memcpy(v->iov_base, at, v->iov_len);
        else
            memcpy(at, v->iov_base, v->iov_len);
        at += v->iov_len;
    }
    BUG_ON(at != blk->bytes + req->offset_bytes + req->bytes);
}

static void blk_do(struct fake_blk *blk, const struct blk_req *req)
{
    switch (req->op) {
    case BLK_READ:
    case BLK_WRITE:
        blk_move(blk, req);
        break;
    case BLK_DISCARD:
        memset(blk->bytes + req->offset_bytes, FAKE_BLK_DISCARDED, req->bytes);
        break;
    case BLK_ZERO:
        memset(blk->bytes + req->offset_bytes, 0, req->bytes);
        break;
    default:
        break;
    }
}

static struct blk_req *blk_take(struct fake_blk *blk)
{
    struct blk_req *req = STAILQ_FIRST(&blk->queue);
    if (req != NULL)
        STAILQ_REMOVE_HEAD(&blk->queue, link);
    blk->out -= req != NULL;
    return req;
}

static void blk_complete_all(void *ctx)
{
    struct fake_blk *blk = ctx;
    struct blk_req *req;
    while ((req = blk_take(blk)) != NULL) {
        if (!range_within(req->offset_bytes, req->bytes, 0, blk->backend.info.capacity_bytes))
            req->result = -EIO; /* the disk has shrunk meanwhile */
        if (req->result == 0)
            blk_do(blk, req);
        req->done(req, req->result);
    }
}

static void blk_submit(struct blk_backend *b, struct blk_req *req)
{
    struct fake_blk *blk = container_of(b, struct fake_blk, backend);
    BUG_ON(!range_within(req->offset_bytes, req->bytes, 0, b->info.capacity_bytes));
    BUG_ON(req->op != BLK_READ && req->op != BLK_WRITE && req->iov_count != 0);
    req->result = blk->submitted >= blk->fail_from ? blk->fail : 0;
    blk->submitted++;
    blk->flushes += req->op == BLK_FLUSH;
    blk->discards += req->op == BLK_DISCARD;
    blk->zeroes += req->op == BLK_ZERO;
    blk->unmaps += req->op == BLK_ZERO && req->may_unmap;
    blk->out++;
    STAILQ_INSERT_TAIL(&blk->queue, req, link);
    if (!blk->hold)
        evloop_defer(blk->loop, &blk->complete);
}

static void blk_drain(struct blk_backend *b)
{
    struct fake_blk *blk = container_of(b, struct fake_blk, backend);
    struct blk_req *req;
    while (blk->drop && (req = blk_take(blk)) != NULL) {
        blk->dropped++;
        req->done(req, -ECANCELED);
    }
    blk_complete_all(blk);
    evloop_defer_cancel(blk->loop, &blk->complete);
}

static void blk_destroy(struct blk_backend *b)
{
    (void)b; /* fake_blk_fini() */
}

static const struct blk_backend_ops blk_ops = {
    .submit = blk_submit,
    .drain = blk_drain,
    .destroy = blk_destroy,
};

void fake_blk_init(struct fake_blk *blk, struct evloop *loop, uint64_t capacity_bytes)
{
    *blk = (struct fake_blk){
        .backend = {.ops = &blk_ops,
                    .info = {.capacity_bytes = capacity_bytes,
                             .can_discard = true,
                             .can_zero = true,
                             .physical_bytes = 4096,
                             .optimal_bytes = 65536,
                             .discard_bytes = 8192}},
        .loop = loop,
        .bytes = calloc(1, capacity_bytes),
        .complete = {.cb = blk_complete_all, .ctx = blk},
    };
    BUG_ON(blk->bytes == NULL);
    STAILQ_INIT(&blk->queue);
}

void fake_blk_fini(struct fake_blk *blk)
{
    free(blk->bytes);
    blk->bytes = NULL;
}

void fake_blk_release(struct fake_blk *blk)
{
    blk->hold = false;
    evloop_defer(blk->loop, &blk->complete);
}

void fake_blk_resize(struct fake_blk *blk, uint64_t capacity_bytes)
{
    uint64_t old = blk->backend.info.capacity_bytes;
    blk->bytes = realloc(blk->bytes, capacity_bytes);
    BUG_ON(blk->bytes == NULL);
    if (capacity_bytes > old)
        memset(blk->bytes + old, 0, capacity_bytes - old);
    blk->backend.info.capacity_bytes = capacity_bytes;
    if (blk->backend.handler.on_resize != NULL)
        blk->backend.handler.on_resize(blk->backend.handler.ctx);
}

/* ---- a terminal ---- */

static size_t chr_write(struct chr_backend *b, const uint8_t *data, size_t len)
{
    struct fake_chr *chr = container_of(b, struct fake_chr, backend);
    size_t taken = min_u64(len, chr->room);
    for (size_t i = 0; i < taken; i++, chr->out_bytes++)
        if (chr->out_bytes < FAKE_CHR_OUT)
            chr->out[chr->out_bytes] = data[i];
    chr->room -= taken;
    chr->writes++;
    return taken;
}

static void chr_rx_enable(struct chr_backend *b, size_t max)
{
    container_of(b, struct fake_chr, backend)->rx_max = max;
}

static void chr_nothing(struct chr_backend *b)
{
    (void)b;
}

static const struct chr_backend_ops chr_ops = {
    .write = chr_write,
    .rx_enable = chr_rx_enable,
    .flush = chr_nothing,
    .destroy = chr_nothing,
};

void fake_chr_init(struct fake_chr *chr, uint16_t columns, uint16_t rows)
{
    *chr = (struct fake_chr){
        .backend = {.ops = &chr_ops, .columns = columns, .rows = rows},
        .room = SIZE_MAX,
    };
}

void fake_chr_open(struct fake_chr *chr, size_t bytes)
{
    chr->room += bytes;
    if (chr->backend.handler != NULL)
        chr->backend.handler->on_writable(chr->backend.handler->ctx);
}

static void set_away(struct fake_chr *chr, bool is_away)
{
    chr->backend.is_away = is_away;
    if (chr->backend.handler != NULL)
        chr->backend.handler->on_away(chr->backend.handler->ctx, is_away);
}

void fake_chr_leave(struct fake_chr *chr)
{
    set_away(chr, true);
}

void fake_chr_come(struct fake_chr *chr)
{
    set_away(chr, false);
}

size_t fake_chr_type(struct fake_chr *chr, const void *data, size_t len)
{
    const struct chr_handler *h = chr->backend.handler;
    size_t given = 0;
    while (given < len && chr->rx_max > 0) {
        size_t n = min_u64(len - given, chr->rx_max);
        h->on_rx(h->ctx, (const uint8_t *)data + given, n);
        given += n;
    }
    return given;
}
