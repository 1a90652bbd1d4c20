// SPDX-License-Identifier: BSD-2-Clause
/* What the files of the storage daemon share. */
#ifndef MINIVET_DEVICES_STORAGE_DAEMON_IMPL_H
#define MINIVET_DEVICES_STORAGE_DAEMON_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/base/clock.h"
#include "core/peers/confine.h"
#include "devices/backend/bucket.h"
#include "devices/disk/image/image_chain.h"
#include "devices/disk/image/storage_daemon.h"

#define STORAGE_DAEMON_PROGRAM "qemu-storage-daemon"
#define STORAGE_DAEMON_DIR_MAX 96u /* with a name in it, it fits into a socket's address */

struct storage_daemon {
    char *name, *program; /* the latter with its folder */
    const struct clock *clock;
    struct image_chain chain;
    char *blockdev; /* an argument, JSON: no name of a file needs escaping */
    bool read_only, unconfined;
    unsigned queues;
    uint64_t guest_bytes;
    int cancel_fd; /* an eventfd that becomes readable for good */
    int until_fd;  /* of the connection that is being made: likewise; -1: none */

    pid_t pid; /* 0: none */
    int pid_fd;
    int said_fd; /* what it writes to stderr; it never waits for us to read that */
    bool ready;  /* the image is open: it may have taken requests */
    char dir[STORAGE_DAEMON_DIR_MAX];          /* of the one that runs; empty: none */
    char pid_file[STORAGE_DAEMON_DIR_MAX + 8]; /* in it, empty until the image is open */

    struct bucket starts, reports;
    bool quiet; /* this connection is not reported on */
};

/* Arguments; for cJSON_free(). NULL: no memory. */
char *storage_daemon_blockdev(const struct storage_daemon_config *config,
                              const struct image_chain *chain);
char *storage_daemon_export(const struct storage_daemon *d, int listener);

/* For the next process. 0, or a negative errno that has been reported; NULL: unconfined. */
int storage_daemon_confine(struct confine **out, const struct storage_daemon *d);

/*
 * Starts the program, in d->dir, and waits until the image is open. 0; -EIO: it died; -ETIMEDOUT,
 * -ECANCELED; or what has been reported and sets *reported.
 */
int storage_daemon_spawn(struct storage_daemon *d, int listener, bool *reported);

/*
 * Ends the process, if there is one, and removes its folder. It writes all that it has been given,
 * and closes the image. 0, or -ECANCELED, if `cancellable`: then it is still there.
 */
int storage_daemon_end(struct storage_daemon *d, bool cancellable);

#endif
