// SPDX-License-Identifier: BSD-2-Clause
#include "core/memory/gmem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

static uint64_t page_bytes(void)
{
    return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* 2 MiB, the huge-page size of supported hosts; smaller regions gain nothing. */
#define HUGE_BYTES (UINT64_C(2) << 20)
#define HUGE_FROM  (8 * HUGE_BYTES)

/*
 * Address space for the region between its guard pages. A region of huge pages begins where one
 * does: only then can KVM map it by them, too.
 */
static void *reserve(uint64_t bytes, uint64_t align)
{
    uint64_t page = page_bytes(), all;
    if (!checked_add_u64(bytes, 2 * page + align, &all))
        return NULL;
    uint8_t *base = mmap(NULL, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    uint8_t *hva = base + (align_up((uintptr_t)base + page, align) - (uintptr_t)base);
    uint8_t *end = hva + bytes + page;
    if (hva - page > base)
        munmap(base, (size_t)(hva - page - base));
    if (base + all > end)
        munmap(end, (size_t)(base + all - end));
    return hva;
}

static int region_map(struct gmem *g, struct gmem_region *r)
{
    bool huge = r->bytes >= HUGE_FROM;
    void *hva = reserve(r->bytes, huge ? HUGE_BYTES : page_bytes());
    if (hva == NULL)
        return fail(-ENOMEM, "guest memory: reserve address space");
    r->hva = hva; /* gmem_destroy() takes it back */
    int flags = g->fd >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
    if (mmap(hva, r->bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED | MAP_NORESERVE, g->fd,
             (off_t)r->fd_bytes) == MAP_FAILED)
        return fail(-errno, "guest memory: map");
    if (huge)
        (void)madvise(hva, r->bytes, MADV_HUGEPAGE); /* a host without them does without */
    /* A child would make the guest's next write to each page a copy; and what is the guest's is no
     * business of the helpers that are started, nor of readers of core dumps. */
    (void)madvise(hva, r->bytes, MADV_DONTFORK);
    (void)madvise(hva, r->bytes, MADV_DONTDUMP);
    return 0;
}

static void region_add(struct gmem *g, uint64_t gpa, uint64_t bytes, uint64_t fd_bytes)
{
    if (bytes > 0)
        g->regions[g->count++] =
            (struct gmem_region){.gpa = gpa, .bytes = bytes, .fd_bytes = fd_bytes};
}

/*
 * The file cannot change its size: no access through the mapping ends in SIGBUS. Nor can a server
 * that has it seal it against the writes and mappings of others.
 */
static int file_create(struct gmem *g, uint64_t bytes)
{
    g->fd = memfd_create("minivet-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (g->fd < 0)
        return fail(-errno, "guest memory: memfd_create");
    if (bytes > INT64_MAX)
        return fail(-EFBIG, "guest memory: ftruncate");
    if (ftruncate(g->fd, (off_t)bytes) < 0)
        return fail(-errno, "guest memory: ftruncate");
    if (fcntl(g->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        return fail(-errno, "guest memory: seal");
    return 0;
}

static int create(struct gmem **out, uint64_t ram_bytes, uint64_t hole_gpa, uint64_t hole_end_gpa,
                  bool shared)
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
    g->fd = -1;
    int err = shared ? file_create(g, ram_bytes) : 0;
    for (unsigned i = 0; i < g->count && err == 0; i++)
        err = region_map(g, &g->regions[i]);
    if (err < 0) {
        gmem_destroy(g);
        return err;
    }
    *out = g;
    return 0;
}

int gmem_create(struct gmem **out, uint64_t ram_bytes, uint64_t hole_gpa, uint64_t hole_end_gpa)
{
    return create(out, ram_bytes, hole_gpa, hole_end_gpa, false);
}

int gmem_create_shared(struct gmem **out, uint64_t ram_bytes, uint64_t hole_gpa,
                       uint64_t hole_end_gpa)
{
    return create(out, ram_bytes, hole_gpa, hole_end_gpa, true);
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

void gmem_save(struct gmem *g)
{
    g->keeps = true;
    for (unsigned i = 0; i < g->count; i++)
        (void)madvise(g->regions[i].hva, g->regions[i].bytes, MADV_NOHUGEPAGE);
}

void gmem_discard(const struct gmem *g, void *hva, uint64_t bytes)
{
    uint64_t begin = align_up((uintptr_t)hva, page_bytes());
    uint64_t end = ((uintptr_t)hva + bytes) & ~(page_bytes() - 1);
    if (begin < end && !g->keeps)
        (void)madvise((uint8_t *)hva + (begin - (uintptr_t)hva), end - begin,
                      g->fd >= 0 ? MADV_REMOVE : MADV_DONTNEED);
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
