// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <math.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <pthread.h>
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
#include "netns.h"
#include "runs.h"

#define SEGMENT_BYTES 1448
#define BATCH         64u
#define FRAME_MAX     (65536u + sizeof(struct virtio_net_hdr))
/* Less than a tap's queue has room for, so that nothing is dropped and the sender may sleep. */
#define WINDOW_SMALL 512u
#define WINDOW_LARGE 32u
#define BUSY_MS      1000
#define STUCK_MS     50 /* without a VMM nothing is taken */

static pthread_t worker;
static bool working;
static atomic_bool stop;
static int own_socket = -1;

/* ---- the namespace ---- */

bool net_host_open(bool *has_tap)
{
    *has_tap = false;
    if (!netns_enter()) {
        perror("bench: neither tap nor user: a network namespace");
        return false;
    }
    *has_tap = netns_make_tap(NET_TAP_NAME) && netns_set_up(NET_TAP_NAME, "10.0.2.2");
    if (!*has_tap)
        perror("bench: taps, which root can have, are left out: " NET_TAP_NAME);
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

double net_host_frames(const struct net_pattern *p)
{
    double counters[COUNTERS + 1];
    if (p->network == USER)
        return datagrams();
    return read_counters(counters) ? counters[FROM_GUEST] : NAN;
}

/* ---- what sends ---- */

/*
 * Has to cost little, since it shares a processor with the device: what is small the kernel cuts
 * out of one datagram, and there is never more of what is large than caches hold.
 */
struct sender {
    struct iovec iov;
    unsigned batch, window; /* frames: of a call, and that are not taken yet */
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

static int open_small(const struct net_pattern *p)
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

static int open_large(const struct net_pattern *p)
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
            sent = now; /* no VMM was there */
        had = now;
        while (sent - now <= s->window - s->batch && writev(own_socket, &s->iov, 1) > 0)
            sent += s->batch;
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
    return NULL;
}

/* ---- what answers, and what only listens ---- */

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

void net_host_begin(const struct net_pattern *p)
{
    void *(*work)(void *) = NULL;
    if (p->network == TAP && !netns_make_tap(NET_TAP_NAME))
        runs_die("this is not free:", NET_TAP_NAME);
    if (p->from_host) {
        own_socket = p->kind == TCP ? open_large(p) : open_small(p);
        work = send_frames;
    } else if (p->kind == UDP) { /* the kernel drops what is not read, which costs least */
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
