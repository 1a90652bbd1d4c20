// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk image of a format other than raw, read by qemu-storage-daemon in a process of its own,
 * which serves it as a vhost-user block device on a private socket.
 *
 * The image, and its backing files where they are allowed, are opened and checked here
 * (image_chain.h); the daemon gets descriptors and is told of each node what it is, so that it
 * follows no name out of a header. Nor could it: it is confined to those files, its libraries and
 * its pid file, and makes no files and no connections (core/peers/confine.h).
 *
 * The daemon ends with its owner, however that ends. Each connection has a daemon of its
 * own: storage_daemon_connect() ends the one before and starts the next, so that an image is never
 * open twice. A guest can make daemons die; how many are started, and how many lines are logged
 * about it, is limited.
 *
 * Threads: storage_daemon_connect() may block and is for one thread at a time; nothing here needs a
 * loop. A thread that called it lives on for as long as the connection is used, since the kernel
 * ends the daemon with the thread that started it. storage_daemon_cancel() is for any thread, at
 * any time before the daemon is destroyed.
 */
#ifndef MINIVET_DEVICES_STORAGE_DAEMON_H
#define MINIVET_DEVICES_STORAGE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/clock.h"

/* So many starts are let through at once, then one each so many seconds. */
#define STORAGE_DAEMON_STARTS  5u
#define STORAGE_DAEMON_START_S 10u

struct storage_daemon;

struct storage_daemon_config {
    const char *name;          /* for messages */
    const char *path;          /* of the image */
    const char *format;        /* one of IMAGE_FORMATS: image_header.h */
    const char *program;       /* NULL: qemu-storage-daemon, from PATH */
    const struct clock *clock; /* of the limits; NULL: the host's */
    bool read_only;
    bool backing;         /* backing files that headers name are opened */
    bool direct;          /* past the host's page cache, where the file system can */
    unsigned queues;      /* 0: one */
    uint64_t guest_bytes; /* of guest memory, which the daemon maps */
    bool unconfined;      /* for tests whose program is a script */
    bool unchecked;       /* for tests: no header is checked, and the daemon is told nothing */
};

/*
 * Nothing is started yet. Errors are reported: a program that is missing, an image that cannot be
 * opened, is of another format or names other files. The strings are copied.
 */
int storage_daemon_create(struct storage_daemon **out, const struct storage_daemon_config *config);

/*
 * Ends the daemon: what it has taken reaches the image first. Within bounded time, 10 s if the
 * daemon hangs. No storage_daemon_connect() may be running: cancel and wait for that first. NULL is
 * allowed.
 */
void storage_daemon_destroy(struct storage_daemon *daemon);

/*
 * A socket that is connected to a new daemon, the caller's; or a negative errno. `ctx` is the
 * daemon. Returns when the image is open, or could not be; after 30 s at the latest, and 10 more
 * if the daemon before does not end. What went wrong is reported, with the disk's name, the first
 * times; later once a minute.
 *
 *   -EAGAIN      silently: it is too early for another start; ask again later
 *   -ECANCELED   silently: storage_daemon_cancel()
 */
int storage_daemon_connect(void *ctx);

/* The same, and given up with -ECANCELED when cancel_fd becomes readable, too. -1: never. */
int storage_daemon_connect_until(void *ctx, int cancel_fd);

/*
 * A storage_daemon_connect() that waits returns at once, and every later one, too: all that is left
 * is storage_daemon_destroy(). Also safe in a signal's handler.
 */
void storage_daemon_cancel(struct storage_daemon *daemon);

#endif
