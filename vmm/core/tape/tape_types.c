// SPDX-License-Identifier: BSD-2-Clause
/* What the records mean, for people, and what may be in them: records.def. */
#include <inttypes.h>
#include <limits.h>

#include "core/base/xmath.h"
#include "core/ports/net.h"
#include "core/tape/tape_impl.h"

#define ANY       UINT64_MAX
#define ERRNO_MAX 4095
#define WORD      UINT64_C(0xffff)
#define KEPT_MAX  1024u /* of data and packets */

enum rule {
    OF_THE_TAPE = 1, /* of no source: its number is 0 */
    ACCESS = 2,      /* the field `queue` is a bus and a width */
    ANY_QUEUE = 4,   /* it is compared, or checked with the source: else it is 0 */
    B_OR_ERRNO = 8,  /* b is a negative errno, too */
    B_UP_TO_A = 16,
    A_CHAIN = 32, /* b is TAPE_NO_CHAIN and so on */
};

static const struct row {
    const char *text, *queue_means, *a_means, *b_means; /* NULL: nothing */
    unsigned kinds;                                     /* of an input: enum tape_kind */
    unsigned rules;
    uint32_t len_max;
    uint64_t a_max, b_max;
} rows[TAPE_TYPES] = {
#define TAPE_RECORD(name, ...) [TAPE_##name] = {__VA_ARGS__},
#include "core/tape/records.def"
};

/* ---- what may be on a tape ---- */

static bool is_access(unsigned queue)
{
    unsigned width = queue & 0xff;
    return queue >> 8 <= 1 && is_pow2(width) && width <= 8;
}

static bool is_errno(uint64_t value)
{
    return (int64_t)value < 0 && (int64_t)value >= -ERRNO_MAX;
}

static bool is_chain(const struct tape_rec *rec)
{
    if (rec->b == TAPE_NO_CHAIN || rec->b == TAPE_BROKEN_CHAIN)
        return rec->a == 0 && rec->len == 0;
    return (rec->b & TAPE_A_CHAIN) != 0;
}

static bool queue_can_be(const struct tape_rec *rec, unsigned rules)
{
    if (rules & ACCESS)
        return is_access(rec->queue);
    return rec->queue == 0 || (rules & ANY_QUEUE) != 0;
}

static bool b_can_be(const struct tape_rec *rec, const struct row *row)
{
    if ((row->rules & B_OR_ERRNO) && is_errno(rec->b))
        return true;
    if ((row->rules & B_UP_TO_A) && rec->b > rec->a)
        return false;
    return rec->b <= row->b_max && (!(row->rules & A_CHAIN) || is_chain(rec));
}

struct tape_fault tape_check(const struct tape_rec *rec, uint64_t now_ns)
{
    const struct row *row = rec->type < TAPE_TYPES ? &rows[rec->type] : NULL;
    if (row == NULL)
        return (struct tape_fault){"type", rec->type};
    if (rec->len > row->len_max)
        return (struct tape_fault){"number of bytes", rec->len};
    if ((row->rules & OF_THE_TAPE) && rec->source != 0)
        return (struct tape_fault){"source", rec->source};
    if (!queue_can_be(rec, row->rules))
        return (struct tape_fault){"queue", rec->queue};
    if (rec->a > row->a_max || (rec->type == TAPE_TIME && rec->a < now_ns))
        return (struct tape_fault){"first number", rec->a};
    if (!b_can_be(rec, row))
        return (struct tape_fault){"second number", rec->b};
    return (struct tape_fault){0};
}

struct tape_fault tape_check_source(const struct tape *t, const struct tape_rec *rec)
{
    const struct tape_source *s = rec->source < t->source_count ? &t->sources[rec->source] : NULL;
    if (s == NULL || (rows[rec->type].kinds & s->kind) == 0 || s->play == NULL)
        return (struct tape_fault){"source", rec->source};
    if (s->kind != TAPE_REGISTERS && rec->queue >= s->queues)
        return (struct tape_fault){"queue", rec->queue};
    return (struct tape_fault){0};
}

/* ---- for people ---- */

const char *tape_type_text(unsigned type)
{
    return type < TAPE_TYPES ? rows[type].text : "of no known type";
}

static void show_chain(const struct tape_rec *rec, FILE *out)
{
    if (rec->b == TAPE_NO_CHAIN)
        fputs(": there is none", out);
    else if (rec->b == TAPE_BROKEN_CHAIN)
        fputs(": the ring is broken", out);
    else
        fprintf(out, ", head %#x, buffers %#" PRIx64, (unsigned)(rec->b & 0xffff), rec->a);
}

void tape_show(const struct tape_rec *rec, FILE *out)
{
    const struct row *r = &rows[rec->type];
    fputs(r->text, out);
    if (r->queue_means != NULL)
        fprintf(out, ", %s %u", r->queue_means, rec->queue);
    if (rec->type == TAPE_READ || rec->type == TAPE_WRITE || rec->type == TAPE_VALUE)
        fprintf(out, ", %u bytes at %s %#" PRIx64, rec->queue & 0xffu,
                rec->queue >> 8 != 0 ? "port" : "address", rec->a);
    if (rec->type == TAPE_POP)
        show_chain(rec, out);
    if (r->a_means != NULL)
        fprintf(out, ", %s %#" PRIx64, r->a_means, rec->a);
    if (r->b_means != NULL)
        fprintf(out, ", %s %#" PRIx64, r->b_means, rec->b);
    if (rec->len > 0)
        fprintf(out, ", %u bytes", rec->len);
}
