// SPDX-License-Identifier: BSD-2-Clause
/* Guests and peers that attack libslirp itself, by what the checks before it might let pass. */
#include <arpa/inet.h>
#include <malloc.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

#include "core/peers/foreign_fd.h"
#include "devices/net/net_frame.h"
#include "tests/harness/lingering.h"
#include "tests/harness/test.h"
#include "tests/harness/user_net.h"

TestSuite(net_user_hostile, .init = user_net_set_up, .fini = user_net_tear_down);

/* A connection whose first byte has that number; the host's end. */
static int connect_at(struct guest_tcp *tcp, uint32_t first, uint16_t from_port, int listener,
                      uint16_t port)
{
    *tcp = tcp_to(HOST_IPV4, port);
    tcp->from_port = from_port;
    tcp->seq = first - 1;
    tcp->flags = TCP_SYN;
    send_tcp(tcp, data, 0);
    while (guest_wait(&vm) && vm.frame[GUEST_ETH + GUEST_IP + 13] != (TCP_SYN | TCP_ACK))
        ;
    tcp->seq = first;
    tcp->ack = guest_be32(vm.frame + GUEST_ETH + GUEST_IP + 4) + 1;
    tcp->flags = TCP_ACK;
    send_tcp(tcp, data, 0);
    return accept4(listener, NULL, NULL, SOCK_NONBLOCK);
}

static size_t make_v6(uint8_t proto, const uint8_t from[16], const uint8_t to[16],
                      const uint8_t *payload, size_t bytes, size_t csum_at)
{
    uint8_t *frame = packet + NET_HEADER_BYTES, *ip = frame + GUEST_ETH;
    uint8_t pseudo[40] = {0};
    memset(packet, 0, NET_HEADER_BYTES + GUEST_ETH + 40);
    memcpy(frame,
           (const uint8_t[]){0x52, 0x55, 10, 0, 2, 2, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 0x86, 0xdd},
           14);
    ip[0] = 0x60;
    ip[4] = (uint8_t)(bytes >> 8);
    ip[5] = (uint8_t)bytes;
    ip[6] = proto;
    ip[7] = 255;
    memcpy(ip + 8, from, 16);
    memcpy(ip + 24, to, 16);
    memcpy(ip + 40, payload, bytes);
    memcpy(pseudo, ip + 8, 32);
    pseudo[34] = ip[4];
    pseudo[35] = ip[5];
    pseudo[39] = proto;
    uint32_t sum = (uint32_t)net_frame_sum(pseudo, 40) + net_frame_sum(ip + 40, bytes);
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t check = (uint16_t)~sum;
    memcpy(ip + 40 + csum_at, &check, 2);
    return NET_HEADER_BYTES + GUEST_ETH + 40 + bytes;
}

/* Of the heap. (Sanitizers have another one, of which nothing is seen.) */
static size_t held_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static size_t make_dhcp(const uint8_t mac[6])
{
    uint8_t dhcp[400] = {1, 1, 6, 0};
    memcpy(dhcp + 28, mac, 6);
    memcpy(dhcp + 236, (const uint8_t[]){0x63, 0x82, 0x53, 0x63, 53, 1, 1, 0xff}, 8);
    return guest_make_udp(packet, 0xffffffff, 68, 67, dhcp, sizeof(dhcp));
}

static void arp_reply(uint32_t addr)
{
    uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    memcpy(arp + 6, (const uint8_t[]){2, 0, 0, 0, 0, 1}, 6);
    memcpy(arp + 12, (const uint8_t[]){8, 6, 0, 1, 8, 0, 6, 4, 0, 2}, 10);
    memcpy(arp + 22, arp + 6, 6);
    arp[28] = (uint8_t)(addr >> 24);
    arp[29] = (uint8_t)(addr >> 16);
    arp[30] = (uint8_t)(addr >> 8);
    arp[31] = (uint8_t)addr;
    guest_send(&vm, arp, sizeof(arp));
}

/* Behind the last segment libslirp finds the number 0. */
Test(net_user_hostile, segments_that_end_at_zero_are_harmless)
{
    uint16_t port;
    int listener = host_socket(AF_INET, SOCK_STREAM, &port);
    struct guest_tcp tcp;
    char got[10];
    start();
    int fd = connect_at(&tcp, UINT32_MAX - 1, 4000, listener, port);
    tcp.seq = UINT32_MAX;
    send_tcp(&tcp, data, 1);
    tcp.seq = UINT32_MAX - 1;
    send_tcp(&tcp, data, 1);
    tcp.seq = UINT32_MAX;
    send_tcp(&tcp, data, 3); /* goes on behind it */
    cr_expect_eq((size_t)read(fd, got, sizeof(got)), 4);
    close(fd);
    close(listener);
}

/* Bytes of an IPv6 address, where libslirp looks for guestfwd's IPv4 address. */
Test(net_user_hostile, a_source_address_does_not_open_what_is_restricted)
{
    const uint8_t to[16] = {0xfe, 0xc0, [15] = 2};
    const uint8_t from[16] = {0xfe, 0x80, 0, 0, 10, 0, 2, 100, [15] = 1};
    uint8_t syn[20] = {0x10, [12] = 0x50, TCP_SYN, 0xff, 0xff};
    uint16_t port;
    int listener = host_socket(AF_INET6, SOCK_STREAM, &port);
    struct pollfd one = {.fd = listener, .events = POLLIN};
    optionf("guestfwd", "tcp:10.0.2.100:%u-cmd:/bin/true", port);
    option("restrict", "on");
    start();
    syn[2] = (uint8_t)(port >> 8), syn[3] = (uint8_t)port;
    guest_send_packet(&vm, packet, make_v6(6, from, to, syn, sizeof(syn), 16));
    evloop_drain(loop);
    cr_expect_eq(poll(&one, 1, 0), 0);
    close(listener);
}

/* Half-open connections to guestfwd's ports have buffers, and no descriptor that is counted. */
Test(net_user_hostile, half_open_connections_to_forwards_do_not_pile_up)
{
    option("guestfwd", "tcp:10.0.2.100:80-cmd:/bin/cat");
    start();
    size_t before = held_bytes();
    struct guest_tcp tcp = {.from = GUEST_IPV4, .to = 0x0a000264, .to_port = 80, .flags = TCP_SYN};
    for (unsigned i = 0; i < 4000; i++) {
        tcp.from_port = (uint16_t)(1000 + i);
        send_tcp(&tcp, data, 0);
        drop_frames();
    }
    cr_expect_lt(held_bytes(), before + (100u << 20));
    cr_expect(guest_arp(&vm, HOST_IPV4));
}

/* One that is completed makes room for another. */
Test(net_user_hostile, completed_connections_to_forwards_are_not_limited)
{
    option("guestfwd", "tcp:10.0.2.100:80-cmd:/bin/true");
    start();
    for (unsigned i = 0; i < 400; i++) {
        struct guest_tcp tcp = {.from = GUEST_IPV4,
                                .to = 0x0a000264,
                                .from_port = (uint16_t)(1000 + i),
                                .to_port = 80,
                                .flags = TCP_SYN};
        send_tcp(&tcp, data, 0);
        do
            cr_assert(guest_wait(&vm), "connection %u", i);
        while (vm.frame[GUEST_ETH + GUEST_IP + 13] != (TCP_SYN | TCP_ACK));
        tcp.seq = 1;
        tcp.ack = guest_be32(vm.frame + GUEST_ETH + GUEST_IP + 4) + 1;
        tcp.flags = TCP_ACK;
        send_tcp(&tcp, data, 0);
        tcp.flags = TCP_RST;
        send_tcp(&tcp, data, 0);
    }
}

/* ---- the server of a port of the guest's network ---- */

/* libslirp's recv() would close it, and the loop would wait. */
Test(net_user_hostile, a_server_in_the_file_system_sends_no_descriptors)
{
    struct sockaddr_un un;
    int peer, listener = unix_server(&un), probe = socket(AF_UNIX, SOCK_STREAM, 0);
    foreign_socket_refuse(probe);
    bool can_refuse = foreign_socket_is_refusing(probe);
    close(probe);
    if (!can_refuse) {
        unix_server_end(&un, listener);
        cr_skip_test("this kernel does not refuse descriptors");
    }
    start();
    struct guest_tcp tcp = tcp_to(0x0a000264, 7);
    int fd = connect_guest(&tcp, listener);
    cr_expect_not(lingering_send(fd, "server", 6, &peer, 1));
    cr_expect_eq((int)write(fd, "server", 6), 6);
    wait_tcp(4000, TCP_PSH);
    close(fd);
    unix_server_end(&un, listener);
}

/* It may lead into a file system that does not answer. */
Test(net_user_hostile, a_link_in_place_of_a_server_is_not_followed)
{
    struct sockaddr_un un;
    char other[sizeof(un.sun_path) + 8];
    int listener = unix_server(&un);
    start();
    snprintf(other, sizeof(other), "%s.other", un.sun_path);
    cr_assert_eq(rename(un.sun_path, other), 0);
    cr_assert_eq(symlink(other, un.sun_path), 0);
    struct guest_tcp tcp = tcp_to(0x0a000264, 7);
    shake_hands(&tcp);
    wait_tcp(4000, TCP_FIN);
    cr_expect_eq(accept(listener, NULL, NULL), -1);
    unlink(other);
    unix_server_end(&un, listener);
}

/* As when the kernel drops a datagram that was there, since its checksum is wrong. */
static void lose_datagram(struct sockaddr *addr, socklen_t len)
{
    start();
    struct net_user *u = container_of(net, struct net_user, b);
    for (unsigned fd = 0; fd < DESCRIPTORS_MAX; fd++)
        if (u->fds[fd].open && u->fds[fd].datagrams)
            u->fds[fd].ready = EPOLLIN;
    evloop_defer(loop, &u->turn);
    evloop_drain(loop);
    int fd = socket(addr->sa_family, SOCK_DGRAM, 0);
    cr_assert_eq((int)sendto(fd, data, 5, 0, addr, len), 5);
    cr_expect(guest_wait(&vm), "the guest is asked for");
    close(fd);
}

Test(net_user_hostile, a_datagram_that_goes_away_is_harmless)
{
    uint16_t port = free_port(SOCK_STREAM);
    struct sockaddr_in addr = loopback(port);
    optionf("hostfwd", "udp:127.0.0.1:%u-10.0.2.16:53", port);
    lose_datagram((struct sockaddr *)&addr, sizeof(addr));
}

Test(net_user_hostile, a_datagram_by_ipv6_that_goes_away_is_harmless)
{
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    uint16_t port;
    close(host_socket(AF_INET6, SOCK_STREAM, &port));
    cr_expect_eq(net_user_option(&config, "", "hostfwd", "udp:[::1]:2000-[::]:53"), -EINVAL,
                 "there is no packet to quote");
    addr.sin6_port = htons(port);
    optionf("hostfwd", "udp:[::1]:%u-[fec0::15]:53", port);
    lose_datagram((struct sockaddr *)&addr, sizeof(addr));
}

/* libslirp has 16 addresses, and loses a buffer with each request for one more. */
Test(net_user_hostile, requests_for_addresses_do_not_pile_up)
{
    start();
    for (uint8_t i = 0; i < 30; i++)
        guest_send_packet(&vm, packet, make_dhcp((const uint8_t[]){2, 0, 0, 0, 0, i}));
    size_t before = held_bytes();
    drop_frames();
    for (unsigned i = 0; i < 5000; i++)
        guest_send_packet(&vm, packet, make_dhcp((const uint8_t[]){2, 0, 0, 0, 1, 1}));
    cr_expect_lt(held_bytes(), before + (10u << 20));
    cr_expect_lt(guest_receive(&vm), 0);
    guest_send_packet(&vm, packet, make_dhcp((const uint8_t[]){2, 0, 0, 0, 0, 3}));
    cr_expect(guest_wait(&vm), "who has one is answered still");
}

/* Questions of which the guest answers some: the others stay open. */
Test(net_user_hostile, an_answer_does_not_end_other_questions)
{
    start();
    unsigned asked = 0;
    for (unsigned i = 0; i < 8; i++) { /* .100 to .107 have been heard of */
        arp_reply(0x0a000264 + i);
        guest_send_packet(&vm, packet, guest_make_echo(packet, 0x0a000264 + i, 9000));
    }
    for (unsigned i = 0; i < 1000; i++) {
        guest_send_packet(&vm, packet,
                          guest_make_echo(packet, 0x0a000210 + i % 64, 9000)); /* no host */
        for (unsigned k = 0; k < 17; k++)
            arp_reply(0x0a0002a0 + k); /* all others are forgotten */
        guest_send_packet(&vm, packet, guest_make_echo(packet, 0x0a000264 + i % 8, 9000));
        arp_reply(0x0a000264 + i % 8);
        evloop_drain(loop);
        while (guest_receive(&vm) >= 0)
            asked += guest_be16(vm.frame + 12) == 0x0806 && guest_be32(vm.frame + 38) < 0x0a000264;
    }
    cr_expect_gt(asked, 0);
    cr_expect_lt(asked, 100, "%u", asked);
}

/* The next frame to that port of the guest's with data or SYN; its TCP header, or NULL. */
static const uint8_t *next_tcp(uint16_t port)
{
    while (guest_receive(&vm) >= 0) {
        const uint8_t *ip = vm.frame + GUEST_ETH, *tcp = ip + GUEST_IP;
        if (guest_be16(vm.frame + 12) == 0x0800 && ip[9] == 6 && guest_be16(tcp + 2) == port)
            return tcp;
    }
    return NULL;
}

/* Takes what the host's end sends, until libslirp sends whole windows of small segments. */
static void open_window(struct guest_tcp *tcp, int fd)
{
    size_t total = 0;
    for (; total < 150000; total += 50000) {
        cr_assert_eq((int)write(fd, data, 50000), 50000);
        for (uint32_t to = tcp->ack + 50000; tcp->ack != to;) {
            const uint8_t *header = next_tcp(tcp->from_port);
            evloop_drain(loop);
            if (header == NULL)
                continue;
            tcp->ack = guest_be32(header + 4) + guest_be16(header - GUEST_IP + 2) - 40;
            send_tcp(tcp, data, 0);
        }
    }
}

/* libslirp would keep a window of each connection, 2000 segments in buffers of 16 KiB. */
Test(net_user_hostile, windows_for_a_guest_that_is_forgotten_do_not_pile_up)
{
    enum { CONNECTIONS = 8 };
    uint16_t port;
    int listener = host_socket(AF_INET, SOCK_STREAM, &port), fds[CONNECTIONS];
    start();
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        struct guest_tcp tcp;
        fds[i] = connect_at(&tcp, 1000, (uint16_t)(4000 + i), listener, port);
        struct guest_tcp again = tcp;
        again.seq--;
        again.flags = TCP_SYN | TCP_ACK;
        again.mss = 32;
        send_tcp(&again, data, 0);
        open_window(&tcp, fds[i]);
    }
    size_t before = held_bytes();
    for (unsigned k = 0; k < 17; k++)
        arp_reply(0x0a0002a0 + k);
    for (unsigned i = 0; i < CONNECTIONS; i++)
        cr_assert_gt((int)write(fds[i], data, sizeof(data)), 60000);
    evloop_drain(loop);
    cr_expect_lt(held_bytes(), before + (70u << 20));
    arp_reply(GUEST_IPV4);
    unsigned served = 0;
    while (served != (1u << CONNECTIONS) - 1) {
        cr_assert(guest_wait(&vm), "each goes on");
        unsigned n = guest_be16(vm.frame + GUEST_ETH + GUEST_IP + 2) - 4000;
        served |= n < CONNECTIONS ? 1u << n : 0;
    }
    for (unsigned i = 0; i < CONNECTIONS; i++)
        close(fds[i]);
    close(listener);
}

/* What is left of a large one behind the next is small, but stays in its large buffer. */
Test(net_user_hostile, large_segments_ahead_do_not_pile_up)
{
    uint16_t port;
    int listener = host_socket(AF_INET, SOCK_STREAM, &port);
    struct guest_tcp tcp;
    start();
    int fd = connect_at(&tcp, 1000, 4000, listener, port);
    size_t before = held_bytes();
    for (unsigned i = 0; i < 300; i++) {
        tcp.seq = 2000 - 2 * i;
        send_tcp(&tcp, data, 64000);
    }
    cr_expect_lt(held_bytes(), before + (5u << 20));
    close(fd);
    close(listener);
}

/* Sends until libslirp keeps what the host's end does not take. */
static void fill_host(struct guest_tcp *tcp)
{
    for (uint32_t before = tcp->seq - 1; before != tcp->seq;) {
        before = tcp->seq;
        for (unsigned i = 0; i < 20; i++) {
            send_tcp(tcp, data, 16000);
            for (const uint8_t *header; (header = next_tcp(tcp->from_port)) != NULL;)
                tcp->seq = guest_be32(header + 8);
        }
    }
}

/* libslirp reads when a connection has ended, and has to have room then. */
Test(net_user_hostile, a_connection_that_is_full_both_ways_may_be_reset)
{
    const struct linger reset = {.l_onoff = 1};
    uint16_t port;
    int listener = host_socket(AF_INET, SOCK_STREAM, &port), small = 4096;
    struct guest_tcp tcp;
    cr_assert_eq(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    start();
    int fd = connect_at(&tcp, 1000, 4000, listener, port);
    struct guest_tcp again = tcp;
    again.seq--;
    again.flags = TCP_SYN | TCP_ACK;
    again.mss = 32; /* a whole number of times in libslirp's buffer of 128 KiB */
    send_tcp(&again, data, 0);
    open_window(&tcp, fd);
    fill_host(&tcp);
    for (unsigned i = 0; i < 4; i++) { /* not quite a half of it; all that is left */
        cr_assert_eq((int)write(fd, data, 65504), 65504);
        if (i == 0)
            evloop_drain(loop);
    }
    evloop_drain(loop);
    cr_assert_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(fd);
    cr_expect(guest_arp(&vm, HOST_IPV4));
    close(listener);
}

/* The last fragment of a datagram, before the others: it has libslirp use its bytes as a pointer.
 */
Test(net_user_hostile, a_last_fragment_is_harmless)
{
    start();
    size_t bytes = guest_make_udp(packet, 0x08080808, 1000, 2000, data, 0);
    uint8_t *ip = packet + NET_HEADER_BYTES + GUEST_ETH;
    memset(packet, 0, NET_HEADER_BYTES);
    memset(ip + 10, 0, 2);
    ip[7] = 1;
    uint16_t check = (uint16_t)~net_frame_sum(ip, GUEST_IP);
    memcpy(ip + 10, &check, sizeof(check));
    guest_send_packet(&vm, packet, bytes);
    cr_expect(guest_arp(&vm, HOST_IPV4));
}

/* libslirp's clock goes on though no descriptor is open. */
Test(net_user_hostile, half_open_connections_of_a_guest_that_is_silent_expire)
{
    struct fake_clock now = {.now_ns = 1};
    const struct clock clock = fake_clock_port(&now);
    use_clock(&clock);
    option("guestfwd", "tcp:10.0.2.100:80-cmd:/bin/cat");
    start();
    size_t before = held_bytes();
    struct guest_tcp tcp = {.from = GUEST_IPV4, .to = 0x0a000264, .to_port = 80, .flags = TCP_SYN};
    for (unsigned i = 0; i < 100; i++) {
        tcp.from_port = (uint16_t)(1000 + i);
        send_tcp(&tcp, data, 0);
    }
    for (unsigned i = 0; i < 2600; i++) { /* and stands still again */
        now.now_ns += 500000000;
        evloop_drain(loop);
        drop_frames();
    }
    cr_expect_lt(held_bytes(), before + (1u << 20));
    cr_expect_not(container_of(net, struct net_user, b)->timer.armed);
}

/* A SYN empties libslirp's buffer, which then wonders what is acknowledged. */
Test(net_user_hostile, messages_of_libslirp_are_few)
{
    char text[4096] = "";
    uint16_t port;
    int listener = host_socket(AF_INET, SOCK_STREAM, &port), errors[2], before = dup(STDERR_FILENO);
    struct guest_tcp tcp;
    log_set_level(LOG_INFO);
    cr_assert_eq(pipe2(errors, O_NONBLOCK), 0);
    start();
    int fd = connect_at(&tcp, 1000, 4000, listener, port);
    dup2(errors[1], STDERR_FILENO);
    tcp.window = 512; /* less than a segment, so that libslirp expects no other acknowledgement */
    for (unsigned i = 0; i < 200; i++) {
        struct guest_tcp again = tcp;
        (void)!write(fd, data, 100);
        evloop_drain(loop);
        drop_frames();
        send_tcp(&tcp, data, 0);
        again.seq--;
        again.flags = TCP_SYN | TCP_ACK;
        again.mss = 16000;
        send_tcp(&again, data, 0);
        tcp.ack += 100;
        send_tcp(&tcp, data, 0);
    }
    dup2(before, STDERR_FILENO);
    cr_expect_leq((int)read(errors[0], text, sizeof(text) - 1), 0, "%s", text);
    cr_expect_gt(logged_lines, 0);
    cr_expect_lt(logged_lines, 50, "%u", logged_lines);
    close(fd);
    close(listener);
}

/* Peers that connect and stay do not take all connections that the guest may have. */
Test(net_user_hostile, peers_at_a_forwarded_port_leave_room_for_the_guest)
{
    enum { PEERS = 600 };
    static int peers[PEERS];
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t forwarded, port;
    char text[64];
    close(host_socket(AF_INET, SOCK_STREAM, &forwarded));
    peer.sin_port = htons(forwarded);
    snprintf(text, sizeof(text), "tcp::%u-:22", forwarded);
    start();
    int listener = host_socket(AF_INET, SOCK_STREAM, &port);
    for (unsigned i = 0; i < PEERS; i++) {
        peers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(peers[i], (struct sockaddr *)&peer, sizeof(peer));
        evloop_drain(loop);
        drop_frames();
    }
    struct guest_tcp tcp;
    int fd = connect_at(&tcp, 1000, 4000, listener, port);
    cr_expect_geq(fd, 0, "the guest still reaches a server");
    for (unsigned i = 0; i < PEERS; i++)
        close(peers[i]);
    close(fd);
    close(listener);
}

/* A peer that cannot be accepted waits, and the loop does not turn all the time. */
Test(net_user_hostile, without_descriptors_a_peer_waits)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct fake_clock now = {.now_ns = 1};
    const struct clock clock = fake_clock_port(&now);
    struct rlimit limit, none;
    uint16_t forwarded;
    use_clock(&clock);
    close(host_socket(AF_INET, SOCK_STREAM, &forwarded));
    peer.sin_port = htons(forwarded);
    optionf("hostfwd", "tcp::%u-:22", forwarded);
    start();
    arp_reply(GUEST_IPV4);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    (void)connect(fd, (struct sockaddr *)&peer, sizeof(peer));
    evloop_drain(loop); /* comes to an end */
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    now.now_ns += 1000000000;
    evloop_drain(loop);
    cr_expect_not_null(next_tcp(22), "the guest hears of it later");
    close(fd);
}

/* A network without others, where this process may send whatever a router may. */
static void enter_own_network(void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        cr_skip_test("no network namespaces here: %s", strerror(errno));
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    cr_assert_eq(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
    close(fd);
}

/* The message of type `type` about a datagram from port `from` to port `to` of ::1. */
static void send_icmp6_error(uint8_t type, in_port_t from, in_port_t to)
{
    const struct sockaddr_in6 host = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    uint8_t error[8 + 40 + 8] = {type, [8] = 0x60, [8 + 5] = 8, 17, 64};
    uint8_t *ip = error + 8, *udp = ip + 40;
    int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
    cr_assert_geq(fd, 0);
    ip[8 + 15] = ip[24 + 15] = 1;
    memcpy(udp, &from, sizeof(from));
    memcpy(udp + 2, &to, sizeof(to));
    udp[5] = 8;
    cr_assert_eq(
        (int)sendto(fd, error, sizeof(error), 0, (const struct sockaddr *)&host, sizeof(host)),
        (int)sizeof(error));
    close(fd);
}

/* libslirp aborts at an error of IPv6 whose type it does not know. */
Test(net_user_hostile, errors_of_unknown_types_are_harmless)
{
    const uint8_t from[16] = {0xfe, 0xc0, [15] = 15}, to[16] = {0xfe, 0xc0, [15] = 2};
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in6 peer;
    socklen_t len = sizeof(addr);
    uint8_t udp[8] = {0x10, [5] = 8};
    enter_own_network();
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    memcpy(udp + 2, &addr.sin6_port, 2);
    start();
    guest_send_packet(&vm, packet, make_v6(17, from, to, udp, sizeof(udp), 6));
    evloop_drain(loop);
    cr_assert_eq(recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&peer, &len), 0);
    send_icmp6_error(100, peer.sin6_port, addr.sin6_port);
    evloop_drain(loop);
    cr_expect(guest_arp(&vm, HOST_IPV4));
    close(fd);
}

/* A stream that could be written waits for the answer, too, and the loop does not turn meanwhile.
 */
Test(net_user_hostile, a_stream_that_waits_for_an_answer_does_not_spin)
{
    struct fake_clock now = {.now_ns = 1};
    const struct clock clock = fake_clock_port(&now);
    uint16_t port;
    int listener = host_socket(AF_INET, SOCK_STREAM, &port);
    struct guest_tcp tcp;
    use_clock(&clock);
    start();
    int fd = connect_at(&tcp, 1000, 4000, listener, port);
    fill_host(&tcp);
    struct net_user *u = container_of(net, struct net_user, b);
    u->asks.strict = true;
    u->asks.until_ns = now.now_ns + USER_ASK_NS;
    while (read(fd, data, sizeof(data)) > 0)
        ;
    evloop_drain(loop); /* comes to an end */
    now.now_ns += USER_ASK_NS;
    evloop_drain(loop);
    cr_expect_gt((int)read(fd, data, sizeof(data)), 0);
    close(fd);
    close(listener);
}

/* Sockets that are all ready in one turn are not all read in it: the queue to the guest fills. */
Test(net_user_hostile, a_turn_reads_no_more_than_the_guest_has_room_for)
{
    enum { SOCKETS = 60 };
    static struct sockaddr_in from[SOCKETS];
    socklen_t len = sizeof(from[0]);
    uint16_t port;
    int fd = host_socket(AF_INET, SOCK_DGRAM, &port);
    start();
    for (unsigned i = 0; i < SOCKETS; i++) {
        send_udp(HOST_IPV4, (uint16_t)(2000 + i), port, "", 1);
        evloop_drain(loop);
        cr_assert_eq((int)recvfrom(fd, data, 1, 0, (struct sockaddr *)&from[i], &len), 1);
    }
    for (unsigned i = 0; i < SOCKETS; i++)
        cr_assert_eq((int)sendto(fd, data, 16000, 0, (struct sockaddr *)&from[i], len), 16000);
    struct net_user *u = container_of(net, struct net_user, b);
    for (unsigned i = 0; i < u->polled_count; i++)
        u->fds[u->polled[i]].ready = EPOLLIN;
    user_turn(u);
    cr_expect_gt(u->queue.count, 0);
    cr_expect_lt(u->queue.count, SOCKETS * 3 / 4, "%u", u->queue.count);
    unsigned arrived = 0;
    for (; arrived < SOCKETS && guest_wait(&vm); arrived++)
        ;
    cr_expect_eq(arrived, SOCKETS, "the others come later");
    close(fd);
}
