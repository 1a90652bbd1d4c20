// SPDX-License-Identifier: BSD-2-Clause
/* core/foreign_fd.c: what comes with descriptors is seen before they are there. */
#include "core/foreign_fd.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends[2];

static void setup(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

static void send_with(int fd)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space = {.header = {.cmsg_level = SOL_SOCKET,
                          .cmsg_type = SCM_RIGHTS,
                          .cmsg_len = CMSG_LEN(sizeof(int))}};
    struct iovec iov = {.iov_base = "b", .iov_len = 1};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof(space)};
    memcpy(CMSG_DATA(&space.header), &fd, sizeof(fd));
    cr_assert_eq(sendmsg(ends[1], &msg, 0), 1);
}

TestSuite(core_foreign_fd, .init = setup);

Test(core_foreign_fd, bytes_are_received)
{
    char got[4] = "";
    cr_expect_eq(foreign_socket_receive(ends[0], got, 4), -EAGAIN);
    cr_assert_eq(send(ends[1], "abc", 3, 0), 3);
    cr_expect_eq(foreign_socket_receive(ends[0], got, 2), 2);
    cr_expect_eq(foreign_socket_receive(ends[0], got + 2, 2), 1);
    cr_expect_str_eq(got, "abc");
    close(ends[1]);
    cr_expect_eq(foreign_socket_receive(ends[0], got, 4), 0);
    foreign_socket_close(ends[0]);
}

/* Bytes before them are taken; then nothing is, however often. */
Test(core_foreign_fd, descriptors_stay_where_they_are)
{
    char got[4] = "";
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_eq(send(ends[1], "a", 1, 0), 1);
    send_with(pipes[1]);
    close(pipes[1]);
    for (int i = 0; i < 3; i++) {
        ssize_t n = foreign_socket_receive(ends[0], got, sizeof(got));
        cr_expect(n == -EPROTO || (i == 0 && n == 1), "%zd", n);
    }
    foreign_socket_close(ends[0]);
    cr_expect_eq(read(pipes[0], got, 1), 0, "the last writer is closed, with the socket");
}

Test(core_foreign_fd, only_memory_is_memory)
{
    int fd = memfd_create("x", MFD_CLOEXEC);
    cr_expect(foreign_fd_is_memory(fd));
    cr_expect_not(foreign_fd_is_memory(ends[0]));
    foreign_fd_close(fd);
    cr_expect_not(foreign_fd_is_memory(fd));
    foreign_fd_close(ends[0]);
    cr_expect_eq(read(ends[1], &fd, 1), 0, "it is closed, soon");
}
