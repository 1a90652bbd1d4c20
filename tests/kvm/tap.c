// SPDX-License-Identifier: BSD-2-Clause
#include "tap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_SKIP 77

static void say(const char *fmt, va_list args)
{
    printf("# ");
    vprintf(fmt, args);
    printf("\n");
    fflush(stdout);
}

void tap_say(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say(fmt, args);
    va_end(args);
}

void tap_fail(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    printf("# %s:%d: ", file, line);
    vprintf(fmt, args);
    printf("\n");
    fflush(stdout);
    va_end(args);
    _exit(1);
}

void tap_skip(const char *why)
{
    tap_say("%s", why);
    _exit(EXIT_SKIP);
}

/* 0; EXIT_SKIP; or something else, if it failed. */
static int result_of(const struct tap_test *test)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(test->limit_s != 0 ? test->limit_s : TAP_LIMIT_S);
        test->run();
        fflush(stdout);
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -1;
    }
    if (WIFSIGNALED(status))
        printf("# ended by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int tap_run(const struct tap_test *const *groups, const char *skip_all, const char *filter)
{
    unsigned count = 0, failed = 0;
    for (; *groups != NULL; groups++) {
        for (const struct tap_test *test = *groups; test->name != NULL; test++) {
            if (filter != NULL && strstr(test->name, filter) == NULL)
                continue;
            int result = skip_all != NULL ? EXIT_SKIP : result_of(test);
            bool failure = result != 0 && result != EXIT_SKIP;
            failed += failure;
            printf("%sok %u - %s%s%s\n", failure ? "not " : "", ++count, test->name,
                   result == EXIT_SKIP ? " # SKIP " : "", skip_all != NULL ? skip_all : "");
            fflush(stdout);
        }
    }
    printf("1..%u\n", count);
    return failed > 0 ? 1 : skip_all != NULL ? EXIT_SKIP : 0;
}
