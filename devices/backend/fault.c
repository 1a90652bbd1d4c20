// SPDX-License-Identifier: BSD-2-Clause
#include "devices/backend/fault.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

#define TIME_MAX_NS (UINT64_C(60) * 1000000000)

/* A piece of the words, not terminated. */
struct piece {
    const char *at;
    size_t len;
};

static bool piece_is(struct piece p, const char *word)
{
    return p.len == strlen(word) && memcmp(p.at, word, p.len) == 0;
}

/* Digits at the front, which are taken off. */
static bool take_number(struct piece *p, uint64_t *out)
{
    size_t n = 0;
    *out = 0;
    for (; n < p->len && isdigit((unsigned char)p->at[n]); n++)
        if (!checked_mul_u64(*out, 10, out) ||
            !checked_add_u64(*out, (uint64_t)(p->at[n] - '0'), out))
            return false;
    p->at += n;
    p->len -= n;
    return n > 0;
}

/* "0.5%", to four places, so that it is a whole number of millionths. */
static bool parse_chance(struct piece p, uint64_t whole, uint32_t *ppm)
{
    uint64_t millionths = 0, unit = 1000;
    if (whole > 100)
        return false;
    if (p.len > 0 && *p.at == '.') {
        p.at++, p.len--;
        if (p.len == 0 || !isdigit((unsigned char)*p.at))
            return false;
        for (; p.len > 0 && isdigit((unsigned char)*p.at) && unit > 0; p.at++, p.len--, unit /= 10)
            millionths += (uint64_t)(*p.at - '0') * unit;
    }
    millionths += whole * (FAULT_ALWAYS_PPM / 100);
    *ppm = (uint32_t)millionths;
    return piece_is(p, "%") && millionths > 0 && millionths <= FAULT_ALWAYS_PPM;
}

static bool parse_when(struct piece p, struct fault_when *out)
{
    uint64_t n;
    *out = (struct fault_when){0};
    if (!take_number(&p, &n))
        return false;
    if (p.len > 0)
        return parse_chance(p, n, &out->chance_ppm);
    out->every = (uint32_t)n;
    return n > 0 && n <= UINT32_MAX;
}

static bool parse_time(struct piece p, uint64_t *out_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
    uint64_t n;
    if (!take_number(&p, &n))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (piece_is(p, units[i].name))
            return checked_mul_u64(n, units[i].ns, out_ns) && *out_ns <= TIME_MAX_NS;
    return false;
}

static bool parse_count(struct piece p, uint64_t *out)
{
    return take_number(&p, out) && p.len == 0;
}

/* NULL if the value is well, else what it has to look like. */
static const char *parse_value(const struct fault_word *word, struct piece value)
{
    switch (word->kind) {
    case FAULT_WHEN:
        return parse_when(value, word->out) ? NULL
                                            : "a chance (0.5%) or a number (10: every tenth)";
    case FAULT_TIME:
        return parse_time(value, word->out) ? NULL : "a time up to 60s (500us, 5ms, 1s)";
    case FAULT_COUNT:
        break;
    }
    return parse_count(value, word->out) ? NULL : "a number";
}

static const struct fault_word *find(const struct fault_word *words, struct piece name)
{
    while (words->name && !piece_is(name, words->name))
        words++;
    return words->name ? words : NULL;
}

static int unknown(const struct fault_word *words, const char *what, struct piece name)
{
    char choices[128] = "";
    for (size_t used = 0; words->name && used < sizeof(choices); words++)
        used += (size_t)snprintf(choices + used, sizeof(choices) - used, "%s%s",
                                 used > 0 ? ", " : "", words->name);
    return fail_msg(-EINVAL, "%s: fault '%.*s' is not known; there are %s", what, (int)name.len,
                    name.at, choices);
}

static int parse_word(const struct fault_word *words, const char *what, struct piece p)
{
    const char *colon = memchr(p.at, ':', p.len);
    struct piece name = {p.at, colon ? (size_t)(colon - p.at) : p.len};
    struct piece value = {p.at + name.len, p.len - name.len};
    if (colon)
        value.at++, value.len--;
    const struct fault_word *word = find(words, name);
    if (!word)
        return unknown(words, what, name);
    const char *wrong = parse_value(word, value);
    if (!wrong)
        return 0;
    return fail_msg(-EINVAL, "%s: fault %s: needs %s, not '%.*s'", what, word->name, wrong,
                    (int)value.len, value.at);
}

int fault_parse(const struct fault_word *words, const char *what, const char *text)
{
    for (;;) {
        size_t len = strcspn(text, ",");
        int err = parse_word(words, what, (struct piece){text, len});
        if (err < 0 || text[len] == '\0')
            return err;
        text += len + 1;
    }
}

/* ---- dice ---- */

/* xorshift needs a state that is not 0; neighbouring seeds begin far apart. */
uint64_t fault_random_init(uint64_t seed)
{
    uint64_t state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
    return state != 0 ? state : 1;
}

/* xorshift64: what matters is that it repeats. */
uint64_t fault_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 16;
}

bool fault_happens(struct fault_cause *cause, uint64_t *random)
{
    bool hit = false;
    cause->seen++;
    if (cause->when.chance_ppm > 0)
        hit = fault_random(random) % FAULT_ALWAYS_PPM < cause->when.chance_ppm;
    if (cause->when.every > 0)
        hit = cause->seen % cause->when.every == 0;
    return hit;
}
