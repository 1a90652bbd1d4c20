// SPDX-License-Identifier: BSD-2-Clause
/*
 * A test runner that needs nothing but a C library: each test is a child process with a time limit,
 * and the results are TAP on standard output. Exit status 0, 1 if a test failed, 77 if none could
 * run.
 */
#ifndef MINIVET_TESTS_KVM_TAP_H
#define MINIVET_TESTS_KVM_TAP_H

#include <stdbool.h>

struct tap_test {
    const char *name;
    void (*run)(void);
    unsigned limit_s; /* 0: TAP_LIMIT_S; what hangs is ended after that */
};

#define TAP_LIMIT_S 120

/* Each file's tests, ended by an entry without a name. */
extern const struct tap_test exit_tests[], end_tests[], smp_tests[], kick_tests[], disk_tests[],
    framebuffer_tests[], hostile_tests[], terminal_tests[], irq_tests[], cycle_tests[], run_tests[];
/* Those of x86-64 alone. */
extern const struct tap_test port_tests[], fault_tests[], live_tests[], bench_tests[];
/* The files of this architecture, ended by NULL. */
extern const struct tap_test *const tap_groups[];

/* skip_all: NULL, or why no test can run. Only tests whose names hold `filter` (NULL: all). */
int tap_run(const struct tap_test *const *groups, const char *skip_all, const char *filter);

/* A remark, as one line. */
void tap_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Ends the test as one that cannot run here. */
_Noreturn void tap_skip(const char *why);

/* Ends the test as failed. */
_Noreturn void tap_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define CHECK(condition)                                    \
    do {                                                    \
        if (!(condition))                                   \
            tap_fail(__FILE__, __LINE__, "%s", #condition); \
    } while (0)

#define CHECK_EQ(a, b)                                                                           \
    do {                                                                                         \
        long long a_ = (long long)(a), b_ = (long long)(b);                                      \
        if (a_ != b_)                                                                            \
            tap_fail(__FILE__, __LINE__, "%s is %lld (%#llx), not %lld (%#llx)", #a, a_, a_, b_, \
                     b_);                                                                        \
    } while (0)

#endif
