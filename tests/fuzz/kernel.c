// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/kernel.h"

#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "core/base/fail.h"

/* File numbers that no process has. */
#define FIRST    0x40000000
#define FILES    512
#define NO_EPOLL (-1)

static struct file {
    bool open;
    eventfd_t count;
    int epoll; /* that it was added to */
    uint32_t events;
    bool told; /* edge-triggered, and what was written has been told */
    epoll_data_t data;
} files[FILES];

static bool ours;
static unsigned open_count, high; /* none is open from `high` on */

int __real_eventfd(unsigned count, int flags);
int __real_eventfd_read(int fd, eventfd_t *value);
int __real_eventfd_write(int fd, eventfd_t value);
bool __real_shared_event_take(int fd);
int __real_epoll_create1(int flags);
int __real_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __real_epoll_pwait2(int epoll, struct epoll_event *events, int max,
                        const struct timespec *timeout, const sigset_t *mask);
int __real_close(int fd);

int __wrap_eventfd(unsigned count, int flags);
int __wrap_eventfd_read(int fd, eventfd_t *value);
int __wrap_eventfd_write(int fd, eventfd_t value);
bool __wrap_shared_event_take(int fd);
int __wrap_epoll_create1(int flags);
int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event);
int __wrap_epoll_pwait2(int epoll, struct epoll_event *events, int max,
                        const struct timespec *timeout, const sigset_t *mask);
int __wrap_close(int fd);

void fuzz_kernel(bool on)
{
    ours = on;
}

unsigned fuzz_kernel_files(void)
{
    return open_count;
}

static struct file *file_of(int fd)
{
    if (fd < FIRST)
        return NULL;
    BUG_ON(fd >= FIRST + FILES || !files[fd - FIRST].open);
    return &files[fd - FIRST];
}

static int file_open(eventfd_t count)
{
    int i = 0;
    while (i < FILES && files[i].open)
        i++;
    BUG_ON(i == FILES);
    files[i] = (struct file){.open = true, .count = count, .epoll = NO_EPOLL};
    open_count++;
    if (high <= (unsigned)i)
        high = (unsigned)i + 1;
    return FIRST + i;
}

int __wrap_eventfd(unsigned count, int flags)
{
    return ours ? file_open(count) : __real_eventfd(count, flags);
}

int __wrap_epoll_create1(int flags)
{
    return ours ? file_open(0) : __real_epoll_create1(flags);
}

int __wrap_close(int fd)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return __real_close(fd);
    f->open = false;
    open_count--;
    while (high > 0 && !files[high - 1].open)
        high--;
    return 0;
}

int __wrap_eventfd_write(int fd, eventfd_t value)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return __real_eventfd_write(fd, value);
    f->count += value;
    f->told = false;
    return 0;
}

int __wrap_eventfd_read(int fd, eventfd_t *value)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return __real_eventfd_read(fd, value);
    *value = f->count;
    f->count = 0;
    if (*value > 0)
        return 0;
    errno = EAGAIN;
    return -1;
}

bool __wrap_shared_event_take(int fd)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return __real_shared_event_take(fd);
    bool any = f->count > 0;
    f->count = 0;
    return any;
}

int __wrap_epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return __real_epoll_ctl(epoll, op, fd, event);
    f->epoll = op == EPOLL_CTL_DEL ? NO_EPOLL : epoll;
    f->events = event->events;
    f->data = event->data;
    f->told = false;
    return 0;
}

/* Nobody else can write: what is not there now never comes, and is not waited for. */
int __wrap_epoll_pwait2(int epoll, struct epoll_event *events, int max,
                        const struct timespec *timeout, const sigset_t *mask)
{
    int n = 0;
    if (file_of(epoll) == NULL)
        return __real_epoll_pwait2(epoll, events, max, timeout, mask);
    for (unsigned i = 0; i < high && n < max; i++) {
        struct file *f = &files[i];
        if (!f->open || f->epoll != epoll || f->count == 0 || f->told)
            continue;
        f->told = (f->events & EPOLLET) != 0;
        events[n++] = (struct epoll_event){.events = EPOLLIN, .data = f->data};
    }
    BUG_ON(n == 0 && timeout == NULL);
    return n;
}
