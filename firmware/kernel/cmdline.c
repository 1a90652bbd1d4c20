// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/cmdline.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Words are apart by what C calls space; one may be in quotes. */
bool linux_cmdline_has(const char *cmdline, const char *start)
{
    size_t len = strlen(start);

    for (const char *p = cmdline; (p = strstr(p, start)) != NULL; p += len) {
        if (p == cmdline || strchr(" \t\n\v\f\r\"", p[-1]))
            return true;
    }
    return false;
}

char *linux_cmdline_make(const char *console, bool has_picture, bool kaslr_off, const char *user)
{
    char *line = NULL;
    int r;

    if (linux_cmdline_has(user, "console=")) {
        console = NULL;
        has_picture = false;
    }
    /* The last console is the one of programs. */
    r = asprintf(&line, "%s%s%s%s%s%s%s%s", has_picture ? "console=tty0 " : "",
                 console ? "console=" : "", console ? console : "", console ? " " : "",
                 linux_cmdline_has(user, "panic=") ? "" : "panic=-1 ",
                 /* A distribution's code is tested. A kernel in FIPS mode does it all the same. */
                 linux_cmdline_has(user, "cryptomgr.") ? "" : "cryptomgr.notests ",
                 kaslr_off ? "nokaslr " : "", user);
    return r < 0 ? NULL : line;
}
