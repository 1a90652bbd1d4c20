// SPDX-License-Identifier: BSD-2-Clause
/*
 * A network card: frames a second, the time until an answer, and the CPU time they cost,
 * in interleaved runs.
 *
 * The guest is the bare-metal net.c: it polls, so that no driver and no interrupt is measured. The
 * other end of a tap is the host's kernel: it drops what it is sent, answers ARP in the call that
 * brings the question, and counts. Only to send frames to the guest is a thread needed here.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "net.h"
#include "vm.h"

static const struct net_pattern patterns[] = {
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
    {"null-tx", "null: 64 bytes, dropped by the backend, 128 in flight", NONE, UNWANTED, 64, 128,
     false, false},
    {0},
};

#define TAP_WORD "tap=" NET_TAP_NAME
#define QEMU_TAP "-netdev tap,id=net,script=no,downscript=no,ifname=" NET_TAP_NAME
#define PACKED   "packed"
#define VHOST    "vhost"

static const struct vmm_way ways[] = {
    {"minivet", NULL, NULL, "", false},
    {"qemu", NULL, NULL, "", false},
    {"minivet", VHOST, VHOST, "", false},
    {"qemu", VHOST, VHOST, "", false},
    {"minivet", PACKED, PACKED, "", true},
    {"qemu", PACKED, PACKED, "", true},
    {0},
};

enum figure { FRAMES, MB_S, P50_US, P99_US, CPU_US, KICKS };

static struct results results = {
    .bench = "net",
    .title = "Throughput and latency of a network card",
    .rounds = 6,
    .figures =
        {[FRAMES] = {.name = "frames_per_s",
                     .title = "frames/s",
                     .unit = "frames/s",
                     .more_is_better = true},
         [MB_S] = {.name = "mb_per_s", .title = "MB/s", .unit = "MB/s", .more_is_better = true},
         [P50_US] = {.name = "p50_us",
                     .title = "p50 us",
                     .label = "until the answer, median",
                     .unit = "µs"},
         [P99_US] = {.name = "p99_us", .title = "p99 us"},
         [CPU_US] = {.name = "cpu_us_per_frame", .title = "CPU us"},
         [KICKS] = {.name = "kicks_per_frame", .title = "kicks"}},
};

/* ---- which VMMs take part ---- */

static bool has_tap, has_user, has_vhost;

static void prepare(struct bench *b)
{
    (void)b;
    has_user = net_host_open(&has_tap);
    has_vhost = access("/dev/vhost-net", R_OK | W_OK) == 0;
    if (!has_vhost)
        fputs("bench: vhost-net is left out: /dev/vhost-net cannot be opened\n", stderr);
}

static bool is(const struct vmm *v, const char *kind)
{
    return v->way->kind != NULL && strcmp(v->way->kind, kind) == 0;
}

static bool can(const struct bench *b, const struct vmm *v, int pattern)
{
    enum network network = patterns[pattern].network;
    (void)b;
    if (network == TAP)
        return has_tap && (has_vhost || !is(v, VHOST));
    return !is(v, VHOST) && (network == NONE || has_user);
}

/* ---- a run ---- */

static void order_guest(const struct bench *b, const struct vmm *v, const struct net_pattern *p,
                        char orders[VM_TEXT_BYTES])
{
    double second = vm_ticks_per_us() * 1e6;
    snprintf(orders, VM_TEXT_BYTES,
             "kind=%d size=%u depth=%u answers=%d port=%d room=%u packed=%d ticks=%.0f warm=%.0f "
             "linger=%.0f",
             (int)p->kind, p->bytes, p->from_host ? 0 : p->depth, p->answers, NET_UDP_PORT,
             p->bytes > 2000 ? 4096 : 2048, is(v, PACKED), b->seconds * second,
             b->seconds * second / 5, VM_LINGER_MS * second / 1e3);
}

/* QEMU's card takes and drops everything where it has no network, if not without a warning. */
static void choose_words(const struct vmm *v, enum network network, char words[VM_TEXT_BYTES])
{
    static const char *const ours[] = {TAP_WORD, "user", "null"};
    static const char *const backends[] = {QEMU_TAP, "-netdev user,id=net", ""};
    const char *packed = is(v, PACKED) ? "on" : "off";
    if (strcmp(v->family, "minivet") == 0)
        snprintf(words, VM_TEXT_BYTES, "--rng off -n %s,ring=%s%s ", ours[network],
                 is(v, PACKED) ? "packed" : "split", is(v, VHOST) ? ",vhost=on" : "");
    else
        snprintf(words, VM_TEXT_BYTES, "%s%s -device virtio-net-{bus},packed=%s%s ",
                 backends[network], is(v, VHOST) ? ",vhost=on" : "", packed,
                 network == NONE ? "" : ",netdev=net");
}

static void figure_out(struct vm_run *r, const struct net_pattern *p, const char *line, double us,
                       double cpu_us, double *figures)
{
    double frames = vm_number(r, line,
                              p->answers     ? "answered"
                              : p->from_host ? "received"
                                             : "sent");
    double bytes = p->from_host ? vm_number(r, line, "bytes") : frames * p->bytes;
    bool latency = p->answers && p->depth == 1;
    errno = 0;
    if (!(frames > 0))
        vm_give_up(r, "no frame came through under");
    figures[FRAMES] = frames / us * 1e6;
    figures[MB_S] = bytes / us;
    figures[P50_US] = latency ? vm_number(r, line, "p50") / vm_ticks_per_us() : NAN;
    figures[P99_US] = latency ? vm_number(r, line, "p99") / vm_ticks_per_us() : NAN;
    figures[CPU_US] = cpu_us / frames;
    figures[KICKS] = vm_number(r, line, "kicks") / frames;
}

/* What the guest says that it has sent must have come out at the other end: all but a tenth. */
static void check_sent(struct vm_run *r, const struct net_pattern *p, const char *line, double came)
{
    double sent = vm_number(r, line, "sent");
    errno = 0;
    if (p->network == NONE || p->answers || p->from_host || came > sent * 0.9)
        return;
    fprintf(stderr, "bench: of %.0f frames %.0f arrived\n", sent, came);
    vm_give_up(r, "frames were lost under");
}

static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    const struct net_pattern *p = &patterns[pattern];
    char orders[VM_TEXT_BYTES], words[VM_TEXT_BYTES];
    struct vm_run r = {.name = v->name};
    order_guest(b, v, p, orders);
    choose_words(v, p->network, words);
    struct vmm_guest g = {
        .kernel = bench_guest("net"), .append = orders, .mem_mib = 128, .cpus = 1, .words = words};
    net_host_begin(p);
    double before = net_host_frames(p);
    r.pid = vmm_start(v, &g, -1, &r.fd);
    vm_await_line(&r, "net: start\n");
    struct vm_moment from = vm_now(&r);
    const char *line = vm_await_line(&r, "net: end ");
    struct vm_moment to = vm_now(&r);
    figure_out(&r, p, line, vm_us(&r, line, &from, &to), to.cpu_us - from.cpu_us, figures);
    check_sent(&r, p, line, net_host_frames(p) - before);
    vm_end(&r);
    net_host_end();
}

int main(int argc, char **argv)
{
    struct bench b = {
        .results = &results,
        .run = run,
        .can = can,
        .prepare = prepare,
        .ways = ways,
        .seconds = 1,
        .about = "\nFrames a second, the time until an answer, and what they cost.\n",
        .notes = "CPU: of a frame, of all threads but the vCPU's; kicks: of a frame\n",
    };
    for (int p = 0; patterns[p].name != NULL; p++) {
        results.patterns[p].name = patterns[p].name;
        results.patterns[p].title = patterns[p].title;
        if (patterns[p].depth == 1)
            results.patterns[p].plotted = 1 << P50_US;
        else if (patterns[p].kind == TCP)
            results.patterns[p].plotted = 1 << MB_S;
    }
    return bench_main(&b, argc, argv);
}
