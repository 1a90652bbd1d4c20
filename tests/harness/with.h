// SPDX-License-Identifier: BSD-2-Clause
/*
 * Tests whose body is given what a set-up has made: a file says once how its scene is opened and
 * closed, and each test what differs. `open` and `close` are expressions of `var`, a pointer.
 *
 *     #define OnBench(suite, name, ...) \
 *         TestWith(suite, name, struct bench, b, (__VA_ARGS__), end(b))
 */
#ifndef MINIVET_TESTS_HARNESS_WITH_H
#define MINIVET_TESTS_HARNESS_WITH_H

#include <criterion/criterion.h>

/* NOLINTBEGIN(bugprone-macro-parentheses): types and names are no expressions */
#define TestWith(suite, name, type, var, open, close) \
    static void suite##_##name(type *var);            \
    Test(suite, name)                                 \
    {                                                 \
        type scene_, *var = &scene_;                  \
        open;                                         \
        suite##_##name(var);                          \
        close;                                        \
    }                                                 \
    static void suite##_##name(type *var)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
