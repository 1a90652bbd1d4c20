// SPDX-License-Identifier: BSD-2-Clause
/*
 * A FUSE client for tests of a share: sends messages through the share port, from memory that it
 * owns, and waits for each answer. It is the guest's kernel without a cache.
 */
#ifndef MINIVET_TESTS_FUSEREQ_H
#define MINIVET_TESTS_FUSEREQ_H

#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/ports/share.h"

#define FUSE_CLIENT_BYTES (2u << 20)

struct fuse_client {
    struct share *share;
    struct evloop *loop;
    uint64_t unique;
    uint32_t uid, gid; /* of the process that asks */
    struct share_req *req;
    struct iovec iov[2][2];
    bool whole; /* each message is one buffer, and so is the room for the answer */
    bool is_done;
    bool is_silent; /* there was no answer, not even a header */
    uint8_t *in;
    uint8_t *out; /* the answer behind its header */
    size_t out_bytes;
    uint32_t room; /* what the next messages leave for that */
};

void fuse_client_open(struct fuse_client *c, struct share *share, struct evloop *loop);
void fuse_client_close(struct fuse_client *c);
/* INIT with all flags of a new kernel; returns the answer's error. */
int fuse_client_init(struct fuse_client *c);

/* A message of two parts, either of which may have no bytes. The answer's error: 0 or negative. */
int fuse_call(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *arg, size_t bytes,
              const void *more, size_t more_bytes);
/* The same in two steps, for a message that is abandoned. */
void fuse_send(struct fuse_client *c, uint32_t opcode, uint64_t node, const void *arg, size_t bytes,
               const void *more, size_t more_bytes);
int fuse_answer(struct fuse_client *c);
/* Any bytes as a message. False: it was not answered. */
bool fuse_raw(struct fuse_client *c, const void *message, size_t bytes);

/* Node 0: *err (which may be NULL) says why not. */
uint64_t fuse_lookup(struct fuse_client *c, uint64_t dir, const char *name, int *err);
uint64_t fuse_mkdir(struct fuse_client *c, uint64_t dir, const char *name);
/* Creates and opens; the handle is in *fh. */
uint64_t fuse_create(struct fuse_client *c, uint64_t dir, const char *name, uint32_t flags,
                     uint32_t mode, uint64_t *fh, int *err);
int fuse_open(struct fuse_client *c, uint64_t node, uint32_t flags, uint64_t *fh);
/* Bytes, or a negative errno. */
int64_t fuse_read(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t offset, void *into,
                  uint32_t bytes);
int64_t fuse_write(struct fuse_client *c, uint64_t node, uint64_t fh, uint64_t offset,
                   const void *from, uint32_t bytes);
int fuse_release(struct fuse_client *c, uint64_t node, uint64_t fh);
void fuse_forget(struct fuse_client *c, uint64_t node, uint64_t lookups);
int fuse_getattr(struct fuse_client *c, uint64_t node, struct fuse_attr *out);

#endif
