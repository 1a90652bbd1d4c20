// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/test.h"

__extension__ typedef unsigned __int128 wide;

/* All numbers next to a power of two, where arithmetic goes wrong: 0, 1, 2, 3, ... 2^64 - 1. */
#define GRID_MAX (64 * 3)
static unsigned grid(uint64_t values[GRID_MAX])
{
    unsigned n = 0;
    for (unsigned bit = 0; bit < 64; bit++)
        for (uint64_t d = 0; d < 3; d++)
            values[n++] = (UINT64_C(1) << bit) + d - 1;
    values[n - 1] = UINT64_MAX;
    return n;
}

Test(core_xmath, add_and_mul_agree_with_wider_arithmetic)
{
    uint64_t v[GRID_MAX], out;
    unsigned n = grid(v);
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < n; j++) {
            wide sum = (wide)v[i] + v[j], product = (wide)v[i] * v[j];
            cr_assert_eq(checked_add_u64(v[i], v[j], &out), sum <= UINT64_MAX);
            if (sum <= UINT64_MAX)
                cr_assert_eq(out, (uint64_t)sum);
            cr_assert_eq(checked_mul_u64(v[i], v[j], &out), product <= UINT64_MAX);
            if (product <= UINT64_MAX)
                cr_assert_eq(out, (uint64_t)product);
        }
}

/* Exhaustive on small numbers, at the bottom and at the top of the address space. */
static void check_within(uint64_t origin, uint64_t start, uint64_t len, uint64_t base,
                         uint64_t size)
{
    wide start_w = (wide)origin + start, base_w = (wide)origin + base;
    bool expected = start_w >= base_w && start_w + len <= base_w + size;
    cr_assert_eq(range_within(origin + start, len, origin + base, size), expected,
                 "%lx: %lu+%lu in %lu+%lu", origin, start, len, base, size);
}

Test(core_xmath, range_within_small_and_at_the_top)
{
    const uint64_t top = UINT64_MAX - 7;
    for (uint64_t start = 0; start < 8; start++)
        for (uint64_t len = 0; len < 20; len++)
            for (uint64_t base = 0; base < 8; base++)
                for (uint64_t size = 0; size < 20; size++) {
                    check_within(0, start, len, base, size);
                    check_within(top, start, len, base, size);
                }
}

Test(core_xmath, range_within_is_not_fooled_by_wrapping)
{
    uint64_t v[GRID_MAX];
    unsigned n = grid(v);
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < n; j++)
            cr_assert_eq(range_within(v[i], v[j], 0x1000, 0x1000),
                         v[i] >= 0x1000 && (wide)v[i] + v[j] <= 0x2000);
}

Test(core_xmath, ranges_overlap_when_they_share_a_byte)
{
    for (uint64_t a = 0; a < 8; a++)
        for (uint64_t a_len = 0; a_len < 8; a_len++)
            for (uint64_t b = 0; b < 8; b++)
                for (uint64_t b_len = 0; b_len < 8; b_len++) {
                    bool shared = false;
                    for (uint64_t x = a; x < a + a_len; x++)
                        shared |= x >= b && x < b + b_len;
                    cr_assert_eq(range_overlaps(a, a_len, b, b_len), shared);
                }
    cr_assert(range_overlaps(UINT64_MAX, 1, 0, UINT64_MAX) == false);
    cr_assert(range_overlaps(UINT64_MAX - 1, 1, 0, UINT64_MAX));
}

/* All pairs of ranges between numbers of the grid, and to the end of all addresses. */
Test(core_xmath, ranges_overlap_at_every_power_of_two)
{
    uint64_t v[GRID_MAX];
    unsigned n = grid(v);
    for (unsigned a = 0; a < n; a++)
        for (unsigned b = a; b < n; b++)
            for (unsigned c = 0; c < n; c += 5)
                for (unsigned d = c; d < n; d += 7) {
                    uint64_t first = v[a] > v[c] ? v[a] : v[c], end = v[b] < v[d] ? v[b] : v[d];
                    bool empty = v[b] <= v[a] || v[d] <= v[c];
                    cr_assert(range_overlaps(v[a], empty ? 0 : v[b] - v[a], v[c],
                                             v[d] > v[c] ? v[d] - v[c] : 0) ==
                                  (!empty && first < end),
                              "%lx-%lx and %lx-%lx", v[a], v[b], v[c], v[d]);
                }
}

Test(core_xmath, ranges_are_within_at_every_power_of_two)
{
    uint64_t v[GRID_MAX];
    unsigned n = grid(v);
    for (unsigned start = 0; start < n; start++)
        for (unsigned len = 0; len < n; len++)
            for (unsigned base = 0; base < n; base += 5)
                for (unsigned size = 0; size < n; size += 3) {
                    wide end = (wide)v[base] + v[size];
                    cr_assert(range_within(v[start], v[len], v[base], v[size]) ==
                                  (v[start] >= v[base] && (wide)v[start] + v[len] <= end),
                              "%lx+%lx in %lx+%lx", v[start], v[len], v[base], v[size]);
                }
}

Test(core_xmath, powers_and_alignment)
{
    for (uint64_t v = 0; v < 4096; v++) {
        cr_assert_eq(is_pow2(v), __builtin_popcountll(v) == 1);
        for (uint64_t align = 1; align <= 512; align *= 2) {
            cr_assert_eq(is_aligned(v, align), v % align == 0);
            cr_assert_eq(align_down(v, align), v - v % align);
            cr_assert_eq(align_up(v, align), (v + align - 1) / align * align);
        }
    }
    uint64_t v[GRID_MAX];
    unsigned n = grid(v);
    for (unsigned i = 0; i < n; i++) {
        cr_assert_eq(is_pow2(v[i]), __builtin_popcountll(v[i]) == 1);
        for (unsigned shift = 0; shift < 64; shift++) {
            const uint64_t align = UINT64_C(1) << shift, rest = v[i] % align;
            cr_assert_eq(is_aligned(v[i], align), rest == 0);
            cr_assert_eq(align_down(v[i], align), v[i] - rest);
            if (v[i] <= UINT64_MAX - (align - 1))
                cr_assert_eq(align_up(v[i], align), v[i] + (rest == 0 ? 0 : align - rest));
        }
    }
    cr_assert(is_pow2(UINT64_C(1) << 63));
    cr_assert(!is_pow2(UINT64_MAX));
}

Test(core_xmath, width_masks)
{
    cr_assert_eq(width_mask(1), 0xff);
    cr_assert_eq(width_mask(2), 0xffff);
    cr_assert_eq(width_mask(4), 0xffffffff);
    cr_assert_eq(width_mask(8), UINT64_MAX);
}

Test(core_xmath, least_and_greatest)
{
    uint64_t v[GRID_MAX];
    unsigned n = grid(v);
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < n; j++) {
            uint64_t least = min_u64(v[i], v[j]), most = max_u64(v[i], v[j]);
            cr_assert(least <= v[i] && least <= v[j] && most >= v[i] && most >= v[j]);
            cr_assert((least == v[i] && most == v[j]) || (least == v[j] && most == v[i]));
        }
}

Test(core_xmath, halves_are_set_alone)
{
    uint64_t v[GRID_MAX];
    unsigned n = grid(v);
    for (unsigned i = 0; i < n; i++)
        for (unsigned j = 0; j < n; j++) {
            uint64_t low = v[i], high = v[i];
            set_half(&low, false, (uint32_t)v[j]);
            set_half(&high, true, (uint32_t)v[j]);
            cr_assert(low >> 32 == v[i] >> 32 && (uint32_t)low == (uint32_t)v[j]);
            cr_assert(high >> 32 == (uint32_t)v[j] && (uint32_t)high == (uint32_t)v[i]);
        }
}
