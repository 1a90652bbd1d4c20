// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/user/net_user.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "devices/net/net_frame.h"
#include "tests/harness/test.h"
#include "tests/harness/user_net.h"

TestSuite(net_user, .init = user_net_set_up, .fini = user_net_tear_down);

Test(net_user, answers_arp_for_host_and_name_server_only)
{
    start();
    cr_expect(guest_arp(&vm, HOST_IPV4 + 1));
    cr_expect_not(guest_arp(&vm, HOST_IPV4 + 7));
}

Test(net_user, gives_an_address)
{
    option("net", "192.168.76.0/24");
    option("hostname", "box");
    cr_assert_eq(net_user_create(&net, &config), 0);
    guest_init(&vm, net, loop);
    uint8_t dhcp[300] = {1, 1, 6, 0, 1, 2, 3, 4};
    memcpy(dhcp + 28, (const uint8_t[]){0x52, 0x54, 0, 0x12, 0x34, 0x56}, 6);
    memcpy(dhcp + 236, (const uint8_t[]){0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255}, 8);
    size_t bytes = guest_make_udp(packet, 0xffffffff, 68, 67, dhcp, sizeof(dhcp));
    memset(packet + NET_HEADER_BYTES, 0xff, NET_MAC_BYTES);
    guest_send_packet(&vm, packet, bytes);
    cr_assert(guest_wait(&vm));
    const uint8_t *udp = vm.frame + GUEST_ETH + GUEST_IP;
    cr_expect_eq(guest_be16(udp), 67);
    cr_expect_eq(guest_be32(udp + GUEST_UDP + 16), 0xc0a84c0f); /* 192.168.76.15 */
    cr_expect(memmem(vm.frame, vm.bytes, "box", 3) != NULL);
}

Test(net_user, datagrams_go_both_ways)
{
    uint16_t port;
    int fd = host_socket(AF_INET, SOCK_DGRAM, &port);
    uint8_t got[100];
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    start();
    send_udp(HOST_IPV4, 5555, port, "ping", 4);
    cr_assert_eq((int)recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&from, &len), 4);
    cr_expect_eq(memcmp(got, "ping", 4), 0);
    cr_assert_eq((int)sendto(fd, "pong!", 5, 0, (struct sockaddr *)&from, len), 5);
    cr_assert(guest_wait(&vm));
    const uint8_t *udp = vm.frame + GUEST_ETH + GUEST_IP;
    cr_expect_eq(guest_be16(udp + 2), 5555);
    cr_expect_eq(memcmp(udp + GUEST_UDP, "pong!", 5), 0);
    cr_expect(guest_checksums_are_right(vm.frame, vm.bytes));
    close(fd);
}

/* One packet of nearly 64 KiB, as with TSO, whose checksum is the backend's to fill in. */
Test(net_user, a_stream_takes_segments_of_64_kib)
{
    uint16_t port;
    int listener = host_socket(AF_INET, SOCK_STREAM, &port);
    static uint8_t got[65000];
    start();
    struct guest_tcp tcp = tcp_to(HOST_IPV4, port);
    int fd = connect_guest(&tcp, listener);
    size_t bytes = guest_make_tcp(packet, &tcp, data, sizeof(got));
    packet[1] = 1; /* TCPV4, in segments of 1460 */
    packet[4] = 0xb4, packet[5] = 0x05;
    guest_send_packet(&vm, packet, bytes);
    cr_expect_eq(read_all(fd, got, sizeof(got)), sizeof(got));
    cr_expect_eq(memcmp(got, data, sizeof(got)), 0);
    close(fd);
    close(listener);
}

/* The other way frames are as large as the MTU; they end when the host closes. */
Test(net_user, a_stream_gives_frames_as_large_as_the_mtu)
{
    uint16_t port;
    int listener = host_socket(AF_INET, SOCK_STREAM, &port);
    start();
    cr_expect_eq(net->info.mtu_bytes, 16384);
    net->ops->set_offloads(net, NET_CSUM);
    struct guest_tcp tcp = tcp_to(HOST_IPV4, port);
    int fd = connect_guest(&tcp, listener);
    size_t want = 60000, have = 0, largest = 0;
    cr_assert_eq((size_t)write(fd, data, want), want);
    close(fd);
    for (bool ended = false; !ended;) {
        size_t at = wait_tcp(4000, TCP_ACK);
        const uint8_t *seg = vm.frame + GUEST_ETH + GUEST_IP;
        size_t bytes = GUEST_ETH + guest_be16(vm.frame + GUEST_ETH + 2) - at;
        ended = (seg[13] & TCP_FIN) != 0;
        cr_expect_eq(vm.packet[0], 2); /* DATA_VALID */
        if (bytes == 0 || guest_be32(seg + 4) != tcp.ack)
            continue;
        cr_expect_eq(memcmp(vm.frame + at, data + have, bytes), 0);
        have += bytes;
        largest = bytes > largest ? bytes : largest;
        tcp.ack += (uint32_t)bytes;
        send_tcp(&tcp, NULL, 0);
    }
    cr_expect_eq(have, want);
    cr_expect_gt(largest, 16000);
    cr_expect_leq(largest, 65535 / 4); /* several fit in a window: none waits for all of it */
    close(listener);
}

Test(net_user, forwards_ports_to_the_guest)
{
    uint16_t port = free_port(SOCK_STREAM), udp = free_port(SOCK_DGRAM);
    optionf("hostfwd", "tcp:127.0.0.1:%u-:22", port);
    optionf("hostfwd", "udp::%u-10.0.2.15:53", udp);
    start();
    struct sockaddr_in addr = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_expect_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -1); /* goes on */
    wait_tcp(22, TCP_SYN);
    close(fd);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    addr.sin_port = htons(udp);
    sendto(fd, "x", 1, 0, (struct sockaddr *)&addr, sizeof(addr));
    bool found = false;
    while (!found && guest_wait(&vm))
        found =
            vm.frame[GUEST_ETH + 9] == 17 && guest_be16(vm.frame + GUEST_ETH + GUEST_IP + 2) == 53;
    cr_expect(found);
    close(fd);
}

Test(net_user, a_command_answers_the_guest)
{
    option("guestfwd", "tcp:10.0.2.100:7-cmd:echo hello");
    option("restrict", "on");
    start();
    struct guest_tcp tcp = tcp_to(0x0a000264, 7);
    shake_hands(&tcp);
    size_t at = wait_tcp(4000, TCP_PSH);
    cr_expect_eq(memcmp(vm.frame + at, "hello\n", 6), 0);
}

/* Each connection is one of its own, also where nothing else leads outside. */
Test(net_user, a_server_answers_the_guest)
{
    uint16_t port;
    int listener = host_socket(AF_INET, SOCK_STREAM, &port);
    optionf("guestfwd", "tcp:10.0.2.100:7-tcp:127.0.0.1:%u", port);
    option("guestfwd", "tcp:10.0.2.100:8-tcp:localhost:1"); /* another one, where nobody is */
    option("restrict", "on");
    start();
    for (uint16_t from = 4000; from < 4003; from++) {
        struct guest_tcp tcp = {
            .from = GUEST_IPV4, .to = 0x0a000264, .from_port = from, .to_port = 7};
        uint8_t got[6];
        int fd = connect_guest(&tcp, listener);
        tcp.flags = TCP_ACK | TCP_PSH;
        send_tcp(&tcp, "guest", 5);
        cr_expect_eq(read_all(fd, got, 5), 5);
        cr_expect_eq(memcmp(got, "guest", 5), 0);
        cr_expect_eq((int)write(fd, "server", 6), 6);
        size_t at = wait_tcp(from, TCP_PSH);
        cr_expect_eq(memcmp(vm.frame + at, "server", 6), 0);
        close(fd);
        wait_tcp(from, TCP_FIN);
    }
    close(listener);
}

Test(net_user, a_server_that_is_not_there_ends_the_connection)
{
    optionf("guestfwd", "tcp:10.0.2.100:7-tcp:127.0.0.1:%u", free_port(SOCK_STREAM));
    option("guestfwd", "tcp:10.0.2.100:8-unix:/no/such/server");
    start();
    for (uint16_t port = 7; port <= 8; port++) {
        struct guest_tcp tcp = {
            .from = GUEST_IPV4, .to = 0x0a000264, .from_port = 4000 + port, .to_port = port};
        shake_hands(&tcp);
        /* In the file system nobody refuses: libslirp finds an end without data. */
        wait_tcp(tcp.from_port, port == 7 ? TCP_RST : TCP_FIN);
    }
}

Test(net_user, a_server_in_the_file_system_answers_the_guest)
{
    struct sockaddr_un un;
    int listener = unix_server(&un);
    start();
    struct guest_tcp tcp = tcp_to(0x0a000264, 7);
    int fd = connect_guest(&tcp, listener);
    cr_expect_eq((int)write(fd, "server", 6), 6);
    size_t at = wait_tcp(4000, TCP_PSH);
    cr_expect_eq(memcmp(vm.frame + at, "server", 6), 0);
    close(fd);
    unix_server_end(&un, listener);
}

Test(net_user, what_cannot_serve_is_told_at_once)
{
    char text[200] = "tcp:10.0.2.100:7-unix:/";
    option("guestfwd", "tcp:10.0.2.100:7-cmd:/no/such/program x");
    cr_expect_eq(net_user_create(&net, &config), -ENOENT);
    expect_logged("/no/such/program:");
    memset(text + strlen(text), 'x', 107);
    config.forward_count = 0;
    option("guestfwd", text);
    cr_expect_eq(net_user_create(&net, &config), -ENAMETOOLONG);
    net = NULL;
}

Test(net_user, restrict_keeps_the_guest_inside)
{
    uint16_t port;
    int fd = host_socket(AF_INET, SOCK_DGRAM, &port);
    uint8_t got[10];
    option("restrict", "on");
    start();
    send_udp(HOST_IPV4, 5555, port, "ping", 4);
    evloop_drain(loop);
    cr_expect_eq((int)read(fd, got, sizeof(got)), -1);
    close(fd);
}

/* 192.0.2.0/24 is nobody's (RFC 5737). */
Test(net_user, an_address_that_is_not_the_host_s_is_named)
{
    option("hostfwd", "tcp:192.0.2.1:2222-:22");
    cr_expect_eq(net_user_create(&net, &config), -EADDRNOTAVAIL);
    expect_logged("no such address");
    net = NULL;
}

Test(net_user, a_port_that_is_taken_is_named)
{
    uint16_t port;
    int fd = host_socket(AF_INET, SOCK_STREAM, &port);
    optionf("hostfwd", "tcp:127.0.0.1:%u-:22", port);
    cr_expect_eq(net_user_create(&net, &config), -EADDRINUSE);
    expect_logged(config.forwards[0].text);
    expect_logged("take another");
    net = NULL;
    close(fd);
}

/* A host that floods a guest which does not read: some is lost, nothing grows, and it goes on. */
Test(net_user, a_flood_waits_or_is_lost)
{
    uint16_t port;
    int fd = host_socket(AF_INET, SOCK_DGRAM, &port);
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    start();
    send_udp(HOST_IPV4, 5555, port, "ping", 4);
    cr_assert_gt((int)recvfrom(fd, data, 10, 0, (struct sockaddr *)&from, &len), 0);
    for (unsigned i = 0; i < 2000; i++) {
        sendto(fd, data, 8000, MSG_DONTWAIT, (struct sockaddr *)&from, len);
        if (i % 10 == 0)
            evloop_drain(loop);
    }
    unsigned got = 0;
    for (; guest_wait(&vm) && got < 50; got++)
        cr_expect_eq(vm.bytes, GUEST_ETH + GUEST_IP + GUEST_UDP + 8000);
    cr_expect_eq(got, 50);
    close(fd);
}

static bool reaches(uint32_t addr, int fd, uint16_t port)
{
    uint8_t got[10];
    send_udp(addr, 5555, port, "ping", 4);
    evloop_drain(loop);
    return read(fd, got, sizeof(got)) == 4;
}

Test(net_user, loopback_off_keeps_the_host_s_services_away)
{
    uint16_t port, tcp_port;
    int fd = host_socket(AF_INET, SOCK_DGRAM, &port),
        listener = host_socket(AF_INET, SOCK_STREAM, &tcp_port);
    start();
    cr_expect(reaches(HOST_IPV4, fd, port));
    cr_expect_not(reaches(0x7f000001, fd, port));
    net->ops->destroy(net);
    option("loopback", "off");
    start();
    cr_expect_not(reaches(HOST_IPV4, fd, port));
    cr_expect_not(reaches(HOST_IPV4 + 1, fd, port), "the name server");
    cr_expect_not(reaches(0xffffffff, fd, port));
    cr_expect_not(reaches(0x0a0002ff, fd, port));
    struct guest_tcp tcp = {.from = GUEST_IPV4,
                            .to = HOST_IPV4,
                            .from_port = 4000,
                            .to_port = tcp_port,
                            .flags = TCP_SYN};
    send_tcp(&tcp, NULL, 0);
    cr_expect_eq(accept(listener, NULL, NULL), -1);
    close(fd);
    close(listener);
}

/* Where no address is given, only the host itself gets to the guest. */
Test(net_user, forwards_listen_on_loopback)
{
    static const struct {
        const char *rule;
        uint32_t addr;
    } rules[] = {{"tcp::2222-:22", INADDR_LOOPBACK},
                 {"udp::2222-:22", INADDR_LOOPBACK},
                 {":0.0.0.0:2222-:22", INADDR_ANY},
                 {"tcp:192.0.2.1:2222-:22", 0xc0000201}};
    for (unsigned i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        option("hostfwd", rules[i].rule);
        cr_expect_eq(ntohl(config.forwards[i].host.s_addr), rules[i].addr);
    }
}

/* Frames with wrong lengths, flags and types, a few at each place: it goes on answering. */
Test(net_user, survives_frames_that_make_no_sense)
{
    uint32_t random = 1;
    option("restrict", "on"); /* nothing of it leaves the process */
    start();
    for (unsigned i = 0; i < 30000; i++) {
        const struct guest_tcp tcp = {
            .from = GUEST_IPV4, .to = HOST_IPV4, .from_port = 1, .to_port = 2, .flags = TCP_SYN};
        size_t bytes = i % 2 ? guest_make_tcp(packet, &tcp, data, i % 60)
                             : guest_make_udp(packet, 0xffffffff, 68, 67, data, i % 400);
        for (unsigned n = i % 5; n > 0; n--) {
            random = random * 1664525 + 1013904223;
            packet[(random >> 20) % (n == 1 ? 12 : 70)] = (uint8_t)(random >> 8);
        }
        if (i % 3)
            packet[0] = 0; /* or the checksum keeps most from being looked at */
        guest_send_packet(&vm, packet, bytes);
        if (i % 50 == 0)
            evloop_drain(loop);
    }
    evloop_drain(loop);
    drop_frames();
    cr_expect(guest_arp(&vm, HOST_IPV4));
}

Test(net_user, options_that_are_wrong_are_told)
{
    static const struct {
        const char *key, *value;
    } wrong[] = {
        {"hostfwd", "2222"},
        {"hostfwd", "tcp:[::1]:2222-:22"},
        {"hostfwd", "tcp:[::1:2222-[fec0::15]:22"},
        {"hostfwd", "tcp::2222-[fec0::15]:22"},
        {"hostfwd", "tcp:[10.0.2.2]:2222-[fec0::15]:22"},
        {"hostfwd", "tcp::0-:22"},
        {"hostfwd", "tcp::70000-:22"},
        {"hostfwd", "tcp::22"},
        {"hostfwd", "tcp:localhost:22-:22"},
        {"hostfwd", "sctp::22-:22"},
        {"hostfwd", "tcp::22-:22x"},
        {"hostfwd", "tcp:255.255.255.2555:22-:22"},
        {"hostfwd", "tcp:[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]:22-[::]:22"},
        {"guestfwd", "10.0.2.9:80-cmd:cat"},
        {"guestfwd", "tcp::80-cmd:cat"},
        {"guestfwd", "tcp:0.0.0.0:80-cmd:cat"},
        {"guestfwd", "tcp:10.0.2.9:x-cmd:cat"},
        {"guestfwd", "tcp:10.0.2.9:80-cmd:"},
        {"guestfwd", "tcp:10.0.2.9:80-cat"},
        {"guestfwd", "udp:10.0.2.9:80-cmd:cat"},
        {"guestfwd", "tcp:10.0.2.9:80-tcp:host"},
        {"guestfwd", "tcp:10.0.2.9:80-tcp::80"},
        {"guestfwd", "tcp:10.0.2.9:80-tcp:host:0"},
        {"net", "10.0.2.0"},
        {"net", "10.0.2.1/24"},
        {"net", "10.0.2.0/30"},
        {"net", "10.0.2.0/24x"},
        {"net", "0.0.0.0/4"},
        {"dns", "x"},
        {"host", ""},
        {"hostname", "a b"},
        {"hostname", ""},
        {"hostname", "a23456789-123456789-123456789-123"},
        {"restrict", "yes"},
        {"ipv6", "1"},
        {"loopback", "yes"},
        {"mtu", "1000"},
        {"mtu", "x"},
        {"mtu", "1500x"},
        {"mtu", "70000"},
    };
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        logged_line[0] = '\0';
        cr_expect_eq(net_user_option(&config, "--net user", wrong[i].key, wrong[i].value), -EINVAL,
                     "%s=%s", wrong[i].key, wrong[i].value);
        expect_logged(wrong[i].key);
    }
    cr_expect_eq(net_user_option(&config, "--net user", "nonsense", "1"), -ENOENT);
    for (unsigned i = 0; i < NET_USER_FORWARDS; i++)
        option("hostfwd", ":127.0.0.1:2222-:22");
    cr_expect_eq(net_user_option(&config, "--net user", "hostfwd", "::1-:22"), -EINVAL);
    expect_logged("at most");
    config.forward_count = 0;
    config.mask.s_addr = 0;
    option("host", "10.1.2.2");
    cr_expect_eq(net_user_create(&net, &config), -EINVAL);
    config.host.s_addr = 0;
    option("dns", "10.1.2.3");
    cr_expect_eq(net_user_create(&net, &config), -EINVAL);
    option("dns", "10.0.2.2");
    cr_expect_eq(net_user_create(&net, &config), -EINVAL, "the host's");
    net = NULL;
}
