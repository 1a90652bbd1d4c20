// SPDX-License-Identifier: BSD-2-Clause
/*
 * Taps of a real kernel, in a network namespace of the test's own: two taps on a bridge, so that
 * what one sends the kernel forwards, cut and summed up as the other one needs it.
 */
#include "devices/net/tap/net_tap.h"

#include <limits.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/ports/net.h"
#include "tests/harness/net_guest.h"
#include "tests/harness/test.h"

#define HEADER    NET_HEADER_BYTES
#define ETHERNET  14u
#define IP        (HEADER + ETHERNET)
#define TCP       (IP + 20u)
#define DATA      (TCP + 20u)
#define SEGMENT   1000u
#define GSO_TCPV4 1u /* VIRTIO 1.4 5.1.6 */
#define NEEDS     1u /* VIRTIO_NET_HDR_F_NEEDS_CSUM */

static struct evloop *loop;
static int control = -1; /* any socket */
static struct guest ports[2];
static uint8_t out[NET_PACKET_MAX], in[NET_PACKET_MAX];

/* ---- the host ---- */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = write(fd, text, strlen(text));
    (void)n;
    close(fd);
}

static void set_flags(const char *name, bool up)
{
    struct ifreq ifr = {.ifr_flags = up ? IFF_UP : 0};
    strncpy(ifr.ifr_name, name, IF_NAMESIZE - 1);
    cr_assert_eq(ioctl(control, SIOCSIFFLAGS, &ifr), 0, "%s", name);
}

/* What a test may change is its own: else it is skipped. */
static void setup(void)
{
    if (access("/dev/net/tun", R_OK | W_OK) != 0 || unshare(CLONE_NEWNET) != 0)
        cr_skip_test("no taps and network namespaces here: %s", strerror(errno));
    write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    /* A bridge tells who listens to what (224.0.0.106), when it likes. */
    write_file("/proc/sys/net/ipv4/igmp_link_local_mcast_reports", "0");
    control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(control, 0);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    listen_to_log(LOG_WARN);
}

static void unplug(struct guest *p)
{
    if (p->net != NULL)
        p->net->ops->destroy(p->net);
    p->net = NULL;
}

static void teardown(void)
{
    if (loop == NULL)
        return;
    unplug(&ports[0]);
    unplug(&ports[1]);
    evloop_destroy(loop);
    loop = NULL;
    close(control);
    log_set_sink(NULL, NULL);
}

TestSuite(net_tap, .init = setup, .fini = teardown);

static int create(struct guest *p, const char *name, unsigned pairs)
{
    return net_tap_create(&p->net,
                          &(struct net_tap_config){.loop = loop, .name = name, .pairs = pairs});
}

static void plug(struct guest *p, const char *name, unsigned pairs)
{
    cr_assert_eq(create(p, name, pairs), 0);
    guest_init(p, p->net, loop);
    set_flags(name, true);
    evloop_drain(loop);
}

/* Both on a bridge. */
static void plug_both(unsigned pairs)
{
    struct ifreq ifr = {.ifr_name = "bridge"};
    plug(&ports[0], "left", pairs);
    plug(&ports[1], "right", pairs);
    if (ioctl(control, SIOCBRADDBR, "bridge") != 0)
        cr_skip_test("no bridges here: %s", strerror(errno));
    ifr.ifr_ifindex = (int)if_nametoindex("left");
    cr_assert_eq(ioctl(control, SIOCBRADDIF, &ifr), 0);
    ifr.ifr_ifindex = (int)if_nametoindex("right");
    cr_assert_eq(ioctl(control, SIOCBRADDIF, &ifr), 0);
    set_flags("bridge", true);
    evloop_drain(loop);
    ports[0].rx_told = ports[1].rx_told = ports[0].link_told = ports[1].link_told = 0;
    logged_lines = 0;
}

/* ---- packets ---- */

static const uint8_t to_right[6] = {0x02, 0, 0, 0, 0, 0x22}, from_left[6] = {0x02, 0, 0, 0, 0, 1};

/* Of the Internet; 0xffff if what is summed up contains a right checksum. */
static uint16_t sum(const uint8_t *at, size_t bytes, uint32_t begin)
{
    for (size_t i = 0; i < bytes; i++)
        begin += (uint32_t)at[i] << (i % 2 == 0 ? 8 : 0);
    while (begin > 0xffff)
        begin = (begin & 0xffff) + (begin >> 16);
    return (uint16_t)begin;
}

/* The sum of TCP's pseudo header. */
static uint32_t pseudo(const uint8_t *packet, size_t tcp_bytes)
{
    return sum(packet + IP + 12, 8, (uint32_t)(6 + tcp_bytes));
}

static size_t make_plain(size_t frame_bytes)
{
    memset(out, 0, sizeof(out));
    for (size_t i = 0; i < frame_bytes; i++)
        out[HEADER + i] = (uint8_t)(i * 7);
    memcpy(out + HEADER, to_right, 6);
    memcpy(out + HEADER + 6, from_left, 6);
    guest_be16_put(out + HEADER + 12, 0x88b5); /* for experiments */
    return HEADER + frame_bytes;
}

/* TCP with a checksum that is left to the receiver; cut by him, too, if segment_bytes is not 0. */
static size_t make_tcp(size_t data_bytes, uint16_t segment_bytes)
{
    size_t bytes = make_plain(DATA - HEADER + data_bytes);
    guest_be16_put(out + HEADER + 12, 0x0800);
    memset(out + IP, 0, DATA - IP);
    out[IP] = 0x45;
    guest_be16_put(out + IP + 2, (uint16_t)(bytes - IP));
    out[IP + 8] = 64;
    out[IP + 9] = 6;
    memcpy(out + IP + 12, (const uint8_t[]){10, 0, 0, 1, 10, 0, 0, 2}, 8);
    guest_be16_put(out + IP + 10, (uint16_t)~sum(out + IP, 20, 0));
    out[TCP + 7] = 1; /* sequence number */
    out[TCP + 12] = 0x50;
    out[TCP + 13] = 0x10;
    guest_be16_put(out + TCP + 16, sum(NULL, 0, pseudo(out, bytes - TCP)));
    out[0] = NEEDS;
    le16_put(out + 6, ETHERNET + 20);
    le16_put(out + 8, 16);
    if (segment_bytes != 0) {
        out[1] = GSO_TCPV4;
        le16_put(out + 2, DATA - HEADER);
        le16_put(out + 4, segment_bytes);
    }
    return bytes;
}

static int send_cut(size_t bytes, size_t first)
{
    struct iovec iov[2] = {{out, first}, {out + first, bytes - first}};
    return ports[0].net->ops->send(ports[0].net, 0, iov, 2);
}

static ssize_t receive_room(unsigned pair, size_t room)
{
    struct iovec iov[2] = {{in, 20}, {in + 20, room - 20}};
    memset(in, 0xee, sizeof(in));
    return ports[1].net->ops->receive(ports[1].net, pair, iov, 2);
}

/* What is not from here is passed over: the kernel may have to say something, too. */
static ssize_t receive(void)
{
    for (;;) {
        ssize_t n = receive_room(0, sizeof(in));
        if (n < 0 || memcmp(in + HEADER, to_right, 6) == 0)
            return n;
    }
}

static void expect_sums(ssize_t bytes)
{
    cr_expect_eq(in[0] & NEEDS, 0);
    cr_expect_eq(sum(in + IP, 20, 0), 0xffff);
    cr_expect_eq(sum(in + TCP, (size_t)bytes - TCP, pseudo(in, (size_t)bytes - TCP)), 0xffff);
}

Test(net_tap, carries_packets)
{
    plug_both(1);
    cr_expect_eq(receive(), -EAGAIN);
    size_t bytes = make_plain(1000);
    cr_expect_eq(send_cut(bytes, 5), 0);
    evloop_drain(loop);
    cr_expect_eq(ports[1].rx_told, 1);
    cr_expect_eq(receive(), (ssize_t)bytes);
    cr_expect_eq(memcmp(in + HEADER, out + HEADER, bytes - HEADER), 0);
    cr_expect_eq(in[0], 0);
    cr_expect_eq(in[1], 0);
    cr_expect_eq(receive(), -EAGAIN);
}

/* Or a host with a fast network would keep the loop of an idle guest busy. */
Test(net_tap, calls_once_for_what_nobody_takes)
{
    plug_both(1);
    cr_expect_eq(receive(), -EAGAIN);
    for (unsigned i = 0; i < 10; i++) {
        cr_expect_eq(send_cut(make_plain(100), HEADER), 0);
        evloop_drain(loop);
    }
    cr_expect_eq(ports[1].rx_told, 1);
    for (unsigned i = 0; i < 10; i++)
        cr_expect_eq(receive(), (ssize_t)HEADER + 100);
    cr_expect_eq(receive(), -EAGAIN);
    send_cut(make_plain(100), HEADER);
    evloop_drain(loop);
    cr_expect_eq(ports[1].rx_told, 2);
}

Test(net_tap, has_large_packets_cut)
{
    plug_both(1);
    cr_assert((ports[0].net->info.to_host & NET_TSO4) != 0);
    cr_expect_eq(send_cut(make_tcp(4 * SEGMENT, SEGMENT), HEADER), 0);
    for (unsigned i = 0; i < 4; i++) {
        ssize_t n = receive();
        cr_assert_eq(n, DATA + SEGMENT, "segment %u", i);
        expect_sums(n);
        cr_expect_eq(in[1], 0);
        cr_expect_eq((uint16_t)guest_be16(in + TCP + 6), 1 + i * SEGMENT);
        cr_expect_eq(memcmp(in + DATA, out + DATA + i * SEGMENT, SEGMENT), 0);
    }
    cr_expect_eq(receive(), -EAGAIN);
}

Test(net_tap, gives_what_the_guest_can_cut)
{
    plug_both(1);
    size_t bytes = make_tcp(60 * SEGMENT, SEGMENT);
    ports[1].net->ops->set_offloads(ports[1].net, NET_CSUM | NET_TSO4);
    cr_expect_eq(send_cut(bytes, HEADER), 0);
    cr_assert_eq(receive(), (ssize_t)bytes);
    cr_expect_eq(in[0], NEEDS);
    cr_expect_eq(in[1], GSO_TCPV4);
    cr_expect_eq(le16_get(in + 4), SEGMENT);
    cr_expect_eq(memcmp(in + DATA, out + DATA, bytes - DATA), 0);
}

Test(net_tap, fills_in_checksums)
{
    plug_both(1);
    cr_expect_eq(send_cut(make_tcp(SEGMENT, 0), HEADER), 0);
    cr_assert_eq(receive(), DATA + SEGMENT);
    expect_sums(DATA + SEGMENT);
    ports[1].net->ops->set_offloads(ports[1].net, NET_CSUM);
    cr_expect_eq(send_cut(make_tcp(SEGMENT, 0), HEADER), 0);
    cr_assert_eq(receive(), DATA + SEGMENT);
    cr_expect_eq(in[0], NEEDS);
    cr_expect_eq(le16_get(in + 6), ETHERNET + 20);
    cr_expect_eq(le16_get(in + 8), 16);
}

/* A driver that comes after another one must not see what only that one asked for. */
Test(net_tap, forgets_what_was_made_for_other_offloads)
{
    plug_both(1);
    ports[1].net->ops->set_offloads(ports[1].net, NET_CSUM | NET_TSO4);
    cr_expect_eq(send_cut(make_tcp(4 * SEGMENT, SEGMENT), HEADER), 0);
    ports[1].net->ops->set_offloads(ports[1].net, 0);
    cr_expect_eq(receive(), -EAGAIN);
    cr_expect_eq(send_cut(make_plain(100), HEADER), 0);
    cr_expect_eq(receive(), (ssize_t)HEADER + 100);
}

static void expect_losses(void)
{
    size_t bytes = make_plain(500);
    for (unsigned i = 0; i < 5; i++)
        cr_expect_eq(send_cut(bytes, HEADER), 0);
    cr_expect_eq(receive_room(0, bytes - 1), -EMSGSIZE);
    cr_expect_eq(in[bytes - 1], 0xee);
    cr_expect_eq(receive_room(0, bytes), (ssize_t)bytes);
    struct iovec none = {in, HEADER - 1};
    cr_expect_eq(ports[1].net->ops->receive(ports[1].net, 0, &none, 1), -EMSGSIZE);
    cr_expect_eq(ports[1].net->ops->receive(ports[1].net, 0, &none, 0), -EMSGSIZE);
    cr_expect_eq(receive_room(0, bytes + 1), (ssize_t)bytes);
    cr_expect_eq(receive(), -EAGAIN);
}

/* Read to a place of ours, and, after what was large, at once to where it belongs. */
Test(net_tap, loses_what_is_too_long)
{
    plug_both(1);
    expect_losses();
    ports[1].net->ops->set_offloads(ports[1].net, NET_CSUM | NET_TSO4);
    cr_expect_eq(send_cut(make_tcp(4 * SEGMENT, SEGMENT), HEADER), 0);
    cr_assert_eq(receive(), DATA + 4 * SEGMENT);
    expect_losses();
}

/* The last of as many vectors as a system call takes, which is used after what was large. */
Test(net_tap, fills_all_vectors_or_loses)
{
    struct iovec iov[1024] = {{in, HEADER}};
    plug_both(1);
    ports[1].net->ops->set_offloads(ports[1].net, NET_CSUM | NET_TSO4);
    cr_expect_eq(send_cut(make_tcp(4 * SEGMENT, SEGMENT), HEADER), 0);
    cr_assert_eq(receive(), DATA + 4 * SEGMENT);
    size_t bytes = make_plain(1023);
    for (unsigned i = 1; i < 1024; i++)
        iov[i] = (struct iovec){in + HEADER + i - 1, 1};
    cr_expect_eq(send_cut(bytes, HEADER), 0);
    cr_expect_eq(ports[1].net->ops->receive(ports[1].net, 0, iov, 1024), -EMSGSIZE);
    cr_assert_eq(make_plain(1022), bytes - 1);
    cr_expect_eq(send_cut(bytes - 1, HEADER), 0);
    cr_expect_eq(ports[1].net->ops->receive(ports[1].net, 0, iov, 1024), (ssize_t)bytes - 1);
}

/* Packets that are small are read before they are asked for, as soon as there are many. */
Test(net_tap, keeps_the_order_of_small_and_large)
{
    static const unsigned large_after[] = {0, 1, 2, 5, 9, 17, 40, 80};
    plug_both(1);
    ports[1].net->ops->set_offloads(ports[1].net, NET_CSUM | NET_TSO4);
    for (unsigned i = 0; i < ARRAY_SIZE(large_after); i++) {
        size_t large = 0;
        for (unsigned n = 0; n < 100; n++) {
            bool is_large = n % (large_after[i] + 1) == large_after[i];
            size_t bytes = is_large ? make_tcp(30 * SEGMENT, SEGMENT) : make_plain(60 + n);
            large = is_large ? bytes : large;
            cr_assert_eq(send_cut(bytes, HEADER), 0);
        }
        for (unsigned n = 0; n < 100; n++) {
            bool is_large = n % (large_after[i] + 1) == large_after[i];
            cr_assert_eq(receive(), (ssize_t)(is_large ? large : HEADER + 60 + n));
            cr_assert(is_large || in[HEADER + 59 + n] == (uint8_t)((59 + n) * 7));
        }
        cr_expect_eq(receive(), -EAGAIN);
    }
}

Test(net_tap, forgets_what_it_has_read_ahead)
{
    plug_both(1);
    ports[1].net->ops->set_offloads(ports[1].net, NET_CSUM | NET_TSO4);
    for (unsigned n = 0; n < 20; n++) /* so that some of these are left after ten */
        cr_expect_eq(send_cut(make_tcp(100, 0), HEADER), 0);
    for (unsigned n = 0; n < 10; n++)
        cr_assert_gt(receive(), 0);
    ports[1].net->ops->set_offloads(ports[1].net, 0);
    cr_expect_eq(receive(), -EAGAIN);
}

Test(net_tap, drops_what_makes_no_sense)
{
    static const struct {
        unsigned at;
        uint8_t value;
    } wrong[] = {
        {1, 0x7f}, /* gso_type */
        {1, 5},    /* USO without the size */
        {4, 0},    /* gso_size */
        {7, 0xff}, /* csum_start */
        {9, 0xff}, /* csum_offset */
    };
    plug_both(1);
    for (unsigned i = 0; i < ARRAY_SIZE(wrong); i++) {
        size_t bytes = make_tcp(200, 0x80);
        out[wrong[i].at] = wrong[i].value;
        cr_expect_eq(send_cut(bytes, HEADER), 0, "case %u", i);
    }
    make_plain(100);
    for (size_t bytes = 0; bytes < HEADER + ETHERNET; bytes++)
        cr_expect_eq(send_cut(bytes, bytes / 2), 0, "%zu", bytes);
    struct iovec huge[4] = {{out, sizeof(out)}, {in, sizeof(in)}, {out, 9000}, {in, 9000}};
    cr_expect_eq(ports[0].net->ops->send(ports[0].net, 0, huge, 4), 0);
    cr_expect_eq(ports[0].net->ops->send(ports[0].net, 0, huge, 0), 0);
    cr_expect_eq(send_cut(make_plain(333), HEADER), 0);
    ssize_t n;
    do
        n = receive();
    while (n > 0 && n != HEADER + 333);
    cr_expect_eq(n, HEADER + 333);
}

Test(net_tap, uses_as_many_pairs_as_it_is_told)
{
    plug_both(2);
    struct net_backend *right = ports[1].net;
    cr_expect_eq(right->info.pairs, 2);
    cr_expect_eq(right->ops->set_pairs(right, 0), -EINVAL);
    cr_expect_eq(right->ops->set_pairs(right, 3), -EINVAL);
    cr_expect_eq(send_cut(make_plain(100), HEADER), 0);
    cr_expect_eq(receive(), (ssize_t)HEADER + 100);
    cr_expect_eq(right->ops->set_pairs(right, 2), 0);
    /* The host sends a flow where it came from. */
    uint8_t answer[NET_PACKET_MAX];
    size_t bytes = make_tcp(100, 0);
    memcpy(answer, out, bytes);
    memcpy(answer + HEADER, from_left, 6);
    memcpy(answer + HEADER + 6, to_right, 6);
    struct iovec iov = {answer, bytes};
    cr_expect_eq(right->ops->send(right, 1, &iov, 1), 0);
    cr_expect_eq(receive_room(0, sizeof(in)), -EAGAIN);
    cr_expect_eq(receive_room(1, sizeof(in)), -EAGAIN);
    cr_expect_eq(send_cut(bytes, HEADER), 0);
    evloop_drain(loop);
    cr_expect_eq(ports[1].rx_told, 1);
    cr_expect_eq(receive_room(ports[1].rx_pair, sizeof(in)), (ssize_t)bytes);
    /* With one pair nothing goes to the other one any more. */
    cr_expect_eq(right->ops->set_pairs(right, 1), 0);
    for (unsigned i = 0; i < 32; i++) {
        make_tcp(100, 0);
        out[TCP + 1] = (uint8_t)i; /* flows */
        out[0] = 0;
        cr_expect_eq(send_cut(bytes, HEADER), 0);
        cr_expect_eq(receive(), (ssize_t)bytes);
    }
    cr_expect_eq(logged_lines, 0);
}

/* One that the host refuses, here since it is attached already. */
Test(net_tap, uses_as_many_pairs_as_before_if_the_host_refuses)
{
    plug_both(3);
    struct net_backend *right = ports[1].net;
    struct ifreq attach = {.ifr_flags = IFF_ATTACH_QUEUE}, detach = {.ifr_flags = IFF_DETACH_QUEUE};
    cr_assert_eq(ioctl(net_tap_fd(right, 2), TUNSETQUEUE, &attach), 0);
    cr_expect_eq(right->ops->set_pairs(right, 3), -EINVAL);
    cr_expect_eq(ioctl(net_tap_fd(right, 1), TUNSETQUEUE, &detach), -1, "it is detached");
    cr_assert_eq(ioctl(net_tap_fd(right, 2), TUNSETQUEUE, &detach), 0);
    cr_expect_eq(right->ops->set_pairs(right, 3), 0);
}

/* With the frames of all in place, as a driver has them; headers are used again at once. */
static void expect_batch(unsigned packets, unsigned joined)
{
    static uint8_t frames[64][600];
    struct net_backend *left = ports[0].net;
    for (unsigned i = 0; i < packets; i++) {
        uint8_t header[HEADER] = {0};
        const size_t bytes = i % 2 == 0 ? 200 : sizeof(frames[i]);
        make_plain(bytes);
        memcpy(frames[i], i == joined ? out : out + HEADER, bytes);
        frames[i][i == joined ? HEADER + 20 : 20] = (uint8_t)i;
        struct iovec iov[3] = {{header, HEADER}, {frames[i], 100}, {frames[i] + 100, bytes - 100}};
        struct iovec whole = {frames[i], bytes};
        cr_expect_eq(left->ops->send(left, 0, i == joined ? &whole : iov, i == joined ? 1 : 3), 0);
        memset(header, 0xff, HEADER);
    }
    left->ops->flush(left, 0);
    for (unsigned i = 0; i < packets; i++) {
        ssize_t bytes = i == joined ? 0 : HEADER;
        bytes += i % 2 == 0 ? 200 : 600;
        cr_assert_eq(receive(), bytes, "packet %u of %u", i, packets);
        cr_assert_eq(in[HEADER + 20], i, "packet %u of %u", i, packets);
    }
    cr_expect_eq(receive(), -EAGAIN);
}

Test(net_tap, sends_what_is_kept_for_it_in_order)
{
    plug_both(2);
    ports[0].net->handler.keeps = true;
    for (unsigned packets = 0; packets <= 40; packets++)
        expect_batch(packets, UINT_MAX);
    for (unsigned joined = 0; joined < 20; joined++)
        expect_batch(20, joined);
    /* Of another pair, and one that is refused in the middle. */
    cr_assert_eq(ports[0].net->ops->set_pairs(ports[0].net, 2), 0);
    for (unsigned i = 0; i < 12; i++) {
        static uint8_t frames[12][100];
        uint8_t header[HEADER] = {0, i == 5 ? 0x7f : 0};
        struct iovec iov[2] = {{header, HEADER}, {frames[i], 100}};
        make_plain(100);
        memcpy(frames[i], out + HEADER, 100);
        frames[i][20] = (uint8_t)i;
        cr_expect_eq(ports[0].net->ops->send(ports[0].net, i / 8, iov, 2), 0);
    }
    ports[0].net->ops->flush(ports[0].net, 1);
    for (unsigned i = 0; i < 12; i++) {
        if (i == 5)
            continue;
        cr_assert_gt(receive(), 0, "packet %u", i);
        cr_expect_eq(in[HEADER + 20], i);
    }
}

Test(net_tap, asks_again_when_the_host_is_full)
{
    const int small = 16384;
    plug_both(1);
    cr_assert_eq(ioctl(net_tap_fd(ports[0].net, 0), TUNSETSNDBUF, &small), 0);
    /* Packets that wait for their turn on the other tap count as its sender's. */
    if (system("tc qdisc add dev right root tbf rate 8kbit burst 2kb limit 1mb") != 0)
        cr_skip_test("no traffic control here");
    int err = 0;
    for (unsigned i = 0; i < 100 && err == 0; i++)
        err = send_cut(make_plain(1000), HEADER);
    cr_assert_eq(err, -EAGAIN);
    evloop_drain(loop);
    cr_expect_eq(ports[0].tx_told, 0);
    cr_assert_eq(system("tc qdisc del dev right root"), 0);
    evloop_drain(loop);
    cr_expect_eq(ports[0].tx_told, 1);
    cr_expect_eq(send_cut(make_plain(1000), HEADER), 0);
    evloop_drain(loop);
    cr_expect_eq(ports[0].tx_told, 1);
}

Test(net_tap, knows_the_interface)
{
    struct ifreq ifr = {.ifr_name = "left", .ifr_mtu = 4321};
    cr_assert_eq(create(&ports[0], "left", 1), 0);
    cr_expect_eq(ports[0].net->info.mtu_bytes, 1500);
    cr_expect_not(ports[0].net->info.link_up);
    cr_expect_eq(logged_lines, 1, "it is down: %s", logged_line);
    cr_expect_neq(strstr(logged_line, "sudo ip link set left up"), NULL);
    cr_assert_eq(ioctl(net_tap_fd(ports[0].net, 0), TUNSETPERSIST, 1), 0);
    unplug(&ports[0]);
    cr_assert_eq(ioctl(control, SIOCSIFMTU, &ifr), 0);
    set_flags("left", true);
    cr_assert_eq(create(&ports[0], "left", 1), 0);
    cr_expect_eq(ports[0].net->info.mtu_bytes, 4321);
    cr_expect(ports[0].net->info.link_up);
    cr_expect_eq(logged_lines, 1);
}

Test(net_tap, follows_the_link)
{
    plug(&ports[0], "left", 1);
    cr_expect(ports[0].net->info.link_up);
    ports[0].link_told = 0;
    set_flags("left", false);
    evloop_drain(loop);
    cr_expect_eq(ports[0].link_told, 1);
    cr_expect_not(ports[0].net->info.link_up);
    cr_expect_eq(send_cut(make_plain(100), HEADER), 0);
    set_flags("left", true);
    evloop_drain(loop);
    cr_expect_eq(ports[0].link_told, 2);
    cr_expect(ports[0].net->info.link_up);
}

Test(net_tap, survives_its_interface)
{
    plug_both(2);
    cr_expect_eq(receive(), -EAGAIN);
    cr_assert_eq(system("ip link del right"), 0);
    evloop_drain(loop);
    cr_expect_eq(ports[1].link_told, 1);
    cr_expect_not(ports[1].net->info.link_up);
    cr_expect_eq(logged_lines, 1, "%s", logged_line);
    cr_expect_eq(receive(), -EAGAIN);
    struct iovec iov = {out, 100};
    cr_expect_eq(ports[1].net->ops->send(ports[1].net, 1, &iov, 1), 0);
    cr_expect_neq(ports[1].net->ops->set_pairs(ports[1].net, 2), 0);
    ports[1].net->ops->set_offloads(ports[1].net, NET_CSUM);
    evloop_drain(loop);
    cr_expect_eq(logged_lines, 1, "%s", logged_line);
}

/* ---- opening ---- */

static int open_tap(const char *name, int flags)
{
    struct ifreq ifr = {.ifr_flags = (short)flags};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    strncpy(ifr.ifr_name, name, IF_NAMESIZE - 1);
    cr_assert_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
    return fd;
}

static int create_fds(const int *fds, unsigned pairs)
{
    return net_tap_create(&ports[0].net,
                          &(struct net_tap_config){.loop = loop, .fds = fds, .pairs = pairs});
}

Test(net_tap, takes_descriptors_of_others)
{
    const int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    int one = open_tap("one", flags);
    cr_assert_eq(create_fds(&one, 1), 0);
    cr_expect_eq(net_tap_fd(ports[0].net, 0), one);
    cr_expect_eq(fcntl(one, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    unplug(&ports[0]);
    cr_expect_eq(fcntl(one, F_GETFD), -1);
    int two[2] = {open_tap("two", flags | IFF_MULTI_QUEUE),
                  open_tap("two", flags | IFF_MULTI_QUEUE)};
    cr_assert_eq(create_fds(two, 2), 0);
    cr_expect_eq(ports[0].net->ops->set_pairs(ports[0].net, 2), 0);
}

/* Of the process that has opened it. */
Test(net_tap, does_not_wait_where_another_process_clears_a_flag, .timeout = 20)
{
    int fd = open_tap("one", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    const struct iovec iov = {in, sizeof(in)};
    if (preadv2(fd, &iov, 1, -1, RWF_NOWAIT) < 0 && errno == EOPNOTSUPP)
        cr_skip_test("this kernel's taps have no RWF_NOWAIT");
    cr_assert_eq(create_fds(&fd, 1), 0);
    cr_assert_eq(fcntl(fd, F_SETFL, O_RDWR), 0);
    cr_expect_eq(ports[0].net->ops->receive(ports[0].net, 0, &iov, 1), -EAGAIN);
    ports[0].net->ops->set_offloads(ports[0].net, NET_CSUM);
    ports[0].net->ops->set_offloads(ports[0].net, 0);
}

Test(net_tap, refuses_descriptors_that_are_no_such_taps)
{
    const int flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    int bare = open_tap("bare", IFF_TAP | IFF_NO_PI), single = open_tap("single", flags);
    int two[2] = {open_tap("two", flags | IFF_MULTI_QUEUE),
                  open_tap("three", flags | IFF_MULTI_QUEUE)};
    int closed = 987, twice[2] = {single, single};
    cr_expect_eq(create_fds(&closed, 1), -EBADF);
    cr_expect_eq(create_fds(&control, 1), -EINVAL);
    cr_expect_eq(create_fds(&bare, 1), -EINVAL);
    cr_expect_eq(create_fds(twice, 2), -EINVAL);
    cr_expect_eq(create_fds(two, 2), -EINVAL);
    cr_expect_eq(create_fds(two, NET_TAP_PAIRS_MAX + 1), -EINVAL);
    cr_expect_eq(logged_lines, 6);
    cr_expect_geq(fcntl(two[0], F_GETFD), 0, "it stays the caller's");
    close(bare);
    close(single);
    close(two[0]);
    close(two[1]);
}

static void *close_soon(void *arg)
{
    usleep(50000);
    close(*(int *)arg);
    return NULL;
}

/* Such as a killed machine's. */
Test(net_tap, waits_for_one_that_is_let_go)
{
    int held = open_tap("held", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    pthread_t thread;
    cr_assert_eq(ioctl(held, TUNSETPERSIST, 1), 0);
    cr_assert_eq(pthread_create(&thread, NULL, close_soon, &held), 0);
    cr_expect_eq(create(&ports[0], "held", 1), 0);
    pthread_join(thread, NULL);
    cr_expect_eq(logged_lines, 1, "%s", logged_line); /* that it is down */
}

Test(net_tap, says_why_a_name_does_not_do)
{
    int single = open_tap("single", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
    cr_expect_eq(create(&ports[0], "single", 1), -EBUSY);
    cr_expect_eq(create(&ports[0], "single", 2), -EINVAL);
    cr_expect_neq(strstr(logged_line, "multi_queue"), NULL, "%s", logged_line);
    cr_expect_eq(create(&ports[0], "lo", 1), -EINVAL);
    cr_expect_neq(strstr(logged_line, "no tap"), NULL, "%s", logged_line);
    cr_expect_eq(create(&ports[0], "a/b", 1), -EINVAL);
    cr_expect_neq(strstr(logged_line, "the name of"), NULL, "%s", logged_line);
    cr_expect_eq(create(&ports[0], "", 1), -EINVAL);
    cr_expect_eq(create(&ports[0], "a234567890123456", 1), -EINVAL);
    cr_expect_eq(create(&ports[0], "left", 0), -EINVAL);
    cr_expect_eq(logged_lines, 7);
    close(single);
    int many = open_tap("many", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE);
    cr_expect_eq(create(&ports[0], "many", 1), 0, "one of several queues");
    close(many);
}
