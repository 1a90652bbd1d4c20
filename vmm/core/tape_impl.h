// SPDX-License-Identifier: BSD-2-Clause
/* What the two halves of tapes share: tape.c records and opens, tape_play.c replays. */
#ifndef MINIVET_CORE_TAPE_IMPL_H
#define MINIVET_CORE_TAPE_IMPL_H

#include <stddef.h>

#include "core/tape.h"

#define REC_BYTES ((uint32_t)sizeof(struct tape_rec))

_Static_assert(sizeof(struct tape_rec) == 24, "the file's records");

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

    /* Recording: the writer's piece takes records until it is full. */
    const struct clock *clock;
    uint64_t start_ns;
    struct tape_writer *writer;
    uint8_t *buffer; /* that piece; a replay's is its own, and the room is its beginning */
    uint32_t filled;

    /* Replaying. */
    int fd;
    const uint8_t *file;
    size_t file_bytes, at;
    uint64_t number; /* of records that were taken */
    struct tape_rec input;
    bool differs, shows_all;
    FILE *out;
};

#endif
