// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <math.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "net.h"
#include "runs.h"

#define SEGMENT_BYTES 1448
#define BATCH         64u
#define FRAME_MAX     (65536u + sizeof(struct virtio_net_hdr))
/* Less than a tap's queue has room for, so that nothing is dropped and the sender may sleep. */
#define WINDOW_SMALL 512u
#define WINDOW_LARGE 32u
#define BUSY_MS      1000
#define STUCK_MS     50 /* without a VMM nobody takes anything */

static pthread_t worker;
static bool working;
static atomic_bool stop;
static int own_socket = -1;

/* ---- the namespace ---- */

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        runs_die("write", path);
    close(fd);
}

/* Who is not root is, in a user namespace of its own. */
static bool enter(void)
{
    char map[64];
    unsigned uid = getuid(), gid = getgid();
    if (unshare(CLONE_NEWNET) == 0)
        return true;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return false;
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "0 %u 1", uid);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof(map), "0 %u 1", gid);
    write_file("/proc/self/gid_map", map);
    return true;
}

static struct ifreq request(const char *name)
{
    struct ifreq ifr = {0};
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    return ifr;
}

static bool set_up(int fd, const char *name)
{
    struct ifreq ifr = request(name);
    ifr.ifr_flags = IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
}

static bool set_address(int fd, unsigned long what, const char *address)
{
    struct ifreq ifr = request(NET_TAP_NAME);
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ifr.ifr_addr;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = inet_addr(address);
    return ioctl(fd, what, &ifr) == 0;
}

/* The kernel takes it from a VMM that was killed, but not at once. */
static bool make_tap(void)
{
    struct ifreq ifr = request(NET_TAP_NAME);
    ifr.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    bool ok = tun >= 0 && ioctl(tun, TUNSETIFF, &ifr) == 0;
    for (int i = 0; !ok && tun >= 0 && errno == EBUSY && i < BUSY_MS; i++) {
        usleep(1000);
        ok = ioctl(tun, TUNSETIFF, &ifr) == 0;
    }
    ok = ok && ioctl(tun, TUNSETPERSIST, 1) == 0;
    if (tun >= 0)
        close(tun);
    return ok;
}

static bool prepare_tap(int fd)
{
    if (!make_tap())
        return false;
    /* The kernel's own packets would be counted with ours. */
    write_file("/proc/sys/net/ipv6/conf/" NET_TAP_NAME "/disable_ipv6", "1");
    return set_address(fd, SIOCSIFADDR, "10.0.2.2") &&
           set_address(fd, SIOCSIFNETMASK, "255.255.255.0") && set_up(fd, NET_TAP_NAME);
}

bool net_host_open(bool *has_tap)
{
    *has_tap = false;
    if (!enter()) {
        perror("bench: neither tap nor user: a network namespace");
        return false;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !set_up(fd, "lo"))
        runs_die("interface", "lo");
    *has_tap = prepare_tap(fd);
    if (!*has_tap)
        perror("bench: no tap: " NET_TAP_NAME);
    close(fd);
    return true;
}

/* ---- counters ---- */

enum { FROM_GUEST = 2, TO_GUEST = 10, TO_GUEST_DROPPED = 12, COUNTERS = 16 };

/* Of the tap, in the order of /proc/net/dev. */
static bool read_counters(double counters[COUNTERS + 1])
{
    static char text[4096];
    static int fd = -1;
    if (fd < 0)
        fd = open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC);
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    char *at = strstr(text, NET_TAP_NAME ":");
    if (at == NULL)
        return false;
    at += strlen(NET_TAP_NAME ":");
    for (int i = 1; i <= COUNTERS; i++)
        counters[i] = strtod(at, &at);
    return true;
}

/* Datagrams that were sent: the fourth figure of the second line that begins so. */
static double datagrams(void)
{
    char line[512];
    double count = NAN;
    FILE *f = fopen("/proc/self/net/snmp", "re");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        char *at = line + strlen("Udp:");
        for (int i = 0; strncmp(line, "Udp:", strlen("Udp:")) == 0 && i < 4; i++)
            count = strtod(at, &at);
    }
    if (f != NULL)
        fclose(f);
    return count;
}

double net_host_frames(const struct pattern *p)
{
    double counters[COUNTERS + 1];
    if (p->network == USER)
        return datagrams();
    return read_counters(counters) ? counters[FROM_GUEST] : NAN;
}

/* ---- who sends ---- */

/*
 * Has to cost little, since it shares a processor with the device: what is small the kernel cuts
 * out of one datagram, and there is never more of what is large than caches hold.
 */
struct sender {
    struct iovec iov;
    unsigned batch, window; /* frames: of a call, and that nobody has taken yet */
};

static struct sender sender;
static uint8_t sent_bytes[FRAME_MAX];

/* The guest answers no ARP. */
static void know_guest(int fd, const struct sockaddr_in *guest)
{
    struct arpreq arp = {.arp_flags = ATF_COM | ATF_PERM,
                         .arp_ha = {.sa_family = ARPHRD_ETHER, .sa_data = {0x02, 0, 0, 0, 0, 0x0f}},
                         .arp_dev = NET_TAP_NAME};
    memcpy(&arp.arp_pa, guest, sizeof(*guest));
    if (ioctl(fd, SIOCSARP, &arp) != 0)
        runs_die("a neighbour of", NET_TAP_NAME);
}

static int open_small(const struct pattern *p)
{
    const int segment = (int)p->bytes - 14 - 28; /* without Ethernet's, IP's and UDP's headers */
    const struct sockaddr_in guest = {.sin_family = AF_INET,
                                      .sin_port = htons(NET_UDP_PORT),
                                      .sin_addr.s_addr = inet_addr("10.0.2.15")};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    know_guest(fd, &guest);
    if (connect(fd, (const struct sockaddr *)&guest, sizeof(guest)) < 0 ||
        setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment)) < 0)
        runs_die("a sender for", NET_TAP_NAME);
    sender = (struct sender){{sent_bytes, BATCH * (size_t)segment}, BATCH, WINDOW_SMALL};
    return fd;
}

static void make_segments(uint8_t *at, unsigned bytes)
{
    static const uint8_t ethernet[14] = {0x02, 0, 0, 0, 0, 0x0f, 0x02, 0, 0, 0, 0, 0x02, 0x08, 0};
    static const uint8_t ip[20] = {0x45, 0, 0,  0, 0, 0, 0,  0, 64, 6,
                                   0,    0, 10, 0, 2, 2, 10, 0, 2,  15};
    const struct virtio_net_hdr header = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                          .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                          .hdr_len = 54,
                                          .gso_size = SEGMENT_BYTES,
                                          .csum_start = 34,
                                          .csum_offset = 16};
    memcpy(at, &header, sizeof(header));
    at += sizeof(header);
    memcpy(at, ethernet, sizeof(ethernet));
    memcpy(at + 14, ip, sizeof(ip));
    at[16] = (uint8_t)((bytes - 14) >> 8);
    at[17] = (uint8_t)(bytes - 14);
    at[34 + 12] = 0x50; /* so many words of header */
}

static int open_large(const struct pattern *p)
{
    const int on = 1;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    struct sockaddr_ll at = {.sll_family = AF_PACKET,
                             .sll_ifindex = (int)if_nametoindex(NET_TAP_NAME)};
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0)
        runs_die("a sender for", NET_TAP_NAME);
    make_segments(sent_bytes, p->bytes);
    sender =
        (struct sender){{sent_bytes, sizeof(struct virtio_net_hdr) + p->bytes}, 1, WINDOW_LARGE};
    return fd;
}

static double taken(void)
{
    double counters[COUNTERS + 1];
    if (!read_counters(counters))
        runs_die("counters of", NET_TAP_NAME);
    return counters[TO_GUEST] + counters[TO_GUEST_DROPPED];
}

/* As much as the VMM takes: what it has not taken yet is counted, and never more than a window. */
static void *send_frames(void *arg)
{
    const struct sender *s = arg;
    prctl(PR_SET_TIMERSLACK, 1);
    double sent = taken(), had = sent, moved_ms = runs_now_ms();
    while (!atomic_load(&stop)) {
        double now = taken();
        if (now > had)
            moved_ms = runs_now_ms();
        else if (runs_now_ms() - moved_ms > STUCK_MS)
            sent = now; /* nobody was there */
        had = now;
        while (sent - now <= s->window - s->batch && writev(own_socket, &s->iov, 1) > 0)
            sent += s->batch;
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    return NULL;
}

/* ---- who answers, and who only listens ---- */

static int open_udp(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons(NET_UDP_PORT),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_usec = 50000};
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0)
        runs_die("a socket for", "UDP");
    return fd;
}

static void *answer(void *arg)
{
    static uint8_t datagram[65536];
    struct sockaddr_in from;
    (void)arg;
    while (!atomic_load(&stop)) {
        socklen_t len = sizeof(from);
        ssize_t n =
            recvfrom(own_socket, datagram, sizeof(datagram), 0, (struct sockaddr *)&from, &len);
        if (n >= 0)
            sendto(own_socket, datagram, (size_t)n, 0, (struct sockaddr *)&from, len);
    }
    return NULL;
}

/* ---- a pattern ---- */

void net_host_begin(const struct pattern *p)
{
    void *(*work)(void *) = NULL;
    if (p->network == TAP && !make_tap())
        runs_die("this is not free:", NET_TAP_NAME);
    if (p->from_host) {
        own_socket = p->kind == TCP ? open_large(p) : open_small(p);
        work = send_frames;
    } else if (p->kind == UDP) { /* what nobody reads the kernel drops, which costs least */
        own_socket = open_udp();
        work = p->answers ? answer : NULL;
    }
    atomic_store(&stop, false);
    working = work != NULL;
    if (working && pthread_create(&worker, NULL, work, &sender) != 0)
        runs_die("a thread for", p->name);
}

void net_host_end(void)
{
    atomic_store(&stop, true);
    if (working)
        pthread_join(worker, NULL);
    if (own_socket >= 0)
        close(own_socket);
    working = false;
    own_socket = -1;
}
