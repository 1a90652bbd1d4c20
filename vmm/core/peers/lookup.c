// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/lookup.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/loop/cancel.h"
#include "core/loop/workpool.h"

struct question {
    lookup_fn *fn;
    char host[256], port[32];
    struct addrinfo hints;
    struct addrinfo *found;
    int answer;       /* of fn */
    int done_fd;      /* an eventfd */
    atomic_uint used; /* by the one that asks, and by the thread */
};

static void leave(struct question *q)
{
    if (atomic_fetch_sub(&q->used, 1) > 1)
        return;
    if (q->found != NULL)
        freeaddrinfo(q->found);
    if (q->done_fd >= 0)
        close(q->done_fd);
    free(q);
}

static void *answer(void *arg)
{
    struct question *q = arg;
    q->answer = q->fn(q->host, q->port, &q->hints, &q->found);
    (void)eventfd_write(q->done_fd, 1);
    leave(q);
    return NULL;
}

/* 0: it has been answered. */
static int ask(struct question *q, const struct cancel *cancel)
{
    pthread_t thread;
    q->done_fd = eventfd(0, EFD_CLOEXEC);
    if (q->done_fd < 0)
        return -errno;
    atomic_store(&q->used, 2);
    int err = thread_start(&thread, "lookup", answer, q);
    if (err < 0) {
        atomic_store(&q->used, 1);
        return err;
    }
    pthread_detach(thread);
    eventfd_t one;
    err = cancel_poll(cancel, q->done_fd, POLLIN, -1);
    return err == 0 && eventfd_read(q->done_fd, &one) < 0 ? -errno : err;
}

int lookup_by(lookup_fn *fn, struct addrinfo **found, const char *what, const char *host,
              const char *port, const struct addrinfo *hints, const struct cancel *cancel)
{
    struct question *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return fail(-ENOMEM, "%s", what);
    *q = (struct question){.fn = fn, .hints = *hints, .done_fd = -1, .used = 1};
    snprintf(q->host, sizeof(q->host), "%s", host);
    snprintf(q->port, sizeof(q->port), "%s", port);
    int err = 0;
    if (cancel != NULL)
        err = ask(q, cancel);
    else
        q->answer = fn(q->host, q->port, &q->hints, &q->found);
    if (err < 0) {
        err = fail(err, "%s: look up %s", what, host);
    } else if (q->answer != 0) {
        err = fail_msg(-EINVAL, "%s: %s", what, gai_strerror(q->answer));
    } else {
        *found = q->found;
        q->found = NULL;
    }
    leave(q);
    return err;
}

int lookup(struct addrinfo **found, const char *what, const char *host, const char *port,
           const struct addrinfo *hints, const struct cancel *cancel)
{
    return lookup_by(getaddrinfo, found, what, host, port, hints, cancel);
}
