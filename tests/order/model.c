// SPDX-License-Identifier: BSD-2-Clause
#include "tests/order/model.h"

#include <ucontext.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

#define CELLS       96u
#define MESSAGES    16u /* in a cell, with what was there before */
#define CHOICES     512u
#define STACK_BYTES 262144u
#define SHADOWS     4096u /* a power of two */
#define SPINS       2u
#define SITES       128u
#define STEPS       64u

/* By cell: the oldest message that may still be read. By thread: how much of what it did is known.
 */
struct view {
    uint8_t from[CELLS];
    uint16_t clock[MODEL_THREADS];
};

struct message {
    uint64_t value;
    bool follows; /* read the one before it, and nothing comes between */
    struct view known;
};

struct cell {
    const uint8_t *at;
    unsigned bytes, count;
    bool is_lock;
    struct message messages[MESSAGES];
};

/* What a thread does next, or has done in its turn: `at` NULL: it may be anything. */
struct step {
    const void *at;
    bool strong; /* others that do something there notice: not a mere load */
};

struct thread {
    ucontext_t context;
    struct step next;
    bool sleeps; /* going on now would lead to what was seen already: see next_thread() */
    struct view known;
    struct view released; /* what it knew at its last fence that releases */
    struct view seen;     /* what a fence that acquires makes known */
    unsigned spins;
    bool done;
    bool (*may_go)(void *ctx); /* NULL: at any time */
    void *may_go_ctx;
    char stack[STACK_BYTES];
};

/* Eight bytes: when each thread last accessed each of them, by its clock. */
enum access {
    PLAIN_READ,
    PLAIN_WRITE,
    GUEST_READ, /* plain, of a cell: what it reads too early it reads wrong */
    ATOMIC_READ,
    ATOMIC_WRITE,
    ACCESSES,
};

struct shadow {
    uintptr_t at;
    unsigned execution;
    uint16_t when[8][ACCESSES][MODEL_THREADS];
};

/* An object that several threads access is one before which they may take turns. */
struct place {
    const uint8_t *at;
    unsigned thread;
    bool shared;
};

static struct {
    const struct model_case *c; /* NULL: accesses are plain */
    struct cell cells[CELLS];
    unsigned cell_count;
    struct view consistent; /* in each cell the last message of a sequentially consistent access */
    struct thread threads[MODEL_THREADS], *now;
    unsigned thread_count;
    ucontext_t scheduler;
    const char *wrong;
    bool cut; /* this execution is left out */
    unsigned interrupted;
    struct step turn[STEPS]; /* of the thread that goes on */
    unsigned turn_steps;

    struct shadow shadows[SHADOWS];
    unsigned execution;

    struct place places[CELLS];
    unsigned place_count;
    bool more_is_shared;

    struct model_site sites[SITES];
    const struct model_site *weak;
    int weak_order;
    struct model_site *site; /* of the next access; NULL: it is not known */

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

unsigned model_choose(unsigned count)
{
    return choose(count);
}

/* ---- turns ---- */

static struct thread *next_thread(void);

/* To whichever thread goes on: this one, another, or none any more. */
static void leave(void)
{
    struct thread *self = m.now, *next = next_thread();
    m.now = next;
    if (next != self)
        swapcontext(&self->context, next != NULL ? &next->context : &m.scheduler);
}

/* Ends this execution, of which no more is of use. */
static void stop(void)
{
    m.now->done = true;
    leave();
}

void model_fail(const char *why)
{
    if (m.now == NULL)
        return;
    if (m.wrong == NULL)
        m.wrong = why;
    stop();
}

void model_wait(bool (*may_go)(void *ctx), void *ctx)
{
    m.now->may_go = may_go;
    m.now->may_go_ctx = ctx;
    m.now->next = (struct step){NULL, true};
    leave();
    m.now->may_go = NULL;
}

void model_spin(void)
{
    if (++m.now->spins <= SPINS)
        return;
    m.cut = true;
    stop();
}

unsigned model_thread(void)
{
    return m.now != NULL ? (unsigned)(m.now - m.threads) : 0;
}

static bool is_shared(const uint8_t *at)
{
    unsigned i = 0;
    while (i < m.place_count && m.places[i].at != at)
        i++;
    if (i == m.place_count) {
        BUG_ON(i == CELLS);
        m.places[m.place_count++] = (struct place){.at = at, .thread = model_thread()};
    }
    struct place *p = &m.places[i];
    if (!p->shared && p->thread != model_thread())
        p->shared = m.more_is_shared = true;
    return p->shared;
}

/*
 * Another thread may go on here. Stores need none before them: what is not seen yet may be read
 * late, and other stores may come to be before it.
 */
static void give_way(const void *at, bool strong)
{
    if (at != NULL && !is_shared(at))
        return;
    m.now->next = (struct step){at, strong};
    leave();
}

static void note_step(const void *at, bool strong)
{
    BUG_ON(m.turn_steps == STEPS);
    m.turn[m.turn_steps++] = (struct step){at, strong};
}

/* ---- what is known ---- */

static void join_cells(struct view *to, const struct view *from)
{
    for (unsigned i = 0; i < CELLS; i++)
        if (from->from[i] > to->from[i])
            to->from[i] = from->from[i];
}

static void join(struct view *to, const struct view *from)
{
    join_cells(to, from);
    for (unsigned t = 0; t < MODEL_THREADS; t++)
        if (from->clock[t] > to->clock[t])
            to->clock[t] = from->clock[t];
}

bool model_ended(unsigned thread)
{
    if (!m.threads[thread].done)
        return false;
    join(&m.now->known, &m.threads[thread].known);
    return true;
}

/* ---- data races ---- */

static struct shadow *shadow_at(uintptr_t at)
{
    unsigned i = (unsigned)(at * UINT64_C(0x9e3779b97f4a7c15) >> 40) % SHADOWS;
    for (unsigned tried = 0; tried < SHADOWS; tried++, i = (i + 1) % SHADOWS) {
        struct shadow *s = &m.shadows[i];
        if (s->execution != m.execution) {
            *s = (struct shadow){.at = at, .execution = m.execution};
            return s;
        }
        if (s->at == at)
            return s;
    }
    BUG_ON(true);
}

/* What each of them may not meet. */
static const uint8_t conflicts[ACCESSES] = {
    [PLAIN_READ] = 1 << PLAIN_WRITE | 1 << ATOMIC_WRITE,
    [PLAIN_WRITE] = (1 << ACCESSES) - 1,
    [GUEST_READ] = 0,
    [ATOMIC_READ] = 1 << PLAIN_WRITE,
    [ATOMIC_WRITE] = 1 << PLAIN_READ | 1 << PLAIN_WRITE | 1 << GUEST_READ,
};

static void note_access(const void *at, size_t bytes, enum access access)
{
    unsigned self = model_thread(), count = m.thread_count;
    const uint16_t *known = m.now->known.clock;
    struct shadow *s = NULL;
    for (uintptr_t byte = (uintptr_t)at; bytes > 0; byte++, bytes--) {
        if (s == NULL || s->at != byte / 8 * 8)
            s = shadow_at(byte / 8 * 8);
        uint16_t(*when)[MODEL_THREADS] = s->when[byte % 8];
        for (unsigned rest = conflicts[access]; rest != 0; rest &= rest - 1)
            for (unsigned t = 0; t < count; t++)
                if (t != self && when[__builtin_ctz(rest)][t] > known[t])
                    model_fail("two threads access the same bytes at once");
        when[access][self] = known[self];
    }
}

void model_touch(const void *at, size_t bytes, bool write)
{
    if (m.now != NULL)
        note_access(at, bytes, write ? PLAIN_WRITE : PLAIN_READ);
}

/* ---- cells ---- */

static struct cell *cell_at(const uint8_t *at, unsigned bytes)
{
    unsigned i = 0;
    while (i < m.cell_count && m.cells[i].at != at)
        i++;
    struct cell *cell = &m.cells[i];
    if (i < m.cell_count) {
        BUG_ON(cell->bytes != bytes);
        return cell;
    }
    BUG_ON(i == CELLS || (uintptr_t)at % bytes != 0);
    cell->at = at;
    cell->bytes = bytes;
    cell->count = 1;
    cell->is_lock = false;
    cell->messages[0] = (struct message){0};
    memcpy(&cell->messages[0].value, at, bytes);
    m.cell_count++;
    return cell;
}

static bool acquires(int order)
{
    return order == __ATOMIC_CONSUME || order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL ||
           order == __ATOMIC_SEQ_CST;
}

static bool releases(int order)
{
    return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

static unsigned oldest(const struct cell *cell, int order)
{
    size_t i = (size_t)(cell - m.cells);
    unsigned own = m.now->known.from[i], consistent = m.consistent.from[i];
    return order == __ATOMIC_SEQ_CST && consistent > own ? consistent : own;
}

static uint64_t take(struct cell *cell, unsigned which, int order)
{
    size_t i = (size_t)(cell - m.cells);
    const struct message *message = &cell->messages[which];
    note_step(cell->at, order == __ATOMIC_SEQ_CST);
    m.now->known.from[i] = (uint8_t)which;
    if (order == __ATOMIC_SEQ_CST)
        m.consistent.from[i] = (uint8_t)which;
    join(acquires(order) ? &m.now->known : &m.now->seen, &message->known);
    return message->value;
}

static void shift(struct view *v, size_t cell, unsigned which)
{
    if (v->from[cell] >= which)
        v->from[cell]++;
}

/* Puts a message into that place; those from there on move up. */
static void leave_message(struct cell *cell, unsigned which, uint64_t value, bool follows,
                          int order)
{
    size_t i = (size_t)(cell - m.cells);
    struct thread *self = m.now;
    BUG_ON(cell->count == MESSAGES);
    note_step(cell->at, true);
    if (which < cell->count) {
        memmove(&cell->messages[which + 1], &cell->messages[which],
                (cell->count - which) * sizeof(cell->messages[0]));
        for (unsigned c = 0; c < m.cell_count; c++)
            for (unsigned k = 0; k < m.cells[c].count + (&m.cells[c] == cell); k++)
                shift(&m.cells[c].messages[k].known, i, which);
        for (unsigned t = 0; t < m.thread_count; t++) {
            shift(&m.threads[t].known, i, which);
            shift(&m.threads[t].released, i, which);
            shift(&m.threads[t].seen, i, which);
        }
        shift(&m.consistent, i, which);
    }
    cell->count++;
    self->known.from[i] = (uint8_t)which;
    struct message *message = &cell->messages[which];
    *message = (struct message){.value = value, .follows = follows};
    message->known = releases(order) ? self->known : self->released;
    if (follows)
        join(&message->known, &cell->messages[which - 1].known);
    message->known.from[i] = (uint8_t)which;
    if (order == __ATOMIC_SEQ_CST)
        m.consistent.from[i] = (uint8_t)which;
    self->known.clock[model_thread()]++;
    if (which + 1 == cell->count && !cell->is_lock)
        memcpy((void *)(uintptr_t)cell->at, &value, cell->bytes);
}

static uint64_t load_cell(const uint8_t *at, unsigned bytes, int order)
{
    struct cell *cell = cell_at(at, bytes);
    return take(cell, cell->count - 1 - choose(cell->count - oldest(cell, order)), order);
}

static void store_cell(const uint8_t *at, unsigned bytes, uint64_t value, int order)
{
    struct cell *cell = cell_at(at, bytes);
    unsigned places[MESSAGES], count = 0;
    for (unsigned which = cell->count; which > oldest(cell, order); which--)
        if (which == cell->count || !cell->messages[which].follows)
            places[count++] = which;
    leave_message(cell, places[choose(count)], value, false, order);
}

/* The message that a change reads: the one after which its own comes. */
static bool is_free(const struct cell *cell, unsigned which)
{
    return which + 1 == cell->count || !cell->messages[which + 1].follows;
}

/* ---- where they are ---- */

void model_at(const char *file, const char *function, unsigned line)
{
    if (m.now == NULL)
        return;
    struct model_site *s = m.sites;
    while (s->file != NULL && (s->line != line || strcmp(s->file, file) != 0))
        s++;
    BUG_ON(s == &m.sites[SITES - 1]);
    s->file = file;
    s->function = function;
    s->line = line;
    m.site = s;
}

const struct model_site *model_site(unsigned i)
{
    return m.sites[i].file != NULL ? &m.sites[i] : NULL;
}

void model_weaken(const struct model_site *site, int order)
{
    m.weak = site;
    m.weak_order = order;
}

/* What is left of an order: of release and acquire, a load can only acquire. */
static int weakened(int order, bool loads, bool stores)
{
    struct model_site *s = m.site;
    m.site = NULL;
    if (s == NULL)
        return order;
    if (order > s->order)
        s->order = order;
    if (s != m.weak || order == __ATOMIC_RELAXED || m.weak_order == __ATOMIC_RELAXED)
        return s == m.weak ? m.weak_order : order;
    return loads && stores ? __ATOMIC_ACQ_REL : loads ? __ATOMIC_ACQUIRE : __ATOMIC_RELEASE;
}

/* ---- accesses ---- */

static uint64_t in_bytes(uint64_t value, unsigned bytes)
{
    return bytes < 8 ? value & ((UINT64_C(1) << 8 * bytes) - 1) : value;
}

uint64_t model_load(const void *at, unsigned bytes, int order)
{
    uint64_t value = 0;
    if (m.now == NULL) {
        memcpy(&value, at, bytes);
        return value;
    }
    order = weakened(order, true, false);
    give_way(at, order == __ATOMIC_SEQ_CST);
    note_access(at, bytes, ATOMIC_READ);
    return load_cell(at, bytes, order);
}

void model_store(void *at, unsigned bytes, uint64_t value, int order)
{
    if (m.now == NULL) {
        memcpy(at, &value, bytes);
        return;
    }
    order = weakened(order, false, true);
    if (order == __ATOMIC_SEQ_CST)
        give_way(at, true);
    note_access(at, bytes, ATOMIC_WRITE);
    store_cell(at, bytes, in_bytes(value, bytes), order);
}

uint64_t model_change(void *at, unsigned bytes, uint64_t (*change)(uint64_t was, uint64_t by),
                      uint64_t by, int order)
{
    uint64_t was = 0, value;
    if (m.now == NULL) {
        memcpy(&was, at, bytes);
        value = change(was, by);
        memcpy(at, &value, bytes);
        return was;
    }
    order = weakened(order, true, true);
    give_way(at, true);
    note_access(at, bytes, ATOMIC_WRITE);
    struct cell *cell = cell_at(at, bytes);
    unsigned places[MESSAGES], count = 0;
    for (unsigned which = cell->count; which-- > oldest(cell, order);)
        if (is_free(cell, which))
            places[count++] = which;
    unsigned which = places[choose(count)];
    was = take(cell, which, order);
    leave_message(cell, which + 1, in_bytes(change(was, by), bytes), true, order);
    return was;
}

bool model_compare_exchange(void *at, unsigned bytes, uint64_t *expected, uint64_t value, int order,
                            int failed_order)
{
    uint64_t was = 0;
    *expected = in_bytes(*expected, bytes);
    if (m.now == NULL) {
        memcpy(&was, at, bytes);
        if (was == *expected)
            memcpy(at, &value, bytes);
    } else {
        order = weakened(order, true, true);
        failed_order = failed_order < order ? failed_order : order;
        give_way(at, true);
        struct cell *cell = cell_at(at, bytes);
        unsigned places[MESSAGES], count = 0;
        for (unsigned which = cell->count; which > 0; which--) {
            bool same = cell->messages[which - 1].value == *expected;
            if (which - 1 >= oldest(cell, same ? order : failed_order) &&
                (!same || is_free(cell, which - 1)))
                places[count++] = which - 1;
        }
        unsigned which = places[choose(count)];
        bool same = cell->messages[which].value == *expected;
        note_access(at, bytes, same ? ATOMIC_WRITE : ATOMIC_READ);
        was = take(cell, which, same ? order : failed_order);
        if (same)
            leave_message(cell, which + 1, in_bytes(value, bytes), true, order);
    }
    bool same = was == *expected;
    *expected = was;
    return same;
}

void model_fence(int order)
{
    if (m.now == NULL)
        return;
    order = weakened(order, true, true);
    if (order == __ATOMIC_SEQ_CST)
        give_way(NULL, true);
    struct thread *self = m.now;
    if (order == __ATOMIC_SEQ_CST)
        note_step(NULL, true);
    if (acquires(order))
        join(&self->known, &self->seen);
    if (order == __ATOMIC_SEQ_CST) {
        join_cells(&self->known, &m.consistent);
        join_cells(&m.consistent, &self->known);
    }
    if (releases(order))
        self->released = self->known;
    self->known.clock[model_thread()]++;
}

/* ---- guest memory ---- */

static bool is_guest(const void *at)
{
    const uint8_t *p = at;
    return m.now != NULL && p >= m.c->guest && p < m.c->guest + m.c->guest_bytes;
}

static bool by_fences(void)
{
    return (m.c->fences_of >> model_thread() & 1) != 0;
}

uint32_t model_guest_load(const void *at, unsigned bytes, int order)
{
    uint32_t value = 0;
    if (!is_guest(at)) {
        memcpy(&value, at, bytes);
        return value;
    }
    order = weakened(order, true, false);
    give_way(at, order == __ATOMIC_SEQ_CST);
    note_access(at, bytes, ATOMIC_READ);
    for (unsigned i = 0; i < bytes; i += 2)
        value |=
            (uint32_t)load_cell((const uint8_t *)at + i, 2, by_fences() ? __ATOMIC_RELAXED : order)
            << 8 * i;
    if (by_fences() && order != __ATOMIC_RELAXED)
        model_fence(__ATOMIC_ACQUIRE);
    return value;
}

void model_guest_store(void *at, unsigned bytes, uint32_t value, int order)
{
    if (!is_guest(at)) {
        memcpy(at, &value, bytes);
        return;
    }
    order = weakened(order, false, true);
    bool fences = by_fences() && order != __ATOMIC_RELAXED;
    if (fences)
        model_fence(__ATOMIC_RELEASE);
    else if (order == __ATOMIC_SEQ_CST)
        give_way(at, true);
    note_access(at, bytes, ATOMIC_WRITE);
    for (unsigned i = 0; i < bytes; i += 2)
        store_cell((const uint8_t *)at + i, 2, (uint16_t)(value >> 8 * i),
                   fences ? __ATOMIC_RELAXED : order);
    if (fences && order == __ATOMIC_SEQ_CST)
        model_fence(__ATOMIC_SEQ_CST);
}

/* Values from cells, too, so that what is read too early is seen for what it is. */
uint32_t model_guest_read(const void *at, unsigned bytes)
{
    uint32_t value = model_guest_load(at, bytes, __ATOMIC_RELAXED);
    if (is_guest(at))
        note_access(at, bytes, GUEST_READ);
    return value;
}

void model_guest_write(void *at, unsigned bytes, uint32_t value)
{
    model_touch(at, bytes, true);
    model_guest_store(at, bytes, value, __ATOMIC_RELAXED);
}

void *model_copy(void *dst, const void *src, size_t len)
{
    uint8_t *to = dst;
    if (!is_guest(src))
        return memcpy(dst, src, len);
    for (size_t i = 0; i < len; i += 2) {
        uint16_t value = (uint16_t)model_guest_read((const uint8_t *)src + i, 2);
        memcpy(to + i, &value, 2);
    }
    return dst;
}

/* ---- locks: a word that is 1 while one is held ---- */

static bool is_unlocked(void *lock)
{
    unsigned i = 0;
    while (i < m.cell_count && m.cells[i].at != lock)
        i++;
    return i == m.cell_count || m.cells[i].messages[m.cells[i].count - 1].value == 0;
}

static uint64_t to_one(uint64_t was, uint64_t by)
{
    return was | by;
}

/* A place of its own in the lock, which is not 1 before anything locks it. */
static struct cell *lock_cell(void *lock)
{
    struct cell *cell = cell_at(lock, 1);
    if (!cell->is_lock)
        cell->messages[0].value = 0;
    cell->is_lock = true;
    return cell;
}

static void hold(struct cell *cell)
{
    unsigned last = cell->count - 1;
    take(cell, last, __ATOMIC_ACQUIRE);
    leave_message(cell, last + 1, to_one(0, 1), true, __ATOMIC_RELAXED);
}

void model_lock(void *lock)
{
    if (m.now == NULL)
        return;
    if (is_shared(lock))
        model_wait(is_unlocked, lock);
    hold(lock_cell(lock));
}

/* Which fails may be late in seeing that the lock is free, and is no barrier. */
bool model_try_lock(void *lock)
{
    if (m.now == NULL)
        return true;
    give_way(lock, true);
    struct cell *cell = lock_cell(lock);
    unsigned places[MESSAGES], count = 0;
    for (unsigned which = cell->count; which-- > oldest(cell, __ATOMIC_RELAXED);)
        if (cell->messages[which].value != 0 || which + 1 == cell->count)
            places[count++] = which;
    unsigned which = places[choose(count)];
    if (cell->messages[which].value == 0) {
        hold(cell);
        return true;
    }
    take(cell, which, __ATOMIC_RELAXED);
    return false;
}

void model_unlock(void *lock)
{
    if (m.now == NULL)
        return;
    struct cell *cell = lock_cell(lock);
    BUG_ON(cell->messages[cell->count - 1].value == 0);
    leave_message(cell, cell->count, 0, false, __ATOMIC_RELEASE);
}

/* ---- threads ---- */

static void run_thread(void)
{
    m.c->threads[model_thread()](m.c->ctx);
    stop();
}

static void start_thread(unsigned which)
{
    struct thread *t = &m.threads[which];
    t->known = t->released = t->seen = (struct view){{0}, {0}};
    t->known.clock[which] = 1;
    t->spins = 0;
    t->done = t->sleeps = false;
    t->next = (struct step){NULL, true};
    t->may_go = NULL;
    getcontext(&t->context);
    t->context.uc_stack = (stack_t){.ss_sp = t->stack, .ss_size = sizeof(t->stack)};
    t->context.uc_link = NULL;
    makecontext(&t->context, run_thread, 0);
}

static bool meets(struct step a, struct step b)
{
    return a.at == NULL || b.at == NULL || (a.at == b.at && (a.strong || b.strong));
}

/* Those that slept, and what they do next is something else now. */
static void wake_threads(void)
{
    for (unsigned i = 0; i < m.thread_count; i++)
        for (unsigned k = 0; k < m.turn_steps && m.threads[i].sleeps; k++)
            m.threads[i].sleeps = !meets(m.threads[i].next, m.turn[k]);
    m.turn_steps = 0;
}

/* The same thread as long as it can go on, but for a few times. */
static struct thread *next_of_few(struct thread *self, struct thread **able, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (able[i] != self)
            continue;
        able[i] = able[0];
        able[0] = self;
        unsigned which = choose(m.interrupted < m.c->interrupts ? count : 1);
        m.interrupted += which > 0;
        return able[which];
    }
    return able[choose(count)];
}

/*
 * Of those that may go on, one; NULL: none may. When all is seen that follows if one thread goes on
 * here, and then another does, the first need not go on before something has been done that makes a
 * difference to it.
 */
static struct thread *next_thread(void)
{
    struct thread *able[MODEL_THREADS];
    unsigned count = 0;
    bool sleeps = false, all_done = true;
    struct thread *self = m.now;
    if (m.wrong != NULL || m.cut)
        return NULL;
    wake_threads();
    for (unsigned i = 0; i < m.thread_count; i++) {
        struct thread *t = &m.threads[i];
        all_done &= t->done;
        m.now = t;
        if (t->done || (t->may_go != NULL && !t->may_go(t->may_go_ctx)))
            continue;
        sleeps |= t->sleeps;
        if (!t->sleeps)
            able[count++] = t;
    }
    m.cut = sleeps && count == 0;
    if (count == 0 && !all_done && !m.cut)
        m.wrong = "a thread waits for ever";
    if (count == 0)
        return NULL;
    if (m.c->interrupts != 0)
        return next_of_few(self, able, count);
    unsigned which = choose(count);
    for (unsigned i = 0; i < which; i++)
        able[i]->sleeps = true;
    return able[which];
}

static void execute(void)
{
    m.cell_count = m.at = 0;
    m.consistent = (struct view){{0}, {0}};
    m.wrong = NULL;
    m.cut = false;
    m.turn_steps = m.interrupted = 0;
    m.execution++;
    for (m.thread_count = 0;
         m.thread_count < MODEL_THREADS && m.c->threads[m.thread_count] != NULL;)
        start_thread(m.thread_count++);
    m.now = next_thread();
    swapcontext(&m.scheduler, &m.now->context);
    m.now = NULL;
}

const char *model_explore(const struct model_case *c, unsigned *count)
{
    m.c = c;
    m.depth = m.place_count = 0;
    *count = 0;
    do {
        m.more_is_shared = false;
        c->prepare(c->ctx);
        execute();
        ++*count;
        if (m.wrong == NULL && !m.cut)
            m.wrong = c->judge(c->ctx);
        if (m.more_is_shared) /* where threads take turns is known better now */
            m.depth = *count = 0;
    } while (m.wrong == NULL && (m.more_is_shared || next_path()));
    m.c = NULL;
    return m.wrong;
}
