// SPDX-License-Identifier: BSD-2-Clause
/* core/peers/foreign_fd.c: what comes with descriptors is seen before they are there. */
#include "core/peers/foreign_fd.h"

#include <sched.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/harness/lingering.h"
#include "tests/harness/test.h"

static int ends[2];

static void setup(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
}

#define LINGER_S 600

static void send_with(int fd, int flags)
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
    cr_assert_eq(sendmsg(ends[1], &msg, flags), 1);
}

TestSuite(core_foreign_fd, .init = setup);

Test(core_foreign_fd, bytes_are_received)
{
    char got[4] = "";
    cr_expect_eq(foreign_socket_receive(ends[0], got, 4, NULL), -EAGAIN);
    cr_assert_eq(send(ends[1], "abc", 3, 0), 3);
    cr_expect_eq(foreign_socket_receive(ends[0], got, 2, NULL), 2);
    cr_expect_eq(foreign_socket_receive(ends[0], got + 2, 2, NULL), 1);
    cr_expect_str_eq(got, "abc");
    close(ends[1]);
    cr_expect_eq(foreign_socket_receive(ends[0], got, 4, NULL), 0);
    foreign_socket_close(ends[0]);
}

/* Bytes before them are taken; then nothing is, however often. */
Test(core_foreign_fd, descriptors_stay_where_they_are)
{
    char got[4] = "";
    int pipes[2];
    cr_assert_eq(pipe(pipes), 0);
    cr_assert_eq(send(ends[1], "a", 1, 0), 1);
    send_with(pipes[1], 0);
    close(pipes[1]);
    for (int i = 0; i < 3; i++) {
        ssize_t n = foreign_socket_receive(ends[0], got, sizeof(got), NULL);
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
    while (foreign_fds_left() > 0)
        sched_yield();
    cr_expect_not(foreign_fd_is_memory(fd));
    foreign_fd_close(ends[0]);
    cr_expect_eq(read(ends[1], &fd, 1), 0, "it is closed, soon");
}

Test(core_foreign_fd, one_descriptor_is_taken_where_one_is_wanted)
{
    char got[4];
    int pipes[2], fd = -1;
    cr_assert_eq(pipe(pipes), 0);
    send_with(pipes[1], 0);
    send_with(pipes[1], 0);
    close(pipes[1]);
    cr_expect_eq(foreign_socket_receive(ends[0], got, sizeof(got), &fd), 1);
    cr_expect_eq(write(fd, "x", 1), 1);
    close(fd);
    cr_expect_eq(foreign_socket_receive(ends[0], got, sizeof(got), &fd), -EPROTO);
    foreign_socket_close(ends[0]);
    cr_expect_eq(read(pipes[0], got, sizeof(got)), 1);
    cr_expect_eq(read(pipes[0], got, sizeof(got)), 0, "all writers are closed");
}

/* Such bytes would be seen by poll() and by no look; their descriptors would go with a read. */
Test(core_foreign_fd, out_of_band_bytes_are_among_the_others)
{
    char got[4];
    int pipes[2];
    foreign_socket_open(ends[0]);
    if (send(ends[1], "a", 1, MSG_OOB) < 0)
        cr_skip_test("this kernel's UNIX sockets have none");
    cr_expect_eq(foreign_socket_receive(ends[0], got, sizeof(got), NULL), 1);
    cr_assert_eq(pipe(pipes), 0);
    send_with(pipes[1], MSG_OOB);
    close(pipes[1]);
    cr_assert_eq(send(ends[1], "c", 1, 0), 1);
    cr_expect_eq(foreign_socket_receive(ends[0], got, sizeof(got), NULL), -EPROTO);
    foreign_socket_close(ends[0]);
    cr_expect_eq(read(pipes[0], got, 1), 0, "the last writer is closed, with the socket");
}

/* No close reads all that root can let wait. */
Test(core_foreign_fd, a_long_queue_is_left_to_another_thread)
{
    static char block[1 << 16];
    const int room = 8 << 20;
    if (setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
        cr_skip_test("only root can let as much wait");
    for (size_t sent = 0; sent < 2 * FOREIGN_CLOSE_BYTES; sent += sizeof(block))
        cr_assert_eq(send(ends[1], block, sizeof(block), MSG_DONTWAIT), (ssize_t)sizeof(block));
    int fd = dup(ends[0]); /* keeps what is not read */
    foreign_socket_close(ends[0]);
    cr_expect_eq(recv(fd, block, 1, MSG_DONTWAIT), 1, "it was read to its end");
    close(fd);
}

/* Nothing has been received from it, and nothing been said about its out-of-band bytes. */
Test(core_foreign_fd, a_socket_that_is_refused_is_not_waited_for)
{
    int peer, fd;
    time_t before = time(NULL);
    if (send(ends[1], "a", 1, MSG_OOB) < 0)
        cr_skip_test("this kernel's UNIX sockets have none");
    fd = lingering(&peer, LINGER_S);
    send_with(fd, MSG_OOB);
    close(fd);
    foreign_socket_close(ends[0]);
    cr_expect(time(NULL) - before < LINGER_S / 2, "the close waited");
    close(peer);
}

Test(core_foreign_fd, what_cannot_be_closed_now_is_closed_later)
{
    int peers[FOREIGN_FDS_MAX], pipes[2], memory;
    char byte;
    for (unsigned i = 0; i < FOREIGN_FDS_MAX; i++)
        foreign_fd_close(lingering(&peers[i], LINGER_S));
    cr_expect_eq(foreign_fds_left(), FOREIGN_FDS_MAX);
    memory = memfd_create("empty", MFD_CLOEXEC);
    foreign_fd_close(memory); /* a file system that goes with it need not be empty */
    cr_expect_eq(fcntl(memory, F_GETFD), FD_CLOEXEC);
    cr_expect_eq(foreign_fds_left(), FOREIGN_FDS_MAX + 1);
    cr_assert_eq(pipe(pipes), 0);
    foreign_fd_close(pipes[1]);
    cr_expect_eq(foreign_fds_left(), FOREIGN_FDS_MAX + 2);
    close(peers[0]);
    cr_expect_eq(read(pipes[0], &byte, 1), 0);
    for (unsigned i = 1; i < FOREIGN_FDS_MAX; i++)
        close(peers[i]);
    while (foreign_fds_left() > 0)
        sched_yield();
}
