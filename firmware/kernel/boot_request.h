// SPDX-License-Identifier: BSD-2-Clause
/* What a boot loader is asked to put into guest memory, on any architecture. */
#ifndef MINIVET_FIRMWARE_BOOT_REQUEST_H
#define MINIVET_FIRMWARE_BOOT_REQUEST_H

#include <stdbool.h>

struct cancel;
struct entropy;

struct boot_request {
    const char *kernel_path;
    const char *initrd_path; /* NULL: none */
    const char *cmdline;
    bool unpack;           /* unpack a kernel here, if its format is known, and not in the guest */
    const char *cache_dir; /* where unpacked kernels are kept (kernel_cache.h); NULL: nowhere */
    /* What is unpacked here runs at a random place, unless "nokaslr" is on the command line or the
     * kernel has no relocations. NULL: where it was linked for. */
    const struct entropy *entropy;
    const struct cancel *cancel; /* ends loading early, by -ECANCELED; NULL: nothing does */
};

#endif
