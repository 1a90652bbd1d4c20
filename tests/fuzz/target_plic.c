// SPDX-License-Identifier: BSD-2-Clause
/*
 * A PLIC with three contexts, beside a model of it that looks at each source by itself.
 *
 * The input is a list of steps: what is done (a byte, modulo 8), a context (1), and a value (4).
 *
 *     0, 1   a source gets a level: its number (bits 0 to 5 of the value), the level (bit 6)
 *     2      a register of the context, or any other, is written: the offset (bits 0 to 23), its
 * bits 3      a source's priority: its number, the priority (bits 8 to 15) 4      a word of the
 * context's enables: which (bit 31), its bits 5      the context's threshold 6      the context
 * claims 7      it completes
 */
#include "devices/platform/plic.h"

#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/bus.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"

#define CONTEXTS  3u
#define STEPS_MAX 1000u
#define BUS_BYTES (2 * PLIC_BYTES)

struct source {
    unsigned priority;
    bool is_high, is_pending, is_claimed;
    bool enabled[CONTEXTS];
};

static struct bench {
    struct bus *mmio;
    struct plic *plic;
    bool raised[CONTEXTS];
    struct source sources[PLIC_SOURCES];
    unsigned thresholds[CONTEXTS];
} bench;

static void on_set(void *ctx, unsigned context, bool level)
{
    struct bench *b = ctx;
    fuzz_check(context < CONTEXTS && b->raised[context] != level, "context %u is told again",
               context);
    b->raised[context] = level;
}

/* ---- the model ---- */

static unsigned best(const struct bench *b, unsigned context)
{
    unsigned found = 0;
    for (unsigned i = 1; i < PLIC_SOURCES; i++) {
        const struct source *s = &b->sources[i];
        if (s->is_pending && !s->is_claimed && s->enabled[context] &&
            s->priority > b->thresholds[context] &&
            (found == 0 || s->priority > b->sources[found].priority))
            found = i;
    }
    return found;
}

static void set_level(struct bench *b, unsigned source, bool level)
{
    struct source *s = &b->sources[source];
    s->is_pending = s->is_pending || (level && !s->is_high);
    s->is_high = level;
}

static void complete(struct bench *b, unsigned context, uint32_t source)
{
    if (source == 0 || source >= PLIC_SOURCES || !b->sources[source].enabled[context])
        return;
    b->sources[source].is_claimed = false;
    b->sources[source].is_pending = b->sources[source].is_pending || b->sources[source].is_high;
}

/* ---- steps ---- */

static void store(struct bench *b, uint64_t offset, uint32_t value)
{
    bus_write(b->mmio, offset, 4, value);
}

static uint32_t load(struct bench *b, uint64_t offset)
{
    uint64_t value = 0;
    bus_read(b->mmio, offset, 4, &value);
    return (uint32_t)value;
}

static void claim(struct bench *b, unsigned context)
{
    unsigned wanted = best(b, context);
    uint32_t source = load(b, 0x200004 + 0x1000u * context);
    fuzz_check(source == wanted, "context %u claims %u and not %u", context, source, wanted);
    b->sources[wanted].is_claimed = wanted != 0;
    b->sources[wanted].is_pending = false;
}

/* Where there is none of the registers below: nothing happens. */
static void store_anywhere(struct bench *b, uint32_t value)
{
    uint64_t offset = value & 0xfffffc;
    bool is_source = offset < 4 * PLIC_SOURCES;
    bool is_enables = offset >= 0x2000 && offset < 0x2000 + 0x80 * CONTEXTS;
    bool is_context = offset >= 0x200000 && offset < 0x200000 + 0x1000 * CONTEXTS;
    if (!is_source && !is_enables && !is_context)
        store(b, offset, value);
    else if (!is_context)
        (void)load(b, offset);
}

static void do_step(struct bench *b, unsigned op, unsigned context, uint32_t value)
{
    unsigned source = value & 63, word = value >> 31;
    switch (op) {
    case 0:
    case 1:
        if (source != 0) {
            set_level(b, source, value & 64);
            plic_set_source(b->plic, source, value & 64);
        }
        break;
    case 2:
        store_anywhere(b, value);
        break;
    case 3:
        b->sources[source].priority = value >> 8 & 7;
        store(b, 4 * source, value >> 8);
        break;
    case 4:
        for (unsigned i = word == 0; i < 32; i++)
            b->sources[32 * word + i].enabled[context] = value >> i & 1;
        store(b, 0x2000 + 0x80u * context + 4 * word, value);
        break;
    case 5:
        b->thresholds[context] = value & 7;
        store(b, 0x200000 + 0x1000u * context, value);
        break;
    case 6:
        claim(b, context);
        break;
    default:
        complete(b, context, value >> 8 & 1 ? value : source);
        store(b, 0x200004 + 0x1000u * context, value >> 8 & 1 ? value : source);
        break;
    }
    for (unsigned i = 0; i < CONTEXTS; i++)
        fuzz_check(b->raised[i] == (best(b, i) != 0), "context %u is %sraised", i,
                   b->raised[i] ? "" : "not ");
}

static void run(struct fuzz_input *in)
{
    struct bench *b = &bench;
    struct bus *mmio = b->mmio;
    if (mmio == NULL)
        BUG_ON(bus_create(&mmio, "mmio", BUS_BYTES) != 0);
    *b = (struct bench){.mmio = mmio};
    BUG_ON(plic_create(&b->plic,
                       &(struct plic_config){
                           .bus = b->mmio, .contexts = CONTEXTS, .set = on_set, .ctx = b}) != 0);
    for (unsigned i = 0; in->left > 0 && i < STEPS_MAX; i++) {
        unsigned op = (unsigned)fuzz_take(in, 1) % 8;
        unsigned context = (unsigned)fuzz_take(in, 1) % CONTEXTS;
        do_step(b, op, context, (uint32_t)fuzz_take(in, 4));
    }
    plic_destroy(b->plic);
}

const struct fuzz_target fuzz_target_plic = {.name = "plic", .run = fuzz_run_bytes, .bytes = run};
