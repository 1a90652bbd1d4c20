// SPDX-License-Identifier: BSD-2-Clause
#include "core/peers/unix_listener.h"

#include <sys/socket.h>

#include "tests/harness/test.h"

struct spot {
    char dir[32], path[48];
};

static void open_spot(struct spot *s)
{
    strcpy(s->dir, "/tmp/minivet-listener-XXXXXX");
    cr_assert_not_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof(s->path), "%s/socket", s->dir);
}

static void close_spot(struct spot *s)
{
    (void)unlink(s->path);
    cr_assert_eq(rmdir(s->dir), 0);
}

#define OnSpot(name) TestWith(unix_listener, name, struct spot, s, open_spot(s), close_spot(s))

OnSpot(is_its_users_alone_and_goes_with_its_path)
{
    struct unix_listener l = {.fd = -1};
    struct stat st;
    cr_assert_eq(unix_listen(&l, s->path, 1), 0);
    cr_assert_eq(stat(s->path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600);
    unix_unlisten(&l);
    cr_expect_eq(l.fd, -1);
    cr_expect_eq(access(s->path, F_OK), -1);
}

OnSpot(replaces_what_a_dead_process_has_left)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct unix_listener l = {.fd = -1};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(addr.sun_path, s->path);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd);
    cr_expect_eq(unix_listen(&l, s->path, 1), 0);
    unix_unlisten(&l);
}

OnSpot(leaves_a_socket_that_is_in_use_and_other_files)
{
    struct unix_listener l = {.fd = -1}, other = {.fd = -1};
    cr_assert_eq(unix_listen(&other, s->path, 1), 0);
    cr_expect_eq(unix_listen(&l, s->path, 1), -EADDRINUSE);
    cr_expect_eq(access(s->path, F_OK), 0);
    unix_unlisten(&other);
    close(open(s->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    cr_expect_eq(unix_listen(&l, s->path, 1), -EADDRINUSE);
    cr_expect_eq(access(s->path, F_OK), 0);
}

OnSpot(leaves_what_has_replaced_it)
{
    struct unix_listener l = {.fd = -1}, other = {.fd = -1};
    cr_assert_eq(unix_listen(&l, s->path, 1), 0);
    cr_assert_eq(unlink(s->path), 0);
    cr_assert_eq(unix_listen(&other, s->path, 1), 0);
    unix_unlisten(&l);
    cr_expect_eq(access(s->path, F_OK), 0);
    unix_unlisten(&other);
}

Test(unix_listener, names_have_an_end)
{
    char path[200] = "";
    struct unix_listener l = {.fd = -1};
    cr_expect_eq(unix_listen(&l, path, 1), -ENAMETOOLONG);
    memset(path, 'x', sizeof(path) - 1);
    cr_expect_eq(unix_listen(&l, path, 1), -ENAMETOOLONG);
    cr_expect_eq(unix_listen(&l, "/nowhere/x", 1), -ENOENT);
    cr_expect_eq(l.fd, -1);
}
