// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/shared_event.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define EVENTS    32 /* operations that have ended and are not collected yet */
#define TRIES_MAX 16

bool shared_event_take(int eventfd)
{
    uint64_t count;
    struct iovec iov = {&count, sizeof(count)};
    return preadv2(eventfd, &iov, 1, -1, RWF_NOWAIT) == (ssize_t)sizeof(count) ||
           errno == EOPNOTSUPP;
}

int shared_event_signal_open(struct shared_event_signal *s)
{
    *s = (struct shared_event_signal){0};
    aio_context_t aio = 0;
    int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (syscall(SYS_io_setup, EVENTS, &aio) != 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    *s = (struct shared_event_signal){.aio = aio, .ready_fd = fd};
    return 0;
}

void shared_event_signal_close(struct shared_event_signal *s)
{
    if (s->ready_fd == 0)
        return;
    syscall(SYS_io_destroy, s->aio);
    close(s->ready_fd);
    *s = (struct shared_event_signal){0};
}

/* Makes room for more; others may do so at the same time. */
static void collect(const struct shared_event_signal *s)
{
    struct io_event events[EVENTS];
    struct timespec none = {0};
    (void)syscall(SYS_io_getevents, s->aio, 0, EVENTS, events, &none);
}

void shared_event_signal(struct shared_event_signal *s, int eventfd)
{
    struct iocb poll = {
        .aio_lio_opcode = IOCB_CMD_POLL,
        .aio_fildes = (uint32_t)s->ready_fd,
        .aio_buf = POLLIN,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = (uint32_t)eventfd,
    };
    struct iocb *list[] = {&poll};
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        if (syscall(SYS_io_submit, s->aio, 1, list) == 1 || errno != EAGAIN)
            return;
        collect(s);
    }
}
