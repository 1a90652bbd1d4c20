// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/x86/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/x86/x86_layout.h"

/* What users give instead of a kernel, by the bytes that it has at an offset. First match wins. */
static const struct look_alike {
    uint16_t offset;
    uint8_t len;
    const char *magic;
    const char *what;
} look_alikes[] = {
    {0, 2, "\x1f\x8b", "gzip data; unpack it first (gzip -d)"},
    {0, 6,
     "\xfd"
     "7zXZ\0",
     "xz data; unpack it first (xz -d)"},
    {0, 4, "\x28\xb5\x2f\xfd", "zstd data; unpack it first (zstd -d)"},
    {0, 4, "\x04\x22\x4d\x18", "lz4 data; unpack it first (lz4 -d)"},
    {0, 4, "\x02\x21\x4c\x18", "lz4 data; unpack it first (lz4 -d)"},
    {0, 3, "BZh", "bzip2 data; unpack it first (bzip2 -d)"},
    {56, 4, "ARM\x64", "an arm64 kernel; this machine is x86-64"},
    {56, 4, "RSC\x05", "a RISC-V kernel; this machine is x86-64"},
    {0, 8, "MZ\0\0zimg", "a compressed EFI kernel of another architecture"},
    {0, 2, "MZ", "a Windows or EFI program (PE)"},
    {0, 6, "070701", "an initramfs (cpio); give it as the initrd"},
    {0, 4, "QFI\xfb", "a disk image (qcow2)"},
    {257, 5, "ustar", "a tar archive"},
    {0, 8, "!<arch>\n", "an archive (a Debian package or a library); the kernel may be in it"},
    {0x8001, 5, "CD001", "a CD image"},
    {510, 2, "\x55\xaa", "a disk image or boot sector"},
};

uint64_t kernel_mib(uint64_t bytes)
{
    return bytes / MIB + (bytes % MIB != 0);
}

int kernel_bad(const struct kernel *k, const char *fmt, ...)
{
    char what[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return fail_msg(-ENOEXEC, "kernel %s: is damaged: %s", k->file.path, what);
}

static bool is_text(const struct kernel *k)
{
    for (size_t i = 0; i < k->head_bytes; i++) {
        uint8_t c = k->head[i];

        /* Bytes above 0x7f pass: UTF-8 is text too, and the others give a binary away. */
        if (c == 0x7f || (c < ' ' && !(c >= '\t' && c <= '\r') && c != 0x1b))
            return false;
    }
    return true;
}

static const char *what_is_it(const struct kernel *k)
{
    for (size_t i = 0; i < ARRAY_SIZE(look_alikes); i++) {
        const struct look_alike *l = &look_alikes[i];

        if (range_within(l->offset, l->len, 0, k->head_bytes) &&
            memcmp(k->head + l->offset, l->magic, l->len) == 0)
            return l->what;
    }
    return is_text(k) ? "a text file" : NULL;
}

static int refuse(const struct kernel *k)
{
    const char *what = what_is_it(k);

    if (what)
        return fail_msg(-ENOEXEC, "kernel %s: is not a bzImage or ELF kernel but %s", k->file.path,
                        what);
    return fail_msg(-ENOEXEC,
                    "kernel %s: is not a bzImage or ELF kernel: %" PRIu64
                    " bytes that begin %02x %02x %02x %02x",
                    k->file.path, k->file.bytes, k->head[0], k->head[1], k->head[2], k->head[3]);
}

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
        return refuse(k);
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
                        k->file.path, kernel_low_bytes(g) / MIB, kernel_mib(end));
    return 0;
}
