// SPDX-License-Identifier: BSD-2-Clause
#include "driver/load.h"

#include "rt.h"

/* ---- orders ---- */

static bool number_of(const char *text, const char *key, uint64_t *value)
{
    while (*key != '\0' && *text == *key)
        text++, key++;
    if (*key != '\0' || *text++ != '=')
        return false;
    unsigned base = text[0] == '0' && text[1] == 'x' ? 16 : 10;
    text += base == 16 ? 2 : 0;
    for (*value = 0; *text != '\0' && *text != ' '; text++) {
        unsigned digit =
            *text <= '9' ? (unsigned)(*text - '0') : (unsigned)((*text | 32) - 'a') + 10;
        CHECK(digit < base);
        *value = *value * base + digit;
    }
    return true;
}

void load_take_orders(const struct load_order *orders, unsigned count)
{
    const char *line = rt_cmdline();
    while (*line != '\0') {
        while (*line == ' ')
            line++;
        unsigned i = 0;
        while (i < count && !number_of(line, orders[i].word, orders[i].value))
            i++;
        while (*line != '\0' && *line != ' ')
            line++;
    }
}

void load_sleep(uint64_t ticks)
{
    uint64_t until = rt_ticks() + ticks;
    while (rt_ticks() < until)
        pause();
}

uint64_t load_random(uint64_t *state, uint64_t bound)
{
    *state ^= *state << 13; /* Marsaglia's xorshift */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint64_t)((unsigned __int128)*state * bound >> 64);
}

/* ---- latencies ---- */

static unsigned step_of(uint64_t ticks)
{
    if (ticks < 1u << LOAD_SUB_BITS)
        return (unsigned)ticks;
    unsigned shift = 63 - LOAD_SUB_BITS - (unsigned)__builtin_clzll(ticks);
    return ((shift + 1) << LOAD_SUB_BITS) +
           (unsigned)(ticks >> shift & ((1u << LOAD_SUB_BITS) - 1));
}

/* The middle of what falls on a step. */
static uint64_t ticks_of(unsigned step)
{
    if (step < 2u << LOAD_SUB_BITS)
        return step;
    unsigned shift = (step >> LOAD_SUB_BITS) - 1;
    uint64_t first = (uint64_t)((1u << LOAD_SUB_BITS) + (step & ((1u << LOAD_SUB_BITS) - 1)))
                     << shift;
    return first + (UINT64_C(1) << shift) / 2;
}

void load_note(struct load_latencies *l, uint64_t ticks)
{
    l->count++;
    l->min = ticks < l->min ? ticks : l->min;
    l->max = ticks > l->max ? ticks : l->max;
    l->counts[step_of(ticks)]++;
}

static uint64_t percentile(const struct load_latencies *l, unsigned percent)
{
    uint64_t below = 0, wanted = (l->count * percent + 99) / 100;
    for (unsigned i = 0; i < LOAD_STEPS; i++) {
        below += l->counts[i];
        if (below >= wanted)
            return ticks_of(i);
    }
    return l->max;
}

/* ---- results ---- */

void load_say(const char *word, uint64_t value)
{
    char digits[21];
    char *p = digits + sizeof(digits) - 1;
    *p = '\0';
    do
        *--p = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    rt_puts(" ");
    rt_puts(word);
    rt_puts("=");
    rt_puts(p);
}

void load_say_latencies(const struct load_latencies *l)
{
    load_say("min", l->min);
    load_say("p50", percentile(l, 50));
    load_say("p99", percentile(l, 99));
    load_say("max", l->max);
}
