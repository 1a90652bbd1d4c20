// SPDX-License-Identifier: BSD-2-Clause
/*
 * Logging: one line a message on standard error, "minivet: " before it.
 *
 * Levels mean:
 *   ERROR  the VMM cannot do what it was asked; the user must act
 *   WARN   it goes on, but not as the user would expect
 *   INFO   what -v shows: set-up and life cycle, a few lines a run
 *   DEBUG  what -vv shows: register traffic and decisions, for developers
 *
 * The sink and the level are the only globals of the project. Any thread may log; a line is
 * written by one write(2), so lines never mix. Where standard error is full, and stays so for a
 * moment, lines are lost, and a line says so later: no loop waits for its reader.
 */
#ifndef MINIVET_CORE_LOG_H
#define MINIVET_CORE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_ERROR,
    LOG_WARN,
    LOG_INFO,
    LOG_DEBUG,
};

/* A sink gets whole lines without the newline. NULL restores standard error. */
typedef void log_sink_fn(void *ctx, enum log_level level, const char *line);

void log_set_sink(log_sink_fn *sink, void *ctx);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* While the terminal is raw a newline needs a carriage return before it. */
void log_set_crlf(bool crlf);

/* To standard error as it is. */
void log_write(const char *text, size_t len);

void log_print(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Each line of it, but for empty ones. The text is cut. */
void log_lines(enum log_level level, char *text);

#define log_at(level, ...)                 \
    do {                                   \
        if (log_enabled(level))            \
            log_print(level, __VA_ARGS__); \
    } while (0)

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

/*
 * What a guest does wrong is the guest's business: counted always, shown only with -v, and at most
 * LOG_GUEST_BURST lines for each counter, so that a hostile guest cannot fill a disk.
 */
#define LOG_GUEST_BURST 10

struct log_guest_count {
    _Atomic uint64_t events;
};

void log_guest(struct log_guest_count *count, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
