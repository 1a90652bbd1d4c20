// SPDX-License-Identifier: BSD-2-Clause
/*
 * Backends on a tape (core/tape/tape.h). While it records each stands in front of a real one and
 * writes down what crosses; in a replay it takes that one's place (base is NULL) and answers from
 * the tape, at the times that the tape gives.
 *
 * Errors are reported. The name outlives them.
 */
#ifndef MINIVET_DEVICES_BACKEND_TAPED_H
#define MINIVET_DEVICES_BACKEND_TAPED_H

#include "core/ports/input.h"

struct blk_backend;
struct chr_backend;
struct entropy;
struct net_backend;
struct tape;

/* Each owns its base, and is destroyed through its ops. */
int blk_taped_create(struct blk_backend **out, struct tape *tape, const char *name,
                     struct blk_backend *base);
/* Its handler keeps frames. pairs: of queues, which the card has. */
int net_taped_create(struct net_backend **out, struct tape *tape, const char *name, unsigned pairs,
                     struct net_backend *base);

/* These do not own it. */
int chr_taped_create(struct chr_backend **out, struct tape *tape, const char *name,
                     struct chr_backend *base);
int entropy_taped_create(struct entropy **out, struct tape *tape, const char *name,
                         const struct entropy *base);
void entropy_taped_destroy(struct entropy *e);
int input_taped_create(struct input_backend **out, struct tape *tape, const char *name,
                       enum input_kind kind, struct input_backend *base);
void input_taped_destroy(struct input_backend *b); /* NULL is allowed */

#endif
