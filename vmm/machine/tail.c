// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/tail.h"

#include <string.h>

#include "core/base/text.h"
#include "core/base/xmath.h"

/* Looks for what Linux prints; its first letter is in it once. */
static void look_for_panic(struct tail *t, const uint8_t *data, size_t len)
{
    static const char text[] = "Kernel panic - not syncing: ";
    for (size_t i = 0; i < len && !t->printed_panic; i++) {
        if (data[i] != (uint8_t)text[t->panic_bytes])
            t->panic_bytes = 0;
        if (data[i] == (uint8_t)text[t->panic_bytes])
            t->panic_bytes++;
        t->printed_panic = text[t->panic_bytes] == '\0';
    }
}

void tail_add(struct tail *t, const uint8_t *data, size_t len)
{
    look_for_panic(t, data, len);
    size_t skip = len > TAIL_BYTES ? len - TAIL_BYTES : 0;
    t->printed += skip;
    for (size_t done = skip; done < len;) {
        size_t at = t->printed % TAIL_BYTES, part = min_u64(len - done, TAIL_BYTES - at);
        memcpy(t->bytes + at, data + done, part);
        t->printed += part;
        done += part;
    }
}

/* The bytes in their order, without what has no place in a line; how many. */
static size_t straighten(const struct tail *t, char *text)
{
    size_t len = 0;
    uint64_t from = t->printed > TAIL_BYTES ? t->printed - TAIL_BYTES : 0;
    for (uint64_t i = from; i < t->printed; i++) {
        char c = (char)t->bytes[i % TAIL_BYTES];
        if (c != '\r' && c != '\0')
            text[len++] = c;
    }
    while (len > 0 && text[len - 1] == '\n')
        len--;
    text[len] = '\0';
    return len;
}

unsigned tail_print(const struct tail *t, const char *before, FILE *out)
{
    char text[TAIL_BYTES + 1], *line = text;
    size_t len = straighten(t, text);
    unsigned lines = 0;
    for (char *at = text + len; at > text && lines < TAIL_LINES; at--)
        if (at[-1] == '\n' && ++lines == TAIL_LINES)
            line = at;
    for (lines = 0; len > 0 && line != NULL; lines++) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end = '\0';
        text_neutralize(line);
        fprintf(out, "%s%s\n", before, line);
        line = end != NULL ? end + 1 : NULL;
    }
    return lines;
}
