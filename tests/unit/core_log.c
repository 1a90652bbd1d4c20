// SPDX-License-Identifier: BSD-2-Clause
#include <limits.h>
#include <pty.h>

#include "tests/harness/test.h"

struct seen {
    unsigned lines;
    enum log_level level;
    char last[2048];
};

static void keep(void *ctx, enum log_level level, const char *line)
{
    struct seen *s = ctx;
    s->lines++;
    s->level = level;
    snprintf(s->last, sizeof(s->last), "%s", line);
}

Test(core_log, levels_are_thresholds)
{
    struct seen s = {0};
    unsigned expected[] = {1, 2, 3, 4};
    log_set_sink(keep, &s);
    for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
        s.lines = 0;
        log_set_level((enum log_level)level);
        log_error("e");
        log_warn("w");
        log_info("i");
        log_debug("d");
        cr_assert_eq(s.lines, expected[level]);
        cr_assert_eq(s.level, (enum log_level)level);
    }
}

Test(core_log, arguments_of_a_silent_line_are_not_evaluated)
{
    int evaluated = 0;
    log_set_level(LOG_WARN);
    log_debug("%d", ++evaluated);
    cr_assert_eq(evaluated, 0);
}

Test(core_log, a_line_is_one_line_of_printable_bytes)
{
    struct seen s = {0};
    char longer[4000];
    log_set_sink(keep, &s);
    log_error("a\nb\r\tc\x1b[31m\x7f");
    cr_assert_str_eq(s.last, "a?b??c?[31m?");
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    log_error("%s", longer);
    cr_assert_lt(strlen(s.last), 1100);
    cr_assert_str_eq(s.last + strlen(s.last) - 4, "x...");
}

Test(core_log, errno_survives)
{
    struct seen s = {0};
    log_set_sink(keep, &s);
    errno = EXDEV;
    log_error("something");
    cr_assert_eq(errno, EXDEV);
}

/* What reaches standard error, read back through a pipe. */
static ssize_t print_through_pipe(char *out, size_t size)
{
    int fds[2], saved = dup(STDERR_FILENO);
    cr_assert_eq(pipe(fds), 0);
    dup2(fds[1], STDERR_FILENO);
    log_error("one");
    log_warn("two %d", 2);
    log_set_crlf(true);
    log_error("three");
    dup2(saved, STDERR_FILENO);
    close(fds[1]);
    ssize_t n = read(fds[0], out, size - 1);
    out[n] = '\0';
    return n;
}

Test(core_log, standard_error_gets_prefix_and_line_end)
{
    char out[200];
    cr_assert_gt(print_through_pipe(out, sizeof(out)), 0);
    cr_assert_str_eq(out, "minivet: one\nminivet: warning: two 2\nminivet: three\r\n");
}

/* Its reader reads nothing for a while: nothing waits, and it learns that lines are missing. */
Test(core_log, a_full_standard_error_stops_nobody)
{
    static char held[1 << 16];
    char out[4096];
    int fds[2], saved = dup(STDERR_FILENO);
    cr_assert_eq(pipe(fds), 0);
    int room = fcntl(fds[1], F_SETPIPE_SZ, 4096);
    cr_assert(room > 0 && room <= (int)sizeof(held));
    cr_assert_eq(write(fds[1], held, (size_t)room), room);
    dup2(fds[1], STDERR_FILENO);
    log_error("lost");
    log_write(held, sizeof(held));
    cr_expect_eq(read(fds[0], held, sizeof(held)), room);
    log_error("after");
    dup2(saved, STDERR_FILENO);
    ssize_t n = read(fds[0], out, sizeof(out) - 1);
    out[n > 0 ? n : 0] = '\0';
    cr_expect_str_eq(out,
                     "minivet: standard error was full: lines are missing\r\nminivet: after\n");
}

/* A pipe that cannot be opened anew, and has room for the line that tells of missing ones alone. */
Test(core_log, a_standard_error_that_is_nearly_full_stops_nobody, .timeout = 20)
{
    static char held[1 << 16];
    int fds[2], saved = dup(STDERR_FILENO);
    if (geteuid() != 0)
        cr_skip_test("only root can become another user");
    cr_assert_eq(pipe(fds), 0);
    int room = fcntl(fds[1], F_SETPIPE_SZ, 8192);
    cr_assert(room > PIPE_BUF && room <= (int)sizeof(held));
    cr_assert_eq(write(fds[1], held, (size_t)room), room);
    dup2(fds[1], STDERR_FILENO);
    cr_assert_eq(seteuid(65534), 0);
    log_error("lost");
    cr_expect_eq(read(fds[0], held, PIPE_BUF), PIPE_BUF);
    log_write(held, sizeof(held));
    cr_assert_eq(seteuid(0), 0);
    dup2(saved, STDERR_FILENO);
}

/* A terminal that is ready for a byte may have no room for a line. */
Test(core_log, a_terminal_that_nobody_reads_stops_nobody)
{
    int master, slave, saved = dup(STDERR_FILENO);
    cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
    dup2(slave, STDERR_FILENO);
    for (unsigned i = 0; i < 1000; i++)
        log_error("%098u", i);
    dup2(saved, STDERR_FILENO);
    cr_expect_eq(fcntl(slave, F_GETFL) & O_NONBLOCK, 0);
}

Test(core_log, guest_lines_are_bounded_and_counted)
{
    struct seen s = {0};
    struct log_guest_count a = {0}, b = {0};
    log_set_sink(keep, &s);
    log_set_level(LOG_WARN);
    log_guest(&b, "hidden");
    cr_assert_eq(s.lines, 0);
    log_set_level(LOG_INFO);
    for (unsigned i = 0; i < 1000; i++)
        log_guest(&a, "event %u", i);
    cr_assert_eq(s.lines, LOG_GUEST_BURST);
    cr_assert_str_eq(s.last, "event 9 (more are only counted)");
    cr_assert_eq(a.events, 1000);
    log_guest(&b, "another");
    cr_assert_eq(s.lines, LOG_GUEST_BURST + 1);
    cr_assert_eq(b.events, 2);
}
