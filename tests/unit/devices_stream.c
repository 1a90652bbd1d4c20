// SPDX-License-Identifier: BSD-2-Clause
#include "devices/char/stream.h"

#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <seccomp.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/harness/lingering.h"
#include "tests/harness/test.h"

static char block[65536];

/* Neither direction blocks, whatever the kind, and the caller's descriptors keep their flags. */
static void expect_never_blocks(int rd_fd, int wr_fd, enum stream_kind kind)
{
    char byte = 0;
    struct stream rd = stream_open(rd_fd, O_RDONLY), wr = stream_open(wr_fd, O_WRONLY);
    cr_assert_eq((int)rd.kind, (int)kind);
    cr_assert_eq((int)wr.kind, (int)kind);
    cr_expect_neq(rd.fd, rd_fd);
    cr_expect_eq((int)stream_read(&rd, &byte, 1), -1);
    cr_expect_eq(errno, EAGAIN);
    cr_expect_not(stream_wait(&rd, POLLIN, 0));
    cr_expect_eq((int)stream_write(&wr, "a", 1), 1);
    cr_expect_eq((int)stream_read(&rd, &byte, 1), 1);
    cr_expect_eq(byte, 'a');
    int rounds = 0;
    while (stream_write(&wr, block, sizeof(block)) > 0)
        cr_assert_lt(rounds++, 10000);
    cr_expect_eq(errno, EAGAIN);
    cr_expect_eq(fcntl(rd_fd, F_GETFL) & O_NONBLOCK, 0);
    cr_expect_eq(fcntl(wr_fd, F_GETFL) & O_NONBLOCK, 0);
    stream_close(&rd);
    stream_close(&wr);
    cr_expect_geq(fcntl(rd_fd, F_GETFL), 0);
}

Test(stream, pipes_do_not_block)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    expect_never_blocks(fds[0], fds[1], STREAM_OWN);
}

Test(stream, sockets_do_not_block)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    expect_never_blocks(fds[0], fds[1], STREAM_SOCKET);
}

Test(stream, a_terminal_that_nobody_reads_does_not_block)
{
    int master, slave;
    cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
    struct stream s = stream_open(slave, O_WRONLY);
    int rounds = 0;
    cr_assert_eq((int)s.kind, STREAM_OWN);
    while (stream_write(&s, block, sizeof(block)) > 0)
        cr_assert_lt(rounds++, 10000);
    cr_expect_eq(errno, EAGAIN);
    stream_close(&s);
}

/* A pipe that cannot be opened anew. */
static struct stream open_foreign(int fd, int flags)
{
    cr_assert_eq(seteuid(65534), 0);
    struct stream s = stream_open(fd, flags);
    cr_assert_eq(seteuid(0), 0);
    return s;
}

static atomic_uint taken;

static void *take_bytes(void *arg)
{
    const int *fd = arg;
    char byte;
    while (read(*fd, &byte, 1) == 1)
        taken++;
    return NULL;
}

/* Between a look and the call that follows it. */
Test(stream, a_pipe_that_others_empty_does_not_block, .timeout = 60)
{
    int fds[2], rounds = 0;
    pthread_t other;
    char byte;
    if (geteuid() != 0)
        cr_skip_test("only root can become another user");
    cr_assert_eq(pipe(fds), 0);
    struct stream rd = open_foreign(fds[0], O_RDONLY), wr = open_foreign(fds[1], O_WRONLY);
    cr_expect_eq((int)rd.kind, STREAM_PIPE);
    cr_assert_eq(pthread_create(&other, NULL, take_bytes, &fds[0]), 0);
    for (unsigned i = 1; i <= 50000; i++) {
        cr_assert_eq((int)stream_write(&wr, "a", 1), 1);
        if (stream_read(&rd, &byte, 1) == 1)
            taken++;
        while (taken < i)
            (void)sched_yield();
    }
    stream_close(&wr);
    close(fds[1]);
    pthread_join(other, NULL);
    stream_close(&rd);
    cr_assert_eq(pipe(fds), 0);
    wr = open_foreign(fds[1], O_WRONLY);
    while (stream_write(&wr, block, sizeof(block)) > 0)
        cr_assert_lt(rounds++, 100);
    cr_expect_eq(errno, EAGAIN);
    stream_close(&wr);
}

Test(stream, a_pipe_without_a_reader_is_epipe)
{
    int fds[2];
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe(fds), 0);
    close(fds[0]);
    struct stream s = stream_open(fds[1], O_WRONLY);
    cr_expect_eq((int)stream_write(&s, "a", 1), -1);
    cr_expect_eq(errno, EPIPE);
    stream_close(&s);
}

Test(stream, files_are_appended_where_they_are)
{
    char name[] = "/tmp/minivet-stream-XXXXXX", back[8] = {0};
    int fd = mkstemp(name);
    cr_assert_geq(fd, 0);
    cr_assert_eq((int)write(fd, "abc", 3), 3);
    struct stream s = stream_open(fd, O_WRONLY);
    cr_expect_eq((int)s.kind, STREAM_GUARDED);
    cr_expect_eq((int)stream_write(&s, "def", 3), 3);
    cr_expect_eq((int)pread(fd, back, 7, 0), 6);
    cr_expect_str_eq(back, "abcdef");
    stream_close(&s);
    unlink(name);
}

Test(stream, a_closed_descriptor_is_a_stream_of_nothing)
{
    struct stream s = stream_open(999, O_RDONLY);
    cr_expect_eq((int)s.kind, STREAM_NONE);
    cr_expect_eq(s.fd, -1);
    stream_close(&s);
}

/* The last reference to a file whose close waits comes with a byte of input. */
Test(stream, a_descriptor_whose_close_waits_stops_nobody)
{
    int fds[2], peer;
    char byte;
    time_t before = time(NULL);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct stream s = stream_open(fds[0], O_RDONLY);
    lingering_send(fds[1], "", 1, &peer, 20);
    cr_expect_eq((int)stream_read(&s, &byte, 1), -1);
    cr_expect_lt((int)(time(NULL) - before), 10, "the reader waited for the peer");
    cr_expect_eq(errno, EPROTO);
    close(peer);
    stream_close(&s);
}

/* It is readable, and holds nothing to read. */
Test(stream, an_out_of_band_byte_is_input)
{
    int fds[2];
    char byte = 0;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct stream s = stream_open(fds[0], O_RDONLY);
    if (send(fds[1], "o", 1, MSG_OOB) < 0)
        cr_skip_test("this kernel's UNIX sockets have none");
    cr_expect_eq((int)stream_read(&s, &byte, 1), 1);
    cr_expect_eq(byte, 'o');
    stream_close(&s);
}

/* As the server of a file system may: what goes on until all is written would never end. */
Test(stream, a_write_of_nothing_is_an_error)
{
    struct stream s = stream_open(memfd_create("out", MFD_CLOEXEC), O_WRONLY);
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    cr_expect_eq(stream_write(&s, "a", 1), 1);
    cr_assert_eq(seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(write), 1,
                                  SCMP_A0(SCMP_CMP_EQ, (unsigned)s.fd, 0)),
                 0);
    cr_assert_eq(seccomp_load(filter), 0);
    seccomp_release(filter);
    cr_expect_eq(stream_write(&s, "a", 1), -1);
    cr_expect_eq(errno, EIO);
    cr_expect_eq(stream_write(&s, "", 0), 0);
    stream_close(&s);
}
