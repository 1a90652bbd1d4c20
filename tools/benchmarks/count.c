// SPDX-License-Identifier: BSD-2-Clause
/*
 * When a program says what, counted from before its exec, on a clock that counts instructions:
 * that of a host which `tools/testbed --icount` emulates, where a nanosecond is an instruction.
 *
 * Prints "NAME TIME CPU" for the program's first byte ("first"), for each line of its output that
 * begins with '@' (the rest of it is the name), and for its end. CPU is the processor time of all
 * its threads, kernel and guest included: it leaves out what the program slept. With --stay the
 * program is killed after its first byte, and "kib RESIDENT WRITTEN" is the memory that it had by
 * then, and what of it it had written to, mappings as large as a guest's memory left out.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runs.h"

#define MARKS_MAX     32
#define GUEST_RAM_KIB (64ul << 10) /* and more */

static struct {
    char name[32];
    uint64_t ns, cpu_ns;
} marks[MARKS_MAX];
static int mark_count;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Kept until the end: to print is work, too. */
static void mark(const char *name, uint64_t ns, uint64_t cpu_ns)
{
    if (mark_count == MARKS_MAX)
        return;
    snprintf(marks[mark_count].name, sizeof(marks[0].name), "%s", name);
    marks[mark_count].ns = ns;
    marks[mark_count++].cpu_ns = cpu_ns;
}

static FILE *open_proc(pid_t pid, const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

/* Of the threads that there are: the first number of each one's schedstat. */
static uint64_t cpu_ns(pid_t pid)
{
    char path[64];
    uint64_t sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        runs_die("open", path);
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) {
        char name[sizeof(e->d_name) + 32], line[128];
        snprintf(name, sizeof(name), "task/%s/schedstat", e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : open_proc(pid, name);
        if (f == NULL)
            continue;
        if (fgets(line, sizeof(line), f) != NULL)
            sum += strtoull(line, NULL, 10);
        fclose(f);
    }
    closedir(tasks);
    return sum;
}

static void print_memory(pid_t pid)
{
    char line[256];
    FILE *f = open_proc(pid, "smaps");
    if (f == NULL)
        runs_die("open", "/proc/PID/smaps");
    unsigned long size = 0, resident = 0, written = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "Size:", 5) == 0)
            size = strtoul(line + 5, NULL, 10);
        else if (strncmp(line, "Rss:", 4) == 0 && size < GUEST_RAM_KIB)
            resident += strtoul(line + 4, NULL, 10);
        else if (strncmp(line, "Anonymous:", 10) == 0 && size < GUEST_RAM_KIB)
            written += strtoul(line + 10, NULL, 10);
    }
    fclose(f);
    printf("kib %lu %lu\n", resident, written);
}

/* Follows the output until its end. */
static void follow(pid_t pid, int fd, uint64_t begin, char first)
{
    char buf[4096], line[32] = {first};
    size_t len = 1;
    ssize_t n;
    while ((n = runs_read(fd, buf, sizeof(buf))) > 0) {
        uint64_t at = now_ns() - begin;
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i] != '\n') {
                if (buf[i] != '\r' && len < sizeof(line) - 1)
                    line[len++] = buf[i];
                continue;
            }
            line[len] = '\0';
            if (line[0] == '@')
                mark(line + 1, at, cpu_ns(pid));
            len = 0;
        }
    }
}

int main(int argc, char **argv)
{
    const char *stay = argc > 2 && strcmp(argv[1], "--stay") == 0 ? argv[2] : NULL;
    argv += stay != NULL ? 3 : 1;
    if (argv[0] == NULL) {
        fputs("usage: bench_count [--stay C] PROGRAM [ARG...]\n", stderr);
        return 2;
    }

    int fd, status;
    char first;
    struct rusage use;
    uint64_t begin = now_ns();
    pid_t pid = runs_start(argv[0], argv, -1, &fd);
    errno = 0;
    do {
        if (runs_read(fd, &first, 1) != 1) {
            kill(pid, SIGKILL);
            runs_die("no output of", argv[0]);
        }
    } while (stay != NULL && first != stay[0]);
    if (stay != NULL) {
        print_memory(pid);
        kill(pid, SIGKILL);
        return 0;
    }
    uint64_t at = now_ns() - begin;
    mark("first", at, cpu_ns(pid));
    follow(pid, fd, begin, first);
    if (wait4(pid, &status, 0, &use) < 0)
        runs_die("wait for", argv[0]);
    at = now_ns() - begin;
    mark("end", at,
         (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000000u +
             (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) * 1000u);
    for (int i = 0; i < mark_count; i++)
        printf("%s %" PRIu64 " %" PRIu64 "\n", marks[i].name, marks[i].ns, marks[i].cpu_ns);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
