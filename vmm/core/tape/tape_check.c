// SPDX-License-Identifier: BSD-2-Clause
/*
 * What may be on a tape: the bounds of each type of record, in one table. A tape that this Minivet
 * has written keeps all of them; one that does not was damaged, or made to do harm.
 *
 * Answers are only compared, so of most anything may be there. Inputs and answers to questions
 * reach devices.
 */
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
    unsigned kinds; /* of an input: enum tape_kind, which sources have it */
    unsigned rules;
    uint32_t len_max;
    uint64_t a_max, b_max;
} rows[TAPE_TYPES] = {
    [TAPE_ARGS] = {0, OF_THE_TAPE, TAPE_BYTES_MAX, TAPE_BYTES_MAX, 0},
    [TAPE_TIME] = {0, OF_THE_TAPE, 0, INT64_MAX, 0},
    [TAPE_END] = {0, OF_THE_TAPE, 0, 0, 0},
    [TAPE_INFO] = {0, 0, KEPT_MAX, WORD, WORD},

    [TAPE_READ] = {TAPE_REGISTERS, ACCESS, 0, ANY, 0},
    [TAPE_WRITE] = {TAPE_REGISTERS, ACCESS, 0, ANY, ANY},
    [TAPE_KICK] = {TAPE_QUEUES, ANY_QUEUE, 0, 0, 0},
    [TAPE_LATER] = {TAPE_QUEUES, ANY_QUEUE, 0, 0, 0},
    [TAPE_DONE] = {TAPE_DISK, B_OR_ERRNO, KEPT_MAX, ANY, 0},
    [TAPE_RESIZED] = {TAPE_DISK, 0, 0, INT64_MAX, 0},
    [TAPE_RX] = {TAPE_WIRE, ANY_QUEUE, 0, 0, 0},
    [TAPE_WRITABLE] = {TAPE_WIRE | TAPE_TERMINAL, ANY_QUEUE, 0, 0, 0},
    [TAPE_LINK] = {TAPE_WIRE, 0, 0, 1, 0},
    [TAPE_TYPED] = {TAPE_TERMINAL, 0, TAPE_BYTES_MAX, 0, 0},
    [TAPE_WINDOW] = {TAPE_TERMINAL, 0, 0, WORD, WORD},

    [TAPE_POP] = {0, ANY_QUEUE | A_CHAIN, TAPE_BYTES_MAX, TAPE_BUFFERS_MAX, TAPE_BROKEN_CHAIN},
    [TAPE_MORE] = {0, ANY_QUEUE, 0, 0, 0},
    [TAPE_LOOK] = {0, ANY_QUEUE, 0, 1, 0},
    [TAPE_FLUSH] = {0, ANY_QUEUE, 0, 1, 0},
    [TAPE_DRAINED] = {0, 0, 0, 0, 0},
    [TAPE_SEND] = {0, ANY_QUEUE | B_OR_ERRNO, KEPT_MAX, ANY, 0},
    [TAPE_RECEIVE] = {0, ANY_QUEUE | B_OR_ERRNO, KEPT_MAX, ANY, NET_PACKET_MAX},
    [TAPE_PAIRS] = {0, B_OR_ERRNO, 0, ANY, 0},
    [TAPE_PRINT] = {0, B_UP_TO_A, TAPE_BYTES_MAX, ANY, ANY},
    [TAPE_RANDOM] = {0, B_OR_ERRNO, TAPE_BYTES_MAX, ANY, 0},

    [TAPE_VALUE] = {0, ANY_QUEUE, 0, ANY, ANY},
    [TAPE_PUSH] = {0, ANY_QUEUE, TAPE_BYTES_MAX, ANY, ANY},
    [TAPE_DEVICE] = {0, 0, 0, ANY, ANY},
    [TAPE_INTERRUPT] = {0, ANY_QUEUE, 0, ANY, ANY},
    [TAPE_CONFIG_INTERRUPT] = {0, ANY_QUEUE, 0, ANY, ANY},
    [TAPE_SUBMIT] = {0, ANY_QUEUE, TAPE_BYTES_MAX, ANY, ANY},
    [TAPE_DRAIN] = {0, 0, 0, ANY, ANY},
    [TAPE_OFFLOADS] = {0, 0, 0, ANY, ANY},
    [TAPE_LISTEN] = {0, 0, 0, ANY, ANY},
};

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
