// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/x86/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/x86/x86_layout.h"

int kernel_open(struct kernel *k, const char *path)
{
    int err;

    memset(k, 0, sizeof(*k));
    err = image_open(&k->file, "kernel", path);
    return err ? err : kernel_identify(k);
}

int kernel_identify(struct kernel *k)
{
    int err;

    k->head_bytes = min_u64(k->file.bytes, sizeof(k->head));
    err = image_read(&k->file, 0, k->head, k->head_bytes);
    if (err)
        return err;
    if (le32_get(k->head + SETUP_MAGIC) == SETUP_MAGIC_VALUE &&
        le16_get(k->head + SETUP_BOOT_FLAG) == SETUP_BOOT_FLAG_VALUE)
        k->format = KERNEL_BZIMAGE;
    else if (memcmp(k->head,
                    "\x7f"
                    "ELF",
                    4) == 0)
        k->format = KERNEL_ELF;
    else
        return image_refuse(&k->file, k->head, k->head_bytes,
                            &(struct image_wanted){"a bzImage or ELF kernel", "x86-64"});
    return 0;
}

void kernel_close(struct kernel *k)
{
    image_close(&k->file);
}

uint64_t kernel_low_bytes(const struct gmem *g)
{
    const struct gmem_region *low = gmem_find(g, 0, 1);

    return low ? low->bytes : 0;
}

int kernel_check_range(const struct kernel *k, const struct gmem *g, uint64_t gpa, uint64_t bytes)
{
    uint64_t end;

    if (!checked_add_u64(gpa, bytes, &end) || end > X86_HOLE_GPA)
        return kernel_bad(k,
                          "it asks for 0x%" PRIx64 " bytes at 0x%" PRIx64
                          ", which no machine has below its devices at 0x%" PRIx64,
                          bytes, gpa, X86_HOLE_GPA);
    if (gpa < X86_HIGH_MEMORY_GPA)
        return kernel_bad(k,
                          "it asks for 0x%" PRIx64 " bytes at 0x%" PRIx64
                          ", but the first MiB belongs to the boot loader",
                          bytes, gpa);
    if (end > kernel_low_bytes(g))
        return fail_msg(-ENOMEM,
                        "kernel %s: does not fit into %" PRIu64 " MiB of memory: it needs %" PRIu64
                        " MiB; give the guest more",
                        k->file.path, kernel_low_bytes(g) / MIB, image_mib(end));
    return 0;
}
