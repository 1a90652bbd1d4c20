// SPDX-License-Identifier: BSD-2-Clause
/* Packets to the host are on the tape already, in chains. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/iobuf.h"
#include "core/ports/net.h"
#include "core/tape/tape.h"
#include "devices/backend/taped.h"

#define KEEP_SENT ((struct tape_keep){32, 16})
/* Filters and hashes look at headers. */
#define KEEP_RECEIVED ((struct tape_keep){1024, 256})

#define MTU_MAX 65535u

struct net_taped {
    struct net_backend b;
    struct net_backend *base; /* NULL: a replay */
    struct tape *tape;
    unsigned source;
    unsigned pairs; /* of the card's queues */
};

static struct net_taped *taped_of(struct net_backend *b)
{
    return container_of(b, struct net_taped, b);
}

static struct tape_rec record(const struct net_taped *n, enum tape_type type, unsigned pair)
{
    return tape_rec(type, n->source, pair);
}

/* ---- what the device calls ---- */

static int taped_send(struct net_backend *b, unsigned pair, const struct iovec *iov, unsigned count)
{
    struct net_taped *n = taped_of(b);
    struct tape_rec rec = record(n, TAPE_SEND, pair);
    int result = n->base != NULL ? n->base->ops->send(n->base, pair, iov, count) : 0;
    rec.a = iobuf_init(iov, count).left;
    rec.b = (uint64_t)result;
    rec.len = tape_kept(rec.a, KEEP_SENT);
    tape_gather(tape_room(n->tape, rec.len), iov, count, rec.a, KEEP_SENT);
    const struct tape_rec *was = tape_exchange(n->tape, &rec, true);
    return was != NULL ? (int)was->b : 0;
}

static void taped_flush(struct net_backend *b, unsigned pair)
{
    struct net_backend *base = taped_of(b)->base;
    if (base != NULL && base->ops->flush != NULL)
        base->ops->flush(base, pair);
}

/* What a replay's record says, into the vectors. */
static ssize_t replay_receive(const struct net_taped *n, const struct tape_rec *was,
                              const struct iovec *iov, unsigned count, uint64_t room)
{
    ssize_t result = (ssize_t)was->b;
    if (result > 0 && was->b > room)
        return tape_bad(n->tape, "result", was->b);
    if (was->len != (result > 0 ? tape_kept(was->b, KEEP_RECEIVED) : 0))
        return tape_bad(n->tape, "number of bytes", was->len);
    if (result > 0)
        tape_scatter(was->bytes, iov, count, was->b, KEEP_RECEIVED);
    return result;
}

static ssize_t taped_receive(struct net_backend *b, unsigned pair, const struct iovec *iov,
                             unsigned count)
{
    struct net_taped *n = taped_of(b);
    struct tape_rec rec = record(n, TAPE_RECEIVE, pair);
    ssize_t got = n->base != NULL ? n->base->ops->receive(n->base, pair, iov, count) : 0;
    rec.a = iobuf_init(iov, count).left;
    rec.b = (uint64_t)got;
    if (got > 0) {
        rec.len = tape_kept((uint64_t)got, KEEP_RECEIVED);
        tape_gather(tape_room(n->tape, rec.len), iov, count, (uint64_t)got, KEEP_RECEIVED);
    }
    const struct tape_rec *was = tape_exchange(n->tape, &rec, false);
    if (was == NULL)
        return -EAGAIN;
    return n->base != NULL ? got : replay_receive(n, was, iov, count, rec.a);
}

static void taped_set_offloads(struct net_backend *b, unsigned to_guest)
{
    struct net_taped *n = taped_of(b);
    struct tape_rec rec = record(n, TAPE_OFFLOADS, 0);
    rec.a = to_guest;
    tape_say(n->tape, &rec);
    if (n->base != NULL)
        n->base->ops->set_offloads(n->base, to_guest);
}

static int taped_set_pairs(struct net_backend *b, unsigned pairs)
{
    struct net_taped *n = taped_of(b);
    struct tape_rec rec = record(n, TAPE_PAIRS, 0);
    rec.a = pairs;
    if (n->base != NULL && n->base->ops->set_pairs != NULL)
        rec.b = (uint64_t)n->base->ops->set_pairs(n->base, pairs);
    const struct tape_rec *was = tape_exchange(n->tape, &rec, true);
    return was != NULL ? (int)was->b : 0;
}

/* ---- what the device is told ---- */

static void play(void *ctx, const struct tape_rec *rec)
{
    struct net_taped *n = ctx;
    if (rec->type == TAPE_RX)
        net_tell_rx(&n->b, rec->queue);
    else if (rec->type == TAPE_WRITABLE)
        net_tell_writable(&n->b, rec->queue);
    else if (rec->type == TAPE_LINK)
        net_set_link(&n->b, rec->a != 0);
}

static void note_and_play(struct net_taped *n, enum tape_type type, unsigned pair, uint64_t a)
{
    struct tape_rec rec = record(n, type, pair);
    rec.a = a;
    tape_note(n->tape, &rec);
    play(n, &rec);
}

static void base_rx(void *ctx, unsigned pair)
{
    note_and_play(ctx, TAPE_RX, pair, 0);
}

static void base_writable(void *ctx, unsigned pair)
{
    note_and_play(ctx, TAPE_WRITABLE, pair, 0);
}

static void base_link(void *ctx)
{
    struct net_taped *n = ctx;
    note_and_play(n, TAPE_LINK, 0, n->base->info.link_up);
}

/* ---- life ---- */

static void taped_destroy(struct net_backend *b)
{
    struct net_taped *n = taped_of(b);
    if (n->base != NULL)
        n->base->ops->destroy(n->base);
    free(n);
}

static const struct net_backend_ops taped_ops = {
    .send = taped_send,
    .flush = taped_flush,
    .receive = taped_receive,
    .set_offloads = taped_set_offloads,
    .set_pairs = taped_set_pairs,
    .destroy = taped_destroy,
};

/* A tape may have been tampered with: checked are what no bool may be, and all numbers. */
static int take_info(struct net_taped *n, const struct tape_rec *was)
{
    struct tape *t = n->tape;
    struct net_info *info = &n->b.info;
    const unsigned offloads = NET_CSUM | NET_TSO4 | NET_TSO6 | NET_ECN | NET_UFO | NET_USO;
    if (was->len != sizeof(*info))
        return tape_bad(t, "number of bytes", was->len);
    if (was->bytes[offsetof(struct net_info, link_up)] > 1)
        return tape_bad(t, "yes or no", was->bytes[offsetof(struct net_info, link_up)]);
    memcpy(info, was->bytes, sizeof(*info));
    if (((info->to_host | info->to_guest) & ~offloads) != 0)
        return tape_bad(t, "offloads", info->to_host | info->to_guest);
    if (info->pairs == 0 || info->pairs > n->pairs)
        return tape_bad(t, "number of queue pairs", info->pairs);
    return info->mtu_bytes <= MTU_MAX ? 0 : tape_bad(t, "MTU", info->mtu_bytes);
}

static int describe(struct net_taped *n)
{
    struct tape_rec rec = record(n, TAPE_INFO, 0);
    if (n->base != NULL) {
        n->b.info = n->base->info;
        n->base->handler = (struct net_handler){.on_rx = base_rx,
                                                .on_writable = base_writable,
                                                .on_link = base_link,
                                                .ctx = n,
                                                .keeps = true};
    }
    rec.len = sizeof(n->b.info);
    memcpy(tape_room(n->tape, rec.len), &n->b.info, sizeof(n->b.info));
    const struct tape_rec *was = tape_info(n->tape, &rec);
    if (was == NULL)
        return -EINVAL;
    return n->base != NULL ? 0 : take_info(n, was);
}

int net_taped_create(struct net_backend **out, struct tape *tape, const char *name, unsigned pairs,
                     struct net_backend *base)
{
    struct net_taped *n = calloc(1, sizeof(*n));
    if (n == NULL)
        return fail(-ENOMEM, "--net %s: tape", name);
    n->b.ops = &taped_ops;
    n->base = base;
    n->tape = tape;
    n->pairs = pairs;
    n->source = tape_add_source(
        tape, &(struct tape_source){
                  .name = name, .kind = TAPE_WIRE, .queues = pairs, .play = play, .ctx = n});
    int err = describe(n);
    if (err != 0) {
        free(n);
        return err;
    }
    *out = &n->b;
    return 0;
}
