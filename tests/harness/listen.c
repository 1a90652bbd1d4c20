// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/listen.h"

#include <stdio.h>

char logged_line[4096];
_Atomic unsigned logged_lines;

static void keep_line(void *ctx, enum log_level level, const char *line)
{
    const enum log_level *most = ctx;
    if (level > *most)
        return;
    snprintf(logged_line, sizeof(logged_line), "%s", line);
    atomic_fetch_add(&logged_lines, 1);
}

void listen_to_log(enum log_level level)
{
    static enum log_level most;
    most = level;
    logged_line[0] = '\0';
    atomic_store(&logged_lines, 0);
    log_set_sink(keep_line, &most);
}
