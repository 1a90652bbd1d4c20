// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/fusereq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

static struct fuse_client *clients[4];

static void on_done(struct share_req *req)
{
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
        if (clients[i] != NULL && clients[i]->req == req)
            clients[i]->is_done = true;
}

/* The answer's header, right before what follows it. */
static uint8_t *head_of(const struct fuse_client *c)
{
    return c->out - sizeof(struct fuse_out_header);
}

void fuse_client_open(struct fuse_client *c, struct share *share, struct evloop *loop)
{
    *c = (struct fuse_client){.share = share, .loop = loop, .room = FUSE_CLIENT_BYTES};
    c->req = calloc(1, share->req_bytes);
    c->in = malloc(FUSE_CLIENT_BYTES);
    c->out = malloc(sizeof(struct fuse_out_header) + FUSE_CLIENT_BYTES);
    BUG_ON(c->req == NULL || c->in == NULL || c->out == NULL);
    c->out += sizeof(struct fuse_out_header);
    size_t i = 0;
    while (clients[i] != NULL)
        BUG_ON(++i == ARRAY_SIZE(clients));
    clients[i] = c;
}

void fuse_client_close(struct fuse_client *c)
{
    for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
        if (clients[i] == c)
            clients[i] = NULL;
    free(c->req);
    free(c->in);
    free(head_of(c));
}

static void send(struct fuse_client *c, size_t bytes)
{
    const size_t head = sizeof(struct fuse_in_header), out_head = sizeof(struct fuse_out_header);
    size_t first = bytes < head ? bytes : head;
    /* As Linux does: headers have buffers of their own. */
    c->iov[0][0] = (struct iovec){c->in, first};
    c->iov[0][1] = (struct iovec){c->in + first, bytes - first};
    c->iov[1][0] = (struct iovec){head_of(c), out_head};
    c->iov[1][1] = (struct iovec){c->out, c->room};
    c->req->rd = iobuf_init(c->iov[0], 2);
    c->req->wr = iobuf_init(c->iov[1], 2);
    if (c->whole) {
        c->iov[0][0].iov_len = bytes;
        c->iov[1][0].iov_len = out_head + c->room;
        c->req->rd = iobuf_init(c->iov[0], 1);
        c->req->wr = iobuf_init(c->iov[1], 1);
    }
    c->req->loop = c->loop;
    c->req->done = on_done;
    c->is_done = false;
    c->share->ops->submit(c->share, c->req);
}

int fuse_answer(struct fuse_client *c)
{
    struct fuse_out_header head;
    for (evloop_drain(c->loop); !c->is_done; evloop_drain(c->loop))
        usleep(100); /* until a timer is due */
    c->is_silent = c->req->wr.done == 0;
    c->out_bytes = 0;
    if (c->is_silent)
        return 0;
    memcpy(&head, head_of(c), sizeof(head));
    BUG_ON(head.len != c->req->wr.done || head.error > 0 || head.error <= -4096);
    c->out_bytes = head.len - sizeof(head);
    return head.error;
}

bool fuse_raw(struct fuse_client *c, const void *message, size_t bytes)
{
    memcpy(c->in, message, bytes);
    send(c, bytes);
    (void)fuse_answer(c);
    return !c->is_silent;
}

void fuse_send(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *arg, size_t bytes,
               const void *more, size_t more_bytes)
{
    const struct fuse_in_header head = {
        .len = (uint32_t)(sizeof(head) + bytes + more_bytes),
        .opcode = opcode,
        .unique = c->unique += 2,
        .nodeid = node,
        .uid = c->uid,
        .gid = c->gid,
        .pid = 1,
    };
    BUG_ON(head.len > FUSE_CLIENT_BYTES);
    memcpy(c->in, &head, sizeof(head));
    memcpy(c->in + sizeof(head), arg, bytes);
    memcpy(c->in + sizeof(head) + bytes, more, more_bytes);
    send(c, head.len);
}

int fuse_call(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *arg, size_t bytes,
              const void *more, size_t more_bytes)
{
    fuse_send(c, opcode, node, arg, bytes, more, more_bytes);
    int err = fuse_answer(c);
    struct fuse_out_header head;
    memcpy(&head, head_of(c), sizeof(head));
    BUG_ON(!c->is_silent && head.unique != c->unique);
    return err;
}

int fuse_client_init(struct fuse_client *c)
{
    const struct fuse_init_in in = {.major = FUSE_KERNEL_VERSION,
                                    .minor = FUSE_KERNEL_MINOR_VERSION,
                                    .max_readahead = 128 << 10,
                                    .flags = UINT32_MAX,
                                    .flags2 = UINT32_MAX};
    return fuse_call(c, FUSE_INIT, 0, &in, sizeof(in), "", 0);
}

/* ---- single messages ---- */

static uint64_t entry_node(const struct fuse_client *c)
{
    struct fuse_entry_out out;
    memcpy(&out, c->out, sizeof(out));
    return out.nodeid;
}

static uint64_t node_of(struct fuse_client *c, int r, int *err)
{
    uint64_t node = r == 0 ? entry_node(c) : 0;
    if (err != NULL)
        *err = r == 0 && node == 0 ? -ENOENT : r;
    return node;
}

uint64_t fuse_lookup(struct fuse_client *c, uint64_t dir, const char *name, int *err)
{
    return node_of(c, fuse_call(c, FUSE_LOOKUP, dir, name, strlen(name) + 1, "", 0), err);
}

uint64_t fuse_mkdir(struct fuse_client *c, uint64_t dir, const char *name)
{
    const struct fuse_mkdir_in in = {.mode = 0755};
    int err = fuse_call(c, FUSE_MKDIR, dir, &in, sizeof(in), name, strlen(name) + 1);
    return node_of(c, err, NULL);
}

uint64_t fuse_create(struct fuse_client *c, uint64_t dir, const char *name, uint32_t flags,
                     uint32_t mode, uint64_t *fh, int *err)
{
    const struct fuse_create_in in = {.flags = flags, .mode = mode};
    struct fuse_open_out open;
    int r = fuse_call(c, FUSE_CREATE, dir, &in, sizeof(in), name, strlen(name) + 1);
    if (r == 0) {
        memcpy(&open, c->out + sizeof(struct fuse_entry_out), sizeof(open));
        *fh = open.fh;
    }
    return node_of(c, r, err);
}

int fuse_open(struct fuse_client *c, uint64_t node, uint32_t flags, uint64_t *fh)
{
    const struct fuse_open_in in = {.flags = flags};
    struct fuse_open_out out;
    int err = fuse_call(c, FUSE_OPEN, node, &in, sizeof(in), "", 0);
    if (err == 0) {
        memcpy(&out, c->out, sizeof(out));
        *fh = out.fh;
    }
    return err;
}

int64_t fuse_read(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t offset, void *into,
                  uint32_t bytes)
{
    const struct fuse_read_in in = {.fh = fh, .offset = offset, .size = bytes};
    int err = fuse_call(c, FUSE_READ, node, &in, sizeof(in), "", 0);
    if (err != 0)
        return err;
    memcpy(into, c->out, c->out_bytes);
    return (int64_t)c->out_bytes;
}

int64_t fuse_write(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t offset,
                   const void *from, uint32_t bytes)
{
    const struct fuse_write_in in = {.fh = fh, .offset = offset, .size = bytes};
    struct fuse_write_out out;
    int err = fuse_call(c, FUSE_WRITE, node, &in, sizeof(in), from, bytes);
    if (err != 0)
        return err;
    memcpy(&out, c->out, sizeof(out));
    return out.size;
}

int fuse_release(struct fuse_client *c, uint64_t node, uint64_t fh)
{
    const struct fuse_release_in in = {.fh = fh};
    return fuse_call(c, FUSE_RELEASE, node, &in, sizeof(in), "", 0);
}

void fuse_forget(struct fuse_client *c, uint64_t node, uint64_t lookups)
{
    const struct fuse_forget_in in = {.nlookup = lookups};
    (void)fuse_call(c, FUSE_FORGET, node, &in, sizeof(in), "", 0);
}

int fuse_getattr(struct fuse_client *c, uint64_t node, struct fuse_attr *out)
{
    const struct fuse_getattr_in in = {0};
    struct fuse_attr_out answer;
    int err = fuse_call(c, FUSE_GETATTR, node, &in, sizeof(in), "", 0);
    if (err != 0)
        return err;
    memcpy(&answer, c->out, sizeof(answer));
    *out = answer.attr;
    return 0;
}
