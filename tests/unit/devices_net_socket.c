// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/socket/net_socket.h"

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "core/peers/foreign_fd.h"
#include "tests/harness/fake.h"
#include "tests/harness/lingering.h"
#include "tests/harness/net_guest.h"
#include "tests/harness/test.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define MS UINT64_C(1000000)

#define LINGER_S 20

static struct fake_clock now;
static struct clock fake;
static struct evloop *loop;
static struct net_backend *nets[3];
static struct guest a, b;
static char dir[] = "/tmp/net_socket.XXXXXX", path[64];
static uint8_t frame[65536];

static bool any_peer;

static void setup(void)
{
    listen_to_log(LOG_DEBUG);
    fake = fake_clock_port(&now);
    cr_assert_eq(evloop_create(&loop, "test", &fake), 0);
    cr_assert(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/wire", dir);
    for (unsigned i = 0; i < sizeof(frame); i++)
        frame[i] = (uint8_t)(i * 5 + (i >> 8));
}

static void destroy(unsigned n)
{
    if (nets[n])
        nets[n]->ops->destroy(nets[n]);
    nets[n] = NULL;
}

static void teardown(void)
{
    for (unsigned n = 0; n < 3; n++)
        destroy(n);
    evloop_destroy(loop);
    unlink(path);
    cr_expect_eq(rmdir(dir), 0, "something was left in %s", dir);
}

TestSuite(net_socket, .init = setup, .fini = teardown);

static int create(unsigned n, const char *listen, const char *connect)
{
    const struct net_socket_config config = {
        .loop = loop,
        .clock = &fake,
        .path = listen || connect ? NULL : path,
        .listen = listen,
        .connect = connect,
        .any_peer = any_peer,
    };
    return net_socket_create(&nets[n], &config);
}

static void open_end(unsigned n, struct guest *g)
{
    cr_assert_eq(create(n, NULL, NULL), 0, "%s", logged_line);
    guest_init(g, nets[n], loop);
}

/* A socket at the wire's path, or one that connects to it. */
static int at_path(int (*attach)(int, const struct sockaddr *, socklen_t), int type)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    memcpy(un.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | type, 0);
    cr_assert_eq(attach(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    return fd;
}

/* Both ends, connected. */
static void start(const char *listen, const char *connect)
{
    cr_assert_eq(create(0, listen, NULL), 0, "%s", logged_line);
    guest_init(&a, nets[0], loop);
    evloop_drain(loop);
    cr_expect_not(nets[0]->info.link_up);
    cr_assert_eq(create(1, NULL, connect), 0, "%s", logged_line);
    guest_init(&b, nets[1], loop);
    for (unsigned i = 0; i < 10; i++)
        evloop_drain(loop);
}

static void later(void)
{
    now.now_ns += 1000 * MS;
    for (unsigned i = 0; i < 10; i++)
        evloop_drain(loop);
}

static void expect_frame(struct guest *g, size_t bytes)
{
    cr_assert_eq((int)guest_receive(g), (int)(NET_HEADER_BYTES + bytes));
    cr_expect_eq(memcmp(g->frame, frame, bytes), 0);
}

static void expect_linked(void)
{
    cr_expect(nets[0]->info.link_up);
    cr_expect(nets[1]->info.link_up);
    guest_send(&a, frame, 100);
    guest_send(&b, frame, 200);
    expect_frame(&b, 100);
    expect_frame(&a, 200);
}

Test(net_socket, frames_go_both_ways)
{
    start(NULL, NULL);
    cr_expect_eq(a.link_told, 1);
    cr_expect_eq(b.link_told, 1);
    expect_linked();
    guest_send(&a, frame, 14);
    guest_send(&a, frame, sizeof(frame));
    expect_frame(&b, 14);
    expect_frame(&b, sizeof(frame));
    cr_expect_eq((int)guest_receive(&b), -EAGAIN);
    unsigned told = b.rx_told;
    evloop_drain(loop);
    cr_expect_eq(b.rx_told, told);
    guest_send(&a, frame, 60);
    evloop_drain(loop);
    evloop_drain(loop);
    cr_expect_eq(b.rx_told, told + 1);
    expect_frame(&b, 60);
}

Test(net_socket, over_tcp_too)
{
    char text[64];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&in, len), 0);
    getsockname(fd, (struct sockaddr *)&in, &len);
    close(fd);
    snprintf(text, sizeof(text), ":%u", ntohs(in.sin_port));
    start(text, text);
    expect_linked();
    cr_expect_eq(create(2, text, NULL), -EADDRINUSE);
    expect_logged(text);
    nets[2] = NULL;
}

/* Cut into more pieces than a system call takes. */
Test(net_socket, over_ipv6_too)
{
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    socklen_t bytes = sizeof(addr);
    char where[32];
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, bytes) != 0)
        cr_skip_test("the host has no IPv6");
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &bytes), 0);
    close(fd);
    snprintf(where, sizeof(where), "[::1]:%u", ntohs(addr.sin6_port));
    start(where, where);
    expect_linked();
}

Test(net_socket, a_frame_in_many_pieces_arrives)
{
    uint8_t header[NET_HEADER_BYTES] = {0};
    struct iovec iov[1 + 300] = {{header, sizeof(header)}};
    start(NULL, NULL);
    for (unsigned i = 0; i < 300; i++)
        iov[1 + i] = (struct iovec){frame + i, 1};
    cr_expect_eq(nets[0]->ops->send(nets[0], 0, iov, 301), 0);
    expect_frame(&b, 300);
}

/* Nobody reads: send() says no in the end, frames stay whole, and it goes on. */
Test(net_socket, a_reader_that_is_slow_makes_the_sender_wait)
{
    unsigned sent = 0, got = 0;
    start(NULL, NULL);
    while (sent < 10000 && guest_send(&a, frame, 9000) == 0)
        sent++;
    cr_assert_lt(sent, 10000);
    evloop_drain(loop);
    cr_expect_eq(a.tx_told, 0);
    for (unsigned idle = 0; idle < 10;) {
        if (guest_receive(&b) >= 0) {
            cr_assert_eq(b.bytes, 9000);
            cr_assert_eq(memcmp(b.frame, frame, 9000), 0);
            got++;
            idle = 0;
        } else {
            evloop_drain(loop);
            idle++;
        }
    }
    cr_expect_eq(got, sent);
    cr_expect_eq(a.tx_told, 1);
    cr_expect_eq(guest_send(&a, frame, 60), 0);
}

Test(net_socket, either_end_may_go_and_come_back)
{
    start(NULL, NULL);
    for (unsigned n = 0; n < 2; n++) { /* first who listens, then who connects */
        struct guest *rest = n == 0 ? &b : &a;
        cr_expect_eq((int)guest_receive(rest), -EAGAIN);
        destroy(n);
        evloop_drain(loop);
        cr_expect_eq((int)guest_receive(rest), -EAGAIN); /* as it was told to */
        later();
        cr_expect_not(nets[1 - n]->info.link_up);
        cr_expect_eq(guest_send(rest, frame, 60), 0); /* lost */
        cr_assert_eq(create(n, NULL, NULL), 0);
        guest_init(n == 0 ? &a : &b, nets[n], loop);
        later();
        later();
        expect_linked();
    }
}

Test(net_socket, a_third_one_is_sent_away)
{
    start(NULL, NULL);
    cr_assert_eq(create(2, NULL, NULL), 0);
    struct guest c;
    guest_init(&c, nets[2], loop);
    for (unsigned i = 0; i < 5; i++) {
        evloop_drain(loop);
        guest_receive(&c);
    }
    cr_expect_not(nets[2]->info.link_up);
    for (unsigned i = 0; i < 12; i++) { /* the loop hears of what the host does a turn later */
        later();
        guest_receive(&c);
    }
    expect_logged("two machines");
    expect_linked();
    destroy(1);
    guest_receive(&a);
    later();
    later();
    cr_expect(nets[2]->info.link_up);
    guest_send(&c, frame, 60);
    expect_frame(&a, 60);
}

/* Nothing runs meanwhile. */
static int dial_quietly(void)
{
    return at_path(connect, SOCK_NONBLOCK);
}

static int dial(void)
{
    int fd = dial_quietly();
    evloop_drain(loop);
    return fd;
}

static void write_bytes(int fd, const void *bytes, size_t count)
{
    cr_assert_eq((int)write(fd, bytes, count), (int)count);
    evloop_drain(loop);
    evloop_drain(loop);
}

/* QEMU's framing, byte by byte. */
Test(net_socket, speaks_in_lengths_and_frames)
{
    open_end(0, &a);
    int fd = dial();
    static const uint8_t length[] = {0, 0, 0, 70};
    for (unsigned i = 0; i < 4; i++) {
        cr_expect_eq((int)guest_receive(&a), -EAGAIN);
        write_bytes(fd, length + i, 1);
    }
    write_bytes(fd, frame, 69);
    cr_expect_eq((int)guest_receive(&a), -EAGAIN);
    write_bytes(fd, frame + 69, 1);
    expect_frame(&a, 70);
    write_bytes(fd, "\0\0\0\5short\0\0\0\0", 13); /* which are none */
    write_bytes(fd, length, 4);
    write_bytes(fd, frame, 70);
    expect_frame(&a, 70);
    guest_send(&a, frame, 300);
    uint8_t got[400];
    cr_expect_eq((int)read(fd, got, sizeof(got)), 304);
    cr_expect_eq(memcmp(got, "\0\0\1\x2c", 4), 0);
    cr_expect_eq(memcmp(got + 4, frame, 300), 0);
    close(fd);
}

/* Frames without bytes, faster than anybody reads: other things of the loop have their turn. */
Test(net_socket, a_flood_of_what_is_too_short_ends_in_turns)
{
    static const uint8_t zeroes[4096];
    open_end(0, &a);
    int fd = dial(), room = 1 << 20, left = 0;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    size_t sent = 0;
    for (ssize_t n; (n = write(fd, zeroes, sizeof(zeroes))) > 0;)
        sent += (size_t)n;
    cr_assert_gt(sent, 256 * 1024, "the test needs a large socket");
    cr_expect_eq((int)guest_receive(&a), -EAGAIN);
    cr_expect_eq(ioctl(fd, SIOCOUTQ, &left), 0);
    cr_expect(left > 0, "all %zu bytes were read in one turn", sent);
    unsigned told = a.rx_told;
    evloop_drain(loop);
    cr_expect_gt(a.rx_told, told);
    cr_expect_eq((int)guest_receive(&a), -EAGAIN);
    write_bytes(fd, "\0\0\0\x46", 4);
    write_bytes(fd, frame, 70);
    while (guest_receive(&a) < 0 && told < 1000)
        told++;
    cr_expect_eq(a.bytes, 70);
    close(fd);
}

Test(net_socket, a_length_that_cannot_be_ends_the_connection)
{
    open_end(0, &a);
    int fd = dial();
    write_bytes(fd, "GET / HTTP/1.1", 14);
    cr_expect_eq((int)guest_receive(&a), -EAGAIN);
    evloop_drain(loop);
    cr_expect_not(nets[0]->info.link_up);
    expect_logged("another program");
    char c;
    cr_expect_eq((int)read(fd, &c, 1), 0);
    close(fd);
    later();
    fd = dial();
    cr_expect(nets[0]->info.link_up);
    logged_line[0] = '\0';
    write_bytes(fd, "GET / HTTP/1.1", 14);
    cr_expect_eq((int)guest_receive(&a), -EAGAIN);
    cr_expect(strstr(logged_line, "another program") == NULL, "%s", logged_line);
    close(fd);
}

Test(net_socket, a_socket_that_was_left_behind_is_replaced)
{
    close(at_path(bind, 0));
    start(NULL, NULL);
    expect_linked();
}

/* One that never answers is a listener whose backlog is full. */
static int listen_full(struct sockaddr_in *at, int *other)
{
    socklen_t len = sizeof(*at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
    cr_assert_eq(listen(fd, 0), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)at, &len), 0);
    *other = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(connect(*other, (struct sockaddr *)at, sizeof(*at)), 0);
    return fd;
}

Test(net_socket, that_no_peer_listens_is_said_once)
{
    struct sockaddr_in at;
    char name[32];
    int other, fd = listen_full(&at, &other);
    snprintf(name, sizeof(name), "127.0.0.1:%u", ntohs(at.sin_port));
    cr_assert_eq(create(0, NULL, name), 0);
    for (unsigned i = 0; i < 4; i++)
        later();
    cr_expect_eq(logged_lines, 1);
    expect_logged(": connect: no answer yet; it is tried");
    destroy(0);
    close(other);
    close(fd);
    cr_assert_eq(create(0, NULL, name), 0);
    for (unsigned i = 0; i < 4; i++)
        later();
    cr_expect_eq(logged_lines, 2);
    expect_logged("connect: Connection refused; it is tried until a peer");
}

/* Two that found the same stale socket: one has removed what the other had made. */
Test(net_socket, who_has_lost_his_path_connects)
{
    open_end(0, &a);
    unlink(path);
    open_end(1, &b);
    later();
    later();
    expect_linked();
    destroy(0);
    struct stat st;
    cr_expect_eq(stat(path, &st), 0); /* not his to remove */
}

Test(net_socket, what_is_no_socket_stays)
{
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    cr_expect_eq(create(0, NULL, NULL), -ENOTSOCK);
    nets[0] = NULL;
    cr_expect_eq(access(path, F_OK), 0);
    expect_logged(path);
    expect_logged("it is no socket");
    unlink(path);
    rmdir(dir);
    cr_expect_eq(create(0, NULL, NULL), -ENOENT);
    mkdir(dir, 0700);
    cr_expect_eq(create(0, "nonsense", NULL), -EINVAL);
    cr_expect_eq(create(0, "127.0.0.1:", NULL), -EINVAL);
    cr_expect_eq(create(0, "127.0.0.1:x", NULL), -EINVAL);
    cr_expect_eq(create(0, "127.0.0.1:0", NULL), -EINVAL);
    cr_expect_eq(create(0, "127.0.0.1:80x", NULL), -EINVAL);
    cr_expect_eq(create(0, "127.0.0.1:99999", NULL), -EINVAL);
    expect_logged("65535");
    nets[0] = NULL;
}

/* Where a link leads may be silent. */
Test(net_socket, a_link_is_not_followed)
{
    char other[80];
    struct stat st;
    open_end(0, &a);
    snprintf(other, sizeof(other), "%s.other", path);
    cr_assert_eq(rename(path, other), 0);
    cr_assert_eq(symlink(other, path), 0);
    cr_expect_eq(create(1, NULL, NULL), -ENOTSOCK);
    nets[1] = NULL;
    later();
    cr_expect_not(nets[0]->info.link_up, "it would be its own peer");
    cr_expect_eq(lstat(path, &st), 0);
    cr_expect_eq(st.st_mode & S_IFMT, S_IFLNK);
    unlink(other);
}

/* ---- other users ---- */

static mode_t mode_of_path(void)
{
    struct stat st;
    cr_assert_eq(stat(path, &st), 0);
    return st.st_mode & 0777;
}

Test(net_socket, a_socket_is_its_user_s_alone)
{
    umask(0);
    start(NULL, NULL);
    cr_expect_eq(mode_of_path(), 0600);
    destroy(1);
    destroy(0);
    any_peer = true;
    start(NULL, NULL);
    cr_expect_eq(mode_of_path(), 0777);
}

/* Another user who connects, though the socket's mode or place would let him. */
Test(net_socket, another_user_who_connects_is_refused)
{
    if (geteuid() != 0)
        cr_skip("only root can become another user");
    for (unsigned allowed = 0; allowed < 2; allowed++) {
        any_peer = allowed;
        open_end(0, &a);
        cr_assert_eq(chmod(path, 0777), 0);
        cr_assert_eq(chmod(dir, 0777), 0);
        logged_lines = 0;
        for (unsigned i = 0; i < 40; i++) {
            cr_assert_eq(seteuid(65534), 0);
            int fd = dial_quietly();
            cr_assert_eq(seteuid(0), 0);
            evloop_drain(loop);
            cr_expect_eq(nets[0]->info.link_up, (int)allowed, "try %u", i);
            close(fd);
            guest_receive(&a);
            later();
            later();
        }
        if (!allowed) {
            expect_logged("65534");
            cr_expect_lt(logged_lines, 20, "%u lines", logged_lines);
        }
        destroy(0);
    }
}

/* ... or who listens where the other machine was to be. */
Test(net_socket, another_user_who_listens_is_refused)
{
    if (geteuid() != 0)
        cr_skip("only root can become another user");
    cr_assert_eq(chmod(dir, 0777), 0);
    cr_assert_eq(seteuid(65534), 0);
    int fd = at_path(bind, SOCK_NONBLOCK);
    cr_assert_eq(listen(fd, 4), 0);
    cr_assert_eq(seteuid(0), 0);
    cr_expect_lt(create(0, NULL, NULL), 0);
    expect_logged("peers=any");
    nets[0] = NULL;
    any_peer = true;
    open_end(0, &a);
    evloop_drain(loop);
    cr_expect(nets[0]->info.link_up);
    close(fd);
}

/* One who comes and goes for ever does not fill a log. */
Test(net_socket, a_link_that_flaps_is_told_now_and_then)
{
    log_set_level(LOG_INFO);
    open_end(0, &a);
    logged_lines = 0;
    for (unsigned i = 0; i < 1000; i++) { /* in the course of some 17 minutes */
        int fd = dial();
        evloop_drain(loop);
        close(fd);
        guest_receive(&a);
        later();
    }
    cr_expect_gt(logged_lines, 5);
    cr_expect_lt(logged_lines, 60);
}

/* Nor does a listener that hangs up three times at once, and once after it has sent a byte. */
Test(net_socket, a_listener_that_hangs_up_is_told_now_and_then)
{
    int fd = at_path(bind, SOCK_NONBLOCK), taken = 0;
    cr_assert_eq(listen(fd, 4), 0);
    open_end(0, &a);
    logged_lines = 0;
    for (unsigned i = 0; i < 1000; i++) { /* in the course of some 17 minutes */
        int peer = accept(fd, NULL, NULL);
        if (peer >= 0 && ++taken % 4 == 0)
            write_bytes(peer, "", 1);
        guest_receive(&a);
        close(peer);
        guest_receive(&a);
        later();
    }
    cr_expect_gt(taken, 400);
    cr_expect_gt(logged_lines, 0);
    cr_expect_lt(logged_lines, 60);
    close(fd);
}

/* One who connects stays in the queue until there is a descriptor for him. */
Test(net_socket, without_descriptors_nothing_spins)
{
    struct rlimit limit, none;
    cr_assert_eq(create(0, NULL, NULL), 0);
    evloop_drain(loop);
    int fd = at_path(connect, 0);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    later();
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    cr_expect_not(nets[0]->info.link_up);
    later();
    cr_expect(nets[0]->info.link_up);
    close(fd);
}

/* One end computes what the other's guest has left to it: packets come with their headers. */
Test(net_socket, headers_go_with_packets_where_both_ends_say_so)
{
    struct net_socket_config config = {
        .loop = loop, .clock = &fake, .path = path, .headers_out = true};
    cr_assert_eq(net_socket_create(&nets[0], &config), 0);
    guest_init(&a, nets[0], loop);
    config.headers_out = false;
    config.headers_in = true;
    cr_assert_eq(net_socket_create(&nets[1], &config), 0);
    guest_init(&b, nets[1], loop);
    for (unsigned i = 0; i < 10; i++)
        evloop_drain(loop);
    cr_expect_eq(nets[0]->info.to_host & NET_CSUM, NET_CSUM);
    cr_expect_eq(nets[1]->info.to_host, 0);
    static uint8_t packet[NET_HEADER_BYTES + 100] = {1, [6] = 34, [8] = 16};
    cr_assert_eq(guest_send_packet(&a, packet, sizeof(packet)), 0);
    cr_assert_eq((int)guest_receive(&b), (int)sizeof(packet));
    cr_expect_eq(memcmp(b.packet, packet, sizeof(packet)), 0);
    guest_send(&b, frame, 200);
    expect_frame(&a, 200);
}

/* ---- descriptors ---- */

/* As before Linux 6.16: what is accepted from now on takes descriptors. */
static void take_descriptors(void)
{
    const int on = 1;
    for (int fd = 0; fd < 256; fd++)
        (void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &on, sizeof(on));
}

/* It is read, or is still there when the connection is refused or ends. */
Test(net_socket, a_descriptor_whose_close_waits_stops_nobody)
{
    int peers[5], fds[2];
    time_t before = time(NULL);
    cr_assert_eq(create(0, NULL, NULL), 0);
    take_descriptors();
    guest_init(&a, nets[0], loop);
    for (unsigned i = 0; i < 2; i++) {
        fds[0] = dial();
        cr_assert(nets[0]->info.link_up);
        fds[1] = dial_quietly();
        lingering_send(fds[1], frame, 1, &peers[2 * i],
                       LINGER_S); /* a wire has two ends: it is refused */
        evloop_drain(loop);
        write_bytes(fds[0], "\0\0\0", 3);
        lingering_send(fds[0], frame, 1, &peers[2 * i + 1], LINGER_S);
        if (i == 1)
            write_bytes(fds[0], "GET / HTTP", 10);
        cr_expect_eq((int)guest_receive(&a), -EAGAIN);
        cr_expect_lt((int)(time(NULL) - before), LINGER_S / 2, "the loop waited");
        evloop_drain(loop);
        cr_expect_not(nets[0]->info.link_up, "files are no frames");
        close(fds[0]);
        close(fds[1]);
    }
    fds[0] = dial();
    fds[1] = dial_quietly();
    lingering_send(fds[1], frame, 1, &peers[4], LINGER_S);
    destroy(0);
    cr_expect_lt((int)(time(NULL) - before), LINGER_S / 2, "the end waited");
    for (unsigned i = 0; i < 5; i++)
        close(peers[i]);
}

/* At a wire that listens, a third peer's, and one that connects. */
Test(net_socket, the_kernel_refuses_descriptors)
{
    int peer, fds[2];
    fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    foreign_socket_refuse(fds[0]);
    if (!foreign_socket_is_refusing(fds[0]))
        cr_skip_test("this kernel does not");
    close(fds[0]);
    open_end(0, &a);
    fds[1] = dial_quietly();
    cr_expect_not(lingering_send(fds[1], frame, 1, &peer, LINGER_S));
    evloop_drain(loop);
    cr_expect_not(lingering_send(fds[1], frame, 1, &peer, LINGER_S));
    fds[0] = dial_quietly();
    cr_expect_not(lingering_send(fds[0], frame, 1, &peer, LINGER_S));
    evloop_drain(loop);
    cr_expect(nets[0]->info.link_up);
    destroy(0);
    close(fds[0]);
    close(fds[1]);
    fds[0] = at_path(bind, 0);
    cr_assert_eq(listen(fds[0], 1), 0);
    cr_assert_eq(create(0, NULL, NULL), 0);
    fds[1] = accept(fds[0], NULL, NULL);
    cr_expect_not(lingering_send(fds[1], frame, 1, &peer, LINGER_S));
    evloop_drain(loop);
    cr_expect(nets[0]->info.link_up);
    close(fds[0]);
    close(fds[1]);
}

/* Each connection brings one more. */
Test(net_socket, no_peer_is_taken_while_descriptors_cannot_be_closed)
{
    int peers[FOREIGN_FDS_MAX];
    open_end(0, &a);
    for (unsigned i = 0; i < FOREIGN_FDS_MAX; i++)
        foreign_fd_close(lingering(&peers[i], LINGER_S));
    int fd = dial();
    later();
    cr_expect_not(nets[0]->info.link_up);
    for (unsigned i = 0; i < FOREIGN_FDS_MAX; i++)
        close(peers[i]);
    while (foreign_fds_left() > 0)
        usleep(1000);
    later();
    later();
    cr_expect(nets[0]->info.link_up);
    close(fd);
}
