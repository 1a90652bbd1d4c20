// SPDX-License-Identifier: BSD-2-Clause
#include "devices/vsock/vsock_unix.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/peers/foreign_fd.h"
#include "core/ports/vsock.h"
#include "tests/harness/fake.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"

#define PATH      "vm.vsock"
#define HOST_PORT 77u

static struct fake_clock now;
static struct clock fake;
static struct evloop *loop;
static struct vsock_backend *backend;

/* The device: one connection. */
static struct {
    bool refuses;
    unsigned asked, gone, readable, writable;
    uint32_t guest_port;
    struct vsock_stream *stream;
} device;

static void *on_connect(void *ctx, struct vsock_stream *s, uint32_t guest_port, uint32_t *host_port)
{
    (void)ctx;
    device.asked++;
    device.guest_port = guest_port;
    if (device.refuses)
        return NULL;
    *host_port = HOST_PORT;
    device.stream = s;
    return &device;
}

static void on_gone(void *conn)
{
    cr_assert_eq(conn, &device);
    device.gone++;
    backend->ops->close(device.stream);
    device.stream = NULL;
}

/* As the device does when the guest has no room. */
static void on_readable(void *conn)
{
    cr_assert_eq(conn, &device);
    device.readable++;
    backend->ops->poll(device.stream, false, false);
}

static void on_writable(void *conn)
{
    cr_assert_eq(conn, &device);
    device.writable++;
    backend->ops->poll(device.stream, false, false);
}

static const struct vsock_handler handler = {on_connect, on_gone, on_readable, on_writable, NULL};

static void setup(void)
{
    folder_enter();
    listen_to_log(LOG_DEBUG);
    fake = fake_clock_port(&now);
    cr_assert_eq(evloop_create(&loop, "test", &fake), 0);
    cr_assert_eq(vsock_unix_create(&backend, loop, &fake, PATH), 0, "%s", logged_line);
    backend->handler = &handler;
}

static void teardown(void)
{
    if (device.stream != NULL)
        backend->ops->close(device.stream);
    backend->ops->destroy(backend);
    cr_expect_neq(access(PATH, F_OK), 0, "the socket is removed");
    cr_expect_neq(access(PATH VSOCK_UNIX_MESSAGES, F_OK), 0, "and the other");
    evloop_destroy(loop);
    folder_leave();
}

TestSuite(vsock_unix, .init = setup, .fini = teardown);

static int make_socket_of(int type, const char *path, struct sockaddr_un *addr)
{
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(addr->sun_path, sizeof(addr->sun_path), "%s", path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_geq(fd, 0);
    return fd;
}

static int make_socket(const char *path, struct sockaddr_un *addr)
{
    return make_socket_of(SOCK_STREAM, path, addr);
}

/* A process that connects and says something. */
static int client_of(int type, const char *path, const char *says)
{
    struct sockaddr_un addr;
    int fd = make_socket_of(type, path, &addr);
    cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(write(fd, says, strlen(says)), (ssize_t)strlen(says));
    evloop_drain(loop);
    return fd;
}

static int client(const char *says)
{
    return client_of(SOCK_STREAM, PATH, says);
}

static bool is_dropped(int fd)
{
    char c;
    evloop_drain(loop);
    return recv(fd, &c, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
}

/* The same, and the guest has accepted. */
static int accepted_client(int fd)
{
    char answer[16];
    cr_assert_not_null(device.stream);
    backend->ops->accepted(device.stream, HOST_PORT);
    cr_assert_eq(recv(fd, answer, 6, 0), 6);
    return fd;
}

static int open_client(const char *says)
{
    return accepted_client(client(says));
}

static int message_client(const char *says)
{
    return client_of(SOCK_SEQPACKET, PATH VSOCK_UNIX_MESSAGES, says);
}

static void expect_read(const char *text)
{
    char bytes[64] = "";
    cr_expect_eq(backend->ops->read(device.stream, bytes, sizeof(bytes)), (ssize_t)strlen(text));
    cr_expect_str_eq(bytes, text);
}

static void send_text(const char *text)
{
    struct iovec iov = {(void *)text, strlen(text)};
    cr_expect_eq(backend->ops->write(device.stream, &iov, 1), (ssize_t)strlen(text));
}

/* ---- processes connect ---- */

Test(vsock_unix, a_process_names_a_port_and_speaks)
{
    char answer[16] = "";
    int fd = client("CONNECT 1024\nhello");
    cr_assert_not_null(device.stream);
    cr_expect_eq(device.guest_port, 1024);
    cr_expect_eq(recv(fd, answer, sizeof(answer), 0), -1, "not before the guest has accepted");
    backend->ops->accepted(device.stream, HOST_PORT);
    cr_expect_eq(recv(fd, answer, sizeof(answer), 0), 6);
    cr_expect_str_eq(answer, "OK 77\n");
    expect_read("hello");
    cr_expect_eq(backend->ops->read(device.stream, answer, 1), -EAGAIN);
    send_text("and back");
    cr_expect_eq(recv(fd, answer, sizeof(answer), 0), 8);
    close(fd);
}

Test(vsock_unix, a_line_may_come_in_pieces_and_in_small_letters)
{
    int fd = client("conn");
    cr_expect_eq(device.asked, 0);
    cr_assert_eq(write(fd, "ect 5", 5), 5);
    evloop_drain(loop);
    cr_expect_eq(device.asked, 0);
    cr_assert_eq(write(fd, "2\nx", 3), 3);
    evloop_drain(loop);
    cr_assert_eq(device.asked, 1);
    cr_expect_eq(device.guest_port, 52);
    expect_read("x");
    close(fd);
}

Test(vsock_unix, other_lines_are_refused)
{
    static const char *const lines[] = {"HELLO\n",
                                        "CONNECT\n",
                                        "CONNECT x\n",
                                        "CONNECT 1 2\n",
                                        "CONNECT 4294967296\n",
                                        "CONNECTED 1\n",
                                        "\n",
                                        "CONNECT                         1\n",
                                        "a line that never ends and is longer than one may be"};
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        int fd = client(lines[i]);
        cr_expect(is_dropped(fd), "%s", lines[i]);
        close(fd);
    }
    cr_expect_eq(device.asked, 0);
}

Test(vsock_unix, a_port_that_the_device_refuses_is_closed)
{
    device.refuses = true;
    int fd = client("CONNECT 1\n");
    cr_expect_eq(device.asked, 1);
    cr_expect(is_dropped(fd));
    close(fd);
}

Test(vsock_unix, a_process_that_leaves_before_it_asks_is_forgotten)
{
    close(client("CONN"));
    evloop_drain(loop);
    close(client(""));
    evloop_drain(loop);
    cr_expect_eq(device.asked, 0);
}

Test(vsock_unix, of_many_that_say_nothing_the_first_make_room)
{
    int fds[VSOCK_UNIX_ASKING_MAX + 1];
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = client("");
    cr_expect(is_dropped(fds[0]));
    cr_expect_not(is_dropped(fds[1]));
    cr_assert_eq(write(fds[1], "CONNECT 9\n", 10), 10);
    evloop_drain(loop);
    cr_expect_eq(device.guest_port, 9);
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
}

Test(vsock_unix, a_process_that_leaves_before_the_guest_accepts_is_told_of)
{
    int fd = client("CONNECT 1\nearly");
    shutdown(fd, SHUT_WR);
    evloop_drain(loop);
    cr_expect_eq(device.gone, 0, "it still reads");
    close(fd);
    now.now_ns += UINT64_C(10000000);
    evloop_drain(loop);
    cr_expect_eq(device.gone, 1);
}

/* ---- the guest connects ---- */

static int listen_as(int type, const char *path)
{
    struct sockaddr_un addr;
    int fd = make_socket_of(type, path, &addr);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    return fd;
}

static int listen_at(const char *path)
{
    return listen_as(SOCK_STREAM, path);
}

Test(vsock_unix, a_port_of_the_host_is_a_socket_beside_the_path)
{
    int listener = listen_at(PATH "_52"), fd;
    cr_expect_null(backend->ops->connect(backend, 5, false, &device), "nobody listens there");
    device.stream = backend->ops->connect(backend, 52, false, &device);
    cr_assert_not_null(device.stream);
    cr_assert_geq(fd = accept(listener, NULL, NULL), 0);
    send_text("from the guest");
    char bytes[32];
    cr_expect_eq(recv(fd, bytes, sizeof(bytes), 0), 14);
    cr_assert_eq(write(fd, "ok", 2), 2);
    expect_read("ok");
    close(fd);
    close(listener);
    unlink(PATH "_52");
}

/* One more than the process lets wait; those in front are in fds. */
static int fill_queue(int type, int fds[2])
{
    int listener = listen_as(type, PATH "_52");
    struct sockaddr_un addr;
    for (unsigned i = 0; i < 2; i++) {
        fds[i] = make_socket_of(type, PATH "_52", &addr);
        cr_assert_eq(connect(fds[i], (struct sockaddr *)&addr, sizeof(addr)), 0);
    }
    device.stream = backend->ops->connect(backend, 52, type == SOCK_SEQPACKET, &device);
    cr_assert_not_null(device.stream);
    return listener;
}

/* Longer than anybody waits. */
static void pass_time(void)
{
    for (unsigned i = 0; i < 100; i++) {
        now.now_ns += UINT64_C(10000000);
        evloop_drain(loop);
    }
}

static void joins_late(int type)
{
    int fds[2], late = -1;
    char bytes[32] = "";
    struct iovec iov = {bytes, 4};
    int listener = fill_queue(type, fds);
    cr_expect_eq(backend->ops->write(device.stream, &iov, 1), 0);
    cr_expect_eq(backend->ops->read(device.stream, bytes, sizeof(bytes)), -EAGAIN);
    backend->ops->poll(device.stream, false, true);
    pass_time();
    cr_expect_eq(device.writable, 0, "nor is it ended");
    for (unsigned i = 0; i < 2; i++) {
        close(accept(listener, NULL, NULL));
        close(fds[i]);
    }
    pass_time();
    cr_expect_eq(device.writable, 1);
    cr_assert_geq(late = accept(listener, NULL, NULL), 0);
    send_text("at last");
    cr_expect_eq(recv(late, bytes, sizeof(bytes), 0), 7);
    cr_assert_eq(write(late, "ok", 2), 2);
    expect_read("ok");
    close(late);
    close(listener);
    unlink(PATH "_52");
}

Test(vsock_unix, a_process_may_be_slow_to_accept)
{
    joins_late(SOCK_STREAM);
}

Test(vsock_unix, one_of_messages_likewise)
{
    joins_late(SOCK_SEQPACKET);
}

Test(vsock_unix, who_is_not_accepted_yet_may_have_ended)
{
    int fds[2], late = -1;
    char c;
    int listener = fill_queue(SOCK_STREAM, fds);
    backend->ops->shut(device.stream);
    close(accept(listener, NULL, NULL));
    pass_time();
    close(accept(listener, NULL, NULL));
    cr_assert_geq(late = accept(listener, NULL, NULL), 0);
    cr_expect_eq(recv(late, &c, 1, 0), 0);
    cr_assert_eq(write(late, "z", 1), 1);
    expect_read("z");
    close(late);
    close(listener);
    close(fds[0]);
    close(fds[1]);
    unlink(PATH "_52");
}

static void is_never_accepted(int type)
{
    int fds[2];
    char c;
    struct iovec iov = {&c, 1};
    int listener = fill_queue(type, fds);
    backend->ops->poll(device.stream, true, false);
    close(listener);
    pass_time();
    cr_expect_eq(device.readable, 1);
    cr_expect_eq(backend->ops->read(device.stream, &c, 1), -ECONNRESET);
    cr_expect_eq(backend->ops->write(device.stream, &iov, 1), -ECONNRESET);
    close(fds[0]);
    close(fds[1]);
    unlink(PATH "_52");
}

Test(vsock_unix, a_process_may_leave_before_it_accepts)
{
    is_never_accepted(SOCK_STREAM);
}

Test(vsock_unix, one_of_messages_may_leave_likewise)
{
    is_never_accepted(SOCK_SEQPACKET);
}

Test(vsock_unix, who_waits_may_be_closed)
{
    int fds[2];
    int listener = fill_queue(SOCK_STREAM, fds);
    backend->ops->close(device.stream);
    device.stream = NULL;
    pass_time();
    close(accept(listener, NULL, NULL));
    close(accept(listener, NULL, NULL));
    cr_expect_eq(accept(listener, NULL, NULL), -1);
    close(listener);
    close(fds[0]);
    close(fds[1]);
    unlink(PATH "_52");
}

/* Each look at the clock finds it a tenth of a turn later. */
static uint64_t hurry(void *ctx)
{
    return ((struct fake_clock *)ctx)->now_ns += 100000;
}

static unsigned count_ended(const int *fds, unsigned count)
{
    unsigned ended = 0;
    char c;
    for (unsigned i = 0; i < count; i++)
        ended += recv(fds[i], &c, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
    return ended;
}

Test(vsock_unix, thousands_are_closed_in_many_turns)
{
    enum { MANY = VSOCK_UNIX_CLOSING_MAX + 100 };
    static struct vsock_stream *streams[MANY];
    static int fds[MANY];
    struct sockaddr_un addr;
    int listener = make_socket(PATH "_52", &addr);
    cr_assert_eq(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(listener, MANY), 0);
    for (unsigned i = 0; i < MANY; i++) {
        streams[i] = backend->ops->connect(backend, 52, false, &device);
        fds[i] = accept(listener, NULL, NULL);
        cr_assert(streams[i] != NULL && fds[i] >= 0);
    }
    fake.now_ns = hurry;
    for (unsigned i = 0; i < MANY; i++) /* the guest has reset its device */
        backend->ops->close(streams[i]);
    cr_expect_lt(count_ended(fds, MANY), 50);
    cr_expect_null(backend->ops->connect(backend, 52, false, &device), "not too many at once");
    evloop_drain(loop);
    cr_expect_eq(count_ended(fds, MANY), MANY);
    device.stream = backend->ops->connect(backend, 52, false, &device);
    cr_expect_not_null(device.stream);
    for (unsigned i = 0; i < MANY; i++)
        close(fds[i]);
    close(listener);
    unlink(PATH "_52");
}

Test(vsock_unix, what_is_no_socket_or_a_link_to_one_is_nobody)
{
    int listener = listen_at("elsewhere");
    cr_assert_eq(symlink("elsewhere", PATH "_1"), 0);
    int file = creat(PATH "_2", 0600);
    cr_expect_null(backend->ops->connect(backend, 1, false, &device));
    cr_expect_null(backend->ops->connect(backend, 2, false, &device));
    close(file);
    close(listener);
    unlink(PATH "_1");
    unlink(PATH "_2");
    unlink("elsewhere");
}

/* A guest asks as often as it likes: a thread that closes a socket is for what a stranger sent. */
Test(vsock_unix, a_port_without_a_listener_leaves_nothing_to_close)
{
    unsigned left = 0;
    for (unsigned i = 0; i < 50; i++) {
        cr_expect_null(backend->ops->connect(backend, 1, false, &device));
        left += foreign_fds_left();
        cr_expect_null(backend->ops->connect(backend, 1, true, &device));
        left += foreign_fds_left();
    }
    cr_expect_eq(left, 0);
}

/* ---- streams ---- */

Test(vsock_unix, an_end_of_writing_and_an_end_are_told_apart)
{
    char c;
    int fd = open_client("CONNECT 1\n");
    shutdown(fd, SHUT_WR);
    cr_expect_eq(backend->ops->read(device.stream, &c, 1), 0);
    send_text("still read");
    close(fd);
    cr_expect_eq(backend->ops->read(device.stream, &c, 1), -ECONNRESET);
    struct iovec iov = {&c, 1};
    cr_expect_lt(backend->ops->write(device.stream, &iov, 1), 0);
}

Test(vsock_unix, events_come_as_asked_for)
{
    int fd = open_client("CONNECT 1\nx");
    cr_expect_eq(device.readable, 0, "nothing was asked for");
    backend->ops->poll(device.stream, true, false);
    evloop_drain(loop);
    cr_expect_eq(device.readable, 1);
    evloop_drain(loop);
    cr_expect_eq(device.readable, 1);
    backend->ops->poll(device.stream, false, true);
    evloop_drain(loop);
    cr_expect_eq(device.writable, 1);
    close(fd); /* for one that listens to nothing that is nothing, or the loop would never rest */
    evloop_drain(loop);
    backend->ops->poll(device.stream, true, false);
    evloop_drain(loop);
    cr_expect_eq(device.readable, 2);
}

Test(vsock_unix, a_process_that_does_not_read_takes_a_part)
{
    static uint8_t bytes[4 * MIB], back[4 * MIB];
    struct iovec iov = {bytes, sizeof(bytes)};
    int fd = open_client("CONNECT 1\n");
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 13 >> 3);
    ssize_t taken = backend->ops->write(device.stream, &iov, 1);
    cr_assert_gt(taken, 0);
    cr_assert_lt(taken, (ssize_t)sizeof(bytes));
    iov = (struct iovec){bytes + taken, sizeof(bytes) - (size_t)taken};
    cr_expect_eq(backend->ops->write(device.stream, &iov, 1), 0);
    backend->ops->poll(device.stream, false, true);
    evloop_drain(loop);
    cr_expect_eq(device.writable, 0);
    for (ssize_t got = 0, n; got < taken; got += n)
        cr_assert_gt(n = recv(fd, back + got, sizeof(back) - (size_t)got, 0), 0);
    cr_expect_eq(memcmp(bytes, back, (size_t)taken), 0);
    evloop_drain(loop);
    cr_expect_eq(device.writable, 1);
    close(fd);
}

/* The loop is not kept busy by an end that is known. */
Test(vsock_unix, a_process_that_writes_no_more_may_be_slow_to_read)
{
    static uint8_t bytes[4 * MIB];
    struct iovec iov = {bytes, sizeof(bytes)};
    int fd = open_client("CONNECT 1\n");
    shutdown(fd, SHUT_WR);
    cr_assert_gt(backend->ops->write(device.stream, &iov, 1), 0);
    backend->ops->poll(device.stream, false, true);
    evloop_drain(loop);
    now.now_ns += UINT64_C(10000000);
    evloop_drain(loop);
    cr_expect_eq(device.writable, 0);
    while (recv(fd, bytes, sizeof(bytes), 0) > 0)
        ;
    now.now_ns += UINT64_C(10000000);
    evloop_drain(loop);
    cr_expect_eq(device.writable, 1);
    close(fd);
}

/* Nor by as many as there may be: a clock says when to look at each. */
Test(vsock_unix, many_that_write_no_more_are_looked_at_less_often)
{
    static uint8_t bytes[MIB];
    struct vsock_stream *streams[128];
    int fds[ARRAY_SIZE(streams)];
    struct iovec iov = {bytes, sizeof(bytes)};
    if (strcmp(evloop_engine(loop), "io_uring") != 0)
        cr_skip_test("of the end of one direction only io_uring tells unasked");
    for (unsigned i = 0; i < ARRAY_SIZE(streams); i++) {
        fds[i] = open_client("CONNECT 1\n");
        streams[i] = device.stream;
    }
    shutdown(fds[0], SHUT_WR);
    cr_assert_gt(backend->ops->write(streams[0], &iov, 1), 0);
    device.stream = streams[0];
    backend->ops->poll(device.stream, false, true);
    evloop_drain(loop);
    while (recv(fds[0], bytes, sizeof(bytes), 0) > 0)
        ;
    now.now_ns += UINT64_C(14000000);
    evloop_drain(loop);
    cr_expect_eq(device.writable, 0);
    now.now_ns += UINT64_C(1000000);
    evloop_drain(loop);
    cr_expect_eq(device.writable, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(streams); i++) {
        backend->ops->close(streams[i]);
        close(fds[i]);
    }
    device.stream = NULL;
}

Test(vsock_unix, the_guests_end_of_writing_is_the_processs_end_of_file)
{
    char c;
    int fd = open_client("CONNECT 1\n");
    backend->ops->shut(device.stream);
    cr_expect_eq(recv(fd, &c, 1, 0), 0);
    cr_assert_eq(write(fd, "z", 1), 1);
    expect_read("z");
    close(fd);
}

/* The other end of a pipe comes with a byte, or with a message that has none. */
static void bring_descriptor(int fd, size_t bytes)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char c = 'x';
    struct iovec iov = {&c, bytes};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    *CMSG_FIRSTHDR(&msg) = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &ends[1], sizeof(int));
    if (sendmsg(fd, &msg, 0) == (ssize_t)bytes)
        cr_expect_eq(backend->ops->read(device.stream, &c, 1), -EPROTO);
    close(ends[1]);
    backend->ops->close(device.stream);
    device.stream = NULL;
    close(fd);
    fcntl(ends[0], F_SETFL, 0);
    cr_expect_eq(read(ends[0], &c, 1), 0, "nothing here has the other end");
    close(ends[0]);
}

/* Where the kernel lets it through, a stream that brings a descriptor is one that has gone. */
Test(vsock_unix, descriptors_are_not_taken)
{
    bring_descriptor(open_client("CONNECT 1\n"), 1);
}

/* ---- messages ---- */

Test(vsock_unix, a_process_connects_with_messages)
{
    char answer[16] = "";
    int fd = message_client("CONNECT 1024\n");
    cr_assert_not_null(device.stream);
    cr_expect(device.stream->has_messages);
    cr_expect_eq(device.guest_port, 1024);
    backend->ops->accepted(device.stream, HOST_PORT);
    cr_expect_eq(recv(fd, answer, sizeof(answer), 0), 6);
    cr_expect_str_eq(answer, "OK 77\n");
    cr_assert_eq(write(fd, "hello", 5), 5);
    cr_assert_eq(send(fd, "", 0, 0), 0); /* as good as none */
    cr_assert_eq(write(fd, "again", 5), 5);
    cr_expect_eq(backend->ops->read(device.stream, answer, 4), 5, "its length: it is too long");
    expect_read("hello");
    expect_read("again");
    cr_expect_eq(backend->ops->read(device.stream, answer, 4), -EAGAIN);
    send_text("a");
    send_text("bc");
    cr_expect_eq(recv(fd, answer, sizeof(answer), 0), 1);
    cr_expect_eq(recv(fd, answer, sizeof(answer), 0), 2);
    close(fd);
}

Test(vsock_unix, a_first_message_that_is_no_line_is_refused)
{
    static const char *const lines[] = {"CONNECT 1", "CONNECT 1\nhello", "HELLO\n",
                                        "CONNECT 1                             \n", ""};
    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
        int fd = message_client(lines[i]);
        cr_expect(is_dropped(fd), "%s", lines[i]);
        close(fd);
    }
    cr_expect_eq(device.asked, 0);
    close(message_client("connect 5\n"));
    cr_expect_eq(device.guest_port, 5);
}

Test(vsock_unix, a_port_of_the_host_has_one_type)
{
    int listener = listen_as(SOCK_SEQPACKET, PATH "_52"), fd;
    cr_expect_null(backend->ops->connect(backend, 52, false, &device));
    device.stream = backend->ops->connect(backend, 52, true, &device);
    cr_assert_not_null(device.stream);
    cr_assert_geq(fd = accept(listener, NULL, NULL), 0);
    send_text("from the guest");
    char bytes[32];
    cr_expect_eq(recv(fd, bytes, sizeof(bytes), 0), 14);
    close(fd);
    close(listener);
    unlink(PATH "_52");
}

/* The kernel's usual limit of a message is shorter than what a guest may send. */
Test(vsock_unix, a_long_message_is_sent_as_one_or_not_at_all)
{
    static uint8_t bytes[256 * KIB], back[256 * KIB + 1];
    struct iovec iov = {bytes, sizeof(bytes)};
    int fd = accepted_client(message_client("CONNECT 1\n"));
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 13 >> 3);
    unsigned sent = 0;
    for (ssize_t n; (n = backend->ops->write(device.stream, &iov, 1)) != 0; sent++)
        cr_assert_eq(n, (ssize_t)sizeof(bytes));
    cr_expect_gt(sent, 0);
    backend->ops->poll(device.stream, false, true);
    evloop_drain(loop);
    cr_expect_eq(device.writable, 0);
    for (unsigned i = 0; i < sent; i++) {
        cr_expect_eq(recv(fd, back, sizeof(back), 0), (ssize_t)sizeof(bytes));
        cr_expect_eq(memcmp(bytes, back, sizeof(bytes)), 0);
    }
    evloop_drain(loop);
    cr_expect_eq(device.writable, 1);
    close(fd);
}

Test(vsock_unix, an_end_of_messages_is_none_of_no_bytes)
{
    char c;
    int fd = accepted_client(message_client("CONNECT 1\n"));
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(send(fd, "", 0, 0), 0);
    cr_assert_eq(write(fd, "last", 4), 4);
    shutdown(fd, SHUT_WR);
    ssize_t n = -EAGAIN;
    for (unsigned i = 0; i < 10 && n == -EAGAIN; i++) /* not all at once */
        n = backend->ops->read(device.stream, &c, 1);
    cr_expect_eq(n, 4);
    expect_read("last");
    cr_expect_eq(backend->ops->read(device.stream, &c, 1), 0);
    send_text("still read");
    backend->ops->shut(device.stream);
    char bytes[16];
    cr_expect_eq(recv(fd, bytes, sizeof(bytes), 0), 10);
    cr_expect_eq(recv(fd, bytes, sizeof(bytes), 0), 0);
    close(fd);
    cr_expect_eq(backend->ops->read(device.stream, &c, 1), -ECONNRESET);
}

Test(vsock_unix, descriptors_are_not_taken_with_messages)
{
    bring_descriptor(accepted_client(message_client("CONNECT 1\n")), 1);
    bring_descriptor(accepted_client(message_client("CONNECT 1\n")), 0);
}

Test(vsock_unix, messages_that_were_not_read_go_with_their_stream)
{
    int fd = accepted_client(message_client("CONNECT 1\n"));
    for (unsigned i = 0; i < 100; i++)
        cr_assert_eq(send(fd, "x", i % 2, 0), i % 2);
    backend->ops->close(device.stream);
    device.stream = NULL;
    close(fd);
}

/* ---- the path ---- */

Test(vsock_unix, a_path_in_use_is_named)
{
    struct vsock_backend *other;
    cr_expect_eq(vsock_unix_create(&other, loop, &fake, PATH), -EADDRINUSE);
    expect_logged("vsock vm.vsock: listen; name another path");
}

Test(vsock_unix, a_path_that_cannot_be_is_named)
{
    struct vsock_backend *other;
    cr_expect_eq(vsock_unix_create(&other, loop, &fake, "no/such/folder"), -ENOENT);
    expect_logged("vsock no/such/folder: No such file or directory");
}

Test(vsock_unix, it_hears_again_when_there_are_descriptors)
{
    int fds[1024], count = 0;
    struct rlimit few = {64, 64}, before;
    struct sockaddr_un addr;
    int fd = make_socket(PATH, &addr);
    getrlimit(RLIMIT_NOFILE, &before);
    few.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_NOFILE, &few);
    while (count < 1024 && (fds[count] = dup(0)) >= 0)
        count++;
    cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(write(fd, "CONNECT 3\n", 10), 10);
    evloop_drain(loop);
    cr_expect_eq(device.asked, 0);
    while (count > 0)
        close(fds[--count]);
    setrlimit(RLIMIT_NOFILE, &before);
    evloop_drain(loop);
    cr_expect_eq(device.asked, 0, "not before its time");
    now.now_ns += UINT64_C(1000000000);
    evloop_drain(loop);
    cr_expect_eq(device.asked, 1);
    close(fd);
}
