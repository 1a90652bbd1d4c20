// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/input.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/xmath.h"

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
