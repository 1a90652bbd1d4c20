// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/mutate.h"

#include <linux/fuse.h>
#include <string.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/fuzz/play_impl.h"
#include "tests/fuzz/script.h"
#include "tests/harness/fake_vsock.h"
#include "virtio/balloon/balloon.h"
#include "virtio/console/console.h"
#include "virtio/fs/fs.h"
#include "virtio/gpu/gpu_codes.h"
#include "virtio/input/input.h"
#include "virtio/rtc/rtc.h"
#include "virtio/spec.h"
#include "virtio/vsock/vsock.h"

#define CHANGES   4u /* at most, at a time */
#define NEW_BYTES (1u << 16)

struct maker {
    uint64_t random;
    struct fuzz_script *s;
    unsigned at; /* where the next step is put in */
    bool bends;  /* the next chain is wrong */
    uint8_t *bytes;
    size_t bytes_left;
};

static uint32_t next(struct maker *m, uint32_t below)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)(m->random >> 32) % below;
}

static bool one_in(struct maker *m, uint32_t n)
{
    return next(m, n) == 0;
}

static uint64_t interesting(struct maker *m)
{
    static const uint64_t values[] = {
        0,
        1,
        2,
        3,
        4,
        7,
        8,
        15,
        16,
        17,
        31,
        32,
        63,
        64,
        65,
        127,
        128,
        255,
        256,
        511,
        512,
        513,
        4095,
        4096,
        0x7fff,
        0x8000,
        0xffff,
        0x10000,
        0x7fffffff,
        0x80000000,
        0xfffffff0,
        0xffffffff,
        0x100000000,
        UINT64_C(1) << 55, /* of sectors: 2^64 bytes */
        UINT64_MAX,
        UINT64_MAX - 4095,
        FUZZ_HEAP_GPA,
        FUZZ_LOW_BYTES - 8,
        FUZZ_LOW_BYTES,
        RIG_WINDOW_GPA,
        RIG_BAR_GPA,
        FUZZ_ARENA_GPA,
        FUZZ_ARENA_GPA + FUZZ_ARENA_BYTES - 1,
        FUZZ_ARENA_GPA + FUZZ_ARENA_BYTES,
    };
    uint64_t value = values[next(m, ARRAY_SIZE(values))];
    return one_in(m, 4) ? value + next(m, 33) - 16 : value;
}

static uint64_t any_number(struct maker *m)
{
    return one_in(m, 3) ? interesting(m) : one_in(m, 2) ? next(m, 16) : m->random;
}

/* ---- building ---- */

static struct fuzz_step *put_in(struct maker *m, unsigned op)
{
    struct fuzz_script *s = m->s;
    static struct fuzz_step nowhere;
    if (s->count == FUZZ_STEPS_MAX)
        return &nowhere;
    memmove(&s->steps[m->at + 1], &s->steps[m->at], (s->count - m->at) * sizeof(s->steps[0]));
    s->count++;
    struct fuzz_step *step = &s->steps[m->at++];
    *step = (struct fuzz_step){.op = (uint8_t)op};
    return step;
}

static uint8_t *new_bytes(struct maker *m, struct fuzz_step *step, uint32_t len)
{
    step->len = (uint32_t)min_u64(len, min_u64(m->bytes_left, FUZZ_BYTES_MAX));
    step->bytes = m->bytes;
    m->bytes += step->len;
    m->bytes_left -= step->len;
    memset(m->bytes - step->len, 0, step->len);
    return m->bytes - step->len;
}

static void step1(struct maker *m, unsigned op, uint64_t a)
{
    put_in(m, op)->arg[0] = a;
}

static void step2(struct maker *m, unsigned op, uint64_t a, uint64_t b)
{
    struct fuzz_step *step = put_in(m, op);
    step->arg[0] = a;
    step->arg[1] = b;
}

static void out(struct maker *m, const uint8_t *bytes, uint32_t len)
{
    struct fuzz_step *step = put_in(m, FUZZ_OUT);
    uint8_t *to = new_bytes(m, step, len);
    if (step->len == len && len > 0)
        memcpy(to, bytes, len);
}

/* The next chain is wrong. If its table is, it shall have one; most tables are short. */
static unsigned bend(struct maker *m, unsigned how)
{
    unsigned fault = next(m, FUZZ_FAULTS);
    bool table = fault == FUZZ_TABLE_LEN || fault == FUZZ_TABLE_FLAGS || fault == FUZZ_TABLE_END;
    step2(m, FUZZ_BEND, fault, table && one_in(m, 2) ? next(m, 64) : any_number(m));
    if (table) /* `how` turns round what the option says */
        how = m->s->head.options & FUZZ_INDIRECT ? how & ~FUZZ_SEND_INDIRECT
                                                 : how | FUZZ_SEND_INDIRECT;
    m->bends = false;
    return how;
}

static void send(struct maker *m, unsigned queue)
{
    unsigned how = one_in(m, 4) ? next(m, FUZZ_SEND_HOW) : 0;
    if (m->bends || one_in(m, 12))
        how = bend(m, how);
    step2(m, FUZZ_SEND, queue, how);
}

/* ---- requests, as the devices' drivers make them ---- */

static void echo_request(struct maker *m)
{
    step2(m, FUZZ_FILL, next(m, 600), next(m, 256));
    if (!one_in(m, 4))
        step1(m, FUZZ_IN, next(m, 600));
    send(m, next(m, 3));
}

static void blk_request(struct maker *m)
{
    static const uint8_t types[] = {
        VIRTIO_BLK_T_IN,    VIRTIO_BLK_T_IN,     VIRTIO_BLK_T_OUT,     VIRTIO_BLK_T_OUT,
        VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
    uint8_t header[16] = {0}, range[16] = {0};
    uint32_t type = one_in(m, 20) ? next(m, 40) : types[next(m, ARRAY_SIZE(types))];
    le32_put(header, type);
    le64_put(header + 8, one_in(m, 8) ? any_number(m) : next(m, FUZZ_DISK_BYTES / 512));
    out(m, header, sizeof(header));
    if (type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES) {
        for (unsigned n = one_in(m, 4) ? next(m, 20) : 1; n > 0; n--) {
            le64_put(range, one_in(m, 8) ? any_number(m) : next(m, FUZZ_DISK_BYTES / 512));
            le32_put(range + 8, next(m, 64));
            le32_put(range + 12, next(m, 3));
            out(m, range, sizeof(range));
        }
    } else if (type != VIRTIO_BLK_T_FLUSH) {
        uint32_t len = type == VIRTIO_BLK_T_GET_ID ? 20
                       : one_in(m, 8)              ? next(m, 3000)
                                                   : 512 * next(m, 17);
        if (type == VIRTIO_BLK_T_OUT)
            step2(m, FUZZ_FILL, len, next(m, 256));
        else
            step1(m, FUZZ_IN, len);
    }
    step1(m, FUZZ_IN, 1);
    send(m, one_in(m, 4) ? next(m, 3) : 0);
}

static void scsi_request(struct maker *m)
{
    static const uint8_t codes[] = {0x00, 0x03, 0x12, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x28,
                                    0x2a, 0x2a, 0x2e, 0x2f, 0x35, 0x41, 0x42, 0x4d, 0x55, 0x5a,
                                    0x5e, 0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa8};
    uint8_t request[51] = {1, one_in(m, 8), 0x40, one_in(m, 8)};
    if (one_in(m, 8)) { /* control */
        le32_put(request, next(m, 3));
        le32_put(request + 4, next(m, 8));
        memcpy(request + 8, (const uint8_t[]){1, 0, 0x40}, 3);
        out(m, request, 24);
        step1(m, FUZZ_IN, one_in(m, 4) ? 8 : 1);
        send(m, 0);
        return;
    }
    le64_put(request + 8, next(m, 64)); /* id */
    request[19] = codes[next(m, sizeof(codes))];
    for (unsigned i = 20; i < 35; i++)
        request[i] = one_in(m, 3) ? (uint8_t)next(m, 256) : 0;
    request[19 + 8] = (uint8_t)next(m, 4); /* blocks, allocation length */
    out(m, request, one_in(m, 20) ? next(m, 51) : 51);
    bool writes = request[19] == 0x2a || request[19] == 0x8a || request[19] == 0x42 ||
                  request[19] == 0x93 || request[19] == 0x41;
    if (writes)
        step2(m, FUZZ_FILL, one_in(m, 3) ? next(m, 64) : 512 * next(m, 5), next(m, 256));
    step1(m, FUZZ_IN, one_in(m, 20) ? next(m, 108) : 108);
    if (!writes)
        step1(m, FUZZ_IN, one_in(m, 3) ? next(m, 300) : 512 * next(m, 5));
    send(m, 2 + (one_in(m, 4) ? next(m, 3) : 0));
}

/* Header and frame of TCP or UDP over IPv4 or IPv6. */
static uint32_t make_packet(struct maker *m, uint8_t *p)
{
    uint32_t payload = one_in(m, 4) ? next(m, 1400) : next(m, 64);
    bool six = one_in(m, 3), udp = one_in(m, 3), vlan = one_in(m, 8);
    uint8_t *eth = p + 12, *ip = eth + (vlan ? 18 : 14);
    uint32_t ip_bytes = six ? 40 : 20, l4_bytes = udp ? 8 : 20;
    memcpy(eth, (const uint8_t[]){0x52, 0x54, 0, 1, 2, 3, 0x52, 0x55, 10, 0, 2, 2}, 12);
    if (vlan)
        memcpy(eth + 12, (const uint8_t[]){0x81, 0, 0, 5}, 4);
    ip[-2] = six ? 0x86 : 0x08;
    ip[-1] = six ? 0xdd : 0x00;
    ip[0] = six ? 0x60 : 0x45;
    uint32_t ip_len = l4_bytes + payload + (six ? 0 : 20);
    ip[six ? 4 : 2] = (uint8_t)(ip_len >> 8);
    ip[six ? 5 : 3] = (uint8_t)ip_len;
    ip[six ? 6 : 9] = udp ? 17 : 6;
    if (!udp)
        ip[ip_bytes + 12] = 0x50;
    if (one_in(m, 2)) { /* a checksum to fill in, segments to cut */
        p[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
        le16_put(p + 6, (uint16_t)(ip + ip_bytes - eth));
        le16_put(p + 8, udp ? 6 : 16);
        if (one_in(m, 2)) {
            p[1] = (uint8_t)(one_in(m, 6) ? next(m, 256)
                             : udp        ? (one_in(m, 2) ? 3 : 5)
                             : six        ? 4
                                          : 1);
            le16_put(p + 2, (uint16_t)(ip - eth + ip_bytes + l4_bytes));
            le16_put(p + 4, (uint16_t)next(m, 1500));
        }
    }
    if (one_in(m, 10))
        p[next(m, 60)] = (uint8_t)next(m, 256);
    return (uint32_t)(ip - p) + ip_bytes + l4_bytes + payload;
}

static void net_command(struct maker *m)
{
    static const struct {
        uint8_t class, commands, bytes;
    } kinds[] = {{0, 6, 1}, {1, 2, 20}, {2, 2, 2}, {3, 1, 0}, {4, 3, 44}, {5, 1, 8}, {6, 4, 8}};
    unsigned k = next(m, ARRAY_SIZE(kinds));
    uint8_t head[2] = {kinds[k].class, (uint8_t)next(m, kinds[k].commands)}, data[64] = {0};
    for (unsigned i = 0; i < kinds[k].bytes; i++)
        data[i] = one_in(m, 2) ? (uint8_t)next(m, 4) : 0;
    if (one_in(m, 10))
        head[next(m, 2)] = (uint8_t)next(m, 256);
    out(m, head, 2);
    if (kinds[k].bytes > 0)
        out(m, data, one_in(m, 10) ? next(m, 64) : kinds[k].bytes);
    step1(m, FUZZ_IN, 1);
    send(m, one_in(m, 2) ? 2 : 6);
}

static void net_request(struct maker *m)
{
    uint8_t packet[2048] = {0};
    unsigned pair = one_in(m, 4) ? next(m, 3) : 0;
    switch (next(m, 4)) {
    case 0:
        step1(m, FUZZ_IN, one_in(m, 3) ? next(m, 200) : 1600);
        send(m, 2 * pair);
        break;
    case 1: {
        struct fuzz_step *step = put_in(m, FUZZ_PACKET);
        uint32_t len = make_packet(m, packet);
        step->arg[0] = pair;
        uint8_t *to = new_bytes(m, step, len);
        if (step->len == len)
            memcpy(to, packet, len);
        break;
    }
    case 2:
        out(m, packet, make_packet(m, packet));
        send(m, 2 * pair + 1);
        break;
    default:
        net_command(m);
        break;
    }
}

static void control_message(struct maker *m, uint32_t id, unsigned event, unsigned value)
{
    uint8_t message[VIRTIO_CONSOLE_CONTROL_BYTES];
    le32_put(message + VIRTIO_CONSOLE_CONTROL_id, id);
    le16_put(message + VIRTIO_CONSOLE_CONTROL_event, (uint16_t)event);
    le16_put(message + VIRTIO_CONSOLE_CONTROL_value, (uint16_t)value);
    out(m, message, one_in(m, 30) ? next(m, sizeof(message)) : sizeof(message));
    send(m, VIRTIO_CONSOLE_CONTROL_TX);
}

static void control_buffers(struct maker *m, unsigned count)
{
    for (; count > 0; count--) {
        step1(m, FUZZ_IN, one_in(m, 10) ? next(m, 16) : 16);
        send(m, VIRTIO_CONSOLE_CONTROL_RX);
    }
}

/* Ports are met in an order, mostly; then they come, go and carry bytes. */
static void port_request(struct maker *m)
{
    static const uint8_t events[] = {VIRTIO_CONSOLE_DEVICE_READY, VIRTIO_CONSOLE_PORT_READY,
                                     VIRTIO_CONSOLE_PORT_OPEN};
    uint32_t id = next(m, one_in(m, 10) ? 40 : 3);
    struct fuzz_step *step;
    switch (next(m, 6)) {
    case 0:
        control_buffers(m, 3);
        control_message(m, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
        control_message(m, id, VIRTIO_CONSOLE_PORT_READY, 1);
        control_message(m, id, VIRTIO_CONSOLE_PORT_OPEN, 1);
        break;
    case 1:
        control_message(m, id, one_in(m, 4) ? next(m, 9) : events[next(m, sizeof(events))],
                        next(m, 2));
        break;
    case 2:
        control_buffers(m, 1 + next(m, 4));
        break;
    case 3:
        step = put_in(m, FUZZ_PACKET);
        step->arg[0] = next(m, 3);
        new_bytes(m, step, 1 + next(m, 40));
        break;
    case 4:
        step1(m, FUZZ_LINK, next(m, 4));
        break;
    default:
        if (one_in(m, 2))
            step1(m, FUZZ_IN, next(m, 64));
        else
            step2(m, FUZZ_FILL, next(m, 300), 'x');
        send(m, VIRTIO_CONSOLE_PORT_1 + next(m, 4));
        break;
    }
}

static void console_request(struct maker *m)
{
    if ((m->s->head.options & FUZZ_MANY) != 0 && !one_in(m, 4)) {
        port_request(m);
        return;
    }
    if (one_in(m, 3)) {
        struct fuzz_step *step = put_in(m, FUZZ_PACKET);
        new_bytes(m, step, 1 + next(m, 40));
        return;
    }
    bool rx = one_in(m, 2);
    if (rx)
        step1(m, FUZZ_IN, next(m, 64));
    else
        step2(m, FUZZ_FILL, next(m, 300), 'x');
    send(m, rx ? 0 : 1);
}

/* Pages of the arena, mostly; statistics; free pages; what the driver says of itself. */
static void balloon_request(struct maker *m)
{
    uint8_t bytes[160] = {0};
    unsigned queue = next(m, VIRTIO_BALLOON_QUEUES), count = 1 + next(m, 8);
    uint32_t page = (uint32_t)(FUZZ_ARENA_GPA / FUZZ_PAGE_BYTES) + next(m, 16);
    if (one_in(m, 8)) {
        struct fuzz_step *step = put_in(m, FUZZ_CONFIG);
        step->arg[0] =
            one_in(m, 2) ? VIRTIO_BALLOON_CONFIG_actual : VIRTIO_BALLOON_CONFIG_poison_val;
        memcpy(new_bytes(m, step, 4), &page, step->len);
        return;
    }
    for (unsigned i = 0; i < count && queue <= VIRTIO_BALLOON_DEFLATE; i++)
        le32_put(bytes + 4 * i, one_in(m, 16) ? (uint32_t)any_number(m) : page + next(m, 3) * i);
    for (unsigned i = 0; i < count && queue == VIRTIO_BALLOON_STATS; i++)
        bytes[VIRTIO_BALLOON_STAT_BYTES * i] = (uint8_t)next(m, VIRTIO_BALLOON_TAGS + 1);
    if (queue == VIRTIO_BALLOON_REPORTS || one_in(m, 16))
        step1(m, FUZZ_IN, next(m, 3 * (uint32_t)FUZZ_PAGE_BYTES));
    else
        out(m, bytes, one_in(m, 8) ? next(m, sizeof(bytes)) : 10 * count);
    send(m, queue);
}

/* Mostly of connections that there may be: their ports are few. */
static void vsock_request(struct maker *m)
{
    uint8_t packet[VIRTIO_VSOCK_HDR_BYTES + 300] = {0};
    uint32_t len = one_in(m, 2) ? 0 : next(m, 300), port = next(m, 4);
    switch (next(m, 6)) {
    case 0: /* room for the device */
        step1(m, FUZZ_IN, one_in(m, 8) ? next(m, 60) : 44 + next(m, 400));
        send(m, one_in(m, 16) ? VIRTIO_VSOCK_EVENT : VIRTIO_VSOCK_RX);
        return;
    case 1: /* the host's */
        if (one_in(m, 3)) {
            step2(m, one_in(m, 2) ? FUZZ_ROOM : FUZZ_LINK, next(m, 2 * FAKE_VSOCK_STREAMS),
                  next(m, 1000));
            return;
        }
        struct fuzz_step *step = put_in(m, FUZZ_PACKET);
        step->arg[0] = next(m, FAKE_VSOCK_STREAMS + 1);
        new_bytes(m, step, 1 + next(m, 200));
        return;
    default:
        break;
    }
    le64_put(packet + VIRTIO_VSOCK_HDR_src_cid, one_in(m, 20) ? any_number(m) : RIG_CID);
    le64_put(packet + VIRTIO_VSOCK_HDR_dst_cid, VIRTIO_VSOCK_CID_HOST);
    le32_put(packet + VIRTIO_VSOCK_HDR_src_port, port);
    le32_put(packet + VIRTIO_VSOCK_HDR_dst_port, one_in(m, 3)   ? VSOCK_PORT_FIRST + next(m, 4)
                                                 : one_in(m, 8) ? FAKE_VSOCK_NOBODY
                                                                : port);
    le32_put(packet + VIRTIO_VSOCK_HDR_len, one_in(m, 16) ? (uint32_t)any_number(m) : len);
    le16_put(packet + VIRTIO_VSOCK_HDR_type, (uint16_t)(one_in(m, 20) ? next(m, 4) : 1 + port % 2));
    le16_put(packet + VIRTIO_VSOCK_HDR_op,
             (uint16_t)(len > 0 ? VIRTIO_VSOCK_OP_RW : next(m, VIRTIO_VSOCK_OPS + 1)));
    le32_put(packet + VIRTIO_VSOCK_HDR_flags, next(m, 4));
    le32_put(packet + VIRTIO_VSOCK_HDR_buf_alloc,
             one_in(m, 8) ? (uint32_t)any_number(m) : 1000 * next(m, 8));
    le32_put(packet + VIRTIO_VSOCK_HDR_fwd_cnt,
             one_in(m, 8) ? (uint32_t)any_number(m) : next(m, 600));
    memset(packet + VIRTIO_VSOCK_HDR_BYTES, 'v', len);
    out(m, packet, one_in(m, 16) ? next(m, 60) : VIRTIO_VSOCK_HDR_BYTES + len);
    send(m, VIRTIO_VSOCK_TX);
}

/* Buffers for alarms, and requests: of all kinds, with most of their fields right. */
static void rtc_request(struct maker *m)
{
    static const uint16_t types[] = {1,      2,      0x1000, 0x1001, 0x1002,
                                     0x1003, 0x1004, 0x1005, 3,      0x2000};
    uint8_t bytes[VIRTIO_RTC_MESSAGE_BYTES + 8] = {0};
    uint16_t type = types[next(m, ARRAY_SIZE(types))];
    unsigned at = type == VIRTIO_RTC_REQ_SET_ALARM ? 16 : 8;
    if (one_in(m, 3)) {
        step1(m, FUZZ_IN, one_in(m, 8) ? next(m, 30) : VIRTIO_RTC_NOTIF_BYTES);
        send(m, VIRTIO_RTC_ALARMS);
        return;
    }
    if (at == 16) /* soon, or at any time: the clock begins at 0 */
        le64_put(bytes + 8, one_in(m, 2) ? any_number(m) : next(m, 1u << 31));
    le16_put(bytes, one_in(m, 20) ? (uint16_t)next(m, 0x10000) : type);
    le16_put(bytes + at, one_in(m, 12) ? (uint16_t)next(m, 4) : 0);
    bytes[at + 2] = (uint8_t)(one_in(m, 16) ? next(m, 256) : next(m, 2));
    out(m, bytes, one_in(m, 12) ? next(m, sizeof(bytes)) : at + 8);
    step1(m, FUZZ_IN, one_in(m, 8) ? next(m, 30) : VIRTIO_RTC_MESSAGE_BYTES);
    send(m, VIRTIO_RTC_REQUESTS);
}

/* Messages of FUSE: on their queues, with room for an answer where there is one. */
static void fs_request(struct maker *m)
{
    static const uint32_t prior[] = {FUSE_FORGET, FUSE_INTERRUPT, FUSE_BATCH_FORGET};
    bool is_prior = one_in(m, 4);
    uint32_t bytes = one_in(m, 3) ? next(m, 5000) : next(m, 64);
    struct fuse_in_header header = {.len = (uint32_t)sizeof(header) + bytes,
                                    .opcode = is_prior ? prior[next(m, ARRAY_SIZE(prior))]
                                                       : FUSE_LOOKUP + 2 * next(m, 20),
                                    .unique = any_number(m)};
    out(m, (const uint8_t *)&header,
        one_in(m, 12) ? next(m, sizeof(header)) : (uint32_t)sizeof(header));
    if (bytes > 0 && !one_in(m, 4))
        step2(m, FUZZ_FILL, bytes, next(m, 256));
    if (!is_prior || one_in(m, 4))
        step1(m, FUZZ_IN, one_in(m, 8) ? next(m, 20) : 16 + next(m, 5000));
    unsigned queue = one_in(m, 3) ? next(m, 4) : VIRTIO_FS_REQUESTS;
    send(m, is_prior && !one_in(m, 12) ? VIRTIO_FS_HIPRIO : queue);
}

static void rng_request(struct maker *m)
{
    step1(m, FUZZ_IN, one_in(m, 10) ? next(m, 0x10000) : next(m, 64));
    send(m, 0);
}

/* Buffers for events, what a person does, what the driver says and what it asks. */
static void input_request(struct maker *m)
{
    uint8_t bytes[4 * INPUT_REPORT_EVENTS];
    unsigned kind = next(m, 5);
    uint32_t events = 1 + next(m, one_in(m, 4) ? INPUT_REPORT_EVENTS : 3);
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)next(m, one_in(m, 8) ? 256 : i % 4 == 0 ? 3 : i % 4 == 1 ? 64 : 8);
    if (kind == 0) {
        out(m, bytes, one_in(m, 8) ? next(m, 20) : INPUT_EVENT_BYTES);
        send(m, VIRTIO_INPUT_STATUS);
    } else if (kind == 1) {
        static const uint8_t selects[] = {0x11, 0x12, 1, 2, 3, 0x10};
        bytes[0] = selects[next(m, sizeof(selects))];
        memcpy(new_bytes(m, put_in(m, FUZZ_CONFIG), 2), bytes, 2);
    } else if (kind == 2) {
        struct fuzz_step *step = put_in(m, FUZZ_PACKET);
        step->arg[0] = one_in(m, 4) ? next(m, 256) : next(m, 3);
        uint8_t *to = new_bytes(m, step, 4 * events);
        if (step->len == 4 * events)
            memcpy(to, bytes, 4 * events);
    } else {
        for (uint32_t i = 0; i < 1 + events; i++) {
            step1(m, FUZZ_IN, one_in(m, 16) ? next(m, 20) : INPUT_EVENT_BYTES);
            send(m, VIRTIO_INPUT_EVENTS);
        }
    }
}

/* A number that is mostly below `limit`. */
static void put_number(struct maker *m, uint8_t *at, uint32_t limit)
{
    le32_put(at, one_in(m, 24) ? (uint32_t)any_number(m) : next(m, limit));
}

static void put_rect(struct maker *m, uint8_t *at)
{
    put_number(m, at + VIRTIO_GPU_RECT_x, one_in(m, 2) ? 1 : 64);
    put_number(m, at + VIRTIO_GPU_RECT_y, one_in(m, 2) ? 1 : 64);
    put_number(m, at + VIRTIO_GPU_RECT_width, 65);
    put_number(m, at + VIRTIO_GPU_RECT_height, 65);
}

static void put_entries(struct maker *m, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t entry[VIRTIO_GPU_MEM_ENTRY_BYTES] = {0};
        le64_put(entry, one_in(m, 24) ? any_number(m) : FUZZ_ARENA_GPA + next(m, FUZZ_ARENA_BYTES));
        put_number(m, entry + VIRTIO_GPU_MEM_ENTRY_length, one_in(m, 2) ? 0x4100 : 300);
        out(m, entry, sizeof(entry));
    }
}

/* What the type's request has beside numbers; returns how long it is. */
static uint32_t gpu_fields(struct maker *m, uint32_t type, uint8_t *request, uint32_t entries)
{
    static const uint8_t formats[] = {1, 2, 3, 4, 67, 68, 121, 134};
    uint32_t said = entries + (one_in(m, 20) ? 1 : 0);
    bool is_cursor = one_in(m, 3);
    switch (type) {
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_2D:
        le32_put(request + VIRTIO_GPU_CREATE_2D_format, formats[next(m, sizeof(formats))]);
        put_number(m, request + VIRTIO_GPU_CREATE_2D_width, 65);
        put_number(m, request + VIRTIO_GPU_CREATE_2D_height, 65);
        if (is_cursor) {
            le32_put(request + VIRTIO_GPU_CREATE_2D_width, 64);
            le32_put(request + VIRTIO_GPU_CREATE_2D_height, 64);
        }
        return VIRTIO_GPU_CREATE_2D_BYTES;
    case VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING:
        le32_put(request + VIRTIO_GPU_ATTACH_nr_entries, said);
        return VIRTIO_GPU_ATTACH_BYTES;
    case VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB:
        le32_put(request + VIRTIO_GPU_CREATE_BLOB_blob_mem, one_in(m, 10) ? next(m, 5) : 1);
        le32_put(request + VIRTIO_GPU_CREATE_BLOB_nr_entries, said);
        le64_put(request + VIRTIO_GPU_CREATE_BLOB_size, next(m, 0x9000));
        return VIRTIO_GPU_CREATE_BLOB_BYTES;
    case VIRTIO_GPU_CMD_SET_SCANOUT_BLOB:
        put_rect(m, request + VIRTIO_GPU_SCANOUT_BLOB_r);
        put_number(m, request + VIRTIO_GPU_SCANOUT_BLOB_width, 129);
        put_number(m, request + VIRTIO_GPU_SCANOUT_BLOB_height, 129);
        le32_put(request + VIRTIO_GPU_SCANOUT_BLOB_format, formats[next(m, sizeof(formats))]);
        put_number(m, request + VIRTIO_GPU_SCANOUT_BLOB_strides, 600);
        return VIRTIO_GPU_SCANOUT_BLOB_BYTES;
    case VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D:
        le64_put(request + VIRTIO_GPU_TRANSFER_offset, one_in(m, 3) ? next(m, 2000) : 0);
        put_rect(m, request + VIRTIO_GPU_TRANSFER_r);
        return VIRTIO_GPU_TRANSFER_BYTES;
    case VIRTIO_GPU_CMD_SET_SCANOUT:
    case VIRTIO_GPU_CMD_RESOURCE_FLUSH:
        put_rect(m, request + VIRTIO_GPU_FLUSH_r);
        return VIRTIO_GPU_FLUSH_BYTES;
    default:
        return VIRTIO_GPU_CURSOR_BYTES;
    }
}

/* Resources are few and small, so that commands meet what others have made. */
static void gpu_request(struct maker *m)
{
    static const uint16_t types[] = {0x100, 0x101, 0x101, 0x102, 0x103, 0x103, 0x104, 0x104,
                                     0x104, 0x105, 0x105, 0x105, 0x106, 0x106, 0x106, 0x107,
                                     0x10a, 0x10b, 0x10c, 0x10c, 0x10d, 0x10d, 0x300, 0x301};
    uint8_t request[VIRTIO_GPU_SCANOUT_BLOB_BYTES] = {0};
    uint32_t type = one_in(m, 30) ? 0x100 + next(m, 0x220) : types[next(m, ARRAY_SIZE(types))];
    bool has_entries = type == VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING ||
                       type == VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB;
    uint32_t entries = has_entries ? next(m, 4) : 0;
    le32_put(request, type);
    le32_put(request + VIRTIO_GPU_HDR_flags, next(m, 4));
    for (uint32_t at = VIRTIO_GPU_HDR_BYTES; at < sizeof(request); at += 4)
        put_number(m, request + at, 5);
    uint32_t bytes = gpu_fields(m, type, request, entries);
    out(m, request, one_in(m, 30) ? next(m, bytes) : bytes);
    put_entries(m, entries);
    step1(m, FUZZ_IN, one_in(m, 20) ? next(m, 1100) : 1056);
    send(m, one_in(m, 40) ? next(m, 3) : type >= VIRTIO_GPU_CMD_UPDATE_CURSOR);
}

static void (*const requests[FUZZ_DEVICES])(struct maker *m) = {
    [FUZZ_ECHO] = echo_request,       [FUZZ_BLK] = blk_request,
    [FUZZ_SCSI] = scsi_request,       [FUZZ_NET] = net_request,
    [FUZZ_CONSOLE] = console_request, [FUZZ_RNG] = rng_request,
    [FUZZ_INPUT] = input_request,     [FUZZ_GPU] = gpu_request,
    [FUZZ_BALLOON] = balloon_request, [FUZZ_VSOCK] = vsock_request,
    [FUZZ_RTC] = rtc_request,         [FUZZ_FS] = fs_request,
};

/* Any step, its operands at random. */
static void any_step(struct maker *m)
{
    struct fuzz_step *step = put_in(m, next(m, FUZZ_OPS));
    for (unsigned i = 0; i < FUZZ_ARGS; i++)
        step->arg[i] = any_number(m);
    if (strchr(fuzz_ops[step->op].operands, 's') != NULL) {
        uint8_t *to = new_bytes(m, step, next(m, 24));
        for (uint32_t i = 0; i < step->len; i++)
            to[i] = (uint8_t)any_number(m);
    }
}

/* One that may exist, on either transport. */
static void any_register(struct maker *m)
{
    struct fuzz_step *step = put_in(m, one_in(m, 3) ? FUZZ_GET : FUZZ_SET);
    step->arg[0] = one_in(m, 3) ? next(m, FUZZ_SPACES) : FUZZ_SPACE_REGS;
    step->arg[1] = one_in(m, 2) ? 2 * next(m, 32) : 4 * next(m, 64);
    step->arg[2] = one_in(m, 3) ? next(m, 4) : 1 + next(m, 2);
    step->arg[3] = one_in(m, 2) ? UINT64_C(1) << next(m, 12) : any_number(m);
}

static void host_trouble(struct maker *m)
{
    static const uint8_t ops[] = {FUZZ_FAIL, FUZZ_RESIZE, FUZZ_ROOM, FUZZ_LINK};
    unsigned op = ops[next(m, sizeof(ops))];
    step2(m, op, next(m, op == FUZZ_RESIZE ? 256 : op == FUZZ_FAIL ? 134 : 3), next(m, 4));
}

static void start_step(struct maker *m)
{
    struct fuzz_step *step = put_in(m, FUZZ_START);
    step->arg[0] = one_in(m, 2) ? UINT64_MAX : m->random;
    step->arg[1] = one_in(m, 3) ? next(m, 8) : 7;
    step->arg[2] = one_in(m, 4) ? next(m, 65) : UINT32_C(1) << (1 + next(m, 6));
}

static void fresh(struct maker *m, unsigned device)
{
    m->s->head =
        (struct fuzz_head){.device = (uint8_t)device,
                           .variant = (uint8_t)next(m, RIG_VARIANTS),
                           .options = one_in(m, 2) ? (uint8_t)next(m, FUZZ_OPTIONS + 1) : 0};
    m->s->count = 0;
    m->at = 0;
    start_step(m);
    for (unsigned n = 1 + next(m, 8); n > 0; n--)
        requests[device](m);
}

/* ---- changes ---- */

static void change_bytes(struct maker *m, struct fuzz_step *step)
{
    uint32_t len = step->len;
    const uint8_t *from = step->bytes;
    if (one_in(m, 4))
        len = (uint32_t)min_u64(len + next(m, 16), FUZZ_BYTES_MAX);
    else if (one_in(m, 4))
        len -= (uint32_t)min_u64(len, next(m, 16));
    uint32_t old = (uint32_t)min_u64(step->len, len);
    uint8_t *to = new_bytes(m, step, len);
    if (from != NULL)
        memcpy(to, from, min_u64(old, step->len));
    for (unsigned n = 1 + next(m, 3); n > 0 && step->len > 0; n--) {
        uint32_t at = next(m, step->len);
        if (one_in(m, 3) && at + 8 <= step->len)
            le64_put(to + at, interesting(m));
        else if (one_in(m, 2))
            to[at] ^= (uint8_t)(1u << next(m, 8));
        else
            to[at] = (uint8_t)any_number(m);
    }
}

static void change_step(struct maker *m, struct fuzz_step *step)
{
    const char *operands = fuzz_ops[step->op].operands;
    if (operands[0] == '\0')
        return;
    unsigned which = next(m, (uint32_t)strlen(operands));
    if (operands[which] == 's')
        change_bytes(m, step);
    else if (one_in(m, 3))
        step->arg[which] ^= UINT64_C(1) << next(m, 64);
    else if (one_in(m, 3))
        step->arg[which] += next(m, 9) - UINT64_C(4);
    else
        step->arg[which] = any_number(m);
}

/* Where in the arena the buffer of step `at` will be: see place_buffer(). */
static uint64_t arena_at(const struct fuzz_script *s, unsigned at)
{
    uint64_t used = 0;
    for (unsigned i = 0; i <= at; i++) {
        const struct fuzz_step *step = &s->steps[i];
        bool filled = step->op == FUZZ_FILL || step->op == FUZZ_IN;
        uint64_t len = step->op == FUZZ_OUT ? step->len : filled ? step->arg[0] % 20000 : 0;
        used = used + len > FUZZ_ARENA_BYTES ? 0 : used;
        if (i == at)
            break;
        used = min_u64(align_up(used + len, 8), FUZZ_ARENA_BYTES);
    }
    return used;
}

/* A request whose bytes change while the host is at it. */
static void late_edit(struct maker *m)
{
    struct fuzz_script *s = m->s;
    put_in(m, FUZZ_HOLD);
    unsigned from = m->at;
    requests[s->head.device](m);
    for (unsigned i = from; i < m->at; i++) {
        struct fuzz_step *step;
        if (s->steps[i].op != FUZZ_OUT || s->steps[i].len == 0)
            continue;
        uint64_t at = arena_at(s, i) + (one_in(m, 2) ? 0 : next(m, s->steps[i].len));
        step = put_in(m, FUZZ_EDIT);
        step->arg[0] = at;
        uint8_t *to = new_bytes(m, step, 1 + next(m, 8));
        for (uint32_t k = 0; k < step->len; k++)
            to[k] = one_in(m, 4) ? (uint8_t)any_number(m) : (uint8_t)next(m, 3);
        break;
    }
    put_in(m, FUZZ_RELEASE);
}

/* Until that chain the driver has broken no rule since it started: what comes back is judged. */
static void fault_at_once(struct maker *m)
{
    start_step(m);
    m->bends = true;
    requests[m->s->head.device](m);
    m->bends = false;
}

static void change(struct maker *m)
{
    struct fuzz_script *s = m->s;
    m->at = next(m, s->count + 1);
    unsigned at = s->count > 0 ? next(m, s->count) : 0, run = 1 + next(m, 6);
    switch (s->count == 0 ? 0 : next(m, 19)) {
    case 0:
    case 1:
    case 2:
    case 3:
        requests[s->head.device](m);
        break;
    case 4:
    case 5:
        any_step(m);
        break;
    case 6: /* away with some */
        run = (unsigned)min_u64(run, s->count - at);
        memmove(&s->steps[at], &s->steps[at + run], (s->count - at - run) * sizeof(s->steps[0]));
        s->count -= run;
        break;
    case 7: /* once more */
        run = (unsigned)min_u64(run, s->count - at);
        for (unsigned i = 0; i < run; i++) {
            struct fuzz_step copy = s->steps[(at + i) % s->count];
            *put_in(m, copy.op) = copy;
        }
        break;
    case 8: { /* in another order */
        struct fuzz_step one = s->steps[at];
        unsigned other = next(m, s->count);
        s->steps[at] = s->steps[other];
        s->steps[other] = one;
        break;
    }
    case 9:
        start_step(m);
        break;
    case 10:
        s->head.variant = (uint8_t)next(m, RIG_VARIANTS + RIG_LEGACY_VARIANTS);
        break;
    case 11:
        s->head.options ^= (uint8_t)(1u << next(m, FUZZ_OPTION_BITS));
        break;
    case 12:
    case 13:
        late_edit(m);
        break;
    case 14:
        any_register(m);
        break;
    case 15:
        host_trouble(m);
        break;
    case 16:
        fault_at_once(m);
        break;
    default:
        change_step(m, &s->steps[at]);
        break;
    }
}

static void drop_raw(struct fuzz_script *s)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < s->count; i++)
        if (s->steps[i].op < FUZZ_FIRST_RAW)
            s->steps[kept++] = s->steps[i];
    s->count = kept;
    s->head.variant %= RIG_VARIANTS;
}

static struct maker begin(struct fuzz_script *s, unsigned seed)
{
    static uint8_t bytes[NEW_BYTES];
    struct maker m = {.random = (seed + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15),
                      .s = s,
                      .bytes = bytes,
                      .bytes_left = sizeof(bytes)};
    next(&m, 2);
    return m;
}

size_t fuzz_mutate(uint8_t *data, size_t len, size_t max, unsigned seed, unsigned device,
                   bool portable)
{
    static struct fuzz_script s;
    static uint8_t copy[FUZZ_FILE_MAX]; /* steps point into it while data is written anew */
    struct maker m = begin(&s, seed);
    len = min_u64(len, sizeof(copy));
    memcpy(copy, data, len);
    if (!fuzz_script_decode(&s, copy, len) || one_in(&m, 1000))
        fresh(&m, device);
    s.head.device = (uint8_t)device;
    for (unsigned n = 1 + next(&m, CHANGES); n > 0; n--)
        change(&m);
    if (portable)
        drop_raw(&s);
    return fuzz_script_encode(&s, data, max);
}

size_t fuzz_cross(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len, uint8_t *out,
                  size_t max, unsigned seed)
{
    static struct fuzz_script first, second;
    struct maker m = begin(&first, seed);
    if (!fuzz_script_decode(&first, a, a_len) || !fuzz_script_decode(&second, b, b_len))
        return 0;
    first.count = next(&m, first.count + 1);
    for (unsigned i = next(&m, second.count + 1); i < second.count && first.count < FUZZ_STEPS_MAX;
         i++)
        first.steps[first.count++] = second.steps[i];
    return fuzz_script_encode(&first, out, max);
}
