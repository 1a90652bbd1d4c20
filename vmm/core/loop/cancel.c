// SPDX-License-Identifier: BSD-2-Clause
#include "core/loop/cancel.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"

#define NS_PER_MS UINT64_C(1000000)

int cancel_init(struct cancel *c)
{
    atomic_init(&c->asked, false);
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return c->fd < 0 ? fail(-errno, "eventfd") : 0;
}

void cancel_fini(struct cancel *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void cancel_ask(struct cancel *c)
{
    int saved_errno = errno;
    uint64_t one = 1;
    /* Release: pairs with cancel_asked(). */
    atomic_store_explicit(&c->asked, true, memory_order_release);
    if (write(c->fd, &one, sizeof(one)) < 0) /* it is full, and so readable */
        (void)0;
    errno = saved_errno;
}

/* What is left of the time, for poll(): rounded up, or the last millisecond would be spun away. */
static int left_ms(uint64_t end_ns)
{
    uint64_t now_ns = clock_now_ns(&clock_host);
    return now_ns < end_ns ? (int)((end_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

int cancel_poll(const struct cancel *c, int fd, short events, int timeout_ms)
{
    uint64_t end_ns =
        clock_now_ns(&clock_host) + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * NS_PER_MS;
    struct pollfd fds[] = {{.fd = fd, .events = events}, {.fd = cancel_fd(c), .events = POLLIN}};
    int n;
    do {
        n = cancel_asked(c) ? 0 : poll(fds, 2, timeout_ms < 0 ? -1 : left_ms(end_ns));
    } while (n < 0 && errno == EINTR);
    if (cancel_asked(c))
        return -ECANCELED;
    if (n < 0)
        return -errno;
    return n > 0 ? 0 : -ETIMEDOUT;
}
