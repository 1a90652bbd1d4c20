// SPDX-License-Identifier: BSD-2-Clause
#include "core/state/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"

#define NUMBER_BYTES 8u
#define LENGTH_BYTES 4u

static const char magic[] = "minivet state 1\n";

/* The sections that it is in, as a path. */
static const char *where(const struct state *s, char *path, size_t bytes)
{
    size_t at = 0;
    path[0] = '\0';
    for (unsigned i = 0; i < s->depth && at < bytes; i++)
        at += (size_t)snprintf(path + at, bytes - at, "%s/", s->sections[i].name);
    return path;
}

static void refuse(struct state *s, int err, const char *name, const char *why)
{
    char path[STATE_DEPTH * STATE_NAME_BYTES];
    if (s->err == 0)
        s->err = fail_msg(err, "saved state: %s%s: %s", where(s, path, sizeof(path)), name, why);
}

void state_refuse(struct state *s, const char *why)
{
    refuse(s, -EINVAL, "", why);
}

/* ---- saving ---- */

static void append(struct state *s, const void *bytes, size_t len)
{
    if (s->err != 0)
        return;
    if (len > s->room - s->len) {
        size_t room = max_u64(2 * s->room, s->len + len);
        uint8_t *more = realloc(s->bytes, room);
        if (more == NULL) {
            refuse(s, -ENOMEM, "", "out of memory");
            return;
        }
        s->bytes = more;
        s->room = room;
    }
    memcpy(s->bytes + s->len, bytes, len);
    s->len += len;
}

static void append_header(struct state *s, const char *name, size_t len)
{
    uint8_t name_bytes = (uint8_t)strlen(name), length[LENGTH_BYTES];
    BUG_ON(name_bytes >= STATE_NAME_BYTES);
    le32_put(length, (uint32_t)len);
    append(s, &name_bytes, 1);
    append(s, name, name_bytes);
    append(s, length, sizeof(length));
}

/* ---- loading ---- */

/* The record at *at, which moves behind it; false: none is whole. */
static bool next(const struct state *s, size_t *at, size_t end, const char **name,
                 size_t *name_bytes, struct state_section *value)
{
    if (*at == end)
        return false;
    *name_bytes = s->bytes[*at];
    size_t begin = *at + 1 + *name_bytes + LENGTH_BYTES;
    if (begin > end)
        return false;
    *name = (const char *)s->bytes + *at + 1;
    size_t len = le32_get(s->bytes + begin - LENGTH_BYTES);
    if (len > end - begin)
        return false;
    value->begin = begin;
    value->end = *at = begin + len;
    return true;
}

/* A value of the section that it is in. */
static bool find(struct state *s, const char *name, struct state_section *value)
{
    size_t at = sizeof(magic) - 1, end = s->len, bytes;
    const char *found;
    if (s->depth > 0) {
        at = s->sections[s->depth - 1].begin;
        end = s->sections[s->depth - 1].end;
    }
    if (s->err != 0)
        return false;
    while (next(s, &at, end, &found, &bytes, value))
        if (bytes == strlen(name) && memcmp(found, name, bytes) == 0)
            return true;
    refuse(s, -EINVAL, name, "missing");
    return false;
}

/* ---- both ways ---- */

void state_save(struct state *s)
{
    *s = (struct state){0};
    append(s, magic, sizeof(magic) - 1);
}

void state_load(struct state *s, const void *bytes, size_t len)
{
    *s = (struct state){.loads = true, .bytes = (uint8_t *)(uintptr_t)bytes, .len = len};
    if (len < sizeof(magic) - 1 || memcmp(bytes, magic, sizeof(magic) - 1) != 0)
        refuse(s, -EINVAL, "", "not a state that Minivet has saved");
}

void state_fini(struct state *s)
{
    if (!s->loads)
        free(s->bytes);
    *s = (struct state){0};
}

bool state_begin(struct state *s, const char *name, unsigned index, unsigned version)
{
    BUG_ON(s->depth == STATE_DEPTH);
    struct state_section section = {.begin = 0};
    int n = snprintf(section.name, sizeof(section.name), index > 0 ? "%s.%u" : "%s", name, index);
    BUG_ON(n < 0 || (size_t)n >= sizeof(section.name));
    if (s->loads && !find(s, section.name, &section))
        return false;
    if (!s->loads) {
        append_header(s, section.name, 0);
        section.begin = s->len;
    }
    s->sections[s->depth++] = section;
    if (state_number(s, "version", version, UINT64_MAX) > version)
        state_refuse(s, "a later version of Minivet has saved it");
    if (s->loads && s->err != 0)
        s->depth--;
    return !s->loads || s->err == 0;
}

void state_end(struct state *s)
{
    BUG_ON(s->depth == 0);
    size_t begin = s->sections[--s->depth].begin;
    if (!s->loads && s->err == 0)
        le32_put(s->bytes + begin - LENGTH_BYTES, (uint32_t)(s->len - begin));
}

uint64_t state_number(struct state *s, const char *name, uint64_t value, uint64_t max)
{
    uint8_t bytes[NUMBER_BYTES];
    le64_put(bytes, value);
    state_bytes(s, name, bytes, sizeof(bytes));
    if (!s->loads || s->err != 0)
        return value;
    uint64_t loaded = le64_get(bytes);
    if (loaded <= max)
        return loaded;
    refuse(s, -EINVAL, name, "out of range");
    return value;
}

void state_bytes(struct state *s, const char *name, void *bytes, size_t len)
{
    struct state_section value;
    if (!s->loads) {
        append_header(s, name, len);
        append(s, bytes, len);
    } else if (find(s, name, &value)) {
        if (value.end - value.begin == len)
            memcpy(bytes, s->bytes + value.begin, len);
        else
            refuse(s, -EINVAL, name, "of another length");
    }
}
