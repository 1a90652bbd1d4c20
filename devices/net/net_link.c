// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/net_link.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of a socket in a turn of the loop: others may change interfaces for ever. */
#define READS_MAX 64u

/* Any socket will do to ask. */
static int look(struct net_link *link)
{
    struct ifreq ifr = {0};
    memcpy(ifr.ifr_name, link->name, sizeof(link->name));
    link->up = false;
    if (ioctl(link->events.fd, SIOCGIFFLAGS, &ifr) != 0)
        return -errno;
    link->up = (ifr.ifr_flags & IFF_UP) != 0;
    return 0;
}

/*
 * What the messages say is not read: that something has changed is enough to look, also when some
 * of them were lost (ENOBUFS).
 */
static void on_event(void *ctx, uint32_t events)
{
    struct net_link *link = ctx;
    char message[4096];
    (void)events;
    for (unsigned i = 0; i < READS_MAX; i++)
        if (recv(link->events.fd, message, sizeof(message), MSG_DONTWAIT) < 0 && errno != ENOBUFS)
            break;
    bool was_up = link->up;
    (void)look(link);
    if (link->up != was_up)
        link->on_change(link->ctx);
}

int net_link_init(struct net_link *link)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    link->events = (struct ev_fd){.cb = on_event, .ctx = link, .fd = fd};
    int err = bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 ? look(link) : -errno;
    struct ifreq ifr = {0};
    memcpy(ifr.ifr_name, link->name, sizeof(link->name));
    if (err == 0 && ioctl(fd, SIOCGIFMTU, &ifr) != 0)
        err = -errno;
    if (err == 0)
        err = evloop_fd_add(link->loop, &link->events, fd, EPOLLIN);
    if (err != 0) {
        close(fd);
        return err;
    }
    link->mtu_bytes = (uint32_t)ifr.ifr_mtu;
    return 0;
}

void net_link_fini(struct net_link *link)
{
    if (!link->events.armed)
        return;
    evloop_fd_del(link->loop, &link->events);
    close(link->events.fd);
}
