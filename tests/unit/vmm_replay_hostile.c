// SPDX-License-Identifier: BSD-2-Clause
/* vmm/replay/replay.c: tapes that were made to do harm are refused, in one line that says what
 * cannot be.
 */
#include "tests/unit/vmm_replay.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/ports/block.h"
#include "core/ports/input.h"
#include "core/ports/net.h"
#include "firmware/x86/x86_layout.h"
#include "tests/harness/test.h"
#include "virtio/gpu/gpu_codes.h"
#include "virtio/spec.h"

/* Puts `count` records before the one at `at`. */
static struct file with(struct file f, size_t at, const struct tape_rec *recs, unsigned count)
{
    struct file new = {malloc(f.len + count * 24), at};
    memcpy(new.bytes, f.bytes, at);
    for (unsigned i = 0; i < count; i++) {
        const struct tape_rec *rec = &recs[i];
        uint64_t head = rec->type | (uint64_t)rec->source << 8 | (uint64_t)rec->queue << 16 |
                        UINT64_C(0x88) << 56;
        memcpy(new.bytes + new.len, &head, 8);
        memcpy(new.bytes + new.len + 8, &rec->a, 8);
        memcpy(new.bytes + new.len + 16, &rec->b, 8);
        new.len += 24;
    }
    memcpy(new.bytes + new.len, f.bytes + at, f.len - at);
    new.len += f.len - at;
    return new;
}

/* Where the first record of a type ends. */
static size_t behind_first(struct file f, enum tape_type type, struct tape_rec *rec)
{
    size_t at = sizeof(TAPE_MAGIC), after = at;
    do {
        at = after;
        cr_assert_lt(at, f.len);
        *rec = rec_at(f, at, &after);
    } while (rec->type != type);
    return after;
}

/* While a device waits for its disk no guest comes to it: else it would be reset in its reset. */
OnTape(replay_hostile, no_guest_comes_while_a_device_waits)
{
    static const struct {
        uint64_t offset, value;
    } writes[] = {
        {VIRTIO_MMIO_Status, 0}, {VIRTIO_MMIO_QueueReset, 1}, {VIRTIO_MMIO_QueueReady, 0}};
    struct tape_rec drain, write;
    size_t at = behind_first(f, TAPE_DRAIN, &drain);
    behind_first(f, TAPE_WRITE, &write);
    for (unsigned i = 0; i < ARRAY_SIZE(writes); i++) {
        write.a = X86_VIRTIO_GPA + writes[i].offset;
        write.b = writes[i].value;
        struct file other = with(f, at, (struct tape_rec[]){write, drain, write, drain}, 4);
        replay_store(path, other);
        cr_expect_eq(replay_play(path), 1);
        cr_expect_not_null(strstr(said, "recorded: registers: register written"), "%s", said);
        free(other.bytes);
    }
}

/* A replay starts no program and asks no other process. */
Test(replay_hostile, of_a_command_line_that_does_not_record_is_refused)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char path[] = "/tmp/minivet-tape-XXXXXX", disk[128];
    char *args[] = {"run", "K", "-d", disk};
    struct tape *tape;
    log_set_sink(replay_quiet, NULL);
    close(mkstemp(path));
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.socket", path);
    snprintf(disk, sizeof(disk), "vhost-user=%s", addr.sun_path);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(server, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(server, 1), 0);
    cr_assert_eq(tape_record(&tape, path, &clock_host, ARRAY_SIZE(args), args), 0);
    tape_destroy(tape);
    cr_expect_eq(replay_play(path), -EINVAL);
    cr_expect_lt(accept(server, NULL, NULL), 0);
    close(server);
    unlink(addr.sun_path);
    unlink(path);
}

/* What is no disk and no network is not made one. */
OnTape(replay_hostile, of_backends_that_cannot_be_is_refused)
{
    for (size_t at = sizeof(TAPE_MAGIC), after; at < f.len; at = after) {
        struct tape_rec rec = rec_at(f, at, &after);
        if (rec.type != TAPE_INFO || rec.len == 0)
            continue;
        for (uint32_t i = 0; i < rec.len; i++) {
            uint8_t *byte = f.bytes + at + 8 + i, was = *byte;
            *byte = 0x43;
            replay_store(path, f);
            int result = replay_play(path);
            cr_expect(result == -EINVAL || result == 0 || result == 1, "%d", result);
            *byte = was;
        }
    }
}

/* ---- what cannot be, record by record ---- */

/* A file that begins as one of this command line does, and has these records. */
static struct file made(const char *line, const struct tape_rec *recs, unsigned count)
{
    struct file f = {calloc(1, 1 << 20), sizeof(TAPE_MAGIC)};
    struct tape_rec args = {.type = TAPE_ARGS, .len = (uint32_t)strlen(line) + 1, .a = 1};
    char words[256] = "";
    cr_assert_lt(args.len, sizeof(words));
    for (uint32_t i = 0; line[i] != '\0'; i++) {
        if (line[i] != ' ')
            words[i] = line[i];
        args.a += line[i] == ' ';
    }
    args.bytes = (const uint8_t *)words;
    memcpy(f.bytes, TAPE_MAGIC, sizeof(TAPE_MAGIC));
    for (unsigned i = 0; i < 1 + count; i++) {
        const struct tape_rec *rec = i == 0 ? &args : &recs[i - 1];
        uint64_t head = rec->type | (uint64_t)rec->source << 8 | (uint64_t)rec->queue << 16 |
                        (uint64_t)rec->len << 32 | UINT64_C(0x88) << 56;
        memcpy(f.bytes + f.len, &head, 8);
        if (rec->len > 0)
            memcpy(f.bytes + f.len + 8, rec->bytes, rec->len);
        memcpy(f.bytes + f.len + 8 + rec->len, &rec->a, 8);
        memcpy(f.bytes + f.len + 16 + rec->len, &rec->b, 8);
        f.len += 24 + rec->len;
    }
    return f;
}

/* Is refused in one line that says so. */
static void is_refused(struct file f, const char *what)
{
    char path[] = "/tmp/minivet-tape-XXXXXX";
    close(mkstemp(path));
    replay_store(path, f);
    log_set_sink(replay_hear, NULL);
    told.lines = 0;
    cr_expect_eq(replay_play(path), -EINVAL, "%s: %s", what, said);
    cr_expect_eq(told.lines, 1, "%s: %u lines", what, told.lines);
    cr_expect_not_null(strstr(told.last, what), "%s: %s", what, told.last);
    cr_expect_eq(said[0], '\0', "%s", said);
    unlink(path);
    free(f.bytes);
}

#define CARDS "run K -m 32 --rng off --record F -n null,queues=2"
#define ALL   "run K -m 32 --record F -d null:16M,queues=1 -n null --console virtio"

static const struct net_info two_pairs = {.pairs = 2, .link_up = true};

static struct tape_rec info_of(unsigned source, const void *info, uint32_t len)
{
    struct tape_rec rec = tape_rec(TAPE_INFO, source, 0);
    rec.bytes = info;
    rec.len = len;
    return rec;
}

static void card_is_refused(struct net_info info, const char *what)
{
    struct tape_rec rec = info_of(1, &info, sizeof(info));
    is_refused(made(CARDS, &rec, 1), what);
}

Test(replay_hostile, of_a_card_that_cannot_be_is_refused)
{
    struct net_info info = two_pairs;
    info.pairs = UINT32_MAX;
    card_is_refused(info, "number of queue pairs is 0xffffffff");
    info.pairs = 3; /* of two that the card has */
    card_is_refused(info, "number of queue pairs is 0x3");
    info.pairs = 0;
    card_is_refused(info, "number of queue pairs is 0");
    info = two_pairs;
    info.to_host = 1u << 31;
    card_is_refused(info, "offloads is 0x80000000");
    info = two_pairs;
    info.mtu_bytes = 65536;
    card_is_refused(info, "MTU is 0x10000");
    struct tape_rec rec = info_of(1, &two_pairs, sizeof(two_pairs) - 1);
    is_refused(made(CARDS, &rec, 1), "number of bytes is");
}

static void disk_is_refused(struct blk_info info, const char *what)
{
    struct tape_rec rec = info_of(1, &info, sizeof(info));
    is_refused(made(ALL, &rec, 1), what);
}

Test(replay_hostile, of_a_disk_that_cannot_be_is_refused)
{
    const struct blk_info good = {.capacity_bytes = 16 * MIB};
    struct blk_info info = good;
    info.capacity_bytes = UINT64_C(1) << 63;
    disk_is_refused(info, "capacity is 0x8000000000000000");
    info.capacity_bytes = 513;
    disk_is_refused(info, "capacity is 0x201");
    info = good;
    info.logical_bytes = 256;
    disk_is_refused(info, "logical block is 0x100");
    info.logical_bytes = 1u << 31;
    disk_is_refused(info, "logical block is 0x80000000");
    info = good;
    info.optimal_bytes = 3;
    disk_is_refused(info, "size of blocks is 0x3");
}

/* The first record of a type, with something else in it; where it is. */
static size_t find(struct file f, enum tape_type type, struct tape_rec *rec)
{
    size_t at = sizeof(TAPE_MAGIC), after;
    for (; at < f.len; at = after) {
        *rec = rec_at(f, at, &after);
        if (rec->type == type && (type != TAPE_POP || rec->len > 0) &&
            (type != TAPE_RECEIVE || rec->len > 0))
            return at;
    }
    cr_assert(false, "type %u is not on the tape", type);
    return 0;
}

enum field { A, B, QUEUE, SOURCE, LEN };

/* The record is as many bytes long as before, but what it says is not what it was. */
static struct file with_field(struct file f, enum tape_type type, enum field field, uint64_t value)
{
    struct tape_rec rec;
    size_t at = find(f, type, &rec);
    if (field == A)
        rec.a = value;
    if (field == B)
        rec.b = value;
    struct file other = changed(f, at, &rec);
    if (field == QUEUE)
        le16_put(other.bytes + at + 2, (uint16_t)value);
    if (field == SOURCE)
        other.bytes[at + 1] = (uint8_t)value;
    if (field == LEN) { /* of the bytes that follow some are its own now */
        other.bytes[at + 4] = (uint8_t)value;
        other.bytes[at + 5] = (uint8_t)(value >> 8);
        other.bytes[at + 6] = (uint8_t)(value >> 16);
    }
    return other;
}

OnTape(replay_hostile, of_a_record_that_cannot_be_is_refused)
{
    static const struct {
        uint8_t type, field;
        uint64_t value;
        const char *what;
    } cases[] = {
        {TAPE_RX, QUEUE, 1, "queue is 0x1"}, /* the card has one pair */
        {TAPE_RX, QUEUE, 0xffff, "queue is 0xffff"},
        {TAPE_KICK, QUEUE, 40, "queue is 0x28"},
        {TAPE_KICK, SOURCE, 0, "source is 0"},
        {TAPE_DONE, SOURCE, 150, "source is 0x96"},
        {TAPE_DONE, SOURCE, 2, "source is 0x2"},
        {TAPE_DONE, A, 77, "request's number is 0x4d"},
        {TAPE_DONE, B, 1, "second number is 0x1"},
        {TAPE_DONE, B, UINT64_C(0) - 4096, "second number is 0xfffffffffffff000"},
        {TAPE_DONE, B, UINT64_C(1) << 32, "second number is 0x100000000"},
        {TAPE_WINDOW, A, 65536, "first number is 0x10000"},
        {TAPE_WRITE, QUEUE, 0x003, "queue is 0x3"},
        {TAPE_WRITE, QUEUE, 0x204, "queue is 0x204"},
        {TAPE_POP, A, 5000, "first number is 0x1388"},
        {TAPE_POP, A, 100, "buffer's address is"},
        {TAPE_POP, B, 5, "second number is 0x5"},
        {TAPE_POP, B, TAPE_A_CHAIN | 16, "head is 0x10"},
        {TAPE_FLUSH, A, UINT64_MAX, "first number is 0xffffffffffffffff"},
        {TAPE_SEND, B, 7, "second number is 0x7"},
        {TAPE_RECEIVE, B, NET_PACKET_MAX + 1, "second number is 0x"},
        {TAPE_RECEIVE, B, 5000, "result is 0x1388"},
        {TAPE_RECEIVE, B, 73, "number of bytes is"},
        {TAPE_PRINT, B, 1000, "second number is 0x3e8"},
        {TAPE_RANDOM, B, 1000, "second number is 0x3e8"},
        {TAPE_TYPED, LEN, TAPE_BYTES_MAX + 1, "number of bytes is 0x20001"},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        told.last[0] = '\0';
        is_refused(with_field(f, cases[i].type, cases[i].field, cases[i].value), cases[i].what);
    }
}

/* A disk's answer brings what is kept of a read, and to nothing else. */
OnTape(replay_hostile, of_an_answer_with_other_bytes_is_refused)
{
    static const uint8_t bytes[8];
    struct tape_rec rec;
    size_t at = find(f, TAPE_DONE, &rec);
    rec.bytes = bytes;
    rec.len = rec.len == sizeof(bytes) ? 1 : sizeof(bytes);
    struct file other = changed(f, at, &rec);
    le32_put(other.bytes + at + 4, rec.len | UINT32_C(0x88) << 24);
    is_refused(other, "number of bytes is");
}

Test(replay_hostile, of_buffers_outside_of_memory_is_refused)
{
    struct bench b;
    struct tape_rec rec;
    log_set_sink(replay_quiet, NULL);
    struct file f = replay_load(replay_record(&b, "ring=split"));
    uint8_t *buffer = f.bytes + find(f, TAPE_POP, &rec) + 8;
    buffer[0] = 0x14; /* four bytes of address, one of length */
    memset(buffer + 1, 0xff, 4);
    is_refused(f, "buffer's address is 0xffffffff");
    unlink(b.path);
}

/* So many bytes come in at a source, before the record at `at`. */
static struct file with_typed(struct file f, size_t at, unsigned source, uint32_t bytes)
{
    static const uint8_t zeroes[4096];
    struct tape_rec more = tape_rec(TAPE_TYPED, source, 0);
    more.len = bytes;
    more.bytes = zeroes;
    struct file one = made("x", &more, 1); /* its last record is ours */
    size_t len = 24 + (size_t)bytes;
    struct file other = {malloc(f.len + len), f.len + len};
    memcpy(other.bytes, f.bytes, at);
    memcpy(other.bytes + at, one.bytes + one.len - len, len);
    memcpy(other.bytes + at + len, f.bytes + at, f.len - at);
    free(one.bytes);
    return other;
}

/* More bytes than the device has asked for, at any time. */
OnTape(replay_hostile, of_bytes_that_have_no_room_is_refused)
{
    struct tape_rec typed;
    size_t at = find(f, TAPE_TYPED, &typed);
    is_refused(with_typed(f, at, typed.source, 4096), "number of bytes is 0x1000");
}

/* A keyboard's, which are events. */
OnTape(replay_hostile, of_reports_of_no_events_is_refused)
{
    static const struct {
        uint32_t bytes;
        const char *say;
    } cases[] = {{0, "number of bytes is 0"},
                 {12, "number of bytes is 0xc"},
                 {(INPUT_REPORT_EVENTS + 1) * INPUT_EVENT_BYTES, "number of bytes is 0x48"}};
    struct tape_rec rec;
    size_t at, after = sizeof(TAPE_MAGIC);
    do {
        at = after;
        cr_assert_lt(at, f.len);
        rec = rec_at(f, at, &after);
    } while (rec.type != TAPE_TYPED || rec.len != INPUT_EVENT_BYTES);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
        is_refused(with_typed(f, at, rec.source, cases[i].bytes), cases[i].say);
}

Test(replay_hostile, of_times_that_go_back_is_refused)
{
    struct tape_rec recs[] = {info_of(1, &two_pairs, sizeof(two_pairs)),
                              {.type = TAPE_DEVICE, .source = 2, .a = 1, .b = 5},
                              {.type = TAPE_TIME, .a = 1000},
                              {.type = TAPE_TIME, .a = 999}};
    is_refused(made(CARDS, recs, ARRAY_SIZE(recs)), "(time) cannot be: its first number is 0x3e7");
    recs[3].a = UINT64_MAX; /* or are none */
    is_refused(made(CARDS, recs, ARRAY_SIZE(recs)), "(time) cannot be: its first number is 0xffff");
}

Test(replay_hostile, of_a_command_line_that_is_none_is_refused)
{
    char many[2 * 5000 + 1];
    struct tape_rec rec = {.type = TAPE_ARGS, .bytes = (const uint8_t *)many};
    memset(many, 0, sizeof(many));
    struct file f = made("run K", NULL, 0);
    f.bytes[sizeof(TAPE_MAGIC) + 8 + 5] = 'x'; /* where its last word ends */
    is_refused(f, "number of bytes is 0x6");
    f = made("run K", NULL, 0);
    f.bytes[sizeof(TAPE_MAGIC) + 8 + 6] = 3; /* words, it says */
    is_refused(f, "number of words is 0x3");
    rec.len = 5000; /* words of nothing */
    rec.a = 5000;
    struct file other = made("x", &rec, 1);
    memmove(other.bytes + sizeof(TAPE_MAGIC), other.bytes + other.len - 24 - rec.len, 24 + rec.len);
    other.len = sizeof(TAPE_MAGIC) + 24 + rec.len;
    is_refused(other, "number of words is 0x1388");
}

/* Names are the tape's to choose. */
Test(replay_hostile, names_do_not_drive_the_terminal)
{
    struct blk_info disk = {.capacity_bytes = 16 * MIB};
    const struct tape_rec recs[] = {info_of(1, &disk, sizeof(disk)),
                                    {.type = TAPE_DEVICE, .source = 2, .a = 77, .b = 1}};
    char path[] = "/tmp/minivet-tape-XXXXXX";
    struct file f =
        made("run K -m 32 --rng off --record F -d \033]0;owned\007\x9b", recs, ARRAY_SIZE(recs));
    close(mkstemp(path));
    replay_store(path, f);
    log_set_sink(replay_quiet, NULL);
    cr_expect_eq(replay_play(path), 1);
    cr_expect_not_null(strstr(said, "?]0;owned??: device, type 0x2"), "%s", said);
    cr_expect_null(strchr(said, '\033'));
    cr_expect_null(strchr(said, '\007'));
    unlink(path);
    free(f.bytes);
}

/* A file that has no end is none. */
Test(replay_hostile, of_what_has_no_end_is_refused)
{
    log_set_sink(replay_quiet, NULL);
    cr_expect_eq(replay_play("/dev/zero"), -EINVAL);
    char path[] = "/tmp/minivet-tape-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    cr_assert_eq(mkfifo(path, 0600), 0);
    cr_expect_eq(replay_play(path), -EINVAL); /* and is not waited for */
    unlink(path);
}

/* A tape of another user's, who cuts it while it is played: reading a mapping would be a crash. */
Test(replay_hostile, may_be_cut_while_it_is_played)
{
    struct bench b;
    char *args[64];
    struct tape *tape;
    FILE *out = fmemopen(said, sizeof(said), "w");
    log_set_sink(replay_quiet, NULL);
    replay_record(&b, "ring=split");
    cr_assert_eq(tape_open(&tape, b.path, out), 0);
    cr_assert_eq(truncate(b.path, 0), 0);
    cr_expect_gt(tape_args(tape, args, ARRAY_SIZE(args)), 0);
    cr_expect_str_eq(args[0], "run");
    while (tape_next(tape) != NULL)
        ;
    tape_destroy(tape);
    fclose(out);
    unlink(b.path);
}

#define QUEUES     64u
#define QUEUE_SIZE 32768u

static struct tape_rec written(uint32_t reg, uint64_t value)
{
    struct tape_rec rec = tape_rec(TAPE_WRITE, 0, 4);
    rec.a = X86_VIRTIO_GPA + reg;
    rec.b = value;
    return rec;
}

/* The features' lower half, beside VERSION_1. */
static unsigned put_start(struct tape_rec *recs, uint32_t features)
{
    const uint32_t start[][2] = {
        {VIRTIO_MMIO_Status, 3},
        {VIRTIO_MMIO_DriverFeaturesSel, 1},
        {VIRTIO_MMIO_DriverFeatures, 1},
        {VIRTIO_MMIO_DriverFeaturesSel, 0},
        {VIRTIO_MMIO_DriverFeatures, features},
        {VIRTIO_MMIO_Status, 11},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(start); i++)
        recs[i] = written(start[i][0], start[i][1]);
    return ARRAY_SIZE(start);
}

static unsigned put_queue(struct tape_rec *recs, unsigned queue, unsigned size)
{
    const uint32_t set_up[][2] = {
        {VIRTIO_MMIO_QueueSel, queue},         {VIRTIO_MMIO_QueueSize, size},
        {VIRTIO_MMIO_QueueDescLow, 1 * MIB},   {VIRTIO_MMIO_QueueDriverLow, 2 * MIB},
        {VIRTIO_MMIO_QueueDeviceLow, 3 * MIB}, {VIRTIO_MMIO_QueueReady, 1},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(set_up); i++)
        recs[i] = written(set_up[i][0], set_up[i][1]);
    return ARRAY_SIZE(set_up);
}

/* A disk whose queues are as many and as large as can be, and run, each without a chain. */
static struct file of_large_queues(void)
{
    static const struct blk_info disk = {.capacity_bytes = 16 * MIB};
    static struct tape_rec recs[16 + 6 * QUEUES];
    unsigned n = 0;
    recs[n++] = info_of(1, &disk, sizeof(disk));
    recs[n++] =
        (struct tape_rec){.type = TAPE_DEVICE, .source = 2, .a = VIRTIO_ID_BLOCK, .b = QUEUES};
    n += put_start(recs + n, 1u << VIRTIO_BLK_F_MQ);
    for (unsigned q = 0; q < QUEUES; q++)
        n += put_queue(recs + n, q, QUEUE_SIZE);
    recs[n++] = written(VIRTIO_MMIO_Status, 15);
    return made("run K -m 32 --rng off --record F -d null:16M,queues=64,queue-size=32768", recs, n);
}

#define REQUEST_MAX 2048u

static uint8_t *put_buffer(uint8_t *to, uint32_t gpa, uint32_t bytes, bool writable)
{
    *to = (uint8_t)(4 | 4 << 4 | (unsigned)writable << 7); /* how many bytes the two numbers have */
    le32_put(to + 1, gpa);
    le32_put(to + 5, bytes);
    return to + 9;
}

/* A command, with its numbers behind the header, and its answer: done. Returns the records. */
static unsigned put_command(struct tape_rec *recs, uint8_t *at, uint16_t head, uint32_t command,
                            const uint32_t *numbers, unsigned count)
{
    static const uint8_t done[VIRTIO_GPU_HDR_BYTES] = {0, VIRTIO_GPU_RESP_OK_NODATA >> 8};
    uint32_t bytes = VIRTIO_GPU_HDR_BYTES + 4 * count;
    uint8_t *to = put_buffer(at, 4 * MIB, bytes, false);
    to = put_buffer(to, 5 * MIB, sizeof(done), true);
    le32_put(to, command);
    for (unsigned i = 0; i < count; i++)
        le32_put(to + VIRTIO_GPU_HDR_BYTES + 4 * (size_t)i, numbers[i]);
    recs[0] = (struct tape_rec){.type = TAPE_POP,
                                .source = 1,
                                .bytes = at,
                                .len = (uint32_t)(to - at) + bytes,
                                .a = 2,
                                .b = TAPE_A_CHAIN | head};
    recs[1] = (struct tape_rec){.type = TAPE_PUSH,
                                .source = 1,
                                .bytes = done,
                                .len = sizeof(done),
                                .a = head,
                                .b = sizeof(done)};
    return 2;
}

/* A picture of a gigabyte, and a command that copies all of it from 16 MiB of the guest. */
static struct file of_a_large_picture(void)
{
    enum { SIDE = 16384, RANGES = 64, RANGE = 16 * MIB, TURNS = 511 };
    static const uint32_t make[] = {1, VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM, SIDE, SIDE};
    static const uint32_t copy[] = {0, 0, SIDE, SIDE, 0, 0, 1, 0};
    static uint32_t attach[2 + 4 * RANGES] = {1, RANGES};
    static uint8_t bytes[3][REQUEST_MAX];
    static struct tape_rec recs[32 + TURNS];
    unsigned n = 1;
    recs[0] = (struct tape_rec){.type = TAPE_DEVICE, .source = 1, .a = VIRTIO_ID_GPU, .b = 2};
    n += put_start(recs + n, 0);
    n += put_queue(recs + n, 0, 16);
    recs[n++] = written(VIRTIO_MMIO_Status, 15);
    recs[n++] = tape_rec(TAPE_KICK, 1, 0);
    for (unsigned i = 0; i < RANGES; i++) {
        attach[2 + 4 * i] = 8 * MIB;
        attach[2 + 4 * i + 2] = RANGE;
    }
    n += put_command(recs + n, bytes[0], 0, VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, make,
                     ARRAY_SIZE(make));
    n += put_command(recs + n, bytes[1], 1, VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, attach,
                     ARRAY_SIZE(attach));
    n += put_command(recs + n, bytes[2], 2, VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, copy,
                     ARRAY_SIZE(copy));
    struct tape_rec last = recs[--n];
    recs[n++] = tape_rec(TAPE_FLUSH, 1, 0);
    for (unsigned i = 0; i < TURNS; i++)
        recs[n++] = tape_rec(TAPE_LATER, 1, 0);
    recs[n++] = last;
    return made("run K -m 32 --rng off --record F --gpu on,memory=2G,transport=mmio", recs, n);
}

/* A few kilobytes shall not take hundreds of megabytes. */
static void expect_little_memory(struct file f)
{
    char path[] = "/tmp/minivet-tape-XXXXXX";
    struct rusage used;
    int status = 0;
    log_set_sink(replay_quiet, NULL);
    close(mkstemp(path));
    replay_store(path, f);
    pid_t pid = fork();
    if (pid == 0)
        _exit(replay_play(path));
    cr_assert_gt(pid, 0);
    cr_assert_eq(wait4(pid, &status, 0, &used), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", status);
    cr_expect_lt(used.ru_maxrss, 150 * 1024, "%ld KiB", used.ru_maxrss);
    unlink(path);
    free(f.bytes);
}

/* Memory is for chains that are in flight. */
Test(replay_hostile, of_large_queues_takes_little_memory)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    cr_skip_test("a sanitizer's own memory is more");
#endif
    expect_little_memory(of_large_queues());
}

/* No pixels are on a tape. */
Test(replay_hostile, of_a_large_picture_takes_little_memory)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    cr_skip_test("a sanitizer's own memory is more");
#endif
    expect_little_memory(of_a_large_picture());
}

/* Page numbers of which the tape has but the edges: the balloon looks at 16 KiB of them in a turn.
 */
static struct file of_a_large_balloon(unsigned mib)
{
    enum { KEPT = 64 * KIB, BUFFER = 9 };
    static uint8_t bytes[BUFFER + KEPT];
    static struct tape_rec recs[32];
    unsigned n = 1;
    recs[0] = (struct tape_rec){.type = TAPE_DEVICE, .source = 1, .a = VIRTIO_ID_BALLOON, .b = 5};
    n += put_start(recs + n, 0);
    n += put_queue(recs + n, 0, 16);
    recs[n++] = written(VIRTIO_MMIO_Status, 15);
    recs[n++] = tape_rec(TAPE_KICK, 1, 0);
    put_buffer(bytes, 8 * MIB, mib * MIB, false);
    recs[n++] = (struct tape_rec){.type = TAPE_POP,
                                  .source = 1,
                                  .bytes = bytes,
                                  .len = sizeof(bytes),
                                  .a = 1,
                                  .b = TAPE_A_CHAIN};
    recs[n++] = (struct tape_rec){.type = TAPE_PUSH, .source = 1};
    return made("run K -m 256 --rng off --record F --balloon on,transport=mmio", recs, n);
}

/* 64 KiB of a tape took minutes, for a billion page numbers. */
Test(replay_hostile, of_a_balloon_s_endless_request_ends)
{
    char path[] = "/tmp/minivet-tape-XXXXXX";
    log_set_sink(replay_quiet, NULL);
    close(mkstemp(path));
    for (unsigned i = 0; i < 2; i++) {
        struct file f = of_a_large_balloon(i == 0 ? 1 : 128);
        replay_store(path, f);
        cr_expect_eq(replay_play(path), (int)i, "%s", said);
        free(f.bytes);
    }
    cr_expect_not_null(strstr(said, "replayed: nothing"), "%s", said);
    unlink(path);
}
