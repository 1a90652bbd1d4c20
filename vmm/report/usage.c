// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/report/usage.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/base/xmath.h"

static uint64_t ns_of(struct timeval t)
{
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

/* A file of a thread's; "": it has gone. */
static void read_proc(const char *tid, const char *name, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%.20s/%s", tid, name);
    text[0] = '\0';
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return;
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
}

/* The n-th number, from 0, of those that single spaces keep apart; 0 if there is none. */
static uint64_t field(const char *text, unsigned n)
{
    for (; n > 0 && text != NULL; n--) {
        text = strchr(text, ' ');
        text += text != NULL;
    }
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static uint64_t waited_ns(const char *tid)
{
    char text[128];
    read_proc(tid, "schedstat", text, sizeof(text));
    return field(text, 1);
}

uint64_t usage_waited_ns(void)
{
    char tid[24];
    snprintf(tid, sizeof(tid), "%d", (int)gettid());
    return waited_ns(tid);
}

/* The clock of a thread's processor time, by its number: clock_getcpuclockid(3) knows processes. */
static clockid_t cpu_clock(const char *tid)
{
    enum { PER_THREAD = 4, BY_SCHEDULER = 2 }; /* as the kernel encodes it */
    return (clockid_t)(~(unsigned)strtoul(tid, NULL, 10) << 3 | PER_THREAD | BY_SCHEDULER);
}

static void take_thread(struct usage *u, const char *tid)
{
    struct usage_thread *t = &u->threads[u->count++];
    struct timespec cpu = {0};
    char text[512];
    clock_gettime(cpu_clock(tid), &cpu);
    *t = (struct usage_thread){
        .cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec,
        .waited_ns = waited_ns(tid),
    };
    /* "TID (NAME) STATE ..."; the name may hold anything, parentheses as well. */
    read_proc(tid, "stat", text, sizeof(text));
    char *name = strchr(text, '('), *end = strrchr(text, ')');
    if (name == NULL || end == NULL)
        return;
    *end = '\0';
    snprintf(t->name, sizeof(t->name), "%s", name + 1);
    t->minor_faults = field(end + 1, 8); /* proc(5): the state is the first behind the name */
    t->major_faults = field(end + 1, 10);
}

void usage_take(struct usage *u)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    *u = (struct usage){
        .user_ns = ns_of(r.ru_utime),
        .system_ns = ns_of(r.ru_stime),
        .minor_faults = (uint64_t)r.ru_minflt,
        .major_faults = (uint64_t)r.ru_majflt,
        .sleeps = (uint64_t)r.ru_nvcsw,
        .preemptions = (uint64_t)r.ru_nivcsw,
        .max_rss_bytes = (uint64_t)r.ru_maxrss * KIB,
    };
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL)
        return;
    for (struct dirent *e; u->count < USAGE_THREADS && (e = readdir(tasks)) != NULL;) {
        if (isdigit((unsigned char)e->d_name[0]))
            take_thread(u, e->d_name);
    }
    closedir(tasks);
}
