// SPDX-License-Identifier: BSD-2-Clause
/* `minivet bench` gets to the end, and has a figure for each of its patterns. Which, is not asked.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define OUTPUT_MAX 65536

/* What the bench says for programs. */
static cJSON *run(const char *options)
{
    char line[256];
    char *output = calloc(1, OUTPUT_MAX);
    (void)snprintf(line, sizeof(line), "exec %s bench %s --runs 1 --vs none --json </dev/null",
                   MINIVET_PROGRAM, options);
    FILE *bench = popen(line, "re"); // NOLINT(cert-env33-c): the test's own words
    CHECK(output != NULL && bench != NULL);
    size_t len = fread(output, 1, OUTPUT_MAX - 1, bench);
    CHECK_EQ(pclose(bench), 0);
    cJSON *said = cJSON_ParseWithLength(output, len);
    CHECK(said != NULL);
    free(output);
    return said;
}

/* `patterns` of them, and in each the figure that they share. */
static void try_bench(const char *options, const char *figure, unsigned patterns)
{
    cJSON *said = run(options);
    for (const cJSON *pattern = said->child; pattern != NULL; pattern = pattern->next) {
        const cJSON *own = cJSON_GetObjectItem(pattern, "minivet");
        if (own == NULL)
            continue;
        const cJSON *median = cJSON_GetObjectItem(cJSON_GetObjectItem(own, figure), "median");
        if (median == NULL || !(median->valuedouble > 0))
            tap_fail(__FILE__, __LINE__, "bench %s: %s has no %s", options, pattern->string,
                     figure);
        patterns--;
    }
    CHECK_EQ(patterns, 0);
    cJSON_Delete(said);
}

static void boot(void)
{
    try_bench("boot --only bare", "end_ms", 1);
}

static void exits(void)
{
    try_bench("exit --only port", "ns", 1);
}

static void console(void)
{
    try_bench("console --only serial", "mb_per_s", 1);
}

static void memory(void)
{
    try_bench("memory --only disk", "pss_kib", 1);
}

static void blk(void)
{
    try_bench("blk --only read-4 --seconds 0.1", "iops", 1);
}

/* Longer than the ring's indices are: the driver sees them wrap. */
static void net(void)
{
    try_bench("net --only user-tx --seconds 1", "frames_per_s", 1);
}

static void share_data(void)
{
    try_bench("share --only read-16 --seconds 0.1", "per_s", 1);
}

/* Files that are made, found and gone: the guest says what failed. */
static void share_names(void)
{
    try_bench("share --only create", "per_s", 1);
    try_bench("share --only tree", "per_s", 1);
    try_bench("share --only unlink", "per_s", 1);
}

static void display(void)
{
    try_bench("display --only none --seconds 0.1", "updates_per_s", 2);
}

const struct tap_test bench_tests[] = {
    {"bench: boot", boot, 0},
    {"bench: exit", exits, 0},
    {"bench: console", console, 0},
    {"bench: memory", memory, 0},
    {"bench: blk", blk, 0},
    {"bench: net", net, 0},
    {"bench: share, data", share_data, 0},
    {"bench: share, names", share_names, 0},
    {"bench: display", display, 0},
    {NULL, NULL, 0},
};
