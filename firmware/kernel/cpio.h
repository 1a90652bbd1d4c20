// SPDX-License-Identifier: BSD-2-Clause
/*
 * An initramfs in memory: a cpio archive in the format "newc"
 * (Documentation/driver-api/early-userspace/buffer-format.rst of Linux). Its length is a multiple
 * of four, so that another archive may follow.
 */
#ifndef MINIVET_FIRMWARE_CPIO_H
#define MINIVET_FIRMWARE_CPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialized. */
struct cpio {
    uint8_t *data; /* malloc()ed: the caller's */
    size_t bytes, room;
    unsigned entries;
    bool failed; /* there was no memory, or an entry is too large */
};

/* A file, or a folder (S_IFDIR), with its mode; path: from the root, without a slash before it. */
void cpio_add(struct cpio *c, const char *path, uint32_t mode, const void *data, size_t bytes);
/* Behind the last one. 0 or -ENOMEM; not reported. */
int cpio_end(struct cpio *c);

#endif
