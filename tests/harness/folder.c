// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"

char folder_line[1100];
static char path[] = "/tmp/minivet-folder-XXXXXX";

static void keep_line(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    snprintf(folder_line, sizeof(folder_line), "%s", line);
}

void folder_enter(void)
{
    BUG_ON(mkdtemp(path) == NULL || chdir(path) != 0);
    folder_line[0] = '\0';
    log_set_sink(keep_line, NULL);
}

void folder_leave(void)
{
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", path);
    log_set_sink(NULL, NULL);
    BUG_ON(chdir("/") != 0 || system(command) != 0);
    snprintf(path, sizeof(path),
             "/tmp/minivet-folder-XXXXXX"); /* without a process for each test */
}

const char *folder_path(void)
{
    return path;
}
