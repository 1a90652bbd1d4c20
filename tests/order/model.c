// SPDX-License-Identifier: BSD-2-Clause
#include "tests/order/model.h"

#include <ucontext.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

#define CELLS       64u
#define MESSAGES    8u /* in a cell, with what was there before */
#define CHOICES     256u
#define THREADS     2u
#define STACK_BYTES 262144u

/* By cell: the oldest message that may still be read. */
struct view {
    uint8_t from[CELLS];
};

struct message {
    uint16_t value;
    struct view known;
};

struct cell {
    const uint8_t *at;
    unsigned count;
    struct message messages[MESSAGES];
};

struct thread {
    ucontext_t context;
    struct view known;
    bool done;
    void (*run)(void *ctx);
    char stack[STACK_BYTES];
};

static struct {
    const struct model_case *c; /* NULL: accesses are plain */
    struct cell cells[CELLS];
    unsigned cell_count;
    struct view consistent; /* in each cell the last message of a sequentially consistent access */
    struct thread threads[THREADS], *now;
    ucontext_t scheduler;

    /* The path through all choices: which was taken, of how many. */
    unsigned taken[CHOICES], of[CHOICES], depth, at;
} m;

static unsigned choose(unsigned count)
{
    if (count <= 1)
        return 0;
    BUG_ON(m.at == CHOICES);
    if (m.at == m.depth) {
        m.taken[m.depth] = 0;
        m.of[m.depth++] = count;
    }
    BUG_ON(m.of[m.at] != count);
    return m.taken[m.at++];
}

/* False: all paths were taken. */
static bool next_path(void)
{
    while (m.depth > 0 && m.taken[m.depth - 1] + 1 == m.of[m.depth - 1])
        m.depth--;
    if (m.depth == 0)
        return false;
    m.taken[m.depth - 1]++;
    return true;
}

/* ---- accesses ---- */

static void join(struct view *to, const struct view *from)
{
    for (unsigned i = 0; i < CELLS; i++)
        if (from->from[i] > to->from[i])
            to->from[i] = from->from[i];
}

static bool is_modelled(const void *at)
{
    const uint8_t *p = at;
    return m.c != NULL && m.now != NULL && p >= m.c->memory && p < m.c->memory + m.c->bytes;
}

static unsigned cell_at(const uint8_t *at)
{
    unsigned i = 0;
    while (i < m.cell_count && m.cells[i].at != at)
        i++;
    if (i < m.cell_count)
        return i;
    BUG_ON(i == CELLS || (uintptr_t)at % 2 != 0);
    m.cells[i] = (struct cell){.at = at, .count = 1};
    memcpy(&m.cells[i].messages[0].value, at, 2);
    m.cell_count++;
    return i;
}

/* The other thread may go on here. Stores alone need none: what is not seen yet may be read late.
 */
static void give_way(void)
{
    struct thread *self = m.now;
    swapcontext(&self->context, &m.scheduler);
}

static uint16_t load_cell(const uint8_t *at, int order)
{
    unsigned i = cell_at(at);
    struct cell *cell = &m.cells[i];
    struct view *known = &m.now->known;
    if (order == __ATOMIC_SEQ_CST)
        known->from[i] = (uint8_t)max_u64(known->from[i], m.consistent.from[i]);
    unsigned which = cell->count - 1 - choose(cell->count - known->from[i]);
    known->from[i] = (uint8_t)which;
    if (order == __ATOMIC_SEQ_CST)
        m.consistent.from[i] = (uint8_t)which;
    if (order != __ATOMIC_RELAXED)
        join(known, &cell->messages[which].known);
    return cell->messages[which].value;
}

static void store_cell(const uint8_t *at, uint16_t value, int order)
{
    unsigned i = cell_at(at);
    struct cell *cell = &m.cells[i];
    struct view *known = &m.now->known;
    BUG_ON(cell->count == MESSAGES);
    known->from[i] = (uint8_t)cell->count;
    struct message *message = &cell->messages[cell->count++];
    *message = (struct message){.value = value};
    if (order != __ATOMIC_RELAXED)
        message->known = *known;
    if (order == __ATOMIC_SEQ_CST)
        m.consistent.from[i] = known->from[i];
    message->known.from[i] = known->from[i];
}

uint32_t model_load(const void *at, unsigned bytes, int order)
{
    uint32_t value = 0;
    if (!is_modelled(at)) {
        memcpy(&value, at, bytes);
        return value;
    }
    give_way();
    for (unsigned i = 0; i < bytes; i += 2)
        value |= (uint32_t)load_cell((const uint8_t *)at + i, order) << 8 * i;
    return value;
}

void model_store(void *at, unsigned bytes, uint32_t value, int order)
{
    if (!is_modelled(at)) {
        memcpy(at, &value, bytes);
        return;
    }
    if (order == __ATOMIC_SEQ_CST)
        give_way();
    for (unsigned i = 0; i < bytes; i += 2)
        store_cell((const uint8_t *)at + i, (uint16_t)(value >> 8 * i), order);
}

void *model_copy(void *dst, const void *src, size_t len)
{
    uint8_t *to = dst;
    if (!is_modelled(src))
        return memcpy(dst, src, len);
    for (size_t i = 0; i < len; i += 2) {
        uint16_t value = (uint16_t)model_load((const uint8_t *)src + i, 2, __ATOMIC_RELAXED);
        memcpy(to + i, &value, 2);
    }
    return dst;
}

/* ---- threads ---- */

static void run_thread(void)
{
    m.now->run(m.c->ctx);
    m.now->done = true;
    swapcontext(&m.now->context, &m.scheduler);
}

static void start_thread(struct thread *t, void (*run)(void *ctx))
{
    t->known = (struct view){{0}};
    t->done = false;
    t->run = run;
    getcontext(&t->context);
    t->context.uc_stack = (stack_t){.ss_sp = t->stack, .ss_size = sizeof(t->stack)};
    t->context.uc_link = NULL;
    makecontext(&t->context, run_thread, 0);
}

static void execute(void)
{
    struct thread *t = m.threads;
    m.cell_count = m.at = 0;
    m.consistent = (struct view){{0}};
    start_thread(&t[0], m.c->device);
    start_thread(&t[1], m.c->driver);
    while (!t[0].done || !t[1].done) {
        m.now = t[0].done ? &t[1] : t[1].done ? &t[0] : &t[choose(THREADS)];
        swapcontext(&m.scheduler, &m.now->context);
    }
    m.now = NULL;
}

const char *model_explore(const struct model_case *c, unsigned *count)
{
    const char *wrong = NULL;
    m.depth = 0;
    m.c = c;
    *count = 0;
    do {
        c->prepare(c->ctx);
        execute();
        ++*count;
        wrong = c->judge(c->ctx);
    } while (wrong == NULL && next_path());
    m.c = NULL;
    return wrong;
}
