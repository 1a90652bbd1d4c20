// SPDX-License-Identifier: BSD-2-Clause
/* core/base/library.c: functions of libraries that are loaded, and messages about those that are
 * not there. */
#include "core/base/library.h"

#include "tests/harness/test.h"

struct calls {
    char before;
    int (*absolute)(int value);
};

static int load(const char *file, const char *name, struct calls *out)
{
    const struct library library = {"a test", file, "the package"};
    const struct library_call call = {name, offsetof(struct calls, absolute)};
    listen_to_log(LOG_ERROR);
    return library_load(&library, &call, 1, out);
}

Test(library, gives_functions)
{
    struct calls calls = {0};
    cr_assert_eq(load("libc.so.6", "abs", &calls), 0);
    cr_expect_eq(calls.absolute(-3), 3);
    cr_expect_eq(calls.before, 0);
}

Test(library, says_what_is_missing)
{
    struct calls calls = {0};
    cr_expect_eq(load("libc.so.6", "there_is_no_such_function", &calls), -ENOSYS);
    cr_expect(strstr(logged_line, "there_is_no_such_function; install the package") != NULL);
    cr_expect_eq(load("libnowhere.so.1", "abs", &calls), -ENOENT);
    cr_expect(strstr(logged_line, "a test: libnowhere.so.1") != NULL);
    cr_expect(calls.absolute == NULL);
}
