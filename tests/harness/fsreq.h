// SPDX-License-Identifier: BSD-2-Clause
/* The guest's half of virtio-fs: messages of FUSE, for fake_share.c. */
#ifndef MINIVET_TESTS_HARNESS_FSREQ_H
#define MINIVET_TESTS_HARNESS_FSREQ_H

#include <linux/fuse.h>

#include "tests/harness/rig.h"
#include "virtio/fs/fs.h"

#define FSREQ_TAG    "files"
#define FSREQ_HEADER ((uint32_t)sizeof(struct fuse_in_header))
#define FSREQ_ANSWER ((uint32_t)sizeof(struct fuse_out_header))
#define FSREQ_NONE   0xeeu /* what an answer's place has before */

struct fsreq {
    unsigned queue;
    uint32_t opcode; /* 0: FUSE_LOOKUP, which is answered */
    uint64_t unique;
    uint32_t bytes; /* behind the header: `unique`'s lowest byte, so often */
    uint32_t room;  /* for the answer */

    int head; /* from fsreq_send() on */
    uint64_t answer_gpa;
};

/* With all queues of that size. */
void fsreq_start(struct rig *rig, uint32_t size);

/* Publishes it; the loop does not run. */
void fsreq_send(struct rig *rig, struct fsreq *r);

/* Takes the next answer of its queue, which has to be r's: as the fake gives it. */
bool fsreq_is_answered(struct rig *rig, const struct fsreq *r);
/* Likewise, but nothing was written. */
bool fsreq_is_returned(struct rig *rig, const struct fsreq *r);

/* Sends one that is answered, and waits for that. */
bool fsreq_serves(struct rig *rig, unsigned queue);

#endif
