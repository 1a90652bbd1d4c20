// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/kernel_version.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/le.h"

/* The setup header of a bzImage (Documentation/arch/x86/boot.rst of Linux). */
#define MAGIC_OFFSET   0x202u
#define POINTER_OFFSET 0x20eu /* of a text, counted from 0x200 */
#define POINTER_BASE   0x200u
#define HEADER_END     0x210u

#define BANNER "Linux version "

/* The file is read piece by piece; no text is cut off in both of two. */
#define PIECE_BYTES   (256 * 1024)
#define PIECE_OVERLAP 256

/* A word of [text, text + room), which may be anything. */
static bool take(const char *text, size_t room, char version[KERNEL_VERSION_BYTES])
{
    size_t n = 0;
    while (n < room && n < KERNEL_VERSION_BYTES - 1 && text[n] > ' ' && text[n] < 127 &&
           text[n] != '/')
        n++;
    if (n == 0 || n == room || (text[n] != ' ' && text[n] != '\0') || text[0] == '.')
        return false;
    memcpy(version, text, n);
    version[n] = '\0';
    return true;
}

static bool from_header(const char *file, size_t bytes, char version[KERNEL_VERSION_BYTES])
{
    if (bytes < HEADER_END || memcmp(file + MAGIC_OFFSET, "HdrS", 4) != 0)
        return false;
    size_t at = (size_t)le16_get((const uint8_t *)file + POINTER_OFFSET) + POINTER_BASE;
    return at > POINTER_BASE && at < bytes && take(file + at, bytes - at, version);
}

/* The text is also the start of a format ("Linux version %s"), which is passed over. */
static bool from_banner(const char *file, size_t bytes, char version[KERNEL_VERSION_BYTES])
{
    const char *at = file, *end = file + bytes;
    while ((at = memmem(at, (size_t)(end - at), BANNER, sizeof(BANNER) - 1)) != NULL) {
        at += sizeof(BANNER) - 1;
        if (at < end && *at != '%' && take(at, (size_t)(end - at), version))
            return true;
    }
    return false;
}

static bool from_name(const char *path, char version[KERNEL_VERSION_BYTES])
{
    static const char *const names[] = {"vmlinuz-", "vmlinux-", "bzImage-", "Image-", "kernel-"};
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len = strlen(names[i]);
        if (strncmp(name, names[i], len) == 0)
            return take(name + len, strlen(name + len) + 1, version);
    }
    return false;
}

static bool from_file(int fd, char *piece, char version[KERNEL_VERSION_BYTES])
{
    ssize_t n;
    for (off_t at = 0; (n = pread(fd, piece, PIECE_BYTES, at)) > 0;
         at += PIECE_BYTES - PIECE_OVERLAP)
        if ((at == 0 && from_header(piece, (size_t)n, version)) ||
            from_banner(piece, (size_t)n, version))
            return true;
    return false;
}

bool kernel_version(const char *path, char version[KERNEL_VERSION_BYTES])
{
    char *piece = malloc(PIECE_BYTES);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool found = fd >= 0 && piece != NULL && from_file(fd, piece, version);
    if (fd >= 0)
        close(fd);
    free(piece);
    return found || from_name(path, version);
}
