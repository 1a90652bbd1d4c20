// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the kernel gets as its initrd: Minivet's own archive, then the user's file. The kernel
 * unpacks one after the other. Ours is first because it is not packed: behind a packed one some of
 * the kernel's unpackers look for more of the same.
 */
#ifndef MINIVET_FIRMWARE_INITRD_H
#define MINIVET_FIRMWARE_INITRD_H

#include "firmware/kernel/image.h"

struct boot_request;

struct initrd {
    const struct boot_request *request;
    struct image file; /* fd is -1: there is none */
    uint64_t bytes;    /* of both; 0: there is no initrd */
};

/* Errors are reported. initrd_close() is right after a failure, too. */
int initrd_open(struct initrd *i, const struct boot_request *request);
/* Into guest memory that the caller has found to be RAM. */
int initrd_load(const struct initrd *i, const struct gmem *g, uint64_t gpa);
void initrd_close(struct initrd *i);

/* For messages. */
const char *initrd_name(const struct initrd *i);

#endif
