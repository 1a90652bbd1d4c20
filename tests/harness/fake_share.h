// SPDX-License-Identifier: BSD-2-Clause
/*
 * What serves no directory: it answers a message of FUSE with the bytes behind its header, at most
 * FAKE_SHARE_ECHO_BYTES of them, and one that FUSE does not answer, or that is none, with nothing.
 */
#ifndef MINIVET_TESTS_HARNESS_FAKE_SHARE_H
#define MINIVET_TESTS_HARNESS_FAKE_SHARE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "core/ports/share.h"

#define FAKE_SHARE_ECHO_BYTES 65536u

struct fake_share_req;

struct fake_share {
    struct share share;
    bool hold; /* answers wait for their release; those of messages that get none do not */
    int fail;  /* a negative errno, for each answer */
    _Atomic unsigned taken, abandoned, resets;
    pthread_mutex_t lock; /* queues may be on several loops */
    TAILQ_HEAD(, fake_share_req) held;
    unsigned out; /* how many are held */
};

void fake_share_init(struct fake_share *f);
void fake_share_fini(struct fake_share *f); /* a zeroed one is allowed; no request may be out */

/* Answers all that is held, in the order in which it came; or the i-th of it alone. */
void fake_share_release(struct fake_share *f);
void fake_share_release_one(struct fake_share *f, unsigned i);

#endif
