// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk image and the backing files below it, opened and checked by Minivet itself, so that the
 * program that reads them gets descriptors and has no name to follow (image_header.h).
 *
 * The files stay open until image_chain_close(): what was checked is what is used, whatever is
 * renamed or written into a header meanwhile.
 */
#ifndef MINIVET_DEVICES_IMAGE_CHAIN_H
#define MINIVET_DEVICES_IMAGE_CHAIN_H

#include <stdbool.h>
#include <sys/types.h>

#define IMAGE_CHAIN_MAX 8u

struct image_link {
    int fd;
    bool is_device; /* a block device; otherwise a regular file */
    dev_t dev;
    ino_t ino;
    char format[16];
};

/* Top first: each is the backing file of the one before. */
struct image_chain {
    struct image_link links[IMAGE_CHAIN_MAX];
    unsigned count;
};

struct image_chain_config {
    const char *name; /* of the disk, for messages */
    const char *path;
    const char *format;
    bool read_only; /* the first; all others are always */
    bool backing;   /* follow backing files; otherwise an image that has one is refused */
    /*
     * A descriptor of a regular file or block device, or a negative errno: -EMEDIUMTYPE for
     * anything else, which is not opened even for a moment. NULL: of the host's.
     */
    int (*open)(void *ctx, const char *path, bool writable);
    void *open_ctx;
};

/*
 * 0, or a negative errno that has been reported and leaves nothing open. Names in headers that are
 * relative count from the folder of that image. A backing file needs its format in the header above
 * it: one that is guessed may be what a guest wrote into a raw disk.
 */
int image_chain_open(struct image_chain *chain, const struct image_chain_config *config);

void image_chain_close(struct image_chain *chain);

#endif
