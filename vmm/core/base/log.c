// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/text.h"

#define LINE_BYTES 1024

static struct {
    _Atomic int level;
    _Atomic bool crlf;
    pthread_mutex_t lock; /* the two below; held while the sink runs, so that it can be replaced */
    log_sink_fn *sink;
    void *ctx;
} log_state = {.level = LOG_WARN, .lock = PTHREAD_MUTEX_INITIALIZER};

void log_set_sink(log_sink_fn *sink, void *ctx)
{
    pthread_mutex_lock(&log_state.lock);
    log_state.sink = sink;
    log_state.ctx = ctx;
    pthread_mutex_unlock(&log_state.lock);
}

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_state.level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&log_state.level, memory_order_relaxed);
}

void log_set_crlf(bool crlf)
{
    atomic_store_explicit(&log_state.crlf, crlf, memory_order_relaxed);
}

static bool sink_take(enum log_level level, const char *line)
{
    pthread_mutex_lock(&log_state.lock);
    bool has_sink = log_state.sink != NULL;
    if (has_sink)
        log_state.sink(log_state.ctx, level, line);
    pthread_mutex_unlock(&log_state.lock);
    return has_sink;
}

static void __attribute__((format(printf, 3, 0)))
print_line(enum log_level level, const char *suffix, const char *fmt, va_list args)
{
    int saved_errno = errno;
    char line[LINE_BYTES + 2]; /* and the line's end */
    const char *prefix = level == LOG_WARN ? "minivet: warning: " : "minivet: ";
    size_t prefix_len = strlen(prefix);
    size_t room = LINE_BYTES - prefix_len - strlen(suffix);

    memcpy(line, prefix, prefix_len);
    char *text = line + prefix_len;
    if (vsnprintf(text, room, fmt, args) >= (int)room)
        memcpy(text + room - sizeof("..."), "...", sizeof("..."));
    text_neutralize(
        text); /* one line stays one line, and a guest's bytes cannot drive the terminal */
    strcat(text, suffix);

    if (!sink_take(level, text)) {
        bool crlf = atomic_load_explicit(&log_state.crlf, memory_order_relaxed);
        strcat(text, crlf ? "\r\n" : "\n");
        /* Nothing is left to tell if standard error itself is gone. */
        if (write(STDERR_FILENO, line, strlen(line)) < 0)
            (void)0;
    }
    errno = saved_errno;
}

void log_print(enum log_level level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    print_line(level, "", fmt, args);
    va_end(args);
}

void log_guest(struct log_guest_count *count, const char *fmt, ...)
{
    uint64_t before = atomic_fetch_add_explicit(&count->events, 1, memory_order_relaxed);
    if (before >= LOG_GUEST_BURST || !log_enabled(LOG_INFO))
        return;
    va_list args;
    va_start(args, fmt);
    print_line(LOG_INFO, before == LOG_GUEST_BURST - 1 ? " (more are only counted)" : "", fmt,
               args);
    va_end(args);
}
