// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PRINT_BYTES 1024

/* How many bytes the UTF-8 character has that begins here; 0: there is none. */
static unsigned utf8_bytes(const uint8_t *at)
{
    unsigned more = at[0] >= 0xf0 && at[0] < 0xf5 ? 3 : at[0] >= 0xe0 ? 2 : 1;
    if (at[0] < 0xc2 || at[0] >= 0xf5)
        return 0;
    for (unsigned i = 1; i <= more; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    /* Longer than it need be: some terminals find a control character in that. */
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xf0 && at[1] < 0x90))
        return 0;
    return 1 + more;
}

/* C0, DEL, and C1, of which terminals obey the one-byte forms and those in UTF-8. */
static bool is_control(const uint8_t *at)
{
    return at[0] < 0x20 || at[0] == 0x7f || (at[0] == 0xc2 && at[1] < 0xa0);
}

void text_neutralize(char *text)
{
    for (uint8_t *at = (uint8_t *)text; *at != '\0';) {
        unsigned bytes = *at < 0x80 ? 1 : utf8_bytes(at);
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
