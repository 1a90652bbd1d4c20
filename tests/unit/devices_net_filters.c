// SPDX-License-Identifier: BSD-2-Clause
/* Limits, faults and captures, each in front of a loopback: what is sent passes them twice. */
#include <sys/resource.h>

#include "core/output/outputs.h"
#include "devices/backend/bucket.h"
#include "devices/net/filter/net_fault.h"
#include "devices/net/filter/net_limit.h"
#include "devices/net/filter/net_pcap.h"
#include "devices/net/net_loopback.h"
#include "devices/net/net_null.h"
#include "tests/harness/fake.h"
#include "tests/harness/net_guest.h"
#include "tests/harness/test.h"

#define MS UINT64_C(1000000)

static struct fake_clock now;
static struct clock fake;
static struct evloop *loop;
static struct net_backend *net, *base;
static struct guest g;
static char path[64];

static void setup(void)
{
    listen_to_log(LOG_DEBUG);
    now.now_ns = 1000 * MS;
    fake = fake_clock_port(&now);
    cr_assert_eq(evloop_create(&loop, "test", &fake), 0);
    cr_assert_eq(net_loopback_create(&base, loop), 0);
}

static void teardown(void)
{
    if (net)
        net->ops->destroy(net);
    evloop_destroy(loop);
    if (path[0] != '\0')
        unlink(path);
}

/* A frame of 60 bytes or more that carries a number. */
static int send_number(unsigned n, size_t bytes)
{
    static uint8_t packet[NET_PACKET_MAX];
    packet[NET_HEADER_BYTES + 14] = (uint8_t)n;
    return guest_send_packet(&g, packet, NET_HEADER_BYTES + bytes);
}

static int receive_number(void)
{
    ssize_t bytes = guest_receive(&g);
    return bytes < 0 ? (int)bytes : g.frame[14];
}

static void advance(uint64_t ms)
{
    now.now_ns += ms * MS;
    evloop_drain(loop);
}

/* ---- limits ---- */
TestSuite(net_limit, .init = setup, .fini = teardown);

static void limit(uint64_t packets, uint64_t bytes, uint32_t burst_ms)
{
    const struct budget_config config = {packets, bytes, burst_ms * UINT64_C(1000000)};
    net = base;
    cr_assert_eq(net_limit_create(&net, loop, &fake, &config), 0);
    guest_init(&g, net, loop);
}

Test(net_limit, packets_a_second_each_way)
{
    limit(100, 0, 0);
    cr_expect_eq(send_number(1, 60), 0);
    cr_expect_eq(send_number(2, 60), -EAGAIN);
    advance(9);
    cr_expect_eq(g.tx_told, 0);
    cr_expect_eq(send_number(2, 60), -EAGAIN);
    advance(1);
    cr_expect_eq(g.tx_told, 1);
    cr_expect_eq(send_number(2, 60), 0);
    cr_expect_eq(receive_number(), 1);
    cr_expect_eq(receive_number(), -EAGAIN);
    advance(10);
    cr_expect_eq(g.rx_told, 1);
    cr_expect_eq(receive_number(), 2);
}

Test(net_limit, bytes_a_second_are_those_of_frames)
{
    limit(0, 1000, 0);
    cr_expect_eq(send_number(1, 500), 0);
    advance(499);
    cr_expect_eq(send_number(2, 500), -EAGAIN);
    advance(1);
    cr_expect_eq(send_number(2, 500), 0);
}

Test(net_limit, what_was_not_used_is_kept_for_a_while)
{
    limit(100, 0, 50);
    unsigned sent = 0;
    while (sent < 20 && send_number(sent, 60) == 0)
        sent++;
    cr_expect_eq(sent, 6);
    advance(3600000);
    for (sent = 0; sent < 20 && send_number(sent, 60) == 0;)
        sent++;
    cr_expect_eq(sent, 6);
}

/* ---- faults ---- */
TestSuite(net_fault, .init = setup, .fini = teardown);

static void fault(const char *words)
{
    struct net_fault_spec spec;
    net = base;
    cr_assert_eq(net_fault_parse(&spec, "--net", words), 0, "%s", logged_line);
    cr_assert_eq(net_fault_create(&net, loop, &fake, &spec), 0);
    guest_init(&g, net, loop);
}

/* Out through the filter and in again; what comes, as digits. */
static const char *round_trip(unsigned count)
{
    static char out[100];
    int n, len = 0;
    for (unsigned i = 1; i <= count; i++)
        cr_assert_eq(send_number(i, 60), 0);
    evloop_drain(loop);
    while ((n = receive_number()) >= 0 && len < 90)
        len += snprintf(out + len, 10, "%d", n);
    out[len] = '\0';
    return out;
}

Test(net_fault, without_words_that_matter_all_passes)
{
    fault("seed:1");
    cr_expect_str_eq(round_trip(6), "123456");
}

Test(net_fault, drops)
{
    fault("drop:3"); /* 3 and 6 on the way out, 4 as the third of the rest */
    cr_expect_str_eq(round_trip(6), "125");
}

Test(net_fault, repeats)
{
    fault("dup:3");
    cr_expect_str_eq(round_trip(3), "12333");
}

Test(net_fault, changes_the_order)
{
    fault("reorder:4"); /* 4 after 5 on the way out; then the fourth, which is 5, after 4 */
    cr_expect_str_eq(round_trip(6), "123456");
    cr_expect_str_eq(round_trip(1), "1");
}

/* The way back would put the order right again: so only one way. */
Test(net_fault, what_is_held_comes_after_the_next)
{
    base->ops->destroy(base);
    cr_assert_eq(net_loopback_create(&base, loop), 0);
    struct guest behind;
    fault("reorder:3");
    guest_init(&behind, base, loop);
    for (unsigned i = 1; i <= 5; i++)
        send_number(i, 60);
    static const int order[] = {1, 2, 4, 3, 5};
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_gt((int)guest_receive(&behind), 0);
        cr_expect_eq(behind.frame[14], order[i]);
    }
}

Test(net_fault, what_is_held_for_nobody_comes_late)
{
    fault("reorder:1");
    cr_expect_eq(send_number(1, 60), 0);
    advance(10); /* out, and held again */
    cr_expect_eq(receive_number(), -EAGAIN);
    advance(9);
    cr_expect_eq(g.rx_told, 0);
    advance(1);
    cr_expect_eq(g.rx_told, 1);
    cr_expect_eq(receive_number(), 1);
}

Test(net_fault, one_bit_of_the_frame_is_wrong)
{
    fault("corrupt:2");
    uint8_t sent[100] = {0}, header[NET_HEADER_BYTES] = {0};
    guest_send(&g, sent, sizeof(sent));
    guest_send(&g, sent, sizeof(sent));
    unsigned bits = 0;
    for (unsigned n = 0; n < 2; n++) {
        cr_assert_eq((int)guest_receive(&g), NET_HEADER_BYTES + 100);
        cr_expect_eq(memcmp(g.packet, header, sizeof(header)), 0);
        for (unsigned i = 0; i < 100; i++)
            bits += (unsigned)__builtin_popcount(g.frame[i]);
    }
    cr_expect_eq(bits % 2, 0); /* one on the way out, one on the way in */
    cr_expect_leq(bits, 2);
}

Test(net_fault, delays_each_way)
{
    fault("delay:5ms");
    cr_expect_eq(receive_number(), -EAGAIN);
    send_number(7, 60);
    advance(4);
    advance(1);
    cr_expect_eq(g.rx_told, 1); /* the loopback has it: on its way back */
    cr_expect_eq(receive_number(), -EAGAIN);
    advance(4);
    cr_expect_eq(receive_number(), -EAGAIN);
    advance(1);
    cr_expect_eq(g.rx_told, 2);
    cr_expect_eq(receive_number(), 7);
}

static unsigned taken;

/* As a device does it: at once. */
static void take_all(void *ctx, unsigned pair)
{
    (void)ctx;
    (void)pair;
    while (receive_number() >= 0)
        taken++;
}

Test(net_fault, tells_of_each_that_is_due)
{
    fault("delay:5ms");
    net->handler.on_rx = take_all;
    take_all(NULL, 0);
    send_number(1, 60);
    advance(2);
    send_number(2, 60);
    for (unsigned ms = 0; ms < 20; ms++)
        advance(1);
    cr_expect_eq(taken, 2);
}

/* A slow network has its limits: the sender waits, and goes on. */
Test(net_fault, what_is_delayed_is_bounded)
{
    fault("delay:10ms");
    unsigned sent = 0;
    while (sent < 1000 && send_number(sent, 9000) == 0)
        sent++;
    cr_expect_gt(sent, 50);
    cr_expect_lt(sent, 150);
    advance(10); /* the loopback takes half a mebibyte, then says no */
    unsigned got = 0;
    for (unsigned turns = 0; turns < 100 && got < sent; turns++) {
        while (receive_number() >= 0)
            got++;
        advance(10);
    }
    cr_expect_eq(got, sent);
    cr_expect_eq(g.tx_told, 1);
    cr_expect_eq(send_number(1, 60), 0);
}

Test(net_fault, chances_repeat_with_the_seed)
{
    char first[100];
    fault("drop:40%,seed:7");
    snprintf(first, sizeof(first), "%s", round_trip(20));
    cr_expect_lt(strlen(first), 31);
    net->ops->destroy(net);
    net_loopback_create(&base, loop);
    fault("drop:40%,seed:7");
    cr_expect_str_eq(round_trip(20), first);
}

Test(net_fault, words_that_are_wrong_are_told)
{
    struct net_fault_spec spec;
    cr_expect_eq(net_fault_parse(&spec, "--net x", "eio:1%"), -EINVAL);
    expect_logged("drop, dup, corrupt, reorder, delay, seed");
    base->ops->destroy(base);
}

/* ---- captures ---- */
TestSuite(net_pcap, .init = setup, .fini = teardown);

static int capture(void)
{
    net = base;
    int r = net_pcap_create(&net, loop, &fake, path);
    if (r == 0)
        guest_init(&g, net, loop);
    else
        net = NULL;
    return r;
}

static void choose_path(void)
{
    snprintf(path, sizeof(path), "/tmp/net_pcap.XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq((int)write(fd, path, 50), 50); /* which must go */
    close(fd);
}

static size_t read_file(void *out, size_t max)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, out, max);
    close(fd);
    return n < 0 ? 0 : (size_t)n;
}

Test(net_pcap, a_capture_has_both_directions)
{
    uint32_t file[1000];
    choose_path();
    cr_assert_eq(capture(), 0);
    send_number(5, 60);
    evloop_drain(loop);
    cr_expect_eq(receive_number(), 5);
    net->ops->destroy(net);
    net = NULL;
    cr_expect_eq(read_file(file, sizeof(file)), 24 + 2 * (16 + 60));
    cr_expect_eq(file[0], 0xa1b23c4d);
    cr_expect_eq(file[1], 0x00040002);
    cr_expect_eq(file[5], 1); /* Ethernet */
    uint64_t wall_ns = clock_wall_ns(&fake);
    cr_expect_eq(file[6], (uint32_t)(wall_ns / 1000000000));
    cr_expect_eq(file[7], (uint32_t)(wall_ns % 1000000000));
    cr_expect_eq(file[8], 60);
    cr_expect_eq(file[9], 60);
    cr_expect_eq(((uint8_t *)file)[40 + 14], 5);
    cr_expect_eq(file[6 + 19 + 3], 60);
    cr_expect_eq(outputs_check(&(struct named_file){FILE_CAPTURE, "pcap", path}, 1), 0);
}

/* More than the buffers hold without a turn of the loop: the file stays whole, and it is said. */
/* What goes over a network is its user's alone. */
Test(net_pcap, a_new_file_is_private)
{
    struct stat st;
    umask(0);
    choose_path();
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(capture(), 0);
    cr_assert_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600);
}

Test(net_pcap, another_user_s_file_is_refused)
{
    if (geteuid() != 0)
        cr_skip_test("only root can make files of other users");
    choose_path();
    cr_assert_eq(chown(path, 1, 1), 0);
    cr_expect_eq(capture(), -EPERM);
    expect_logged("another user's");
}

Test(net_pcap, what_is_too_much_is_counted)
{
    static uint8_t file[1 << 20];
    base->ops->destroy(base);
    cr_assert_eq(net_null_create(&base, 1), 0);
    choose_path();
    cr_assert_eq(capture(), 0);
    for (unsigned i = 0; i < 600; i++)
        send_number(i, 1000);
    net->ops->destroy(net);
    net = NULL;
    size_t bytes = read_file(file, sizeof(file)), at = 24, packets = 0;
    for (; at < bytes; at += 1016, packets++)
        cr_assert_eq(file[at + 8] + file[at + 9] * 256, 1000);
    cr_expect_eq(at, bytes);
    char expected[64];
    snprintf(expected, sizeof(expected), "%zu packets were not captured", 600 - packets);
    cr_expect_gt(packets, 400);
    expect_logged(expected);
}

/* A full disk ends the capture, not the network. */
Test(net_pcap, a_file_that_cannot_grow_is_said_once)
{
    choose_path();
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(capture(), 0);
    evloop_drain(loop);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 100, .rlim_max = 100});
    for (unsigned i = 0; i < 5; i++) {
        send_number(i, 60);
        evloop_drain(loop);
        cr_expect_eq(receive_number(), (int)i);
    }
    expect_logged(path);
    net->ops->destroy(net);
    net = NULL;
}

Test(net_pcap, only_a_file_will_do)
{
    snprintf(path, sizeof(path), "/dev/null");
    cr_expect_eq(capture(), -EINVAL);
    snprintf(path, sizeof(path), "/nonexistent/x");
    cr_expect_eq(capture(), -ENOENT);
    expect_logged(path);
    path[0] = '\0';
    base->ops->destroy(base);
}
