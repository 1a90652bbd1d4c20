// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a console gives: bytes a second from the guest into a pipe, and the time from a key to its
 * echo. The guest is the bare-metal console.c, which polls: no driver and no interrupt is measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "runs.h"
#include "vm.h"

/* More than is ever on its way at once: QEMU's console drops what a full pipe does not take. */
#define PIPE_BYTES (1 << 20)
#define CHUNKS     8
#define KEYS       200
#define KEY_GAP_NS 2000000

enum figure { MB_S, P50_US, P90_US };
enum pattern { SERIAL, VIRTIO };

#define PLOTTED (1 << MB_S | 1 << P50_US)

static struct results results = {
    .bench = "console",
    .title = "Throughput and latency of a console",
    .rounds = 12,
    .patterns = {[SERIAL] = {.name = "serial",
                             .title = "Serial port, 16 bytes at once",
                             .plotted = PLOTTED},
                 [VIRTIO] = {.name = "virtio",
                             .title = "Virtio console, 4 KiB at once",
                             .plotted = PLOTTED}},
    .figures = {[MB_S] = {.name = "mb_per_s",
                          .title = "MB/s",
                          .label = "written by the guest",
                          .unit = "MB/s",
                          .more_is_better = true},
                [P50_US] = {.name = "p50_us",
                            .title = "p50 us",
                            .label = "from a key to its echo, median",
                            .unit = "µs"},
                [P90_US] = {.name = "p90_us", .title = "p90 us"}},
};

static void press(struct vm_run *r, int keyboard, char key)
{
    errno = 0;
    if (write(keyboard, &key, 1) != 1)
        vm_give_up(r, "no key is read by");
}

/* The guest writes a chunk for each key, and says how long that took in all. */
static void stream(struct vm_run *r, int keyboard, int bytes, double *figures)
{
    vm_await(r, "con: start\n");
    for (int i = 0; i < CHUNKS; i++) {
        press(r, keyboard, 'x');
        ssize_t n;
        for (int left = bytes; left > 0; left -= (int)n) {
            errno = 0;
            size_t most = sizeof(r->text) - 1;
            n = runs_read(r->fd, r->text, (size_t)left < most ? (size_t)left : most);
            if (n <= 0)
                vm_give_up(r, "bytes are missing from the guest of");
        }
    }
    r->len = 0;
    r->text[0] = '\0';
    double us = vm_number(r, vm_await_line(r, "con: end"), "ticks") / vm_ticks_per_us();
    figures[MB_S] = (double)bytes * CHUNKS / us;
}

static void type(struct vm_run *r, int keyboard, double *figures)
{
    double us[KEYS];
    for (int i = 0; i < KEYS; i++) {
        char key = (char)('a' + i % 26), echo = 0;
        nanosleep(&(struct timespec){0, KEY_GAP_NS}, NULL);
        double begin = runs_now_ms();
        press(r, keyboard, key);
        if (runs_read(r->fd, &echo, 1) != 1 || echo != key)
            vm_give_up(r, "no echo from the guest of");
        us[i] = (runs_now_ms() - begin) * 1e3;
    }
    figures[P50_US] = stats_quantile(us, KEYS, 0.5);
    figures[P90_US] = stats_quantile(us, KEYS, 0.9);
}

static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    const int bytes = pattern == VIRTIO ? PIPE_BYTES / 2 : 4 << 10;
    char orders[64];
    int keyboard[2];
    struct vm_run r = {.name = v->name};
    snprintf(orders, sizeof(orders), "virtio=%d bytes=%d chunks=%d", pattern == VIRTIO, bytes,
             CHUNKS);
    struct vmm_guest g = {.kernel = bench_guest("console"),
                          .append = orders,
                          .mem_mib = 128,
                          .cpus = 1,
                          .device = pattern == VIRTIO ? VMM_CONSOLE : VMM_NOTHING};
    (void)b;
    if (pipe2(keyboard, O_CLOEXEC) < 0)
        runs_die("pipe for", v->name);
    r.pid = vmm_start(v, &g, keyboard[0], &r.fd);
    close(keyboard[0]);
    if (fcntl(r.fd, F_SETPIPE_SZ, PIPE_BYTES) < PIPE_BYTES)
        vm_give_up(&r, "no larger pipe for");
    stream(&r, keyboard[1], bytes, figures);
    type(&r, keyboard[1], figures);
    vm_end(&r);
    close(keyboard[1]);
}

static bool can(const struct bench *b, const struct vmm *v, int pattern)
{
    (void)b;
    return pattern == SERIAL || vmm_has(v, VMM_CONSOLE);
}

int main(int argc, char **argv)
{
    struct bench b = {
        .results = &results,
        .run = run,
        .can = can,
        .about = "\nBytes a second, and the time from a key to its echo.\n",
        .notes = "MB/s: while the guest writes, by its clock; p50, p90: from a key in a pipe to "
                 "its echo\n"
                 "in another\n",
    };
    return bench_main(&b, argc, argv);
}
