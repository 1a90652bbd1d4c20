// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/user/net_user_flow.h"

#include <string.h>

#include "core/base/xmath.h"
#include "devices/net/net_frame.h"
#include "devices/net/user/net_user_impl.h"

/* More than libslirp receives ahead: beyond it nothing waits. */
#define WINDOW_BYTES ((uint32_t)(256 * KIB))
/* Segments that begin no further back are old ones, or begin where libslirp waits. */
#define OLD_BYTES ((uint32_t)GIB)

/* Sequence numbers wrap: a is later than b if it is less than 2 GiB ahead. */
static bool is_later(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

static bool is_v6(const uint8_t *ip)
{
    return ip[0] >> 4 == 6;
}

/* ---- the table ---- */

/* An IPv4 address stands in the first bytes of its place, which no IPv6 address of a guest has. */
static void make_key(uint8_t key[36], const uint8_t *ip, const uint8_t *tcp, bool from_guest)
{
    unsigned guest = from_guest ? 0 : 1, other = 1 - guest;
    size_t bytes = is_v6(ip) ? 16 : 4;
    const uint8_t *addrs = ip + (is_v6(ip) ? 8 : 12);
    memset(key, 0, 36);
    memcpy(key, addrs + guest * bytes, bytes);
    memcpy(key + 16, addrs + other * bytes, bytes);
    memcpy(key + 32, tcp + (size_t)guest * 2, 2);
    memcpy(key + 34, tcp + (size_t)other * 2, 2);
}

/* A guest that makes connections share a set makes only those of its own slower. */
static struct user_flow *set_of(struct user_flows *flows, const uint8_t key[36])
{
    uint32_t hash = 0;
    for (unsigned i = 0; i < 36; i += 4)
        hash = (hash ^ be32_get(key + i)) * 0x9e3779b1u;
    return flows->flow[(hash >> 16) % USER_FLOW_SETS];
}

static struct user_flow *find(struct user_flows *flows, const uint8_t key[36])
{
    struct user_flow *set = set_of(flows, key);
    for (unsigned i = 0; i < USER_FLOW_WAYS; i++)
        if (set[i].used != 0 && memcmp(set[i].key, key, sizeof(set[i].key)) == 0)
            return &set[i];
    return NULL;
}

/* In place of the flow that was used least recently. */
static struct user_flow *add(struct user_flows *flows, const uint8_t key[36])
{
    struct user_flow *set = set_of(flows, key), *oldest = set;
    for (unsigned i = 1; i < USER_FLOW_WAYS; i++)
        if (flows->answers - set[i].used > flows->answers - oldest->used)
            oldest = &set[i];
    memset(oldest, 0, sizeof(*oldest));
    memcpy(oldest->key, key, sizeof(oldest->key));
    return oldest;
}

/* ---- what the guest sends ---- */

/*
 * libslirp 4.7 looks for the segment behind the last one at a wrong place, where it finds 0, and
 * takes what is there for a segment if it waits for that number. So no data may end at 0, nor be
 * cut there by the end of the window. (A guest sends it again, with other ends.)
 */
static bool may_end_at_zero(const struct user_flow *f, uint32_t seq, uint32_t data_end)
{
    return data_end == 0 || (data_end < seq && is_later(data_end, f->acked + f->window));
}

enum user_flow_verdict user_flow_vet(struct user_flows *flows, const uint8_t *ip,
                                     const uint8_t *tcp, size_t bytes, unsigned ahead)
{
    uint8_t key[36];
    uint32_t data = (uint32_t)bytes - (uint32_t)(tcp[12] >> 4) * 4;
    uint32_t length = data + ((tcp[13] & USER_TCP_FIN) != 0);
    if (length == 0 || (tcp[13] & USER_TCP_RST) != 0)
        return USER_FLOW_PASS; /* nothing that would be kept */
    if ((tcp[13] & USER_TCP_SYN) != 0)
        return USER_FLOW_DROP; /* a guest that opens fast sends the data again, without SYN */
    make_key(key, ip, tcp, true);
    struct user_flow *f = find(flows, key);
    if (f == NULL)
        return USER_FLOW_PROBE;
    uint32_t seq = be32_get(tcp + 4), end = seq + length;
    if (may_end_at_zero(f, seq, seq + data))
        return USER_FLOW_DROP;
    if (f->acked - seq <= OLD_BYTES)
        return USER_FLOW_PASS;
    if (seq - f->acked > WINDOW_BYTES || f->waiting >= min_u64(ahead, USER_FLOW_AHEAD))
        return USER_FLOW_DROP;
    f->waiting += 1 + length / NET_USER_MTU; /* its buffer stays as large */
    f->end = is_later(end, f->end) ? end : f->end;
    return USER_FLOW_PASS;
}

static void sum_tcp(uint8_t *ip, uint8_t *tcp, size_t bytes)
{
    uint8_t pseudo[40] = {0};
    size_t addrs = is_v6(ip) ? 32 : 8;
    memcpy(pseudo, ip + (is_v6(ip) ? 8 : 12), addrs);
    be16_put(pseudo + addrs, (uint16_t)bytes);
    pseudo[addrs + 3] = USER_PROTO_TCP;
    be16_put(tcp + 16, 0);
    uint32_t sum = (uint32_t)net_frame_sum(pseudo, sizeof(pseudo)) + net_frame_sum(tcp, bytes);
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t check = (uint16_t)~sum;
    memcpy(tcp + 16, &check, sizeof(check));
}

size_t user_flow_make_probe(uint8_t *ip, uint8_t *tcp)
{
    size_t bytes = (size_t)(tcp[12] >> 4) * 4;
    uint32_t seq = be32_get(tcp + 4) - 1; /* what comes before has to be answered */
    be32_put(tcp + 4, seq);
    tcp[13] &= (uint8_t) ~(USER_TCP_FIN | USER_TCP_PSH);
    sum_tcp(ip, tcp, bytes);
    if (is_v6(ip)) {
        be16_put(ip + 4, (uint16_t)bytes);
        return bytes;
    }
    be16_put(ip + 2, (uint16_t)(USER_IPV4_BYTES + bytes));
    be16_put(ip + 10, 0);
    uint16_t check = (uint16_t)~net_frame_sum(ip, USER_IPV4_BYTES);
    memcpy(ip + 10, &check, sizeof(check));
    return bytes;
}

/* ---- what libslirp answers ---- */

/* The TCP header of a frame, or NULL. */
static const uint8_t *tcp_of(const uint8_t *frame, size_t bytes)
{
    size_t at = NET_FRAME_HEADER;
    if (bytes < at + USER_IPV4_BYTES + USER_TCP_BYTES)
        return NULL;
    bool six = be16_get(frame + 12) == USER_TYPE_IPV6;
    if (frame[at + (six ? 6 : 9)] != USER_PROTO_TCP ||
        (!six && be16_get(frame + 12) != USER_TYPE_IPV4))
        return NULL;
    at += six ? USER_IPV6_BYTES : (size_t)(frame[at] & 15) * 4;
    return bytes >= at + USER_TCP_BYTES ? frame + at : NULL;
}

void user_flow_answer(struct user_flows *flows, const uint8_t *frame, size_t bytes)
{
    uint8_t key[36];
    const uint8_t *tcp = tcp_of(frame, bytes);
    if (tcp == NULL || (tcp[13] & USER_TCP_RST) != 0)
        return; /* a reset acknowledges what it refuses */
    bool begins = (tcp[13] & USER_TCP_SYN) != 0;
    if (!begins && (tcp[13] & USER_TCP_ACK) == 0)
        return;
    make_key(key, frame + NET_FRAME_HEADER, tcp, false);
    struct user_flow *f = find(flows, key);
    bool is_new = f == NULL;
    if (is_new)
        f = add(flows, key);
    if (++flows->answers == 0)
        flows->answers = 1;
    f->used = flows->answers;
    f->acked = be32_get(tcp + 8);
    f->window = be16_get(tcp + 14);
    if (begins || (!is_new && !is_later(f->end, f->acked))) {
        f->waiting = 0;
        f->end = f->acked;
    } else if (is_new) { /* anything may wait that has passed before it was forgotten */
        f->waiting = USER_FLOW_AHEAD;
        f->end = f->acked + WINDOW_BYTES;
    }
}
