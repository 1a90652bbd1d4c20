// SPDX-License-Identifier: BSD-2-Clause
/* Neighbours that libslirp asks for: what passes while it waits for an answer. */
#include "devices/net/user/net_user_asks.h"

#include <arpa/inet.h>

#include "devices/net/net_frame.h"
#include "tests/harness/test.h"
#include "tests/harness/user_net.h"

#define NDP_BYTES    32u /* the message with its target and one option */
#define FRAME_BYTES  (GUEST_ETH + USER_IPV6_BYTES + NDP_BYTES)
#define ECHO         128u
#define ROUTER       134u
#define SOLICIT      135u
#define ADVERTISE    136u
#define ALL          "ff02::1"
#define HOST         "fe80::2"
#define GUEST        "fec0::15"
#define STRANGER     "fec0::99"
#define SOLICITED(n) "ff02::1:ff00:" n

static struct user_asks asks;
static uint8_t frame[FRAME_BYTES];
static uint8_t *const ip = frame + GUEST_ETH;

static void setup(void)
{
    memset(&asks, 0, sizeof(asks));
}

TestSuite(net_asks, .init = setup);

/* A message of ICMPv6 with room for a target; `frame` has it then. */
static void make_icmp(const char *from, const char *to, uint8_t type, const char *target)
{
    memset(frame, 0, sizeof(frame));
    frame[12] = 0x86, frame[13] = 0xdd;
    ip[0] = 0x60, ip[5] = NDP_BYTES, ip[6] = USER_PROTO_ICMPV6, ip[7] = 255;
    cr_assert_eq(inet_pton(AF_INET6, from, ip + 8), 1);
    cr_assert_eq(inet_pton(AF_INET6, to, ip + 24), 1);
    ip[USER_IPV6_BYTES] = type;
    cr_assert_eq(inet_pton(AF_INET6, target, ip + USER_IPV6_BYTES + 8), 1);
}

/* What libslirp sends. */
static void slirp_sends(const char *to, uint8_t type, const char *target)
{
    make_icmp(HOST, to, type, target);
    user_asks_answer(&asks, frame, sizeof(frame), 0);
}

static bool passes(const char *from, uint8_t type, const char *target)
{
    make_icmp(from, HOST, type, target);
    return user_asks_allow(&asks, frame, USER_ASK_NS - 1);
}

Test(net_asks, only_answers_pass_from_an_address_that_is_asked_for)
{
    slirp_sends(SOLICITED("15"), SOLICIT, GUEST);
    cr_expect_not(passes(GUEST, ECHO, GUEST));
    cr_expect_not(passes(GUEST, SOLICIT, HOST));
    cr_expect(passes(GUEST, ADVERTISE, GUEST));
    cr_expect(passes("::", SOLICIT, GUEST), "one without an address gets its answer by multicast");
    make_icmp(GUEST, HOST, ECHO, GUEST);
    cr_expect(user_asks_allow(&asks, frame, USER_ASK_NS), "libslirp has given it up");
}

Test(net_asks, what_only_looks_like_an_answer_does_not_pass)
{
    slirp_sends(SOLICITED("15"), SOLICIT, GUEST);
    make_icmp(GUEST, HOST, ADVERTISE, GUEST);
    ip[6] = USER_PROTO_UDP;
    cr_expect_not(user_asks_allow(&asks, frame, 0));
    make_icmp(GUEST, HOST, ADVERTISE, GUEST);
    ip[5] = 0; /* behind the end of the packet */
    cr_expect_not(user_asks_allow(&asks, frame, 0));
    make_icmp(GUEST, HOST, ADVERTISE, GUEST);
    frame[12] = 0x08, frame[13] = 0x00, ip[12] = 10;
    cr_expect_not(user_asks_allow(&asks, frame, 0));
}

/* libslirp sends to an address as soon as it knows its neighbour. */
Test(net_asks, the_answer_ends_the_question)
{
    slirp_sends(SOLICITED("15"), SOLICIT, GUEST);
    slirp_sends(GUEST, ECHO, GUEST);
    cr_expect(passes(GUEST, ECHO, GUEST));
    cr_expect(passes(STRANGER, ECHO, GUEST), "no question is open");
    slirp_sends(SOLICITED("16"), SOLICIT, "fec0::16");
    cr_expect(passes(GUEST, ECHO, GUEST), "its neighbour is known");
    cr_expect_not(passes(STRANGER, ECHO, GUEST));
    slirp_sends(SOLICITED("15"), SOLICIT, GUEST);
    cr_expect_not(passes(GUEST, ECHO, GUEST), "it is known no more");
}

Test(net_asks, another_address_does_not_end_the_question)
{
    slirp_sends(SOLICITED("15"), SOLICIT, GUEST);
    cr_expect(passes(STRANGER, ADVERTISE, STRANGER));
    slirp_sends(STRANGER, ECHO, STRANGER);
    cr_expect_not(passes(GUEST, ECHO, GUEST));
}

/* Frames to all are no question, and neither are pieces of one. */
Test(net_asks, what_is_no_question_holds_nothing_up)
{
    slirp_sends(ALL, ROUTER, GUEST);
    cr_expect(passes(STRANGER, ECHO, GUEST));
    make_icmp(HOST, SOLICITED("15"), SOLICIT, GUEST);
    user_asks_answer(&asks, frame, GUEST_ETH + USER_IPV6_BYTES + 23, 0);
    user_asks_answer(&asks, frame, GUEST_ETH + USER_IPV6_BYTES - 1, 0);
    user_asks_answer(&asks, frame, GUEST_ETH + USER_ARP_BYTES - 1, 0);
    ip[6] = USER_PROTO_UDP;
    user_asks_answer(&asks, frame, sizeof(frame), 0);
    frame[12] = 0x88, frame[13] = 0xf8; /* NC-SI */
    user_asks_answer(&asks, frame, sizeof(frame), 0);
    cr_expect(passes(STRANGER, ECHO, GUEST));
}

Test(net_asks, ipv4_from_nowhere_passes)
{
    slirp_sends(SOLICITED("15"), SOLICIT, GUEST);
    memset(frame, 0, sizeof(frame));
    frame[12] = 0x08;
    cr_expect(user_asks_allow(&asks, frame, 0));
    ip[12] = 10;
    cr_expect_not(user_asks_allow(&asks, frame, 0));
    frame[13] = 0x06; /* ARP */
    cr_expect(user_asks_allow(&asks, frame, 0));
}

/* ---- through libslirp ---- */

/* A connection to the host's port that leads to port 22 of the guest's fec0::15. */
static int connect_by_ipv6(void)
{
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t bytes = sizeof(addr);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, bytes) != 0)
        cr_skip_test("the host has no IPv6: %s", strerror(errno));
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &bytes), 0);
    close(fd); /* the port is free */
    optionf("hostfwd", "tcp:[::1]:%u-[" GUEST "]:22", ntohs(addr.sin6_port));
    cr_assert_eq(net_user_create(&net, &config), 0);
    guest_init(&vm, net, loop);
    fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_expect_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -1);
    cr_expect_eq(errno, EINPROGRESS);
    return fd;
}

static void wait_solicit(void)
{
    struct in6_addr guest;
    cr_assert_eq(inet_pton(AF_INET6, GUEST, &guest), 1);
    do
        cr_assert(guest_wait(&vm), "libslirp does not ask for the guest");
    while (guest_be16(vm.frame + 12) != USER_TYPE_IPV6 ||
           vm.frame[GUEST_ETH + USER_IPV6_BYTES] != SOLICIT ||
           memcmp(vm.frame + GUEST_ETH + USER_IPV6_BYTES + 8, &guest, sizeof(guest)) != 0);
}

/* The guest says where that address is. */
static void advertise(const char *target)
{
    static const uint8_t mac[] = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
    uint8_t pseudo[40] = {0}, *icmp = ip + USER_IPV6_BYTES;
    make_icmp(target, HOST, ADVERTISE, target);
    memcpy(frame, (const uint8_t[]){0x52, 0x56, 0, 0, 0, 2}, NET_MAC_BYTES);
    memcpy(frame + NET_MAC_BYTES, mac, sizeof(mac));
    icmp[4] = 0x60; /* solicited, override */
    icmp[24] = 2, icmp[25] = 1;
    memcpy(icmp + 26, mac, sizeof(mac));
    memcpy(pseudo, ip + 8, 32);
    pseudo[35] = NDP_BYTES, pseudo[39] = USER_PROTO_ICMPV6;
    uint32_t sum = (uint32_t)net_frame_sum(pseudo, sizeof(pseudo)) + net_frame_sum(icmp, NDP_BYTES);
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t check = (uint16_t)~sum;
    memcpy(icmp + 2, &check, sizeof(check));
    cr_assert_eq(guest_send(&vm, frame, sizeof(frame)), 0);
    evloop_drain(loop);
}

/* Has the connection come, among the frames that are there? */
static bool has_syn(void)
{
    bool found = false;
    while (guest_receive(&vm) >= 0) {
        const uint8_t *tcp = vm.frame + GUEST_ETH + USER_IPV6_BYTES;
        found |= guest_be16(vm.frame + 12) == USER_TYPE_IPV6 &&
                 vm.frame[GUEST_ETH + 6] == USER_PROTO_TCP && guest_be16(tcp + 2) == 22 &&
                 tcp[13] == TCP_SYN;
    }
    return found;
}

Test(net_asks, a_guest_that_answers_gets_the_connection)
{
    user_net_set_up();
    int fd = connect_by_ipv6();
    wait_solicit();
    const struct user_asks *a = &container_of(net, struct net_user, b)->asks;
    advertise(STRANGER);
    cr_expect_not(has_syn(), "that was not asked for");
    cr_expect_neq(a->until_ns, 0);
    advertise(GUEST);
    cr_expect(has_syn());
    cr_expect_eq(a->until_ns, 0);
    close(fd);
    user_net_tear_down();
}
