// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/user_net.h"

#include <stdarg.h>

#include "core/loop/evloop.h"
#include "tests/harness/test.h"

struct evloop *loop;
struct net_backend *net;
struct guest vm;
struct net_user_config config;
uint8_t packet[NET_PACKET_MAX], data[65536];
uint32_t first_seq = 1000;

void user_net_set_up(void)
{
    listen_to_log(LOG_DEBUG);
    use_clock(&clock_host);
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + (i >> 8));
}

void user_net_tear_down(void)
{
    if (net != NULL)
        net->ops->destroy(net);
    evloop_destroy(loop);
}

void use_clock(const struct clock *clock)
{
    evloop_destroy(loop);
    cr_assert_eq(evloop_create(&loop, "test", clock), 0);
    config = (struct net_user_config){.loop = loop, .clock = clock};
}

void option(const char *key, const char *value)
{
    cr_assert_eq(net_user_option(&config, "--net user", key, value), 0, "%s", logged_line);
}

void optionf(const char *key, const char *format, ...)
{
    static char texts[8][256]; /* a configuration keeps the pointer */
    static unsigned turn;
    char *text = texts[turn++ % 8];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(texts[0]), format, args);
    va_end(args);
    option(key, text);
}

void start(void)
{
    cr_assert_eq(net_user_create(&net, &config), 0, "%s", logged_line);
    guest_init(&vm, net, loop);
    cr_assert(guest_arp(&vm, HOST_IPV4)); /* each learns who the other is */
}

struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

int host_socket(int family, int type, uint16_t *port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in four = loopback(0);
    struct sockaddr *addr = family == AF_INET6 ? (void *)&six : (void *)&four;
    socklen_t len = family == AF_INET6 ? sizeof(six) : sizeof(four);
    int fd = socket(family, type | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(fd, addr, len), 0);
    cr_assert_eq(getsockname(fd, addr, &len), 0);
    *port = ntohs(family == AF_INET6 ? six.sin6_port : four.sin_port);
    if (type == SOCK_STREAM)
        cr_assert_eq(listen(fd, 16), 0);
    return fd;
}

uint16_t free_port(int type)
{
    uint16_t port;
    close(host_socket(AF_INET, type, &port));
    return port;
}

int unix_server(struct sockaddr_un *un)
{
    char dir[] = "/tmp/minivet-test-XXXXXX";
    cr_assert_not_null(mkdtemp(dir));
    *un = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(un->sun_path, sizeof(un->sun_path), "%s/server", dir);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(listener, (const struct sockaddr *)un, sizeof(*un)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    optionf("guestfwd", "tcp:10.0.2.100:7-unix:%s", un->sun_path);
    return listener;
}

void unix_server_end(const struct sockaddr_un *un, int listener)
{
    char dir[sizeof(un->sun_path)];
    close(listener);
    unlink(un->sun_path);
    strcpy(dir, un->sun_path);
    *strrchr(dir, '/') = '\0';
    rmdir(dir);
}

int host_connect(uint16_t port)
{
    struct sockaddr_in addr = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_expect_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), -1); /* goes on */
    return fd;
}

struct guest_tcp tcp_to(uint32_t addr, uint16_t port)
{
    return (struct guest_tcp){.from = GUEST_IPV4, .to = addr, .from_port = 4000, .to_port = port};
}

void send_tcp(const struct guest_tcp *tcp, const void *bytes, size_t count)
{
    guest_send_packet(&vm, packet, guest_make_tcp(packet, tcp, bytes, count));
    evloop_drain(loop);
}

void send_udp(uint32_t addr, uint16_t from_port, uint16_t to_port, const void *bytes, size_t count)
{
    guest_send_packet(&vm, packet, guest_make_udp(packet, addr, from_port, to_port, bytes, count));
}

void drop_frames(void)
{
    while (guest_receive(&vm) >= 0)
        ;
}

/* The next TCP frame to that port with those flags; its payload's offset. */
size_t wait_tcp(uint16_t port, uint8_t flags)
{
    while (guest_wait(&vm)) {
        const uint8_t *ip = vm.frame + GUEST_ETH, *tcp = ip + GUEST_IP;
        if (guest_be16(vm.frame + 12) != 0x0800 || ip[9] != 6 || guest_be16(tcp + 2) != port)
            continue;
        cr_expect(guest_checksums_are_right(vm.frame, vm.bytes));
        cr_expect_eq(tcp[13] & TCP_URG, 0); /* a guest would take a byte out */
        if ((tcp[13] & flags) == flags)
            return GUEST_ETH + GUEST_IP + (size_t)(tcp[12] >> 4) * 4;
    }
    cr_assert(false, "no TCP frame to port %u with flags %x", port, flags);
    return 0;
}

/* The guest connects. */
void shake_hands(struct guest_tcp *tcp)
{
    tcp->seq = first_seq;
    tcp->flags = TCP_SYN;
    tcp->mss = 65480;
    send_tcp(tcp, NULL, 0);
    wait_tcp(tcp->from_port, TCP_SYN | TCP_ACK);
    tcp->seq++;
    tcp->ack = guest_be32(vm.frame + GUEST_ETH + GUEST_IP + 4) + 1;
    tcp->flags = TCP_ACK;
    tcp->mss = 0;
    send_tcp(tcp, NULL, 0);
}

/* ... and the host's end. */
int connect_guest(struct guest_tcp *tcp, int listener)
{
    shake_hands(tcp);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    cr_assert_geq(fd, 0);
    return fd;
}

size_t read_all(int fd, uint8_t *out, size_t bytes)
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
