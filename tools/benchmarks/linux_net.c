// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a network gives to a stock Linux: iperf3 to the host and from it, under Minivet and under
 * QEMU's microvm and q35, in interleaved runs. In each round each VMM boots once, with a card for
 * each network, and its guest works through all patterns (linux_net.guest).
 *
 * The server is here, in a network namespace with the taps. Its CPU time, the guest's, the VMM's
 * and the kernel's are counted together, since vhost-net's belongs to no process: they are
 * what all processors of the host did, on which nothing else should be going on.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "linux_vm.h"
#include "netns.h"
#include "results.h"
#include "runs.h"
#include "vm.h"

#define COUNT(a) (int)(sizeof(a) / sizeof((a)[0]))

enum network { USER, TAP, VHOST, NETWORKS };

enum figure { MBIT_S, CPU_S, FIGURES };

static const struct {
    const char *name, *title;
    enum network network;
} patterns[] = {
    {"user-out-1", "user: 1 stream to the host", USER},
    {"user-in-1", "user: 1 stream from the host", USER},
    {"user-out-8", "user: 8 streams to the host", USER},
    {"user-in-8", "user: 8 streams from the host", USER},
    {"tap-out-1", "tap: 1 stream to the host", TAP},
    {"tap-in-1", "tap: 1 stream from the host", TAP},
    {"tap-out-8", "tap: 8 streams to the host", TAP},
    {"tap-in-8", "tap: 8 streams from the host", TAP},
    {"vhost-out-1", "tap with vhost-net: 1 stream to the host", VHOST},
    {"vhost-in-1", "tap with vhost-net: 1 stream from the host", VHOST},
    {"vhost-out-8", "tap with vhost-net: 8 streams to the host", VHOST},
    {"vhost-in-8", "tap with vhost-net: 8 streams from the host", VHOST},
};

static const struct {
    const char *name, *address;
} taps[NETWORKS] = {[TAP] = {"linux0", "10.9.0.1"}, [VHOST] = {"linux1", "10.9.1.1"}};

#define MAC(n) "mac=52:54:00:00:00:0" #n " "
#define MINIVET_CARDS                                                                         \
    {                                                                                         \
        "--net user," MAC(1), "--net tap=linux0," MAC(2), "--net tap=linux1,vhost=on," MAC(3) \
    }
#define QEMU_TAP(n) "script=no,downscript=no,ifname=linux" #n
#define QEMU_CARDS(device)                                                              \
    {                                                                                   \
        "-netdev user,id=user -device " device ",netdev=user," MAC(1),                  \
            "-netdev tap,id=tap," QEMU_TAP(0) " -device " device ",netdev=tap," MAC(2), \
            "-netdev tap,id=vhost,vhost=on," QEMU_TAP(1) " -device " device             \
                                                         ",netdev=vhost," MAC(3)        \
    }
#define QEMU_DISK "-drive if=none,id=tools,format=raw,readonly=on,file={disk} "

static const struct contender {
    const char *name, *line, *cards[NETWORKS];
    bool qemu;
} contenders[] = {
    {"minivet", LINUX_MINIVET "-d {disk},ro ", MINIVET_CARDS, false},
    {"qemu-microvm", LINUX_QEMU_MICROVM QEMU_DISK "-device virtio-blk-device,drive=tools ",
     QEMU_CARDS("virtio-net-device"), true},
    {"minivet-pci", LINUX_MINIVET "--virtio transport=pci -d {disk},ro ", MINIVET_CARDS, false},
    {"qemu-q35", LINUX_QEMU_Q35 QEMU_DISK "-device virtio-blk-pci,drive=tools ",
     QEMU_CARDS("virtio-net-pci,romfile="), true},
};

#define PATTERNS   COUNT(patterns)
#define CONTENDERS COUNT(contenders)

struct load {
    int seconds; /* iperf3 takes no others */
    const char *cpus, *mem, *minivet, *qemu, *iperf3, *kernel, *initrd, *disk;
    bool has[NETWORKS];
};

static int rival(const struct results *r, int p, int c, int n);

static struct results results = {
    .bench = "linux-net",
    .rounds = 5,
    .figures = {[MBIT_S] = {.name = "mbit_per_s", .title = "Mbit/s"},
                [CPU_S] = {.name = "cpu_s_per_gb", .title = "CPU s/GB"}},
    .rival = rival,
};

/* Those with the same transport are neighbours; then the other. */
static int rival(const struct results *r, int p, int c, int n)
{
    int other = n == 0 ? c + 1 : (c + 3) % CONTENDERS;
    return !contenders[c].qemu && n < 2 && r->took_part[p][other] ? other : -1;
}

/* ---- the host ---- */

static pid_t server;

static void stop_server(void)
{
    kill(server, SIGTERM);
}

/* A server for each stream: one that goes on sometimes ends after a client has gone. */
static void start_server(const struct load *l)
{
    static char script[] = "trap 'kill $!; exit' TERM INT HUP\n"
                           "while :; do\n"
                           "    \"$0\" -s -1 --logfile /dev/null & wait $!\n"
                           "done";
    int fd;
    char *const argv[] = {"/bin/sh", "-c", script, (char *)l->iperf3, NULL};
    server = runs_start("iperf3", argv, -1, &fd);
    close(fd);
    atexit(stop_server);
}

static bool prepare_tap(enum network n)
{
    return netns_make_tap(taps[n].name) && netns_set_up(taps[n].name, taps[n].address);
}

/* The networks that there are. What is missing is said. */
static void prepare(struct load *l)
{
    if (!netns_enter())
        runs_die("a network namespace", "of its own");
    l->has[USER] = true;
    l->has[TAP] = prepare_tap(TAP);
    if (!l->has[TAP])
        perror("bench: no tap");
    l->has[VHOST] = l->has[TAP] && access("/dev/vhost-net", R_OK | W_OK) == 0 && prepare_tap(VHOST);
    if (!l->has[VHOST])
        fprintf(stderr, "bench: vhost-net is left out: /dev/vhost-net cannot be opened\n");
    for (int p = 0; p < PATTERNS; p++)
        results.patterns[p].chosen &= l->has[patterns[p].network];
    start_server(l);
}

/* What all processors did: all the time of /proc/stat but the fourth and the fifth figure, which
 * are idleness, and the last two, which are in the first two. */
static double busy_s(void)
{
    char line[512];
    double s = 0;
    FILE *f = fopen("/proc/stat", "re");
    if (f == NULL || fgets(line, sizeof(line), f) == NULL)
        runs_die("read", "/proc/stat");
    fclose(f);
    char *at = line + strlen("cpu ");
    for (int i = 1; i <= 8; i++) {
        double ticks = strtod(at, &at);
        s += i == 4 || i == 5 ? 0 : ticks;
    }
    return s / (double)sysconf(_SC_CLK_TCK);
}

/* ---- a VMM's turn ---- */

static pid_t boot(const struct load *l, const struct contender *c, int *fd)
{
    char line[2048], append[512];
    int len = snprintf(line, sizeof(line), "%s", c->line);
    for (int n = 0; n < NETWORKS; n++) {
        if (l->has[n])
            len += snprintf(line + len, sizeof(line) - (size_t)len, "%s", c->cards[n]);
        if (l->has[n] && taps[n].name != NULL && !netns_make_tap(taps[n].name))
            runs_die("this is not free:", taps[n].name);
    }
    len = snprintf(append, sizeof(append),
                   "console=ttyS0 quiet panic=-1 seconds=%d orders=", l->seconds);
    for (int p = 0; p < PATTERNS; p++) {
        if (results.patterns[p].chosen)
            len += snprintf(append + len, sizeof(append) - (size_t)len, "%s,", patterns[p].name);
    }
    const struct linux_value values[] = {
        {"minivet", l->minivet}, {"qemu", l->qemu},     {"cpu", RUNS_QEMU_CPU}, {"cpus", l->cpus},
        {"mem", l->mem},         {"kernel", l->kernel}, {"initrd", l->initrd},  {"append", append},
        {"disk", l->disk},       {NULL, NULL},
    };
    return linux_vm_start(c->name, line, values, -1, 0, fd);
}

/* The guest's clock must be about the host's. */
static void stream(struct vm_run *r, const struct load *l, int p, double figures[FIGURES])
{
    char words[64];
    snprintf(words, sizeof(words), "net: start %s", patterns[p].name);
    vm_await_line(r, words);
    double busy = busy_s(), ms = runs_now_ms();
    snprintf(words, sizeof(words), "net: end %s ", patterns[p].name);
    const char *line = vm_await_line(r, words);
    busy = busy_s() - busy;
    double s = (runs_now_ms() - ms) / 1e3;
    figures[MBIT_S] = vm_number(r, line, "kbits") / 1e3;
    figures[CPU_S] = busy / (figures[MBIT_S] / 8e3 * l->seconds);
    errno = 0;
    if (!(figures[MBIT_S] > 0))
        vm_give_up(r, "nothing came through under");
    if (s < l->seconds * 0.9 || s > l->seconds * 2 + 2)
        vm_give_up(r, "another clock than the host's in the guest of");
    r->len = 0;
    r->text[0] = '\0';
}

static void turn(const struct load *l, int round, int c)
{
    struct vm_run r = {.name = contenders[c].name};
    r.pid = boot(l, &contenders[c], &r.fd);
    for (int p = 0; p < PATTERNS; p++) {
        if (!results.patterns[p].chosen)
            continue;
        char what[128];
        double figures[FIGURES];
        snprintf(what, sizeof(what), "%s %s", contenders[c].name, patterns[p].name);
        runs_progress(round + 1, results.rounds, what);
        stream(&r, l, p, figures);
        results_note(&results, p, c, round, figures);
    }
    vm_end(&r);
}

/* ---- results ---- */

static void print_table(const struct load *l)
{
    printf("medians of %d interleaved runs of %d s, Linux with %s processors and %s MiB\n",
           results.rounds, l->seconds, l->cpus, l->mem);
    printf("CPU s/GB: of all processors, for the guest, the VMM, the kernel and the server\n");
    results_print(&results);
}

static void print_json(const struct load *l)
{
    cJSON *root = results_json(&results);
    cJSON_AddNumberToObject(root, "seconds", l->seconds);
    runs_json_print(root, NULL);
}

/* ---- command line ---- */

static int usage(FILE *out)
{
    fputs("usage: bench_linux_net [--runs N] [--seconds S] [--only PATTERN] [--json] [--cpus N]\n"
          "                       [--mem MIB] [--qemu FILE] MINIVET IPERF3 KERNEL INITRD DISK\n"
          "patterns:",
          out);
    for (int p = 0; p < PATTERNS; p++)
        fprintf(out, " %s", patterns[p].name);
    fputc('\n', out);
    return out == stderr ? 2 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"runs", required_argument, NULL, 'n'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"cpus", required_argument, NULL, 'c'},
                                            {"mem", required_argument, NULL, 'm'},
                                            {"qemu", required_argument, NULL, 'q'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct load l = {.seconds = 2, .cpus = "1", .mem = "512"};
    const char *only = "";
    bool json = false;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'n':
            results.rounds = (int)strtol(optarg, NULL, 10);
            break;
        case 's':
            l.seconds = (int)strtol(optarg, NULL, 10);
            break;
        case 'o':
            only = optarg;
            break;
        case 'c':
            l.cpus = optarg;
            break;
        case 'm':
            l.mem = optarg;
            break;
        case 'q':
            l.qemu = optarg;
            break;
        case 'j':
            json = true;
            break;
        default:
            return usage(c == 'h' ? stdout : stderr);
        }
    }
    for (int p = 0; p < PATTERNS; p++) {
        results.patterns[p].name = patterns[p].name;
        results.patterns[p].title = patterns[p].title;
    }
    for (int i = 0; i < CONTENDERS; i++)
        results.contenders[i].name = contenders[i].name;
    if (argc - optind != 5 || results.rounds < 1 || results.rounds > RUNS_MAX || l.seconds < 1 ||
        !results_choose(&results, only))
        return usage(stderr);
    l.minivet = argv[optind];
    l.iperf3 = argv[optind + 1];
    l.kernel = argv[optind + 2];
    l.initrd = argv[optind + 3];
    l.disk = argv[optind + 4];
    prepare(&l);
    for (int round = 0; round < results.rounds; round++) {
        for (int i = 0; i < CONTENDERS; i++) {
            if (!contenders[i].qemu || l.qemu != NULL)
                turn(&l, round, i);
        }
    }
    runs_progress(0, results.rounds, NULL);
    (json ? print_json : print_table)(&l);
    return 0;
}
