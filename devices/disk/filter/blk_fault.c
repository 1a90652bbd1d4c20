// SPDX-License-Identifier: BSD-2-Clause
#include "devices/disk/filter/blk_fault.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "devices/disk/filter/blk_filter.h"

#define CUT_IOV 16 /* vectors that a cut request moves at most */

enum fault { FAULT_NONE, FAULT_EIO, FAULT_ENOSPC, FAULT_CUT };

struct blk_fault {
    struct blk_filter f;
    const struct clock *clock;
    struct blk_fault_spec spec;
    struct fault_cause eio, enospc, cut;
    uint64_t requests;
    uint64_t random;

    /* A cut request's first part; while it is out, others that are cut move nothing. */
    struct blk_req part;
    struct blk_req *part_of;
    struct iovec part_iov[CUT_IOV];
};

static struct blk_fault *fault_of(struct blk_backend *b)
{
    return container_of(b, struct blk_fault, f.b);
}

/* ---- whether ---- */

/* Rolls the dice also for requests that are safe so far: `at` does not change what comes later. */
static enum fault choose(struct blk_fault *t, const struct blk_req *req)
{
    bool eio = fault_happens(&t->eio, &t->random);
    bool enospc =
        (req->op == BLK_WRITE || req->op == BLK_ZERO) && fault_happens(&t->enospc, &t->random);
    bool cut = (req->op == BLK_READ || req->op == BLK_WRITE) && fault_happens(&t->cut, &t->random);
    if (++t->requests < t->spec.at)
        return FAULT_NONE;
    if (eio)
        return FAULT_EIO;
    if (enospc)
        return FAULT_ENOSPC;
    return cut ? FAULT_CUT : FAULT_NONE;
}

/* ---- what ---- */

static void part_done(struct blk_req *part, int result)
{
    struct blk_fault *t = container_of(part, struct blk_fault, part);
    struct blk_req *req = t->part_of;
    t->part_of = NULL;
    req->done(req, result < 0 ? result : -EIO);
}

/* Half of the request, in whole blocks, as far as the vectors reach. */
static void start_cut(struct blk_fault *t, struct blk_req *req)
{
    uint32_t block = blk_logical_bytes(&t->f.b.info);
    uint64_t want = align_down(req->bytes / 2, block), have = 0;
    unsigned n = 0;
    if (t->part_of || want == 0) {
        blk_ended_add(&t->f.ended, req, -EIO);
        return;
    }
    for (; n < req->iov_count && n < CUT_IOV && have < want; n++) {
        t->part_iov[n] = req->iov[n];
        t->part_iov[n].iov_len = min_u64(req->iov[n].iov_len, want - have);
        have += t->part_iov[n].iov_len;
    }
    for (uint64_t extra = have % block; extra > 0; n--) {
        uint64_t less = min_u64(extra, t->part_iov[n - 1].iov_len);
        t->part_iov[n - 1].iov_len -= less;
        extra -= less;
        have -= less;
        if (t->part_iov[n - 1].iov_len > 0)
            break;
    }
    if (have == 0) {
        blk_ended_add(&t->f.ended, req, -EIO);
        return;
    }
    t->part_of = req;
    t->part = (struct blk_req){
        .op = req->op,
        .offset_bytes = req->offset_bytes,
        .bytes = have,
        .iov = t->part_iov,
        .iov_count = n,
        .done = part_done,
    };
    blk_filter_pass(&t->f, &t->part);
}

static void start(struct blk_fault *t, struct blk_req *req)
{
    switch (choose(t, req)) {
    case FAULT_NONE:
        blk_filter_pass(&t->f, req);
        break;
    case FAULT_EIO:
        blk_ended_add(&t->f.ended, req, -EIO);
        break;
    case FAULT_ENOSPC:
        blk_ended_add(&t->f.ended, req, -ENOSPC);
        break;
    case FAULT_CUT:
        start_cut(t, req);
        break;
    }
}

/* ---- when ---- */

static void on_timer(void *ctx)
{
    struct blk_fault *t = ctx;
    uint64_t now_ns = clock_now_ns(t->clock);
    while (!STAILQ_EMPTY(&t->f.waiting) && STAILQ_FIRST(&t->f.waiting)->due_ns <= now_ns)
        start(t, blk_list_take(&t->f.waiting));
    if (!STAILQ_EMPTY(&t->f.waiting))
        evloop_timer_set(t->f.loop, &t->f.timer, STAILQ_FIRST(&t->f.waiting)->due_ns);
}

static void blk_fault_submit(struct blk_backend *b, struct blk_req *req)
{
    struct blk_fault *t = fault_of(b);
    if (blk_filter_refuses(&t->f, req))
        return;
    if (t->spec.latency_ns == 0) {
        start(t, req);
        return;
    }
    req->due_ns = clock_now_ns(t->clock) + t->spec.latency_ns;
    STAILQ_INSERT_TAIL(&t->f.waiting, req, link);
    if (!t->f.timer.armed)
        evloop_timer_set(t->f.loop, &t->f.timer, STAILQ_FIRST(&t->f.waiting)->due_ns);
}

/* ---- life ---- */

static const struct blk_backend_ops blk_fault_ops = {
    .submit = blk_fault_submit,
    .drain = blk_filter_drain,
    .destroy = blk_filter_destroy,
};

int blk_fault_create(struct blk_backend **b, struct evloop *loop, const struct clock *clock,
                     const struct blk_fault_spec *spec)
{
    struct blk_fault *t = calloc(1, sizeof(*t));
    if (!t)
        return fail(-ENOMEM, "disk faults");
    blk_filter_init(&t->f, *b, loop, &blk_fault_ops);
    t->clock = clock;
    t->f.timer = (struct ev_timer){.cb = on_timer, .ctx = t};
    t->spec = *spec;
    t->eio.when = spec->eio;
    t->enospc.when = spec->enospc;
    t->cut.when = spec->cut;
    t->random = fault_random_init(spec->seed);
    *b = &t->f.b;
    return 0;
}

int blk_fault_parse(struct blk_fault_spec *out, const char *what, const char *words)
{
    *out = (struct blk_fault_spec){0};
    const struct fault_word table[] = {
        {"eio", FAULT_WHEN, &out->eio},   {"enospc", FAULT_WHEN, &out->enospc},
        {"short", FAULT_WHEN, &out->cut}, {"lat", FAULT_TIME, &out->latency_ns},
        {"at", FAULT_COUNT, &out->at},    {"seed", FAULT_COUNT, &out->seed},
        {NULL, FAULT_COUNT, NULL},
    };
    return fault_parse(table, what, words);
}
