// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a disk gives: requests a second, latency, and the CPU time they cost, under Minivet, under
 * QEMU's microvm in each of its ways to a file, and on the host without a VM.
 *
 * All of them read and write the same file with the same pattern, in interleaved runs. The guest is
 * the bare-metal blk.c: it polls, so that no driver and no interrupt is measured.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "blk.h"
#include "results.h"
#include "runs.h"

#define FILE_BYTES (1ull << 30)
#define KIB        1024u
#define MIB        (1024u * KIB)
#define COUNT(a)   (int)(sizeof(a) / sizeof((a)[0]))

static const struct pattern patterns[] = {
    {"read-1", "4 KiB random read, depth 1", false, false, 4 * KIB, 1, 0},
    {"read-32", "4 KiB random read, depth 32", false, false, 4 * KIB, 32, 0},
    {"read-128", "4 KiB random read, depth 128", false, false, 4 * KIB, 128, 0},
    {"write-32", "4 KiB random write, depth 32", true, false, 4 * KIB, 32, 0},
    {"seq-8", "1 MiB sequential read, depth 8", false, true, MIB, 8, 0},
    {"sleepy-1", "4 KiB random read, depth 1, after 100 us of nothing", false, false, 4 * KIB, 1,
     100},
};

static struct contender contenders[] = {
    {.name = "minivet", .vmm = MINIVET},
    {.name = "qemu-native", .vmm = QEMU, .aio = "native"},
    {.name = "qemu-io_uring", .vmm = QEMU, .aio = "io_uring"},
    {.name = "qemu-threads", .vmm = QEMU, .aio = "threads"},
    {.name = "fio", .vmm = FIO},
    {.name = "minivet-packed", .vmm = MINIVET, .variant = "packed", .packed = true},
    {.name = "qemu-packed", .vmm = QEMU, .variant = "packed", .aio = "io_uring", .packed = true},
    {.name = "minivet-null", .vmm = MINIVET, .variant = "null", .null = true},
    {.name = "qemu-null", .vmm = QEMU, .variant = "null", .null = true},
};

#define PATTERNS   COUNT(patterns)
#define CONTENDERS COUNT(contenders)

static int rival(const struct results *r, int p, int c, int n);

static struct results results = {
    .bench = "blk",
    .figures = {[IOPS] = {"iops", "IOPS"},
                [MB_S] = {"mb_per_s", "MB/s"},
                [P50_US] = {"p50_us", "p50 us"},
                [P99_US] = {"p99_us", "p99 us"},
                [CPU_US] = {"cpu_us_per_request", "CPU us"},
                [KICKS] = {"kicks_per_request", "kicks"}},
    .rival = rival,
};
static char own_file[64]; /* removed at the end */

/* ---- the file ---- */

static void remove_own_file(void)
{
    if (own_file[0] != '\0')
        unlink(own_file);
}

static void on_signal(int sig)
{
    remove_own_file();
    _exit(128 + sig);
}

static const char *make_file(void)
{
    static char zeros[MIB];
    snprintf(own_file, sizeof(own_file), "/dev/shm/minivet-bench-%d", (int)getpid());
    atexit(remove_own_file);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    int fd = open(own_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        runs_die("create", own_file);
    for (unsigned long long done = 0; done < FILE_BYTES; done += sizeof(zeros)) {
        if (write(fd, zeros, sizeof(zeros)) != (ssize_t)sizeof(zeros))
            runs_die("fill", own_file);
    }
    close(fd);
    return own_file;
}

/* tmpfs has no O_DIRECT before Linux 6.6. */
static bool can_bypass_cache(const char *file)
{
    int fd = open(file, O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    else if (errno != EINVAL)
        runs_die("open", file);
    return fd >= 0;
}

/* ---- who takes part ---- */

static bool same_variant(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Variants, with commas between them. */
static bool ask_for(char *list)
{
    char *rest = NULL;
    for (const char *v = strtok_r(list, ",", &rest); v != NULL; v = strtok_r(NULL, ",", &rest)) {
        bool any = false;
        for (int i = 0; i < CONTENDERS; i++) {
            if (contenders[i].variant != NULL && strcmp(contenders[i].variant, v) == 0)
                contenders[i].asked_for = any = true;
        }
        if (!any)
            return false;
    }
    return true;
}

/* Who cannot take part is told of; that a program is not installed, tools/bench has told. */
static void sort_out(const struct load *l)
{
    const char *const programs[] = {[MINIVET] = l->minivet, [QEMU] = l->qemu, [FIO] = l->fio};
    for (int i = 0; i < CONTENDERS; i++) {
        struct contender *c = &contenders[i];
        if (c->variant != NULL && !c->asked_for)
            continue;
        bool native = c->aio != NULL && strcmp(c->aio, "native") == 0;
        c->present = programs[c->vmm] != NULL && (l->direct || !native);
        if (programs[c->vmm] != NULL && !c->present)
            fprintf(stderr, "bench: %s is left out: the file system refuses O_DIRECT\n", c->name);
    }
}

static void name_all(void)
{
    for (int p = 0; p < PATTERNS; p++) {
        results.patterns[p].name = patterns[p].name;
        results.patterns[p].title = patterns[p].title;
    }
    for (int c = 0; c < CONTENDERS; c++)
        results.contenders[c].name = contenders[c].name;
}

/* ---- running ---- */

static void one_run(const struct load *l, int p, int c, int round)
{
    double figures[FIGURES];
    if (contenders[c].vmm == FIO)
        blk_run_fio(l, &patterns[p], figures);
    else
        blk_run_vm(l, &contenders[c], &patterns[p], figures);
    results_note(&results, p, c, round, figures);
}

static void run_all(const struct load *l)
{
    const int rounds = results.rounds;
    for (int round = 0; round < rounds; round++) {
        for (int p = 0; p < PATTERNS; p++) {
            for (int c = 0; c < CONTENDERS && results.patterns[p].chosen; c++) {
                if (!contenders[c].present)
                    continue;
                char what[128];
                snprintf(what, sizeof(what), "%s %s", patterns[p].name, contenders[c].name);
                runs_progress(round + 1, rounds, what);
                one_run(l, p, c, round);
            }
        }
    }
    runs_progress(0, rounds, NULL);
}

/* ---- results ---- */

/* With a pause between requests there are as many a second as the pause allows: latency counts. */
static bool better(int p, int c, int than)
{
    if (patterns[p].gap_us != 0)
        return results_median(&results, p, c, P50_US) < results_median(&results, p, than, P50_US);
    return results_median(&results, p, c, IOPS) > results_median(&results, p, than, IOPS);
}

/* The best of a kind. */
static int best_of(int p, int c, enum maker vmm)
{
    int best = -1;
    for (int i = 0; i < CONTENDERS; i++) {
        if (contenders[i].present && contenders[i].vmm == vmm &&
            same_variant(contenders[i].variant, contenders[c].variant) &&
            (best < 0 || better(p, i, best)))
            best = i;
    }
    return best;
}

/* Minivet's are compared with the best of QEMU's and with fio. */
static int rival(const struct results *r, int p, int c, int n)
{
    (void)r;
    if (contenders[c].vmm != MINIVET)
        return -1;
    int qemu = best_of(p, c, QEMU), fio = best_of(p, c, FIO);
    if (n == 0)
        return qemu >= 0 ? qemu : fio;
    return n == 1 && qemu >= 0 ? fio : -1;
}

static void print_table(const struct load *l)
{
    printf("%s, %s the page cache; medians of %d interleaved runs of %g s\n", l->file,
           l->direct ? "around" : "through", results.rounds, l->seconds);
    printf("CPU us: of a request, of all threads but the vCPU's; kicks: of a request\n");
    results_print(&results);
}

static void print_json(const struct load *l)
{
    cJSON *root = results_json(&results);
    cJSON_AddStringToObject(root, "file", l->file);
    cJSON_AddBoolToObject(root, "direct", l->direct);
    cJSON_AddNumberToObject(root, "seconds", l->seconds);
    runs_json_print(root);
}

/* ---- command line ---- */

static int usage(FILE *out)
{
    fputs("usage: minivet bench blk [--runs N] [--seconds S] [--requests N] [--file FILE] [--only "
          "PATTERN]\n"
          "                 [--with packed,null] [--json]\n"
          "patterns:",
          out);
    for (int p = 0; p < PATTERNS; p++)
        fprintf(out, " %s", patterns[p].name);
    fputc('\n', out);
    return out == stderr ? 2 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"runs", required_argument, NULL, 'n'},     {"seconds", required_argument, NULL, 's'},
        {"requests", required_argument, NULL, 'r'}, {"file", required_argument, NULL, 'd'},
        {"only", required_argument, NULL, 'o'},     {"with", required_argument, NULL, 'w'},
        {"minivet", required_argument, NULL, 'm'},  {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},           {0}};
    struct load l = {.seconds = 1, .requests = UINT32_MAX};
    const char *only = "";
    int c;
    bool json = false, ok = true;
    name_all();
    results.rounds = 5;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'n':
            results.rounds = (int)strtol(optarg, NULL, 10);
            break;
        case 's':
            l.seconds = strtod(optarg, NULL);
            break;
        case 'r':
            l.requests = strtoull(optarg, NULL, 10);
            break;
        case 'd':
            l.file = optarg;
            break;
        case 'o':
            only = optarg;
            break;
        case 'w':
            ok = ask_for(optarg);
            break;
        case 'm':
            l.minivet = optarg;
            break;
        case 'j':
            json = true;
            break;
        default:
            return usage(c == 'h' ? stdout : stderr);
        }
    }
    if (!ok || argc != optind || results.rounds < 1 || results.rounds > RUNS_MAX ||
        !(l.seconds > 0) || l.requests == 0 || !results_choose(&results, only))
        return usage(stderr);
    if (l.minivet == NULL)
        l.minivet = bench_minivet();
    l.guest = bench_guest("blk");
    l.qemu = vmm_program("qemu-system-x86_64");
    l.fio = vmm_program("fio");
    if (l.file == NULL)
        l.file = make_file();
    l.direct = can_bypass_cache(l.file);
    sort_out(&l);
    run_all(&l);
    (json ? print_json : print_table)(&l);
    return 0;
}
