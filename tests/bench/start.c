// SPDX-License-Identifier: BSD-2-Clause
/*
 * How long a VMM takes from exec to the guest's first instruction, and what it costs.
 *
 * The guest's first instructions print a byte on the serial port; then it ends the run through the
 * debug-exit port, or halts for ever (for looking at the memory). Time is from before fork+exec
 * until the byte arrives on the VMM's standard output, and until the process has gone; CPU time is
 * user and system of the VMM's whole life, as wait4(2) has it. The machine has 128 MiB.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runs.h"

#define MAX_WORDS 32
#define GUEST_KIB (128 * 1024ul)

enum figure { WALL_MS, LIFE_MS, CPU_MS, MEMORY_KIB, FIGURES };

static const char *const figure_names[FIGURES] = {"wall_ms", "life_ms", "cpu_ms", "memory_kib"};
static const char *const figure_titles[FIGURES] = {
    "exec to first instruction, wall ms", "exec to the end, wall ms",
    "whole life, user+system CPU ms", "beyond guest RAM, PSS KiB"};

struct vmm {
    const char *name;
    char *argv[MAX_WORDS]; /* "GUEST" stands for the guest's file */
    bool present;
    double samples[FIGURES][RUNS_MAX];
};

static pid_t start(const struct vmm *v, const char *guest, int *out)
{
    char *argv[MAX_WORDS] = {NULL};
    for (int i = 0; v->argv[i] != NULL; i++)
        argv[i] = strcmp(v->argv[i], "GUEST") == 0 ? (char *)guest : v->argv[i];
    return runs_start(v->name, argv, out);
}

static void await_byte(const struct vmm *v, int fd, pid_t pid)
{
    char c;
    errno = 0;
    if (runs_read(fd, &c, 1) == 1)
        return;
    kill(pid, SIGKILL);
    runs_die("no byte from the guest of", v->name);
}

/*
 * What of the VMM is resident beyond guest memory, which is the mapping that has its size. A page
 * that processes share counts in parts (PSS).
 */
static double resident_kib(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        runs_die("open", path);
    unsigned long size = 0, pss, all = 0;
    while (fgets(line, sizeof(line), f) != NULL) {
        sscanf(line, "Size: %lu", &size);
        if (sscanf(line, "Pss: %lu", &pss) == 1 && size < GUEST_KIB)
            all += pss;
    }
    fclose(f);
    return (double)all;
}

static void one_run(struct vmm *v, const char *exiting, const char *staying, int round)
{
    int fd, status;
    struct rusage use;
    double begin = runs_now_ms();
    pid_t pid = start(v, exiting, &fd);
    await_byte(v, fd, pid);
    v->samples[WALL_MS][round] = runs_now_ms() - begin;
    close(fd);
    if (wait4(pid, &status, 0, &use) < 0)
        runs_die("wait for", v->name);
    v->samples[LIFE_MS][round] = runs_now_ms() - begin;
    v->samples[CPU_MS][round] = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 +
                                (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;

    pid = start(v, staying, &fd);
    await_byte(v, fd, pid);
    v->samples[MEMORY_KIB][round] = resident_kib(pid);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(fd);
}

static double median_ratio(const struct vmm *a, const struct vmm *b, int figure, int n)
{
    return runs_median_ratio(a->samples[figure], b->samples[figure], n);
}

static void print_table(const struct vmm *ours, const struct vmm *other, int n)
{
    printf("%-36s %10s %10s %8s\n", "median of interleaved runs", ours->name,
           other->present ? other->name : "-", "ratio");
    for (int f = 0; f < FIGURES; f++) {
        printf("%-36s %10.2f", figure_titles[f], runs_median(ours->samples[f], n));
        if (other->present)
            printf(" %10.2f %8.3f", runs_median(other->samples[f], n),
                   median_ratio(ours, other, f, n));
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
        for (int f = 0; f < FIGURES; f++)
            runs_json_figure(o, figure_names[f], both[i]->samples[f], n);
    }
    if (other->present) {
        cJSON *o = cJSON_AddObjectToObject(root, "ratio");
        for (int f = 0; f < FIGURES; f++)
            cJSON_AddNumberToObject(o, figure_names[f], median_ratio(ours, other, f, n));
    }
    runs_json_print(root);
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
    if (argc - optind != 3 || rounds < 1 || rounds > RUNS_MAX)
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
                                RUNS_QEMU_CPU,
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
        runs_progress(i + 1, rounds, "");
        one_run(&ours, argv[optind + 1], argv[optind + 2], i);
        if (qemu.present)
            one_run(&qemu, argv[optind + 1], argv[optind + 2], i);
    }
    runs_progress(0, rounds, NULL);
    (json ? print_json : print_table)(&ours, &qemu, rounds);
    return 0;
}
