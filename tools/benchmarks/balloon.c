// SPDX-License-Identifier: BSD-2-Clause
/*
 * How soon the host has what a guest gives back: 1 GiB by the balloon, in 4 KiB pages, and 512 MiB
 * by free page reports. The guest is the bare-metal balloon.c, which polls: no driver is measured.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "proc.h"
#include "runs.h"
#include "vm.h"

#define MEM_MIB     2048
#define BALLOON_MIB 1024
#define REPORT_MIB  512
#define NEAR        0.9 /* of it has come back */
#define SETTLE_MS   200
#define LOOK_NS     200000
#define PATIENCE_MS 60000

enum figure { NEAR_MS, ALL_MIB, CPU_MS };
enum pattern { IN_ORDER, SCATTERED, REPORTS };

static struct results results = {
    .bench = "balloon",
    .title = "How soon the host has a guest's memory back",
    .rounds = 12,
    .patterns = {[IN_ORDER] = {.name = "balloon", .title = "1 GiB by the balloon, pages in order"},
                 [SCATTERED] = {.name = "scattered",
                                .title = "1 GiB by the balloon, every 513th page"},
                 [REPORTS] = {.name = "reports",
                              .title = "512 MiB by free page reports of 2 MiB each"}},
    .figures = {[NEAR_MS] = {.name = "ms",
                             .title = "ms",
                             .label = "until 90 % of it are the host's",
                             .unit = "ms"},
                [ALL_MIB] = {.name = "mib", .title = "MiB", .more_is_better = true},
                [CPU_MS] = {.name = "cpu_ms", .title = "CPU ms"}},
};

/* ---- how a VMM is asked to leave the guest less ---- */

static char path[] = "/tmp/minivet-bench-XXXXXX";

static void remove_path(void)
{
    unlink(path);
}

static bool is_qemu(const struct vmm *v)
{
    return strcmp(v->family, "qemu") == 0;
}

static int connect_to(const struct vmm *v)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        runs_die("the control socket of", v->name);
    if (is_qemu(v) && dprintf(fd, "{\"execute\":\"qmp_capabilities\"}\n") < 0)
        runs_die("the control socket of", v->name);
    usleep(50000);
    return fd;
}

static void ask(const struct vmm *v, int fd)
{
    const char *minivet = "{\"command\":\"balloon\",\"args\":[\"%dM\"]}\n";
    const char *qemu = "{\"execute\":\"balloon\",\"arguments\":{\"value\":%ld}}\n";
    int left = MEM_MIB - BALLOON_MIB;
    int n = is_qemu(v) ? dprintf(fd, qemu, (long)left << 20) : dprintf(fd, minivet, left);
    if (n < 0)
        runs_die("the control socket of", v->name);
}

/* ---- what is measured ---- */

static void nap(long ns)
{
    nanosleep(&(struct timespec){0, ns}, NULL);
}

static void watch(struct vm_run *r, double before_mib, double gives_mib, double *figures)
{
    double begin = runs_now_ms(), ms;
    do {
        nap(LOOK_NS);
        ms = runs_now_ms() - begin;
        errno = 0;
        if (ms > PATIENCE_MS)
            vm_give_up(r, "memory stays with");
    } while (proc_rss_mib(r->pid) > before_mib - NEAR * gives_mib);
    figures[NEAR_MS] = ms;
}

static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    bool reports = pattern == REPORTS;
    int keyboard[2], gives_mib = reports ? REPORT_MIB : BALLOON_MIB;
    char words[256], orders[96];
    struct vm_run r = {.name = v->name};
    (void)b;
    /* QEMU numbers the queues that there are, Minivet as the specification does. */
    snprintf(orders, sizeof(orders), "mib=%d stride=%d reports=%d", gives_mib,
             pattern == SCATTERED ? 513 : 1, reports ? (is_qemu(v) ? 3 : 4) : 0);
    int fd = mkstemp(path);
    if (fd < 0 || unlink(path) < 0 || pipe2(keyboard, 0) < 0)
        runs_die("set-up for", v->name);
    close(fd);
    atexit(remove_path);
    snprintf(words, sizeof(words),
             is_qemu(v) ? "-device virtio-balloon-{bus},free-page-reporting=on -qmp "
                          "unix:%s,server=on,wait=off "
                        : "--balloon on --ctl %s ",
             path);
    struct vmm_guest g = {.kernel = bench_guest("balloon"),
                          .append = orders,
                          .mem_mib = MEM_MIB,
                          .cpus = 1,
                          .device = VMM_NOTHING,
                          .words = words};
    r.pid = vmm_start(v, &g, keyboard[0], &r.fd);
    vm_await(&r, "bal: ready\n");
    fd = connect_to(v);
    double before_mib = proc_rss_mib(r.pid);
    struct vm_moment from = vm_now(&r);
    if (!reports)
        ask(v, fd);
    else if (write(keyboard[1], "x", 1) != 1)
        vm_give_up(&r, "no key is read by");
    watch(&r, before_mib, gives_mib, figures);
    vm_await_line(&r, "bal: done");
    struct vm_moment to = vm_now(&r);
    nap(SETTLE_MS * 1000000L);
    figures[CPU_MS] = (to.cpu_us - from.cpu_us) / 1e3;
    figures[ALL_MIB] = before_mib - proc_rss_mib(r.pid);
    vm_end(&r);
    remove_path();
}

static bool can(const struct bench *b, const struct vmm *v, int pattern)
{
    (void)b;
    (void)pattern;
    return v->family != NULL;
}

int main(int argc, char **argv)
{
    struct bench b = {
        .results = &results,
        .run = run,
        .can = can,
        .about = "\nHow soon the host has the memory that a guest gives back.\n",
        .notes = "ms: until 90 % of it are the host's, by what is resident of the VMM; MiB: that "
                 "it has in the\nend; CPU: of all threads but the guest's\n",
    };
    return bench_main(&b, argc, argv);
}
