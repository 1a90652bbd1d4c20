// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PRINT_BYTES 1024

/*
 * What is longer than it need be is none: some terminals find a control character in that. Nor is a
 * surrogate, or what is above U+10FFFF.
 */
unsigned text_utf8_bytes(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    unsigned more = at[0] < 0x80 ? 0 : at[0] < 0xe0 ? 1 : at[0] < 0xf0 ? 2 : 3;
    if ((at[0] >= 0x80 && at[0] < 0xc2) || at[0] > 0xf4)
        return 0;
    for (unsigned i = 1; i <= more; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool is_bad = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
                  (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f);
    return is_bad ? 0 : more + 1;
}

/* C0, DEL, and C1, of which terminals obey the one-byte forms and those in UTF-8. */
static bool is_control(const uint8_t *at)
{
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

void text_neutralize(char *text)
{
    for (uint8_t *at = (uint8_t *)text; *at != '\0';) {
        unsigned bytes = text_utf8_bytes((const char *)at);
        bool bad = bytes == 0 || is_control(at);
        if (bytes == 0)
            bytes = 1;
        if (bad)
            memset(at, '?', bytes);
        at += bytes;
    }
}

void text_print(FILE *out, const char *text)
{
    char copy[PRINT_BYTES];
    size_t len = strnlen(text, sizeof(copy) - 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    text_neutralize(copy);
    fputs(copy, out);
}

/* JSON has escaped C0 already, but for newlines and tabs between its values. */
void text_print_json(FILE *out, const char *json)
{
    for (unsigned bytes; *json != '\0'; json += bytes) {
        const uint8_t *at = (const uint8_t *)json;
        bytes = text_utf8_bytes(json);
        if (bytes == 0) {
            bytes = 1;
            fputc('?', out);
        } else if (*json != '\n' && *json != '\t' && is_control(at)) {
            fprintf(out, "\\u%04x", at[bytes - 1]); /* C1's last byte is its number */
        } else {
            fwrite(json, 1, bytes, out);
        }
    }
    fputc('\n', out);
}
