// SPDX-License-Identifier: BSD-2-Clause
/*
 * A pattern under a VMM, driven by the bare-metal guest blk.c. The guest polls, so its vCPU's
 * thread is busy all the time; what the VMM pays for a request is the CPU time of all other
 * threads, between the guest's first line and its last.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "blk.h"
#include "runs.h"

#define TEXT_BYTES  1024
#define NULL_SIZE   "1G"
#define LINGER_MS   500 /* the guest stays, so that the threads' times can be read */
#define GUEST_WORDS "-m", "128M"

#define START_LINE "blk: start\n"
#define END_WORDS  "blk: end "

struct run {
    const struct contender *contender;
    pid_t pid;
    int fd;
    char text[TEXT_BYTES]; /* what the guest printed */
    size_t len;
};

struct moment {
    double ms, cpu_us; /* CPU of all threads but the vCPU's */
    uint64_t ticks;
};

static uint64_t ticks_now(void)
{
#ifdef __x86_64__
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
#else
    return 0; /* there is no such guest */
#endif
}

/* Ticks of the time stamp counter in a microsecond, over at least 50 ms. */
static double ticks_per_us(void)
{
    static double rate;
    if (rate > 0)
        return rate;
    double ms = runs_now_ms();
    uint64_t ticks = ticks_now();
    usleep(50000);
    ticks = ticks_now() - ticks;
    return rate = (double)ticks / (runs_now_ms() - ms) / 1e3;
}

/* ---- command lines ---- */

static void order_guest(const struct load *l, const struct contender *c, const struct pattern *p,
                        char orders[TEXT_BYTES])
{
    double second = ticks_per_us() * 1e6;
    snprintf(orders, TEXT_BYTES,
             "write=%d seq=%d size=%u depth=%u packed=%d gap=%.0f ticks=%.0f warm=%.0f "
             "linger=%.0f requests=%" PRIu64,
             p->write, p->sequential, p->bytes, p->depth, c->packed, p->gap_us * ticks_per_us(),
             l->seconds * second, l->seconds * second / 5, LINGER_MS * second / 1e3, l->requests);
}

static pid_t start_minivet(const struct load *l, const struct contender *c, const char *orders,
                           int *fd)
{
    char disk[TEXT_BYTES];
    if (c->null)
        snprintf(disk, sizeof(disk), "null:" NULL_SIZE);
    else
        snprintf(disk, sizeof(disk), "%s%s", l->file, l->direct ? "" : ",cache=writeback");
    const char *const argv[] = {l->minivet,  "run",      l->guest,
                                GUEST_WORDS, "--disk",   disk,
                                "-a",        orders,     "--rng",
                                "off",       "--virtio", c->packed ? "ring=packed" : "ring=split",
                                NULL};
    return runs_start(c->name, (char *const *)argv, fd);
}

static pid_t start_qemu(const struct load *l, const struct contender *c, const char *orders,
                        int *fd)
{
    char drive[TEXT_BYTES], device[TEXT_BYTES];
    if (c->null)
        snprintf(drive, sizeof(drive),
                 "if=none,id=disk,driver=null-co,size=" NULL_SIZE ",read-zeroes=off");
    else
        snprintf(drive, sizeof(drive), "if=none,id=disk,format=raw,file=%s,aio=%s,cache=%s",
                 l->file, c->aio, l->direct ? "none" : "writeback");
    snprintf(device, sizeof(device), "virtio-blk-device,drive=disk,iothread=io,packed=%s",
             c->packed ? "on" : "off");
    const char *const argv[] = {l->qemu,
                                "-M",
                                "microvm,accel=kvm,memory-backend=ram",
                                "-cpu",
                                RUNS_QEMU_CPU,
                                GUEST_WORDS,
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
                                "-name",
                                "bench,debug-threads=on",
                                "-global",
                                "virtio-mmio.force-legacy=false",
                                "-object",
                                "iothread,id=io",
                                "-drive",
                                drive,
                                "-device",
                                device,
                                "-kernel",
                                l->guest,
                                "-append",
                                orders,
                                NULL};
    return runs_start(c->name, (char *const *)argv, fd);
}

/* ---- what a run costs ---- */

static double cpu_of_process_us(const struct run *r)
{
    clockid_t clock;
    struct timespec t;
    errno = clock_getcpuclockid(r->pid, &clock);
    if (errno != 0 || clock_gettime(clock, &t) < 0)
        runs_die("CPU time of", r->contender->name);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Minivet's and QEMU's name of the thread. */
static bool is_vcpu(const char *name)
{
    return strncmp(name, "vcpu", 4) == 0 || strncmp(name, "CPU ", 4) == 0;
}

static bool read_line(const char *path, char *line, size_t len)
{
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    bool ok = fgets(line, (int)len, f) != NULL;
    fclose(f);
    return ok;
}

static double cpu_of_vcpu_us(const struct run *r)
{
    char path[320], line[256];
    double us = -1;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)r->pid);
    DIR *tasks = opendir(path);
    if (tasks == NULL)
        runs_die("threads of", r->contender->name);
    for (struct dirent *d = readdir(tasks); d != NULL && us < 0; d = readdir(tasks)) {
        if (!isdigit((unsigned char)d->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", (int)r->pid, d->d_name);
        if (!read_line(path, line, sizeof(line)) || !is_vcpu(line))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)r->pid, d->d_name);
        if (read_line(path, line, sizeof(line))) /* ns on a CPU */
            us = strtod(line, NULL) / 1e3;
    }
    closedir(tasks);
    return us;
}

static struct moment now_of(const struct run *r)
{
    double vcpu = cpu_of_vcpu_us(r);
    return (struct moment){
        .ms = runs_now_ms(),
        .cpu_us = vcpu < 0 ? NAN : cpu_of_process_us(r) - vcpu,
        .ticks = ticks_now(),
    };
}

/* ---- what the guest says ---- */

static _Noreturn void give_up(struct run *r, const char *why)
{
    kill(r->pid, SIGKILL);
    fprintf(stderr, "%s", r->text);
    runs_die(why, r->contender->name);
}

/* Reads up to the end of the line that begins with `words`, and returns it. */
static const char *await_line(struct run *r, const char *words)
{
    for (;;) {
        const char *line = strstr(r->text, words);
        if (line != NULL && strchr(line, '\n') != NULL)
            return line;
        errno = 0;
        ssize_t n = runs_read(r->fd, r->text + r->len, sizeof(r->text) - 1 - r->len);
        if (n <= 0)
            give_up(r, "no line of results from the guest of");
        r->len += (size_t)n;
        r->text[r->len] = '\0';
    }
}

static double number(struct run *r, const char *line, const char *key)
{
    char word[32];
    int len = snprintf(word, sizeof(word), " %s=", key);
    const char *at = strstr(line, word);
    errno = 0;
    if (at == NULL)
        give_up(r, "a word is missing from the results of");
    return strtod(at + len, NULL);
}

static void figure_out(struct run *r, const char *line, const struct moment *from,
                       const struct moment *to, double figures[FIGURES])
{
    double requests = number(r, line, "requests"), ticks = number(r, line, "ticks");
    double us = ticks / ticks_per_us(), wall_us = (to->ms - from->ms) * 1e3;
    errno = 0;
    if (number(r, line, "errors") > 0)
        give_up(r, "requests failed in the guest of");
    /* The lines take a while, too, and a busy host keeps us waiting. */
    if (us > wall_us * 1.5 || us < wall_us / 3)
        give_up(r, "another clock than the host's in the guest of");
    figures[IOPS] = requests / us * 1e6;
    figures[MB_S] = number(r, line, "bytes") / us;
    figures[P50_US] = number(r, line, "p50") / ticks_per_us();
    figures[P99_US] = number(r, line, "p99") / ticks_per_us();
    figures[CPU_US] = (to->cpu_us - from->cpu_us) / requests;
    figures[KICKS] = number(r, line, "kicks") / requests;
}

void blk_run_vm(const struct load *l, const struct contender *c, const struct pattern *p,
                double figures[FIGURES])
{
    char orders[TEXT_BYTES];
    struct run r = {.contender = c};
    order_guest(l, c, p, orders);
    r.pid = c->vmm == QEMU ? start_qemu(l, c, orders, &r.fd) : start_minivet(l, c, orders, &r.fd);
    await_line(&r, START_LINE);
    struct moment from = now_of(&r);
    const char *line = await_line(&r, END_WORDS);
    struct moment to = now_of(&r);
    figure_out(&r, line, &from, &to, figures);
    kill(r.pid, SIGKILL);
    waitpid(r.pid, NULL, 0);
    close(r.fd);
}
