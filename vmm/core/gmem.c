// SPDX-License-Identifier: BSD-2-Clause
#include "core/gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/fail.h"
#include "core/xmath.h"

static uint64_t page_bytes(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Reserves the region with its guard pages, then puts the memfd between them. */
static int region_map(struct gmem *g, struct gmem_region *r)
{
    size_t page = (size_t)page_bytes();
    uint64_t reserve;
    if (!checked_add_u64(r->bytes, 2 * page, &reserve))
        return fail(-ENOMEM, "guest memory: map");
    uint8_t *base =
        mmap(NULL, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return fail(-errno, "guest memory: reserve address space");
    void *hva = mmap(base + page, r->bytes, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_FIXED | MAP_NORESERVE, g->fd, (off_t)r->fd_bytes);
    if (hva == MAP_FAILED) {
        int err = -errno;
        munmap(base, reserve);
        return fail(err, "guest memory: map");
    }
    r->hva = hva;
    return 0;
}

static void region_add(struct gmem *g, uint64_t gpa, uint64_t bytes, uint64_t fd_bytes)
{
    if (bytes > 0)
        g->regions[g->count++] =
            (struct gmem_region){.gpa = gpa, .bytes = bytes, .fd_bytes = fd_bytes};
}

/* The file cannot change its size: no access through the mapping ends in SIGBUS. */
static int file_create(struct gmem *g, uint64_t bytes)
{
    g->fd = memfd_create("minivet-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (g->fd < 0)
        return fail(-errno, "guest memory: memfd_create");
    if (bytes > INT64_MAX)
        return fail(-EFBIG, "guest memory: ftruncate");
    if (ftruncate(g->fd, (off_t)bytes) < 0)
        return fail(-errno, "guest memory: ftruncate");
    if (fcntl(g->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        return fail(-errno, "guest memory: seal");
    return 0;
}

int gmem_create(struct gmem **out, uint64_t ram_bytes, uint64_t hole_gpa, uint64_t hole_end_gpa)
{
    uint64_t page = page_bytes();
    bool has_hole = hole_gpa != hole_end_gpa;
    uint64_t low_bytes = has_hole ? min_u64(ram_bytes, hole_gpa) : ram_bytes;
    uint64_t end_gpa;
    if (ram_bytes == 0 || !is_aligned(ram_bytes | hole_gpa | hole_end_gpa, page))
        return fail_msg(-EINVAL, "guest memory: a size must be a positive number of whole pages");
    if (hole_gpa > hole_end_gpa || !checked_add_u64(hole_end_gpa, ram_bytes - low_bytes, &end_gpa))
        return fail_msg(-EINVAL, "guest memory: it does not fit in the address space");

    struct gmem *g = calloc(1, sizeof(*g));
    if (!g)
        return fail(-ENOMEM, "guest memory");
    region_add(g, 0, low_bytes, 0);
    region_add(g, hole_end_gpa, ram_bytes - low_bytes, low_bytes);
    int err = file_create(g, ram_bytes);
    for (unsigned i = 0; i < g->count && err == 0; i++)
        err = region_map(g, &g->regions[i]);
    if (err < 0) {
        gmem_destroy(g);
        return err;
    }
    *out = g;
    return 0;
}

void gmem_destroy(struct gmem *g)
{
    if (!g)
        return;
    size_t page = (size_t)page_bytes();
    for (unsigned i = 0; i < g->count; i++)
        if (g->regions[i].hva)
            munmap(g->regions[i].hva - page, g->regions[i].bytes + 2 * page);
    if (g->fd >= 0)
        close(g->fd);
    free(g);
}

int gmem_read(const struct gmem *g, uint64_t gpa, void *dst, size_t len)
{
    const void *src = gmem_ptr(g, gpa, len, 1);
    if (!src)
        return -EFAULT;
    memcpy(dst, src, len);
    return 0;
}

int gmem_write(const struct gmem *g, uint64_t gpa, const void *src, size_t len)
{
    void *dst = gmem_ptr(g, gpa, len, 1);
    if (!dst)
        return -EFAULT;
    memcpy(dst, src, len);
    return 0;
}

int gmem_zero(const struct gmem *g, uint64_t gpa, uint64_t len)
{
    void *dst = gmem_ptr(g, gpa, len, 1);
    if (!dst)
        return -EFAULT;
    memset(dst, 0, len);
    return 0;
}
