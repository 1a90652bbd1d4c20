// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/user/net_user.h"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/loop/evloop.h"
#include "devices/net/net_frame.h"
#include "devices/net/user/net_user_impl.h"
#include "tests/harness/net_option.h"
#include "tests/harness/test.h"
#include "tests/unit/devices_net_guest.h"

static struct evloop *loop;
static struct net_backend *net;
static struct guest g;
static struct net_user_config config;
static uint8_t packet[NET_PACKET_MAX], data[65536];
static uint32_t first_seq = 1000; /* of connections that the guest makes */

static void setup(void)
{
    listen_to_log(LOG_DEBUG);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    config = (struct net_user_config){.loop = loop, .clock = &clock_host};
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + (i >> 8));
}

static void teardown(void)
{
    if (net)
        net->ops->destroy(net);
    evloop_destroy(loop);
}

TestSuite(net_user, .init = setup, .fini = teardown);

static void start(void)
{
    cr_assert_eq(net_user_create(&net, &config), 0, "%s", logged_line);
    guest_init(&g, net, loop);
    cr_assert(guest_arp(&g, HOST_IPV4)); /* each learns who the other is */
}

static void option(const char *key, const char *value)
{
    cr_assert_eq(net_user_option(&config, "--net user", key, value), 0, "%s", logged_line);
}

/* A host's socket on a port of 127.0.0.1 that was free. */
static int host_socket(int type, uint16_t *port)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, len), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *port = ntohs(addr.sin_port);
    if (type == SOCK_STREAM)
        cr_assert_eq(listen(fd, 16), 0);
    return fd;
}

static uint16_t free_port(int type)
{
    uint16_t port;
    close(host_socket(type, &port));
    return port;
}

static void send_tcp(const struct guest_tcp *tcp, const void *bytes, size_t count)
{
    guest_send_packet(&g, packet, guest_make_tcp(packet, tcp, bytes, count));
    evloop_drain(loop);
}

/* The next TCP frame to that port with those flags; its payload's offset. */
static size_t wait_tcp(uint16_t port, uint8_t flags)
{
    while (guest_wait(&g)) {
        const uint8_t *ip = g.frame + GUEST_ETH, *tcp = ip + GUEST_IP;
        if (guest_be16(g.frame + 12) != 0x0800 || ip[9] != 6 || guest_be16(tcp + 2) != port)
            continue;
        cr_expect(guest_checksums_are_right(g.frame, g.bytes));
        cr_expect_eq(tcp[13] & TCP_URG, 0); /* a guest would take a byte out */
        if ((tcp[13] & flags) == flags)
            return GUEST_ETH + GUEST_IP + (size_t)(tcp[12] >> 4) * 4;
    }
    cr_assert(false, "no TCP frame to port %u with flags %x", port, flags);
    return 0;
}

/* The guest connects. */
static void shake_hands(struct guest_tcp *tcp)
{
    tcp->seq = first_seq;
    tcp->flags = TCP_SYN;
    tcp->mss = 65480;
    send_tcp(tcp, NULL, 0);
    wait_tcp(tcp->from_port, TCP_SYN | TCP_ACK);
    tcp->seq++;
    tcp->ack = guest_be32(g.frame + GUEST_ETH + GUEST_IP + 4) + 1;
    tcp->flags = TCP_ACK;
    tcp->mss = 0;
    send_tcp(tcp, NULL, 0);
}

/* ... and the host's end. */
static int connect_guest(struct guest_tcp *tcp, int listener)
{
    shake_hands(tcp);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    cr_assert_geq(fd, 0);
    return fd;
}

static size_t read_all(int fd, uint8_t *out, size_t bytes)
{
    size_t got = 0;
    for (unsigned tries = 0; tries < 2000 && got < bytes; tries++) {
        ssize_t n = read(fd, out + got, bytes - got);
        got += n > 0 ? (size_t)n : 0;
        if (n < 0)
            usleep(1000);
        evloop_drain(loop);
    }
    return got;
}

Test(net_user, answers_arp_for_host_and_name_server_only)
{
    start();
    cr_expect(guest_arp(&g, HOST_IPV4 + 1));
    cr_expect_not(guest_arp(&g, HOST_IPV4 + 7));
}

Test(net_user, gives_an_address)
{
    option("net", "192.168.76.0/24");
    option("hostname", "box");
    cr_assert_eq(net_user_create(&net, &config), 0);
    guest_init(&g, net, loop);
    uint8_t dhcp[300] = {1, 1, 6, 0, 1, 2, 3, 4};
    memcpy(dhcp + 28, (const uint8_t[]){0x52, 0x54, 0, 0x12, 0x34, 0x56}, 6);
    memcpy(dhcp + 236, (const uint8_t[]){0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255}, 8);
    size_t bytes = guest_make_udp(packet, 0xffffffff, 68, 67, dhcp, sizeof(dhcp));
    memset(packet + NET_HEADER_BYTES, 0xff, NET_MAC_BYTES);
    guest_send_packet(&g, packet, bytes);
    cr_assert(guest_wait(&g));
    const uint8_t *udp = g.frame + GUEST_ETH + GUEST_IP;
    cr_expect_eq(guest_be16(udp), 67);
    cr_expect_eq(guest_be32(udp + GUEST_UDP + 16), 0xc0a84c0f); /* 192.168.76.15 */
    cr_expect(memmem(g.frame, g.bytes, "box", 3) != NULL);
}

Test(net_user, datagrams_go_both_ways)
{
    uint16_t port;
    int fd = host_socket(SOCK_DGRAM, &port);
    uint8_t got[100];
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    start();
    guest_send_packet(&g, packet, guest_make_udp(packet, HOST_IPV4, 5555, port, "ping", 4));
    cr_assert_eq((int)recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&from, &len), 4);
    cr_expect_eq(memcmp(got, "ping", 4), 0);
    cr_assert_eq((int)sendto(fd, "pong!", 5, 0, (struct sockaddr *)&from, len), 5);
    cr_assert(guest_wait(&g));
    const uint8_t *udp = g.frame + GUEST_ETH + GUEST_IP;
    cr_expect_eq(guest_be16(udp + 2), 5555);
    cr_expect_eq(memcmp(udp + GUEST_UDP, "pong!", 5), 0);
    cr_expect(guest_checksums_are_right(g.frame, g.bytes));
    close(fd);
}

/* One packet of nearly 64 KiB, as with TSO, whose checksum is the backend's to fill in. */
Test(net_user, a_stream_takes_segments_of_64_kib)
{
    uint16_t port;
    int listener = host_socket(SOCK_STREAM, &port);
    static uint8_t got[65000];
    start();
    struct guest_tcp tcp = {
        .from = GUEST_IPV4, .to = HOST_IPV4, .from_port = 4000, .to_port = port};
    int fd = connect_guest(&tcp, listener);
    size_t bytes = guest_make_tcp(packet, &tcp, data, sizeof(got));
    packet[1] = 1; /* TCPV4, in segments of 1460 */
    packet[4] = 0xb4, packet[5] = 0x05;
    guest_send_packet(&g, packet, bytes);
    cr_expect_eq(read_all(fd, got, sizeof(got)), sizeof(got));
    cr_expect_eq(memcmp(got, data, sizeof(got)), 0);
    close(fd);
    close(listener);
}

/* The other way frames are as large as the MTU; they end when the host closes. */
Test(net_user, a_stream_gives_frames_as_large_as_the_mtu)
{
    uint16_t port;
    int listener = host_socket(SOCK_STREAM, &port);
    start();
    cr_expect_eq(net->info.mtu_bytes, 16384);
    net->ops->set_offloads(net, NET_CSUM);
    struct guest_tcp tcp = {
        .from = GUEST_IPV4, .to = HOST_IPV4, .from_port = 4000, .to_port = port};
    int fd = connect_guest(&tcp, listener);
    size_t want = 60000, have = 0, largest = 0;
    cr_assert_eq((size_t)write(fd, data, want), want);
    close(fd);
    for (bool ended = false; !ended;) {
        size_t at = wait_tcp(4000, TCP_ACK);
        const uint8_t *seg = g.frame + GUEST_ETH + GUEST_IP;
        size_t bytes = GUEST_ETH + guest_be16(g.frame + GUEST_ETH + 2) - at;
        ended = (seg[13] & TCP_FIN) != 0;
        cr_expect_eq(g.packet[0], 2); /* DATA_VALID */
        if (bytes == 0 || guest_be32(seg + 4) != tcp.ack)
            continue;
        cr_expect_eq(memcmp(g.frame + at, data + have, bytes), 0);
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
    char text[64];
    uint16_t port = free_port(SOCK_STREAM), udp = free_port(SOCK_DGRAM);
    snprintf(text, sizeof(text), "tcp:127.0.0.1:%u-:22", port);
    option("hostfwd", text);
    char second[64];
    snprintf(second, sizeof(second), "udp::%u-10.0.2.15:53", udp);
    option("hostfwd", second);
    start();
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_expect_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -1); /* goes on */
    wait_tcp(22, TCP_SYN);
    close(fd);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    addr.sin_port = htons(udp);
    sendto(fd, "x", 1, 0, (struct sockaddr *)&addr, sizeof(addr));
    bool found = false;
    while (!found && guest_wait(&g))
        found =
            g.frame[GUEST_ETH + 9] == 17 && guest_be16(g.frame + GUEST_ETH + GUEST_IP + 2) == 53;
    cr_expect(found);
    close(fd);
}

Test(net_user, a_command_answers_the_guest)
{
    option("guestfwd", "tcp:10.0.2.100:7-cmd:echo hello");
    option("restrict", "on");
    start();
    struct guest_tcp tcp = {.from = GUEST_IPV4, .to = 0x0a000264, .from_port = 4000, .to_port = 7};
    shake_hands(&tcp);
    size_t at = wait_tcp(4000, TCP_PSH);
    cr_expect_eq(memcmp(g.frame + at, "hello\n", 6), 0);
}

/* Each connection is one of its own, also where nothing else leads outside. */
Test(net_user, a_server_answers_the_guest)
{
    char text[64];
    uint16_t port;
    int listener = host_socket(SOCK_STREAM, &port);
    snprintf(text, sizeof(text), "tcp:10.0.2.100:7-tcp:127.0.0.1:%u", port);
    option("guestfwd", text);
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
        cr_expect_eq(memcmp(g.frame + at, "server", 6), 0);
        close(fd);
        wait_tcp(from, TCP_FIN);
    }
    close(listener);
}

Test(net_user, a_server_that_is_not_there_ends_the_connection)
{
    char text[64];
    snprintf(text, sizeof(text), "tcp:10.0.2.100:7-tcp:127.0.0.1:%u", free_port(SOCK_STREAM));
    option("guestfwd", text);
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
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/minivet-test-XXXXXX", text[160];
    cr_assert_not_null(mkdtemp(dir));
    snprintf(un.sun_path, sizeof(un.sun_path), "%s/server", dir);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&un, sizeof(un)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    snprintf(text, sizeof(text), "tcp:10.0.2.100:7-unix:%s", un.sun_path);
    option("guestfwd", text);
    start();
    struct guest_tcp tcp = {.from = GUEST_IPV4, .to = 0x0a000264, .from_port = 4000, .to_port = 7};
    int fd = connect_guest(&tcp, listener);
    cr_expect_eq((int)write(fd, "server", 6), 6);
    size_t at = wait_tcp(4000, TCP_PSH);
    cr_expect_eq(memcmp(g.frame + at, "server", 6), 0);
    close(fd);
    close(listener);
    unlink(un.sun_path);
    rmdir(dir);
}

Test(net_user, what_cannot_serve_is_told_at_once)
{
    char text[200] = "tcp:10.0.2.100:7-unix:/";
    option("guestfwd", "tcp:10.0.2.100:7-cmd:/no/such/program x");
    cr_expect_eq(net_user_create(&net, &config), -ENOENT);
    cr_expect(strstr(logged_line, "/no/such/program:") != NULL, "%s", logged_line);
    memset(text + strlen(text), 'x', 107);
    config.forward_count = 0;
    option("guestfwd", text);
    cr_expect_eq(net_user_create(&net, &config), -ENAMETOOLONG);
    net = NULL;
}

Test(net_user, restrict_keeps_the_guest_inside)
{
    uint16_t port;
    int fd = host_socket(SOCK_DGRAM, &port);
    uint8_t got[10];
    option("restrict", "on");
    start();
    guest_send_packet(&g, packet, guest_make_udp(packet, HOST_IPV4, 5555, port, "ping", 4));
    evloop_drain(loop);
    cr_expect_eq((int)read(fd, got, sizeof(got)), -1);
    close(fd);
}

/* 192.0.2.0/24 is nobody's (RFC 5737). */
Test(net_user, an_address_that_is_not_the_host_s_is_named)
{
    option("hostfwd", "tcp:192.0.2.1:2222-:22");
    cr_expect_eq(net_user_create(&net, &config), -EADDRNOTAVAIL);
    cr_expect(strstr(logged_line, "no such address") != NULL, "%s", logged_line);
    net = NULL;
}

Test(net_user, a_port_that_is_taken_is_named)
{
    uint16_t port;
    char text[64];
    int fd = host_socket(SOCK_STREAM, &port);
    snprintf(text, sizeof(text), "tcp:127.0.0.1:%u-:22", port);
    option("hostfwd", text);
    cr_expect_eq(net_user_create(&net, &config), -EADDRINUSE);
    cr_expect(strstr(logged_line, text) != NULL, "%s", logged_line);
    cr_expect(strstr(logged_line, "take another") != NULL, "%s", logged_line);
    net = NULL;
    close(fd);
}

/* A host that floods a guest which does not read: some is lost, nothing grows, and it goes on. */
Test(net_user, a_flood_waits_or_is_lost)
{
    uint16_t port;
    int fd = host_socket(SOCK_DGRAM, &port);
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    start();
    guest_send_packet(&g, packet, guest_make_udp(packet, HOST_IPV4, 5555, port, "ping", 4));
    cr_assert_gt((int)recvfrom(fd, data, 10, 0, (struct sockaddr *)&from, &len), 0);
    for (unsigned i = 0; i < 2000; i++) {
        sendto(fd, data, 8000, MSG_DONTWAIT, (struct sockaddr *)&from, len);
        if (i % 10 == 0)
            evloop_drain(loop);
    }
    unsigned got = 0;
    for (; guest_wait(&g) && got < 50; got++)
        cr_expect_eq(g.bytes, GUEST_ETH + GUEST_IP + GUEST_UDP + 8000);
    cr_expect_eq(got, 50);
    close(fd);
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Each datagram from another port would be another socket. */
Test(net_user, a_guest_that_opens_all_ports_gets_so_many)
{
    uint16_t port;
    int fd = host_socket(SOCK_DGRAM, &port);
    start();
    unsigned before = open_descriptors();
    for (unsigned i = 0; i < 2000; i++)
        guest_send_packet(&g, packet,
                          guest_make_udp(packet, HOST_IPV4, (uint16_t)(5000 + i), port, "ping", 4));
    evloop_drain(loop);
    unsigned more = open_descriptors() - before;
    cr_expect_gt(more, 100);
    cr_expect_leq(more, 512);
    net->ops->destroy(net);
    net = NULL;
    cr_expect_leq(open_descriptors(), before);
    close(fd);
}

static void raise_limit(void)
{
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max < 4096)
        cr_skip("descriptors up to 4096 are not allowed");
    limit.rlim_cur = 4096;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* Nor does it get more where there are many descriptors already: other networks have theirs. */
Test(net_user, high_descriptors_count_too)
{
    uint16_t port;
    int fd = host_socket(SOCK_DGRAM, &port);
    start();
    raise_limit();
    for (int n = 0; n < 1020; n = fcntl(fd, F_DUPFD, 0))
        cr_assert_geq(n, 0);
    unsigned before = open_descriptors();
    for (unsigned i = 0; i < 2000; i++)
        guest_send_packet(&g, packet,
                          guest_make_udp(packet, HOST_IPV4, (uint16_t)(5000 + i), port, "ping", 4));
    evloop_drain(loop);
    cr_expect_leq(open_descriptors() - before, 512);
    cr_expect(guest_arp(&g, HOST_IPV4));
}

static void take_event(void *ctx, uint32_t events)
{
    eventfd_t count;
    (void)events;
    cr_expect_eq(eventfd_read(*(int *)ctx, &count), 0);
    *(int *)ctx = -1;
}

/* Two cards with all that each may have: the machine's own descriptors are polled still. */
Test(net_user, two_networks_leave_room_for_the_machine)
{
    uint16_t port;
    int fd = host_socket(SOCK_DGRAM, &port), event = eventfd(1, EFD_NONBLOCK), waiting = event;
    struct ev_fd ev = {.cb = take_event, .ctx = &waiting};
    struct net_backend *first;
    raise_limit();
    start();
    for (unsigned i = 0; i < 600; i++)
        guest_send_packet(&g, packet,
                          guest_make_udp(packet, HOST_IPV4, (uint16_t)(5000 + i), port, "ping", 4));
    evloop_drain(loop);
    first = net;
    start();
    for (unsigned i = 0; i < 600; i++)
        guest_send_packet(&g, packet,
                          guest_make_udp(packet, HOST_IPV4, (uint16_t)(5000 + i), port, "ping", 4));
    evloop_drain(loop);
    cr_assert_gt(open_descriptors(), 1024, "as many as there may be");
    cr_assert_eq(evloop_fd_add(loop, &ev, event, EPOLLIN), 0);
    evloop_drain(loop);
    cr_expect_eq(waiting, -1);
    evloop_fd_del(loop, &ev);
    close(fd);
    first->ops->destroy(first);
    close(event);
}

/* So does who comes from outside: he waits in the host's queue. */
Test(net_user, a_host_that_opens_all_ports_gets_so_many)
{
    char text[64];
    uint16_t port = free_port(SOCK_STREAM);
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    snprintf(text, sizeof(text), "tcp:127.0.0.1:%u-:22", port);
    option("hostfwd", text);
    start();
    raise_limit();
    unsigned before = open_descriptors(), clients = 0;
    for (; clients < 700; clients++) {
        int low = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int fd = fcntl(low, F_DUPFD, 2000); /* those below are counted by the network */
        cr_assert_geq(fd, 2000);
        close(low);
        (void)!connect(fd, (struct sockaddr *)&addr, sizeof(addr));
        evloop_drain(loop);
        while (guest_receive(&g) >= 0)
            ;
    }
    unsigned more = open_descriptors() - before - clients;
    cr_expect_gt(more, 100);
    cr_expect_leq(more, 513);
}

static size_t resident_bytes(void)
{
    char line[100] = "", *second = line;
    FILE *f = fopen("/proc/self/statm", "r");
    cr_assert(f != NULL && fgets(line, sizeof(line), f) != NULL);
    fclose(f);
    strtoul(line, &second, 10);
    return strtoul(second, NULL, 10) * 4096;
}

/*
 * Behind a hole, which is never filled: of twelve connections with 60000 segments each libslirp
 * would keep 3 GB.
 */
Test(net_user, segments_ahead_do_not_pile_up)
{
#if defined(__SANITIZE_THREAD__)
    cr_skip_test("ThreadSanitizer's shadow takes more memory than the segments could");
#endif
    uint16_t port;
    int listener = host_socket(SOCK_STREAM, &port);
    start();
    size_t before = resident_bytes();
    for (uint16_t from = 4000; from < 4012; from++) {
        struct guest_tcp tcp = {
            .from = GUEST_IPV4, .to = HOST_IPV4, .from_port = from, .to_port = port};
        connect_guest(&tcp, listener);
        tcp.seq++;
        for (unsigned i = 0; i < 60000; i++, tcp.seq++) {
            guest_send_packet(&g, packet, guest_make_tcp(packet, &tcp, "x", 1));
            while (i % 100 == 0 && guest_receive(&g) >= 0)
                ;
        }
        evloop_drain(loop);
    }
    cr_expect_lt(resident_bytes() - before, 100 << 20);
    cr_expect(guest_arp(&g, HOST_IPV4));
}

/* What a guest's stack, or a hostile guest, does with a stream beside sending it. */
struct habits {
    unsigned swapped;  /* so many segments of a window in the opposite order */
    unsigned forgets;  /* every so many rounds the table loses all connections */
    unsigned corrupts; /* every so many segments have a wrong checksum */
    bool exceeds;      /* sends more than the window, to a host that does not read */
    size_t segment;
};

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + (i >> 8));
}

/* Sends from what was acknowledged last, a window at a time, whatever has become of it. */
static unsigned send_window(struct guest_tcp *tcp, const struct habits *h, uint32_t done,
                            size_t total, unsigned count)
{
    const struct guest_tcp start = *tcp;
    size_t window = h->exceeds ? 200000 : 60000;
    unsigned segments = (unsigned)((window < total - done ? window : total - done) / h->segment);
    for (unsigned i = 0; i < segments; i++) {
        unsigned group = h->swapped ? i / h->swapped * h->swapped : 0;
        unsigned n =
            h->swapped && group + h->swapped <= segments ? group + h->swapped - 1 - (i - group) : i;
        size_t at = n * h->segment;
        tcp->seq = start.seq + (uint32_t)at;
        for (size_t k = 0; k < h->segment; k++)
            data[k] = byte_at(done + at + k);
        size_t bytes = guest_make_tcp(packet, tcp, data, h->segment);
        if (h->corrupts && ++count % h->corrupts == 0)
            packet[0] = 0; /* it is not filled in */
        guest_send_packet(&g, packet, bytes);
    }
    tcp->seq = start.seq;
    evloop_drain(loop);
    return count;
}

/* The newest acknowledgement that has come, of bytes of the stream. */
static uint32_t take_acks(uint16_t port, uint32_t first, uint32_t done)
{
    while (guest_receive(&g) >= 0) {
        const uint8_t *ip = g.frame + GUEST_ETH, *tcp = ip + GUEST_IP;
        if (guest_be16(g.frame + 12) != 0x0800 || ip[9] != 6 || guest_be16(tcp + 2) != port)
            continue;
        cr_assert_eq(tcp[13] & TCP_RST, 0);
        uint32_t acked = guest_be32(tcp + 8) - first;
        done = (int32_t)(acked - done) > 0 ? acked : done;
    }
    return done;
}

/* The host's end gets the stream, all of it and nothing else. */
static void check_stream(const struct habits *h)
{
    uint16_t port;
    int listener = host_socket(SOCK_STREAM, &port);
    size_t total = 400 * 1000, got = 0;
    static uint8_t in[65536];
    struct guest_tcp tcp = {
        .from = GUEST_IPV4, .to = HOST_IPV4, .from_port = 4000, .to_port = port};
    start();
    int fd = connect_guest(&tcp, listener);
    uint32_t first = tcp.seq, done = 0;
    unsigned rounds = 0, count = 0;
    tcp.flags = TCP_ACK;
    for (; got < total && rounds < 3000; rounds++) {
        if (h->forgets && rounds % h->forgets == 0)
            memset(&container_of(net, struct net_user, b)->flows, 0, sizeof(struct user_flows));
        tcp.seq = first + done;
        count = send_window(&tcp, h, done, total, count);
        done = take_acks(4000, first, done);
        if (h->exceeds && rounds < 5)
            continue;
        ssize_t n = read(fd, in, sizeof(in));
        for (ssize_t i = 0; i < n; i++)
            cr_assert_eq(in[i], byte_at(got + (size_t)i), "at %zu", got + (size_t)i);
        got += n > 0 ? (size_t)n : 0;
        if (n < 0)
            usleep(1000);
        evloop_drain(loop);
    }
    cr_expect_eq(got, total, "after %u rounds", rounds);
    close(fd);
    close(listener);
}

Test(net_user, a_stream_arrives_in_order)
{
    first_seq = UINT32_MAX - 50006;
    check_stream(&(struct habits){.segment = 500});
}

Test(net_user, a_stream_arrives_from_a_stack_that_swaps_segments)
{
    check_stream(&(struct habits){.segment = 100, .swapped = 8});
}

/* More of them are ahead than may be. */
Test(net_user, a_stream_arrives_from_back_to_front)
{
    first_seq = UINT32_MAX - 50006;
    check_stream(&(struct habits){.segment = 100, .swapped = 600});
}

Test(net_user, a_stream_arrives_though_its_connection_is_forgotten)
{
    check_stream(&(struct habits){.segment = 1000, .swapped = 3, .forgets = 4});
}

Test(net_user, a_stream_arrives_through_damage)
{
    check_stream(&(struct habits){.segment = 500, .swapped = 2, .corrupts = 7});
}

Test(net_user, a_stream_arrives_though_windows_are_exceeded)
{
    check_stream(&(struct habits){.segment = 1000, .exceeds = true});
    first_seq = UINT32_MAX - 50006;
}

Test(net_user, a_stream_of_exceeding_segments_ahead_arrives)
{
    check_stream(&(struct habits){.segment = 8000, .swapped = 5, .exceeds = true, .forgets = 7});
}

/* Answers to addresses that no host has are kept for a second, and all of them looked at. */
Test(net_user, echoes_from_nobody_do_not_pile_up)
{
    option("net", "10.0.0.0/8");
    option("host", "10.0.2.2");
    start();
    size_t before = resident_bytes();
    unsigned asked = 0;
    for (unsigned i = 0; i < 20000; i++) {
        guest_send_packet(&g, packet, guest_make_echo(packet, 0x0a100000 + i, 32));
        while (guest_receive(&g) >= 0)
            asked += guest_be16(g.frame + 12) == 0x0806;
    }
    cr_expect_gt(asked, 0);
    cr_expect_lt(asked, 1000, "%u", asked);
    cr_expect_lt(resident_bytes() - before, 60 << 20);
    /* The guest's own address is served all the time. */
    guest_send_packet(&g, packet, guest_make_echo(packet, GUEST_IPV4, 32));
    bool answered = false;
    while (!answered && guest_wait(&g))
        answered = g.frame[GUEST_ETH + 9] == 1 && g.frame[GUEST_ETH + GUEST_IP] == 0;
    cr_expect(answered);
}

/* Peers at a forwarded port, while the guest does not say where it is. */
Test(net_user, datagrams_for_an_absent_guest_do_not_pile_up)
{
    char text[64];
    uint16_t port = free_port(SOCK_DGRAM);
    struct sockaddr_in addr = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    snprintf(text, sizeof(text), "udp::%u-:53", port);
    option("hostfwd", text);
    cr_assert_eq(net_user_create(&net, &config), 0);
    guest_init(&g, net, loop);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned asked = 0;
    for (unsigned i = 0; i < 2000; i++) {
        sendto(fd, data, 1000, MSG_DONTWAIT, (struct sockaddr *)&addr, sizeof(addr));
        evloop_drain(loop);
        while (guest_receive(&g) >= 0)
            asked += guest_be16(g.frame + 12) == 0x0806;
    }
    cr_expect_gt(asked, 0);
    cr_assert(guest_arp(&g, HOST_IPV4));
    unsigned held = 0;
    evloop_drain(loop);
    while (guest_receive(&g) >= 0)
        held += g.frame[GUEST_ETH + 9] == 17;
    cr_expect_lt(held, 100, "%u", held);
    sendto(fd, data, 1000, 0, (struct sockaddr *)&addr, sizeof(addr));
    cr_expect(guest_wait(&g));
    close(fd);
}

static bool reaches(uint32_t addr, int fd, uint16_t port)
{
    uint8_t got[10];
    guest_send_packet(&g, packet, guest_make_udp(packet, addr, 5555, port, "ping", 4));
    evloop_drain(loop);
    return read(fd, got, sizeof(got)) == 4;
}

Test(net_user, loopback_off_keeps_the_host_s_services_away)
{
    uint16_t port, tcp_port;
    int fd = host_socket(SOCK_DGRAM, &port), listener = host_socket(SOCK_STREAM, &tcp_port);
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
        guest_send_packet(&g, packet, bytes);
        if (i % 50 == 0)
            evloop_drain(loop);
    }
    evloop_drain(loop);
    while (guest_receive(&g) >= 0)
        ;
    cr_expect(guest_arp(&g, HOST_IPV4));
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
        cr_expect(strstr(logged_line, wrong[i].key) != NULL, "%s", logged_line);
    }
    cr_expect_eq(net_user_option(&config, "--net user", "nonsense", "1"), -ENOENT);
    for (unsigned i = 0; i < NET_USER_FORWARDS; i++)
        option("hostfwd", ":127.0.0.1:2222-:22");
    cr_expect_eq(net_user_option(&config, "--net user", "hostfwd", "::1-:22"), -EINVAL);
    cr_expect(strstr(logged_line, "at most") != NULL);
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
