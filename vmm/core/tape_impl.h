// SPDX-License-Identifier: BSD-2-Clause
/* What the two halves of tapes share: tape.c records and opens, tape_play.c replays. */
#ifndef MINIVET_CORE_TAPE_IMPL_H
#define MINIVET_CORE_TAPE_IMPL_H

#include <stddef.h>

#include "core/tape.h"

/*
 * A record in the file: its head, its bytes, then a and b without their leading zeroes. The head is
 * little-endian, as the host is: bits 0 type, 8 source, 16 queue, 32 len, 56 how many bytes a has,
 * 60 how many b has.
 */
#define HEAD_BYTES ((uint32_t)sizeof(uint64_t))
#define REC_MAX    (TAPE_BYTES_MAX + 32)

static inline bool tape_is_input(const struct tape_rec *rec)
{
    return rec->type >= TAPE_READ && rec->type < TAPE_POP;
}

struct tape_source {
    const char *name;
    void (*play)(void *ctx, const struct tape_rec *rec);
    void *ctx;
};

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
    const uint8_t *file;
    size_t file_bytes, at, next_at; /* if next_at > at: the end of `next` */
    struct tape_rec first, taken, next;
    uint64_t number; /* of records that were taken */
    struct tape_rec input;
    bool differs, shows_all;
    FILE *out;
};

static inline uint8_t *tape_room_of(const struct tape *t)
{
    return t->buffer + t->filled + HEAD_BYTES;
}

#endif
