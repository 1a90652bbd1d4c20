// SPDX-License-Identifier: BSD-2-Clause
/* What of a guest's frames libslirp gets to see. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "devices/backend/net_frame.h"
#include "devices/backend/net_user_impl.h"
#include "tests/unit/devices_net_guest.h"

static uint8_t packet[NET_PACKET_MAX];
static uint8_t *const frame = packet + NET_HEADER_BYTES, *const ip = packet + NET_HEADER_BYTES + 14;
static struct user_vet vet;

static void setup(void)
{
    vet.net.s_addr = htonl(0x0a000200);
    vet.mask.s_addr = htonl(0xffffff00);
    vet.full = false;
    vet.fragments = true;
}

TestSuite(net_vet, .init = setup);

static size_t make_udp(uint32_t to, uint16_t port, size_t bytes)
{
    static const uint8_t zeroes[2000];
    return guest_make_udp(packet, to, 1000, port, zeroes, bytes) - NET_HEADER_BYTES;
}

static size_t make_tcp(uint8_t flags)
{
    const struct guest_tcp tcp = {
        .from = GUEST_IPV4, .to = HOST_IPV4, .from_port = 1, .to_port = 2, .flags = flags};
    size_t bytes = guest_make_tcp(packet, &tcp, "data", 4);
    return bytes - NET_HEADER_BYTES;
}

/* The same, as IPv6. */
static size_t make_v6(uint8_t proto, uint16_t port, size_t bytes)
{
    memset(frame, 0, 14 + 40 + bytes);
    frame[12] = 0x86, frame[13] = 0xdd;
    ip[0] = 0x60;
    ip[4] = (uint8_t)(bytes >> 8), ip[5] = (uint8_t)bytes;
    ip[6] = proto;
    ip[42] = (uint8_t)(port >> 8), ip[43] = (uint8_t)port;
    return 14 + 40 + bytes;
}

Test(net_vet, frames_end_where_ip_ends)
{
    size_t bytes = make_udp(HOST_IPV4, 53, 20);
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), bytes));
    cr_expect(eq(sz, user_vet(&vet, frame, bytes + 100), bytes));
    cr_expect(zero(user_vet(&vet, frame, bytes - 1)));
    bytes = make_v6(17, 53, 30);
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), bytes));
    cr_expect(eq(sz, user_vet(&vet, frame, bytes + 1), bytes));
    cr_expect(zero(user_vet(&vet, frame, bytes - 1)));
}

Test(net_vet, short_frames_and_other_protocols_are_dropped)
{
    for (size_t bytes = 0; bytes < 14 + 20 + 8; bytes++) {
        make_udp(HOST_IPV4, 53, 0);
        cr_expect(zero(user_vet(&vet, frame, bytes)), "%zu", bytes);
    }
    for (size_t bytes = 0; bytes < 14 + 40 + 8; bytes++) {
        make_v6(17, 53, 8);
        cr_expect(zero(user_vet(&vet, frame, bytes)), "%zu", bytes);
    }
    size_t bytes = make_udp(HOST_IPV4, 53, 20);
    frame[12] = 0x88, frame[13] = 0xf8; /* NC-SI */
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    frame[12] = 8, frame[13] = 6; /* ARP */
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), 42));
    bytes = make_udp(HOST_IPV4, 53, 20);
    ip[9] = 2; /* IGMP */
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    ip[9] = 58; /* ICMPv6 is none of IPv4's */
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    bytes = make_v6(1, 0, 20);
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    bytes = make_v6(58, 0, 20);
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), bytes));
}

Test(net_vet, no_options)
{
    size_t bytes = make_udp(HOST_IPV4, 53, 20);
    ip[0] = 0x46;
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    ip[0] = 0x65;
    cr_expect(zero(user_vet(&vet, frame, bytes)));
}

Test(net_vet, no_tftp_and_short_dhcpv6)
{
    size_t bytes = make_udp(HOST_IPV4, 69, 20);
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    bytes = make_v6(17, 69, 30);
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    bytes = make_v6(17, 547, 512);
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), bytes));
    bytes = make_v6(17, 547, 513);
    cr_expect(zero(user_vet(&vet, frame, bytes)));
}

Test(net_vet, no_large_echoes)
{
    size_t bytes = make_v6(58, 0, 9216);
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), bytes));
    bytes = make_v6(58, 0, 9217);
    cr_expect(zero(user_vet(&vet, frame, bytes)));
}

Test(net_vet, fragments_go_outside_only)
{
    size_t bytes = make_udp(0x08080808, 53, 20);
    ip[6] = 0x20; /* more come */
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), bytes));
    ip[6] = 0, ip[7] = 9; /* a later one */
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), bytes));
    vet.fragments = false; /* there are too many */
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    vet.fragments = true;
    ip[9] = 6; /* TCP */
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    bytes = make_udp(HOST_IPV4, 53, 20);
    ip[6] = 0x20;
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    bytes = make_udp(0xffffffff, 67, 20);
    ip[7] = 9;
    cr_expect(zero(user_vet(&vet, frame, bytes)));
    ip[6] = 0x40, ip[7] = 0; /* only: do not fragment */
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), bytes));
}

/* What is urgent becomes usual, and the checksum stays right. */
Test(net_vet, no_urgent_data)
{
    for (unsigned seq = 0; seq < 70000; seq += 7) {
        const struct guest_tcp tcp = {
            .from = GUEST_IPV4, .to = HOST_IPV4, .seq = seq, .flags = TCP_ACK | TCP_URG | TCP_PSH};
        uint8_t *header = ip + GUEST_IP;
        size_t bytes = guest_make_tcp(packet, &tcp, "data", 4) - NET_HEADER_BYTES;
        cr_assert(zero(net_frame_fill_csum(packet, bytes + NET_HEADER_BYTES)));
        cr_assert(eq(sz, user_vet(&vet, frame, bytes), bytes));
        cr_assert(eq(int, header[13], TCP_ACK | TCP_PSH));
        cr_assert(guest_checksums_are_right(frame, bytes), "seq %u", seq);
    }
}

Test(net_vet, nothing_new_begins_when_it_is_full)
{
    vet.full = true;
    cr_expect(zero(user_vet(&vet, frame, make_tcp(TCP_SYN))));
    size_t bytes = make_tcp(TCP_ACK);
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), bytes));
    bytes = make_tcp(TCP_SYN | TCP_ACK); /* the guest accepts */
    cr_expect(eq(sz, user_vet(&vet, frame, bytes), bytes));
    cr_expect(zero(user_vet(&vet, frame, make_udp(HOST_IPV4, 53, 20))));
    bytes = make_udp(0x08080808, 53, 20);
    ip[7] = 9;
    cr_expect(zero(user_vet(&vet, frame, bytes)));
}
