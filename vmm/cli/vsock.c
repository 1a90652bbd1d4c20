// SPDX-License-Identifier: BSD-2-Clause
/* `minivet vsock`: standard input and output become a connection to a port of a guest's. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/peers/foreign_connect.h"
#include "core/peers/peer.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/exit_code.h"

/* One direction: what was read waits here until it can be written. */
struct way {
    int from, to;
    bool is_over; /* no more comes */
    size_t start, count;
    char bytes[65536];
};

static int print_help(void)
{
    puts("usage: minivet vsock PATH PORT\n\n"
         "Connects standard input and output to the port of a guest that runs with --vsock "
         "on,path=PATH\n"
         "and at which a program listens there (AF_VSOCK). It ends when the guest ends the "
         "connection.\n\n"
         "  ssh -o ProxyCommand='minivet vsock PATH 22' root@guest\n\n"
         "The exit status is 0, or 1 if nothing listens at the path or at the port.");
    return 0;
}

static int open_path(const char *path)
{
    int fd = foreign_connect(path, -1);
    int err = fd < 0 ? fd : peer_check(fd, NULL);
    if (err == 0) {
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
        return fd;
    }
    if (fd >= 0)
        close(fd);
    if (err == -EPERM && fd >= 0)
        return fail_msg(err, "vsock %s: a process of another user listens there", path);
    return fail_msg(err, "vsock %s: %s; does a guest run with --vsock on,path=%s?", path,
                    strerror(-err), path);
}

/* Asks for the port. No byte of what follows the answer is taken. */
static int ask(int fd, const char *path, unsigned long port)
{
    char line[32];
    int len = snprintf(line, sizeof(line), "CONNECT %lu\n", port);
    size_t got = 0;
    if (send(fd, line, (size_t)len, MSG_NOSIGNAL) == len)
        while (got < sizeof(line) && (got == 0 || line[got - 1] != '\n') &&
               recv(fd, line + got, 1, 0) == 1)
            got++;
    if (got > 3 && line[got - 1] == '\n' && memcmp(line, "OK ", 3) == 0)
        return 0;
    return fail_msg(-ECONNREFUSED, "vsock %s: port %lu: no program of the guest's listens there",
                    path, port);
}

static bool take(struct way *w)
{
    ssize_t n = read(w->from, w->bytes, sizeof(w->bytes));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    w->start = 0;
    w->count = n > 0 ? (size_t)n : 0;
    w->is_over = n <= 0;
    return n > 0;
}

/* So much that it does not wait: the descriptors are others', too, and stay as they are. */
static bool give(struct way *w, bool to_guest)
{
    const char *at = w->bytes + w->start;
    ssize_t n = to_guest ? send(w->to, at, w->count, MSG_DONTWAIT | MSG_NOSIGNAL)
                         : write(w->to, at, w->count < PIPE_BUF ? w->count : PIPE_BUF);
    if (n < 0 && errno != EINTR && errno != EAGAIN)
        return false;
    w->start += n > 0 ? (size_t)n : 0;
    w->count -= n > 0 ? (size_t)n : 0;
    return true;
}

/* Until the guest sends no more, or the reader of standard output has gone. */
static void carry(int fd)
{
    static struct way in, out;
    in = (struct way){.from = STDIN_FILENO, .to = fd};
    out = (struct way){.from = fd, .to = STDOUT_FILENO};
    while (!out.is_over || out.count > 0) {
        struct pollfd p[] = {
            {.fd = in.is_over || in.count > 0 ? -1 : in.from, .events = POLLIN},
            {.fd = in.count > 0 ? in.to : -1, .events = POLLOUT},
            {.fd = out.is_over || out.count > 0 ? -1 : out.from, .events = POLLIN},
            {.fd = out.count > 0 ? out.to : -1, .events = POLLOUT},
        };
        if (poll(p, 4, -1) < 0 && errno != EINTR)
            return;
        if (p[0].revents != 0 && !take(&in))
            shutdown(fd, SHUT_WR);
        if (p[1].revents != 0 && !give(&in, true))
            in.count = 0; /* and what the guest has sent is read */
        if (p[2].revents != 0)
            (void)take(&out);
        if (p[3].revents != 0 && !give(&out, false))
            return;
    }
}

int cli_vsock(int argc, char **argv)
{
    char *end = NULL;
    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return print_help();
    if (argc != 3) {
        fail_msg(0, "vsock: give the path of --vsock on,path=PATH, and a port of the guest's");
        return EXIT_USAGE;
    }
    errno = 0;
    unsigned long port = strtoul(argv[2], &end, 10);
    if (argv[2][0] < '0' || argv[2][0] > '9' || *end != '\0' || errno != 0 || port > UINT32_MAX) {
        fail_msg(0, "vsock: %s: a port is a number, 0 to 4294967295", argv[2]);
        return EXIT_USAGE;
    }
    int fd = open_path(argv[1]);
    int r = fd < 0 ? fd : ask(fd, argv[1], port);
    if (r == 0)
        carry(fd);
    if (fd >= 0)
        close(fd);
    return r < 0 ? EXIT_FAILURE : 0;
}
