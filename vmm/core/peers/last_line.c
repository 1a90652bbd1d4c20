// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/last_line.h"

#include <string.h>
#include <unistd.h>

#include "core/base/text.h"

#define READS 128u /* of half a line each: all that a pipe holds */

/* The end of what was written. The child may still write, faster than this reads. */
static void read_tail(int fd, char out[LAST_LINE_MAX])
{
    char part[LAST_LINE_MAX / 2];
    size_t have = 0;
    for (unsigned i = 0; fd >= 0 && i < READS; i++) {
        ssize_t n = read(fd, part, sizeof(part));
        if (n <= 0)
            break;
        size_t keep = LAST_LINE_MAX - 1 - (size_t)n;
        if (have > keep) {
            memmove(out, out + have - keep, keep);
            have = keep;
        }
        memcpy(out + have, part, (size_t)n);
        have += (size_t)n;
    }
    out[have] = '\0';
}

void last_line_read(int fd, char out[LAST_LINE_MAX])
{
    char said[LAST_LINE_MAX], *rest = NULL;
    read_tail(fd, said);
    const char *line = "";
    for (const char *next = strtok_r(said, "\n", &rest); next != NULL;
         next = strtok_r(NULL, "\n", &rest))
        line = next;
    strcpy(out, line);
    text_neutralize(out);
}
