// SPDX-License-Identifier: BSD-2-Clause
/* Scripts as text. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/xmath.h"
#include "tests/fuzz/script.h"
#include "tests/harness/rig.h"

#define TITLE      "minivet-fuzz 1"
#define LINE_BYTES (2 * FUZZ_BYTES_MAX + 256)

static const char *const option_names[] = {"indirect", "read-only", "plain", "strict",
                                           "many",     "4k",        "late"};

static const struct rig_config *variant_config(unsigned variant)
{
    return variant < RIG_VARIANTS ? &rig_variants[variant]
                                  : &rig_legacy_variants[variant - RIG_VARIANTS];
}

/* ---- out ---- */

void fuzz_step_show(const struct fuzz_step *step, FILE *out)
{
    unsigned arg = 0;
    fputs(fuzz_ops[step->op].name, out);
    for (const char *kind = fuzz_ops[step->op].operands; *kind != '\0'; kind++) {
        if (*kind != 's') {
            uint64_t value = step->arg[arg++];
            fprintf(out, value < 10 ? " %llu" : " 0x%llx", (unsigned long long)value);
            continue;
        }
        fputs(step->len > 0 ? " " : " -", out);
        for (uint32_t i = 0; i < step->len; i++)
            fprintf(out, "%02x", step->bytes[i]);
    }
    fputc('\n', out);
}

void fuzz_script_show(const struct fuzz_script *s, FILE *out)
{
    fprintf(out, TITLE "\ndevice %s\non %s\n", fuzz_device_names[s->head.device],
            rig_config_name(variant_config(s->head.variant)));
    for (unsigned i = 0; i < ARRAY_SIZE(option_names); i++)
        if (s->head.options & (1u << i))
            fprintf(out, "option %s\n", option_names[i]);
    for (unsigned i = 0; i < s->count; i++)
        fuzz_step_show(&s->steps[i], out);
}

/* ---- in ---- */

struct reader {
    const char *name;
    unsigned line;
    FILE *errors;
};

static bool __attribute__((format(printf, 2, 3))) wrong(struct reader *r, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(r->errors, "%s:%u: ", r->name, r->line);
    vfprintf(r->errors, fmt, args);
    fputc('\n', r->errors);
    va_end(args);
    return false;
}

static bool read_head(struct reader *r, const char *key, const char *value, struct fuzz_head *head)
{
    if (strcmp(key, "device") == 0) {
        for (unsigned i = 0; i < FUZZ_DEVICES; i++)
            if (strcmp(value, fuzz_device_names[i]) == 0) {
                head->device = (uint8_t)i;
                return true;
            }
        return wrong(r, "no device is called %s", value);
    }
    if (strcmp(key, "on") == 0) {
        for (unsigned i = 0; i < RIG_VARIANTS + RIG_LEGACY_VARIANTS; i++)
            if (strcmp(value, rig_config_name(variant_config(i))) == 0) {
                head->variant = (uint8_t)i;
                return true;
            }
        return wrong(r, "no transport and ring are called %s", value);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(option_names); i++)
        if (strcmp(value, option_names[i]) == 0) {
            head->options |= (uint8_t)(1u << i);
            return true;
        }
    return wrong(r, "no option is called %s", value);
}

static bool read_bytes(struct reader *r, const char *word, uint8_t *out, struct fuzz_step *step)
{
    size_t digits = strcmp(word, "-") == 0 ? 0 : strlen(word);
    if (digits % 2 != 0 || digits / 2 > FUZZ_BYTES_MAX)
        return wrong(r, "bytes are pairs of digits, %u at most: %s", FUZZ_BYTES_MAX, word);
    for (size_t i = 0; i < digits / 2; i++) {
        const char pair[] = {word[2 * i], word[2 * i + 1], '\0'};
        char *end;
        out[i] = (uint8_t)strtoul(pair, &end, 16);
        if (end != pair + 2)
            return wrong(r, "no hexadecimal digits: %s", pair);
    }
    step->bytes = out;
    step->len = (uint32_t)(digits / 2);
    return true;
}

static bool read_number(struct reader *r, const char *word, char kind, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(word, &end, 0);
    if (end == word || *end != '\0' || errno != 0)
        return wrong(r, "no number: %s", word);
    unsigned bits = kind == 'b' ? 8 : kind == 'h' ? 16 : kind == 'w' ? 32 : 64;
    if (bits < 64 && *value >> bits != 0)
        return wrong(r, "more than %u bits: %s", bits, word);
    return true;
}

static bool read_step(struct reader *r, char *name, uint8_t *bytes, struct fuzz_step *step)
{
    unsigned arg = 0;
    *step = (struct fuzz_step){.op = FUZZ_OPS};
    for (unsigned i = 0; i < FUZZ_OPS; i++)
        if (strcmp(name, fuzz_ops[i].name) == 0)
            step->op = (uint8_t)i;
    if (step->op == FUZZ_OPS)
        return wrong(r, "no step is called %s", name);
    for (const char *kind = fuzz_ops[step->op].operands; *kind != '\0'; kind++) {
        const char *word = strtok(NULL, " \t");
        if (word == NULL)
            return wrong(r, "%s takes %zu operands", name, strlen(fuzz_ops[step->op].operands));
        if (*kind == 's' ? !read_bytes(r, word, bytes, step)
                         : !read_number(r, word, *kind, &step->arg[arg++]))
            return false;
    }
    if (strtok(NULL, " \t") != NULL)
        return wrong(r, "%s takes %zu operands", name, strlen(fuzz_ops[step->op].operands));
    return true;
}

/* Without its comment, and without blanks at its end. */
static void trim(char *line)
{
    size_t len = strcspn(line, "#");
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    line[len] = '\0';
}

static bool is_head(const char *word)
{
    return strcmp(word, "device") == 0 || strcmp(word, "on") == 0 || strcmp(word, "option") == 0;
}

size_t fuzz_script_assemble(FILE *in, const char *name, uint8_t *out, size_t max, FILE *errors)
{
    static char line[LINE_BYTES];
    static uint8_t bytes[FUZZ_FILE_MAX];
    static struct fuzz_script s;
    struct reader r = {.name = name, .errors = errors};
    size_t used = 0;
    s.head = (struct fuzz_head){0};
    s.count = 0;
    while (fgets(line, sizeof(line), in) != NULL) {
        if (r.line++ == 0) {
            if (strncmp(line, TITLE, strlen(TITLE)) != 0)
                return wrong(&r, "the first line of a script is: " TITLE);
            continue;
        }
        trim(line);
        char *word = strtok(line, " \t");
        if (word == NULL)
            continue;
        if (is_head(word)) {
            char *value = strtok(NULL, "");
            if (value == NULL)
                return wrong(&r, "%s: which?", word);
            if (!read_head(&r, word, value, &s.head))
                return 0;
            continue;
        }
        if (s.count == FUZZ_STEPS_MAX || used + FUZZ_BYTES_MAX > sizeof(bytes))
            return wrong(&r, "a script has %u steps and %zu bytes at most", FUZZ_STEPS_MAX,
                         sizeof(bytes));
        if (!read_step(&r, word, bytes + used, &s.steps[s.count]))
            return 0;
        used += s.steps[s.count++].len;
    }
    return fuzz_script_encode(&s, out, max);
}
