// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/peer.h"

#include <sys/socket.h>

#include "tests/harness/test.h"

TestSuite(core_peer);

static int pair_end(void)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    close(fds[1]);
    return fds[0];
}

Test(core_peer, the_same_user_is_let_in)
{
    uid_t uid = 12345;
    cr_expect_eq(peer_check(pair_end(), &uid), 0);
    cr_expect_eq(uid, geteuid());
    cr_expect_eq(peer_check(pair_end(), NULL), 0);
}

Test(core_peer, another_user_is_named)
{
    uid_t uid = 0;
    if (geteuid() != 0)
        cr_skip("only root can become another user");
    cr_assert_eq(seteuid(65534), 0);
    int fd = pair_end();
    cr_assert_eq(seteuid(0), 0);
    cr_expect_eq(peer_check(fd, &uid), -EPERM);
    cr_expect_eq(uid, 65534);
    fd = pair_end(); /* root's, looked at by another user */
    cr_assert_eq(seteuid(65534), 0);
    cr_expect_eq(peer_check(fd, NULL), 0);
    cr_assert_eq(seteuid(0), 0);
}

Test(core_peer, what_is_no_socket_is_an_error)
{
    cr_expect_eq(peer_check(-1, NULL), -EBADF);
}
