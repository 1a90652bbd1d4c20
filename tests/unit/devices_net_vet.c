// SPDX-License-Identifier: BSD-2-Clause
/* What of a guest's frames libslirp gets to see. */
#include "devices/net/net_frame.h"
#include "devices/net/user/net_user_impl.h"
#include "tests/harness/net_guest.h"
#include "tests/harness/test.h"

static uint8_t packet[NET_PACKET_MAX];
static uint8_t *const frame = packet + NET_HEADER_BYTES, *const ip = packet + NET_HEADER_BYTES + 14;
static struct user_vet vet;
static struct user_flows flows;
static uint16_t window; /* that libslirp tells of */

static void setup(void)
{
    vet.net.s_addr = htonl(0x0a000200);
    vet.mask.s_addr = htonl(0xffffff00);
    vet.dns.s_addr = htonl(HOST_IPV4 + 1);
    vet.flows = &flows;
    vet.ahead = 10;
    vet.full = vet.no_loopback = false;
    vet.half_open = true;
    vet.host.s_addr = htonl(HOST_IPV4);
    window = 65535;
    memset(&flows, 0, sizeof(flows));
}

TestSuite(net_vet, .init = setup);

static size_t make_udp(uint32_t to, uint16_t port, size_t bytes)
{
    static const uint8_t zeroes[2000];
    return guest_make_udp(packet, to, 1000, port, zeroes, bytes) - NET_HEADER_BYTES;
}

/* libslirp's answer to the guest's port 1 from its port 2: what it expects next. */
static void answer(uint8_t flags, uint32_t ack)
{
    static uint8_t answers[NET_PACKET_MAX];
    const struct guest_tcp tcp = {.from = HOST_IPV4,
                                  .to = GUEST_IPV4,
                                  .from_port = 2,
                                  .to_port = 1,
                                  .ack = ack,
                                  .flags = flags};
    size_t bytes = guest_make_tcp(answers, &tcp, NULL, 0);
    uint8_t *header = answers + NET_HEADER_BYTES + GUEST_ETH + GUEST_IP;
    header[14] = (uint8_t)(window >> 8), header[15] = (uint8_t)window;
    user_flow_answer(&flows, answers + NET_HEADER_BYTES, bytes - NET_HEADER_BYTES);
}

static size_t make_segment(uint32_t seq, uint8_t flags, size_t data_bytes)
{
    static const uint8_t zeroes[65000];
    const struct guest_tcp tcp = {.from = GUEST_IPV4,
                                  .to = HOST_IPV4,
                                  .from_port = 1,
                                  .to_port = 2,
                                  .seq = seq,
                                  .flags = flags};
    size_t bytes = guest_make_tcp(packet, &tcp, zeroes, data_bytes);
    cr_assert_eq(net_frame_fill_csum(packet, bytes), 0);
    return bytes - NET_HEADER_BYTES;
}

static size_t make_tcp(uint8_t flags)
{
    return make_segment(0, flags, 4);
}

/* The same, as IPv6. */
static size_t make_v6(uint8_t proto, uint16_t port, size_t bytes)
{
    memset(frame, 0, 14 + 40 + bytes);
    frame[12] = 0x86, frame[13] = 0xdd;
    ip[0] = 0x60;
    ip[4] = (uint8_t)(bytes >> 8), ip[5] = (uint8_t)bytes;
    ip[6] = proto;
    ip[8] = ip[24] = 0xfe, ip[9] = ip[25] = 0xc0, ip[39] = 2; /* from fec0:: to fec0::2 */
    ip[42] = (uint8_t)(port >> 8), ip[43] = (uint8_t)port;
    return 14 + 40 + bytes;
}

Test(net_vet, frames_end_where_ip_ends)
{
    size_t bytes = make_udp(HOST_IPV4, 53, 20);
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
    cr_expect_eq(user_vet(&vet, frame, bytes + 100), bytes);
    cr_expect_eq(user_vet(&vet, frame, bytes - 1), 0);
    bytes = make_v6(17, 53, 30);
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
    cr_expect_eq(user_vet(&vet, frame, bytes + 1), bytes);
    cr_expect_eq(user_vet(&vet, frame, bytes - 1), 0);
}

Test(net_vet, short_frames_and_other_protocols_are_dropped)
{
    for (size_t bytes = 0; bytes < 14 + 20 + 8; bytes++) {
        make_udp(HOST_IPV4, 53, 0);
        cr_expect_eq(user_vet(&vet, frame, bytes), 0, "%zu", bytes);
    }
    for (size_t bytes = 0; bytes < 14 + 40 + 8; bytes++) {
        make_v6(17, 53, 8);
        cr_expect_eq(user_vet(&vet, frame, bytes), 0, "%zu", bytes);
    }
    size_t bytes = make_udp(HOST_IPV4, 53, 20);
    frame[12] = 0x88, frame[13] = 0xf8; /* NC-SI */
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    frame[12] = 8, frame[13] = 6; /* ARP */
    cr_expect_eq(user_vet(&vet, frame, bytes), 42);
    bytes = make_udp(HOST_IPV4, 53, 20);
    ip[9] = 2; /* IGMP */
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    ip[9] = 58; /* ICMPv6 is none of IPv4's */
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    bytes = make_v6(1, 0, 20);
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    bytes = make_v6(58, 0, 20);
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
}

Test(net_vet, no_options)
{
    size_t bytes = make_udp(HOST_IPV4, 53, 20);
    ip[0] = 0x46;
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    ip[0] = 0x65;
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
}

Test(net_vet, no_tftp_and_short_dhcpv6)
{
    size_t bytes = make_udp(HOST_IPV4, 69, 20);
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    bytes = make_v6(17, 69, 30);
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    bytes = make_v6(17, 547, 512);
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
    bytes = make_v6(17, 547, 513);
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
}

Test(net_vet, no_large_echoes)
{
    size_t bytes = make_v6(58, 0, 9216);
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
    bytes = make_v6(58, 0, 9217);
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
}

Test(net_vet, no_fragments)
{
    size_t bytes = make_udp(0x08080808, 53, 20);
    ip[6] = 0x20; /* more come */
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    ip[6] = 0, ip[7] = 9; /* a later one */
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    ip[6] = 0x80, ip[7] = 0; /* reserved */
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    ip[6] = 0x40; /* only: do not fragment */
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
}

/* What is urgent becomes usual, and the checksum stays right. */
Test(net_vet, no_urgent_data)
{
    answer(TCP_SYN | TCP_ACK, 100000);
    for (unsigned seq = 0; seq < 70000; seq += 7) {
        uint8_t *header = ip + GUEST_IP;
        size_t bytes = make_segment(seq, TCP_ACK | TCP_URG | TCP_PSH, 4);
        cr_assert_eq(user_vet(&vet, frame, bytes), bytes);
        cr_assert_eq(header[13], TCP_ACK | TCP_PSH);
        cr_assert(guest_checksums_are_right(frame, bytes), "seq %u", seq);
    }
}

Test(net_vet, nothing_new_begins_when_it_is_full)
{
    vet.full = true;
    answer(TCP_SYN | TCP_ACK, 1);
    cr_expect_eq(user_vet(&vet, frame, make_tcp(TCP_SYN)), 0);
    size_t bytes = make_tcp(TCP_ACK);
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
    bytes = make_segment(0, TCP_SYN | TCP_ACK, 0); /* the guest accepts */
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
    cr_expect_eq(user_vet(&vet, frame, make_udp(HOST_IPV4, 53, 20)), 0);
    bytes = make_udp(0x08080808, 53, 20);
    ip[7] = 9;
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
}

/* ---- how far connections have come ---- */

static size_t send_segment(uint32_t seq, uint8_t flags, size_t data_bytes)
{
    return user_vet(&vet, frame, make_segment(seq, flags, data_bytes));
}

#define HEADERS (14u + GUEST_IP + GUEST_TCP)

/* Also where sequence numbers wrap. */
Test(net_vet, segments_ahead_are_few)
{
    for (uint32_t start = UINT32_MAX - 31; start != 30; start += 2) {
        answer(TCP_SYN | TCP_ACK, start);
        for (uint32_t i = 1; i <= 10; i++)
            cr_assert_eq(send_segment(start + i * 2, TCP_ACK, 1), HEADERS + 1, "%u", i);
        cr_assert_eq(send_segment(start + 22, TCP_ACK, 1), 0);
        cr_assert_eq(send_segment(start + 22, TCP_ACK | TCP_FIN, 0), 0, "it would be kept, too");
        cr_assert_eq(send_segment(start + 22, TCP_ACK, 0), HEADERS, "nothing to keep");
        cr_assert_eq(send_segment(start + 22, TCP_RST, 1), HEADERS + 1);
        cr_assert_eq(send_segment(start, TCP_ACK, 60000), HEADERS + 60000, "what is wanted");
        answer(TCP_ACK, start + 3); /* some of them may still wait */
        cr_assert_eq(send_segment(start + 22, TCP_ACK, 1), 0);
        cr_assert_eq(send_segment(start + 3, TCP_ACK, 2), HEADERS + 2);
        answer(TCP_RST | TCP_ACK, start + 21); /* says nothing of that */
        cr_assert_eq(send_segment(start + 22, TCP_ACK, 1), 0);
        answer(TCP_ACK, start + 21); /* the last one's end */
        cr_assert_eq(send_segment(start + 22, TCP_ACK, 1), HEADERS + 1);
    }
}

/* Where libslirp would take what is 2 GiB ahead for something that it has room for. */
Test(net_vet, segments_far_ahead_do_not_pass)
{
    answer(TCP_SYN | TCP_ACK, 1000);
    cr_expect_eq(send_segment(1000 + 200000, TCP_ACK, 100), HEADERS + 100);
    for (uint32_t ahead = 300000; ahead < 0xbfff0000; ahead += 65536)
        cr_assert_eq(send_segment(1000 + ahead, TCP_ACK, 60000), 0, "%u", ahead);
    cr_expect_eq(send_segment(1000 + 0x80000000u, TCP_ACK, 60000), 0);
    cr_expect_eq(send_segment(1000 - 0x3fffffffu, TCP_ACK, 100), HEADERS + 100, "an old one");
}

/* Where libslirp looks for a segment behind the last one; nor may any be cut there. */
Test(net_vet, no_data_ends_at_zero)
{
    window = 100;
    for (uint32_t acked = UINT32_MAX - 20; acked != 20; acked++) {
        answer(TCP_SYN | TCP_ACK, acked);
        for (uint32_t seq = acked - 20; seq != 0 && seq != acked + 2; seq++) {
            cr_assert_eq(send_segment(seq, TCP_ACK, 0 - seq), 0);
            cr_assert_eq(send_segment(seq, TCP_ACK | TCP_FIN, 0 - seq), 0);
            cr_assert_eq(send_segment(seq, TCP_ACK, 1 - seq), HEADERS + 1 - seq);
            cr_assert_eq(send_segment(seq, TCP_ACK, 130), 0, "beyond the window");
        }
        cr_assert_eq(send_segment(0, TCP_ACK | TCP_FIN, 0), 0);
        cr_assert_eq(send_segment(0, TCP_ACK, 0), HEADERS);
    }
}

/* Each has its own, of both families. */
Test(net_vet, connections_do_not_share)
{
    answer(TCP_SYN | TCP_ACK, 1000);
    for (uint32_t i = 1; i <= 11; i++)
        send_segment(1000 + i, TCP_ACK, 1);
    size_t bytes = make_segment(1020, TCP_ACK, 1);
    uint8_t answers[14 + 40 + 20] = {[12] = 0x86, 0xdd, 0x60, [20] = 6};
    memcpy(answers + 14 + 8, (const uint8_t[16]){0xfe, 0xc0, [15] = 2}, 16);
    memcpy(answers + 14 + 24, (const uint8_t[16]){0xfe, 0xc0}, 16);
    memcpy(answers + 54, (const uint8_t[20]){0, 2, 0, 1, [10] = 3, 0xfc, 0x50, TCP_ACK | TCP_SYN},
           20);
    user_flow_answer(&flows, answers, sizeof(answers));
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    bytes = make_v6(6, 2, 21);
    memcpy(ip + 40, (const uint8_t[20]){0, 1, 0, 2, [6] = 4, [12] = 0x50, TCP_ACK}, 20);
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
}

/* What is left has no data, is before what was sent, and its checksums are right. */
Test(net_vet, a_connection_that_is_unknown_is_asked_for)
{
    cr_expect_eq(send_segment(5000, TCP_ACK | TCP_PSH | TCP_FIN, 100), HEADERS);
    cr_expect_eq(guest_be32(ip + GUEST_IP + 4), 4999);
    cr_expect_eq(ip[GUEST_IP + 13], TCP_ACK);
    cr_expect(guest_checksums_are_right(frame, HEADERS));
    cr_expect_eq(send_segment(5000, TCP_SYN, 0), HEADERS);
    cr_expect_eq(send_segment(5000, TCP_SYN, 10), 0, "it would be kept");
    cr_expect_eq(send_segment(5000, TCP_SYN | TCP_FIN, 0), 0);
    answer(TCP_ACK, 5000);
    cr_expect_eq(send_segment(5000, TCP_ACK, 100), HEADERS + 100);
    cr_expect_eq(send_segment(5100, TCP_ACK, 100), 0, "others may wait from before");
    answer(TCP_ACK, 5000 + 262144);
    cr_expect_eq(send_segment(5000 + 262244, TCP_ACK, 100), HEADERS + 100);
}

/* However many there are, the table stays as large; those of which nothing is heard go first. */
Test(net_vet, connections_take_places_in_turn)
{
    static uint8_t answers[NET_PACKET_MAX];
    for (unsigned i = 0; i < 60000; i++) {
        const struct guest_tcp tcp = {.from = HOST_IPV4,
                                      .to = GUEST_IPV4,
                                      .from_port = 2,
                                      .to_port = (uint16_t)(2 + i),
                                      .ack = 1000,
                                      .flags = TCP_SYN | TCP_ACK};
        size_t bytes = guest_make_tcp(answers, &tcp, NULL, 0);
        user_flow_answer(&flows, answers + NET_HEADER_BYTES, bytes - NET_HEADER_BYTES);
        if (i % 100 == 0)
            answer(i == 0 ? TCP_SYN | TCP_ACK : TCP_ACK, 1000);
    }
    cr_expect_eq(send_segment(1001, TCP_ACK, 1), HEADERS + 1);
}

Test(net_vet, half_a_header_is_dropped)
{
    answer(TCP_SYN | TCP_ACK, 0);
    size_t bytes = make_tcp(TCP_ACK);
    ip[GUEST_IP + 12] = 0x40; /* less than a header */
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    ip[GUEST_IP + 12] = 0x70; /* beyond the end */
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    ip[GUEST_IP + 12] = 0x60;
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
}

/* ---- which addresses may talk ---- */

static void set_addr(unsigned at, uint32_t addr)
{
    const uint8_t bytes[] = {(uint8_t)(addr >> 24), (uint8_t)(addr >> 16), (uint8_t)(addr >> 8),
                             (uint8_t)addr};
    memcpy(ip + at, bytes, sizeof(bytes));
}

Test(net_vet, who_is_outside_sends_nothing)
{
    size_t bytes = make_udp(HOST_IPV4, 53, 20);
    set_addr(12, 0x0a000301); /* 10.0.3.1 */
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    set_addr(12, 0x7f000001);
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    set_addr(12, 0);
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    ip[23] = 67;
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes, "DHCP");
    bytes = make_v6(17, 53, 20);
    ip[8] = 0x20;
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    ip[8] = 0xfe, ip[9] = 0x80;
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes, "of the link alone");
    ip[9] = 0x40;
    cr_expect_eq(user_vet(&vet, frame, bytes), 0, "neither of the link nor of the site");
    ip[8] = ip[9] = 0;
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    ip[6] = 58;
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes, "asks whether an address is free");
}

/* libslirp would connect to the host's own. */
Test(net_vet, the_host_s_own_addresses_are_not_reached)
{
    size_t bytes = make_udp(0x7f000001, 53, 20);
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    bytes = make_udp(0, 53, 20);
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    bytes = make_v6(17, 53, 20);
    memset(ip + 24, 0, 16);
    cr_expect_eq(user_vet(&vet, frame, bytes), 0, "::");
    ip[39] = 1;
    cr_expect_eq(user_vet(&vet, frame, bytes), 0, "::1");
    ip[34] = ip[35] = 0xff, ip[36] = 127;
    cr_expect_eq(user_vet(&vet, frame, bytes), 0, "::ffff:127.0.0.1");
}

/* The name server may be the host itself. */
Test(net_vet, without_loopback_the_name_server_has_one_port)
{
    for (unsigned on = 0; on < 2; on++) {
        vet.no_loopback = on == 0;
        size_t bytes = make_udp(HOST_IPV4 + 1, 53, 20);
        cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
        bytes = make_udp(HOST_IPV4 + 1, 22, 20);
        cr_expect_eq(user_vet(&vet, frame, bytes), on * bytes);
        bytes = make_v6(17, 53, 20);
        ip[39] = 3;
        cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
        bytes = make_v6(17, 22, 20);
        ip[39] = 3;
        cr_expect_eq(user_vet(&vet, frame, bytes), on * bytes);
        bytes = make_v6(6, 22, 20);
        ip[39] = 3, ip[52] = 0x50;
        cr_expect_eq(user_vet(&vet, frame, bytes), on * bytes, "TCP");
        bytes = make_v6(17, 53, 20);
        ip[5] = 3;
        ip[39] = 3;
        cr_expect_eq(user_vet(&vet, frame, bytes), 0, "it ends before its port");
        bytes = make_v6(58, 0, 20);
        ip[39] = 3;
        cr_expect_eq(user_vet(&vet, frame, bytes), bytes, "an echo has no port");
        bytes = make_v6(17, 22, 20);
        cr_expect_eq(user_vet(&vet, frame, bytes), bytes, "fec0::2 is not the name server");
    }
}

/* libslirp has a message for each echo to others. */
Test(net_vet, echoes_by_ipv6_are_for_libslirp_itself)
{
    for (unsigned to = 0; to < 256; to++) {
        size_t bytes = make_v6(58, 0, 20);
        ip[39] = (uint8_t)to, ip[40] = 128;
        cr_expect_eq(user_vet(&vet, frame, bytes), to == 2 || to == 3 ? bytes : 0);
        ip[24] = 0x20;
        cr_expect_eq(user_vet(&vet, frame, bytes), 0);
    }
    size_t bytes = make_v6(58, 0, 20);
    ip[40] = 128, ip[25] = 0x80;
    cr_expect_eq(user_vet(&vet, frame, bytes), bytes);
    ip[38] = 1;
    cr_expect_eq(user_vet(&vet, frame, bytes), 0);
}

/* guestfwd's addresses are those of the network that are neither the host's nor the name server's.
 */
Test(net_vet, half_open_connections_to_forwards_are_limited)
{
    for (unsigned on = 0; on < 2; on++) {
        vet.half_open = on == 1;
        for (uint32_t to = HOST_IPV4 - 1; to < HOST_IPV4 + 3; to++) {
            const struct guest_tcp tcp = {.from = GUEST_IPV4, .to = to, .flags = TCP_SYN};
            size_t bytes = guest_make_tcp(packet, &tcp, NULL, 0) - NET_HEADER_BYTES;
            bool is_other = to != HOST_IPV4 && to != HOST_IPV4 + 1;
            cr_expect_eq(user_vet(&vet, frame, bytes), is_other ? on * bytes : bytes);
            cr_expect_eq(user_forward_flags(&vet, frame), is_other ? TCP_SYN : 0);
        }
    }
    cr_expect_eq(user_vet(&vet, frame, make_tcp(TCP_ACK)), HEADERS, "only at their beginning");
}

/* ---- what libslirp answers ---- */

/* Bytes of other frames, where TCP would have said that it expects byte 1000. */
Test(net_vet, what_is_no_segment_acknowledges_nothing)
{
    uint8_t other[14 + 40 + 20] = {[12] = 0x08, 0x06, 0x45, [23] = 6};
    memcpy(other + 14 + 12, (const uint8_t[]){10, 0, 2, 2, 10, 0, 2, 15}, 8);
    memcpy(other + 34, (const uint8_t[20]){0, 2, 0, 1, [10] = 3, 0xe8, 0x50, TCP_ACK | TCP_SYN},
           20);
    user_flow_answer(&flows, other, sizeof(other));
    cr_expect_eq(send_segment(1000, TCP_ACK, 1), HEADERS, "ARP: the connection is unknown");
    other[13] = 0x00;
    user_flow_answer(&flows, other, 14 + 20 + 19);
    cr_expect_eq(send_segment(1000, TCP_ACK, 1), HEADERS, "too short for IPv4");
    other[14] = 0x4f;
    user_flow_answer(&flows, other, sizeof(other) - 1);
    cr_expect_eq(send_segment(1000, TCP_ACK, 1), HEADERS, "too short for its options");
    other[14] = 0x45;
    user_flow_answer(&flows, other, sizeof(other));
    cr_expect_eq(send_segment(1000, TCP_ACK, 1), HEADERS + 1);
}

/* Answers are counted, and no connection's last one is 0, which says that there is none. */
Test(net_vet, connections_are_known_when_answers_have_been_counted_round)
{
    flows.answers = UINT32_MAX;
    answer(TCP_SYN | TCP_ACK, 1000);
    cr_expect_eq(send_segment(1000, TCP_ACK, 1), HEADERS + 1);
}
