// SPDX-License-Identifier: BSD-2-Clause
/*
 * A directory of the host in the guest: requests and files a second, latency, CPU time and memory
 * of Minivet's own server, of QEMU with virtiofsd, and of the host's system calls without a VM, in
 * interleaved runs.
 *
 * The guest is the bare-metal share.c: it polls, so that no driver, no cache and no interrupt is
 * measured, and says what Linux's driver would. Each run has a file system of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "netns.h"
#include "proc.h"
#include "share.h"
#include "vm.h"

#define KIB      1024u
#define MIB      (1024u * KIB)
#define MEM_MIB  128
#define FILES    10000
#define DIRS     500
#define MEMORY   "/dev/shm"
#define START_MS 10000
#define POOL     "pool"

static const struct share_pattern patterns[] = {
    {"read-1", "4 KiB random read, depth 1", SHARE_READ, 4 * KIB, 1, false, 0, 0},
    {"read-16", "4 KiB random read, depth 16", SHARE_READ, 4 * KIB, 16, false, 0, 0},
    {"write-1", "4 KiB random write, depth 1", SHARE_WRITE, 4 * KIB, 1, false, 0, 0},
    {"write-16", "4 KiB random write, depth 16", SHARE_WRITE, 4 * KIB, 16, false, 0, 0},
    {"seqrd-4", "1 MiB sequential read, depth 4", SHARE_READ, MIB, 4, true, 0, 0},
    {"seqwr-4", "1 MiB sequential write, depth 4", SHARE_WRITE, MIB, 4, true, 0, 0},
    {"create", "10,000 files made in a directory", SHARE_CREATE, 0, 1, false, 0, FILES},
    {"stat", "10,000 files looked up, and their attributes", SHARE_STAT, 0, 1, false, 0, FILES},
    {"list", "a directory of 10,000 files read with their attributes", SHARE_LIST, 0, 1, false, 0,
     FILES},
    {"unlink", "10,000 files unlinked", SHARE_UNLINK, 0, 1, false, 0, FILES},
    {"tree", "git status: 10,000 files looked up in 500 directories, which are read", SHARE_TREE, 0,
     1, false, DIRS, FILES / DIRS},
    {0},
};

static const struct vmm_way ways[] = {
    {"minivet", NULL, NULL, "", false},
    {"qemu", "virtiofsd", NULL, "", false},
    {"qemu", POOL, NULL, "", false},
    {"host", NULL, NULL, "", false},
    {0},
};

static struct results results = {
    .bench = "share",
    .title = "Throughput and latency of a shared directory",
    .rounds = 6,
    .figures =
        {[PER_S] = {.name = "per_s",
                    .title = "a second",
                    .label = "requests or files a second",
                    .unit = "1/s",
                    .more_is_better = true},
         [MB_S] = {.name = "mb_per_s", .title = "MB/s", .unit = "MB/s", .more_is_better = true},
         [P50_US] = {.name = "p50_us", .title = "p50 us", .label = "latency, median", .unit = "µs"},
         [P99_US] = {.name = "p99_us", .title = "p99 us"},
         [CPU_US] = {.name = "cpu_us", .title = "CPU us"},
         [PSS_MIB] = {.name = "pss_mib", .title = "MiB"},
         [DAEMON_MIB] = {.name = "daemon_mib", .title = "of it fsd"}},
};

/* ---- the directory of a run ---- */

static char place[4096]; /* of the directory and of virtiofsd's socket */

static void remove_place(void)
{
    char *const argv[] = {(char *)"rm", (char *)"-rf", place, NULL};
    pid_t pid;
    if (posix_spawn(&pid, "/bin/rm", NULL, NULL, argv, environ) == 0)
        waitpid(pid, NULL, 0);
}

/* Memory that ends with the run, or a folder below --file. Returns the directory to share. */
static int make_place(const struct bench *b)
{
    if (b->file == NULL) {
        if (!unshare_as_root(CLONE_NEWNS) ||
            mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("bench", MEMORY, "tmpfs", 0, NULL) < 0)
            runs_die("file system in", MEMORY);
        snprintf(place, sizeof(place), "%s", MEMORY);
    } else {
        snprintf(place, sizeof(place), "%s/minivet-bench-XXXXXX", b->file);
        if (mkdtemp(place) == NULL)
            runs_die("make a folder in", b->file);
        atexit(remove_place);
    }
    int fd = open(place, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || mkdirat(fd, "share", 0755) < 0)
        runs_die("make a folder in", place);
    int dir_fd = openat(fd, "share", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(fd);
    return dir_fd;
}

/* ---- virtiofsd ---- */

static const char *virtiofsd;

static void prepare(struct bench *b)
{
    static const char *const places[] = {"/usr/lib/qemu/virtiofsd", "/usr/libexec/virtiofsd"};
    (void)b;
    for (unsigned i = 0; virtiofsd == NULL && i < sizeof(places) / sizeof(places[0]); i++)
        virtiofsd = access(places[i], X_OK) == 0 ? places[i] : NULL;
    if (virtiofsd == NULL)
        virtiofsd = vmm_program("virtiofsd");
    if (virtiofsd == NULL)
        fputs("bench: virtiofsd is not installed: QEMU is left out\n", stderr);
}

static bool can(const struct bench *b, const struct vmm *v, int pattern)
{
    bool is_pool = v->way->name != NULL && strcmp(v->way->name, POOL) == 0;
    (void)b;
    return strcmp(v->family, "qemu") != 0 ||
           (virtiofsd != NULL && (!is_pool || patterns[pattern].depth == 1));
}

static pid_t start_virtiofsd(const char *threads)
{
    char socket[sizeof(place) + 32], source[sizeof(place) + 64], pool[48];
    snprintf(socket, sizeof(socket), "--socket-path=%s/socket", place);
    snprintf(source, sizeof(source), "source=%s/share,sandbox=chroot,log_level=err", place);
    snprintf(pool, sizeof(pool), "--thread-pool-size=%s", threads);
    char *const argv[] = {(char *)virtiofsd, socket, pool, (char *)"-o", source, NULL};
    pid_t pid = runs_start_with(argv, -1, STDERR_FILENO);
    const char *path = strchr(socket, '=') + 1;
    for (int ms = 0; access(path, F_OK) < 0; ms++) {
        if (ms == START_MS || waitpid(pid, NULL, WNOHANG) != 0)
            runs_die("no socket comes from", virtiofsd);
        usleep(1000);
    }
    return pid;
}

/* ---- a run ---- */

static void order_guest(const struct bench *b, const struct share_pattern *p,
                        char orders[VM_TEXT_BYTES])
{
    double second = vm_ticks_per_us() * 1e6;
    snprintf(orders, VM_TEXT_BYTES,
             "op=%d size=%u depth=%u seq=%d files=%u dirs=%u ticks=%.0f warm=%.0f linger=%.0f",
             (int)p->op, p->bytes > 0 ? p->bytes : 4 * KIB, p->depth, p->sequential, p->files,
             p->dirs, b->seconds * second, b->seconds * second / 5, VM_LINGER_MS * second / 1e3);
}

static void choose_words(bool with_daemon, char words[VM_TEXT_BYTES])
{
    if (with_daemon)
        snprintf(words, VM_TEXT_BYTES,
                 "-machine memory-backend=mem -object "
                 "memory-backend-memfd,id=mem,share=on,size={mem}M -chardev "
                 "socket,id=fs,path=%s/socket -device "
                 "vhost-user-fs-{bus},chardev=fs,tag=bench,queue-size=1024 ",
                 place);
    else
        snprintf(words, VM_TEXT_BYTES, "--rng off --share %s/share,tag=bench ", place);
}

static void run_vm(const struct bench *b, const struct vmm *v, const struct share_pattern *p,
                   double *figures)
{
    char orders[VM_TEXT_BYTES], words[VM_TEXT_BYTES];
    struct vm_run r = {.name = v->name};
    bool with_daemon = strcmp(v->family, "qemu") == 0;
    bool with_pool = v->way->name != NULL && strcmp(v->way->name, POOL) == 0;
    order_guest(b, p, orders);
    choose_words(with_daemon, words);
    struct vmm_guest g = {.kernel = bench_guest("share"),
                          .append = orders,
                          .mem_mib = MEM_MIB,
                          .cpus = 1,
                          .words = words};
    pid_t daemon = with_daemon ? start_virtiofsd(with_pool ? "64" : "0") : -1;
    r.pid = vmm_start(v, &g, -1, &r.fd);
    vm_await_line(&r, "fs: start\n");
    double before_ms = with_daemon ? proc_cpu_ms(daemon) : 0;
    struct vm_moment from = vm_now(&r);
    const char *line = vm_await_line(&r, "fs: end ");
    struct vm_moment to = vm_now(&r);
    double daemon_us = with_daemon ? (proc_cpu_ms(daemon) - before_ms) * 1e3 : 0;
    double requests = vm_number(&r, line, "requests"), us = vm_us(&r, line, &from, &to);
    errno = 0;
    if (vm_number(&r, line, "errors") > 0)
        vm_give_up(&r, "requests failed in the guest of");
    if (p->bytes > 0)
        figures[MB_S] = vm_number(&r, line, "bytes") / us;
    figures[PER_S] = requests / us * 1e6;
    figures[P50_US] = vm_number(&r, line, "p50") / vm_ticks_per_us();
    figures[P99_US] = vm_number(&r, line, "p99") / vm_ticks_per_us();
    figures[CPU_US] = (to.cpu_us - from.cpu_us + daemon_us) / requests;
    figures[PSS_MIB] = proc_pss_kib(r.pid, MEM_MIB) / KIB;
    if (with_daemon) {
        figures[DAEMON_MIB] = proc_pss_kib(daemon, MEM_MIB) / KIB;
        figures[PSS_MIB] += figures[DAEMON_MIB];
    }
    if (with_daemon)
        kill(daemon, SIGKILL); /* before it has something to say about QEMU's end */
    vm_end(&r);
}

static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    const struct share_pattern *p = &patterns[pattern];
    int dir_fd = make_place(b);
    share_host_prepare(dir_fd, p);
    if (strcmp(v->family, "host") == 0)
        share_host_run(dir_fd, p, b->seconds, figures);
    else
        run_vm(b, v, p, figures);
    if (b->file != NULL)
        remove_place();
}

int main(int argc, char **argv)
{
    struct bench b = {
        .results = &results,
        .run = run,
        .can = can,
        .prepare = prepare,
        .ways = ways,
        .vs = {"qemu-microvm", "host"},
        .seconds = 1,
        .file_use = "a directory to make the files in (memory)",
        .about = "\nRequests and files a second, their latency, and what they cost.\n",
        .notes =
            "a second: requests, or files; CPU: of each, of the VMM's threads but the vCPU's and\n"
            "of virtiofsd; MiB: beyond the guest's, in the end, and how much is virtiofsd's\n",
    };
    for (int p = 0; patterns[p].name != NULL; p++) {
        results.patterns[p].name = patterns[p].name;
        results.patterns[p].title = patterns[p].title;
        if (patterns[p].sequential)
            results.patterns[p].plotted = 1 << MB_S;
    }
    return bench_main(&b, argc, argv);
}
