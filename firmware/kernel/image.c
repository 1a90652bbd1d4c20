// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/kernel/image.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/cancel.h"
#include "core/memory/gmem.h"

#define PIECE_BYTES (16 * MIB) /* of what is copied before it is asked whether to go on */

int image_open(struct image *img, const char *role, const char *path)
{
    struct stat st;

    *img = (struct image){.role = role, .path = path, .fd = -1};
    /* Nonblocking, so that a FIFO is refused below and not waited for. */
    img->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (img->fd < 0 || fstat(img->fd, &st) < 0)
        return fail(-errno, "%s %s: open", role, path);
    if (S_ISDIR(st.st_mode))
        return fail_msg(-EISDIR, "%s %s: is a directory, not a file", role, path);
    if (!S_ISREG(st.st_mode))
        return fail_msg(-EINVAL, "%s %s: is not a regular file", role, path);
    if (st.st_size <= 0)
        return fail_msg(-ENOEXEC, "%s %s: is empty", role, path);
    img->bytes = (uint64_t)st.st_size;
    return 0;
}

/* In huge pages where the host has them: small ones would cost more than what is put into them. */
int image_create(struct image *img, const char *role, const char *path, uint64_t bytes)
{
    *img = (struct image){.role = role, .path = path, .fd = -1, .bytes = bytes};
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return fail(-errno, "%s %s: memory", role, path);
    (void)madvise(map, bytes, MADV_HUGEPAGE);
    img->map = map;
    return 0;
}

void image_close(struct image *img)
{
    if (img->map)
        munmap(img->map, img->bytes);
    if (img->fd >= 0)
        close(img->fd);
    img->map = NULL;
    img->fd = -1;
}

int image_read(const struct image *img, uint64_t offset, void *dst, size_t len)
{
    uint8_t *p = dst;
    bool is_mapped = img->map && range_within(offset, len, 0, img->bytes);

    while (len > 0) {
        size_t piece = (size_t)min_u64(len, PIECE_BYTES);
        ssize_t n = (ssize_t)piece;

        if (cancel_asked(img->cancel))
            return fail(-ECANCELED, "%s %s: read", img->role, img->path);
        if (is_mapped)
            memcpy(p, img->map + offset, piece);
        else
            n = pread(img->fd, p, piece, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail(-errno, "%s %s: read", img->role, img->path);
        if (n == 0)
            return fail_msg(-EIO, "%s %s: ends at byte %" PRIu64 ", before all of it was read",
                            img->role, img->path, offset);
        p += n;
        offset += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

int image_bad(const struct image *img, const char *fmt, ...)
{
    char what[200];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return fail_msg(-ENOEXEC, "%s %s: is damaged: %s", img->role, img->path, what);
}

/*
 * Memory that is a file is filled within the host kernel: unlike a read through the mapping, this
 * neither clears the pages first nor faults them in one by one. A file system that cannot do it,
 * and every error, is left to the read.
 */
int image_load(const struct image *img, uint64_t offset, const struct gmem *g, uint64_t gpa,
               uint64_t len)
{
    const struct gmem_region *r = gmem_find(g, gpa, len);
    off_t from = (off_t)offset;

    BUG_ON(!r);
    if (g->fd >= 0 && !img->map &&
        lseek(g->fd, (off_t)(r->fd_bytes + (gpa - r->gpa)), SEEK_SET) >= 0) {
        while (len > 0 && !cancel_asked(img->cancel)) {
            ssize_t n = sendfile(g->fd, img->fd, &from, (size_t)min_u64(len, PIECE_BYTES));

            if (n < 0 && errno == EINTR)
                continue;
            if (n <= 0)
                break;
            gpa += (uint64_t)n;
            len -= (uint64_t)n;
        }
    }
    return image_read(img, (uint64_t)from, gmem_ptr(g, gpa, len, 1), len);
}
