// SPDX-License-Identifier: BSD-2-Clause
/*
 * Writes a flattened device tree (Devicetree Specification 0.4, chapter 5), node by node. The first
 * error is kept, and all calls after it do nothing, so that only dt_finish() has a result.
 */
#ifndef MINIVET_FIRMWARE_DT_H
#define MINIVET_FIRMWARE_DT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct dt {
    void *blob;
    int err; /* libfdt's; 0 */
};

/* The root is open then; the caller's blob has room for all that follows. */
void dt_start(struct dt *t, void *blob, size_t room);
/* Closes the root, too. How many bytes the tree has, or -ENOSPC; reported. */
int dt_finish(struct dt *t);

void dt_begin(struct dt *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void dt_end(struct dt *t);

void dt_bytes(struct dt *t, const char *name, const void *bytes, size_t len);
void dt_cells_put(struct dt *t, const char *name, const uint32_t *cells, size_t count);

#define dt_flag(t, name)       dt_bytes(t, name, NULL, 0)
#define dt_text(t, name, text) dt_bytes(t, name, text, strlen(text) + 1)
/* A literal, in which "\0" is between texts. */
#define dt_texts(t, name, literal) dt_bytes(t, name, "" literal, sizeof(literal))

#define dt_cells(t, name, ...)                             \
    dt_cells_put(t, name, (const uint32_t[]){__VA_ARGS__}, \
                 sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))
#define DT_64(value) (uint32_t)((uint64_t)(value) >> 32), (uint32_t)(value)

#endif
