// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a console gives: bytes a second both ways, and the time from a key to its echo, with several
 * things at its other end. The guest is the bare-metal console.c, which polls: no driver and no
 * interrupt is measured.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "runs.h"
#include "vm.h"

/* More than is ever on its way at once: QEMU's console drops what is not taken. So no reader
 * keeps a processor busy meanwhile. */
#define PIPE_BYTES   (1 << 20)
#define CHUNK_BYTES  (PIPE_BYTES / 2)
#define SOCKET_BYTES (64 << 10)
#define SERIAL_BYTES (1 << 10)
#define NULL_BYTES   (16 << 20) /* in one chunk: no reader tells when the next may begin */
#define CHUNKS       8
#define KEYS         200
#define KEY_GAP_NS   2000000

enum figure { MB_S, IN_MB_S, P50_US, P90_US };
enum pattern { SERIAL, CON_NULL, CON_PIPE, CON_SOCKET, PORT_NULL, PORT_PIPE, PORT_SOCKET };
enum end { END_NULL, END_PIPE, END_SOCKET };

#define PLOTTED (1 << MB_S | 1 << IN_MB_S | 1 << P50_US)

static struct results results = {
    .bench = "console",
    .title = "Throughput and latency of a console",
    .rounds = 12,
    .patterns = {[SERIAL] = {.name = "serial",
                             .title = "Serial port, 16 bytes at once, a pipe",
                             .plotted = PLOTTED},
                 [CON_NULL] = {.name = "console-null",
                               .title = "Virtio console, 4 KiB at once, /dev/null"},
                 [CON_PIPE] = {.name = "console-pipe",
                               .title = "Virtio console, a pipe",
                               .plotted = PLOTTED},
                 [CON_SOCKET] = {.name = "console-socket",
                                 .title = "Virtio console, a socket",
                                 .plotted = PLOTTED},
                 [PORT_NULL] = {.name = "port-null", .title = "A port, nothing at its other end"},
                 [PORT_PIPE] = {.name = "port-pipe",
                                .title = "A port, FIFOs at its other end",
                                .plotted = PLOTTED},
                 [PORT_SOCKET] = {.name = "port-socket",
                                  .title = "A port, a process at its socket",
                                  .plotted = PLOTTED}},
    .figures = {[MB_S] = {.name = "mb_per_s",
                          .title = "MB/s",
                          .label = "written by the guest",
                          .unit = "MB/s",
                          .more_is_better = true},
                [IN_MB_S] = {.name = "in_mb_per_s",
                             .title = "in MB/s",
                             .label = "read by the guest",
                             .unit = "MB/s",
                             .more_is_better = true},
                [P50_US] = {.name = "p50_us",
                            .title = "p50 us",
                            .label = "from a key to its echo, median",
                            .unit = "µs"},
                [P90_US] = {.name = "p90_us", .title = "p90 us"}},
};

/* The port under test is 0, the console, or 1; keys and the guest's lines take the other one, if
 * there are ports. */
static const struct {
    bool has_ports;
    unsigned test;
    enum end end; /* of the port under test */
} setups[] = {
    [SERIAL] = {false, 0, END_PIPE},       [CON_NULL] = {true, 0, END_NULL},
    [CON_PIPE] = {true, 0, END_PIPE},      [CON_SOCKET] = {true, 0, END_SOCKET},
    [PORT_NULL] = {true, 1, END_NULL},     [PORT_PIPE] = {true, 1, END_PIPE},
    [PORT_SOCKET] = {true, 1, END_SOCKET},
};

/* ---- the other ends: a pair of descriptors each ---- */

struct wire {
    int to, from; /* the guest; -1: there is no such way */
};

static char folder[] = "/tmp/minivet-bench-XXXXXX";

static const char *place(const char *ending)
{
    static char paths[4][sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/port%s", folder, ending);
    return path;
}

static void remove_folder(void)
{
    unlink(place(""));
    unlink(place(".in"));
    unlink(place(".out"));
    rmdir(folder);
}

static int open_fifo(const char *path)
{
    int fd = mkfifo(path, 0600) < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES) < PIPE_BYTES)
        runs_die("FIFO", path);
    return fd;
}

/* The VMM listens before long. */
static int connect_to(const char *name, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    for (double begin = runs_now_ms(); runs_now_ms() - begin < 1e4; usleep(2000)) {
        if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
            return fd;
    }
    runs_die("nothing listens for us in", name);
}

/* The VMM's standard input and output, as given[2], and the ends of them that are ours. */
static struct wire open_stdio(enum end end, int given[2])
{
    int in[2], out[2];
    if (end == END_NULL) {
        given[0] = given[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
        return (struct wire){-1, -1};
    }
    if (end == END_SOCKET) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0)
            runs_die("socket for", "the console");
        given[0] = given[1] = in[0];
        return (struct wire){in[1], in[1]};
    }
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
        fcntl(in[0], F_SETPIPE_SZ, PIPE_BYTES) < PIPE_BYTES ||
        fcntl(out[0], F_SETPIPE_SZ, PIPE_BYTES) < PIPE_BYTES)
        runs_die("pipe for", "the console");
    given[0] = in[0];
    given[1] = out[1];
    return (struct wire){in[1], out[0]};
}

/* The words by which a VMM has port 1. */
static const char *port_words(const struct vmm *v, enum end end)
{
    static char words[512];
    static const char *const minivet[] = {"--port bench,file=/dev/null", "--port bench,pipe=%s",
                                          "--port bench,listen=%s"};
    static const char *const qemu[] = {"-chardev file,id=port,path=/dev/null",
                                       "-chardev pipe,id=port,path=%s",
                                       "-chardev socket,id=port,server=on,wait=off,path=%s"};
    bool is_qemu = strcmp(v->family, "qemu") == 0;
    int len = snprintf(words, sizeof(words), is_qemu ? qemu[end] : minivet[end], place(""));
    if (is_qemu)
        snprintf(words + len, sizeof(words) - (size_t)len,
                 " -device virtserialport,chardev=port,nr=1");
    return words;
}

/* ---- what is measured ---- */

static void press(struct vm_run *r, int keyboard, char key)
{
    errno = 0;
    if (write(keyboard, &key, 1) != 1)
        vm_give_up(r, "no key is read by");
}

static void take(struct vm_run *r, int fd, int bytes)
{
    char text[65536];
    for (ssize_t n; bytes > 0; bytes -= (int)n) {
        errno = 0;
        n = runs_read(fd, text, (size_t)bytes < sizeof(text) ? (size_t)bytes : sizeof(text));
        if (n <= 0)
            vm_give_up(r, "bytes are missing from the guest of");
    }
}

static double mb_per_s(struct vm_run *r, const char *words, double bytes)
{
    r->len = 0;
    r->text[0] = '\0';
    double us = vm_number(r, vm_await_line(r, words), "ticks") / vm_ticks_per_us();
    return bytes / us;
}

/* The guest writes a chunk for each key, and says how long that took in all. */
static void stream_out(struct vm_run *r, int keyboard, int fd, int bytes, int chunks,
                       double *figures)
{
    for (int i = 0; i < chunks; i++) {
        press(r, keyboard, 'x');
        if (fd >= 0)
            take(r, fd, bytes);
    }
    figures[MB_S] = mb_per_s(r, "con: end", (double)bytes * chunks);
}

/* It reads a chunk, which waits for it, after a key, and answers it by a dot. */
static void stream_in(struct vm_run *r, int keyboard, int fd, int bytes, double *figures)
{
    static char chunk[CHUNK_BYTES];
    for (int i = 0; i < CHUNKS; i++) {
        if (keyboard == fd)
            press(r, keyboard, 'x');
        for (ssize_t done = 0, n; done < bytes; done += n) {
            errno = 0;
            n = write(fd, chunk, (size_t)(bytes - done));
            if (n <= 0)
                vm_give_up(r, "nothing is read by");
        }
        if (keyboard != fd)
            press(r, keyboard, 'x');
        take(r, r->fd, 1);
    }
    figures[IN_MB_S] = mb_per_s(r, "con: read", (double)bytes * CHUNKS);
}

static void type(struct vm_run *r, const struct wire *w, double *figures)
{
    double us[KEYS];
    for (int i = 0; i < KEYS; i++) {
        char key = (char)('a' + i % 26), echo = 0;
        nanosleep(&(struct timespec){0, KEY_GAP_NS}, NULL);
        double begin = runs_now_ms();
        press(r, w->to, key);
        if (runs_read(w->from, &echo, 1) != 1 || echo != key)
            vm_give_up(r, "no echo from the guest of");
        us[i] = (runs_now_ms() - begin) * 1e3;
    }
    figures[P50_US] = stats_quantile(us, KEYS, 0.5);
    figures[P90_US] = stats_quantile(us, KEYS, 0.9);
}

/* Starts the guest; wires[n] is port n's. */
static void start(struct vm_run *r, const struct vmm *v, int pattern, struct vmm_guest *g,
                  struct wire wires[2])
{
    bool has_ports = setups[pattern].has_ports;
    enum end ends[2] = {END_PIPE, END_SOCKET};
    int given[2];
    ends[setups[pattern].test] = setups[pattern].end;
    wires[0] = open_stdio(ends[0], given);
    wires[1] = (struct wire){-1, -1};
    g->out_fd = given[1];
    if (has_ports) {
        if (mkdtemp(folder) == NULL)
            runs_die("folder for", v->name);
        atexit(remove_folder);
        g->words = port_words(v, ends[1]);
        if (ends[1] == END_PIPE)
            wires[1] = (struct wire){open_fifo(place(".in")), open_fifo(place(".out"))};
    }
    r->pid = vmm_start(v, g, given[0], &r->fd);
    close(given[0]);
    if (given[1] != given[0])
        close(given[1]);
    if (has_ports && ends[1] == END_SOCKET)
        wires[1].to = wires[1].from = connect_to(v->name, place(""));
}

static void run(const struct bench *b, const struct vmm *v, int pattern, double *figures)
{
    bool has_ports = setups[pattern].has_ports;
    static const int most[] = {NULL_BYTES, CHUNK_BYTES, SOCKET_BYTES};
    enum end end = setups[pattern].end;
    unsigned test = setups[pattern].test;
    int bytes = has_ports ? most[end] : SERIAL_BYTES, chunks = end == END_NULL ? 1 : CHUNKS;
    char orders[96];
    struct wire wires[2], *tested = &wires[test], *other = has_ports ? &wires[1 - test] : tested;
    struct vm_run r = {.name = v->name};
    (void)b;
    snprintf(orders, sizeof(orders), "virtio=%d test=%u bytes=%d chunks=%d in=%d", has_ports, test,
             bytes, chunks, end == END_NULL ? 0 : bytes);
    struct vmm_guest g = {.kernel = bench_guest("console"),
                          .append = orders,
                          .mem_mib = 128,
                          .cpus = 1,
                          .device = has_ports ? VMM_CONSOLE : VMM_NOTHING};
    start(&r, v, pattern, &g, wires);
    r.fd = other->from;
    vm_await(&r, "con: start\n");
    stream_out(&r, other->to, tested->from, bytes, chunks, figures);
    if (tested->to >= 0) {
        stream_in(&r, other->to, tested->to, bytes, figures);
        type(&r, tested, figures);
    }
    vm_end(&r);
    if (has_ports)
        remove_folder();
}

static bool can(const struct bench *b, const struct vmm *v, int pattern)
{
    (void)b;
    return !setups[pattern].has_ports || (vmm_has(v, VMM_CONSOLE) && v->family != NULL);
}

int main(int argc, char **argv)
{
    struct bench b = {
        .results = &results,
        .run = run,
        .can = can,
        .about = "\nBytes a second both ways, and the time from a key to its echo, with a pipe, a "
                 "socket\n"
                 "or nothing at the other end of a console or a port.\n",
        .notes = "MB/s: while the guest writes, in: while it reads, by its clock; p50, p90: from "
                 "a key to\n"
                 "its echo, written and read by the benchmark\n",
    };
    return bench_main(&b, argc, argv);
}
