// SPDX-License-Identifier: BSD-2-Clause
#include "core/tape_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fail.h"

#define PIECES 8u

struct tape_writer {
    char *path;
    int fd;
    pthread_t thread;
    bool runs;

    pthread_mutex_t lock; /* what follows, but not the pieces' bytes */
    pthread_cond_t changed;
    bool stop;
    uint64_t filled, written; /* pieces, counted for ever */
    uint32_t bytes[PIECES];
    uint8_t *pieces[PIECES];
};

static int write_all(int fd, const uint8_t *at, uint32_t left)
{
    while (left > 0) {
        ssize_t n = write(fd, at, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        left -= (uint32_t)n;
    }
    return 0;
}

static void *run(void *arg)
{
    struct tape_writer *w = arg;
    int err;
    bool failed = false;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->written == w->filled && !w->stop)
            pthread_cond_wait(&w->changed, &w->lock);
        if (w->written == w->filled)
            break;
        unsigned piece = w->written % PIECES;
        pthread_mutex_unlock(&w->lock);
        if (!failed && (err = write_all(w->fd, w->pieces[piece], w->bytes[piece])) < 0) {
            failed = true;
            fail(err, "--record %s: write; the recording ends here", w->path);
        }
        pthread_mutex_lock(&w->lock);
        w->written++;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

uint8_t *tape_writer_piece(struct tape_writer *w)
{
    return w->pieces[w->filled % PIECES];
}

uint8_t *tape_writer_next(struct tape_writer *w, uint32_t bytes)
{
    pthread_mutex_lock(&w->lock);
    w->bytes[w->filled++ % PIECES] = bytes;
    pthread_cond_broadcast(&w->changed);
    while (w->filled - w->written == PIECES)
        pthread_cond_wait(&w->changed, &w->lock);
    pthread_mutex_unlock(&w->lock);
    return tape_writer_piece(w);
}

/* Signals are for other threads. */
static int start(struct tape_writer *w)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = -pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    w->runs = err == 0;
    return err == 0 ? 0 : fail(err, "--record %s: thread", w->path);
}

int tape_writer_create(struct tape_writer **out, const char *path)
{
    struct tape_writer *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return fail(-ENOMEM, "--record %s", path);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    w->path = strdup(path);
    bool memory = w->path != NULL;
    for (unsigned i = 0; i < PIECES; i++)
        memory &= (w->pieces[i] = malloc(TAPE_PIECE_BYTES + TAPE_SPARE_BYTES)) != NULL;
    w->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    int err = w->fd < 0 ? fail(-errno, "--record %s: open", path) : 0;
    if (err == 0)
        err = memory ? start(w) : fail(-ENOMEM, "--record %s", path);
    if (err < 0) {
        tape_writer_destroy(w);
        return err;
    }
    *out = w;
    return 0;
}

void tape_writer_destroy(struct tape_writer *w)
{
    if (w == NULL)
        return;
    if (w->runs) {
        pthread_mutex_lock(&w->lock);
        w->stop = true;
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    if (w->fd >= 0)
        close(w->fd);
    for (unsigned i = 0; i < PIECES; i++)
        free(w->pieces[i]);
    free(w->path);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
