// SPDX-License-Identifier: BSD-2-Clause
/*
 * Checked arithmetic for numbers that a guest or a file chose, and small integer helpers.
 * Each checked function returns false when the true result does not fit, and then *out is
 * unspecified.
 */
#ifndef MINIVET_CORE_XMATH_H
#define MINIVET_CORE_XMATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static inline bool checked_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool checked_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* Is [start, start + len) inside [base, base + size)? Nothing here wraps. */
static inline bool range_within(uint64_t start, uint64_t len, uint64_t base, uint64_t size)
{
    return start >= base && start - base <= size && len <= size - (start - base);
}

/* Do [a, a + a_len) and [b, b + b_len) share a byte? Neither range wraps. */
static inline bool range_overlaps(uint64_t a, uint64_t a_len, uint64_t b, uint64_t b_len)
{
    return a_len != 0 && b_len != 0 && (a < b ? b - a < a_len : a - b < b_len);
}

static inline bool is_pow2(uint64_t v)
{
    return v != 0 && (v & (v - 1)) == 0;
}

static inline bool is_aligned(uint64_t v, uint64_t align)
{
    return (v & (align - 1)) == 0;
}

static inline uint64_t align_down(uint64_t v, uint64_t align)
{
    return v & ~(align - 1);
}

/* v + align - 1 must fit: for numbers of our own; guest numbers go through checked_add_u64(). */
static inline uint64_t align_up(uint64_t v, uint64_t align)
{
    return align_down(v + align - 1, align);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The bits that an access of len (1, 2, 4 or 8) bytes carries. */
static inline uint64_t width_mask(unsigned len)
{
    return len >= 8 ? UINT64_MAX : (UINT64_C(1) << (len * 8)) - 1;
}

/* The upper or the lower 32 bits. */
static inline void set_half(uint64_t *field, bool high, uint32_t value)
{
    unsigned shift = high ? 32 : 0;
    *field = (*field & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)value << shift;
}

#endif
