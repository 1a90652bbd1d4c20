// SPDX-License-Identifier: BSD-2-Clause
#include "vm.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runs.h"

static uint64_t ticks_now(void)
{
#ifdef __x86_64__
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
#else
    return 0; /* there is no such guest */
#endif
}

double vm_ticks_per_us(void)
{
    static double rate;
    if (rate > 0)
        return rate;
    double ms = runs_now_ms();
    uint64_t ticks = ticks_now();
    usleep(50000);
    ticks = ticks_now() - ticks;
    return rate = (double)ticks / (runs_now_ms() - ms) / 1e3;
}

/* ---- what a run costs ---- */

static double cpu_of_process_us(const struct vm_run *r)
{
    clockid_t clock;
    struct timespec t;
    errno = clock_getcpuclockid(r->pid, &clock);
    if (errno != 0 || clock_gettime(clock, &t) < 0)
        runs_die("CPU time of", r->name);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Minivet's and QEMU's name of the thread. */
static bool is_vcpu(const char *name)
{
    return strncmp(name, "vcpu", 4) == 0 || strncmp(name, "CPU ", 4) == 0;
}

static bool read_line(const char *path, char *line, size_t len)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    bool ok = fgets(line, (int)len, f) != NULL;
    fclose(f);
    return ok;
}

static double cpu_of_vcpu_us(const struct vm_run *r)
{
    char path[320], line[256];
    double us = -1;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)r->pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        runs_die("threads of", r->name);
    for (struct dirent *d = readdir(tasks); d != NULL && us < 0; d = readdir(tasks)) {
        if (!isdigit((unsigned char)d->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", (int)r->pid, d->d_name);
        if (!read_line(path, line, sizeof(line)) || !is_vcpu(line))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)r->pid, d->d_name);
        if (read_line(path, line, sizeof(line))) /* ns on a CPU */
            us = strtod(line, NULL) / 1e3;
    }
    closedir(tasks);
    return us;
}

struct vm_moment vm_now(const struct vm_run *r)
{
    double vcpu = cpu_of_vcpu_us(r);
    return (struct vm_moment){
        .ms = runs_now_ms(),
        .cpu_us = vcpu < 0 ? NAN : cpu_of_process_us(r) - vcpu,
    };
}

/* ---- what the guest says ---- */

void vm_give_up(struct vm_run *r, const char *why)
{
    kill(r->pid, SIGKILL);
    fprintf(stderr, "%s", r->text);
    runs_die(why, r->name);
}

const char *vm_await_line(struct vm_run *r, const char *words)
{
    for (;;) {
        const char *line = strstr(r->text, words);
        if (line != NULL && strchr(line, '\n') != NULL)
            return line;
        errno = 0;
        ssize_t n = runs_read(r->fd, r->text + r->len, sizeof(r->text) - 1 - r->len);
        if (n <= 0)
            vm_give_up(r, "no line of results from the guest of");
        r->len += (size_t)n;
        r->text[r->len] = '\0';
    }
}

void vm_await(struct vm_run *r, const char *words)
{
    while (strstr(r->text, words) == NULL) {
        size_t kept = strlen(words) - 1; /* the rest cannot be part of it */
        if (r->len > kept) {
            memmove(r->text, r->text + r->len - kept, kept);
            r->len = kept;
        }
        errno = 0;
        ssize_t n = runs_read(r->fd, r->text + r->len, sizeof(r->text) - 1 - r->len);
        if (n <= 0)
            vm_give_up(r, "no sign of life from the guest of");
        r->len += (size_t)n;
        r->text[r->len] = '\0';
    }
}

double vm_number(struct vm_run *r, const char *line, const char *key)
{
    char word[32];
    int len = snprintf(word, sizeof(word), " %s=", key);
    const char *at = strstr(line, word);
    errno = 0;
    if (at == NULL)
        vm_give_up(r, "a word is missing from the results of");
    return strtod(at + len, NULL);
}

double vm_us(struct vm_run *r, const char *line, const struct vm_moment *from,
             const struct vm_moment *to)
{
    double us = vm_number(r, line, "ticks") / vm_ticks_per_us();
    double wall_us = (to->ms - from->ms) * 1e3;
    errno = 0;
    /* The lines take a while, too, and a busy host keeps us waiting. */
    if (us > wall_us * 1.5 || us < wall_us / 30)
        vm_give_up(r, "another clock than the host's in the guest of");
    return us;
}

void vm_end(struct vm_run *r)
{
    kill(r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    close(r->fd);
}
