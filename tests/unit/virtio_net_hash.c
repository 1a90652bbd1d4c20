// SPDX-License-Identifier: BSD-2-Clause
/* The hash of flows: the vectors that Microsoft has published, and frames that are odd. */
#include "virtio/net/net_hash.h"

#include <arpa/inet.h>

#include "tests/harness/test.h"
#include "virtio/spec.h"

#define BIT(type)    (1u << VIRTIO_NET_HASH_##type)
#define REPORT(type) (VIRTIO_NET_HASH_##type + 1)
#define TCP          6
#define UDP          17

/* "Verifying the RSS hash calculation", of Windows' network drivers. */
static const struct net_hash_config all = {
    .types = NET_HASH_TYPES,
    .key = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
            0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
            0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa},
};

static const struct {
    const char *to, *from;
    uint16_t to_port, from_port;
    uint32_t ip, ports;
} vectors[] = {
    {"161.142.100.80", "66.9.149.187", 1766, 2794, 0x323e8fc2, 0x51ccc178},
    {"65.69.140.83", "199.92.111.2", 4739, 14230, 0xd718262a, 0xc626b0ea},
    {"12.22.207.184", "24.19.198.95", 38024, 12898, 0xd2d0a5de, 0x5c2b394a},
    {"209.142.163.6", "38.27.205.30", 2217, 48228, 0x82989176, 0xafc7327f},
    {"202.188.127.2", "153.39.163.191", 1303, 44251, 0x5d1809c5, 0x10e828a2},
    {"3ffe:2501:200:3::1", "3ffe:2501:200:1fff::7", 1766, 2794, 0x2cc18cd5, 0x40207d3d},
    {"ff02::1", "3ffe:501:8::260:97ff:fe40:efab", 4739, 14230, 0x0f0c461c, 0xdde51bbf},
    {"fe80::200:f8ff:fe21:67cf", "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 38024, 44251, 0x4b61e985,
     0x02d1feef},
};

static void be16_put(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

/* A frame of a vector, with `tags` VLAN tags. Returns its bytes; *ip is where its packet is. */
static size_t make(uint8_t frame[128], unsigned vector, uint8_t protocol, unsigned tags,
                   uint8_t **ip)
{
    bool v6 = strchr(vectors[vector].to, ':') != NULL;
    memset(frame, 0, 128);
    uint8_t *at = frame + 12;
    for (unsigned i = 0; i < tags; i++, at += 4)
        be16_put(at, i + 1 < tags ? 0x88a8 : 0x8100);
    be16_put(at, v6 ? 0x86dd : 0x0800);
    *ip = at + 2;
    (*ip)[0] = v6 ? 0x60 : 0x45;
    (*ip)[v6 ? 6 : 9] = protocol;
    uint8_t *addresses = *ip + (v6 ? 8 : 12);
    cr_assert_eq(inet_pton(v6 ? AF_INET6 : AF_INET, vectors[vector].from, addresses), 1);
    cr_assert_eq(inet_pton(v6 ? AF_INET6 : AF_INET, vectors[vector].to, addresses + (v6 ? 16 : 4)),
                 1);
    uint8_t *ports = *ip + (v6 ? 40 : 20);
    be16_put(ports, vectors[vector].from_port);
    be16_put(ports + 2, vectors[vector].to_port);
    return (size_t)(ports + 20 - frame);
}

static bool is_v6(unsigned vector)
{
    return strchr(vectors[vector].to, ':') != NULL;
}

static void expect_hash(const struct net_hash_config *config, const uint8_t *frame, size_t bytes,
                        uint32_t value, unsigned report)
{
    struct net_hash hash = net_hash_of(config, frame, bytes);
    cr_expect_eq(hash.value, value, "0x%08x, not 0x%08x", hash.value, value);
    cr_expect_eq(hash.report, report, "%u, not %u", hash.report, report);
}

Test(virtio_net_hash, published_vectors)
{
    uint8_t frame[128], *ip;
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
        for (unsigned tags = 0; tags < 3; tags++) {
            size_t bytes = make(frame, i, TCP, tags, &ip);
            expect_hash(&all, frame, bytes, vectors[i].ports,
                        is_v6(i) ? REPORT(TCPv6) : REPORT(TCPv4));
            make(frame, i, UDP, tags, &ip);
            expect_hash(&all, frame, bytes, vectors[i].ports,
                        is_v6(i) ? REPORT(UDPv6) : REPORT(UDPv4));
            make(frame, i, 1, tags, &ip);
            expect_hash(&all, frame, bytes, vectors[i].ip, is_v6(i) ? REPORT(IPv6) : REPORT(IPv4));
        }
    }
}

Test(virtio_net_hash, types_that_are_not_asked_for)
{
    uint8_t frame[128], *ip;
    struct net_hash_config config = all;
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
        size_t bytes = make(frame, i, TCP, 0, &ip);
        config.types = BIT(IPv4) | BIT(IPv6) | BIT(UDPv4) | BIT(UDPv6);
        expect_hash(&config, frame, bytes, vectors[i].ip, is_v6(i) ? REPORT(IPv6) : REPORT(IPv4));
        config.types = BIT(UDPv4) | BIT(UDPv6);
        expect_hash(&config, frame, bytes, 0, 0);
        config.types = is_v6(i) ? BIT(IPv4) | BIT(TCPv4) : BIT(IPv6) | BIT(TCPv6);
        expect_hash(&config, frame, bytes, 0, 0);
        config.types = 0;
        expect_hash(&config, frame, bytes, 0, 0);
    }
}

/* All of a packet that is in fragments has one hash. */
Test(virtio_net_hash, fragments_have_no_ports)
{
    static const uint16_t fields[] = {0x2000, 0x0001, 0x2001, 0x1fff};
    uint8_t frame[128], *ip;
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        size_t bytes = make(frame, 0, UDP, 0, &ip);
        be16_put(ip + 6, fields[i]);
        expect_hash(&all, frame, bytes, vectors[0].ip, REPORT(IPv4));
    }
    size_t bytes = make(frame, 0, UDP, 0, &ip);
    be16_put(ip + 6, 0x4000); /* "don't" */
    expect_hash(&all, frame, bytes, vectors[0].ports, REPORT(UDPv4));
}

Test(virtio_net_hash, headers_with_options)
{
    uint8_t frame[160] = {0}, *ip;
    size_t bytes = make(frame, 0, TCP, 0, &ip);
    memmove(ip + 24, ip + 20, 20);
    ip[0] = 0x46;
    expect_hash(&all, frame, bytes + 4, vectors[0].ports, REPORT(TCPv4));
    /* IPv6: hop by hop, routing, a fragment that is all of it, destination, TCP. */
    static const uint8_t chain[] = {0, 43, 44, 60, TCP};
    bytes = make(frame, 5, TCP, 0, &ip);
    memmove(ip + 40 + 40, ip + 40, 20);
    memset(ip + 40, 0, 40);
    ip[6] = chain[0];
    uint8_t *at = ip + 40;
    for (unsigned i = 0; i < 4; i++, at += i == 1 ? 16 : 8) {
        at[0] = chain[i + 1];
        at[1] = i == 0; /* the first has 16 bytes, the others 8 */
    }
    expect_hash(&all, frame, bytes + 40, vectors[5].ports, REPORT(TCPv6));
    be16_put(ip + 40 + 16 + 8 + 2, 1); /* more of it follows */
    expect_hash(&all, frame, bytes + 40, vectors[5].ip, REPORT(IPv6));
}

/* Cut off anywhere, and with lengths that lie: a hash of less, or none; nothing is read beyond. */
Test(virtio_net_hash, what_is_cut_off)
{
    uint8_t frame[160], *ip;
    for (unsigned i = 0; i < ARRAY_SIZE(vectors); i++) {
        size_t bytes = make(frame, i, TCP, 1, &ip);
        size_t ip_end = (size_t)(ip - frame) + (is_v6(i) ? 40 : 20);
        uint8_t *copy = malloc(bytes); /* so that sanitizers see its end */
        cr_assert(copy != NULL);
        for (size_t cut = 0; cut <= bytes; cut++) {
            uint32_t value = cut < ip_end ? 0 : cut < ip_end + 4 ? vectors[i].ip : vectors[i].ports;
            memcpy(copy + bytes - cut, frame, cut);
            cr_expect_eq(net_hash_of(&all, copy + bytes - cut, cut).value, value, "%u cut to %zu",
                         i, cut);
        }
        free(copy);
    }
    size_t bytes = make(frame, 0, TCP, 0, &ip);
    ip[0] = 0x4f;
    expect_hash(&all, frame, bytes, vectors[0].ip, REPORT(IPv4));
    ip[0] = 0x41;
    expect_hash(&all, frame, bytes, vectors[0].ip, REPORT(IPv4));
    ip[0] = 0x65;
    expect_hash(&all, frame, bytes, 0, 0);
    bytes = make(frame, 5, 0, 0, &ip);
    ip[41] = 0xff;
    expect_hash(&all, frame, bytes, vectors[5].ip, REPORT(IPv6));
}
