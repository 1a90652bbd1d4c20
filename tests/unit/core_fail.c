// SPDX-License-Identifier: BSD-2-Clause

#include "core/base/fail.h"
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

Test(core_fail, reports_once_and_returns_the_error)
{
    struct seen s = {0};
    log_set_sink(keep, &s);
    log_set_level(LOG_ERROR);
    cr_assert_eq(fail(-ENOENT, "disk %s: open", "a.img"), -ENOENT);
    cr_assert_eq(s.lines, 1);
    cr_assert_eq(s.level, LOG_ERROR);
    cr_assert_str_eq(s.last, "disk a.img: open: No such file or directory");
    cr_assert_eq(fail_msg(-EINVAL, "%s", "100%s"), -EINVAL);
    cr_assert_str_eq(s.last, "100%s");
    BUG_ON(s.lines != 2);
}

Test(core_fail, a_bug_aborts, .signal = SIGABRT)
{
    struct seen s = {0};
    log_set_sink(keep, &s);
    BUG_ON(s.lines == 0);
}
