// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/foreign_message.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/peers/foreign_fd.h"

#define MESSAGE_COST 512 /* at least, in the kernel, however short */

/* Each message then has its sender's credentials, and the end has none. */
void foreign_messages_open(int fd)
{
    const int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

ssize_t foreign_message_bytes(int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } space; /* none for descriptors */
    struct msghdr msg = {.msg_control = &space, .msg_controllen = sizeof(space)};
    ssize_t n = recvmsg(fd, &msg, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (n < 0)
        return -errno;
    if ((msg.msg_flags & MSG_CTRUNC) != 0)
        return -EPROTO;
    return n == 0 && CMSG_FIRSTHDR(&msg) == NULL ? -ENODATA : n;
}

void foreign_messages_close(int fd)
{
    ssize_t left = FOREIGN_CLOSE_BYTES, n = 0;
    shutdown(fd, SHUT_RDWR);
    while (n != -ENODATA && n != -ENOTCONN && n != -EPROTO && left > 0) {
        n = foreign_message_bytes(fd);
        left -= MESSAGE_COST + (n > 0 ? n : 0);
        if (n >= 0)
            (void)recv(fd, NULL, 0, MSG_DONTWAIT);
    }
    if (n == -ENODATA || n == -ENOTCONN) /* it never was: nothing has come */
        close(fd);
    else
        foreign_fd_close(fd);
}
