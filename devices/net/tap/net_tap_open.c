// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "devices/net/tap/net_tap_impl.h"

/* Linux 6.2; not in older headers. */
#define TAP_F_USO (0x20u | 0x40u)

#define BUSY_TRIES 100u /* of 10 ms */

#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

unsigned net_tap_offload_flags(unsigned to_guest)
{
    static const struct {
        unsigned net, tap;
    } map[] = {
        {NET_CSUM, TUN_F_CSUM},   {NET_TSO4, TUN_F_TSO4}, {NET_TSO6, TUN_F_TSO6},
        {NET_ECN, TUN_F_TSO_ECN}, {NET_UFO, TUN_F_UFO},   {NET_USO, TAP_F_USO},
    };
    unsigned flags = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(map); i++)
        flags |= (to_guest & map[i].net) != 0 ? map[i].tap : 0;
    return flags;
}

/* ---- by name ---- */

static int report_open(int err)
{
    if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
        return fail_msg(err, "/dev/net/tun: the kernel has no taps (sudo modprobe tun)");
    if (err == -EACCES)
        return fail_msg(err, "/dev/net/tun: this user may not open it "
                             "(sudo chmod a+rw /dev/net/tun)");
    return fail(err, "/dev/net/tun: open");
}

static int report_name(int err, const char *name, unsigned pairs)
{
    const char *queues = pairs > 1 ? " multi_queue" : "";
    if (err == -EPERM)
        return fail_msg(err,
                        "tap %s: this user may not use it "
                        "(sudo ip tuntap add dev %s mode tap%s user $USER; sudo ip link set %s up)",
                        name, name, queues, name);
    if (err == -EBUSY)
        return fail_msg(err, "tap %s: another process uses it, or it is not a tap", name);
    if (err == -EINVAL && if_nametoindex(name) == 0)
        return fail_msg(err, "tap %s: this cannot be the name of an interface", name);
    if (err == -EINVAL && pairs > 1)
        return fail_msg(err,
                        "tap %s: it is no tap with several queues (sudo ip link del %s; "
                        "sudo ip tuntap add dev %s mode tap multi_queue user $USER)",
                        name, name, name);
    if (err == -EINVAL)
        return fail_msg(err, "tap %s: there is an interface of that name, and it is no tap", name);
    return fail(err, "tap %s: open", name);
}

/* Gives the name that it got, for those with a %d in them. */
static int open_queue(char *name, int flags)
{
    struct ifreq ifr = {.ifr_flags = (short)flags};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    memcpy(ifr.ifr_name, name, IF_NAMESIZE);
    if (ioctl(fd, TUNSETIFF, &ifr) != 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    memcpy(name, ifr.ifr_name, IF_NAMESIZE);
    return fd;
}

/* The kernel closes the tap of a process that was killed a moment after the process has gone. */
static int open_when_free(char *name, int flags)
{
    const struct timespec moment = {.tv_nsec = 10 * 1000 * 1000};
    int fd = open_queue(name, flags);
    for (unsigned tries = 0; fd == -EBUSY && tries < BUSY_TRIES; tries++) {
        (void)nanosleep(&moment, NULL);
        fd = open_queue(name, flags);
    }
    return fd;
}

int net_tap_open_name(struct net_tap *tap, const char *name, unsigned pairs)
{
    if (name[0] == '\0' || strlen(name) >= IF_NAMESIZE)
        return fail_msg(-EINVAL, "tap %s: a name has 1 to %d characters", name, IF_NAMESIZE - 1);
    strncpy(tap->link.name, name, IF_NAMESIZE - 1);
    int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (tun < 0)
        return report_open(-errno);
    close(tun);
    for (unsigned i = 0; i < pairs; i++) {
        int flags = TAP_FLAGS | (pairs > 1 ? IFF_MULTI_QUEUE : 0);
        int fd = open_when_free(tap->link.name, flags);
        /* A tap that was made for several queues serves with one as well. */
        if (fd == -EINVAL && pairs == 1)
            fd = open_when_free(tap->link.name, flags | IFF_MULTI_QUEUE);
        if (fd < 0)
            return report_name(fd, name, pairs);
        tap->pairs[i].fd = fd;
    }
    return 0;
}

/* ---- descriptors that another process opened ---- */

static int check_fd(struct net_tap *tap, int fd, bool first, unsigned pairs)
{
    struct ifreq ifr = {0};
    int status = fcntl(fd, F_GETFL);
    if (status < 0)
        return fail(-errno, "tap fd %d", fd);
    if (ioctl(fd, TUNGETIFF, &ifr) != 0)
        return fail_msg(-EINVAL, "tap fd %d: it is no tap", fd);
    int must = TAP_FLAGS | (pairs > 1 ? IFF_MULTI_QUEUE : 0);
    if ((ifr.ifr_flags & must) != must)
        return fail_msg(-EINVAL,
                        "tap fd %d: it must be opened with IFF_TAP | IFF_NO_PI | "
                        "IFF_VNET_HDR%s",
                        fd, pairs > 1 ? " | IFF_MULTI_QUEUE" : "");
    if (!first && strncmp(ifr.ifr_name, tap->link.name, IF_NAMESIZE) != 0)
        return fail_msg(-EINVAL, "tap fd %d: it is of another interface than the first", fd);
    memcpy(tap->link.name, ifr.ifr_name, IF_NAMESIZE);
    if (fcntl(fd, F_SETFL, status | O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return fail(-errno, "tap fd %d", fd);
    return 0;
}

int net_tap_open_fds(struct net_tap *tap, const int *fds, unsigned pairs)
{
    for (unsigned i = 0; i < pairs; i++) {
        int err = check_fd(tap, fds[i], i == 0, pairs);
        if (err != 0)
            return err;
    }
    for (unsigned i = 0; i < pairs; i++)
        tap->pairs[i].fd = fds[i];
    return 0;
}

/* ---- what it can do ---- */

/* What it takes to give, it also takes to be given. */
static unsigned probe(int fd)
{
    static const unsigned more[] = {NET_ECN, NET_UFO, NET_USO};
    const unsigned segments = NET_CSUM | NET_TSO4 | NET_TSO6;
    unsigned can = 0;
    if (ioctl(fd, TUNSETOFFLOAD, net_tap_offload_flags(NET_CSUM)) == 0)
        can = NET_CSUM;
    if (can != 0 && ioctl(fd, TUNSETOFFLOAD, net_tap_offload_flags(segments)) == 0)
        can = segments;
    for (unsigned i = 0; can == segments && i < ARRAY_SIZE(more); i++)
        if (ioctl(fd, TUNSETOFFLOAD, net_tap_offload_flags(segments | more[i])) == 0)
            can |= more[i];
    return can;
}

int net_tap_set_up(struct net_tap *tap)
{
    const int header_bytes = NET_HEADER_BYTES, little_endian = 1;
    for (unsigned i = 0; i < tap->b.info.pairs; i++) {
        int fd = tap->pairs[i].fd;
        if (ioctl(fd, TUNSETVNETHDRSZ, &header_bytes) != 0 ||
            ioctl(fd, TUNSETVNETLE, &little_endian) != 0)
            return fail(-errno, "tap %s: headers of packets", tap->link.name);
    }
    tap->b.info.to_host = tap->b.info.to_guest = probe(tap->pairs[0].fd);
    if (ioctl(tap->pairs[0].fd, TUNSETOFFLOAD, 0) != 0)
        return fail(-errno, "tap %s: offloads", tap->link.name);
    return 0;
}
