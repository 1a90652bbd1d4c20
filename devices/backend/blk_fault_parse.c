// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/fail.h"
#include "core/xmath.h"
#include "devices/backend/blk_fault.h"

#define CHOICES        "eio, enospc, short, lat, at, seed"
#define LATENCY_MAX_NS (UINT64_C(60) * 1000000000)
#define ALWAYS_PPM     1000000u

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
    millionths += whole * (ALWAYS_PPM / 100);
    *ppm = (uint32_t)millionths;
    return piece_is(p, "%") && millionths > 0 && millionths <= ALWAYS_PPM;
}

static bool parse_when(struct piece p, struct blk_fault_when *out)
{
    uint64_t n;
    *out = (struct blk_fault_when){0};
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
            return checked_mul_u64(n, units[i].ns, out_ns) && *out_ns <= LATENCY_MAX_NS;
    return false;
}

static bool parse_count(struct piece p, uint64_t *out)
{
    return take_number(&p, out) && p.len == 0;
}

/* NULL if the value is well, else what it has to look like. */
static const char *parse_value(struct blk_fault_spec *out, struct piece word, struct piece value,
                               bool *known)
{
    const char *when = "a chance (0.5%) or a number (10: every tenth request)";
    *known = true;
    if (piece_is(word, "eio"))
        return parse_when(value, &out->eio) ? NULL : when;
    if (piece_is(word, "enospc"))
        return parse_when(value, &out->enospc) ? NULL : when;
    if (piece_is(word, "short"))
        return parse_when(value, &out->cut) ? NULL : when;
    if (piece_is(word, "lat"))
        return parse_time(value, &out->latency_ns) ? NULL : "a time up to 60s (500us, 5ms, 1s)";
    if (piece_is(word, "at"))
        return parse_count(value, &out->at) ? NULL : "a number of requests";
    if (piece_is(word, "seed"))
        return parse_count(value, &out->seed) ? NULL : "a number";
    *known = false;
    return NULL;
}

static int parse_word(struct blk_fault_spec *out, const char *what, struct piece p)
{
    const char *colon = memchr(p.at, ':', p.len);
    struct piece word = {p.at, colon ? (size_t)(colon - p.at) : p.len};
    struct piece value = {p.at + word.len, p.len - word.len};
    bool known;
    if (colon)
        value.at++, value.len--;
    const char *wrong = parse_value(out, word, value, &known);
    if (!known)
        return fail_msg(-EINVAL, "%s: fault '%.*s' is not known; there are " CHOICES, what,
                        (int)word.len, word.at);
    if (wrong)
        return fail_msg(-EINVAL, "%s: fault %.*s: needs %s, not '%.*s'", what, (int)word.len,
                        word.at, wrong, (int)value.len, value.at);
    return 0;
}

int blk_fault_parse(struct blk_fault_spec *out, const char *what, const char *words)
{
    *out = (struct blk_fault_spec){0};
    for (;;) {
        size_t len = strcspn(words, ",");
        int err = parse_word(out, what, (struct piece){words, len});
        if (err < 0 || words[len] == '\0')
            return err;
        words += len + 1;
    }
}
