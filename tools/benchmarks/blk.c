// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk: requests a second, latency, and the CPU time they cost, in each way to a file,
 * and on the host without a VM.
 *
 * All of them read and write the same file with the same pattern, in interleaved runs. The guest is
 * the bare-metal blk.c: it polls, so that no driver and no interrupt is measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"
#include "blk.h"
#include "vm.h"

#define FILE_BYTES (1ll << 30)
#define KIB        1024u
#define MIB        (1024u * KIB)

static const struct blk_pattern patterns[] = {
    {"read-1", "4 KiB random read, depth 1", false, false, 4 * KIB, 1, 0},
    {"read-4", "4 KiB random read, depth 4", false, false, 4 * KIB, 4, 0},
    {"read-32", "4 KiB random read, depth 32", false, false, 4 * KIB, 32, 0},
    {"read-128", "4 KiB random read, depth 128", false, false, 4 * KIB, 128, 0},
    {"write-32", "4 KiB random write, depth 32", true, false, 4 * KIB, 32, 0},
    {"seq-8", "1 MiB sequential read, depth 8", false, true, MIB, 8, 0},
    {"seqrd-16", "128 KiB sequential read, depth 16", false, true, 128 * KIB, 16, 0},
    {"seqwr-16", "128 KiB sequential write, depth 16", true, true, 128 * KIB, 16, 0},
    {"sleepy-1", "4 KiB random read, depth 1, after 100 µs of nothing", false, false, 4 * KIB, 1,
     100},
    {0},
};

#define MINIVET "--rng off -d {file}{behind} "
#define QEMU                                                                         \
    "-object iothread,id=io -device virtio-blk-{bus},drive=disk,iothread=io -drive " \
    "if=none,id=disk,format=raw,file={file},cache={cache}"

static const struct vmm_way ways[] = {
    {"minivet", NULL, NULL, MINIVET, false},
    {"qemu", "native", NULL, QEMU ",aio=native ", false},
    {"qemu", "io_uring", NULL, QEMU ",aio=io_uring ", false},
    {"qemu", "threads", NULL, QEMU ",aio=threads ", false},
    {"fio", NULL, NULL, "", false},
    {"minivet", "packed", "packed", MINIVET "--virtio ring=packed ", true},
    {"qemu", "packed", "packed", QEMU ",aio=io_uring -global virtio-blk-{bus}.packed=on ", true},
    {"minivet", "null", "null", "--rng off -d null:1G ", true},
    {"qemu", "null", "null",
     "-object iothread,id=io -device virtio-blk-{bus},drive=disk,iothread=io "
     "-blockdev null-co,node-name=disk,size=1073741824,read-zeroes=off ",
     true},
    {0},
};

static struct results results = {
    .bench = "blk",
    .title = "Throughput and latency of a disk",
    .rounds = 6,
    .curve = "4 KiB random reads, by depth",
    .curve_x = "requests in flight",
    .figures =
        {[IOPS] = {.name = "iops", .title = "IOPS", .unit = "requests/s", .more_is_better = true},
         [MB_S] = {.name = "mb_per_s", .title = "MB/s", .unit = "MB/s", .more_is_better = true},
         [P50_US] = {.name = "p50_us", .title = "p50 us", .label = "latency, median", .unit = "µs"},
         [P99_US] = {.name = "p99_us", .title = "p99 us"},
         [CPU_US] = {.name = "cpu_us_per_request", .title = "CPU us"},
         [KICKS] = {.name = "kicks_per_request", .title = "kicks"}},
};

/* ---- the file ---- */

static bool direct; /* around the page cache, which tmpfs has not let one do before Linux 6.6 */

/* The benchmark's own is memory, and ends with it. */
static void prepare(struct bench *b)
{
    static char own[64], zeros[MIB];
    if (b->file == NULL) {
        int fd = memfd_create("bench", MFD_CLOEXEC);
        for (long long done = 0; done < FILE_BYTES; done += (long long)sizeof(zeros)) {
            if (write(fd, zeros, sizeof(zeros)) != (ssize_t)sizeof(zeros))
                runs_die("make", "1 GiB to measure with");
        }
        snprintf(own, sizeof(own), "/proc/%d/fd/%d", (int)getpid(), fd);
        b->file = own;
    }
    int fd = open(b->file, O_RDONLY | O_DIRECT | O_CLOEXEC);
    direct = fd >= 0;
    if (!direct && errno != EINVAL)
        runs_die("open", b->file);
    if (direct)
        close(fd);
    else
        fputs("bench: through the page cache: the file system refuses O_DIRECT\n", stderr);
}

/* QEMU's native way works around the page cache only. */
static bool can(const struct bench *b, const struct vmm *v, int pattern)
{
    (void)b;
    (void)pattern;
    return direct || strstr(v->way->words, "aio=native") == NULL;
}

/* ---- a run ---- */

static void order_guest(const struct bench *b, const struct vmm *v, const struct blk_pattern *p,
                        char orders[VM_TEXT_BYTES])
{
    double second = vm_ticks_per_us() * 1e6;
    bool packed = v->way->kind != NULL && strcmp(v->way->kind, "packed") == 0;
    snprintf(orders, VM_TEXT_BYTES,
             "write=%d seq=%d size=%u depth=%u packed=%d gap=%.0f ticks=%.0f warm=%.0f linger=%.0f",
             p->write, p->sequential, p->bytes, p->depth, packed, p->gap_us * vm_ticks_per_us(),
             b->seconds * second, b->seconds * second / 5, VM_LINGER_MS * second / 1e3);
}

static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    const struct blk_pattern *p = &patterns[pattern];
    char orders[VM_TEXT_BYTES];
    struct vm_run r = {.name = v->name};
    order_guest(b, v, p, orders);
    struct vmm_guest g = {.kernel = bench_guest("blk"),
                          .append = orders,
                          .mem_mib = 128,
                          .cpus = 1,
                          .file = b->file,
                          .direct = direct};
    if (strcmp(v->family, "fio") == 0) {
        blk_run_fio(v->program, &g, b->seconds, p, figures);
        return;
    }
    r.pid = vmm_start(v, &g, -1, &r.fd);
    vm_await_line(&r, "blk: start\n");
    struct vm_moment from = vm_now(&r);
    const char *line = vm_await_line(&r, "blk: end ");
    struct vm_moment to = vm_now(&r);
    double requests = vm_number(&r, line, "requests"), us = vm_us(&r, line, &from, &to);
    errno = 0;
    if (vm_number(&r, line, "errors") > 0)
        vm_give_up(&r, "requests failed in the guest of");
    figures[IOPS] = requests / us * 1e6;
    figures[MB_S] = vm_number(&r, line, "bytes") / us;
    figures[P50_US] = vm_number(&r, line, "p50") / vm_ticks_per_us();
    figures[P99_US] = vm_number(&r, line, "p99") / vm_ticks_per_us();
    figures[CPU_US] = (to.cpu_us - from.cpu_us) / requests;
    figures[KICKS] = vm_number(&r, line, "kicks") / requests;
    vm_end(&r);
}

int main(int argc, char **argv)
{
    struct bench b = {
        .results = &results,
        .run = run,
        .can = can,
        .prepare = prepare,
        .ways = ways,
        .vs = {"qemu-microvm", "fio"},
        .seconds = 1,
        .file_use = "WRITTEN TO by one of the patterns (1 GiB of memory)",
        .about = "\nRequests a second, their latency, and what they cost.\n",
        .notes = "CPU: of a request, of all threads but the vCPU's; kicks: of a request\n",
    };
    for (int p = 0; patterns[p].name != NULL; p++) {
        results.patterns[p].name = patterns[p].name;
        results.patterns[p].title = patterns[p].title;
        if (patterns[p].sequential || patterns[p].gap_us > 0)
            results.patterns[p].plotted = 1 << (patterns[p].sequential ? MB_S : P50_US);
        if (strncmp(patterns[p].name, "read-", 5) == 0)
            results.patterns[p].x = patterns[p].depth;
    }
    return bench_main(&b, argc, argv);
}
