// SPDX-License-Identifier: BSD-2-Clause
#include "pci/msix.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/log.h"
#include "core/base/try_lock.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "core/peers/shared_event.h"
#include "core/state/state.h"
#include "pci/function.h"

#define CAP_ID_MSIX 0x11
#define BAR_MIN     UINT64_C(4096) /* a page of its own: it can be mapped by itself */
#define PENDING     64u            /* bits in a word of the PBA */

enum { /* the capability */
       CAP_CONTROL = 2,
       CAP_TABLE = 4, /* offset, and which BAR in bits 2:0 */
       CAP_PBA = 8,
       CAP_BYTES = 12,
       CONTROL_MASK_ALL = 0x4000,
       CONTROL_ENABLE = 0x8000,
};

enum { /* an entry of the table */
       ENTRY_ADDR = 0,
       ENTRY_DATA = 8,
       ENTRY_CONTROL = 12,
       ENTRY_MASKED = 1, /* in the control's first byte */
};

/* A vector that the hypervisor delivers by itself; fd -1: none. */
struct route {
    int fd;
    int handle;
    uint64_t addr;
    uint32_t data;
};

/* An eventfd that the device does not own. */
struct source {
    atomic_bool is_there, wanted; /* without the lock: its eventfd, and as `wanted` below */
    unsigned vector;
    struct route route; /* handle below 0: none now */
};

struct msix {
    struct pci_func *func;
    struct msi_sink sink;
    unsigned cap;
    unsigned vectors, source_count;
    uint64_t pba_offset;
    atomic_bool shown_enabled; /* `enabled`, for threads without the lock */
    struct log_guest_count refused;

    /* What was raised while another thread had the lock, which takes it over when it lets go: no
     * loop waits for vCPUs that change routes all the time. */
    atomic_bool asked;
    _Atomic uint64_t wanted[MSIX_VECTORS_MAX / PENDING];

    pthread_mutex_t lock; /* leaf; guards what follows */
    bool enabled, mask_all, master;
    uint8_t *table; /* as the guest wrote it */
    uint64_t *pending;
    struct route *routes;
    struct source *sources;
};

/* ---- a vector's state ---- */

static const uint8_t *entry(const struct msix *m, unsigned vector)
{
    return m->table + (size_t)vector * MSIX_ENTRY_BYTES;
}

static bool is_masked(const struct msix *m, unsigned vector)
{
    return !m->enabled || m->mask_all || (entry(m, vector)[ENTRY_CONTROL] & ENTRY_MASKED) != 0;
}

static bool is_pending(const struct msix *m, unsigned vector)
{
    return (m->pending[vector / PENDING] >> vector % PENDING & 1) != 0;
}

static void set_pending(struct msix *m, unsigned vector, bool on)
{
    uint64_t bit = UINT64_C(1) << vector % PENDING;
    if (on)
        m->pending[vector / PENDING] |= bit;
    else
        m->pending[vector / PENDING] &= ~bit;
}

static void route_drop(struct msix *m, unsigned vector)
{
    struct route *r = &m->routes[vector];
    if (r->fd < 0)
        return;
    m->sink.ops->route_del(m->sink.ctx, r->handle, r->fd);
    close(r->fd);
    r->fd = -1;
}

static int route_add(struct msix *m, unsigned vector, uint64_t addr, uint32_t data)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    int handle = m->sink.ops->route_add(m->sink.ctx, fd, addr, data);
    if (handle < 0) {
        close(fd);
        return handle;
    }
    m->routes[vector] = (struct route){.fd = fd, .handle = handle, .addr = addr, .data = data};
    return 0;
}

/* Brings the route to what the entry says. Without one the vector's message is sent: see
 * raise_locked(). */
static void route_update(struct msix *m, unsigned vector)
{
    struct route *r = &m->routes[vector];
    uint64_t addr = le64_get(entry(m, vector) + ENTRY_ADDR);
    uint32_t data = le32_get(entry(m, vector) + ENTRY_DATA);
    int err = 0;
    if (r->fd < 0) {
        err = route_add(m, vector, addr, data);
    } else if (r->addr != addr || r->data != data) {
        err = m->sink.ops->route_set(m->sink.ctx, r->handle, addr, data);
        if (err < 0) {
            route_drop(m, vector); /* it stands for a message that the guest no longer wants */
        } else {
            r->addr = addr;
            r->data = data;
        }
    }
    if (err < 0 && err != -ENOSYS)
        log_guest(&m->refused, "%s: no route for MSI-X vector %u: %s", m->func->cfg.name, vector,
                  strerror(-err));
}

static void raise_locked(struct msix *m, unsigned vector)
{
    if (!m->enabled)
        return;
    if (is_masked(m, vector) || !m->master)
        set_pending(m, vector, true);
    else if (m->routes[vector].fd >= 0)
        /* Fails only if the counter is full, and then the interrupt is on its way already. */
        (void)eventfd_write(m->routes[vector].fd, 1);
    else
        (void)m->sink.ops->send(m->sink.ctx, le64_get(entry(m, vector) + ENTRY_ADDR),
                                le32_get(entry(m, vector) + ENTRY_DATA));
}

static void source_drop(struct msix *m, struct source *s)
{
    if (s->route.fd >= 0 && s->route.handle >= 0)
        m->sink.ops->route_del(m->sink.ctx, s->route.handle, s->route.fd);
    s->route.handle = -1;
}

/*
 * The hypervisor has it exactly while its vector's message may be sent. What was written before
 * that, it finds when it gets it; what is written afterwards is delivered by the thread that polls
 * the eventfd.
 */
static void source_update(struct msix *m, struct source *s)
{
    struct route *r = &s->route;
    bool may = r->fd >= 0 && m->master && !is_masked(m, s->vector);
    uint64_t addr = le64_get(entry(m, s->vector) + ENTRY_ADDR);
    uint32_t data = le32_get(entry(m, s->vector) + ENTRY_DATA);
    if (!may || r->addr != addr || r->data != data)
        source_drop(m, s);
    if (!may || r->handle >= 0)
        return;
    r->addr = addr;
    r->data = data;
    r->handle = m->sink.ops->route_add(m->sink.ctx, r->fd, addr, data);
}

/* After anything changed that may have masked or unmasked it, or what its message is. */
static void update(struct msix *m, unsigned vector)
{
    for (unsigned i = 0; i < m->source_count; i++)
        if (m->sources[i].vector == vector)
            source_update(m, &m->sources[i]);
    if (is_masked(m, vector))
        return;
    route_update(m, vector);
    if (m->master && is_pending(m, vector)) {
        set_pending(m, vector, false);
        raise_locked(m, vector);
    }
}

static void update_all(struct msix *m)
{
    for (unsigned i = 0; i < m->vectors; i++)
        update(m, i);
}

/* ---- the lock ---- */

/*
 * The hypervisor does not find an event that was taken here, nor is one found here that it took,
 * however late the caller learns of it: no interrupt comes twice.
 */
static void raise_source(struct msix *m, const struct source *s)
{
    if (s->route.fd >= 0 && s->route.handle < 0 && shared_event_take(s->route.fd))
        raise_locked(m, s->vector);
}

static void raise_wanted(struct msix *m)
{
    atomic_store(&m->asked, false);
    for (unsigned i = 0; i < m->source_count; i++)
        if (atomic_exchange(&m->sources[i].wanted, false))
            raise_source(m, &m->sources[i]);
    for (unsigned word = 0; word * PENDING < m->vectors; word++) {
        uint64_t bits = atomic_exchange(&m->wanted[word], 0);
        for (; bits != 0; bits &= bits - 1)
            raise_locked(m, word * PENDING + (unsigned)__builtin_ctzll(bits));
    }
}

/*
 * The fences order asking before the look at the lock, and unlocking before the look at `asked`: if
 * one thread does not get the lock the one that has it sees what was asked.
 */
static void catch_up(struct msix *m)
{
    atomic_thread_fence(memory_order_seq_cst);
    while (atomic_load(&m->asked) && pthread_mutex_trylock(&m->lock) == 0) {
        raise_wanted(m);
        pthread_mutex_unlock(&m->lock);
        atomic_thread_fence(memory_order_seq_cst);
    }
}

static void unlock(struct msix *m)
{
    pthread_mutex_unlock(&m->lock);
    catch_up(m);
}

/* For what is wanted by now: of this thread if it gets the lock, else of the one that has it. */
static void ask(struct msix *m)
{
    atomic_store(&m->asked, true);
    catch_up(m);
}

/* ---- the table and the pending bits ---- */

static bool access_ok(uint64_t offset, unsigned width)
{
    return (width == 4 || width == 8) && is_aligned(offset, width);
}

static uint64_t table_bytes(const struct msix *m)
{
    return (uint64_t)m->vectors * MSIX_ENTRY_BYTES;
}

static uint64_t pba_bytes(const struct msix *m)
{
    return ((uint64_t)m->vectors + PENDING - 1) / PENDING * 8;
}

static uint64_t pba_read(const struct msix *m, uint64_t offset, unsigned width)
{
    uint64_t word = m->pending[offset / 8];
    return width == 4 && offset % 8 != 0 ? word >> 32 : word;
}

static uint64_t bar_read(void *dev, uint64_t offset, unsigned width)
{
    struct msix *m = dev;
    uint64_t value = 0;
    if (!access_ok(offset, width))
        return UINT64_MAX;
    pthread_mutex_lock(&m->lock);
    if (offset < table_bytes(m))
        value = le_get(m->table + offset, width);
    else if (offset >= m->pba_offset && offset - m->pba_offset < pba_bytes(m))
        value = pba_read(m, offset - m->pba_offset, width);
    unlock(m);
    return value;
}

/* Of an entry's control only the mask bit can be written (PCI 3.0 6.8.2.9). */
static void bar_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct msix *m = dev;
    if (!access_ok(offset, width) || offset >= table_bytes(m))
        return;
    pthread_mutex_lock(&m->lock);
    unsigned vector = (unsigned)(offset / MSIX_ENTRY_BYTES);
    le_put(m->table + offset, value, width);
    uint8_t *control = m->table + (size_t)vector * MSIX_ENTRY_BYTES + ENTRY_CONTROL;
    le32_put(control, control[0] & ENTRY_MASKED);
    update(m, vector);
    unlock(m);
}

static const struct bus_ops bar_ops = {.read = bar_read, .write = bar_write};

/* ---- the capability ---- */

static void drop_all(struct msix *m)
{
    for (unsigned i = 0; i < m->vectors; i++)
        route_drop(m, i);
    for (unsigned i = 0; i < m->source_count; i++)
        source_drop(m, &m->sources[i]);
}

void msix_control_changed(struct msix *m)
{
    uint32_t control = pci_func_get(m->func, m->cap + CAP_CONTROL, 2);
    pthread_mutex_lock(&m->lock);
    bool enabled = (control & CONTROL_ENABLE) != 0;
    bool mask_all = (control & CONTROL_MASK_ALL) != 0;
    bool changed = enabled != m->enabled || mask_all != m->mask_all;
    m->enabled = enabled;
    m->mask_all = mask_all;
    atomic_store(&m->shown_enabled, enabled);
    if (changed && !enabled)
        drop_all(m);
    else if (changed)
        update_all(m);
    unlock(m);
}

static void master_changed(void *ctx, bool on)
{
    struct msix *m = ctx;
    pthread_mutex_lock(&m->lock);
    m->master = on;
    update_all(m);
    unlock(m);
}

unsigned msix_cap(const struct msix *m)
{
    return m->cap;
}

bool msix_enabled(const struct msix *m)
{
    return atomic_load(&m->shown_enabled);
}

unsigned msix_vectors(const struct msix *m)
{
    return m->vectors;
}

void msix_raise(struct msix *m, unsigned vector)
{
    BUG_ON(vector >= m->vectors);
    if (pthread_mutex_trylock(&m->lock) == 0) {
        raise_locked(m, vector);
        unlock(m);
        return;
    }
    atomic_fetch_or(&m->wanted[vector / PENDING], UINT64_C(1) << vector % PENDING);
    ask(m);
}

void msix_set_source(struct msix *m, unsigned source, int eventfd, unsigned vector)
{
    BUG_ON(source >= m->source_count || vector >= m->vectors);
    struct source *s = &m->sources[source];
    pthread_mutex_lock(&m->lock);
    source_drop(m, s);
    atomic_store(&s->is_there, eventfd >= 0);
    s->route.fd = eventfd;
    s->vector = vector;
    source_update(m, s);
    unlock(m);
}

bool msix_raise_source(struct msix *m, unsigned source)
{
    BUG_ON(source >= m->source_count);
    struct source *s = &m->sources[source];
    if (!atomic_load(&s->is_there))
        return false;
    atomic_store(&s->wanted, true);
    ask(m);
    return true;
}

void msix_clear_pending(struct msix *m)
{
    pthread_mutex_lock(&m->lock);
    memset(m->pending, 0, pba_bytes(m));
    for (unsigned word = 0; word * PENDING < m->vectors; word++)
        atomic_store(&m->wanted[word], 0);
    unlock(m);
}

/* ---- saved and loaded ---- */

static void table_state(struct msix *m, struct state *s)
{
    state_bytes(s, "table", m->table, table_bytes(m));
    for (unsigned i = 0; i < m->vectors; i++) {
        uint8_t *control = m->table + (size_t)i * MSIX_ENTRY_BYTES + ENTRY_CONTROL;
        le32_put(control, control[0] & ENTRY_MASKED);
    }
}

static void pending_state(struct msix *m, struct state *s)
{
    uint8_t bits[MSIX_VECTORS_MAX / 8] = {0};
    for (unsigned i = 0; i < m->vectors; i++)
        bits[i / 8] |= (uint8_t)(is_pending(m, i) << i % 8);
    state_bytes(s, "pending", bits, (m->vectors + 7) / 8);
    for (unsigned i = 0; i < m->vectors; i++)
        set_pending(m, i, bits[i / 8] >> i % 8 & 1);
}

void msix_state(struct msix *m, struct state *s)
{
    if (!state_begin(s, "msix", 0, 1))
        return;
    pthread_mutex_lock(&m->lock);
    raise_wanted(m);
    table_state(m, s);
    pending_state(m, s);
    unlock(m);
    state_end(s);
    msix_control_changed(m);
}

/* ---- life ---- */

/* A power of two whose halves hold the table and the pending bits. */
static void describe_vector(const struct msix *m, struct facts *f, unsigned vector)
{
    const uint8_t *e = entry(m, vector);
    bool masked = (e[ENTRY_CONTROL] & ENTRY_MASKED) != 0;
    if (masked && le64_get(e + ENTRY_ADDR) == 0)
        return;
    facts_group(f, NULL);
    facts_number(f, "vector", vector);
    facts_hex(f, "address", le64_get(e + ENTRY_ADDR));
    facts_hex(f, "data", le32_get(e + ENTRY_DATA));
    facts_flag(f, "masked", masked);
    facts_flag(f, "pending", is_pending(m, vector));
    facts_end(f);
}

void msix_describe(struct msix *m, struct facts *f)
{
    facts_group(f, "msix");
    if (!try_lock(&m->lock)) { /* vCPUs that change routes all the time have it */
        facts_flag(f, "busy", true);
        facts_end(f);
        return;
    }
    facts_flag(f, "enabled", m->enabled);
    facts_flag(f, "mask_all", m->mask_all);
    facts_number(f, "vector_count", m->vectors);
    facts_list(f, "vectors");
    for (unsigned i = 0; i < m->vectors; i++)
        describe_vector(m, f, i);
    facts_end(f);
    unlock(m);
    facts_end(f);
}

static uint64_t bar_bytes(const struct msix *m)
{
    uint64_t bytes = BAR_MIN;
    while (bytes / 2 < table_bytes(m))
        bytes *= 2;
    return bytes;
}

static void add_to_function(struct msix *m, unsigned bar)
{
    uint64_t bytes = bar_bytes(m);
    m->pba_offset = bytes / 2;
    pci_func_add_bar(m->func, bar,
                     &(struct pci_bar_config){.space = BUS_MMIO,
                                              .bytes = bytes,
                                              .name = "msix",
                                              .widths = BUS_W4 | BUS_W8,
                                              .ops = &bar_ops,
                                              .dev = m});
    m->cap = pci_func_add_cap(m->func, CAP_ID_MSIX, CAP_BYTES);
    pci_func_put(m->func, m->cap + CAP_CONTROL, 2, m->vectors - 1);
    pci_func_allow(m->func, m->cap + CAP_CONTROL, 2, CONTROL_ENABLE | CONTROL_MASK_ALL);
    pci_func_put(m->func, m->cap + CAP_TABLE, 4, bar);
    pci_func_put(m->func, m->cap + CAP_PBA, 4, (uint32_t)m->pba_offset | bar);
    pci_func_watch_master(m->func, &(struct pci_master_watch){.changed = master_changed, .ctx = m});
}

int msix_create(struct msix **out, const struct msix_config *config)
{
    const char *name = config->func->cfg.name;
    BUG_ON(config->vectors == 0 || config->vectors > MSIX_VECTORS_MAX);
    struct msix *m = calloc(1, sizeof(*m));
    if (!m)
        return fail(-ENOMEM, "%s: MSI-X", name);
    m->func = config->func;
    m->sink = config->sink;
    m->vectors = config->vectors;
    pthread_mutex_init(&m->lock, NULL);
    m->table = calloc(m->vectors, MSIX_ENTRY_BYTES);
    m->pending = calloc(1, pba_bytes(m));
    m->routes = calloc(m->vectors, sizeof(m->routes[0]));
    m->sources = calloc(config->sources + 1, sizeof(m->sources[0]));
    if (!m->table || !m->pending || !m->routes || !m->sources) {
        free(m->routes);
        m->routes = NULL;
        msix_destroy(m);
        return fail(-ENOMEM, "%s: MSI-X", name);
    }
    for (unsigned i = 0; i < m->vectors; i++) {
        m->routes[i].fd = -1;
        m->table[(size_t)i * MSIX_ENTRY_BYTES + ENTRY_CONTROL] = ENTRY_MASKED;
    }
    for (; m->source_count < config->sources; m->source_count++)
        m->sources[m->source_count].route = (struct route){.fd = -1, .handle = -1};
    add_to_function(m, config->bar);
    *out = m;
    return 0;
}

void msix_destroy(struct msix *m)
{
    if (!m)
        return;
    if (m->routes)
        drop_all(m);
    pthread_mutex_destroy(&m->lock);
    free(m->sources);
    free(m->routes);
    free(m->pending);
    free(m->table);
    free(m);
}
