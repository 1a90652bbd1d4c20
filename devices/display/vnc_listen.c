// SPDX-License-Identifier: BSD-2-Clause
#include "devices/display/vnc_listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/peers/lookup.h"

#define BACKLOG      8
#define VNC_PORT     5900
#define DISPLAYS_MAX 59635 /* 65535 - VNC_PORT; VNC_ADDRESS names it */

static int listen_at(const struct addrinfo *to, int *out)
{
    int on = 1;
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, to->ai_addr, to->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    *out = fd;
    return 0;
}

int vnc_listen_first(const struct addrinfo *found, int *fd)
{
    int err = -EADDRNOTAVAIL;
    for (; found != NULL && err != 0 && err != -EADDRINUSE; found = found->ai_next)
        err = listen_at(found, fd);
    return err;
}

static int listen_unix(struct unix_listener *out, const char *path)
{
    int err = unix_listen(out, path, BACKLOG);
    if (err == -ENAMETOOLONG)
        return fail_msg(-EINVAL, "display vnc=unix:%s: the path has 1 to %zu bytes", path,
                        sizeof(out->addr.sun_path) - 1);
    if (err == -EADDRINUSE)
        return fail(err, "display vnc=unix:%s: listen; name another path", path);
    return err < 0 ? fail(err, "display vnc=unix:%s: listen", path) : 0;
}

static int listen_tcp(const char *address, const char *host, const char *port,
                      const struct cancel *cancel, int *fd)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char what[300];
    snprintf(what, sizeof(what), "display vnc=%s", address);
    int err = lookup(&found, what, host[0] != 0 ? host : "127.0.0.1", port, &hints, cancel);
    if (err < 0)
        return err;
    err = vnc_listen_first(found, fd);
    freeaddrinfo(found);
    if (err == -EADDRINUSE)
        return fail(err, "display vnc=%s: listen on port %s; name another number", address, port);
    return err < 0 ? fail(err, "display vnc=%s: listen on port %s", address, port) : 0;
}

bool vnc_place_parse(struct vnc_place *out, const char *address)
{
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    unsigned long display = 0;
    *out = (struct vnc_place){.path = NULL};
    if (strncmp(address, "unix:", 5) == 0) {
        out->path = address + 5;
        return true;
    }
    size_t len = colon != NULL ? (size_t)(colon - address) : sizeof(out->host);
    if (len < sizeof(out->host) && colon[1] >= '0' && colon[1] <= '9')
        display = strtoul(colon + 1, &end, 10);
    if (end == NULL || *end != 0 || display > DISPLAYS_MAX)
        return false;
    if (len >= 2 && address[0] == '[' && address[len - 1] == ']') /* IPv6 */
        address++, len -= 2;
    (void)snprintf(out->host, sizeof(out->host), "%.*s", (int)len, address);
    (void)snprintf(out->port, sizeof(out->port), "%lu", VNC_PORT + display);
    return true;
}

int vnc_listen(struct unix_listener *out, const char *address, const struct cancel *cancel)
{
    struct vnc_place to;
    if (!vnc_place_parse(&to, address))
        return fail_msg(-EINVAL, "display vnc=%s: use " VNC_ADDRESS, address);
    return to.path != NULL ? listen_unix(out, to.path)
                           : listen_tcp(address, to.host, to.port, cancel, &out->fd);
}

void vnc_unlisten(struct unix_listener *l)
{
    if (l->addr.sun_family == AF_UNIX)
        unix_unlisten(l);
    else if (l->fd >= 0)
        close(l->fd);
}
