// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "firmware/kernel/image.h"

/* By the bytes that it has at an offset; the first match wins. */
struct look_alike {
    uint16_t offset;
    uint8_t len;
    const char *magic;
    const char *what;
};

static const struct look_alike kernels[] = {
    {0x202, 4, "HdrS", "an x86 kernel (bzImage)"},
    {56, 4, "ARM\x64", "an arm64 kernel"},
    {56, 4, "RSC\x05", "a RISC-V kernel"},
};

/* What users give instead of a kernel. */
static const struct look_alike others[] = {
    {0, 2, "\x1f\x8b", "gzip data; unpack it first (gzip -d)"},
    {0, 6,
     "\xfd"
     "7zXZ\0",
     "xz data; unpack it first (xz -d)"},
    {0, 4, "\x28\xb5\x2f\xfd", "zstd data; unpack it first (zstd -d)"},
    {0, 4, "\x04\x22\x4d\x18", "lz4 data; unpack it first (lz4 -d)"},
    {0, 4, "\x02\x21\x4c\x18", "lz4 data; unpack it first (lz4 -d)"},
    {0, 3, "BZh", "bzip2 data; unpack it first (bzip2 -d)"},
    {0, 8, "MZ\0\0zimg", "a compressed EFI kernel of another architecture"},
    {0, 2, "MZ", "a Windows or EFI program (PE)"},
    {0, 6, "070701", "an initramfs (cpio); give it as the initrd"},
    {0, 4, "QFI\xfb", "a disk image (qcow2)"},
    {257, 5, "ustar", "a tar archive"},
    {0, 8, "!<arch>\n", "an archive (a Debian package or a library); the kernel may be in it"},
    {0x8001, 5, "CD001", "a CD image"},
    {510, 2, "\x55\xaa", "a disk image or boot sector"},
};

static bool is_text(const uint8_t *head, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        uint8_t c = head[i];

        /* Bytes above 0x7f pass: UTF-8 is text too, and the others give a binary away. */
        if (c == 0x7f || (c < ' ' && !(c >= '\t' && c <= '\r') && c != 0x1b))
            return false;
    }
    return true;
}

static const char *find(const struct look_alike *l, size_t count, const uint8_t *head, size_t bytes)
{
    for (; count > 0; l++, count--) {
        if (range_within(l->offset, l->len, 0, bytes) &&
            memcmp(head + l->offset, l->magic, l->len) == 0)
            return l->what;
    }
    return NULL;
}

int image_refuse(const struct image *img, const uint8_t *head, size_t head_bytes,
                 const struct image_wanted *wanted)
{
    const char *kernel = find(kernels, ARRAY_SIZE(kernels), head, head_bytes);
    const char *what = kernel ? kernel : find(others, ARRAY_SIZE(others), head, head_bytes);

    if (!what && is_text(head, head_bytes))
        what = "a text file";
    if (kernel)
        return fail_msg(-ENOEXEC, "%s %s: is not %s but %s; this machine is %s", img->role,
                        img->path, wanted->what, kernel, wanted->machine);
    if (what)
        return fail_msg(-ENOEXEC, "%s %s: is not %s but %s", img->role, img->path, wanted->what,
                        what);
    return fail_msg(-ENOEXEC, "%s %s: is not %s: %" PRIu64 " bytes that begin %02x %02x %02x %02x",
                    img->role, img->path, wanted->what, img->bytes, head[0], head[1], head[2],
                    head[3]);
}
