// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/log.h"

#define MESSAGE_BYTES 1024

int fail(int err, const char *fmt, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    errno = -err;
    log_print(LOG_ERROR, "%s: %m", message);
    return err;
}

int fail_msg(int err, const char *fmt, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    log_print(LOG_ERROR, "%s", message);
    return err;
}

void bug(const char *file, int line, const char *condition)
{
    log_print(LOG_ERROR, "bug: %s:%d: %s", file, line, condition);
    abort();
}
