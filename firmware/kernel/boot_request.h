// SPDX-License-Identifier: BSD-2-Clause
/* What a boot loader is asked to put into guest memory, on any architecture. */
#ifndef MINIVET_FIRMWARE_BOOT_REQUEST_H
#define MINIVET_FIRMWARE_BOOT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

struct cancel;
struct entropy;

/* Memory in which the guest draws: four bytes a pixel, blue first, rows without gaps. */
struct boot_framebuffer {
    uint64_t gpa;
    uint32_t width, height; /* 0: there is none */
};

static inline uint64_t boot_framebuffer_bytes(const struct boot_framebuffer *f)
{
    return UINT64_C(4) * f->width * f->height;
}

struct boot_request {
    const char *kernel_path;
    const char *initrd_path; /* NULL: none */
    /* An archive before that: a multiple of four bytes; 0: none. See initrd.h. */
    const void *initrd_before;
    uint64_t initrd_before_bytes;
    const char *cmdline;
    struct boot_framebuffer framebuffer;
    bool unpack;           /* unpack a kernel here, if its format is known, and not in the guest */
    const char *cache_dir; /* where unpacked kernels are kept (kernel_cache.h); NULL: nowhere */
    /* What is unpacked here runs at a random place, unless "nokaslr" is on the command line or the
     * kernel has no relocations. NULL: where it was linked for. */
    const struct entropy *entropy;
    /* Files of device trees, for machines that have one; NULL: none. */
    const char *dtb;             /* instead of the machine's own */
    const char *dtb_overlay;     /* added to it */
    const char *dump_dtb;        /* what the kernel gets is written there */
    const struct cancel *cancel; /* ends loading early, by -ECANCELED; NULL: nothing does */
};

#endif
