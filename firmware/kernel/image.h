// SPDX-License-Identifier: BSD-2-Clause
/*
 * A file that is to be put into guest memory: the kernel or the initrd. Bytes go from the file to
 * the guest without a copy in between.
 *
 * Errors are reported with the role and the path: "kernel vmlinuz: is a directory".
 */
#ifndef MINIVET_FIRMWARE_IMAGE_H
#define MINIVET_FIRMWARE_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/xmath.h"

struct cancel;
struct gmem;

struct image {
    const char *role; /* "kernel" or "initrd", for messages */
    const char *path; /* the caller's */
    int fd;
    uint8_t *map;                /* it is in memory, and fd is -1; NULL: in a file */
    uint64_t bytes;              /* above 0 */
    const struct cancel *cancel; /* ends reading early; NULL, and as it is opened: nothing does */
};

/* Opens a regular file that is not empty. image_close() is right after a failure too. */
int image_open(struct image *img, const char *role, const char *path);
void image_close(struct image *img);

/* Room for one in memory, as image_open() names it. */
int image_create(struct image *img, const char *role, const char *path, uint64_t bytes);

/* All of [offset, offset + len) of the file, or a negative errno; -EIO if the file ends before. */
int image_read(const struct image *img, uint64_t offset, void *dst, size_t len);

/* The same, into guest memory that the caller has found to be RAM. */
int image_load(const struct image *img, uint64_t offset, const struct gmem *g, uint64_t gpa,
               uint64_t len);

/* For messages: bytes in whole MiB, rounded up. */
static inline uint64_t image_mib(uint64_t bytes)
{
    return bytes / MIB + (bytes % MIB != 0);
}

/* Reports "is damaged: <what>"; returns -ENOEXEC. */
int image_bad(const struct image *img, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What a loader takes. */
struct image_wanted {
    const char *what;    /* as "a bzImage or ELF kernel" */
    const char *machine; /* "x86-64" */
};

/*
 * For a file that is not what is wanted: reports what it is by its first bytes, if that can be
 * told; returns -ENOEXEC.
 */
int image_refuse(const struct image *img, const uint8_t *head, size_t head_bytes,
                 const struct image_wanted *wanted);

#endif
