// SPDX-License-Identifier: BSD-2-Clause
/* What a guest or a peer can make a user network keep, and streams that are hard to keep in order.
 */
#include <sys/epoll.h>
#include <sys/resource.h>

#include "tests/harness/test.h"
#include "tests/harness/user_net.h"

TestSuite(net_user_limits, .init = user_net_set_up, .fini = user_net_tear_down);

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* The guest sends from so many ports. */
static void open_ports(unsigned count, uint16_t port)
{
    for (unsigned i = 0; i < count; i++)
        send_udp(HOST_IPV4, (uint16_t)(5000 + i), port, "ping", 4);
    evloop_drain(loop);
}

/* Each datagram from another port would be another socket. */
Test(net_user_limits, a_guest_that_opens_all_ports_gets_so_many)
{
    uint16_t port;
    int fd = host_socket(AF_INET, SOCK_DGRAM, &port);
    start();
    unsigned before = open_descriptors();
    open_ports(2000, port);
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
Test(net_user_limits, high_descriptors_count_too)
{
    uint16_t port;
    int fd = host_socket(AF_INET, SOCK_DGRAM, &port);
    start();
    raise_limit();
    for (int n = 0; n < 1020; n = fcntl(fd, F_DUPFD, 0))
        cr_assert_geq(n, 0);
    unsigned before = open_descriptors();
    open_ports(2000, port);
    cr_expect_leq(open_descriptors() - before, 512);
    cr_expect(guest_arp(&vm, HOST_IPV4));
}

static void take_event(void *ctx, uint32_t events)
{
    eventfd_t count;
    (void)events;
    cr_expect_eq(eventfd_read(*(int *)ctx, &count), 0);
    *(int *)ctx = -1;
}

/* Two cards with all that each may have: the machine's own descriptors are polled still. */
Test(net_user_limits, two_networks_leave_room_for_the_machine)
{
    uint16_t port;
    int fd = host_socket(AF_INET, SOCK_DGRAM, &port), event = eventfd(1, EFD_NONBLOCK),
        waiting = event;
    struct ev_fd ev = {.cb = take_event, .ctx = &waiting};
    struct net_backend *first;
    raise_limit();
    start();
    open_ports(600, port);
    first = net;
    start();
    open_ports(600, port);
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
Test(net_user_limits, a_host_that_opens_all_ports_gets_so_many)
{
    uint16_t port = free_port(SOCK_STREAM);
    struct sockaddr_in addr = loopback(port);
    optionf("hostfwd", "tcp:127.0.0.1:%u-:22", port);
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
        drop_frames();
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
Test(net_user_limits, segments_ahead_do_not_pile_up)
{
#if defined(__SANITIZE_THREAD__)
    cr_skip_test("ThreadSanitizer's shadow takes more memory than the segments could");
#endif
    uint16_t port;
    int listener = host_socket(AF_INET, SOCK_STREAM, &port);
    start();
    size_t before = resident_bytes();
    for (uint16_t from = 4000; from < 4012; from++) {
        struct guest_tcp tcp = {
            .from = GUEST_IPV4, .to = HOST_IPV4, .from_port = from, .to_port = port};
        connect_guest(&tcp, listener);
        tcp.seq++;
        for (unsigned i = 0; i < 60000; i++, tcp.seq++) {
            guest_send_packet(&vm, packet, guest_make_tcp(packet, &tcp, "x", 1));
            while (i % 100 == 0 && guest_receive(&vm) >= 0)
                ;
        }
        evloop_drain(loop);
    }
    cr_expect_lt(resident_bytes() - before, 100 << 20);
    cr_expect(guest_arp(&vm, HOST_IPV4));
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
        guest_send_packet(&vm, packet, bytes);
    }
    tcp->seq = start.seq;
    evloop_drain(loop);
    return count;
}

/* The newest acknowledgement that has come, of bytes of the stream. */
static uint32_t take_acks(uint16_t port, uint32_t first, uint32_t done)
{
    while (guest_receive(&vm) >= 0) {
        const uint8_t *ip = vm.frame + GUEST_ETH, *tcp = ip + GUEST_IP;
        if (guest_be16(vm.frame + 12) != 0x0800 || ip[9] != 6 || guest_be16(tcp + 2) != port)
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
    int listener = host_socket(AF_INET, SOCK_STREAM, &port);
    size_t total = 400 * 1000, got = 0;
    static uint8_t in[65536];
    struct guest_tcp tcp = tcp_to(HOST_IPV4, port);
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

Test(net_user_limits, a_stream_arrives_in_order)
{
    first_seq = UINT32_MAX - 50006;
    check_stream(&(struct habits){.segment = 500});
}

Test(net_user_limits, a_stream_arrives_from_a_stack_that_swaps_segments)
{
    check_stream(&(struct habits){.segment = 100, .swapped = 8});
}

/* More of them are ahead than may be. */
Test(net_user_limits, a_stream_arrives_from_back_to_front)
{
    first_seq = UINT32_MAX - 50006;
    check_stream(&(struct habits){.segment = 100, .swapped = 600});
}

Test(net_user_limits, a_stream_arrives_though_its_connection_is_forgotten)
{
    check_stream(&(struct habits){.segment = 1000, .swapped = 3, .forgets = 4});
}

Test(net_user_limits, a_stream_arrives_through_damage)
{
    check_stream(&(struct habits){.segment = 500, .swapped = 2, .corrupts = 7});
}

Test(net_user_limits, a_stream_arrives_though_windows_are_exceeded)
{
    check_stream(&(struct habits){.segment = 1000, .exceeds = true});
    first_seq = UINT32_MAX - 50006;
}

Test(net_user_limits, a_stream_of_exceeding_segments_ahead_arrives)
{
    check_stream(&(struct habits){.segment = 8000, .swapped = 5, .exceeds = true, .forgets = 7});
}

/* Answers to addresses that no host has are kept for a second, and all of them looked at. */
Test(net_user_limits, echoes_from_nobody_do_not_pile_up)
{
    option("net", "10.0.0.0/8");
    option("host", "10.0.2.2");
    start();
    size_t before = resident_bytes();
    unsigned asked = 0;
    for (unsigned i = 0; i < 20000; i++) {
        guest_send_packet(&vm, packet, guest_make_echo(packet, 0x0a100000 + i, 32));
        while (guest_receive(&vm) >= 0)
            asked += guest_be16(vm.frame + 12) == 0x0806;
    }
    cr_expect_gt(asked, 0);
    cr_expect_lt(asked, 1000, "%u", asked);
    cr_expect_lt(resident_bytes() - before, 60 << 20);
    /* The guest's own address is served all the time. */
    guest_send_packet(&vm, packet, guest_make_echo(packet, GUEST_IPV4, 32));
    bool answered = false;
    while (!answered && guest_wait(&vm))
        answered = vm.frame[GUEST_ETH + 9] == 1 && vm.frame[GUEST_ETH + GUEST_IP] == 0;
    cr_expect(answered);
}

/* Peers at a forwarded port, while the guest does not say where it is. */
Test(net_user_limits, datagrams_for_an_absent_guest_do_not_pile_up)
{
    uint16_t port = free_port(SOCK_DGRAM);
    struct sockaddr_in addr = loopback(port);
    optionf("hostfwd", "udp::%u-:53", port);
    cr_assert_eq(net_user_create(&net, &config), 0);
    guest_init(&vm, net, loop);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned asked = 0;
    for (unsigned i = 0; i < 2000; i++) {
        sendto(fd, data, 1000, MSG_DONTWAIT, (struct sockaddr *)&addr, sizeof(addr));
        evloop_drain(loop);
        while (guest_receive(&vm) >= 0)
            asked += guest_be16(vm.frame + 12) == 0x0806;
    }
    cr_expect_gt(asked, 0);
    cr_assert(guest_arp(&vm, HOST_IPV4));
    unsigned held = 0;
    evloop_drain(loop);
    while (guest_receive(&vm) >= 0)
        held += vm.frame[GUEST_ETH + 9] == 17;
    cr_expect_lt(held, 100, "%u", held);
    sendto(fd, data, 1000, 0, (struct sockaddr *)&addr, sizeof(addr));
    cr_expect(guest_wait(&vm));
    close(fd);
}
