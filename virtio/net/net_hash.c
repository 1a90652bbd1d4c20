// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/net/net_hash.h"

#include <stdbool.h>
#include <string.h>

#include "core/base/be.h"
#include "core/base/xmath.h"
#include "virtio/spec.h"

#define ADDRESSES   14u /* behind them is the type */
#define TAGS_MAX    2u
#define TYPE_IPV4   0x0800u
#define TYPE_IPV6   0x86ddu
#define TYPE_VLAN   0x8100u
#define TYPE_QINQ   0x88a8u
#define IPV4_BYTES  20u
#define IPV6_BYTES  40u
#define IPV6_FIRST  6u /* the next header's number */
#define PORTS_BYTES 4u

enum { /* protocols, and headers of IPv6 that have another behind them */
       HOP_OPTIONS = 0,
       TCP = 6,
       UDP = 17,
       ROUTING = 43,
       FRAGMENT = 44,
       DEST_OPTIONS = 60,
};

struct bytes {
    const uint8_t *at;
    size_t left;
};

/* What a frame is about: addresses, and then the ports if it has them. */
struct flow {
    const uint8_t *addresses, *ports; /* NULL: none */
    unsigned address_bytes;           /* both */
    unsigned ip, tcp, udp;            /* hash types of its version of IP */
    uint8_t protocol;
};

uint32_t net_toeplitz(const uint8_t key[NET_HASH_KEY_BYTES], const uint8_t *in, size_t bytes)
{
    uint64_t window = 0; /* of the key: 32 bits for each bit of the next byte */
    uint32_t hash = 0;
    for (unsigned i = 0; i < 4; i++)
        window = window << 8 | key[i];
    for (size_t i = 0; i < bytes; i++) {
        window = window << 8 | key[i + 4];
        for (unsigned bit = 0; bit < 8; bit++)
            hash ^= (uint32_t)(window >> (bit + 1)) & (0u - (in[i] >> bit & 1u));
    }
    return hash;
}

static bool skip(struct bytes *b, size_t bytes)
{
    if (b->left < bytes)
        return false;
    b->at += bytes;
    b->left -= bytes;
    return true;
}

/* Ports are at the start of both. A fragment has them only if it is the first, so none has. */
static void find_ports(struct flow *f, const struct bytes *b, uint8_t protocol, bool fragment)
{
    f->protocol = protocol;
    if (!fragment && (protocol == TCP || protocol == UDP) && b->left >= PORTS_BYTES)
        f->ports = b->at;
}

static bool parse_ipv4(struct flow *f, struct bytes b)
{
    const uint8_t *ip = b.at;
    if (b.left < IPV4_BYTES || ip[0] >> 4 != 4)
        return false;
    size_t bytes = (ip[0] & 0xfu) * 4u;
    *f = (struct flow){.addresses = ip + 12,
                       .address_bytes = 8,
                       .ip = VIRTIO_NET_HASH_IPv4,
                       .tcp = VIRTIO_NET_HASH_TCPv4,
                       .udp = VIRTIO_NET_HASH_UDPv4};
    if (bytes >= IPV4_BYTES && skip(&b, bytes))
        find_ports(f, &b, ip[9], (be16_get(ip + 6) & 0x3fff) != 0);
    return true;
}

/* Headers of options are passed over, as hash types without _EX ask for (5.1.6.4). */
static bool parse_ipv6(struct flow *f, struct bytes b)
{
    const uint8_t *ip = b.at;
    if (b.left < IPV6_BYTES || ip[0] >> 4 != 6)
        return false;
    uint8_t next = ip[IPV6_FIRST];
    *f = (struct flow){.addresses = ip + 8,
                       .address_bytes = 32,
                       .ip = VIRTIO_NET_HASH_IPv6,
                       .tcp = VIRTIO_NET_HASH_TCPv6,
                       .udp = VIRTIO_NET_HASH_UDPv6};
    bool whole = skip(&b, IPV6_BYTES), fragment = false;
    while (whole && !fragment &&
           (next == HOP_OPTIONS || next == ROUTING || next == DEST_OPTIONS || next == FRAGMENT)) {
        if (b.left < 8)
            return true;
        size_t bytes = next == FRAGMENT ? 8 : (b.at[1] + 1u) * 8u;
        fragment = next == FRAGMENT && (be16_get(b.at + 2) & 0xfff9) != 0;
        next = b.at[0];
        whole = skip(&b, bytes);
    }
    if (whole)
        find_ports(f, &b, next, fragment);
    return true;
}

static bool parse(struct flow *f, const uint8_t *head, size_t bytes)
{
    struct bytes b = {head, bytes};
    if (!skip(&b, ADDRESSES))
        return false;
    unsigned type = be16_get(b.at - 2);
    for (unsigned i = 0; i < TAGS_MAX && (type == TYPE_VLAN || type == TYPE_QINQ); i++) {
        if (!skip(&b, 4))
            return false;
        type = be16_get(b.at - 2);
    }
    return (type == TYPE_IPV4 && parse_ipv4(f, b)) || (type == TYPE_IPV6 && parse_ipv6(f, b));
}

static bool has(const struct net_hash_config *config, unsigned type)
{
    return (config->types >> type & 1) != 0;
}

struct net_hash net_hash_of(const struct net_hash_config *config, const uint8_t *head, size_t bytes)
{
    uint8_t in[NET_HASH_KEY_BYTES - 4];
    struct flow f;
    if (config->types == 0 || !parse(&f, head, bytes))
        return (struct net_hash){0};
    unsigned type = f.protocol == TCP ? f.tcp : f.udp;
    bool ports = f.ports != NULL && has(config, type);
    if (!ports && !has(config, f.ip))
        return (struct net_hash){0};
    memcpy(in, f.addresses, f.address_bytes);
    if (ports)
        memcpy(in + f.address_bytes, f.ports, PORTS_BYTES);
    return (struct net_hash){
        .value = net_toeplitz(config->key, in, f.address_bytes + (ports ? PORTS_BYTES : 0)),
        .report = (uint16_t)((ports ? type : f.ip) + 1),
    };
}
