// SPDX-License-Identifier: BSD-2-Clause
/* What the parts of tapes share: tape.c records and opens, tape_play.c replays what tape_types.c
 * lets pass. */
#ifndef MINIVET_CORE_TAPE_IMPL_H
#define MINIVET_CORE_TAPE_IMPL_H

#include <stddef.h>

#include "core/tape/tape.h"

/*
 * A record in the file: its head, its bytes, then a and b without their leading zeroes. The head is
 * little-endian, as the host is: bits 0 type, 8 source, 16 queue, 32 len, 56 how many bytes a has,
 * 60 how many b has.
 */
#define HEAD_BYTES  ((uint32_t)sizeof(uint64_t))
#define REC_MAX     (TAPE_BYTES_MAX + 32)
#define MAGIC_BYTES 16u

static inline bool tape_is_input(const struct tape_rec *rec)
{
    return rec->type >= TAPE_READ && rec->type < TAPE_POP;
}

struct tape {
    char *path;
    const struct gmem *gmem;
    struct tape_source sources[TAPE_SOURCES_MAX];
    unsigned source_count;
    bool replay;
    bool over; /* nothing is recorded or compared any more */
    uint64_t now_ns;
    uint8_t *buffer; /* what is to be written, and behind it the room */
    int fd;
    uint32_t filled;

    /* Recording. */
    const struct clock *clock;
    uint64_t start_ns;

    /* Replaying. */
    FILE *in;
    size_t left;        /* bytes of the file that were not read */
    size_t at, next_at; /* of the next record; if next_at > at: the end of `next` */
    struct tape_rec first, taken, next;
    uint8_t *taken_bytes, *next_bytes, *args; /* theirs, and the first record's */
    size_t taken_at;                          /* where it begins */
    uint64_t number;                          /* of records that were taken */
    struct tape_rec input;
    bool differs, damaged, shows_all, forgives;
    FILE *out;
};

static inline uint8_t *tape_room_of(const struct tape *t)
{
    return t->buffer + t->filled + HEAD_BYTES;
}

/* Reads on; false: the file ends before. */
bool tape_read(struct tape *t, void *to, size_t bytes);

/* What of a record cannot be. */
struct tape_fault {
    const char *what; /* NULL: all of it can */
    uint64_t value;
};

/* A record by itself, but for its source. now_ns: no time is before. */
struct tape_fault tape_check(const struct tape_rec *rec, uint64_t now_ns);
/* An input: has its source such, and such a queue? */
struct tape_fault tape_check_source(const struct tape *t, const struct tape_rec *rec);

#endif
