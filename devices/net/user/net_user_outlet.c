// SPDX-License-Identifier: BSD-2-Clause
/*
 * Ports of the guest's network that lead to a server outside. libslirp can lead them to a socket in
 * the file system, for which it makes a connection each. So there is such a socket, with no name
 * that others could find: whenever libslirp has connected to it, that descriptor is made one of a
 * connection to the server. libslirp sees no difference between streams. It could connect to a
 * server's own socket in the file system, but would wait for one that is slow, and print a line
 * whenever the guest asks for one that is not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/peers/foreign_connect.h"
#include "core/peers/foreign_fd.h"
#include "devices/net/host_port.h"
#include "devices/net/user/net_user_impl.h"

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* The socket's file is gone when this returns: a descriptor leads to it. */
static int listen_nowhere(struct user_outlet *o)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/minivet-XXXXXX";
    if (mkdtemp(dir) == NULL)
        return -errno;
    snprintf(un.sun_path, sizeof(un.sun_path), "%s/outlet", dir);
    o->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int err = 0;
    if (o->listener < 0 || bind(o->listener, (struct sockaddr *)&un, sizeof(un)) != 0 ||
        listen(o->listener, 4) != 0)
        err = -errno;
    if (err == 0) {
        o->file = open(un.sun_path, O_PATH | O_CLOEXEC);
        err = o->file < 0 ? -errno : 0;
    }
    (void)unlink(un.sun_path);
    (void)rmdir(dir);
    return err;
}

static int unix_addr(struct user_outlet *o, const struct net_user_forward *f)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (strlen(f->target) >= sizeof(un.sun_path))
        return fail_msg(-ENAMETOOLONG,
                        "user network: guestfwd=%s: a socket's path has at most %zu bytes", f->text,
                        sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, f->target, strlen(f->target));
    memcpy(&o->addr, &un, sizeof(un));
    o->addr_bytes = sizeof(un);
    return 0;
}

int user_outlet_make(struct net_user *u, const struct net_user_forward *f,
                     const struct cancel *cancel, const char **path)
{
    struct user_outlet *o = &u->outlets[u->outlet_count++];
    *o = (struct user_outlet){.listener = -1, .file = -1};
    int err = f->kind == NET_USER_UNIX ? unix_addr(o, f)
                                       : host_port(&o->addr, &o->addr_bytes, f->target, cancel);
    if (err != 0)
        return err;
    err = listen_nowhere(o);
    if (err != 0)
        return fail(err, "user network: guestfwd=%s: a socket in /tmp", f->text);
    snprintf(o->path, sizeof(o->path), "/proc/self/fd/%d", o->file);
    *path = o->path;
    return 0;
}

/*
 * A server that cannot be reached ends the guest's connection when libslirp looks at it. libslirp
 * reads with recv(), which closes descriptors that come along, and may wait for that.
 */
static void lead(const struct user_outlet *o, int fd)
{
    const int on = 1;
    int s = socket(o->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s < 0)
        return;
    foreign_socket_open(s);
    if (o->addr.ss_family == AF_UNIX) {
        foreign_socket_refuse(s);
        (void)foreign_connect_now(s, ((const struct sockaddr_un *)&o->addr)->sun_path);
    } else {
        (void)setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)connect(s, (const struct sockaddr *)&o->addr, o->addr_bytes);
    }
    (void)dup3(s, fd, O_CLOEXEC);
    close(s);
}

/* The peer that connects is the one that waits here: no other knows the path. */
void user_outlet_lead(const struct net_user *u, int fd)
{
    for (unsigned i = 0; i < u->outlet_count; i++) {
        int other_end = accept4(u->outlets[i].listener, NULL, NULL, SOCK_CLOEXEC);
        if (other_end < 0)
            continue;
        close(other_end);
        lead(&u->outlets[i], fd);
        return;
    }
}

void user_outlets_close(struct net_user *u)
{
    for (unsigned i = 0; i < u->outlet_count; i++) {
        close_fd(u->outlets[i].listener);
        close_fd(u->outlets[i].file);
    }
    u->outlet_count = 0;
}
