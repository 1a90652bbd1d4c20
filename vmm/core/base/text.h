// SPDX-License-Identifier: BSD-2-Clause
/*
 * Text from outside on its way to a terminal: names, messages and words that a guest, a server or a
 * file gave. What a terminal would obey, and what would end the line, becomes '?'.
 */
#ifndef MINIVET_CORE_TEXT_H
#define MINIVET_CORE_TEXT_H

#include <stdio.h>

/* In place. What stays is printable: ASCII, and UTF-8 that is no control character. */
void text_neutralize(char *text);

/* How many bytes the UTF-8 character has that begins here (RFC 3629); 0: there is none. */
unsigned text_utf8_bytes(const char *text);

/* Writes a neutralized copy; a long one is cut. */
void text_print(FILE *out, const char *text);

/* Writes JSON, all of it, and a newline. What a terminal would obey in its texts is escaped. */
void text_print_json(FILE *out, const char *json);

#endif
