// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/net_queue.h"

#include "tests/harness/test.h"

static struct net_queue q;

static void fini(void)
{
    net_queue_fini(&q);
}

TestSuite(net_queue, .fini = fini);

/* A packet whose every byte says which one it is. */
static bool put(uint32_t bytes, unsigned n)
{
    uint8_t *at = net_queue_reserve(&q, bytes);
    if (!at)
        return false;
    memset(at, (int)n, bytes);
    net_queue_commit(&q, bytes, n);
    return true;
}

static void take(uint32_t bytes, unsigned n)
{
    uint8_t got[4096];
    const struct iovec iov[2] = {{got, 1}, {got + 1, sizeof(got) - 1}};
    cr_assert_eq(net_queue_due_ns(&q), n);
    cr_assert_eq((int)net_queue_receive(&q, iov, 2), (int)bytes);
    for (uint32_t i = 0; i < bytes; i++)
        cr_assert_eq(got[i], (int)(n & 0xff), "byte %u of packet %u", i, n);
}

/* Sizes of all kinds, so that the queue wraps everywhere; what comes out is what went in. */
Test(net_queue, order_and_bytes_survive_wrapping)
{
    cr_assert_eq(net_queue_init(&q, 4096), 0);
    uint32_t sizes[64];
    unsigned in = 0, out = 0;
    uint32_t random = 1;
    for (unsigned round = 0; round < 20000; round++) {
        random = random * 1664525 + 1013904223;
        uint32_t bytes = (random >> 16) % 1500;
        if ((random >> 8) % 3 != 0 && put(bytes, in & 0xff))
            sizes[in++ % 64] = bytes;
        else if (out < in) {
            take(sizes[out % 64], out & 0xff);
            out++;
        }
        cr_assert(in - out == q.count && q.used <= q.size);
    }
    cr_expect_gt(out, 5000);
}

Test(net_queue, full_is_full_and_empties)
{
    cr_assert_eq(net_queue_init(&q, 4096), 0);
    unsigned n = 0;
    while (put(1000, n))
        n++;
    cr_expect_eq(n, 4);
    cr_expect_not(put(1, 9));
    for (unsigned i = 0; i < n; i++)
        take(1000, i);
    net_queue_fini(&q);
    net_queue_init(&q, 4096);
    cr_expect(put(4096 - 16, 7)); /* all of it, with the entry's own bytes */
    cr_expect_not(put(0, 8));
    cr_expect_eq(q.used, 4096);
}

/* More is reserved than is used: what was asked for and given back costs nothing. */
Test(net_queue, room_that_is_not_used_is_given_back)
{
    cr_assert_eq(net_queue_init(&q, 4096), 0);
    for (unsigned i = 0; i < 20; i++) {
        uint8_t *at = net_queue_reserve(&q, 3000);
        cr_assert(at != NULL, "packet %u", i);
        memset(at, (int)i, 20);
        net_queue_commit(&q, 20, i);
        if (i % 2 == 1)
            net_queue_drop(&q);
    }
    cr_expect_eq(q.count, 10);
    take(20, 10);
}

Test(net_queue, too_long_for_the_vectors_is_lost)
{
    uint8_t got[10];
    const struct iovec iov = {got, sizeof(got)};
    cr_assert_eq(net_queue_init(&q, 4096), 0);
    cr_expect_eq((int)net_queue_receive(&q, &iov, 1), -EAGAIN);
    put(11, 1);
    put(10, 2);
    cr_expect_eq((int)net_queue_receive(&q, &iov, 1), -EMSGSIZE);
    cr_expect_eq((int)net_queue_receive(&q, &iov, 1), 10);
    cr_expect_eq(got[9], 2);
}
