// SPDX-License-Identifier: BSD-2-Clause

#include "core/loop/cancel.h"
#include "tests/harness/test.h"

#define HOLE     (1 * MIB)
#define HOLE_END (4 * MIB)
#define RAM      (3 * MIB)
#define END      (HOLE_END + RAM - HOLE)

static struct gmem *with_hole(void)
{
    struct gmem *g = NULL;
    cr_assert_eq(gmem_create(&g, RAM, HOLE, HOLE_END), 0);
    return g;
}

Test(core_gmem, lays_ram_around_the_hole)
{
    struct gmem *g = with_hole();
    cr_assert_eq(g->count, 2);
    cr_assert_eq(g->regions[0].gpa, 0);
    cr_assert_eq(g->regions[0].bytes, HOLE);
    cr_assert_eq(g->regions[1].gpa, HOLE_END);
    cr_assert_eq(g->regions[1].bytes, RAM - HOLE);
    cr_assert_eq(g->regions[1].fd_bytes, HOLE);
    gmem_destroy(g);

    cr_assert_eq(gmem_create(&g, HOLE, HOLE, HOLE_END), 0);
    cr_assert_eq(g->count, 1);
    gmem_destroy(g);
    cr_assert_eq(gmem_create(&g, RAM, 0, 0), 0);
    cr_assert_eq(g->count, 1);
    cr_assert_eq(g->regions[0].bytes, RAM);
    gmem_destroy(g);
    cr_assert_eq(gmem_create(&g, RAM, 0, HOLE), 0);
    cr_assert_eq(g->count, 1);
    cr_assert_eq(g->regions[0].gpa, HOLE);
    gmem_destroy(g);
    gmem_destroy(NULL);
}

/* ---- populated ---- */

/* How much of a region the host has given. */
static uint64_t resident(const struct gmem_region *r)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = r->bytes / page, there = 0;
    unsigned char *pages = malloc(count);

    cr_assert_not_null(pages);
    cr_assert_eq(mincore(r->hva, r->bytes, pages), 0);
    for (size_t i = 0; i < count; i++)
        there += pages[i] & 1;
    free(pages);
    return there * page;
}

static void expect_populated(const struct gmem *g)
{
    cr_assert_eq(gmem_populate(g, NULL), 0);
    for (unsigned i = 0; i < g->count; i++)
        cr_assert_eq(resident(&g->regions[i]), g->regions[i].bytes, "region %u", i);
}

Test(core_gmem, is_populated_all_of_it)
{
    uint8_t zeroes[64] = {0}, bytes[64];
    struct gmem *g = with_hole();

    cr_assert_eq(resident(&g->regions[0]) + resident(&g->regions[1]), 0);
    expect_populated(g);
    expect_populated(g); /* what is there stays */
    cr_assert_eq(gmem_read(g, END - sizeof(bytes), bytes, sizeof(bytes)), 0);
    cr_assert(memcmp(bytes, zeroes, sizeof(bytes)) == 0);
    gmem_destroy(g);
    cr_assert_eq(gmem_create_shared(&g, RAM, HOLE, HOLE_END), 0);
    expect_populated(g);
    gmem_destroy(g);
}

/* Enough for several threads, and no whole number of what one takes at once. */
Test(core_gmem, large_memory_is_populated)
{
    struct gmem *g = NULL;

    cr_assert_eq(gmem_create(&g, 600 * MIB + 4096, 530 * MIB, 1024 * MIB), 0);
    expect_populated(g);
    gmem_destroy(g);
}

Test(core_gmem, populating_is_canceled)
{
    struct gmem *g = NULL;
    struct cancel cancel;

    listen_to_log(LOG_DEBUG);
    cr_assert_eq(cancel_init(&cancel), 0);
    cancel_ask(&cancel);
    cr_assert_eq(gmem_create(&g, 64 * MIB, 0, 0), 0);
    cr_expect_eq(gmem_populate(g, &cancel), -ECANCELED);
    cr_expect_eq(resident(&g->regions[0]), 0);
    gmem_destroy(g);
    cancel_fini(&cancel);
}

/* Has the kernel been told so of the memory at hva? */
static bool has_flag(const void *hva, const char *flag)
{
    char line[512];
    bool inside = false, has = false;
    FILE *f = fopen("/proc/self/smaps", "re");

    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        char *end;
        uintptr_t from = strtoull(line, &end, 16);
        if (*end == '-') /* "FROM-TO rw-p ..." */
            inside = (uintptr_t)hva >= from && (uintptr_t)hva < strtoull(end + 1, NULL, 16);
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            has = strstr(line, flag) != NULL;
    }
    fclose(f);
    return has;
}

static void expect_kept_to_us(const struct gmem *g)
{
    static const char ours[1] = {0};

    cr_expect_not(has_flag(ours, " dd"));
    for (unsigned i = 0; i < g->count; i++) {
        cr_expect(has_flag(g->regions[i].hva, " dd"), "is in core dumps");
        cr_expect(has_flag(g->regions[i].hva, " dc"), "is in children");
    }
}

Test(core_gmem, is_in_no_core_dump_and_no_child)
{
    struct gmem *g = with_hole();

    expect_kept_to_us(g);
    gmem_destroy(g);
    cr_assert_eq(gmem_create_shared(&g, RAM, HOLE, HOLE_END), 0);
    expect_kept_to_us(g);
    gmem_destroy(g);
}

Test(core_gmem, more_than_the_host_has_is_not_populated)
{
    struct gmem *g = NULL;
    uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

    listen_to_log(LOG_DEBUG);
    cr_assert_eq(gmem_create(&g, 2 * host, 0, 0), 0);
    cr_assert_eq(gmem_populate(g, NULL), -ENOMEM);
    cr_assert_eq(resident(&(struct gmem_region){.hva = g->regions[0].hva, .bytes = MIB}), 0);
    gmem_destroy(g);
}

Test(core_gmem, refuses_impossible_sizes)
{
    struct gmem *g = NULL;
    listen_to_log(LOG_DEBUG);
    cr_assert_eq(gmem_create(&g, 0, 0, 0), -EINVAL);
    cr_assert_eq(gmem_create(&g, 4095, 0, 0), -EINVAL);
    cr_assert_eq(gmem_create(&g, RAM, 1, HOLE_END), -EINVAL);
    cr_assert_eq(gmem_create(&g, RAM, HOLE, HOLE_END + 1), -EINVAL);
    cr_assert_eq(gmem_create(&g, RAM, HOLE_END, HOLE), -EINVAL);
    cr_assert_eq(gmem_create(&g, RAM, HOLE, UINT64_MAX & ~UINT64_C(0xfff)), -EINVAL);
    cr_assert_lt(gmem_create(&g, UINT64_MAX & ~UINT64_C(0xfff), 0, 0), 0);
    cr_assert_lt(gmem_create(&g, UINT64_C(1) << 62, 0, 0), 0);
    cr_assert_null(g);
}

/* Around every edge, each range is all RAM or refused, by an independent count of bytes. */
Test(core_gmem, ranges_are_ram_or_refused)
{
    struct gmem *g = with_hole();
    const uint64_t edges[] = {0, HOLE, HOLE_END, END, UINT64_MAX};
    for (unsigned e = 0; e < ARRAY_SIZE(edges); e++)
        for (int delta = -3; delta <= 3; delta++)
            for (uint64_t len = 1; len <= 8; len++) {
                uint64_t gpa = edges[e] + (uint64_t)(int64_t)delta;
                uint8_t data[8] = {0};
                bool ram = true;
                for (uint64_t i = 0; i < len; i++)
                    ram &= (gpa + i < HOLE || (gpa + i >= HOLE_END && gpa + i < END)) &&
                           gpa + i >= gpa;
                int expected = ram ? 0 : -EFAULT;
                cr_assert_eq(gmem_find(g, gpa, len) != NULL, ram, "%lx+%lu", gpa, len);
                cr_assert_eq(gmem_ptr(g, gpa, len, 1) != NULL, ram);
                cr_assert_eq(gmem_read(g, gpa, data, len), expected);
                cr_assert_eq(gmem_write(g, gpa, data, len), expected);
            }
    cr_assert_null(gmem_find(g, 1, UINT64_MAX));
    cr_assert_null(gmem_ptr(g, 1, UINT64_MAX, 1));
    cr_assert_null(gmem_ptr(g, HOLE - 1, HOLE_END - HOLE + 2, 1));
    gmem_destroy(g);
}

/* Starts and lengths at every edge and every power of two, against wider arithmetic. */
Test(core_gmem, long_ranges_are_ram_or_refused)
{
    __extension__ typedef unsigned __int128 wide;
    uint64_t v[4 * 5 + 64 * 3];
    unsigned n = 0;
    static const uint64_t edges[] = {HOLE, HOLE_END, END, RAM};
    for (unsigned e = 0; e < ARRAY_SIZE(edges); e++)
        for (unsigned d = 0; d < 5; d++)
            v[n++] = edges[e] + d - 2;
    for (unsigned bit = 0; bit < 64; bit++)
        for (uint64_t d = 0; d < 3; d++)
            v[n++] = (UINT64_C(1) << bit) + d - 1;
    v[n - 1] = UINT64_MAX;

    struct gmem *g = with_hole();
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < n; j++) {
            const uint64_t gpa = v[i], len = v[j];
            const wide end = (wide)gpa + len;
            bool low = end <= HOLE, high = gpa >= HOLE_END && end <= END;
            const struct gmem_region *r = gmem_find(g, gpa, len);
            cr_assert(r == (low    ? &g->regions[0]
                            : high ? &g->regions[1]
                                   : NULL),
                      "%lx+%lx", gpa, len);
            const uint8_t *hva = gmem_ptr(g, gpa, len, 1);
            cr_assert((hva != NULL) == (low || high), "%lx+%lx", gpa, len);
            cr_assert(hva == NULL || (hva >= r->hva && hva + len <= r->hva + r->bytes));
        }
    gmem_destroy(g);
}

Test(core_gmem, copies_both_ways)
{
    struct gmem *g = with_hole();
    uint8_t in[300], out[300];
    for (unsigned i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 7);
    cr_assert_eq(gmem_write(g, HOLE_END + 5, in, sizeof(in)), 0);
    cr_assert_eq(gmem_read(g, HOLE_END + 5, out, sizeof(out)), 0);
    cr_assert_eq(memcmp(in, out, sizeof(in)), 0);
    cr_assert_eq(memcmp(gmem_ptr(g, HOLE_END, 305, 1), "\0\0\0\0\0", 5), 0);
    cr_assert_eq(gmem_write(g, HOLE_END + 6, (uint8_t[2]){0}, 2), 0);
    cr_assert_eq(gmem_read(g, HOLE_END + 5, out, 4), 0);
    cr_assert(out[0] == in[0] && out[1] == 0 && out[2] == 0 && out[3] == in[3]);

    /* A refused copy copies nothing. */
    memset(out, 0x5a, sizeof(out));
    cr_assert_eq(gmem_read(g, HOLE - 4, out, 8), -EFAULT);
    cr_assert_eq(out[0], 0x5a);
    cr_assert_eq(gmem_write(g, HOLE - 4, out, 8), -EFAULT);
    cr_assert_eq(memcmp(gmem_ptr(g, HOLE - 4, 4, 4), "\0\0\0\0", 4), 0);
    gmem_destroy(g);
}

Test(core_gmem, pointers_are_aligned_or_refused)
{
    struct gmem *g = with_hole();
    for (uint64_t align = 1; align <= 4096; align *= 2)
        for (uint64_t gpa = 0x1000; gpa < 0x1040; gpa++)
            cr_assert_eq(gmem_ptr(g, gpa, 1, align) != NULL, gpa % align == 0);
    gmem_destroy(g);
}

Test(core_gmem, memory_is_the_file_and_keeps_its_size)
{
    struct gmem *g;
    cr_assert_eq(gmem_create_shared(&g, RAM, HOLE, HOLE_END), 0);
    struct stat st;
    uint8_t byte = 0;
    cr_assert_eq(gmem_write(g, HOLE_END + 17, "x", 1), 0);
    cr_assert_eq(pread(g->fd, &byte, 1, HOLE + 17), 1);
    cr_assert_eq(byte, 'x');
    cr_assert_eq(fstat(g->fd, &st), 0);
    cr_assert_eq(st.st_size, RAM);
    cr_assert_eq(ftruncate(g->fd, RAM / 2), -1);
    cr_assert_eq(ftruncate(g->fd, RAM * 2), -1);
    gmem_destroy(g);
}

/* KVM maps by huge pages what is aligned to them in both address spaces. */
Test(core_gmem, large_regions_may_have_huge_pages)
{
    struct gmem *g;
    cr_assert_eq(gmem_create(&g, 64 * MIB, 32 * MIB, 48 * MIB), 0);
    cr_assert_eq(g->fd, -1);
    for (unsigned i = 0; i < 2; i++) {
        cr_expect_eq(((uintptr_t)g->regions[i].hva - g->regions[i].gpa) % (2 * MIB), 0);
        memset(g->regions[i].hva, 1, g->regions[i].bytes);
    }
    gmem_destroy(g);
}

static void touch(unsigned region, bool after)
{
    struct gmem *g = with_hole();
    const struct gmem_region *r = &g->regions[region];
    signal(SIGSEGV, SIG_DFL); /* a sanitizer would make a report of it */
    *(volatile uint8_t *)(after ? r->hva + r->bytes : r->hva - 1) = 1;
}

Test(core_gmem, guard_before_low, .signal = SIGSEGV)
{
    touch(0, false);
}

Test(core_gmem, guard_after_low, .signal = SIGSEGV)
{
    touch(0, true);
}

Test(core_gmem, guard_before_high, .signal = SIGSEGV)
{
    touch(1, false);
}

Test(core_gmem, guard_after_high, .signal = SIGSEGV)
{
    touch(1, true);
}

/* Servers have the file, too. */
Test(core_gmem, nobody_seals_the_file_against_writes)
{
    struct gmem *g = NULL;
    cr_assert_eq(gmem_create_shared(&g, RAM, HOLE, HOLE_END), 0);
    cr_expect_eq(fcntl(g->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
    cr_expect_eq(ftruncate(g->fd, 0), -1);
    gmem_destroy(g);
}

/* ---- discarded ---- */

/* Whole pages are empty, and the host's; the bytes around them stay. */
static void expect_discarded(struct gmem *g)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct gmem_region *r = &g->regions[1];
    memset(r->hva, 0xaa, r->bytes);
    cr_expect_eq(resident(r), r->bytes);
    gmem_discard(g, r->hva + 1, 3 * page);
    for (size_t i = 0; i < 4 * page; i++)
        cr_assert_eq(r->hva[i], i >= page && i < 3 * page ? 0 : 0xaa, "byte %zu", i);
    gmem_discard(g, r->hva + 4 * page, r->bytes - 4 * page);
    cr_expect_eq(resident(r), 4 * page, "which are read, too");
    gmem_discard(g, r->hva + 1, page);
    cr_expect_eq(r->hva[page - 1], 0xaa, "no page is in the range");
    gmem_destroy(g);
}

Test(core_gmem, the_host_takes_pages_back)
{
    struct gmem *g = NULL;
    expect_discarded(with_hole());
    cr_assert_eq(gmem_create_shared(&g, RAM, HOLE, HOLE_END), 0);
    expect_discarded(g);
}
