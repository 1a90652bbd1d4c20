// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk in a raw image file or on a block device of the host.
 *
 * The image is locked while it is open (F_OFD_SETLK on all of it: shared for read-only, exclusive
 * for read-write), so that no two machines write it and none reads what another writes. Requests
 * are the loop's I/O, many at a time, and are whole: a short transfer is continued, the file's end
 * inside the capacity is -EIO.
 *
 * Without a cache the bytes go straight between the guest's memory and the storage (O_DIRECT).
 * Requests whose vectors do not suit that are copied through a few buffers. A disk whose logical
 * blocks are smaller than what the file system takes, or on one that refuses all of it, is read and
 * written through the host's page cache.
 */
#ifndef MINIVET_DEVICES_BLK_FILE_H
#define MINIVET_DEVICES_BLK_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct blk_backend;
struct blk_file;
struct evloop;

enum blk_file_cache {
    BLK_FILE_CACHE_NONE,      /* past the host's page cache; FLUSH = fdatasync */
    BLK_FILE_CACHE_WRITEBACK, /* through it; FLUSH = fdatasync */
    BLK_FILE_CACHE_UNSAFE,    /* through it; FLUSH does nothing: a crash of the host loses data */
};

struct blk_file_config {
    struct evloop *loop;
    const char *path;
    bool read_only;
    enum blk_file_cache cache;
    uint32_t sector_bytes; /* logical blocks that the guest sees, a power of two; 0: 512 */
};

/*
 * Errors are reported: what is neither a regular file nor a block device, what is too small for a
 * sector, a file that another process has locked (-EBUSY), what cannot be opened. A length that is
 * not in whole logical blocks is rounded down, and an image that looks like another format is taken
 * for raw bytes, both with a warning.
 *
 * Destroyed through its ops, while no thread runs the loop; requests in flight are ended first.
 */
int blk_file_create(struct blk_backend **out, const struct blk_file_config *config);

/*
 * An empty disk in a file without a name, in $TMPDIR or /var/tmp: it is gone when it is destroyed.
 * Reported.
 */
int blk_file_create_scratch(struct blk_backend **out, struct evloop *loop, uint64_t bytes);

/*
 * Looks how large the file or the block device is now, and tells the device if that has changed.
 * Any thread. Reported: -EINVAL for what is smaller than a sector by now.
 */
int blk_file_remeasure(struct blk_backend *b);

/* Gives a regular file that many bytes (whole logical blocks), then the same. Reported. */
int blk_file_resize(struct blk_backend *b, uint64_t bytes);

/*
 * The same in two steps, since ftruncate(2) may wait for the server of a file system: returns a
 * descriptor, which is the caller's, for that call; or a negative errno, not reported: -EROFS;
 * -EINVAL for a block device, or what is not whole blocks. When the file has so many bytes, the
 * owner says so.
 */
int blk_file_begin_resize(struct blk_backend *b, uint64_t bytes);
void blk_file_end_resize(struct blk_backend *b, uint64_t bytes);

/*
 * Another file in the place of the disk's, in three steps, since to open and to close it may wait
 * for the server of a file system, too.
 *
 * 1. It is opened as blk_file_create() does, without a loop: any thread.
 * 2. On the disk's loop, while no request is out: the two change places, and the handler is told of
 *    another capacity. What else the disk says of itself stays, so the file is opened with the same
 *    configuration (-EINVAL). Not of a disk that has views. -EOPNOTSUPP: the disk takes discards,
 *    and this file cannot; -EAGAIN: the host has something that a drain has left behind. Nothing is
 *    reported.
 * 3. What is left, the old file or the new one, is closed; the old one is on stable storage then,
 *    unless it is BLK_FILE_CACHE_UNSAFE, or there is an error: that is reported. Any thread. NULL
 *    is allowed.
 */
int blk_spare_open(struct blk_file **out, const struct blk_file_config *config);
int blk_spare_exchange(struct blk_backend *disk, struct blk_file *spare);
int blk_spare_close(struct blk_file *spare);

#endif
