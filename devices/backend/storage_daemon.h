// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk image of any format, opened by qemu-storage-daemon in a process of its own, which serves
 * it as a vhost-user block device on a private socket.
 *
 * The daemon ends with its owner, whatever that one dies of. Each connection has a daemon of its
 * own: storage_daemon_connect() ends the one before and starts the next, so that an image is never
 * open twice. A daemon that keeps dying is given up after a few starts.
 */
#ifndef MINIVET_DEVICES_BACKEND_STORAGE_DAEMON_H
#define MINIVET_DEVICES_BACKEND_STORAGE_DAEMON_H

#include <stdbool.h>

struct storage_daemon;

struct storage_daemon_config {
    const char *name;    /* for messages */
    const char *path;    /* of the image */
    const char *format;  /* as the daemon calls it: qcow2, vmdk, vdi, vhdx, raw, ... */
    const char *program; /* NULL: qemu-storage-daemon, from PATH */
    bool read_only;
    bool direct;     /* past the host's page cache, where the file system can */
    unsigned queues; /* 0: one */
};

/*
 * Nothing is started yet. Errors are reported: a program that is missing, an image that cannot be
 * opened. The strings are copied.
 */
int storage_daemon_create(struct storage_daemon **out, const struct storage_daemon_config *config);

/* Ends the daemon: what it has taken reaches the image first. Within bounded time. */
void storage_daemon_destroy(struct storage_daemon *daemon);

/*
 * A socket that is connected to a new daemon, the caller's; or a negative errno. `ctx` is the
 * daemon. What the daemon said in vain is reported, with the disk's name. Returns when the image is
 * open, or could not be. -ENODEV, silently: it has died too often.
 */
int storage_daemon_connect(void *ctx);

#endif
