// SPDX-License-Identifier: BSD-2-Clause
/* Networks on a host that refuses. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/chr.h"
#include "core/ports/net.h"
#include "core/ports/vsock.h"
#include "devices/backend/bucket.h"
#include "devices/char/chr_path.h"
#include "devices/net/filter/net_fault.h"
#include "devices/net/filter/net_limit.h"
#include "devices/net/filter/net_pcap.h"
#include "devices/net/net_loopback.h"
#include "devices/net/net_null.h"
#include "devices/net/socket/net_socket.h"
#include "devices/net/tap/net_tap.h"
#include "devices/net/user/net_child.h"
#include "devices/net/user/net_user.h"
#include "devices/vsock/vsock_unix.h"
#include "tests/errors/refuse.h"
#include "tests/harness/fake.h"
#include "tests/harness/net_option.h"

static struct fake_clock now;
static struct clock fake;
static struct evloop *loop;
static char dir[] = "/tmp/minivet-errors-XXXXXX", path[64];

static void setup(void)
{
    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/file", dir);
}

static void teardown(void)
{
    unlink(path);
    cr_expect_eq(rmdir(dir), 0, "something was left in %s", dir);
}

TestSuite(errors_net, .init = setup, .fini = teardown);

static int open_loop(void)
{
    fake = fake_clock_port(&now);
    return evloop_create(&loop, "test", &fake);
}

static void hear(void *ctx, unsigned pair)
{
    (void)ctx;
    (void)pair;
}

static void hear_link(void *ctx)
{
    (void)ctx;
}

/* Packets may be lost. */
static void use(struct net_backend *net)
{
    static uint8_t packet[NET_HEADER_BYTES + 200];
    struct iovec out[2] = {{packet, NET_HEADER_BYTES}, {packet + NET_HEADER_BYTES, 200}};
    struct iovec in = {packet, sizeof(packet)};
    net->handler.on_rx = net->handler.on_writable = hear;
    net->handler.on_link = hear_link;
    memset(packet, 0, sizeof(packet));
    memset(packet + NET_HEADER_BYTES, 0xff, 12);
    for (unsigned i = 0; i < 20; i++)
        (void)net->ops->send(net, 0, out, 2);
    if (net->ops->flush != NULL)
        net->ops->flush(net, 0);
    evloop_drain(loop);
    for (unsigned i = 0; i < 20; i++)
        (void)net->ops->receive(net, 0, &in, 1);
    if (net->ops->set_offloads != NULL)
        net->ops->set_offloads(net, NET_CSUM);
    if (net->ops->set_pairs != NULL && net->info.pairs > 1)
        (void)net->ops->set_pairs(net, 2);
    now.now_ns += UINT64_C(2000000000);
    evloop_drain(loop);
}

/* A network that `create` makes, after `before`: on top of `base`, if that makes one. */
#define SCENE(scene, before, create)                  \
    static int scene(void)                            \
    {                                                 \
        struct net_backend *net = NULL, *base = NULL; \
        cr_assert_eq(open_loop(), 0);                 \
        before;                                       \
        refuse_begin();                               \
        int err = create;                             \
        if (err != 0 && base != NULL)                 \
            base->ops->destroy(base);                 \
        if (err == 0) {                               \
            use(net);                                 \
            net->ops->destroy(net);                   \
        }                                             \
        refuse_end();                                 \
        evloop_destroy(loop);                         \
        return err;                                   \
    }

/* ---- filters ---- */

static struct net_backend *make_loopback(void)
{
    struct net_backend *net;
    cr_assert_eq(net_loopback_create(&net, loop), 0);
    return net;
}

SCENE(loopback, (void)0, net_loopback_create(&net, loop))
SCENE(null, (void)0, net_null_create(&net, 2))
SCENE(limit, base = net = make_loopback(),
      net_limit_create(&net, loop, &fake, &(struct budget_config){.count_per_s = 10}))
SCENE(fault, base = net = make_loopback(),
      net_fault_create(&net, loop, &fake,
                       &(struct net_fault_spec){.dup = {.every = 2},
                                                .corrupt = {.every = 3},
                                                .reorder = {.every = 5},
                                                .delay_ns = 1000000}))
SCENE(pcap, base = net = make_loopback(), net_pcap_create(&net, loop, &fake, path))

Test(errors_net, filters)
{
    refuse_each(loopback);
    refuse_each(null);
    refuse_each(limit);
    refuse_each(fault);
}

Test(errors_net, pcap)
{
    refuse_each(pcap);
}

Test(errors_net, pcap_without_io_uring)
{
    setenv("MINIVET_NO_URING", "1", 1);
    refuse_each(pcap);
}

/* ---- wires ---- */

static const char *listen_at, *connect_to;

static unsigned free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, bytes), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &bytes), 0);
    close(fd);
    return ntohs(addr.sin_port);
}

/* The second end is there before the first. */
static int wire(void)
{
    struct net_backend *near = NULL, *far = NULL;
    const char *at = listen_at == NULL ? path : NULL;
    cr_assert_eq(open_loop(), 0);
    struct net_socket_config config = {.loop = loop, .clock = &fake, .path = at};
    config.listen = listen_at;
    cr_assert_eq(net_socket_create(&far, &config), 0);
    config.listen = NULL;
    config.connect = connect_to;
    refuse_begin();
    int err = net_socket_create(&near, &config);
    if (err == 0)
        for (unsigned i = 0; i < 5; i++) {
            use(near);
            use(far);
        }
    if (near != NULL)
        near->ops->destroy(near);
    far->ops->destroy(far);
    refuse_end();
    evloop_destroy(loop);
    return err;
}

/* Without a peer. */
SCENE(wire_end, (void)0,
      net_socket_create(&net, &(struct net_socket_config){.loop = loop,
                                                          .clock = &fake,
                                                          .path = listen_at ? NULL : path,
                                                          .listen = listen_at}))

Test(errors_net, wire)
{
    refuse_each(wire_end);
    refuse_each(wire);
}

Test(errors_net, wire_over_tcp)
{
    char where[32];
    snprintf(where, sizeof(where), "127.0.0.1:%u", free_port());
    listen_at = connect_to = where;
    refuse_each(wire_end);
    refuse_each(wire);
}

/* ---- taps ---- */

static unsigned pairs;
static int tap_fds[2];

SCENE(tap, (void)0,
      net_tap_create(&net, &(struct net_tap_config){.loop = loop, .name = "left", .pairs = pairs}))

static void open_taps(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE};
        strcpy(ifr.ifr_name, "right");
        tap_fds[i] = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        cr_assert_eq(ioctl(tap_fds[i], TUNSETIFF, &ifr), 0);
    }
}

static int take_taps(struct net_backend **net)
{
    int err =
        net_tap_create(net, &(struct net_tap_config){.loop = loop, .fds = tap_fds, .pairs = 2});
    if (err != 0) {
        close(tap_fds[0]);
        close(tap_fds[1]);
    }
    return err;
}

SCENE(tap_of_others, open_taps(), take_taps(&net))

static void need_taps(void)
{
    if (access("/dev/net/tun", R_OK | W_OK) != 0 || unshare(CLONE_NEWNET) != 0)
        cr_skip_test("no taps and network namespaces here: %s", strerror(errno));
    /* One that stays and is up. */
    struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    strcpy(ifr.ifr_name, "left");
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    cr_assert_eq(ioctl(fd, TUNSETIFF, &ifr), 0);
    cr_assert_eq(ioctl(fd, TUNSETPERSIST, 1), 0);
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifr.ifr_flags = IFF_UP;
    cr_assert_eq(ioctl(control, SIOCSIFFLAGS, &ifr), 0);
    close(control);
    close(fd);
}

Test(errors_net, tap)
{
    need_taps();
    pairs = 1;
    refuse_each(tap);
}

Test(errors_net, taps_of_others)
{
    need_taps();
    refuse_each(tap_of_others);
}

Test(errors_net, tap_without_io_uring)
{
    need_taps();
    setenv("MINIVET_NO_URING", "1", 1);
    pairs = 1;
    refuse_each(tap);
}

/* ---- a network without rights ---- */

static struct net_user_config user_config(void)
{
    struct net_user_config config = {.clock = &fake, .loop = loop};
    char ports[64];
    snprintf(ports, sizeof(ports), "tcp:127.0.0.1:%u-:22", free_port());
    cr_assert_eq(net_user_option(&config, "net", "hostfwd", ports), 0);
    cr_assert_eq(net_user_option(&config, "net", "guestfwd", "tcp:10.0.2.100:8-cmd:cat"), 0);
    cr_assert_eq(net_user_option(&config, "net", "guestfwd", "tcp:10.0.2.100:9-tcp:127.0.0.1:9"),
                 0);
    return config;
}

SCENE(user, struct net_user_config config = user_config(), net_user_create(&net, &config))

Test(errors_net, user)
{
    refuse_each(user);
}

/* Its process is made anew for each call: what the network does then is that process's. */
static int user_in_a_process(void)
{
    struct net_backend *net = NULL;
    cr_assert_eq(open_loop(), 0);
    refuse_begin();
    int err = net_child_create(&net, &(struct net_child_config){.loop = loop,
                                                                .clock = &fake,
                                                                .program = MINIVET_PROGRAM,
                                                                .option = "user,isolate=on"});
    if (err == 0)
        net->ops->destroy(net);
    refuse_end();
    evloop_destroy(loop);
    return err;
}

Test(errors_net, user_in_a_process)
{
#ifdef SANITIZED
    cr_skip_test("a confined process has no room for sanitizers");
#endif
    refuse_each(user_in_a_process);
}

/* ---- sockets of a guest ---- */

static void ignore(void *conn)
{
    (void)conn;
}

/* A guest connects to a process, writes, and waits for an answer. */
static int sockets(void)
{
    static const struct vsock_handler handler = {.on_readable = ignore, .on_writable = ignore};
    struct vsock_backend *b = NULL;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s_5", path);
    cr_assert_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(open_loop(), 0);
    refuse_begin();
    int err = vsock_unix_create(&b, loop, &fake, path);
    if (err == 0) {
        b->handler = &handler;
        struct vsock_stream *st = b->ops->connect(b, 5, false, &addr);
        if (st != NULL) { /* else the guest is told that nobody listens */
            struct iovec iov = {"hello", 5};
            char c;
            b->ops->write(st, &iov, 1);
            b->ops->poll(st, false, true);
            b->ops->read(st, &c, 1);
            b->ops->shut(st);
            b->ops->close(st);
        }
        b->ops->destroy(b);
    }
    refuse_end();
    evloop_destroy(loop);
    close(listener);
    unlink(addr.sun_path);
    return err;
}

Test(errors_net, sockets)
{
    refuse_each(sockets);
}

/* ---- the host's end of a console's port ---- */

static void take_bytes(void *ctx, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)data;
    (void)len;
}

static void on_away(void *ctx, bool is_away)
{
    (void)ctx;
    (void)is_away;
}

/* What is at the path comes, is written to, writes, and goes, if the backend lives to see it. */
static int port(enum chr_path_kind kind)
{
    static const struct chr_handler handler = {
        .on_rx = take_bytes, .on_writable = ignore, .on_away = on_away};
    struct chr_backend *b = NULL;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char name[sizeof(addr.sun_path) + 8];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s_port", path);
    for (unsigned i = 0; kind == CHR_PIPE && i < 2; i++) {
        snprintf(name, sizeof(name), "%s.%s", addr.sun_path, i == 0 ? "in" : "out");
        mkfifo(name, 0600);
    }
    if (kind == CHR_SOCKET)
        cr_assert(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(fd, 1) == 0);
    cr_assert_eq(open_loop(), 0);
    refuse_begin();
    int err = chr_path_create(
        &b, &(struct chr_path_config){
                .loop = loop, .clock = &fake, .name = "port", .kind = kind, .path = addr.sun_path});
    if (err == 0) {
        b->handler = &handler;
        b->ops->rx_enable(b, 64);
        refuse_end();
        if (kind == CHR_LISTEN)
            (void)connect(fd, (struct sockaddr *)&addr, sizeof(addr));
        refuse_begin();
        evloop_drain(loop);
        b->ops->write(b, (const uint8_t *)"hello", 5);
        b->ops->rx_enable(b, 0);
        evloop_drain(loop);
        b->ops->destroy(b);
    }
    refuse_end();
    evloop_destroy(loop);
    close(fd);
    unlink(addr.sun_path);
    for (unsigned i = 0; i < 2; i++) {
        snprintf(name, sizeof(name), "%s.%s", addr.sun_path, i == 0 ? "in" : "out");
        unlink(name);
    }
    return err;
}

#define PORT(name, kind)         \
    static int port_##name(void) \
    {                            \
        return port(kind);       \
    }
PORT(listens, CHR_LISTEN)
PORT(connects, CHR_SOCKET)
PORT(file, CHR_FILE)
PORT(pipe, CHR_PIPE)
PORT(pty, CHR_PTY)

Test(errors_net, ports)
{
    refuse_each(port_listens);
    refuse_each(port_connects);
    refuse_each(port_file);
    refuse_each(port_pipe);
    refuse_each(port_pty);
}
