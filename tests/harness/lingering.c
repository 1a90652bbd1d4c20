// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/lingering.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/fail.h"

int lingering(int *peer, int seconds)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger linger = {.l_onoff = 1, .l_linger = seconds};
    socklen_t bytes = sizeof(addr);
    static const uint8_t block[65536];
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    BUG_ON(bind(l, (const struct sockaddr *)&addr, bytes) != 0 || listen(l, 1) != 0);
    BUG_ON(getsockname(l, (struct sockaddr *)&addr, &bytes) != 0);
    BUG_ON(connect(fd, (const struct sockaddr *)&addr, bytes) != 0);
    *peer = accept(l, NULL, NULL);
    BUG_ON(*peer < 0);
    close(l);
    while (send(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
        ;
    BUG_ON(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) != 0);
    return fd;
}

bool lingering_send(int to, const void *data, size_t bytes, int *peer, int seconds)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space = {.header = {.cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS,
                          .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof(space)};
    int fd = lingering(peer, seconds);
    memcpy(CMSG_DATA(&space.header), &fd, sizeof(fd));
    ssize_t n = sendmsg(to, &msg, MSG_NOSIGNAL);
    bool is_refused = n < 0 && errno == EPERM;
    BUG_ON(!is_refused && n != (ssize_t)bytes);
    if (is_refused) /* its close would wait here */
        close(*peer);
    close(fd);
    return !is_refused;
}
