// SPDX-License-Identifier: BSD-2-Clause
#include "core/output/facts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/text.h"

static void put(struct facts *f, const char *bytes, size_t len)
{
    if (f->err == 0 && f->len + len > FACTS_BYTES_MAX)
        f->err = -EFBIG;
    if (f->err == 0 && f->len + len > f->room) {
        size_t room = 2 * (f->len + len);
        char *more = realloc(f->text, room);
        if (more == NULL) {
            f->err = -ENOMEM;
            return;
        }
        f->text = more;
        f->room = room;
    }
    if (f->err != 0)
        return;
    memcpy(f->text + f->len, bytes, len);
    f->len += len;
}

/* Of printable text. */
static void put_quoted(struct facts *f, const char *text)
{
    put(f, "\"", 1);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            put(f, "\\", 1);
        put(f, text, 1);
    }
    put(f, "\"", 1);
}

static void put_name(struct facts *f, const char *name)
{
    unsigned in = f->depth - 1;
    BUG_ON(f->is_list[in] != (name == NULL));
    if (f->has_some[in])
        put(f, ",", 1);
    f->has_some[in] = true;
    if (name == NULL)
        return;
    put_quoted(f, name);
    put(f, ":", 1);
}

static void open(struct facts *f, bool is_list)
{
    BUG_ON(f->depth == FACTS_DEPTH);
    f->is_list[f->depth] = is_list;
    f->has_some[f->depth++] = false;
    put(f, is_list ? "[" : "{", 1);
}

void facts_begin(struct facts *f)
{
    *f = (struct facts){0};
    open(f, false);
}

char *facts_finish(struct facts *f, int *err)
{
    facts_end(f);
    BUG_ON(f->depth != 0);
    put(f, "", 1);
    *err = f->err;
    if (f->err == 0)
        return f->text;
    free(f->text);
    return NULL;
}

void facts_group(struct facts *f, const char *name)
{
    put_name(f, name);
    open(f, false);
}

void facts_list(struct facts *f, const char *name)
{
    put_name(f, name);
    open(f, true);
}

void facts_end(struct facts *f)
{
    put(f, f->is_list[--f->depth] ? "]" : "}", 1);
}

void facts_word(struct facts *f, const char *name, const char *text)
{
    if (text == NULL)
        return;
    put_name(f, name);
    char *clean = strdup(text);
    if (clean == NULL) {
        f->err = -ENOMEM;
        return;
    }
    text_neutralize(clean);
    put_quoted(f, clean);
    free(clean);
}

void facts_text(struct facts *f, const char *name, const char *format, ...)
{
    char *text;
    va_list values;
    va_start(values, format);
    int n = vasprintf(&text, format, values);
    va_end(values);
    if (n < 0) {
        f->err = -ENOMEM;
        return;
    }
    facts_word(f, name, text);
    free(text);
}

static void put_plain(struct facts *f, const char *name, const char *text)
{
    put_name(f, name);
    put(f, text, strlen(text));
}

void facts_number(struct facts *f, const char *name, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "%" PRIu64, value);
    put_plain(f, name, digits);
}

void facts_flag(struct facts *f, const char *name, bool value)
{
    put_plain(f, name, value ? "true" : "false");
}

void facts_hex(struct facts *f, const char *name, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof(digits), "\"%#" PRIx64 "\"", value);
    put_plain(f, name, digits);
}

void facts_bits(struct facts *f, const char *name, uint64_t value, const char *const *names,
                unsigned count)
{
    facts_list(f, name);
    for (unsigned i = 0; i < count; i++)
        if ((value >> i & 1) != 0 && names[i] != NULL)
            facts_word(f, NULL, names[i]);
    facts_end(f);
}
