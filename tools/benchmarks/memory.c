// SPDX-License-Identifier: BSD-2-Clause
/* What a VMM takes beyond the guest's memory with each device, and what many idle guests cost. */
#include <math.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "proc.h"
#include "runs.h"
#include "vm.h"

#define GUESTS    100
#define SETTLE_MS 1000
#define WATCH_MS  3000

enum figure { PSS_KIB, CPU_PERCENT, WAKEUPS };
enum pattern { BARE, DISK, NET, CPUS, IDLE, IDLE_LINUX };

#define IDLE_PLOTTED (1 << PSS_KIB | 1 << CPU_PERCENT | 1 << WAKEUPS)

static struct results results = {
    .bench = "memory",
    .title = "Memory and processor time that a virtual machine takes",
    .rounds = 8,
    .patterns =
        {[BARE] = {.name = "bare", .title = "Nothing but a serial port"},
         [DISK] = {.name = "disk", .title = "A disk, which stores nothing"},
         [NET] = {.name = "net", .title = "A network card, user-mode"},
         [CPUS] = {.name = "cpus", .title = "Two processors"},
         [IDLE] = {.name = "idle", .title = "100 halted guests at once", .plotted = IDLE_PLOTTED},
         [IDLE_LINUX] = {.name = "linux", .title = "A Linux that sleeps", .plotted = IDLE_PLOTTED}},
    .figures = {[PSS_KIB] = {.name = "pss_kib",
                             .title = "PSS KiB",
                             .label = "memory (PSS) beyond the guest's",
                             .unit = "MiB",
                             .scale = 1.0 / 1024},
                [CPU_PERCENT] = {.name = "cpu_percent",
                                 .title = "CPU %",
                                 .label = "CPU time of all",
                                 .unit = "% of a processor"},
                [WAKEUPS] = {.name = "wakeups_per_s",
                             .title = "wakeups/s",
                             .label = "of all their threads",
                             .unit = "wake-ups/s"}},
};

static void pause_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0)
        ;
}

/* Of all of them together, but the memory, which is of each. */
static void watch(const struct vm_run *runs, int count, int mem_mib, double *figures)
{
    double cpu_ms = 0, sleeps = 0, pss = 0, begin;
    pause_ms(SETTLE_MS);
    for (int i = 0; i < count; i++) {
        cpu_ms -= proc_cpu_ms(runs[i].pid);
        sleeps -= proc_sleeps(runs[i].pid);
    }
    begin = runs_now_ms();
    pause_ms(WATCH_MS);
    double ms = runs_now_ms() - begin;
    for (int i = 0; i < count; i++) {
        cpu_ms += proc_cpu_ms(runs[i].pid);
        sleeps += proc_sleeps(runs[i].pid);
    }
    for (int i = 0; i < count; i++)
        pss += proc_pss_kib(runs[i].pid, mem_mib);
    figures[PSS_KIB] = pss / count;
    figures[CPU_PERCENT] = fmax(0, cpu_ms / ms * 100); /* sums are rounded */
    figures[WAKEUPS] = sleeps / ms * 1e3;
}

static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    static const enum vmm_device devices[] = {[DISK] = VMM_DISK, [NET] = VMM_NET, [IDLE_LINUX] = 0};
    struct vmm_guest g = {.append = "bench",
                          .mem_mib = 128,
                          .cpus = pattern == CPUS ? 2 : 1,
                          .device = devices[pattern]};
    static struct vm_run runs[GUESTS];
    int count = pattern == IDLE ? GUESTS : 1;
    if (pattern == IDLE_LINUX)
        g = (struct vmm_guest){.kernel = b->kernel,
                               .initrd = b->initrd,
                               .mem_mib = 256,
                               .cpus = 1,
                               .append = BENCH_LINUX("sleep 1000")};
    else
        g.kernel = bench_guest("first_stay");
    for (int i = 0; i < count; i++) {
        runs[i] = (struct vm_run){.name = v->name};
        runs[i].pid = vmm_start(v, &g, -1, &runs[i].fd);
        vm_await(&runs[i], pattern == IDLE_LINUX ? BENCH_LINUX_SAYS : "!");
    }
    if (pattern >= IDLE)
        watch(runs, count, g.mem_mib, figures);
    else
        figures[PSS_KIB] = proc_pss_kib(runs[0].pid, g.mem_mib);
    for (int i = 0; i < count; i++)
        vm_end(&runs[i]);
}

static bool can(const struct bench *b, const struct vmm *v, int pattern)
{
    return (pattern != DISK || vmm_has(v, VMM_DISK)) && (pattern != NET || vmm_has(v, VMM_NET)) &&
           (pattern != IDLE_LINUX || b->kernel != NULL);
}

int main(int argc, char **argv)
{
    struct bench b = {
        .results = &results,
        .run = run,
        .can = can,
        .takes_kernel = true,
        .about = "\nMemory beyond the guest's own, and what idle guests cost the host.\n",
        .notes =
            "PSS: of a VMM, beyond the guest's memory; CPU: of one processor, of all the guests\n"
            "together; wakeups: of their VMMs' threads\n",
    };
    return bench_main(&b, argc, argv);
}
