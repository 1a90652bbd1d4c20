// SPDX-License-Identifier: BSD-2-Clause
/*
 * How long a VMM takes from exec to the guest's first words and to its own end, and what it costs.
 *
 * bare: the guest's first instructions print a byte on the serial port; then it ends the run. Its
 * twin stays, for looking at the memory. linux: a stock kernel, whose first program says so and
 * ends the run. Times are from before fork+exec; CPU time is user and system of the VMM's whole
 * life.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "proc.h"
#include "runs.h"
#include "vm.h"

enum figure { FIRST_MS, END_MS, CPU_MS, PSS_KIB };
enum pattern { BARE, LINUX };

#define PLOTTED (1 << FIRST_MS | 1 << END_MS | 1 << CPU_MS | 1 << PSS_KIB)

static struct results results = {
    .bench = "boot",
    .title = "Time to boot and to end a virtual machine",
    .rounds = 60,
    .patterns =
        {[BARE] = {.name = "bare", .title = "A guest of three instructions", .plotted = PLOTTED},
         [LINUX] = {.name = "linux", .title = "Linux to its first program", .plotted = PLOTTED}},
    .figures = {[FIRST_MS] = {.name = "first_ms",
                              .title = "first ms",
                              .label = "exec to the guest's first words",
                              .unit = "ms"},
                [END_MS] = {.name = "end_ms",
                            .title = "end ms",
                            .label = "exec to the end of the process",
                            .unit = "ms"},
                [CPU_MS] = {.name = "cpu_ms",
                            .title = "CPU ms",
                            .label = "CPU time of the process",
                            .unit = "ms"},
                [PSS_KIB] = {.name = "pss_kib",
                             .title = "PSS KiB",
                             .label = "memory (PSS) beyond the guest's",
                             .unit = "MiB",
                             .scale = 1.0 / 1024}},
};

static double timeval_ms(struct timeval t)
{
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

/* Reads on until the VMM has closed its output. */
static void await_end(struct vm_run *r)
{
    ssize_t n;
    while ((n = runs_read(r->fd, r->text, sizeof(r->text) - 1)) > 0)
        ;
    if (n < 0)
        vm_give_up(r, "no end of");
}

static void measure_memory(const struct vmm *v, struct vmm_guest g, double *figures)
{
    struct vm_run r = {.name = v->name};
    g.kernel = bench_guest("first_stay");
    r.pid = vmm_start(v, &g, -1, &r.fd);
    vm_await(&r, "!");
    figures[PSS_KIB] = proc_pss_kib(r.pid, g.mem_mib);
    vm_end(&r);
}

static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    struct vm_run r = {.name = v->name};
    struct vmm_guest g = {.append = "bench", .mem_mib = 128, .cpus = 1};
    struct rusage use;
    int status;
    if (pattern == LINUX)
        g = (struct vmm_guest){.kernel = b->kernel,
                               .initrd = b->initrd,
                               .mem_mib = 256,
                               .cpus = 1,
                               .append = BENCH_LINUX("outb 244 0; busybox reboot -f")};
    else
        g.kernel = bench_guest("first_exit");
    double begin = runs_now_ms();
    r.pid = vmm_start(v, &g, -1, &r.fd);
    vm_await(&r, pattern == LINUX ? BENCH_LINUX_SAYS : "!");
    figures[FIRST_MS] = runs_now_ms() - begin;
    await_end(&r);
    if (wait4(r.pid, &status, 0, &use) < 0)
        runs_die("wait for", v->name);
    figures[END_MS] = runs_now_ms() - begin;
    figures[CPU_MS] = timeval_ms(use.ru_utime) + timeval_ms(use.ru_stime);
    close(r.fd);
    if (pattern == BARE)
        measure_memory(v, g, figures);
}

static bool can(const struct bench *b, const struct vmm *v, int pattern)
{
    (void)v;
    return pattern == BARE || b->kernel != NULL;
}

int main(int argc, char **argv)
{
    struct bench b = {
        .results = &results,
        .run = run,
        .can = can,
        .takes_kernel = true,
        .about = "\nTimes from exec to the guest's first words, and to the end of the process.\n",
        .notes =
            "first, end: from exec to the guest's first words, and to the end of the process;\n"
            "CPU: user and system of its whole life; PSS: beyond the guest's memory\n",
    };
    return bench_main(&b, argc, argv);
}
