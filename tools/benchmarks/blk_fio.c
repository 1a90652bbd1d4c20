// SPDX-License-Identifier: BSD-2-Clause
/* A pattern without a VM: fio on the same file, with io_uring. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blk.h"
#include "runs.h"

#define MAX_WORDS  32
#define WORD_BYTES 512
#define MAX_OUTPUT (1u << 20)

#define ADD(w, ...) snprintf(next_word(w), WORD_BYTES, __VA_ARGS__)

struct words {
    char text[MAX_WORDS][WORD_BYTES];
    char *argv[MAX_WORDS + 1];
    unsigned count;
};

static char *next_word(struct words *w)
{
    char *text = w->text[w->count];
    w->argv[w->count++] = text;
    return text;
}

struct load {
    const char *fio;
    const struct vmm_guest *guest;
    const struct blk_pattern *pattern;
};

/* For so long, or so many requests. */
static void fill(struct words *w, const struct load *l, double seconds, uint64_t requests)
{
    const struct blk_pattern *p = l->pattern;
    const char *order = p->sequential ? "" : "rand";
    ADD(w, "%s", l->fio);
    ADD(w, "--name=bench");
    ADD(w, "--filename=%s", l->guest->file);
    ADD(w, "--ioengine=io_uring");
    ADD(w, "--direct=%d", l->guest->direct);
    ADD(w, "--rw=%s%s", order, p->write ? "write" : "read");
    ADD(w, "--bs=%u", p->bytes);
    ADD(w, "--iodepth=%u", p->depth);
    ADD(w, "--iodepth_batch_complete_max=%u", p->depth);
    ADD(w, "--norandommap");
    ADD(w, "--io_size=1000T"); /* time or number ends it */
    ADD(w, "--runtime=%.0fms", seconds * 1e3);
    ADD(w, "--number_ios=%" PRIu64, requests);
    ADD(w, "--thread");                    /* not a process more */
    ADD(w, "--clocksource=clock_gettime"); /* needs no calibration */
    ADD(w, "--lat_percentiles=1");
    ADD(w, "--output-format=json");
    if (p->gap_us != 0)
        ADD(w, "--thinktime=%u", p->gap_us); /* asleep: fio 3.33 hangs with thinktime_spin */
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    errno = 0;
    if (!cJSON_IsNumber(item))
        runs_die("fio's output lacks", key);
    return item->valuedouble;
}

static void figure_out(const char *text, const struct blk_pattern *p, double cpu_us,
                       double *figures)
{
    const char *begin = strchr(text, '{');
    cJSON *root = begin != NULL ? cJSON_Parse(begin) : NULL;
    const cJSON *jobs = cJSON_GetObjectItemCaseSensitive(root, "jobs");
    const cJSON *job = cJSON_GetArrayItem(jobs, 0);
    const cJSON *way = cJSON_GetObjectItemCaseSensitive(job, p->write ? "write" : "read");
    const cJSON *latency = cJSON_GetObjectItemCaseSensitive(way, "lat_ns");
    const cJSON *percentile = cJSON_GetObjectItemCaseSensitive(latency, "percentile");
    figures[IOPS] = number(way, "iops");
    figures[MB_S] = figures[IOPS] * p->bytes / 1e6;
    figures[P50_US] = number(percentile, "50.000000") / 1e3;
    figures[P99_US] = number(percentile, "99.000000") / 1e3;
    /* Of the whole process: its threads' own figures leave io_uring's workers out. */
    double requests = number(way, "total_ios");
    figures[CPU_US] = p->gap_us != 0 ? NAN : cpu_us / requests; /* to pause costs, too */
    cJSON_Delete(root);
}

static double us_of(const struct timeval *t)
{
    return (double)t->tv_sec * 1e6 + (double)t->tv_usec;
}

/* Leaves what it prints in `text`; returns the CPU time of the whole process. */
static double run(const struct load *l, double seconds, uint64_t requests, char text[MAX_OUTPUT])
{
    struct words w = {0};
    struct rusage use;
    int fd, status;
    fill(&w, l, seconds, requests);
    pid_t pid = runs_start("fio", w.argv, -1, &fd);
    size_t len = 0;
    ssize_t n;
    while ((n = runs_read(fd, text + len, MAX_OUTPUT - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    if (n < 0)
        kill(pid, SIGKILL);
    close(fd);
    if (wait4(pid, &status, 0, &use) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        errno = 0;
        fputs(text, stderr);
        runs_die("this failed:", "fio");
    }
    return us_of(&use.ru_utime) + us_of(&use.ru_stime);
}

void blk_run_fio(const char *fio, const struct vmm_guest *g, double seconds,
                 const struct blk_pattern *p, double *figures)
{
    static char text[MAX_OUTPUT];
    struct load l = {fio, g, p};
    double start_us = run(&l, seconds, 1, text); /* to start and to end costs 100 ms and more */
    double cpu_us = run(&l, seconds, UINT32_MAX, text) - start_us;
    figure_out(text, p, cpu_us, figures);
}
