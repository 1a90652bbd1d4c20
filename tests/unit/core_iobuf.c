// SPDX-License-Identifier: BSD-2-Clause
#include "core/memory/iobuf.h"
#include "tests/harness/test.h"

#define FLAT_BYTES  600
#define MAX_VECTORS 40
#define ROUNDS      3000

/*
 * The model: a flat array, and the same bytes cut into vectors that lie apart in `memory`, some
 * of them empty. Whatever the cursor does must look the same in both.
 */
struct model {
    uint32_t seed;
    uint8_t flat[FLAT_BYTES];
    uint8_t memory[FLAT_BYTES + 2 * MAX_VECTORS];
    struct iovec iov[MAX_VECTORS];
    unsigned count;
    size_t total;
};

static uint32_t next_random(struct model *m, uint32_t below)
{
    m->seed = m->seed * 1664525u + 1013904223u;
    return (m->seed >> 8) % below;
}

static void cut(struct model *m)
{
    size_t at = 1;
    m->count = next_random(m, MAX_VECTORS + 1);
    m->total = 0;
    memset(m->memory, 0xa5, sizeof(m->memory));
    for (unsigned i = 0; i < m->count; i++) {
        size_t len = next_random(m, 4) == 0 ? 0 : next_random(m, FLAT_BYTES / MAX_VECTORS + 1);
        m->iov[i] = (struct iovec){.iov_base = m->memory + at, .iov_len = len};
        for (size_t j = 0; j < len; j++)
            m->memory[at + j] = m->flat[m->total++] = (uint8_t)next_random(m, 256);
        at += len + 1;
    }
}

/* The vectors hold what the flat array holds, and the bytes between them are untouched. */
static void check_same(const struct model *m)
{
    size_t at = 1, flat = 0;
    for (unsigned i = 0; i < m->count; i++) {
        cr_assert_eq(m->memory[at - 1], 0xa5);
        for (size_t j = 0; j < m->iov[i].iov_len; j++)
            cr_assert_eq(m->memory[at + j], m->flat[flat++]);
        at += m->iov[i].iov_len + 1;
    }
    cr_assert_eq(m->memory[at - 1], 0xa5);
}

/* Checks that the next bytes are the flat ones from `from`, without moving. */
static void check_iov(struct model *m, const struct iobuf *b, size_t from)
{
    struct iovec out[MAX_VECTORS];
    uint64_t bytes = next_random(m, (uint32_t)b->left + 1);
    int n = iobuf_iov(b, bytes, out, MAX_VECTORS);
    cr_assert_geq(n, 0);
    size_t at = from;
    for (int i = 0; i < n; i++) {
        cr_assert_gt(out[i].iov_len, 0);
        cr_assert_eq(memcmp(out[i].iov_base, m->flat + at, out[i].iov_len), 0);
        at += out[i].iov_len;
    }
    cr_assert_eq(at - from, bytes);
    cr_assert_eq(iobuf_iov(b, b->left + 1, out, MAX_VECTORS), -ENODATA);
    if (n > 0) {
        unsigned count;
        size_t last = out[n - 1].iov_len;
        cr_assert_eq(iobuf_iov(b, bytes, out, (unsigned)n - 1), -E2BIG);
        cr_assert_eq(iobuf_fill(b, bytes, out, (unsigned)n - 1, &count), bytes - last);
        cr_assert_eq(count, (unsigned)n - 1);
    }
}

/* One move of the cursor, in both worlds. `at` is where it is in the flat array, `end` its end. */
static size_t move(struct model *m, struct iobuf *b, size_t at, size_t end)
{
    uint8_t data[FLAT_BYTES];
    size_t len = next_random(m, 60), expected = len < end - at ? len : end - at;
    switch (next_random(m, 4)) {
    case 0:
        cr_assert_eq(iobuf_get(b, data, len), expected);
        cr_assert_eq(memcmp(data, m->flat + at, expected), 0);
        break;
    case 1:
        memset(data, (int)next_random(m, 256), len);
        cr_assert_eq(iobuf_put(b, data, len), expected);
        memcpy(m->flat + at, data, expected);
        break;
    case 2:
        cr_assert_eq(iobuf_put_zero(b, len), expected);
        memset(m->flat + at, 0, expected);
        break;
    default:
        cr_assert_eq(iobuf_skip(b, len), expected);
    }
    return at + expected;
}

static void walk(struct model *m, struct iobuf *b, size_t from, size_t end)
{
    uint64_t done = b->done;
    size_t at = from;
    cr_assert_eq(b->left, end - from);
    do {
        check_iov(m, b, at);
        at = move(m, b, at, end);
        cr_assert_eq(b->left, end - at);
        cr_assert_eq(b->done - done, at - from);
    } while (at < end);
    uint8_t byte;
    cr_assert_eq(iobuf_get(b, &byte, 1), 0);
    cr_assert_eq(iobuf_put(b, &byte, 1), 0);
    cr_assert_eq(iobuf_skip(b, 1), 0);
}

Test(core_iobuf, behaves_like_a_flat_array)
{
    static struct model m = {.seed = 1};
    for (unsigned round = 0; round < ROUNDS; round++) {
        cut(&m);
        struct iobuf b = iobuf_init(m.iov, m.count);
        walk(&m, &b, 0, m.total);
        check_same(&m);
    }
}

/* Empty vectors count for nothing, and of the first only what is ahead. */
Test(core_iobuf, alignment_is_that_of_each_vector_ahead)
{
    static _Alignas(16) uint8_t memory[64];
    struct iovec iov[] = {{memory + 4, 12}, {memory + 3, 0}, {memory + 24, 8}};
    struct iobuf b = iobuf_init(iov, 3);
    cr_assert(iobuf_is_aligned(&b, 4, 4));
    cr_assert(!iobuf_is_aligned(&b, 8, 4));
    cr_assert(!iobuf_is_aligned(&b, 4, 8));
    iobuf_skip(&b, 4);
    cr_assert(iobuf_is_aligned(&b, 8, 8));
    iobuf_skip(&b, 1);
    cr_assert(!iobuf_is_aligned(&b, 2, 1));
    iobuf_skip(&b, b.left);
    cr_assert(iobuf_is_aligned(&b, 16, 16));
}

Test(core_iobuf, split_gives_two_independent_cursors)
{
    static struct model m = {.seed = 2};
    for (unsigned round = 0; round < ROUNDS; round++) {
        cut(&m);
        struct iobuf b = iobuf_init(m.iov, m.count), tail;
        size_t begin = iobuf_skip(&b, next_random(&m, (uint32_t)m.total + 1));
        size_t tail_len = next_random(&m, (uint32_t)(m.total - begin) + 1);
        cr_assert(iobuf_split_tail(&b, tail_len, &tail));
        cr_assert_eq(tail.done, 0);
        walk(&m, &b, begin, m.total - tail_len);
        walk(&m, &tail, m.total - tail_len, m.total);
        check_same(&m);
    }
}

Test(core_iobuf, split_refuses_more_than_there_is)
{
    uint8_t bytes[4];
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct iobuf b = iobuf_init(&iov, 1), tail;
    cr_assert(!iobuf_split_tail(&b, 5, &tail));
    cr_assert(!iobuf_split_tail(&b, UINT64_MAX, &tail));
    cr_assert_eq(b.left, 4);
    cr_assert(iobuf_split_tail(&b, 4, &tail));
    cr_assert_eq(b.left, 0);
    cr_assert_eq(tail.left, 4);
}

Test(core_iobuf, no_vectors_at_all)
{
    struct iobuf b = iobuf_init(NULL, 0), tail;
    struct iovec out;
    uint8_t byte;
    cr_assert_eq(b.left, 0);
    cr_assert_eq(iobuf_get(&b, &byte, 1), 0);
    cr_assert_eq(iobuf_skip(&b, UINT64_MAX), 0);
    cr_assert_eq(iobuf_iov(&b, 0, &out, 1), 0);
    cr_assert(iobuf_split_tail(&b, 0, &tail));
}
