// SPDX-License-Identifier: BSD-2-Clause
/*
 * Is the model itself right? The small programs by which memory models are compared, and what C17
 * says of an outcome of each. What is allowed must come to be, else the model is stronger than C17
 * and would miss faults; what is not must not, else it would find some that are none.
 *
 * A thread is a list of accesses of four characters: what, where, the value, the order.
 *   W store, R load, X exchange, F fence   x y z   0-9   n relaxed, a acquire, r release, s seq_cst
 * An outcome is what loads and exchanges took, by thread, then what is in x and y at the end.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/order/model.h"

static const struct program {
    const char *name, *threads[MODEL_THREADS], *outcome;
    bool allowed;
} programs[] = {
    /* Each stores, then loads what the other stores. */
    {"SB", {"Wx1n Ry_n", "Wy1n Rx_n"}, "00 11", true},
    {"SB, release and acquire", {"Wx1r Ry_a", "Wy1r Rx_a"}, "00 11", true},
    {"SB, seq_cst", {"Wx1s Ry_s", "Wy1s Rx_s"}, "00 11", false},
    {"SB, one load acquires", {"Wx1s Ry_a", "Wy1s Rx_s"}, "00 11", true},
    {"SB, one store releases", {"Wx1s Ry_s", "Wy1r Rx_s"}, "00 11", true},
    {"SB, fences", {"Wx1n F__s Ry_n", "Wy1n F__s Rx_n"}, "00 11", false},
    {"SB, one fence", {"Wx1n F__s Ry_n", "Wy1n Rx_n"}, "00 11", true},
    {"SB, a fence and seq_cst", {"Wx1s Ry_s", "Wy1n F__s Rx_n"}, "00 11", false},
    {"SB, a fence and a release", {"Wx1r Ry_s", "Wy1n F__s Rx_n"}, "00 11", true},
    {"SB, exchanges", {"Xx1s Ry_s", "Xy1s Rx_s"}, "0000 11", false},
    /* A message and the flag that says so. */
    {"MP", {"Wx1n Wy1n", "Ry_n Rx_n"}, "10 11", true},
    {"MP, release and acquire", {"Wx1n Wy1r", "Ry_a Rx_n"}, "10 11", false},
    {"MP, release only", {"Wx1n Wy1r", "Ry_n Rx_n"}, "10 11", true},
    {"MP, acquire only", {"Wx1n Wy1n", "Ry_a Rx_n"}, "10 11", true},
    {"MP, fences", {"Wx1n F__r Wy1n", "Ry_n F__a Rx_n"}, "10 11", false},
    {"MP, one fence releases", {"Wx1n F__r Wy1n", "Ry_a Rx_n"}, "10 11", false},
    {"MP, a fence too late", {"Wx1n Wy1n F__r", "Ry_a Rx_n"}, "10 11", true},
    {"MP, an exchange between", {"Wx1n Wy1r", "Xy2n", "Ry_a Rx_n"}, "120 12", false},
    {"MP, a store between", {"Wx1n Wy1r", "Wy2n", "Ry_a Rx_n"}, "20 12", true},
    {"MP, over a third thread", {"Wx1n Wy1r", "Ry_a Wz1r", "Rz_a Rx_n"}, "110 11", false},
    {"MP, over a third, relaxed", {"Wx1n Wy1r", "Ry_n Wz1r", "Rz_a Rx_n"}, "110 11", true},
    /* One place has one order. */
    {"CoRR", {"Wx1n", "Rx_n Rx_n"}, "10 10", false},
    {"CoRR, two stores", {"Wx1n", "Wx2n", "Rx_n Rx_n", "Rx_n Rx_n"}, "1221 20", false},
    {"CoWR", {"Wx1n Rx_n"}, "0 10", false},
    {"two exchanges", {"Xx1n", "Xx2n"}, "00 10", false},
    {"an exchange before a store", {"Xx1n", "Wx2n"}, "0 20", true},
    {"an exchange after a store", {"Xx1n", "Wx2n"}, "2 10", true},
    /* Stores in the opposite order. */
    {"2+2W", {"Wx1n Wy2n", "Wy1n Wx2n"}, " 11", true},
    {"2+2W, release", {"Wx1r Wy2r", "Wy1r Wx2r"}, " 11", true},
    {"2+2W, seq_cst", {"Wx1s Wy2s", "Wy1s Wx2s"}, " 11", false},
    {"R", {"Wx1n Wy1n", "Wy2n Rx_n"}, "0 12", true},
    {"R, release and acquire", {"Wx1r Wy1r", "Wy2r Rx_a"}, "0 12", true},
    {"R, seq_cst", {"Wx1s Wy1s", "Wy2s Rx_s"}, "0 12", false},
    {"S", {"Wx2n Wy1n", "Ry_n Wx1n"}, "1 21", true},
    {"S, release and acquire", {"Wx2n Wy1r", "Ry_a Wx1n"}, "1 21", false},
    /* Two who look at two stores in the opposite order. */
    {"IRIW, acquire", {"Wx1r", "Wy1r", "Rx_a Ry_a", "Ry_a Rx_a"}, "1010 11", true},
    {"IRIW, seq_cst", {"Wx1s", "Wy1s", "Rx_s Ry_s", "Ry_s Rx_s"}, "1010 11", false},
    {"IRIW, fences", {"Wx1n", "Wy1n", "Rx_n F__s Ry_n", "Ry_n F__s Rx_n"}, "1010 11", false},
};

struct run {
    const struct program *p;
    uint32_t at[3];
    char took[MODEL_THREADS][8];
    bool came_to_be;
};

static uint64_t other(uint64_t was, uint64_t by)
{
    (void)was;
    return by;
}

static int order_of(char letter)
{
    return letter == 'a'   ? __ATOMIC_ACQUIRE
           : letter == 'r' ? __ATOMIC_RELEASE
           : letter == 's' ? __ATOMIC_SEQ_CST
                           : __ATOMIC_RELAXED;
}

static void run_thread(void *ctx)
{
    struct run *r = ctx;
    char *took = r->took[model_thread()];
    for (const char *a = r->p->threads[model_thread()]; *a != '\0'; a += a[4] == ' ' ? 5 : 4) {
        int order = order_of(a[3]);
        uint64_t value = (uint64_t)(a[2] - '0');
        uint32_t *at = a[0] == 'F' ? NULL : &r->at[a[1] - 'x'];
        if (a[0] == 'W')
            model_store(at, 4, value, order);
        else if (a[0] == 'F')
            model_fence(order);
        else
            *took++ = (char)('0' + (a[0] == 'R' ? model_load(at, 4, order)
                                                : model_change(at, 4, other, value, order)));
    }
}

static void prepare(void *ctx)
{
    struct run *r = ctx;
    memset(r->at, 0, sizeof(r->at));
    memset(r->took, 0, sizeof(r->took));
}

static const char *look(void *ctx)
{
    struct run *r = ctx;
    char outcome[40];
    snprintf(outcome, sizeof(outcome), "%s%s%s%s %u%u", r->took[0], r->took[1], r->took[2],
             r->took[3], r->at[0], r->at[1]);
    r->came_to_be |= strcmp(outcome, r->p->outcome) == 0;
    return NULL;
}

Test(model, allows_what_c17_allows_and_no_more)
{
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        static struct run r;
        r = (struct run){.p = &programs[i]};
        struct model_case c = {.prepare = prepare, .judge = look, .ctx = &r};
        for (unsigned t = 0; t < MODEL_THREADS && r.p->threads[t] != NULL; t++)
            c.threads[t] = run_thread;
        unsigned count;
        cr_expect_null(model_explore(&c, &count));
        cr_expect_eq(r.came_to_be, r.p->allowed, "%s: %s %s", r.p->name, r.p->outcome,
                     r.came_to_be ? "came to be" : "did not come to be");
    }
}

/* ---- what is not atomic ---- */

static uint32_t flag, value;

static void clear(void *ctx)
{
    (void)ctx;
    flag = 0;
}

static void give(void *ctx)
{
    model_touch(&value, sizeof(value), true);
    model_store(&flag, sizeof(flag), 1, *(const int *)ctx);
}

static void get(void *ctx)
{
    (void)ctx;
    if (model_load(&flag, sizeof(flag), __ATOMIC_ACQUIRE) == 1)
        model_touch(&value, sizeof(value), false);
}

/* The other way: read, and only then given back. */
static void read_and_give(void *ctx)
{
    model_touch(&value, sizeof(value), false);
    model_store(&flag, sizeof(flag), 1, *(const int *)ctx);
}

static void overwrite(void *ctx)
{
    (void)ctx;
    if (model_load(&flag, sizeof(flag), __ATOMIC_ACQUIRE) == 1)
        model_touch(&value, sizeof(value), true);
}

static const char *nothing(void *ctx)
{
    (void)ctx;
    return NULL;
}

Test(model, finds_data_races)
{
    int released = __ATOMIC_RELEASE, relaxed = __ATOMIC_RELAXED;
    struct model_case c = {.prepare = clear, .threads = {give, get}, .judge = nothing};
    unsigned count;
    c.ctx = &released;
    cr_expect_null(model_explore(&c, &count));
    c.ctx = &relaxed;
    cr_expect_not_null(model_explore(&c, &count));
    c.threads[0] = read_and_give;
    c.threads[1] = overwrite;
    cr_expect_not_null(model_explore(&c, &count), "a load that is done late");
    c.ctx = &released;
    cr_expect_null(model_explore(&c, &count));
}

/* ---- locks ---- */

static uint8_t lock, second_lock;

static void count_up(void *ctx)
{
    (void)ctx;
    model_lock(&lock);
    model_touch(&value, sizeof(value), true);
    value++;
    model_unlock(&lock);
}

static void try_to_count_up(void *ctx)
{
    if (!model_try_lock(&lock))
        return;
    *(unsigned *)ctx += 1;
    model_touch(&value, sizeof(value), true);
    value++;
    model_unlock(&lock);
}

static void both_locks(void *ctx)
{
    (void)ctx;
    bool swap = model_thread() != 0;
    model_lock(swap ? &second_lock : &lock);
    model_lock(swap ? &lock : &second_lock);
    model_unlock(&lock);
    model_unlock(&second_lock);
}

static void zero(void *ctx)
{
    *(unsigned *)ctx = 0;
    value = 0;
}

static const char *counted(void *ctx)
{
    return value == 1 + *(unsigned *)ctx ? NULL : "a count is lost";
}

Test(model, has_locks)
{
    unsigned tried, count;
    struct model_case c = {
        .prepare = zero, .threads = {count_up, try_to_count_up}, .judge = counted, .ctx = &tried};
    cr_expect_null(model_explore(&c, &count));
    cr_expect_gt(count, 2);
    c.threads[0] = c.threads[1] = both_locks;
    c.judge = nothing;
    cr_expect_str_eq(model_explore(&c, &count), "a thread waits for ever");
}
