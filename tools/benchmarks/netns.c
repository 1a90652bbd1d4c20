// SPDX-License-Identifier: BSD-2-Clause
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runs.h"

#define BUSY_MS 1000

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        runs_die("write", path);
    close(fd);
}

bool unshare_as_root(int spaces)
{
    char map[64];
    unsigned uid = getuid(), gid = getgid();
    if (unshare(spaces) == 0)
        return true;
    if (unshare(CLONE_NEWUSER | spaces) < 0)
        return false;
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "0 %u 1", uid);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof(map), "0 %u 1", gid);
    write_file("/proc/self/gid_map", map);
    return true;
}

bool netns_enter(void)
{
    return unshare_as_root(CLONE_NEWNET) && netns_set_up("lo", "127.0.0.1");
}

static struct ifreq request(const char *name)
{
    struct ifreq ifr = {0};
    snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
    return ifr;
}

static bool set_address(int fd, unsigned long what, const char *name, const char *address)
{
    struct ifreq ifr = request(name);
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&ifr.ifr_addr;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = inet_addr(address);
    return ioctl(fd, what, &ifr) == 0;
}

/* The kernel's own packets would be counted with ours. */
static void disable_ipv6(const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
    write_file(path, "1");
}

bool netns_set_up(const char *name, const char *address)
{
    struct ifreq ifr = request(name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    disable_ipv6(name);
    ifr.ifr_flags = IFF_UP;
    bool ok = set_address(fd, SIOCSIFADDR, name, address) &&
              set_address(fd, SIOCSIFNETMASK, name, "255.255.255.0") &&
              ioctl(fd, SIOCSIFFLAGS, &ifr) == 0;
    close(fd);
    return ok;
}

/* The kernel takes it from a VMM that was killed, but not at once. */
bool netns_make_tap(const char *name)
{
    struct ifreq ifr = request(name);
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
