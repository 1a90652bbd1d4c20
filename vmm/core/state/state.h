// SPDX-License-Identifier: BSD-2-Clause
/*
 * The state of a machine's objects as a stream of named values in sections. One function for each
 * object names its values, and both saves and loads by that:
 *
 *     void bell_state(struct bell *b, struct state *s)
 *     {
 *         if (!state_begin(s, "bell", 0, 1))
 *             return;
 *         b->on = state_number(s, "on", b->on, 1);
 *         state_bytes(s, "tune", b->tune, sizeof(b->tune));
 *         state_end(s);
 *     }
 *
 * A stream need not be trusted: values are found by name, within their section, with the length
 * that is asked for, and a number is at most what its reader allows. The first thing that is wrong
 * is reported; from then on nothing is loaded, and every value stays as it is.
 *
 *     stream    "minivet state 1\n" record...
 *     record    bytes in the name (1), name, bytes in the value (4), value
 *     value     of a number 8 bytes; of a section records, the first of them its "version"
 *
 * All numbers are little-endian. A section of a later version than the reader's is refused.
 */
#ifndef MINIVET_CORE_STATE_H
#define MINIVET_CORE_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_DEPTH      8u  /* sections in sections */
#define STATE_NAME_BYTES 32u /* of a name, with its end */

struct state_section {
    char name[STATE_NAME_BYTES];
    size_t begin, end; /* its records; `end` is not known while it is being saved */
};

struct state {
    bool loads;
    int err;
    uint8_t *bytes; /* saving: the stream's, to be freed; loading: the caller's */
    size_t len, room;
    unsigned depth;
    struct state_section sections[STATE_DEPTH];
};

/* Begins a stream. state_fini() frees it. */
void state_save(struct state *s);
/* Reads one. The bytes are the caller's, and outlive s. */
void state_load(struct state *s, const void *bytes, size_t len);
void state_fini(struct state *s);

/* Several sections of one name differ in their index. False: it cannot be loaded. */
bool state_begin(struct state *s, const char *name, unsigned index, unsigned version);
void state_end(struct state *s);

/* Saving: value. Loading: what was saved, or `value` if that is more than max. */
uint64_t state_number(struct state *s, const char *name, uint64_t value, uint64_t max);
void state_bytes(struct state *s, const char *name, void *bytes, size_t len);

/* What was loaded makes no sense: reports that, the first time, with the section. */
void state_refuse(struct state *s, const char *why);

/* 0 or a negative errno: -EINVAL for a stream that makes no sense, -ENOMEM. It has been reported.
 */
static inline int state_error(const struct state *s)
{
    return s->err;
}

#endif
