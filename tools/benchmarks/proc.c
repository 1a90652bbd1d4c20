// SPDX-License-Identifier: BSD-2-Clause
#include "proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runs.h"

/* What a line says, if it is the one of that name. */
static bool field(const char *line, const char *name, double *value)
{
    size_t len = strlen(name);
    if (strncmp(line, name, len) != 0)
        return false;
    *value = strtod(line + len, NULL);
    return true;
}

double proc_pss_kib(pid_t pid, int mem_mib)
{
    char path[64], line[512];
    double size = 0, pss = 0, value;
    snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        runs_die("open", path);
    while (fgets(line, sizeof(line), f) != NULL) {
        if (field(line, "Size:", &value))
            size = value;
        else if (field(line, "Pss:", &value) && size < mem_mib * 1024 * 0.9)
            pss += value;
    }
    fclose(f);
    return pss;
}

double proc_rss_mib(pid_t pid)
{
    char path[64];
    double pages = -1;
    snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL || fscanf(f, "%*s %lf", &pages) != 1)
        runs_die("read", path);
    fclose(f);
    return pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

double proc_cpu_ms(pid_t pid)
{
    clockid_t clock;
    struct timespec t;
    errno = clock_getcpuclockid(pid, &clock);
    if (errno != 0 || clock_gettime(clock, &t) < 0)
        runs_die("CPU time of", "a VMM");
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double sleeps_of(const char *path)
{
    char line[256];
    double sleeps = 0;
    FILE *f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (field(line, "voluntary_ctxt_switches:", &sleeps))
            break;
    }
    if (f != NULL)
        fclose(f);
    return sleeps;
}

double proc_sleeps(pid_t pid)
{
    char path[320];
    double sleeps = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        runs_die("threads of", "a VMM");
    for (struct dirent *d = readdir(tasks); d != NULL; d = readdir(tasks)) {
        if (!isdigit((unsigned char)d->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/status", (int)pid, d->d_name);
        sleeps += sleeps_of(path);
    }
    closedir(tasks);
    return sleeps;
}
