// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a network card gives: frames a second, the time until an answer, and the CPU time they cost,
 * under Minivet and under QEMU's microvm, in interleaved runs.
 *
 * The guest is the bare-metal net.c: it polls, so that no driver and no interrupt is measured. The
 * other end of a tap is the host's kernel: it drops what it is sent, answers ARP in the call that
 * brings the question, and counts. Only to send frames to the guest is a thread needed here.
 */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "net.h"
#include "results.h"
#include "runs.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

static const struct pattern patterns[] = {
    {"tap-tx", "tap: 64 bytes to the host, 128 in flight", TAP, UNWANTED, 64, 128, false, false},
    {"tap-rx", "tap: 64 bytes from the host", TAP, UNWANTED, 64, 0, false, true},
    {"tap-both", "tap: 64 bytes that the host answers, 64 in flight", TAP, ARP, 64, 64, true,
     false},
    {"tap-trip", "tap: 64 bytes that the host answers, depth 1", TAP, ARP, 64, 1, true, false},
    {"tap-tso", "tap: 64 KiB of TCP to the host, 32 in flight", TAP, TCP, 65226, 32, false, false},
    {"tap-gro", "tap: 64 KiB of TCP from the host", TAP, TCP, 65226, 0, false, true},
    {"user-tx", "user: UDP to the host, 1400 bytes, 64 in flight", USER, UDP, 1442, 64, false,
     false},
    {"user-trip", "user: UDP that the host answers, depth 1", USER, UDP, 64, 1, true, false},
    {"null-tx", "null: 64 bytes to nobody, 128 in flight", NONE, UNWANTED, 64, 128, false, false},
};

static struct contender contenders[] = {
    {.name = "minivet"},
    {.name = "qemu", .qemu = true},
    {.name = "minivet-vhost", .vhost = true},
    {.name = "qemu-vhost", .qemu = true, .vhost = true},
    {.name = "minivet-packed", .packed = true, .variant = "packed"},
    {.name = "qemu-packed", .qemu = true, .packed = true, .variant = "packed"},
};

#define PATTERNS   COUNT(patterns)
#define CONTENDERS COUNT(contenders)

static int rival(const struct results *r, int p, int c, int n);

static struct results results = {
    .bench = "net",
    .figures = {[FRAMES] = {"frames_per_s", "frames/s"},
                [MB_S] = {"mb_per_s", "MB/s"},
                [P50_US] = {"p50_us", "p50 us"},
                [P99_US] = {"p99_us", "p99 us"},
                [CPU_US] = {"cpu_us_per_frame", "CPU us"},
                [KICKS] = {"kicks_per_frame", "kicks"}},
    .rival = rival,
};

/* ---- who takes part ---- */

static void name_all(void)
{
    for (int p = 0; p < PATTERNS; p++) {
        results.patterns[p].name = patterns[p].name;
        results.patterns[p].title = patterns[p].title;
    }
    for (int c = 0; c < CONTENDERS; c++)
        results.contenders[c].name = contenders[c].name;
}

static bool ask_for(const char *variant)
{
    bool any = false;
    for (int c = 0; c < CONTENDERS; c++) {
        if (contenders[c].variant != NULL && strcmp(contenders[c].variant, variant) == 0)
            contenders[c].asked_for = any = true;
    }
    return any;
}

/* Who cannot take part is told of; that QEMU is not installed, tools/bench has told. */
static void sort_out(const struct load *l)
{
    bool vhost = access("/dev/vhost-net", R_OK | W_OK) == 0;
    for (int i = 0; i < CONTENDERS; i++) {
        struct contender *c = &contenders[i];
        if (c->variant == NULL || c->asked_for)
            c->present = (!c->qemu || l->qemu != NULL) && (!c->vhost || vhost);
    }
    if (!vhost)
        fprintf(stderr, "bench: vhost-net is left out: /dev/vhost-net cannot be opened\n");
}

/* Of the patterns that were asked for, those whose network there is. False: none is left. */
static bool choose_networks(void)
{
    bool any = false, has_tap, has_user = net_host_open(&has_tap);
    for (int p = 0; p < PATTERNS; p++) {
        enum network network = patterns[p].network;
        results.patterns[p].chosen &= network == NONE || (network == TAP ? has_tap : has_user);
        any |= results.patterns[p].chosen;
    }
    return any;
}

/* Like with like: the other VMM in the same variant, and the kernel's way with one's own. */
static int rival(const struct results *r, int p, int c, int n)
{
    const struct contender *own = &contenders[c];
    for (int i = 0; i < CONTENDERS; i++) {
        const struct contender *other = &contenders[i];
        bool same = other->vhost == own->vhost && other->packed == own->packed;
        if (n == 0 && !own->qemu && other->qemu && same && r->took_part[p][i])
            return i;
    }
    return -1;
}

/* ---- running ---- */

static void run_all(const struct load *l)
{
    for (int round = 0; round < results.rounds; round++) {
        for (int p = 0; p < PATTERNS; p++) {
            for (int c = 0; c < CONTENDERS && results.patterns[p].chosen; c++) {
                if (!contenders[c].present || (contenders[c].vhost && patterns[p].network != TAP))
                    continue;
                char what[128];
                double figures[FIGURES];
                snprintf(what, sizeof(what), "%s %s", patterns[p].name, contenders[c].name);
                runs_progress(round + 1, results.rounds, what);
                net_run_vm(l, &contenders[c], &patterns[p], figures);
                results_note(&results, p, c, round, figures);
            }
        }
    }
    runs_progress(0, results.rounds, NULL);
}

static void print_table(const struct load *l)
{
    printf("medians of %d interleaved runs of %g s\n", results.rounds, l->seconds);
    printf("CPU us: of a frame, of all threads but the vCPU's; kicks: of a frame\n");
    results_print(&results);
}

static void print_json(const struct load *l)
{
    cJSON *root = results_json(&results);
    cJSON_AddNumberToObject(root, "seconds", l->seconds);
    runs_json_print(root);
}

/* ---- command line ---- */

static int usage(FILE *out)
{
    fputs("usage: minivet bench net [--runs N] [--seconds S] [--only PATTERN] [--with packed] "
          "[--json]\n"
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
        {"runs", required_argument, NULL, 'n'},    {"seconds", required_argument, NULL, 's'},
        {"only", required_argument, NULL, 'o'},    {"with", required_argument, NULL, 'w'},
        {"minivet", required_argument, NULL, 'm'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {0}};
    struct load l = {.seconds = 1};
    const char *only = "";
    bool json = false, ok = true;
    int c;
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
        !(l.seconds > 0) || !results_choose(&results, only))
        return usage(stderr);
    if (l.minivet == NULL)
        l.minivet = bench_minivet();
    l.guest = bench_guest("net");
    l.qemu = vmm_program("qemu-system-x86_64");
    sort_out(&l);
    if (!choose_networks())
        return 1;
    run_all(&l);
    (json ? print_json : print_table)(&l);
    return 0;
}
