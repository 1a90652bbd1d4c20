// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/reopen.h"
#include "core/base/text.h"
#include "core/base/xmath.h"

#define LINE_BYTES 1024
#define WAIT_MS    100 /* for a slow reader of standard error */

static struct {
    _Atomic int level;
    _Atomic bool crlf;
    _Atomic bool full;    /* standard error: what came last is lost */
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

static bool has_room(int fd, int wait_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int n;
    do {
        n = poll(&p, 1, wait_ms);
    } while (n < 0 && errno == EINTR);
    return n != 0;
}

/*
 * No loop waits for the reader of standard error: what comes while it reads nothing is lost.
 * may_wait: a write to fd would wait where there is no room.
 */
static bool is_ready(int fd, bool may_wait)
{
    static const char lost[] = "minivet: standard error was full: lines are missing\r\n";
    bool was_full = atomic_load(&log_state.full);
    bool ready = has_room(fd, was_full ? 0 : WAIT_MS);
    if (was_full && ready) {
        (void)!write(fd, lost, sizeof(lost) - 1);
        ready = !may_wait || has_room(fd, 0); /* this may have taken the last of it */
    }
    atomic_store(&log_state.full, !ready);
    return ready;
}

void log_write(const char *text, size_t len)
{
    /* A terminal that is ready may take less; a pipe may be full again: others write, too. */
    int own = reopen_nonblocking(STDERR_FILENO, O_WRONLY), fd = own < 0 ? STDERR_FILENO : own;
    while (len > 0 && is_ready(fd, own < 0)) {
        /* A pipe that is ready takes as much. Nothing is left to tell if there is no reader. */
        ssize_t n = write(fd, text, min_u64(len, PIPE_BUF));
        if (n < 0 && errno != EINTR) {
            atomic_store(&log_state.full, errno == EAGAIN);
            break;
        }
        text += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    if (own >= 0)
        close(own);
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
        log_write(line, strlen(line));
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

void log_lines(enum log_level level, char *text)
{
    for (char *line = strsep(&text, "\n"); line != NULL; line = strsep(&text, "\n"))
        if (line[0] != '\0')
            log_at(level, "%s", line);
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
