// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/peer.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

TestSuite(core_peer);

static int pair_end(void)
{
    int fds[2];
    cr_assert(zero(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)));
    close(fds[1]);
    return fds[0];
}

Test(core_peer, the_same_user_is_let_in)
{
    uid_t uid = 12345;
    cr_expect(zero(peer_check(pair_end(), &uid)));
    cr_expect(eq(uint, uid, geteuid()));
    cr_expect(zero(peer_check(pair_end(), NULL)));
}

Test(core_peer, another_user_is_named)
{
    uid_t uid = 0;
    if (geteuid() != 0)
        cr_skip("only root can become another user");
    cr_assert(zero(seteuid(65534)));
    int fd = pair_end();
    cr_assert(zero(seteuid(0)));
    cr_expect(eq(int, peer_check(fd, &uid), -EPERM));
    cr_expect(eq(uint, uid, 65534));
    fd = pair_end(); /* root's, looked at by another user */
    cr_assert(zero(seteuid(65534)));
    cr_expect(zero(peer_check(fd, NULL)));
    cr_assert(zero(seteuid(0)));
}

Test(core_peer, what_is_no_socket_is_an_error)
{
    cr_expect(eq(int, peer_check(-1, NULL), -EBADF));
}
