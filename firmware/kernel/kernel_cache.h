// SPDX-License-Identifier: BSD-2-Clause
/*
 * Unpacked kernels, kept as files in a folder of the user's, so that each is unpacked once after
 * the host's start.
 *
 * An entry is known by the packed file that it came from: device, inode, size, times of change of
 * content and of inode (which no program can set), and samples of the packed bytes, for file
 * systems whose times are fixed. To read it costs nothing that a hash of all the bytes would cost.
 *
 * This identity is only as trustworthy as the file system that reports it: a mounted image of a
 * guest's disk may report anything, and the next such image may have the same device. Only files on
 * the file systems of the folder, of / and of /boot have entries.
 *
 * An entry is good until the host starts again. What was written since its start is in its memory,
 * if not on its disk; of what was written before, a crash may have left the name without the bytes.
 * 64 bytes of each MiB are summed up all the same, for a disk that lost what it was to write.
 *
 * Another user may not plant a kernel: folder and files that do not belong to this user alone are
 * as good as absent. Nothing that goes wrong here is an error: the kernel is unpacked again.
 */
#ifndef MINIVET_FIRMWARE_KERNEL_CACHE_H
#define MINIVET_FIRMWARE_KERNEL_CACHE_H

#include <stdint.h>

struct image;

#define KERNEL_CACHE_ENTRIES    8 /* of which the least recently used goes first */
#define KERNEL_CACHE_NAME_BYTES 48
#define KERNEL_CACHE_SAMPLES    16
#define KERNEL_CACHE_SAMPLE     128
#define KERNEL_CACHE_BOOT_BYTES 40
/* More is not kept, lest a kernel fill the user's disk; Linux's own map has no room for more. */
#define KERNEL_CACHE_MAX_BYTES (UINT32_C(1) << 30)

/* What is behind the unpacked bytes in an entry; private. */
struct kernel_cache_mark {
    char magic[16];
    char boot[KERNEL_CACHE_BOOT_BYTES]; /* the host's boot ID */
    uint64_t identity[10];
    uint8_t samples[KERNEL_CACHE_SAMPLES][KERNEL_CACHE_SAMPLE];
    uint64_t sum; /* of the entry itself; what is above is the same for the same kernel */
};

struct kernel_cache {
    int dir_fd; /* -1: there is none */
    char name[KERNEL_CACHE_NAME_BYTES];
    struct kernel_cache_mark mark;
};

/*
 * For the packed bytes at offset of a file. The folder is made if it is not there; NULL: there is
 * none, as for a file whose file system is not trusted. 0, or what reading the file said; reported.
 */
int kernel_cache_open(struct kernel_cache *c, const char *dir, const struct image *packed,
                      uint64_t offset, uint32_t bytes, uint32_t unpacked_bytes);
void kernel_cache_close(struct kernel_cache *c);

/* A file that begins with the unpacked bytes, or -1. */
int kernel_cache_find(const struct kernel_cache *c);

/* Adds them, unless the packed file has changed since kernel_cache_open(). */
void kernel_cache_keep(const struct kernel_cache *c, const struct image *packed,
                       const void *unpacked, uint32_t unpacked_bytes);

#endif
