// SPDX-License-Identifier: BSD-2-Clause
#include "devices/backend/fault.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/schema.h"
#include "core/base/xmath.h"

#define TIME_MAX_NS (UINT64_C(60) * 1000000000)

/* "0.5%", to four places, so that it is a whole number of millionths. */
static bool parse_chance(const char *text, uint32_t *ppm)
{
    char *at;
    uint64_t whole = strtoul(text, &at, 10), millionths = 0, unit = 1000;
    if (*at == '.' && isdigit((unsigned char)at[1]))
        for (at++; isdigit((unsigned char)*at) && unit > 0; at++, unit /= 10)
            millionths += (uint64_t)(*at - '0') * unit;
    millionths += min_u64(whole, 1000) * (FAULT_ALWAYS_PPM / 100);
    *ppm = (uint32_t)millionths;
    return strcmp(at, "%") == 0 && millionths > 0 && millionths <= FAULT_ALWAYS_PPM;
}

static bool parse_count(const char *text, uint64_t *out)
{
    static const struct schema_unit one = {"", 1};
    return schema_parse_unit(text, &one, 1, out) == 0;
}

static bool parse_when(const char *text, struct fault_when *out)
{
    uint64_t n;
    *out = (struct fault_when){0};
    if (!parse_count(text, &n))
        return isdigit((unsigned char)text[0]) && parse_chance(text, &out->chance_ppm);
    out->every = (uint32_t)n;
    return n > 0 && n <= UINT32_MAX;
}

static bool parse_time(const char *text, uint64_t *out_ns)
{
    static const struct schema_unit units[] = {
        {"ns", 1}, {"us", 1000}, {"ms", 1000000}, {"s", 1000000000}};
    return schema_parse_unit(text, units, ARRAY_SIZE(units), out_ns) == 0 && *out_ns <= TIME_MAX_NS;
}

/* NULL if the value is well, else what it has to look like. */
static const char *parse_value(const struct fault_word *word, const char *value)
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

static int unknown(const struct fault_word *words, const char *what, const char *name)
{
    char choices[128] = "";
    for (size_t used = 0; words->name && used < sizeof(choices); words++)
        used += (size_t)snprintf(choices + used, sizeof(choices) - used, "%s%s",
                                 used > 0 ? ", " : "", words->name);
    return fail_msg(-EINVAL, "%s: fault '%s' is not known; there are %s", what, name, choices);
}

/* "NAME:VALUE", which is cut there. */
static int parse_word(const struct fault_word *words, const char *what, char *name)
{
    char *value = strchrnul(name, ':');
    if (*value != '\0')
        *value++ = '\0';
    const struct fault_word *word = words;
    while (word->name != NULL && strcmp(word->name, name) != 0)
        word++;
    if (word->name == NULL)
        return unknown(words, what, name);
    const char *wrong = parse_value(word, value);
    if (wrong == NULL)
        return 0;
    return fail_msg(-EINVAL, "%s: fault %s: needs %s, not '%s'", what, name, wrong, value);
}

int fault_parse(const struct fault_word *words, const char *what, const char *text)
{
    int err = 0;
    for (bool more = true; err == 0 && more; text++) {
        size_t len = strcspn(text, ",");
        char *word = strndup(text, len);
        err = word != NULL ? parse_word(words, what, word) : fail(-ENOMEM, "%s", what);
        free(word);
        text += len;
        more = *text != '\0';
    }
    return err;
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
