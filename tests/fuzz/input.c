// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/input.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"

uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes && in->left > 0; i++, in->left--)
        value |= (uint64_t)*in->at++ << 8 * i;
    return value;
}

const uint8_t *fuzz_take_bytes(struct fuzz_input *in, size_t max, size_t *len)
{
    const uint8_t *bytes = in->at;
    *len = min_u64(max, in->left);
    in->at += *len;
    in->left -= *len;
    return bytes;
}

void fuzz_check(bool good, const char *fmt, ...)
{
    va_list args;
    if (good)
        return;
    fputs("finding: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

/* One system call, whatever is open. */
unsigned fuzz_open_fds(void)
{
    struct pollfd fds[FUZZ_FDS];
    unsigned open = 0;
    for (unsigned i = 0; i < FUZZ_FDS; i++)
        fds[i] = (struct pollfd){.fd = (int)i};
    (void)poll(fds, FUZZ_FDS, 0);
    for (unsigned i = 0; i < FUZZ_FDS; i++)
        open += (fds[i].revents & POLLNVAL) == 0;
    return open;
}

void fuzz_host_open(struct fuzz_host *h)
{
    h->time.now_ns = 0;
    if (h->loop != NULL)
        return;
    h->clock = fake_clock_port(&h->time);
    setenv("MINIVET_NO_URING", "1", 1); /* quicker for what is so short */
    int err = evloop_create(&h->loop, "fuzz", &h->clock);
    BUG_ON(err != 0);
}

int fuzz_make_file(char path[32])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    BUG_ON(fd < 0);
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

static struct {
    enum log_level level;
    unsigned lines;
} said;

static void count_line(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    said.lines += level <= said.level;
    if (strncmp(line, "bug:", 4) == 0)
        fprintf(stderr, "%s\n", line);
}

void fuzz_count_lines(enum log_level level)
{
    said.level = level;
    said.lines = 0;
    log_set_sink(count_line, NULL);
}

unsigned fuzz_lines(void)
{
    return said.lines;
}
