// SPDX-License-Identifier: BSD-2-Clause
/*
 * How long a VMM takes from exec to the guest's first instruction, and what it costs.
 *
 * The guest's first instructions print a byte on the serial port; then it ends the run through the
 * debug-exit port, or halts for ever (for looking at the memory). Time is from before fork+exec
 * until the byte arrives on the VMM's standard output; CPU time is user and system of the VMM's
 * whole life, as wait4(2) has it; memory is what of the VMM is resident beyond shared (guest)
 * memory.
 *
 * Runs are interleaved: one of each VMM, then the next round; the figures are medians, and the
 * ratios medians of the rounds' ratios.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ROUNDS 1000
#define MAX_WORDS  32
#define DEADLINE_S 60

enum figure { WALL_MS, CPU_MS, MEMORY_KIB, FIGURES };

static const char *const figure_names[FIGURES] = {"wall_ms", "cpu_ms", "memory_kib"};
static const char *const figure_titles[FIGURES] = {"exec to first instruction, wall ms",
                                                   "whole life, user+system CPU ms",
                                                   "resident beyond guest RAM, KiB"};

struct vmm {
    const char *name;
    char *argv[MAX_WORDS]; /* "GUEST" stands for the guest's file */
    bool present;
    double samples[FIGURES][MAX_ROUNDS];
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static _Noreturn void die(const char *what, const char *name)
{
    fprintf(stderr, "bench start: %s %s: %s\n", what, name, strerror(errno));
    exit(1);
}

static pid_t start(const struct vmm *v, const char *guest, int *out)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        die("pipe for", v->name);
    char *argv[MAX_WORDS] = {NULL};
    for (int i = 0; v->argv[i] != NULL; i++)
        argv[i] = strcmp(v->argv[i], "GUEST") == 0 ? (char *)guest : v->argv[i];
    if (argv[0] == NULL)
        die("no words for", v->name);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    pid_t pid;
    errno = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    if (errno != 0)
        die("cannot run", v->name);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    *out = fds[0];
    return pid;
}

static void await_byte(const struct vmm *v, int fd, pid_t pid)
{
    char c;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    errno = ETIMEDOUT;
    if (poll(&p, 1, DEADLINE_S * 1000) == 1 && read(fd, &c, 1) == 1)
        return;
    kill(pid, SIGKILL);
    die("no byte from the guest of", v->name);
}

static double resident_kib(pid_t pid)
{
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        die("open", path);
    unsigned long anon = 0, file = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "RssAnon:", 8) == 0)
            anon = strtoul(line + 8, NULL, 10);
        else if (strncmp(line, "RssFile:", 8) == 0)
            file = strtoul(line + 8, NULL, 10);
    }
    fclose(f);
    return (double)(anon + file);
}

static void one_run(struct vmm *v, const char *exiting, const char *staying, int round)
{
    int fd, status;
    struct rusage use;
    double begin = now_ms();
    pid_t pid = start(v, exiting, &fd);
    await_byte(v, fd, pid);
    v->samples[WALL_MS][round] = now_ms() - begin;
    close(fd);
    if (wait4(pid, &status, 0, &use) < 0)
        die("wait for", v->name);
    v->samples[CPU_MS][round] = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 +
                                (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;

    pid = start(v, staying, &fd);
    await_byte(v, fd, pid);
    v->samples[MEMORY_KIB][round] = resident_kib(pid);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(fd);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, int n)
{
    double sorted[MAX_ROUNDS];
    memcpy(sorted, values, (size_t)n * sizeof(sorted[0]));
    qsort(sorted, (size_t)n, sizeof(sorted[0]), by_value);
    return n % 2 != 0 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double median_ratio(const struct vmm *a, const struct vmm *b, enum figure f, int n)
{
    double ratios[MAX_ROUNDS];
    for (int i = 0; i < n; i++)
        ratios[i] = a->samples[f][i] / b->samples[f][i];
    return median(ratios, n);
}

static void print_table(const struct vmm *ours, const struct vmm *other, int n)
{
    printf("%-36s %10s %10s %8s\n", "median of interleaved runs", ours->name,
           other->present ? other->name : "-", "ratio");
    for (int f = 0; f < FIGURES; f++) {
        printf("%-36s %10.2f", figure_titles[f], median(ours->samples[f], n));
        if (other->present)
            printf(" %10.2f %8.3f", median(other->samples[f], n),
                   median_ratio(ours, other, (enum figure)f, n));
        putchar('\n');
    }
}

static void print_json(const struct vmm *ours, const struct vmm *other, int n)
{
    const struct vmm *both[] = {ours, other};
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "bench", "start");
    cJSON_AddNumberToObject(root, "rounds", n);
    for (int i = 0; i < 2; i++) {
        if (!both[i]->present)
            continue;
        cJSON *o = cJSON_AddObjectToObject(root, both[i]->name);
        for (int f = 0; f < FIGURES; f++) {
            cJSON *figure = cJSON_AddObjectToObject(o, figure_names[f]);
            cJSON_AddNumberToObject(figure, "median", median(both[i]->samples[f], n));
            cJSON_AddItemToObject(figure, "samples",
                                  cJSON_CreateDoubleArray(both[i]->samples[f], n));
        }
    }
    if (other->present) {
        cJSON *o = cJSON_AddObjectToObject(root, "ratio");
        for (int f = 0; f < FIGURES; f++)
            cJSON_AddNumberToObject(o, figure_names[f],
                                    median_ratio(ours, other, (enum figure)f, n));
    }
    char *text = cJSON_Print(root);
    puts(text);
    free(text);
    cJSON_Delete(root);
}

static int usage(FILE *out)
{
    fputs("usage: bench_start [--runs N] [--json] [--qemu FILE] MINIVET EXITING-GUEST "
          "STAYING-GUEST\n",
          out);
    return out == stderr ? 2 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"runs", required_argument, NULL, 'n'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"qemu", required_argument, NULL, 'q'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    int rounds = 30;
    bool json = false;
    char *qemu_path = NULL;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'n')
            rounds = (int)strtol(optarg, NULL, 10);
        else if (c == 'j')
            json = true;
        else if (c == 'q')
            qemu_path = optarg;
        else
            return usage(c == 'h' ? stdout : stderr);
    }
    if (argc - optind != 3 || rounds < 1 || rounds > MAX_ROUNDS)
        return usage(stderr);

    static struct vmm ours = {.name = "minivet", .present = true};
    static struct vmm qemu = {.name = "microvm"};
    char *const our_words[] = {argv[optind], "run", "GUEST", "-m", "128M", NULL};
    memcpy(ours.argv, our_words, sizeof(our_words));
    qemu.present = qemu_path != NULL;
    char *const qemu_words[] = {qemu_path,
                                "-M",
                                "microvm,accel=kvm,memory-backend=ram",
                                "-cpu",
                                "host",
                                "-m",
                                "128M",
                                "-object",
                                "memory-backend-memfd,id=ram,size=128M,share=on",
                                "-no-user-config",
                                "-nodefaults",
                                "-display",
                                "none",
                                "-serial",
                                "stdio",
                                "-device",
                                "isa-debug-exit,iobase=0xf4,iosize=4",
                                "-kernel",
                                "GUEST",
                                NULL};
    memcpy(qemu.argv, qemu_words, sizeof(qemu_words));

    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < rounds; i++) {
        if (isatty(2))
            fprintf(stderr, "\rround %d of %d", i + 1, rounds);
        one_run(&ours, argv[optind + 1], argv[optind + 2], i);
        if (qemu.present)
            one_run(&qemu, argv[optind + 1], argv[optind + 2], i);
    }
    if (isatty(2))
        fputs("\r                    \r", stderr);
    (json ? print_json : print_table)(&ours, &qemu, rounds);
    return 0;
}
