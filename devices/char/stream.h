// SPDX-License-Identifier: BSD-2-Clause
/*
 * Byte streams that the process was given (standard input and output), used without blocking and
 * without changing the flags of what others share. One thread at a time.
 */
#ifndef MINIVET_DEVICES_STREAM_H
#define MINIVET_DEVICES_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum stream_kind {
    STREAM_NONE,    /* closed */
    STREAM_OWN,     /* a terminal or pipe, opened anew and without blocking */
    STREAM_SOCKET,  /* a flag of each call says not to block */
    STREAM_PIPE,    /* cannot be opened anew; where the kernel has such a flag for pipes, as that */
    STREAM_GUARDED, /* shared with others: asked before each call whether it would block */
};

struct stream {
    enum stream_kind kind;
    int fd; /* the stream's own in any case; -1 if there is none */
};

/* The stream behind the caller's fd, which stays the caller's. flags: O_RDONLY or O_WRONLY. */
struct stream stream_open(int fd, int flags);
void stream_close(struct stream *s);

/* A terminal that belongs to another job: to read it would stop the process. */
bool stream_is_in_background(int fd);

/* Like read(2) and write(2), but for -1 with EAGAIN where those would block. */
ssize_t stream_read(const struct stream *s, void *data, size_t len);
ssize_t stream_write(const struct stream *s, const void *data, size_t len);

/* Waits for poll(2)'s events, or for the end; false if the time is over. */
bool stream_wait(const struct stream *s, short events, int wait_ms);

#endif
