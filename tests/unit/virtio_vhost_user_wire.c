// SPDX-License-Identifier: BSD-2-Clause
/* The conversation alone (vhost_user.c), with ends of it that no device brings about. */
#include <poll.h>
#include <sys/socket.h>

#include "tests/harness/test.h"
#include "virtio/vhost/vhost_user.h"

#define FOREVER_MS 600000u

static void *close_unread(void *arg)
{
    int fd = *(const int *)arg;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    poll(&p, 1, -1);
    close(fd);
    return NULL;
}

Test(vhost_user_wire, a_question_that_is_not_read_is_no_answer)
{
    struct vhost_user vu;
    struct vhost_user_inflight record = {.fd = -1};
    pthread_t thread;
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    vhost_user_open(&vu, fds[0], FOREVER_MS, -1);
    cr_assert_eq(pthread_create(&thread, NULL, close_unread, &fds[1]), 0);
    cr_expect_eq(vhost_user_get_inflight(&vu, 1, 16, &record), -ECONNRESET);
    cr_expect_str_eq(vu.why, "the connection broke");
    pthread_join(thread, NULL);
    vhost_user_close(&vu);
}

Test(vhost_user_wire, a_pause_ends_when_nothing_is_waited_for)
{
    struct vhost_user vu;
    int fds[2], err, cancel_fd = eventfd(0, EFD_CLOEXEC);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    vhost_user_open(&vu, fds[0], 1, cancel_fd);
    cr_expect_eq(vhost_user_pause(&vu, 1), 0, "without a limit");
    vhost_user_limit(&vu);
    do
        err = vhost_user_pause(&vu, 1);
    while (err == 0);
    cr_expect_eq(err, -ETIMEDOUT);
    cr_assert_eq(eventfd_write(cancel_fd, 1), 0);
    cr_expect_eq(vhost_user_pause(&vu, FOREVER_MS), -ECANCELED);
    vhost_user_close(&vu);
    close(fds[1]);
    close(cancel_fd);
}
