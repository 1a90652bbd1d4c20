// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk in a raw image file or on a block device of the host.
 *
 * The image is locked while it is open (F_OFD_SETLK on all of it: shared for read-only, exclusive
 * for read-write), so that no two machines write it and none reads what another writes. Requests
 * run on the loop's helper threads, a few at a time, and are whole: a short transfer is continued,
 * the file's end inside the capacity is -EIO.
 */
#ifndef MINIVET_DEVICES_BACKEND_BLK_FILE_H
#define MINIVET_DEVICES_BACKEND_BLK_FILE_H

#include <stdbool.h>

struct blk_backend;
struct evloop;

struct blk_file_config {
    struct evloop *loop;
    const char *path;
    bool read_only;
};

/*
 * Errors are reported: what is neither a regular file nor a block device, what is too small for a
 * sector, what somebody else has locked (-EBUSY), what cannot be opened. A length that is not in
 * whole sectors is rounded down, and an image that looks like qcow2 is taken for raw bytes, both
 * with a warning.
 *
 * Destroyed through its ops, while nobody runs the loop; what is out then is ended first.
 */
int blk_file_create(struct blk_backend **out, const struct blk_file_config *config);

#endif
