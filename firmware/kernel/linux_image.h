// SPDX-License-Identifier: BSD-2-Clause
/*
 * The boot loader of machines with a device tree: puts an `Image` (Linux
 * Documentation/arch/arm64/booting.rst, arch/riscv/boot-image-header.rst) and an initrd into guest
 * memory. The Image may be packed: by gzip, or in an EFI zboot file. Nothing in the guest would
 * unpack it, so this is always done here.
 *
 *   RAM's beginning + text_offset    the kernel, image_size bytes
 *   the next 2 MiB                   the device tree, which the caller writes
 *   behind it                        the initrd
 */
#ifndef MINIVET_FIRMWARE_LINUX_IMAGE_H
#define MINIVET_FIRMWARE_LINUX_IMAGE_H

#include <stdint.h>

#include "firmware/kernel/image.h"

struct boot_request;
struct gmem;

/* An architecture's. */
struct linux_image_kind {
    struct image_wanted wanted;
    char magic[4];              /* at byte 56 */
    uint32_t cmdline_max_bytes; /* without the NUL */
};

#define LINUX_TREE_BYTES (2 * MIB) /* room for the device tree */

struct linux_image {
    uint64_t entry_gpa;
    uint64_t tree_gpa;
    uint64_t initrd_gpa, initrd_bytes; /* 0 bytes: there is none */
};

/*
 * Before the guest runs. 0 or a negative errno, reported: -ENOEXEC for what is no such kernel or is
 * damaged, -ENOMEM when memory is too small, -E2BIG for a command line that is too long, else what
 * the file system said.
 */
int linux_image_load(const struct gmem *g, const struct linux_image_kind *kind,
                     const struct boot_request *request, struct linux_image *out);

#endif
