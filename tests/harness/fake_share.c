// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/fake_share.h"

#include <endian.h>
#include <linux/fuse.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"

#define USED_BEFORE 0x5ca1ab1eu

struct fake_share_req {
    struct share_req req;
    uint32_t mark; /* 0, or USED_BEFORE from an earlier request on */
    bool is_held;
    TAILQ_ENTRY(fake_share_req) next;
};

static struct fake_share *fake_of(struct share *s)
{
    return container_of(s, struct fake_share, share);
}

static struct fake_share_req *request_of(struct share_req *req)
{
    return container_of(req, struct fake_share_req, req);
}

static bool wants_answer(uint32_t opcode)
{
    return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

static void echo(struct share_req *req, uint64_t bytes)
{
    uint8_t chunk[4096];
    while (bytes > 0) {
        size_t len = (size_t)min_u64(bytes, sizeof(chunk));
        iobuf_put(&req->wr, chunk, iobuf_get(&req->rd, chunk, len));
        bytes -= len;
    }
}

static void answer(struct fake_share *f, struct share_req *req, const struct fuse_in_header *in)
{
    uint64_t room = req->wr.left - sizeof(struct fuse_out_header);
    uint64_t bytes = min_u64(min_u64(req->rd.left, room), FAKE_SHARE_ECHO_BYTES);
    if (f->fail != 0)
        bytes = 0;
    struct fuse_out_header out = {.len = htole32((uint32_t)(sizeof(out) + bytes)),
                                  .error = (int32_t)htole32((uint32_t)f->fail),
                                  .unique = in->unique};
    iobuf_put(&req->wr, &out, sizeof(out));
    echo(req, bytes);
}

/* Is it a message that gets an answer? */
static bool read_header(struct iobuf *rd, struct fuse_in_header *in)
{
    return iobuf_get(rd, in, sizeof(*in)) == sizeof(*in) && wants_answer(le32toh(in->opcode));
}

static void finish(struct fake_share *f, struct share_req *req)
{
    struct fuse_in_header in;
    if (read_header(&req->rd, &in) && req->wr.left >= sizeof(struct fuse_out_header))
        answer(f, req, &in);
    req->done(req);
}

static void submit(struct share *s, struct share_req *req)
{
    struct fake_share *f = fake_of(s);
    struct fake_share_req *r = request_of(req);
    struct iobuf rd = req->rd;
    struct fuse_in_header in;
    BUG_ON(req->rd.done != 0 || req->wr.done != 0 || req->loop == NULL);
    BUG_ON((r->mark != 0 && r->mark != USED_BEFORE) || r->is_held);
    r->mark = USED_BEFORE;
    f->taken++;
    if (!f->hold || !read_header(&rd, &in)) {
        finish(f, req);
        return;
    }
    r->is_held = true;
    pthread_mutex_lock(&f->lock);
    TAILQ_INSERT_TAIL(&f->held, r, next);
    f->out++;
    pthread_mutex_unlock(&f->lock);
}

static void let_go(struct fake_share *f, struct fake_share_req *r)
{
    BUG_ON(!r->is_held);
    r->is_held = false;
    pthread_mutex_lock(&f->lock);
    TAILQ_REMOVE(&f->held, r, next);
    f->out--;
    pthread_mutex_unlock(&f->lock);
}

static void abandon(struct share *s, struct share_req *req)
{
    struct fake_share *f = fake_of(s);
    let_go(f, request_of(req));
    f->abandoned++;
}

static void reset(struct share *s)
{
    struct fake_share *f = fake_of(s);
    BUG_ON(f->out != 0);
    f->resets++;
}

static void describe(struct share *s, struct facts *f)
{
    facts_number(f, "taken", fake_of(s)->taken);
}

static void destroy(struct share *s)
{
    fake_share_fini(fake_of(s));
}

static const struct share_ops ops = {
    .submit = submit,
    .abandon = abandon,
    .reset = reset,
    .describe = describe,
    .destroy = destroy,
};

void fake_share_init(struct fake_share *f)
{
    *f = (struct fake_share){.share = {&ops, sizeof(struct fake_share_req)}};
    pthread_mutex_init(&f->lock, NULL);
    TAILQ_INIT(&f->held);
}

void fake_share_fini(struct fake_share *f)
{
    BUG_ON(f->out != 0);
}

void fake_share_release_one(struct fake_share *f, unsigned i)
{
    struct fake_share_req *r = TAILQ_FIRST(&f->held);
    while (i-- > 0)
        r = TAILQ_NEXT(r, next);
    let_go(f, r);
    finish(f, &r->req);
}

void fake_share_release(struct fake_share *f)
{
    f->hold = false;
    while (f->out > 0)
        fake_share_release_one(f, 0);
}
