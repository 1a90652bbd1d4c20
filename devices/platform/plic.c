// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/plic.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/bus.h"

enum {
    PLIC_PENDING = 0x1000, /* below: a source's priority, 4 bytes each */
    PLIC_ENABLES = 0x2000,
    PLIC_ENABLES_BYTES = 0x80, /* of a context */
    PLIC_CONTEXTS = 0x200000,
    PLIC_CONTEXT_BYTES = 0x1000,
    PLIC_THRESHOLD = 0, /* in a context's */
    PLIC_CLAIM = 4,     /* written: complete */
};

#define PRIORITY_MAX 7u

struct context {
    uint64_t enabled; /* a bit for each source, as in all masks here */
    uint32_t threshold;
    bool is_raised;
};

struct plic {
    struct plic_config config;
    struct bus_region region;
    pthread_mutex_t lock; /* of all that follows */
    uint64_t high, pending, claimed;
    uint8_t priorities[PLIC_SOURCES];
    struct context contexts[PLIC_CONTEXTS_MAX];
};

static uint64_t bit(unsigned source)
{
    return UINT64_C(1) << source;
}

/* What the context would get if it claimed now; 0: nothing. */
static unsigned best(const struct plic *p, const struct context *c)
{
    unsigned found = 0;
    uint32_t above = c->threshold;
    for (uint64_t left = p->pending & ~p->claimed & c->enabled; left != 0; left &= left - 1) {
        unsigned source = (unsigned)__builtin_ctzll(left);
        if (p->priorities[source] > above) {
            above = p->priorities[source];
            found = source;
        }
    }
    return found;
}

static void update(struct plic *p)
{
    for (unsigned i = 0; i < p->config.contexts; i++) {
        struct context *c = &p->contexts[i];
        bool is_raised = best(p, c) != 0;
        if (is_raised != c->is_raised)
            p->config.set(p->config.ctx, i, is_raised);
        c->is_raised = is_raised;
    }
}

void plic_set_source(void *plic, unsigned source, bool level)
{
    struct plic *p = plic;
    BUG_ON(source == 0 || source >= PLIC_SOURCES);
    pthread_mutex_lock(&p->lock);
    if (level && !(p->high & bit(source)))
        p->pending |= bit(source);
    p->high = level ? p->high | bit(source) : p->high & ~bit(source);
    update(p);
    pthread_mutex_unlock(&p->lock);
}

static uint32_t claim(struct plic *p, const struct context *c)
{
    unsigned source = best(p, c);
    if (source != 0) {
        p->pending &= ~bit(source);
        p->claimed |= bit(source);
    }
    return source;
}

static void complete(struct plic *p, const struct context *c, uint32_t source)
{
    if (source >= PLIC_SOURCES || !(c->enabled & bit(source)))
        return;
    p->claimed &= ~bit(source);
    p->pending |= p->high & bit(source);
}

/* NULL: there is no such context. Leaves what is accessed of it. */
static struct context *context_at(struct plic *p, uint64_t *offset, uint64_t base, uint64_t bytes)
{
    uint64_t i = (*offset - base) / bytes;
    *offset = (*offset - base) % bytes;
    return i < p->config.contexts ? &p->contexts[i] : NULL;
}

/* A word of a mask; beyond it there are zeros. */
static uint32_t word_of(uint64_t mask, uint64_t offset)
{
    return offset < sizeof(mask) ? (uint32_t)(mask >> 8 * offset) : 0;
}

static uint32_t read_register(struct plic *p, uint64_t offset)
{
    const struct context *c;
    if (offset < PLIC_PENDING)
        return offset / 4 < PLIC_SOURCES ? p->priorities[offset / 4] : 0;
    if (offset < PLIC_ENABLES)
        return word_of(p->pending, offset - PLIC_PENDING);
    if (offset < PLIC_CONTEXTS) {
        c = context_at(p, &offset, PLIC_ENABLES, PLIC_ENABLES_BYTES);
        return c != NULL ? word_of(c->enabled, offset) : 0;
    }
    c = context_at(p, &offset, PLIC_CONTEXTS, PLIC_CONTEXT_BYTES);
    if (c != NULL && offset == PLIC_THRESHOLD)
        return c->threshold;
    return c != NULL && offset == PLIC_CLAIM ? claim(p, c) : 0;
}

static void write_register(struct plic *p, uint64_t offset, uint32_t value)
{
    struct context *c;
    if (offset < PLIC_PENDING) {
        if (offset / 4 < PLIC_SOURCES)
            p->priorities[offset / 4] = value & PRIORITY_MAX;
    } else if (offset >= PLIC_ENABLES && offset < PLIC_CONTEXTS) {
        c = context_at(p, &offset, PLIC_ENABLES, PLIC_ENABLES_BYTES);
        if (c != NULL && offset < sizeof(c->enabled)) {
            uint64_t mask = (uint64_t)UINT32_MAX << 8 * offset;
            c->enabled = (c->enabled & ~mask) | (uint64_t)value << 8 * offset;
            c->enabled &= ~bit(0); /* is no source */
        }
    } else if (offset >= PLIC_CONTEXTS) {
        c = context_at(p, &offset, PLIC_CONTEXTS, PLIC_CONTEXT_BYTES);
        if (c != NULL && offset == PLIC_THRESHOLD)
            c->threshold = value & PRIORITY_MAX;
        else if (c != NULL && offset == PLIC_CLAIM)
            complete(p, c, value);
    }
}

static uint64_t plic_read(void *dev, uint64_t offset, unsigned width)
{
    struct plic *p = dev;
    (void)width;
    pthread_mutex_lock(&p->lock);
    uint32_t value = read_register(p, offset & ~UINT64_C(3));
    update(p);
    pthread_mutex_unlock(&p->lock);
    return value;
}

static void plic_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct plic *p = dev;
    (void)width;
    pthread_mutex_lock(&p->lock);
    write_register(p, offset & ~UINT64_C(3), (uint32_t)value);
    update(p);
    pthread_mutex_unlock(&p->lock);
}

int plic_create(struct plic **out, const struct plic_config *config)
{
    static const struct bus_ops ops = {.read = plic_read, .write = plic_write};
    BUG_ON(config->contexts > PLIC_CONTEXTS_MAX);
    struct plic *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return fail(-ENOMEM, "plic");
    p->config = *config;
    p->region = (struct bus_region){.name = "plic",
                                    .base = config->base,
                                    .size = PLIC_BYTES,
                                    .widths = BUS_W4,
                                    .ops = &ops,
                                    .dev = p};
    int err = bus_add(config->bus, &p->region);
    if (err < 0) {
        free(p);
        return fail(err, "plic: at 0x%llx", (unsigned long long)config->base);
    }
    pthread_mutex_init(&p->lock, NULL);
    *out = p;
    return 0;
}

void plic_destroy(struct plic *p)
{
    if (p == NULL)
        return;
    bus_remove(p->config.bus, &p->region);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
