// SPDX-License-Identifier: BSD-2-Clause
/*
 * bzImage: real-mode code whose first sector holds the setup header, then the protected-mode part,
 * which unpacks the kernel proper:
 *
 *     0      0x1f1          (sects + 1) * 512             + syssize * 16
 *     +------+--------------+-----------------------------+-----------+
 *     | code | setup header | protected-mode part         | signature |
 *     +------+--------------+-----------------------------+-----------+
 *                           | loaded at pref_address, entered at +0x200
 *
 * While it unpacks itself it uses all of [pref_address, pref_address + init_size). It never runs
 * below pref_address, so there is no other place worth trying.
 */
#include "firmware/x86/kernel.h"

#include <errno.h>
#include <inttypes.h>

#include "core/base/fail.h"
#include "core/base/le.h"

#define SECTOR_BYTES         512u
#define DEFAULT_SETUP_SECTS  4u /* what 0 stands for */
#define PARAGRAPH_BYTES      16u
#define LONG64_ENTRY_OFFSET  0x200u
#define OLDEST_LINUX_FOR_212 "3.8"

static int check_protocol(const struct kernel *k)
{
    unsigned version = le16_get(k->head + SETUP_VERSION);
    unsigned header_end = SETUP_MAGIC + k->head[SETUP_JUMP_LENGTH];

    if (k->head_bytes < SETUP_HEADER_MIN_END)
        return kernel_bad(k, "it ends within its header, after %zu bytes", k->head_bytes);
    if (version < SETUP_MIN_VERSION)
        return fail_msg(-ENOEXEC,
                        "kernel %s: speaks boot protocol %u.%02u; 2.12 (Linux " OLDEST_LINUX_FOR_212
                        ") or later is needed",
                        k->file.path, version >> 8, version & 0xff);
    if (header_end < SETUP_HEADER_MIN_END)
        return kernel_bad(k, "its header ends at 0x%x, before its last field", header_end);
    if (!(le16_get(k->head + SETUP_XLOADFLAGS) & SETUP_XLF_KERNEL_64))
        return fail_msg(-ENOEXEC, "kernel %s: has no 64-bit entry; a 64-bit kernel is needed",
                        k->file.path);
    return 0;
}

int bzimage_load(struct kernel *k, const struct gmem *g, const struct linux_boot_config *config)
{
    uint64_t sects = k->head[SETUP_SECTS] ? k->head[SETUP_SECTS] : DEFAULT_SETUP_SECTS;
    uint64_t setup_bytes = (sects + 1) * SECTOR_BYTES;
    uint64_t body_bytes = (uint64_t)le32_get(k->head + SETUP_SYSSIZE) * PARAGRAPH_BYTES;
    uint64_t pref_gpa = le64_get(k->head + SETUP_PREF_ADDRESS);
    uint64_t init_bytes = le32_get(k->head + SETUP_INIT_SIZE);
    int err;

    if (config->entry == LINUX_ENTRY_PVH)
        return fail_msg(-ENOEXEC, "kernel %s: is a bzImage, which has no PVH entry", k->file.path);
    err = check_protocol(k);
    if (err)
        return err;
    if (body_bytes <= LONG64_ENTRY_OFFSET)
        return kernel_bad(k, "its header promises only %" PRIu64 " bytes of kernel", body_bytes);
    if (k->file.bytes < setup_bytes + body_bytes)
        return kernel_bad(k, "it is cut off: %" PRIu64 " of %" PRIu64 " bytes are there",
                          k->file.bytes, setup_bytes + body_bytes);
    if (init_bytes < body_bytes)
        return kernel_bad(k, "%" PRIu64 " bytes of kernel are to run in %" PRIu64, body_bytes,
                          init_bytes);
    err = kernel_check_range(k, g, pref_gpa, init_bytes);
    if (err)
        return err;

    k->start_gpa = pref_gpa;
    k->end_gpa = pref_gpa + init_bytes;
    k->initrd_max_gpa = le32_get(k->head + SETUP_INITRD_ADDR_MAX);
    k->cmdline_max_bytes = le32_get(k->head + SETUP_CMDLINE_SIZE);
    err = payload_load(k, g, config, setup_bytes, body_bytes);
    if (err)
        return err < 0 ? err : 0;
    k->mode = BOOT_LONG64;
    k->entry_gpa = pref_gpa + LONG64_ENTRY_OFFSET;
    return image_load(&k->file, setup_bytes, g, pref_gpa, body_bytes);
}
