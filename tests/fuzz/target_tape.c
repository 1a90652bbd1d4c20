// SPDX-License-Identifier: BSD-2-Clause
/*
 * A tape, played as `minivet replay` plays it. The input's first byte says which of a few machines
 * it was recorded of (a command line of its own could name other files), in its highest bit that
 * each step is shown, and in the next that wrong answers are passed over: a tape that is made to do
 * harm would have the right ones. Then come records, as in the file (docs/replay.md).
 *
 * It plays without or with a difference, or is refused in one line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/block.h"
#include "core/ports/net.h"
#include "core/tape/tape.h"
#include "firmware/x86/x86_layout.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "vmm/replay/replay.h"

#define FORGIVE     0x40u
#define SHOW        0x80u
#define HEAD        8u
#define RECORD_MORE (HEAD + 16)
#define ARGS_MAX    256u
#define INPUT_MAX   (UINT32_C(64) << 10)

/* Words, apart by spaces. */
static const char *const machines[] = {
    "run K -m 32 --rng off --record F -d null:16M,queues=2",
    "run K -m 32 --rng off --record F -n null,queues=3,mac=52:54:00:12:34:56",
    "run K -m 32 --rng off --record F --console virtio",
    "run K -m 32 --record F",
    "run K -m 32 --rng off --record F -d null:16M,type=scsi --virtio transport=pci",
    "run K -m 32 --rng off --record F -n loopback,mac=52:54:00:12:34:56 --virtio ring=packed",
    "run K -m 32 --rng off --record F -d null:16M,queues=1 --virtio transport=pci,ring=packed",
};

static FILE *nowhere;

/* ---- records ---- */

static unsigned bytes_of(uint64_t value)
{
    return value != 0 ? 8 - (unsigned)__builtin_clzll(value) / 8 : 0;
}

/* There is room for RECORD_MORE beside its bytes. */
static uint8_t *put_record(uint8_t *to, const struct tape_rec *rec, const uint8_t *bytes)
{
    unsigned a = bytes_of(rec->a), b = bytes_of(rec->b);
    uint64_t head = rec->type | (uint64_t)rec->source << 8 | (uint64_t)rec->queue << 16 |
                    (uint64_t)rec->len << 32 | (uint64_t)a << 56 | (uint64_t)b << 60;
    memcpy(to, &head, HEAD);
    if (rec->len > 0)
        memcpy(to + HEAD, bytes, rec->len);
    memcpy(to + HEAD + rec->len, &rec->a, 8);
    memcpy(to + HEAD + rec->len + a, &rec->b, 8);
    return to + HEAD + rec->len + a + b;
}

/* The file's beginning: its magic and its command line. Returns what is behind it. */
static uint8_t *begin(uint8_t *to, unsigned machine)
{
    const char *line = machines[machine % ARRAY_SIZE(machines)];
    uint8_t words[ARGS_MAX];
    struct tape_rec rec = {.type = TAPE_ARGS, .len = (uint32_t)strlen(line) + 1, .a = 1};
    BUG_ON(rec.len > sizeof(words));
    for (uint32_t i = 0; i < rec.len; i++) {
        words[i] = line[i] == ' ' ? '\0' : (uint8_t)line[i];
        rec.a += line[i] == ' ';
    }
    memcpy(to, TAPE_MAGIC, sizeof(TAPE_MAGIC));
    return put_record(to + sizeof(TAPE_MAGIC), &rec, words);
}

static int run(const struct fuzz_target *target, const uint8_t *data, size_t len)
{
    struct tape *tape;
    (void)target;
    if (len == 0 || len > INPUT_MAX)
        return -1;
    setenv("MINIVET_NO_URING", "1", 1);
    if (nowhere == NULL)
        nowhere = fopen("/dev/null", "we");
    uint8_t *file = malloc(sizeof(TAPE_MAGIC) + ARGS_MAX + RECORD_MORE + len);
    BUG_ON(file == NULL || nowhere == NULL);
    uint8_t *records = begin(file, data[0] & ~(SHOW | FORGIVE));
    memcpy(records, data + 1, len - 1);
    size_t bytes = (size_t)(records - file) + len - 1;
    uint8_t *exact = realloc(file, bytes); /* what reads beyond it is found */
    fuzz_count_lines(LOG_ERROR);
    unsigned fds = fuzz_open_fds();
    int result = tape_open_bytes(&tape, exact, bytes, nowhere);
    fuzz_check(result == 0, "the command line is refused");
    if (data[0] & SHOW)
        tape_show_all(tape);
    if (data[0] & FORGIVE)
        tape_forgive(tape);
    result = replay_tape(tape);
    fuzz_check(result == 0 || result == 1 || result == -EINVAL, "result %d", result);
    fuzz_check(fuzz_lines() <= 1 && (fuzz_lines() == 1 || result >= 0),
               "result %d is told in %u lines", result, fuzz_lines());
    fuzz_check(fuzz_open_fds() == fds, "a file was opened");
    free(exact);
    return 0;
}

/* ---- other tapes out of tapes ---- */

struct maker {
    uint64_t random;
    const uint8_t *file; /* a copy of the input */
    size_t len;
    uint8_t *out;
    size_t used, max;
};

static uint64_t next(struct maker *m, uint64_t below)
{
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return below != 0 ? (m->random >> 33) % below : 0;
}

static size_t rec_at(const struct maker *m, size_t at, struct tape_rec *rec)
{
    uint64_t head = 0;
    if (at + HEAD > m->len)
        return 0;
    memcpy(&head, m->file + at, HEAD);
    unsigned a = head >> 56 & 0xf, b = (unsigned)(head >> 60);
    *rec = (struct tape_rec){.type = (uint8_t)head,
                             .source = (uint8_t)(head >> 8),
                             .queue = (uint16_t)(head >> 16),
                             .len = head >> 32 & 0xffffff,
                             .bytes = m->file + at + HEAD};
    if (a > 8 || b > 8 || rec->len > m->len - at || HEAD + rec->len + a + b > m->len - at)
        return 0;
    memcpy(&rec->a, rec->bytes + rec->len, a);
    memcpy(&rec->b, rec->bytes + rec->len + a, b);
    return HEAD + rec->len + a + b;
}

static void put(struct maker *m, const struct tape_rec *rec, const uint8_t *bytes)
{
    if (rec->len + RECORD_MORE <= m->max - m->used)
        m->used = (size_t)(put_record(m->out + m->used, rec, bytes) - m->out);
}

static uint64_t number(struct maker *m, uint64_t was)
{
    switch (next(m, 8)) {
    case 0:
        return was ^ UINT64_C(1) << next(m, 64);
    case 1:
        return (uint64_t)0 - next(m, 128); /* as errors are */
    case 2:
        return UINT64_C(1) << next(m, 64);
    case 3:
        return (UINT64_C(1) << next(m, 64)) - 1;
    case 4:
        return was + 1 - 2 * next(m, 2);
    case 5:
        return next(m, 70000);
    default:
        return next(m, 8);
    }
}

/* One like it, but for something. */
static void put_changed(struct maker *m, struct tape_rec rec)
{
    static uint8_t bytes[INPUT_MAX];
    uint32_t kept = (uint32_t)min_u64(rec.len, sizeof(bytes));
    memcpy(bytes, rec.bytes, kept);
    rec.len = kept;
    switch (next(m, 9)) {
    case 0:
        rec.type = (uint8_t)next(m, TAPE_TYPES);
        break;
    case 1:
        rec.source = (uint8_t)next(m, 4);
        break;
    case 2:
        rec.queue = (uint16_t)number(m, rec.queue);
        break;
    case 3:
    case 4:
        rec.a = number(m, rec.a);
        break;
    case 5:
        rec.b = number(m, rec.b);
        break;
    case 6:
        rec.len = (uint32_t)next(m, 2 * kept + 16);
        memset(bytes + kept, 0, rec.len > kept ? rec.len - kept : 0);
        break;
    default: /* a number among its bytes */
        if (kept >= 4)
            memcpy(bytes + next(m, kept / 4) * 4, &(uint32_t){(uint32_t)number(m, bytes[0])}, 4);
        else if (kept > 0)
            bytes[next(m, kept)] = (uint8_t)next(m, 256);
        break;
    }
    put(m, &rec, bytes);
}

/* What comes from outside may come at any time. */
static void put_input(struct maker *m)
{
    struct tape_rec rec = {.type = (uint8_t)(TAPE_READ + next(m, TAPE_POP - TAPE_READ)),
                           .source = (uint8_t)next(m, 4),
                           .queue = (uint16_t)next(m, 8),
                           .a = number(m, 0),
                           .b = number(m, 0)};
    if (next(m, 2) == 0)
        rec.a = rec.b = 0;
    if (rec.type == TAPE_READ || rec.type == TAPE_WRITE) { /* of a device */
        rec.source = 0;
        rec.queue = (uint16_t)(1u << next(m, 4));
        rec.a = (next(m, 4) != 0 ? X86_VIRTIO_GPA : X86_ECAM_GPA + 0x8000) + next(m, 0x200);
        rec.b = rec.type == TAPE_WRITE ? number(m, 0) : 0;
    }
    put(m, &rec, NULL);
}

/* What a tape of the machine's one device begins with: what its backend can do. */
static void put_beginning(struct maker *m, unsigned machine)
{
    const struct blk_info disk = {
        .capacity_bytes = 16 * MIB, .can_discard = true, .can_zero = true};
    const char *line = machines[machine % ARRAY_SIZE(machines)];
    const struct net_info wire = {
        .to_host = NET_CSUM, .pairs = strstr(line, "queues=3") != NULL ? 3 : 1, .link_up = true};
    struct tape_rec rec = {.type = TAPE_INFO, .source = 1};
    const void *bytes = NULL;
    if (strstr(line, " -d ") != NULL) {
        bytes = &disk;
        rec.len = sizeof(disk);
    } else if (strstr(line, " -n ") != NULL) {
        bytes = &wire;
        rec.len = sizeof(wire);
    } else if (strstr(line, " --console ") == NULL) { /* randomness has no such record */
        return;
    }
    put(m, &rec, bytes);
}

static size_t mutate(const struct fuzz_target *target, uint8_t *data, size_t len, size_t max,
                     unsigned seed)
{
    static uint8_t copy[INPUT_MAX];
    struct maker m = {.random = seed, .file = copy, .out = data, .max = max};
    struct tape_rec rec;
    (void)target;
    m.len = min_u64(len, sizeof(copy));
    memcpy(copy, data, m.len);
    if (max == 0)
        return 0;
    data[m.used++] = m.len == 0 || next(&m, 50) == 0 ? (uint8_t)next(&m, 256) : copy[0];
    if (m.len < 2)
        put_beginning(&m, data[0] & ~(SHOW | FORGIVE));
    unsigned count = 0, each;
    for (size_t at = 1, bytes; at < m.len && (bytes = rec_at(&m, at, &rec)) > 0; at += bytes)
        count++;
    each = count / (1 + (unsigned)next(&m, 3)) + 1; /* of so many about one is changed */
    for (size_t at = 1, bytes; at < m.len && (bytes = rec_at(&m, at, &rec)) > 0; at += bytes) {
        uint64_t what = next(&m, each) == 0 ? next(&m, 8) : 8;
        if (what == 1)
            put_input(&m);
        if (what == 2)
            put(&m, &rec, rec.bytes);
        if (what > 3)
            what == 8 ? put(&m, &rec, rec.bytes) : put_changed(&m, rec);
        else if (what != 3) /* 3: away with it */
            put(&m, &rec, rec.bytes);
    }
    if (next(&m, 4) == 0)
        put_input(&m);
    return m.used;
}

const struct fuzz_target fuzz_target_tape = {.name = "tape", .run = run, .mutate = mutate};
