// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames that somebody hostile sends: the guest's towards libslirp and its checksums, and another
 * end's on a socket between machines.
 *
 *     byte 0   who looks at it (the checks before libslirp, likewise with nothing new allowed;
 *              checksums; a socket; those checks of a connection)
 *     then     the frame; for checksums behind its packet's header; for a socket pieces of its
 *              stream: a byte below 0x80 says how many follow, any other is what a frame is made
 *              of, of which two bytes say the length; for connections steps of eight bytes: which
 *              of four it is and what comes (a segment, or libslirp's answer to it), flags, a
 *              length, a sequence number
 *
 * What passes is a beginning of the frame, and headers, addresses and lengths in it are consistent:
 * read here once more, from the standards. A checksum is filled in where it was to be, and is
 * right. A socket gives the frames that are in the stream, and all of them. Of a connection's
 * segments no more pass than may be ahead of what was acknowledged, and one that begins there
 * always passes.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/be.h"
#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "devices/net/net_frame.h"
#include "devices/net/socket/net_socket_impl.h"
#include "devices/net/user/net_user_impl.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/target.h"
#include "tests/harness/fake.h"

#define KINDS      5u
#define PIECES_MAX 64u
#define STREAM_MAX (512 * KIB)

/* The Internet checksum's sum (RFC 1071), one 16-bit word after the other. */
static unsigned sum_of(const uint8_t *p, size_t bytes)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += i % 2 == 0 ? (unsigned)p[i] << 8 : p[i];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (unsigned)sum;
}

/* ---- before libslirp ---- */

static void check_ipv4(const struct user_vet *vet, const uint8_t *ip, size_t bytes)
{
    unsigned port = bytes >= 24 ? be16_get(ip + 22) : 0;
    fuzz_check(bytes >= 20 && ip[0] == 0x45 && be16_get(ip + 2) == bytes, "IPv4's length is wrong");
    fuzz_check(ip[16] != 0 && ip[16] != 127, "an address of the host's own passes");
    fuzz_check(memcmp(ip + 12, "\x0a\0\x02", 3) == 0 || (ip[9] == 17 && port == 67),
               "an address from outside passes");
    fuzz_check(ip[9] == 1 || ip[9] == 6 || ip[9] == 17, "protocol %u passes", ip[9]);
    fuzz_check(bytes >= 20 + (ip[9] == 6 ? 20u : 8u), "half a header passes");
    fuzz_check((be16_get(ip + 6) & 0xbfff) == 0, "a fragment passes");
    fuzz_check(ip[9] != 17 || (!vet->full && port != 69), "UDP port %u passes", port);
    fuzz_check(ip[9] != 6 || (ip[33] & 0x20) == 0, "urgent data passes");
    fuzz_check(ip[9] != 6 || !vet->full || (ip[33] & 0x12) != 2, "SYN passes");
}

static void check_ipv6(const uint8_t *ip, size_t bytes)
{
    fuzz_check(bytes >= 48 && ip[0] >> 4 == 6 && be16_get(ip + 4) + 40u == bytes,
               "IPv6's length is wrong");
    fuzz_check(ip[6] == 6 || ip[6] == 17 || ip[6] == 58, "protocol %u passes", ip[6]);
    fuzz_check(ip[6] != 6 || (bytes >= 60 && (ip[53] & 0x20) == 0), "half a TCP header passes");
    fuzz_check(ip[6] != 17 ||
                   (be16_get(ip + 42) != 69 && (be16_get(ip + 42) != 547 || bytes <= 40 + 512)),
               "UDP port %u passes", be16_get(ip + 42));
}

/* What changes is a flag, and the checksum stays as right as it was. */
static void check_changes(const uint8_t *before, const uint8_t *after, size_t bytes)
{
    unsigned changed = 0;
    for (size_t i = 0; i < bytes; i++)
        changed += before[i] != after[i];
    fuzz_check(changed == 0 || changed == 2 || changed == 3, "%u bytes changed", changed);
    unsigned is = sum_of(after + 14, bytes - 14), was = sum_of(before + 14, bytes - 14);
    fuzz_check(is % 0xffff == was % 0xffff, "the sum was 0x%x and is 0x%x", was, is);
}

static struct user_flows flows;

/*
 * A segment of a connection that is unknown has lost its data, and is before what it was. Nothing
 * else changes it so much.
 */
static bool is_probe(const uint8_t *before, const uint8_t *after, size_t kept)
{
    size_t ip = be16_get(after + 12) == 0x86dd ? 40 : 20;
    if (after[14 + (ip == 40 ? 6 : 9)] != 6)
        return false;
    const uint8_t *tcp = after + 14 + ip, *was = before + 14 + ip;
    size_t header = (size_t)(tcp[12] >> 4) * 4;
    uint32_t seq = be32_get(was + 4);
    uint32_t now = be32_get(tcp + 4);
    if (seq == now)
        return false;
    fuzz_check(kept == 14 + ip + header && now == seq - 1 && (tcp[13] & 9) == 0,
               "%zu bytes at %u pass as a probe", kept, now);
    uint8_t pseudo[40] = {0};
    memcpy(pseudo, after + 14 + (ip == 40 ? 8 : 12), ip == 40 ? 32 : 8);
    unsigned sum = sum_of(pseudo, 32) + (unsigned)header + 6 + sum_of(tcp, header);
    fuzz_check(sum % 0xffff == 0, "a probe's sum is 0x%x", sum);
    fuzz_check(ip == 40 || sum_of(after + 14, 20) == 0xffff, "a probe's header is wrong");
    return true;
}

static void vet(const uint8_t *data, size_t len, bool full)
{
    struct user_vet v = {.full = full, .half_open = true, .flows = &flows, .ahead = 4};
    memset(&flows, 0, sizeof(flows));
    v.net.s_addr = htonl(0x0a000200);
    v.mask.s_addr = htonl(0xffffff00);
    uint8_t *frame = malloc(len + 1); /* no byte more, for sanitizers */
    BUG_ON(frame == NULL);
    memcpy(frame, data, len);
    size_t kept = user_vet(&v, frame, len);
    fuzz_check(kept <= len && (kept == 0 || kept > NET_FRAME_HEADER), "%zu of %zu bytes", kept,
               len);
    if (kept > 0) {
        unsigned type = be16_get(frame + 12);
        if (type == 0x0800)
            check_ipv4(&v, frame + 14, kept - 14);
        else if (type == 0x86dd)
            check_ipv6(frame + 14, kept - 14);
        else
            fuzz_check(type == 0x0806 && kept == 14 + 28, "frames of type 0x%x pass", type);
        bool probe = type != 0x0806 && is_probe(data, frame, kept);
        if (!probe)
            check_changes(data, frame, kept);
    }
    free(frame);
}

/* ---- connections ---- */

#define CONNECTIONS 4u
#define AHEAD       4u

/* What libslirp may keep of a connection, in the worst case. */
struct model {
    bool known;
    uint32_t acked;
    unsigned kept;
    uint32_t kept_end;
};

/* A segment of the guest's with `data` bytes, or an answer to it. Returns the frame's bytes. */
static size_t make_step(uint8_t *frame, unsigned n, bool answer, uint32_t number, uint8_t flags,
                        size_t data)
{
    bool six = n % 2 != 0;
    size_t ip_bytes = six ? 40 : 20, bytes = 20 + (answer ? 0 : data);
    uint8_t *ip = frame + 14, *tcp = ip + ip_bytes;
    uint8_t guest[16] = {10, 0, 2, 15}, host[16] = {10, 0, 2, 2};
    memset(frame, 0, 14 + ip_bytes + bytes);
    if (six) {
        memcpy(guest, (const uint8_t[16]){0xfe, 0xc0, [15] = 15}, 16);
        memcpy(host, (const uint8_t[16]){0xfe, 0xc0, [15] = 2}, 16);
    }
    size_t addr = six ? 16 : 4;
    frame[12] = six ? 0x86 : 8, frame[13] = six ? 0xdd : 0;
    ip[0] = six ? 0x60 : 0x45;
    ip[six ? 6 : 9] = 6;
    ip[six ? 4 : 2] = (uint8_t)((bytes + (six ? 0 : 20)) >> 8);
    ip[six ? 5 : 3] = (uint8_t)(bytes + (six ? 0 : 20));
    memcpy(ip + (six ? 8 : 12) + (answer ? addr : 0), guest, addr);
    memcpy(ip + (six ? 8 : 12) + (answer ? 0 : addr), host, addr);
    tcp[answer ? 3 : 1] = (uint8_t)(1 + n);
    for (unsigned i = 0; i < 4; i++)
        tcp[(answer ? 8 : 4) + i] = (uint8_t)(number >> 8 * (3 - i));
    tcp[12] = 0x50;
    tcp[13] = flags;
    return 14 + ip_bytes + bytes;
}

static void take_answer(struct model *m, uint8_t *frame, size_t bytes, uint32_t ack, uint8_t flags)
{
    user_flow_answer(&flows, frame, bytes);
    if ((flags & USER_TCP_RST) != 0 || (flags & (USER_TCP_SYN | USER_TCP_ACK)) == 0)
        return;
    if (!m->known || (flags & USER_TCP_SYN) != 0 || (int32_t)(ack - m->kept_end) >= 0)
        m->kept = 0;
    m->known = true;
    m->acked = ack;
}

static void send_segment(struct model *m, struct user_vet *v, uint8_t *frame, size_t bytes,
                         uint32_t seq, uint8_t flags, size_t data)
{
    size_t kept = user_vet(v, frame, bytes);
    size_t length = data + ((flags & USER_TCP_FIN) != 0);
    uint32_t end = seq + (uint32_t)data;
    bool near = m->acked - seq <= GIB || seq - m->acked <= 256 * KIB;
    if (length == 0 || (flags & USER_TCP_RST) != 0) {
        fuzz_check(kept == bytes, "a segment without data is lost");
        return;
    }
    if ((flags & USER_TCP_SYN) != 0 || (m->known && (end == 0 || !near))) {
        fuzz_check(kept == 0, "data that ends at %u passes", end);
        return;
    }
    if (!m->known) {
        fuzz_check(kept == bytes - data, "%zu bytes of an unknown connection pass", kept);
        return;
    }
    if ((int32_t)(seq - m->acked) <= 0) {
        fuzz_check(kept == bytes || end < seq, "what is expected is lost");
        return;
    }
    fuzz_check(kept == 0 || kept == bytes, "%zu bytes of %zu pass", kept, bytes);
    if (kept == 0)
        return;
    m->kept_end = m->kept == 0 || (int32_t)(seq + (uint32_t)length - m->kept_end) > 0
                      ? seq + (uint32_t)length
                      : m->kept_end;
    m->kept++;
    fuzz_check(m->kept <= AHEAD, "%u segments are ahead of %u", m->kept, m->acked);
}

static void connect_and_send(struct fuzz_input *in)
{
    static uint8_t frame[14 + 40 + 20 + 65535];
    struct model models[CONNECTIONS] = {0};
    struct user_vet v = {.half_open = true, .flows = &flows, .ahead = AHEAD};
    v.net.s_addr = htonl(0x0a000200);
    v.mask.s_addr = htonl(0xffffff00);
    memset(&flows, 0, sizeof(flows));
    for (unsigned steps = 0; steps < 200 && in->left >= 8; steps++) {
        unsigned what = (unsigned)fuzz_take(in, 1);
        uint8_t flags = (uint8_t)fuzz_take(in, 1) & 0x1f;
        size_t data = fuzz_take(in, 2);
        struct model *m = &models[what % CONNECTIONS];
        uint32_t number = (uint32_t)fuzz_take(in, 4);
        if ((what & 8) != 0) /* near to what is expected */
            number = m->acked + (uint32_t)(int8_t)number;
        data = (what & 16) != 0 ? data % 60000 : data % 4;
        bool answer = (what & 4) != 0;
        size_t bytes = make_step(frame, what % CONNECTIONS, answer, number, flags, data);
        if (answer)
            take_answer(m, frame, bytes, number, flags);
        else
            send_segment(m, &v, frame, bytes, number, flags, data);
    }
}

/* ---- checksums ---- */

static void fill_csum(const uint8_t *data, size_t len)
{
    if (len < NET_HEADER_BYTES + NET_FRAME_HEADER)
        return;
    uint8_t *packet = malloc(len);
    BUG_ON(packet == NULL);
    memcpy(packet, data, len);
    int err = net_frame_fill_csum(packet, len);
    size_t start = NET_HEADER_BYTES + le16_get(data + NET_HDR_CSUM_START);
    size_t at = start + le16_get(data + NET_HDR_CSUM_OFFSET);
    bool wanted = data[NET_HDR_FLAGS] & NET_HDR_NEEDS_CSUM;
    fuzz_check((err != 0) == (wanted && at + 2 > len), "error %d", err);
    if (err == 0 && wanted) {
        fuzz_check((packet[NET_HDR_FLAGS] & NET_HDR_NEEDS_CSUM) == 0, "it is still wanted");
        /*
         * The sender has put the pseudo header's sum there: replaced by what makes all of it 0,
         * unless the place is odd, where no protocol has one.
         */
        unsigned sum = sum_of(packet + start, len - start), pseudo = be16_get(data + at);
        fuzz_check((at - start) % 2 != 0 || (sum + pseudo) % 0xffff == 0, "the sum is 0x%x", sum);
        packet[at] = data[at];
        packet[at + 1] = data[at + 1];
        packet[NET_HDR_FLAGS] = data[NET_HDR_FLAGS];
    }
    fuzz_check(memcmp(packet, data, len) == 0, "something else changed");
    free(packet);
}

/* ---- a socket ---- */

/* What the other end has sent, and how much of it has been given. */
static struct wire {
    struct fuzz_host host;
    struct net_socket socket;
    uint8_t stream[STREAM_MAX];
    size_t sent, given;
} wire;

/* The next frame that must come; NULL: there is none, or the other end is no peer. */
static const uint8_t *next_frame(struct wire *w, size_t *bytes)
{
    while (w->sent - w->given >= SOCKET_LENGTH_BYTES) {
        const uint8_t *at = w->stream + w->given;
        *bytes = be32_get(at);
        if (*bytes > SOCKET_FRAME_MAX || *bytes > w->sent - w->given - SOCKET_LENGTH_BYTES)
            return NULL;
        w->given += SOCKET_LENGTH_BYTES + *bytes;
        if (*bytes >= NET_FRAME_HEADER)
            return at + SOCKET_LENGTH_BYTES;
    }
    return NULL;
}

static void on_rx(void *ctx, unsigned pair)
{
    static uint8_t packet[NET_PACKET_MAX];
    struct wire *w = ctx;
    for (unsigned i = 0;; i++) {
        size_t room = i % 5 == 4 ? 100 : sizeof(packet), bytes = 0;
        struct iovec iov = {packet, room};
        ssize_t n = socket_receive(&w->socket.b, pair, &iov, 1);
        if (n == -EAGAIN)
            return;
        const uint8_t *frame = next_frame(w, &bytes);
        fuzz_check(frame != NULL, "a frame that nobody sent");
        if (NET_HEADER_BYTES + bytes > room) {
            fuzz_check(n == -EMSGSIZE, "%zu bytes in %zu: %zd", bytes, room, n);
            continue;
        }
        fuzz_check(n == (ssize_t)(NET_HEADER_BYTES + bytes), "%zu bytes are %zd", bytes, n);
        fuzz_check(frame != NULL && memcmp(packet + NET_HEADER_BYTES, frame, bytes) == 0,
                   "another frame");
    }
}

static void send_piece(struct wire *w, int fd, struct fuzz_input *in)
{
    unsigned kind = (unsigned)fuzz_take(in, 1);
    uint8_t *at = w->stream + w->sent;
    size_t len, room = STREAM_MAX - w->sent;
    if (kind < 0x80) {
        const uint8_t *bytes = fuzz_take_bytes(in, min_u64(kind, room), &len);
        if (len > 0)
            memcpy(at, bytes, len);
    } else { /* a frame of that byte */
        size_t bytes = fuzz_take(in, 2);
        len = min_u64(SOCKET_LENGTH_BYTES + bytes, room);
        memset(at, (int)kind, len);
        for (size_t i = 0; i < SOCKET_LENGTH_BYTES && i < len; i++)
            at[i] = (uint8_t)(bytes >> 8 * (SOCKET_LENGTH_BYTES - 1 - i));
    }
    ssize_t n = send(fd, at, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    w->sent += n > 0 ? (size_t)n : 0;
    evloop_drain(w->host.loop);
}

static void receive_stream(struct fuzz_input *in)
{
    struct wire *w = &wire;
    int fds[2] = {-1, -1};
    fuzz_host_open(&w->host);
    int err = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds);
    BUG_ON(err != 0);
    struct net_socket *s = &w->socket;
    socket_link_init(s);
    socket_forget(s);
    s->loop = w->host.loop;
    s->clock = &w->host.clock;
    s->tx_skip = s->rx_skip = NET_HEADER_BYTES;
    s->b.handler = (struct net_handler){.on_rx = on_rx, .ctx = w};
    s->fd = fds[0];
    s->complained = true;
    w->sent = w->given = 0;
    socket_poll(s, EPOLLIN, 0);
    for (unsigned i = 0; i < PIECES_MAX && in->left > 0; i++)
        send_piece(w, fds[1], in);
    size_t bytes = 0;
    fuzz_check(next_frame(w, &bytes) == NULL, "a frame of %zu bytes was not given", bytes);
    socket_link_end(s);
    close(fds[1]);
}

static void run(struct fuzz_input *in)
{
    unsigned kind = (unsigned)fuzz_take(in, 1) % KINDS;
    if (kind == 4)
        connect_and_send(in);
    else if (kind < 2)
        vet(in->at, in->left, kind == 1);
    else if (kind == 2)
        fill_csum(in->at, in->left);
    else
        receive_stream(in);
}

/* ---- frames that are right but for a byte ---- */

static uint32_t next(uint64_t *random, uint32_t below)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*random >> 33) % below;
}

/* A frame in `to`, which is zeroes; returns its bytes. */
static size_t make_frame(uint8_t *to, uint64_t *random)
{
    static const uint8_t protocols[] = {1, 6, 6, 17, 17, 58, 2};
    static const uint16_t ports[] = {53, 69, 547, 80};
    bool six = next(random, 3) == 0, fragment = next(random, 8) == 0;
    uint8_t protocol = protocols[next(random, sizeof(protocols))], *ip = to + 14;
    size_t ip_bytes = six ? 40 : 20, bytes = 20 + next(random, 600);
    be16_put(to + 12, six ? 0x86dd : next(random, 10) == 0 ? 0x0806 : 0x0800);
    ip[0] = six ? 0x60 : 0x45;
    ip[six ? 6 : 9] = protocol;
    be16_put(ip + (six ? 4 : 2), bytes + (six ? 0 : 20));
    if (!six) {
        be16_put(ip + 6, fragment ? 1u << next(random, 14) : 0);
        memcpy(ip + 16, (const uint8_t[]){10, 0, (uint8_t)next(random, 4), 2}, 4);
    }
    be16_put(ip + ip_bytes + 2, ports[next(random, ARRAY_SIZE(ports))]);
    if (protocol == 6) {
        ip[ip_bytes + 13] = (uint8_t)next(random, 64);
        be16_put(ip + ip_bytes + 16, next(random, 65536));
    }
    return 14 + ip_bytes + bytes;
}

static size_t mutate(const struct fuzz_target *target, uint8_t *data, size_t len, size_t max,
                     unsigned seed)
{
    static uint8_t fresh[2048];
    uint64_t random = seed;
    (void)target;
    if (len < 40 || next(&random, 8) == 0) {
        unsigned kind = next(&random, KINDS);
        uint8_t *frame = fresh + 1 + (kind == 2 ? NET_HEADER_BYTES : 0);
        memset(fresh, 0, sizeof(fresh));
        fresh[0] = (uint8_t)kind;
        len = (size_t)(frame - fresh) + make_frame(frame, &random);
        if (kind == 2) {
            fresh[1] = NET_HDR_NEEDS_CSUM;
            le16_put(fresh + 1 + NET_HDR_CSUM_START, (uint16_t)next(&random, 60));
            le16_put(fresh + 1 + NET_HDR_CSUM_OFFSET, (uint16_t)next(&random, 20));
        } else if (kind == 3) { /* of a few pieces */
            fresh[1] = (uint8_t)(0x80 + next(&random, 0x80));
            fresh[4] = 4;
            fresh[8] = (uint8_t)(len = 9 + next(&random, 100));
        }
        if (kind == 4) { /* steps, most of them near to what is expected */
            len = 1 + 8 * (size_t)(1 + next(&random, 60));
            for (size_t i = 1; i < len; i++)
                fresh[i] = (uint8_t)next(&random, 256);
            for (size_t i = 1; i < len; i += 8) {
                fresh[i] = (uint8_t)(next(&random, 32) | 8);
                fresh[i + 1] = next(&random, 8) == 0 ? 0x12 : 0x10;
            }
        }
        len = min_u64(len, max);
        memcpy(data, fresh, len);
    }
    for (unsigned n = next(&random, 4); n > 0 && len > 0; n--)
        data[next(&random, (uint32_t)min_u64(len, next(&random, 2) != 0 ? 64 : len))] =
            (uint8_t)(next(&random, 3) == 0 ? 0xff : next(&random, 256));
    return next(&random, 16) == 0 ? next(&random, (uint32_t)len + 1) : len;
}

const struct fuzz_target fuzz_target_frames = {
    .name = "frames", .run = fuzz_run_bytes, .bytes = run, .mutate = mutate};
