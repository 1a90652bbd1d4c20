// SPDX-License-Identifier: BSD-2-Clause
/* vmm/main.c and vmm/cli/check.c, by the program itself: commands, and what is said of others. */
#include <cJSON.h>

#include "tests/harness/test.h"
#include "vmm/cli/exit_code.h"

static char said[16384];

/* What it prints, to either stream, and its exit status. */
static int run(const char *words)
{
    char line[512];
    snprintf(line, sizeof(line), "MINIVET_CACHE=/nowhere " MINIVET_PROGRAM " 2>&1 %s", words);
    FILE *f = popen(line, "r");
    cr_assert_not_null(f);
    said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(commands, each_is_done_or_answered)
{
    static const struct {
        const char *words;
        int status;
        const char *says;
    } rows[] = {
        {"", EXIT_USAGE, "usage: minivet COMMAND"},
        {"help", 0, "usage: minivet COMMAND"},
        {"--help", 0, "usage: minivet COMMAND"},
        {"help run", 0, "usage: minivet run"},
        {"help --help", 0, "usage: minivet COMMAND"},
        {"--version >/dev/full", EXIT_SETUP, "standard output: No space left on device"},
        {"help run >/dev/full", EXIT_SETUP, "standard output: No space left on device"},
        {"bench other", EXIT_USAGE, "bench other: no such benchmark; "},
        {"--help run", 0, "usage: minivet run"},
        {"help check", 0, "usage: minivet check [--json]"},
        {"help replay", 0, "usage: minivet replay"},
        {"help bench", 0, "usage: minivet bench"},
        {"help completion", 0, "usage: minivet completion [bash|zsh]"},
        {"help other", EXIT_USAGE, "other: no such command; `minivet run KERNEL`"},
        {"version", 0, "minivet " MINIVET_VERSION "\n"},
        {"--version", 0, "minivet " MINIVET_VERSION "\n"},
        {"run --version", 0, "minivet " MINIVET_VERSION "\n"},
        {"vmlinuz", EXIT_USAGE, "vmlinuz: no such command; `minivet run KERNEL` boots a guest"},
        {"-kernel K", EXIT_USAGE, "-kernel: no such command; `minivet run KERNEL`"},
        {"start", EXIT_USAGE, "start: no such command; `minivet run KERNEL`"},
        {"run", EXIT_USAGE, "no kernel given: minivet run KERNEL"},
        {"help ctl", 0, "usage: minivet ctl [--json] PID|PATH COMMAND"},
        {"help ps", 0, "usage: minivet ps [--json]"},
        {"ps --all", EXIT_USAGE, "ps: --all: no such option"},
        {"ctl", EXIT_USAGE, "ctl: give the control socket's path and a command"},
        {"ctl /nowhere help", EXIT_FAILURE, "/nowhere: no run listens there; `minivet ps`"},
        {"check --xml", EXIT_USAGE, "usage: minivet check [--json]"},
        {"completion zsh", 0, "#compdef minivet"},
        {"completion bash", 0, "complete -F _minivet minivet"},
        {"completion fish", EXIT_USAGE, "completion fish: give bash, the default, or zsh"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        cr_expect_eq(run(rows[i].words), rows[i].status, "%s", rows[i].words);
        cr_expect(strstr(said, rows[i].says) != NULL, "%s: %s", rows[i].words, said);
    }
}

/* Standard error has what is wrong with /dev/kvm. */
Test(commands, check_prints_json_that_says_what_its_status_does)
{
    int status = run("check --json 2>/dev/null");
    cJSON *top = cJSON_Parse(said);
    cr_assert_not_null(top, "%s", said);
    const cJSON *can = cJSON_GetObjectItem(top, "can_run_guests"), *check;
    cr_expect_eq(cJSON_IsTrue(can), status == 0);
    cr_expect_eq(cJSON_IsFalse(can), status == EXIT_SETUP);
    bool all = true;
    int count = 0;
    cJSON_ArrayForEach(check, cJSON_GetObjectItem(top, "checks"))
    {
        all &= cJSON_IsTrue(cJSON_GetObjectItem(check, "ok")) ||
               cJSON_IsFalse(cJSON_GetObjectItem(check, "required"));
        cr_expect(cJSON_IsString(cJSON_GetObjectItem(check, "what")));
        cr_expect(cJSON_IsString(cJSON_GetObjectItem(check, "detail")));
        count++;
    }
    cr_expect_eq(all, status == 0);
    cr_expect_geq(count, 2);
    cJSON_Delete(top);
}
