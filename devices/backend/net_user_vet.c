// SPDX-License-Identifier: BSD-2-Clause
/*
 * What of a guest's frames libslirp gets to see: what its services need, and nothing else.
 *
 * Distributions have libslirp 4.7, and its changelog names bugs that were found in it since. A
 * hostile guest cannot reach those below, each fixed in the release that stands there:
 *
 *   TFTP's sessions (4.8.0)                  no packets to port 69
 *   TCP's urgent data (4.9.2)                the flag is taken away, the bytes stay in the stream
 *   fragments of different headers (4.9.4)   no options; no fragments to libslirp's own services
 *   lengths beside IPv6's own (4.9.4)        frames end where IP ends
 *   fragments without limit (none)           as many as net_user.c has memory for
 *   DHCPv6 requests without limit (4.9.5)    short ones only
 *   NC-SI (4.9.5)                            ARP and IP only
 */
#include <endian.h>
#include <string.h>

#include "core/le.h"
#include "devices/backend/net_frame.h"
#include "devices/backend/net_user_impl.h"

#define TYPE_IPV4  0x0800u
#define TYPE_ARP   0x0806u
#define TYPE_IPV6  0x86ddu
#define ARP_BYTES  28u
#define IPV4_BYTES 20u
#define IPV6_BYTES 40u

#define PROTO_ICMP   1u
#define PROTO_TCP    6u
#define PROTO_UDP    17u
#define PROTO_ICMPV6 58u

#define TCP_BYTES  20u
#define TCP_SYN    0x02u
#define TCP_ACK    0x10u
#define TCP_URG    0x20u
#define UDP_BYTES  8u
#define ICMP_BYTES 8u
/* Answers wait for a second for a guest that does not say where it is: no large ones. */
#define ICMP_MAX_BYTES 9216u
#define PORT_TFTP      69u
#define PORT_DHCPV6    547u
#define DHCPV6_BYTES   512u

static unsigned be16(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

/*
 * Takes URG out of a header, and puts the checksum right by what has changed (RFC 1624). The
 * urgent pointer means nothing without the flag.
 */
static void clear_urgent(uint8_t *tcp)
{
    uint8_t flags = tcp[13];
    if ((flags & TCP_URG) == 0)
        return;
    tcp[13] = flags & (uint8_t)~TCP_URG;
    uint32_t sum = (uint32_t)be16(tcp + 16) + TCP_URG; /* less in the header is more in its sum */
    sum = (sum & 0xffff) + (sum >> 16);
    tcp[16] = (uint8_t)(sum >> 8);
    tcp[17] = (uint8_t)sum;
}

static bool vet_udp(const struct user_vet *vet, const uint8_t *udp, size_t bytes, bool is_v6)
{
    if (bytes < UDP_BYTES || vet->full)
        return false;
    unsigned port = be16(udp + 2);
    return port != PORT_TFTP && (!is_v6 || port != PORT_DHCPV6 || bytes <= DHCPV6_BYTES);
}

static bool vet_tcp(const struct user_vet *vet, uint8_t *tcp, size_t bytes)
{
    if (bytes < TCP_BYTES)
        return false;
    clear_urgent(tcp);
    return !vet->full || (tcp[13] & (TCP_SYN | TCP_ACK)) != TCP_SYN;
}

static bool vet_transport(const struct user_vet *vet, unsigned proto, uint8_t *at, size_t bytes,
                          bool is_v6)
{
    if (proto == PROTO_TCP)
        return vet_tcp(vet, at, bytes);
    if (proto == PROTO_UDP)
        return vet_udp(vet, at, bytes, is_v6);
    if (proto != (is_v6 ? PROTO_ICMPV6 : PROTO_ICMP))
        return false;
    return bytes >= ICMP_BYTES && bytes <= ICMP_MAX_BYTES && (is_v6 || !vet->full);
}

/* A large datagram to somebody outside. TCP has no reason to be in fragments. */
static bool vet_fragment(const struct user_vet *vet, const uint8_t *ip)
{
    uint32_t to;
    memcpy(&to, ip + 16, sizeof(to));
    return ip[9] != PROTO_TCP && !vet->full && vet->fragments && to != INADDR_BROADCAST &&
           (to & vet->mask.s_addr) != vet->net.s_addr;
}

static bool ip_is_fragment(const uint8_t *ip)
{
    return (be16(ip + 6) & 0x3fff) != 0;
}

static size_t vet_ipv4(const struct user_vet *vet, uint8_t *ip, size_t bytes)
{
    if (bytes < IPV4_BYTES || ip[0] != 0x45 || be16(ip + 2) < IPV4_BYTES || be16(ip + 2) > bytes)
        return 0;
    bytes = be16(ip + 2);
    bool ok = ip_is_fragment(ip)
                  ? vet_fragment(vet, ip)
                  : vet_transport(vet, ip[9], ip + IPV4_BYTES, bytes - IPV4_BYTES, false);
    return ok ? bytes : 0;
}

static size_t vet_ipv6(const struct user_vet *vet, uint8_t *ip, size_t bytes)
{
    if (bytes < IPV6_BYTES || ip[0] >> 4 != 6 || be16(ip + 4) > bytes - IPV6_BYTES)
        return 0;
    size_t payload = be16(ip + 4);
    return vet_transport(vet, ip[6], ip + IPV6_BYTES, payload, true) ? IPV6_BYTES + payload : 0;
}

size_t user_vet(const struct user_vet *vet, uint8_t *frame, size_t bytes)
{
    size_t kept = 0;
    if (bytes < NET_FRAME_HEADER)
        return 0;
    uint8_t *at = frame + NET_FRAME_HEADER;
    bytes -= NET_FRAME_HEADER;
    switch (be16(frame + 12)) {
    case TYPE_ARP:
        kept = bytes >= ARP_BYTES ? ARP_BYTES : 0;
        break;
    case TYPE_IPV4:
        kept = vet_ipv4(vet, at, bytes);
        break;
    case TYPE_IPV6:
        kept = vet_ipv6(vet, at, bytes);
        break;
    default:
        break;
    }
    return kept != 0 ? NET_FRAME_HEADER + kept : 0;
}

bool user_is_fragment(const uint8_t *frame)
{
    return be16(frame + 12) == TYPE_IPV4 && ip_is_fragment(frame + NET_FRAME_HEADER);
}
