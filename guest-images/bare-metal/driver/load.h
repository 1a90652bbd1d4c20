// SPDX-License-Identifier: BSD-2-Clause
/* What guests have in common that make a load for tools/bench: orders, a clock, results. */
#ifndef MINIVET_BARE_METAL_LOAD_H
#define MINIVET_BARE_METAL_LOAD_H

#include <stdint.h>

#define LOAD_FOREVER UINT64_MAX

/* ---- orders: WORD=NUMBER on the kernel's command line ---- */
struct load_order {
    const char *word;
    uint64_t *value;
};

/* Other words are the VMM's own. */
void load_take_orders(const struct load_order *orders, unsigned count);

/* ---- ticks of the clock (rt_ticks()) ---- */
void load_sleep(uint64_t ticks);

/* ---- numbers below `bound`; `state` begins as any but 0 ---- */
uint64_t load_random(uint64_t *state, uint64_t bound);

/* ---- latencies, in steps of three percent ---- */
#define LOAD_SUB_BITS 5 /* 32 steps for each power of two */
#define LOAD_STEPS    (64u << LOAD_SUB_BITS)

struct load_latencies { /* zeroed at first, but for `min`: UINT64_MAX */
    uint64_t count, min, max;
    uint32_t counts[LOAD_STEPS];
};

void load_note(struct load_latencies *l, uint64_t ticks);

/* ---- results, on the serial port ---- */
void load_say(const char *word, uint64_t value);
void load_say_latencies(const struct load_latencies *l);

#endif
