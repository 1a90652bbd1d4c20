// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/net_loopback.h"

#include "devices/net/net_null.h"
#include "tests/harness/net_guest.h"
#include "tests/harness/test.h"

static struct evloop *loop;
static struct net_backend *net;
static struct guest g;
static uint8_t packet[NET_PACKET_MAX];

static void setup(void)
{
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_assert_eq(net_loopback_create(&net, loop), 0);
    guest_init(&g, net, loop);
}

static void teardown(void)
{
    net->ops->destroy(net);
    evloop_destroy(loop);
}

TestSuite(net_loopback, .init = setup, .fini = teardown);

Test(net_loopback, what_is_sent_comes_back)
{
    cr_expect_eq((int)guest_receive(&g), -EAGAIN);
    size_t bytes = guest_make_udp(packet, HOST_IPV4, 1, 2, "hello", 5);
    cr_assert_eq(guest_send_packet(&g, packet, bytes), 0);
    cr_assert_eq(guest_send_packet(&g, packet, bytes), 0);
    cr_expect_eq(g.rx_told, 0); /* never inside of a call */
    evloop_drain(loop);
    cr_expect_eq(g.rx_told, 1);
    cr_expect_eq((int)guest_receive(&g), (int)bytes);
    cr_expect(guest_checksums_are_right(g.frame, g.bytes));
    cr_expect_eq(g.packet[0], 0); /* filled in, since nobody takes it without */
    cr_expect_eq((int)guest_receive(&g), (int)bytes);
    cr_expect_eq((int)guest_receive(&g), -EAGAIN);
}

Test(net_loopback, offloads_come_back_to_those_who_take_them)
{
    size_t bytes = guest_make_udp(packet, HOST_IPV4, 1, 2, "hello", 5);
    net->ops->set_offloads(net, NET_CSUM | NET_TSO4);
    guest_send_packet(&g, packet, bytes);
    cr_assert_eq((int)guest_receive(&g), (int)bytes);
    cr_expect_eq(memcmp(g.packet, packet, bytes), 0);
    packet[1] = 1; /* TCPV4 */
    guest_send_packet(&g, packet, bytes);
    cr_expect_eq((int)guest_receive(&g), (int)bytes);
    packet[1] = 0x81; /* ... with ECN */
    guest_send_packet(&g, packet, bytes);
    cr_expect_eq((int)guest_receive(&g), -EAGAIN);
    packet[1] = 4; /* TCPV6 */
    guest_send_packet(&g, packet, bytes);
    cr_expect_eq((int)guest_receive(&g), -EAGAIN);
}

Test(net_loopback, what_makes_no_sense_is_lost)
{
    static const struct {
        uint8_t byte, value;
    } wrong[] = {{7, 0xff}, {6, 46}, {9, 0xff}, {1, 1}, {1, 77}};
    for (unsigned i = 0; i < 5; i++) {
        size_t bytes = guest_make_udp(packet, HOST_IPV4, 1, 2, "hello", 5);
        packet[wrong[i].byte] = wrong[i].value;
        cr_expect_eq(guest_send_packet(&g, packet, bytes), 0);
        cr_expect_eq((int)guest_receive(&g), -EAGAIN, "case %u", i);
    }
    struct iovec iov = {packet, NET_HEADER_BYTES + 13};
    cr_expect_eq(net->ops->send(net, 0, &iov, 1), 0);
    static uint8_t huge[NET_PACKET_MAX + 1];
    iov = (struct iovec){huge, sizeof(huge)};
    cr_expect_eq(net->ops->send(net, 0, &iov, 1), 0);
    cr_expect_eq((int)guest_receive(&g), -EAGAIN);
}

Test(net_loopback, a_full_one_says_when_there_is_room)
{
    unsigned sent = 0;
    memset(packet, 0, NET_HEADER_BYTES);
    while (guest_send_packet(&g, packet, 9000) == 0)
        sent++;
    cr_expect_gt(sent, 10);
    cr_expect_lt(sent, 100);
    cr_expect_eq(guest_send_packet(&g, packet, 60), -EAGAIN);
    evloop_drain(loop);
    cr_expect_eq(g.tx_told, 0);
    unsigned got = 0;
    while (guest_receive(&g) == 9000)
        got++;
    cr_expect_eq(got, sent);
    evloop_drain(loop);
    cr_expect_eq(g.tx_told, 1);
    cr_expect_eq(guest_send_packet(&g, packet, 60), 0);
}

Test(net_null, swallows_and_gives_nothing)
{
    struct net_backend *null = NULL;
    struct guest n;
    cr_assert_eq(net_null_create(&null, 4), 0);
    guest_init(&n, null, NULL);
    cr_expect_eq(guest_send_packet(&n, packet, 1000), 0);
    cr_expect_eq((int)guest_receive(&n), -EAGAIN);
    cr_expect_eq(null->info.pairs, 4);
    null->ops->destroy(null);
}
