// SPDX-License-Identifier: BSD-2-Clause
/*
 * What of a guest's frames libslirp gets to see: what its services need, and nothing else.
 *
 * Distributions have libslirp 4.7, and its changelog names bugs that were found in it since. A
 * hostile guest cannot reach those below, each fixed in the release that stands there:
 *
 *   TFTP's sessions (4.8.0)                  no packets to port 69
 *   TCP's urgent data (4.9.2)                the flag is taken away, the bytes stay in the stream
 *   fragments of different headers (4.9.4)   no options; no fragments
 *   lengths beside IPv6's own (4.9.4)        frames end where IP ends
 *   fragments without limit (none)           no fragments
 *   a first fragment that is the last (none) no fragments: Debian's libslirp, as it is compiled,
 *                                            takes bytes of the fragment for a pointer
 *   segments ahead without limit (none)      few: net_user_flow.h
 *   a segment behind the last one (4.8.0)    no data ends at the number 0: net_user_flow.c
 *   guestfwd's half-open ones (none)         as many as net_user.c has memory for
 *   echoes by IPv6 told of (4.8.0)           to libslirp's own addresses only
 *   answers to unknown neighbours (none)     few: net_user_asks.h
 *   DHCP without an address left (none)      no packets: net_user_leases.h
 *   DHCPv6 requests without limit (4.9.5)    short ones only
 *   NC-SI (4.9.5)                            ARP and IP only
 *   ICMPv6 errors of other types (none)      not asked for: net_user_poll.c
 */
#include <string.h>

#include "devices/net/net_frame.h"
#include "devices/net/user/net_user_impl.h"

#define IPV4_DF     0x4000u /* only: do not fragment */
#define UDP_BYTES   8u
#define ICMP_BYTES  8u
#define ICMPV6_ECHO 128u
/* Answers wait for a second for a guest that does not say where it is: no large ones. */
#define ICMP_MAX_BYTES 9216u
#define PORT_DNS       53u
#define PORT_DHCP      67u
#define PORT_TFTP      69u
#define PORT_DHCPV6    547u
#define DHCPV6_BYTES   512u

/*
 * Takes URG out of a header, and puts the checksum right by what has changed (RFC 1624). The
 * urgent pointer means nothing without the flag.
 */
static void clear_urgent(uint8_t *tcp)
{
    uint8_t flags = tcp[13];
    if ((flags & USER_TCP_URG) == 0)
        return;
    tcp[13] = flags & (uint8_t)~USER_TCP_URG;
    /* Less in the header is more in its sum. */
    uint32_t sum = (uint32_t)be16_get(tcp + 16) + USER_TCP_URG;
    sum = (sum & 0xffff) + (sum >> 16);
    be16_put(tcp + 16, (uint16_t)sum);
}

static bool vet_udp(const struct user_vet *vet, const uint8_t *udp, size_t bytes, bool is_v6)
{
    if (bytes < UDP_BYTES || vet->full)
        return false;
    unsigned port = be16_get(udp + 2);
    return port != PORT_TFTP && (!is_v6 || port != PORT_DHCPV6 || bytes <= DHCPV6_BYTES);
}

/* To an address that can only be one of guestfwd's? */
static bool is_to_forward(const struct user_vet *vet, const uint8_t *ip)
{
    uint32_t to;
    memcpy(&to, ip + 16, sizeof(to));
    return ip[0] >> 4 == 4 && (to & vet->mask.s_addr) == vet->net.s_addr &&
           to != vet->host.s_addr && to != vet->dns.s_addr;
}

/* The segment's bytes that may pass, or 0. */
static size_t vet_tcp(const struct user_vet *vet, uint8_t *ip, uint8_t *tcp, size_t bytes)
{
    size_t header = bytes < USER_TCP_BYTES ? 0 : (size_t)(tcp[12] >> 4) * 4;
    if (header < USER_TCP_BYTES || header > bytes)
        return 0;
    clear_urgent(tcp);
    bool begins = (tcp[13] & (USER_TCP_SYN | USER_TCP_ACK)) == USER_TCP_SYN;
    if (begins && (vet->full || (!vet->half_open && is_to_forward(vet, ip))))
        return 0;
    switch (user_flow_vet(vet->flows, ip, tcp, bytes, vet->ahead)) {
    case USER_FLOW_PASS:
        return bytes;
    case USER_FLOW_PROBE:
        return user_flow_make_probe(ip, tcp);
    case USER_FLOW_DROP:
        break;
    }
    return 0;
}

/* libslirp has a message for echoes to others than itself, :2 and :3, and no limit of it. */
static bool vet_icmpv6(const uint8_t *ip, const uint8_t *icmp)
{
    static const uint8_t site[15] = {0xfe, 0xc0}, link[15] = {0xfe, 0x80};
    const uint8_t *to = ip + 24;
    bool is_near = memcmp(to, site, sizeof(site)) == 0 || memcmp(to, link, sizeof(link)) == 0;
    return icmp[0] != ICMPV6_ECHO || (is_near && (to[15] == 2 || to[15] == 3));
}

/* The bytes of what is inside of IP that may pass, or 0. */
static size_t vet_transport(const struct user_vet *vet, uint8_t *ip, uint8_t *at, size_t bytes)
{
    bool is_v6 = ip[0] >> 4 == 6;
    unsigned proto = is_v6 ? ip[6] : ip[9];
    if (proto == USER_PROTO_TCP)
        return vet_tcp(vet, ip, at, bytes);
    if (proto == USER_PROTO_UDP)
        return vet_udp(vet, at, bytes, is_v6) ? bytes : 0;
    bool ok = proto == (is_v6 ? USER_PROTO_ICMPV6 : USER_PROTO_ICMP) && bytes >= ICMP_BYTES &&
              bytes <= ICMP_MAX_BYTES && (is_v6 ? vet_icmpv6(ip, at) : !vet->full);
    return ok ? bytes : 0;
}

/* The name server may be a service of the host's loopback interface, which has others, too. */
static bool is_name_request(const uint8_t *ip, const uint8_t *at, size_t bytes)
{
    unsigned proto = ip[0] >> 4 == 6 ? ip[6] : ip[9];
    bool has_ports = proto == USER_PROTO_TCP || proto == USER_PROTO_UDP;
    return !has_ports || (bytes >= 4 && be16_get(at + 2) == PORT_DNS);
}

/*
 * libslirp would connect to the host's own 127.0.0.1 and 0.0.0.0 if they are asked for. A source
 * is an address of the network, but for a DHCP request, which a guest without an address sends.
 */
static bool vet_ipv4_addrs(const struct user_vet *vet, const uint8_t *ip, size_t bytes)
{
    uint32_t from, to;
    memcpy(&from, ip + 12, sizeof(from));
    memcpy(&to, ip + 16, sizeof(to));
    bool wants_address = ip[9] == USER_PROTO_UDP && bytes >= USER_IPV4_BYTES + UDP_BYTES &&
                         be16_get(ip + USER_IPV4_BYTES + 2) == PORT_DHCP;
    if (ip[16] == 0 || ip[16] == IN_LOOPBACKNET ||
        ((from & vet->mask.s_addr) != vet->net.s_addr && !wants_address))
        return false;
    return !vet->no_loopback || to != vet->dns.s_addr ||
           is_name_request(ip, ip + USER_IPV4_BYTES, bytes - USER_IPV4_BYTES);
}

static size_t vet_ipv4(const struct user_vet *vet, uint8_t *ip, size_t bytes)
{
    if (bytes < USER_IPV4_BYTES || ip[0] != 0x45 || be16_get(ip + 2) < USER_IPV4_BYTES ||
        be16_get(ip + 2) > bytes || (be16_get(ip + 6) & ~IPV4_DF) != 0)
        return 0;
    bytes = be16_get(ip + 2);
    if (!vet_ipv4_addrs(vet, ip, bytes))
        return 0;
    size_t kept = vet_transport(vet, ip, ip + USER_IPV4_BYTES, bytes - USER_IPV4_BYTES);
    return kept != 0 ? USER_IPV4_BYTES + kept : 0;
}

/*
 * From a guest's own address or, as long as it has none, from none; and not to ::, ::1 or an IPv4
 * address mapped into IPv6. With restrict=on, libslirp compares 4 bytes of the guest's address
 * with guestfwd's IPv4 addresses: of addresses of these prefixes they are 0.
 */
static bool vet_ipv6_addrs(const struct user_vet *vet, const uint8_t *ip, size_t payload)
{
    static const uint8_t zero[16], prefix[8] = {0xfe, 0xc0}, link[8] = {0xfe, 0x80};
    static const uint8_t dns[16] = {0xfe, 0xc0, [15] = 3};
    const uint8_t *from = ip + 8, *to = ip + 24;
    bool is_ours = memcmp(from, prefix, sizeof(prefix)) == 0 ||
                   memcmp(from, link, sizeof(link)) == 0 ||
                   (memcmp(from, zero, sizeof(zero)) == 0 && ip[6] == USER_PROTO_ICMPV6);
    if (!is_ours || memcmp(to, zero, 8) == 0)
        return false;
    return !vet->no_loopback || memcmp(to, dns, sizeof(dns)) != 0 ||
           is_name_request(ip, ip + USER_IPV6_BYTES, payload);
}

static size_t vet_ipv6(const struct user_vet *vet, uint8_t *ip, size_t bytes)
{
    if (bytes < USER_IPV6_BYTES || ip[0] >> 4 != 6 || be16_get(ip + 4) > bytes - USER_IPV6_BYTES)
        return 0;
    size_t payload = be16_get(ip + 4);
    if (!vet_ipv6_addrs(vet, ip, payload))
        return 0;
    size_t kept = vet_transport(vet, ip, ip + USER_IPV6_BYTES, payload);
    return kept != 0 ? USER_IPV6_BYTES + kept : 0;
}

size_t user_vet(const struct user_vet *vet, uint8_t *frame, size_t bytes)
{
    size_t kept = 0;
    if (bytes < NET_FRAME_HEADER)
        return 0;
    uint8_t *at = frame + NET_FRAME_HEADER;
    bytes -= NET_FRAME_HEADER;
    switch (be16_get(frame + 12)) {
    case USER_TYPE_ARP:
        kept = bytes >= USER_ARP_BYTES ? USER_ARP_BYTES : 0;
        break;
    case USER_TYPE_IPV4:
        kept = vet_ipv4(vet, at, bytes);
        break;
    case USER_TYPE_IPV6:
        kept = vet_ipv6(vet, at, bytes);
        break;
    default:
        break;
    }
    return kept != 0 ? NET_FRAME_HEADER + kept : 0;
}

unsigned user_forward_flags(const struct user_vet *vet, const uint8_t *frame)
{
    const uint8_t *ip = frame + NET_FRAME_HEADER;
    bool is_forward =
        be16_get(frame + 12) == USER_TYPE_IPV4 && ip[9] == USER_PROTO_TCP && is_to_forward(vet, ip);
    return is_forward ? ip[USER_IPV4_BYTES + 13] : 0;
}
