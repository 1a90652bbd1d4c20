// SPDX-License-Identifier: BSD-2-Clause
/*
 * Runs tests that were written for Criterion without its library, in one forked process a test.
 *
 * Criterion's own runner places memory where ThreadSanitizer allows none, so it cannot start under
 * it, and it starts the program anew for each test, which takes AddressSanitizer longer than the
 * test. This one knows what our tests use: fixtures, expected signals and exit codes, skipping,
 * --tap=FILE, --filter=PATTERN (of SUITE/TEST), and a time limit. Other options are accepted and
 * ignored.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED         77
#define TIME_LIMIT_SECS 300

/* The linker's names for the ends of the sections into which Test() and TestSuite() put things. */
extern struct criterion_test *const __start_cr_tst[], *const __stop_cr_tst[];
extern struct criterion_suite *const __start_cr_sts[] __attribute__((weak));
extern struct criterion_suite *const __stop_cr_sts[] __attribute__((weak));

const char *__tsan_default_options(void);
const char *__asan_default_options(void);

/* A test that expects a signal shall die of it, not of a report about it. */
const char *__tsan_default_options(void)
{
    return "handle_segv=0:handle_sigbus=0:handle_abort=0";
}

/* No test expects this code, which is ThreadSanitizer's own. */
const char *__asan_default_options(void)
{
    return "handle_segv=0:handle_sigbus=0:exitcode=66";
}

/* ---- what the assertion macros call ---- */

struct criterion_options criterion_options;
static bool failed;

void criterion_send_assert(struct criterion_assert_stats *stats)
{
    failed |= !stats->passed;
    fprintf(stderr, "%s:%u: %s\n", stats->file, stats->line, stats->message);
}

void criterion_abort_test(void)
{
    exit(EXIT_FAILURE);
}

void criterion_continue_test(void)
{
}

void criterion_skip_test(const char *fmt, ...)
{
    (void)fmt;
    exit(SKIPPED);
}

void cri_asserts_passed_incr(void)
{
}

int cr_asprintf(char **out, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(out, fmt, args);
    va_end(args);
    return n;
}

void cr_asprintf_free(char *text)
{
    free(text);
}

char *cr_translate_assert_msg(int index, ...)
{
    static const char *const shapes[] = {
        [CRITERION_ASSERT_MSG_EXPR_FALSE] = "not so: %s",
        [CRITERION_ASSERT_MSG_EXPR_AS_STRINGS_FALSE] = "not so, as strings: %s",
        [CRITERION_ASSERT_MSG_IS_NULL] = "is NULL: %s",
        [CRITERION_ASSERT_MSG_IS_NOT_NULL] = "is not NULL: %s",
    };
    size_t count = sizeof(shapes) / sizeof(shapes[0]);
    const char *shape = (size_t)index < count && shapes[index] ? shapes[index] : "failed: %s";
    char *text = NULL;
    va_list args;
    va_start(args, index);
    const char *expression = va_arg(args, const char *);
    va_end(args);
    return cr_asprintf(&text, shape, expression) < 0 ? NULL : text;
}

/* ---- what the assertions of criterion/new/assert.h call: a tree of what failed ---- */

void cri_assert_node_init(struct cri_assert_node *node)
{
    memset(node, 0, sizeof(*node));
}

/* The tree is for pretty printing, which we do without: one place holds whichever node was last. */
struct cri_assert_node *cri_assert_node_add(struct cri_assert_node *tree,
                                            struct cri_assert_node *node)
{
    static struct cri_assert_node last;
    (void)tree;
    last = *node;
    return &last;
}

void cri_assert_node_negate(struct cri_assert_node *tree)
{
    (void)tree;
}

/* Called for a failure only; message has an 'x' before it. */
char *cri_assert_message(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(&text, fmt, args);
    va_end(args);
    return n < 0 ? NULL : text;
}

void cri_assert_node_send(const char *file, size_t line, struct cri_assert_node *tree)
{
    failed = true;
    fprintf(stderr, "%s:%zu: assertion failed: %s\n", file, line,
            tree->message != NULL ? tree->message + 1 : "");
}

void cri_assert_node_term(struct cri_assert_node *tree)
{
    free((char *)tree->message);
}

int cr_user_str_eq(char **a, char **b)
{
    return strcmp(*a, *b) == 0;
}

char *cr_user_str_tostr(char **text)
{
    return strdup(*text);
}

/* ---- what Test() calls ---- */

static const struct criterion_test *current;

static const struct criterion_test_extra_data *suite_data(void)
{
    for (struct criterion_suite *const *s = __start_cr_sts; s < __stop_cr_sts; s++)
        if (*s && strcmp((*s)->name, current->category) == 0)
            return (*s)->data;
    return NULL;
}

void criterion_internal_test_setup(void)
{
    const struct criterion_test_extra_data *suite = suite_data();
    if (suite && suite->init)
        suite->init();
    if (current->data->init)
        current->data->init();
}

void criterion_internal_test_main(void (*fn)(void))
{
    fn();
}

void criterion_internal_test_teardown(void)
{
    const struct criterion_test_extra_data *suite = suite_data();
    if (current->data->fini)
        current->data->fini();
    if (suite && suite->fini)
        suite->fini();
}

/* ---- the runner ---- */

enum verdict { PASS, FAIL, SKIP };

static enum verdict run(const struct criterion_test *test)
{
    current = test;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(TIME_LIMIT_SECS);
        test->test();
        exit(failed ? EXIT_FAILURE : EXIT_SUCCESS);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return FAIL;
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == test->data->signal ? PASS : FAIL;
    if (WEXITSTATUS(status) == SKIPPED)
        return SKIP;
    return test->data->signal == 0 && WEXITSTATUS(status) == test->data->exit_code ? PASS : FAIL;
}

int main(int argc, char **argv)
{
    FILE *tap = NULL;
    const char *filter = "*";
    unsigned counts[3] = {0};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--tap=", 6) == 0)
            tap = fopen(argv[i] + 6, "w");
        if (strncmp(argv[i], "--filter=", 9) == 0)
            filter = argv[i] + 9;
    }
    if (!tap)
        tap = stdout;
    for (struct criterion_test *const *t = __start_cr_tst; t < __stop_cr_tst; t++) {
        char name[256];
        if (!*t)
            continue;
        snprintf(name, sizeof(name), "%s/%s", (*t)->category, (*t)->name);
        if (fnmatch(filter, name, 0) != 0)
            continue;
        enum verdict verdict = run(*t);
        counts[verdict]++;
        fprintf(tap, "%s - %s::%s%s\n", verdict == FAIL ? "not ok" : "ok", (*t)->category,
                (*t)->name, verdict == SKIP ? " # SKIP" : "");
        if (verdict == FAIL)
            fprintf(stderr, "failed: %s\n", name);
    }
    fprintf(tap, "1..%u\n", counts[PASS] + counts[FAIL] + counts[SKIP]);
    printf("%u passed, %u failed, %u skipped\n", counts[PASS], counts[FAIL], counts[SKIP]);
    return counts[FAIL] > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
