// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writes pieces of memory to a file, one behind the other, by a thread of its own: whoever fills
 * them waits only when the file is slower than it is.
 */
#ifndef MINIVET_CORE_TAPE_WRITER_H
#define MINIVET_CORE_TAPE_WRITER_H

#include <stdint.h>

#define TAPE_PIECE_BYTES (UINT32_C(256) << 10) /* when they are written */
#define TAPE_SPARE_BYTES (UINT32_C(132) << 10) /* may follow, of the last record */

struct tape_writer;

/* Errors are reported. */
int tape_writer_create(struct tape_writer **out, const char *path);
/* Writes what was handed over. NULL is allowed. */
void tape_writer_destroy(struct tape_writer *w);

/* A piece to be filled. */
uint8_t *tape_writer_piece(struct tape_writer *w);
/* It has so many bytes; returns the next. After an error, which is reported, bytes are dropped. */
uint8_t *tape_writer_next(struct tape_writer *w, uint32_t bytes);

#endif
