// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/schema.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xmath.h"

#define NS_PER_S UINT64_C(1000000000)

int schema_parse_unit(const char *text, const struct schema_unit *units, unsigned count,
                      uint64_t *out)
{
    if (!isdigit((unsigned char)text[0]))
        return -EINVAL;
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 10);
    if (errno != 0)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++) {
        if (strcasecmp(end, units[i].name) == 0)
            return checked_mul_u64(number, units[i].factor, out) ? 0 : -EINVAL;
    }
    return -EINVAL;
}

int schema_parse_size(const char *text, uint64_t unit_bytes, uint64_t *bytes)
{
    const struct schema_unit units[] = {
        {"", unit_bytes}, {"B", 1},     {"K", KIB},        {"KiB", KIB},
        {"M", MIB},       {"MiB", MIB}, {"MB", MIB},       {"G", GIB},
        {"GiB", GIB},     {"GB", GIB},  {"T", 1024 * GIB}, {"TiB", 1024 * GIB},
    };
    return schema_parse_unit(text, units, ARRAY_SIZE(units), bytes);
}

int schema_parse_duration(const char *text, uint64_t *ns)
{
    static const struct schema_unit units[] = {
        {"", NS_PER_S},       {"s", NS_PER_S},        {"ms", 1000000},
        {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
    };
    return schema_parse_unit(text, units, ARRAY_SIZE(units), ns);
}

const struct schema_key *schema_find(const struct schema_key *keys, const char *name, size_t len)
{
    while (keys->name != NULL && (strlen(keys->name) != len || strncmp(keys->name, name, len) != 0))
        keys++;
    return keys->name != NULL ? keys : NULL;
}

const char *schema_sign(const struct schema_key *key)
{
    return key->sign != NULL ? key->sign : "=";
}

bool schema_is_optional(const struct schema_key *key)
{
    return key->arg != NULL && key->arg[0] == '[';
}

const char *schema_next_word(const char *at, size_t *len)
{
    at += strspn(at, "[=|]");
    *len = strcspn(at, "|]");
    return *len > 0 ? at : NULL;
}

int schema_word(const char *arg, const char *word, size_t len)
{
    size_t is;
    for (int i = 0; (arg = schema_next_word(arg, &is)) != NULL; i++, arg += is) {
        if (is == len && strncmp(arg, word, len) == 0)
            return i;
    }
    return -1;
}

static int set_text(const struct schema_key *key, void *at, const char *value)
{
    size_t length = strlen(value);
    if (length < key->min || (key->kind == SCHEMA_CHARS && length >= key->bytes))
        return -EINVAL;
    if (key->kind == SCHEMA_CHARS)
        memcpy(at, value, length + 1);
    else
        *(const char **)at = value;
    return 0;
}

static int parse_value(const struct schema_key *key, const char *value, uint64_t *n)
{
    bool is_switch = key->kind == SCHEMA_SWITCH;
    if (is_switch || key->kind == SCHEMA_WORD) {
        int word =
            value != NULL ? schema_word(is_switch ? "off|on" : key->arg, value, strlen(value)) : 0;
        *n = key->min + (unsigned)word;
        return word < 0 ? -EINVAL : 0;
    }
    uint64_t unit = key->scale != 0 ? key->scale : 1;
    int r = key->kind == SCHEMA_TIME ? schema_parse_duration(value, n)
                                     : schema_parse_size(value, unit, n);
    bool fits = r == 0 && *n >= key->min && (key->max == 0 || *n <= key->max) && *n % unit == 0;
    return fits ? 0 : -EINVAL;
}

int schema_set(const struct schema_key *key, void *into, const char *value)
{
    void *at = (char *)into + key->offset;
    uint64_t n;
    if (key->set != NULL)
        return key->set(into, value);
    if (key->kind <= SCHEMA_CHARS)
        return set_text(key, at, value);
    if (parse_value(key, value, &n) < 0)
        return -EINVAL;
    if (key->bytes == sizeof(uint64_t))
        *(uint64_t *)at = n;
    else if (key->bytes == sizeof(uint32_t))
        *(uint32_t *)at = (uint32_t)n;
    else if (key->bytes == sizeof(bool))
        *(bool *)at = n != 0;
    return 0;
}

void schema_expected(const struct schema_key *key, char *out, size_t size)
{
    const char *at = key->kind == SCHEMA_SWITCH ? "on|off" : key->arg;
    size_t used = 0, len, next_len;
    if (key->names != NULL) {
        snprintf(out, size, "+ or - and one of: %s", key->names);
        return;
    }
    if (key->kind == SCHEMA_NUMBER && key->set == NULL) {
        snprintf(out, size, "%s from %" PRIu64 " to %" PRIu64,
                 key->expected != NULL ? key->expected : "a number", key->min, key->max);
        return;
    }
    if (key->expected != NULL || (key->kind != SCHEMA_SWITCH && key->kind != SCHEMA_WORD)) {
        snprintf(out, size, "%s", key->expected != NULL ? key->expected : "a text");
        return;
    }
    for (at = schema_next_word(at, &len); at != NULL && used < size;) {
        const char *next = schema_next_word(at + len, &next_len);
        bool is_last = next == NULL || schema_next_word(next + next_len, &(size_t){0}) == NULL;
        used += (size_t)snprintf(out + used, size - used, "%.*s%s", (int)len, at,
                                 next == NULL ? ""
                                 : is_last    ? " or "
                                              : ", ");
        at = next;
        len = next_len;
    }
}
