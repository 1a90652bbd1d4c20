// SPDX-License-Identifier: BSD-2-Clause
/*
 * What objects say of themselves, as a tree of named values, which becomes JSON:
 *
 *     void bell_describe(const struct bell *b, struct facts *f)
 *     {
 *         facts_group(f, "bell");
 *         facts_flag(f, "on", b->on);
 *         facts_number(f, "strokes", b->strokes);
 *         facts_end(f);
 *     }
 *
 * Each object names its own, on the thread that owns it, and changes nothing by that. A tree that
 * grows beyond its bound, or for which there is no memory, takes nothing more: facts_finish() says
 * so.
 */
#ifndef MINIVET_CORE_FACTS_H
#define MINIVET_CORE_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FACTS_DEPTH     8u /* groups and lists in each other, the outermost included */
#define FACTS_BYTES_MAX (UINT64_C(3) << 20) /* what `minivet ctl` takes is 4 MiB */

struct facts {
    char *text;
    size_t len, room;
    int err;
    unsigned depth;
    bool is_list[FACTS_DEPTH], has_some[FACTS_DEPTH];
};

void facts_begin(struct facts *f);
/* The JSON object, to be freed; NULL: -EFBIG or -ENOMEM is in *err. */
char *facts_finish(struct facts *f, int *err);

/* What follows is in it, up to facts_end(). In a list names are NULL, here and below. */
void facts_group(struct facts *f, const char *name);
void facts_list(struct facts *f, const char *name);
void facts_end(struct facts *f);

/* Text from outside is neutralized, see core/base/text.h. NULL: nothing is said. */
void facts_word(struct facts *f, const char *name, const char *text);
void facts_text(struct facts *f, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void facts_number(struct facts *f, const char *name, uint64_t value);
void facts_flag(struct facts *f, const char *name, bool value);
/* An address or a register: hexadecimal digits, as text. */
void facts_hex(struct facts *f, const char *name, uint64_t value);
/* A list of the names of the bits that are set; the others' are NULL, or beyond `count`. */
void facts_bits(struct facts *f, const char *name, uint64_t value, const char *const *names,
                unsigned count);

#endif
