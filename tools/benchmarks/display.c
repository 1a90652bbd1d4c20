// SPDX-License-Identifier: BSD-2-Clause
/*
 * A display: updates of a picture of 1920x1080 pixels a second, the time from a key to the guest's
 * answer, and the CPU time they cost, in interleaved runs, with each kind of viewer.
 *
 * The guest is the bare-metal gpu.c: it polls, so that no driver and no interrupt is measured. A
 * VNC client is part of the benchmark; windows appear on an X server of the run's own, Xvfb.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "rfb.h"
#include "runs.h"
#include "vm.h"

#define WIDTH       1920u
#define HEIGHT      1080u
#define FRAME_BYTES (WIDTH * HEIGHT * 4u)
#define SQUARE      64u
#define KEYS        200
#define KEY_GAP_NS  2000000
#define KEYSYM      'a'
#define COPY_MS     100 /* the guest stays for longer */

/* How VMMs are told about a viewer; {file} is the socket of a VNC server. NULL: there is no way. */
struct viewer {
    const char *minivet, *qemu;
    bool has_client, has_window;
};

/* The guest knows virtio-mmio alone. */
#define GPU_ON "--gpu on,transport=mmio "

static const struct viewer nothing = {GPU_ON, "-device virtio-gpu-{bus} ", false, false};
static const struct viewer vnc = {GPU_ON "--display vnc=unix:{file} --input keyboard ",
                                  "-device virtio-gpu-{bus} -device virtio-keyboard-{bus} "
                                  "-vnc unix:{file},key-delay-ms=0 ",
                                  true, false};
/* QEMU 7.2's microvm halts in its firmware when it has a window. */
static const struct viewer sdl = {GPU_ON "--display sdl ", NULL, false, true};

static const struct {
    const char *name, *title;
    const struct viewer *viewer;
    unsigned side, depth; /* of a square, 0: of the whole frame; updates in flight */
    bool keys;
} loads[] = {
    {"none-frame", "no viewer: whole frames, 2 in flight", &nothing, 0, 2, false},
    {"none-damage", "no viewer: squares of 64x64, one by one", &nothing, SQUARE, 1, false},
    {"vnc-frame", "a VNC client: whole frames, 2 in flight", &vnc, 0, 2, false},
    {"vnc-damage", "a VNC client: squares of 64x64, one by one", &vnc, SQUARE, 1, false},
    {"sdl-frame", "a window: whole frames, 2 in flight", &sdl, 0, 2, false},
    {"sdl-damage", "a window: squares of 64x64, one by one", &sdl, SQUARE, 1, false},
    {"key", "a VNC client: from a key to the guest's answer", &vnc, 0, 1, true},
    {0},
};

static const struct vmm_way ways[] = {
    {"minivet", NULL, NULL, "", false}, {"qemu", NULL, NULL, "", false}, {0}};

enum figure { UPDATES, OF_MEMCPY, SHOWN, P50_US, P99_US, CPU_US, KICKS };

static struct results results = {
    .bench = "display",
    .title = "Updates and keys of a display",
    .rounds = 12,
    .figures = {[UPDATES] = {.name = "updates_per_s",
                             .title = "per s",
                             .label = "by the guest's clock",
                             .unit = "per s",
                             .more_is_better = true},
                [OF_MEMCPY] = {.name = "of_memcpy", .title = "of memcpy", .more_is_better = true},
                [SHOWN] = {.name = "shown_per_s", .title = "shown/s", .more_is_better = true},
                [P50_US] = {.name = "p50_us", .title = "p50 us", .label = "median", .unit = "µs"},
                [P99_US] = {.name = "p99_us", .title = "p99 us"},
                [CPU_US] = {.name = "cpu_us_per_update",
                            .title = "CPU us",
                            .label = "CPU time of an update",
                            .unit = "µs"},
                [KICKS] = {.name = "kicks_per_update", .title = "kicks"}},
};

/* ---- windows ---- */

/* A server whose screen is memory, if it is installed; else DISPLAY names the server. */
static pid_t start_x(void)
{
    static char *const argv[] = {"/bin/sh", "-c",
                                 "exec Xvfb -displayfd 1 -screen 0 1920x1080x24 -nolisten tcp "
                                 "2>/dev/null",
                                 NULL};
    char name[16] = ":";
    int fd;
    if (vmm_program("Xvfb") == NULL)
        return -1;
    pid_t pid = runs_start("Xvfb", argv, -1, &fd);
    for (size_t len = 1; strchr(name, '\n') == NULL; len++) {
        errno = 0;
        if (len == sizeof(name) - 1 || runs_read(fd, name + len, 1) != 1)
            runs_die("no X server from", "Xvfb");
    }
    close(fd);
    name[strcspn(name, "\n")] = '\0';
    setenv("DISPLAY", name, 1);
    return pid;
}

static void end_x(pid_t pid)
{
    if (pid < 0)
        return;
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

/* Whether Minivet opens a window: one in which a guest ends at once. */
static bool try_window(const struct vmm *v)
{
    const struct vmm_guest g = {.kernel = bench_guest("first_exit"),
                                .append = "",
                                .mem_mib = 128,
                                .cpus = 1,
                                .words = sdl.minivet};
    char text[256];
    int fd, status;
    if (vmm_program("Xvfb") == NULL && getenv("DISPLAY") == NULL) {
        fputs("bench: windows are left out: Xvfb is not installed, and DISPLAY not set\n", stderr);
        return false;
    }
    pid_t x = start_x(), pid = vmm_start(v, &g, -1, &fd);
    while (runs_read(fd, text, sizeof(text)) > 0)
        ;
    close(fd);
    bool has_one = waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    end_x(x);
    if (!has_one)
        fputs("bench: windows are left out: Minivet opens none, see above\n", stderr);
    return has_one;
}

static const char *words_for(const struct vmm *v, const struct viewer *viewer)
{
    return strcmp(v->family, "minivet") == 0 ? viewer->minivet : viewer->qemu;
}

/* Minivet is asked first: what it cannot do has no rival. */
static bool can(const struct bench *b, const struct vmm *v, int pattern)
{
    static enum { UNKNOWN, YES, NO } windows;
    const struct viewer *viewer = loads[pattern].viewer;
    (void)b;
    if (viewer->has_window && windows == UNKNOWN)
        windows = try_window(v) ? YES : NO;
    return words_for(v, viewer) != NULL && (!viewer->has_window || windows == YES);
}

/* ---- what is measured ---- */

/* Bytes a microsecond, of frames that are copied one after the other. */
static double memcpy_speed(void)
{
    static char from[FRAME_BYTES], to[FRAME_BYTES];
    memset(from, 1, sizeof(from)); /* a page of its own for each */
    memset(to, 2, sizeof(to));
    double bytes = 0, begin = runs_now_ms(), now;
    do {
        memcpy(to, from, sizeof(to));
        __asm__ volatile("" : : "r"(to) : "memory");
        bytes += FRAME_BYTES;
        now = runs_now_ms();
    } while (now < begin + COPY_MS);
    return bytes / (now - begin) / 1e3;
}

static void measure_updates(struct vm_run *r, int pattern, struct rfb *client, double *figures)
{
    double shown = client != NULL ? rfb_updates(client) : NAN;
    struct vm_moment from = vm_now(r);
    const char *line = vm_await_line(r, "gpu: end ");
    struct vm_moment to = vm_now(r);
    double us = vm_us(r, line, &from, &to), updates = vm_number(r, line, "updates");
    shown = client != NULL ? rfb_updates(client) - shown : NAN;
    errno = 0;
    if (vm_number(r, line, "errors") > 0 || (client != NULL && !(shown > 0)))
        vm_give_up(r, "updates failed under");
    figures[UPDATES] = updates / us * 1e6;
    figures[SHOWN] = shown / (to.ms - from.ms) * 1e3;
    figures[P50_US] = vm_number(r, line, "p50") / vm_ticks_per_us();
    figures[P99_US] = vm_number(r, line, "p99") / vm_ticks_per_us();
    figures[CPU_US] = (to.cpu_us - from.cpu_us) / updates;
    figures[KICKS] = vm_number(r, line, "kicks") / updates;
    if (loads[pattern].viewer == &nothing && loads[pattern].side == 0)
        figures[OF_MEMCPY] = updates * FRAME_BYTES / us / memcpy_speed();
}

static void measure_keys(struct vm_run *r, struct rfb *client, double *figures)
{
    double us[KEYS], sum = 0;
    struct vm_moment from = vm_now(r);
    for (int i = 0; i < KEYS; i++) {
        char answer = 0;
        nanosleep(&(struct timespec){0, KEY_GAP_NS}, NULL);
        double begin = runs_now_ms();
        rfb_key(client, KEYSYM, true);
        if (runs_read(r->fd, &answer, 1) != 1 || answer != 'k')
            vm_give_up(r, "no answer to a key from the guest of");
        us[i] = (runs_now_ms() - begin) * 1e3;
        sum += us[i];
        rfb_key(client, KEYSYM, false);
    }
    struct vm_moment to = vm_now(r);
    figures[UPDATES] = KEYS / sum * 1e6;
    figures[P50_US] = stats_quantile(us, KEYS, 0.5);
    figures[P99_US] = stats_quantile(us, KEYS, 0.99);
    figures[CPU_US] = (to.cpu_us - from.cpu_us) / KEYS;
}

/* ---- a run ---- */

/* The viewer is there when the guest goes on. */
static struct rfb *begin(struct vm_run *r, int pattern, const char *socket, int orders)
{
    struct rfb *client = NULL;
    vm_await_line(r, "gpu: ready\n");
    if (loads[pattern].viewer->has_client)
        client = rfb_open(socket, WIDTH, HEIGHT);
    errno = 0;
    if (write(orders, "x", 1) != 1)
        vm_give_up(r, "no byte goes to the serial port of");
    vm_await_line(r, "gpu: start\n");
    return client;
}

static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    char orders[256], folder[] = "/tmp/minivet-bench-XXXXXX", socket[sizeof(folder) + 4];
    double second = vm_ticks_per_us() * 1e6;
    struct vm_run r = {.name = v->name};
    const struct viewer *viewer = loads[pattern].viewer;
    int fds[2];
    snprintf(orders, sizeof(orders), "side=%u depth=%u keys=%d ticks=%.0f warm=%.0f linger=%.0f",
             loads[pattern].side, loads[pattern].depth, loads[pattern].keys, b->seconds * second,
             loads[pattern].keys ? 0 : b->seconds * second / 5, VM_LINGER_MS * second / 1e3);
    if (mkdtemp(folder) == NULL || pipe2(fds, O_CLOEXEC) < 0)
        runs_die("folder and pipe for", v->name);
    snprintf(socket, sizeof(socket), "%s/vnc", folder);
    struct vmm_guest g = {.kernel = bench_guest("gpu"),
                          .append = orders,
                          .mem_mib = 128,
                          .cpus = 1,
                          .file = socket,
                          .words =
                              strcmp(v->family, "minivet") == 0 ? viewer->minivet : viewer->qemu};
    pid_t x = viewer->has_window ? start_x() : -1;
    r.pid = vmm_start(v, &g, fds[0], &r.fd);
    close(fds[0]);
    struct rfb *client = begin(&r, pattern, socket, fds[1]);
    unlink(socket);
    rmdir(folder);
    if (loads[pattern].keys)
        measure_keys(&r, client, figures);
    else
        measure_updates(&r, pattern, client, figures);
    vm_end(&r);
    if (client != NULL)
        rfb_close(client);
    end_x(x);
    close(fds[1]);
}

int main(int argc, char **argv)
{
    struct bench b = {
        .results = &results,
        .run = run,
        .can = can,
        .ways = ways,
        .seconds = 1,
        .about = "\nUpdates of a picture of 1920x1080 pixels, keys, and what they cost.\n",
        .notes = "of memcpy: bytes of frames, to those that memcpy copies in the same run; shown: "
                 "updates\n"
                 "that a VNC client had; CPU and kicks: of an update, CPU of all threads but the "
                 "vCPU's\n",
    };
    for (int p = 0; loads[p].name != NULL; p++) {
        results.patterns[p].name = loads[p].name;
        results.patterns[p].title = loads[p].title;
        if (loads[p].keys)
            results.patterns[p].plotted = 1 << P50_US;
        else
            results.patterns[p].plotted = 1 << UPDATES | 1 << CPU_US;
    }
    return bench_main(&b, argc, argv);
}
