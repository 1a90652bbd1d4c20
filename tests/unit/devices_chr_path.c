// SPDX-License-Identifier: BSD-2-Clause
#include "devices/char/chr_path.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>

#include "core/ports/chr.h"
#include "tests/harness/fake.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"

#define PATH "port"

static struct fake_clock now;
static struct clock fake;
static struct evloop *loop;
static struct chr_backend *backend;

/* The device. It takes `wants` bytes more, of each kind of event it counts. */
static struct {
    size_t wants, len;
    char got[1 << 20];
    unsigned came, left, writable;
} device;

static void on_rx(void *ctx, const uint8_t *data, size_t len)
{
    (void)ctx;
    cr_assert_leq(len, device.wants);
    memcpy(device.got + device.len, data, len);
    device.len += len;
    device.wants -= len;
    backend->ops->rx_enable(backend, device.wants);
}

static void on_writable(void *ctx)
{
    (void)ctx;
    device.writable++;
}

static void on_away(void *ctx, bool is_away)
{
    (void)ctx;
    cr_expect_eq(is_away, backend->is_away);
    *(is_away ? &device.left : &device.came) += 1;
}

static const struct chr_handler handler = {
    .on_rx = on_rx, .on_writable = on_writable, .on_away = on_away};

static void setup(void)
{
    folder_enter();
    listen_to_log(LOG_WARN);
    fake = fake_clock_port(&now);
    cr_assert_eq(evloop_create(&loop, "test", &fake), 0);
}

static void end(void)
{
    backend->ops->flush(backend);
    backend->ops->destroy(backend);
    backend = NULL;
}

static void teardown(void)
{
    if (backend != NULL)
        end();
    evloop_destroy(loop);
    folder_leave();
}

TestSuite(chr_path, .init = setup, .fini = teardown);

static int try(enum chr_path_kind kind)
{
    return chr_path_create(
        &backend,
        &(struct chr_path_config){
            .loop = loop, .clock = &fake, .name = "port test", .kind = kind, .path = PATH});
}

static void begin(enum chr_path_kind kind)
{
    cr_assert_eq(try(kind), 0, "%s", logged_line);
    backend->handler = &handler;
    evloop_drain(loop);
}

static void want(size_t bytes)
{
    device.wants = bytes;
    backend->ops->rx_enable(backend, bytes);
    evloop_drain(loop);
}

static void later(void)
{
    now.now_ns += 600 * 1000 * 1000;
    evloop_drain(loop);
}

static size_t say(const char *text)
{
    size_t n = backend->ops->write(backend, (const uint8_t *)text, strlen(text));
    evloop_drain(loop);
    return n;
}

static void expect_got(const char *text)
{
    cr_expect_eq(device.len, strlen(text));
    cr_expect_arr_eq(device.got, text, strlen(text), "%.*s", (int)device.len, device.got);
}

static void expect_read(int fd, const char *text)
{
    char bytes[64] = "";
    cr_expect_eq(read(fd, bytes, sizeof(bytes) - 1), (ssize_t)strlen(text));
    cr_expect_str_eq(bytes, text);
}

static int unix_socket(struct sockaddr_un *addr)
{
    *addr = (struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = PATH};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_geq(fd, 0);
    return fd;
}

static int client(void)
{
    struct sockaddr_un addr;
    int fd = unix_socket(&addr);
    cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    evloop_drain(loop);
    return fd;
}

static void put(int fd, const char *text)
{
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    evloop_drain(loop);
}

static void leave(int fd)
{
    close(fd);
    evloop_drain(loop);
}

/* ---- a socket that a process connects to ---- */

Test(chr_path, a_process_comes_and_goes_and_comes_again)
{
    begin(CHR_LISTEN);
    cr_expect(backend->is_away);
    for (unsigned i = 1; i < 4; i++) {
        int fd = client();
        cr_expect_eq(device.came, i);
        cr_expect_not(backend->is_away);
        want(64);
        put(fd, "in");
        cr_expect_eq(say("out"), 3);
        expect_read(fd, "out");
        cr_expect_eq(device.len, 2 * i);
        leave(fd);
        cr_expect_eq(device.left, i);
        cr_expect(backend->is_away);
    }
}

Test(chr_path, no_more_is_read_than_is_wanted)
{
    begin(CHR_LISTEN);
    int fd = client();
    put(fd, "hello world");
    expect_got("");
    want(4);
    expect_got("hell");
    want(100);
    expect_got("hello world");
    leave(fd);
}

Test(chr_path, a_process_that_leaves_is_missed_though_nothing_is_wanted)
{
    begin(CHR_LISTEN);
    leave(client());
    cr_expect_eq(device.left, 1);
}

Test(chr_path, what_it_sent_before_it_left_arrives)
{
    begin(CHR_LISTEN);
    int fd = client();
    put(fd, "last words");
    leave(fd);
    later();
    cr_expect_eq(device.left, 0);
    want(5);
    later();
    expect_got("last ");
    cr_expect_eq(device.left, 0);
    want(64);
    expect_got("last words");
    later();
    cr_expect_eq(device.left, 1);
}

Test(chr_path, one_that_leaves_with_bytes_unread_has_left)
{
    begin(CHR_LISTEN);
    int fd = client();
    want(64);
    cr_expect_eq(say("unread"), 6);
    leave(fd);
    cr_expect_eq(device.left, 1);
}

Test(chr_path, much_at_once_arrives_in_turns)
{
    static char much[150001];
    begin(CHR_LISTEN);
    int fd = client();
    memset(much, 'x', sizeof(much) - 1);
    put(fd, much);
    want(sizeof(device.got));
    expect_got(much);
    leave(fd);
}

Test(chr_path, a_process_may_end_one_direction)
{
    begin(CHR_LISTEN);
    int fd = client();
    want(64);
    put(fd, "question");
    shutdown(fd, SHUT_WR);
    evloop_drain(loop);
    later();
    cr_expect_eq(device.left, 0);
    cr_expect_eq(say("answer"), 6);
    expect_read(fd, "answer");
    leave(fd);
    later();
    cr_expect_eq(device.left, 1);
}

Test(chr_path, a_second_process_waits_for_the_first_to_leave)
{
    begin(CHR_LISTEN);
    int first = client(), second = client();
    put(second, "second");
    want(64);
    expect_got("");
    cr_expect_eq(device.came, 1);
    leave(first);
    cr_expect_eq(device.came, 2);
    expect_got("second");
    leave(second);
}

Test(chr_path, a_slow_reader_has_the_rest_refused_until_it_reads)
{
    static uint8_t much[1 << 16];
    begin(CHR_LISTEN);
    int fd = client();
    size_t n, taken = 0;
    while ((n = backend->ops->write(backend, much, sizeof(much))) == sizeof(much))
        taken += n;
    taken += n;
    cr_expect_lt(backend->ops->write(backend, much, sizeof(much)), sizeof(much));
    evloop_drain(loop);
    cr_expect_eq(device.writable, 0);
    for (ssize_t got; (got = read(fd, much, sizeof(much))) > 0;)
        taken -= (size_t)got;
    cr_expect_eq(taken, 0, "none is lost");
    evloop_drain(loop);
    cr_expect_eq(device.writable, 1);
    while (backend->ops->write(backend, much, sizeof(much)) == sizeof(much))
        ;
    leave(fd);
    cr_expect_eq(device.left, 1, "one that left does not stop it");
    cr_expect_eq(say("to nobody"), 9);
}

Test(chr_path, a_path_at_which_another_listens_is_refused)
{
    struct sockaddr_un addr;
    int fd = unix_socket(&addr);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    cr_expect_eq(try(CHR_LISTEN), -EADDRINUSE);
    expect_logged("port test: port: Address already in use");
    close(fd);
    begin(CHR_LISTEN);
    end();
    cr_expect_neq(access(PATH, F_OK), 0, "the socket is removed");
}

/* Where the kernel lets it through, it has gone. */
Test(chr_path, a_process_that_sends_descriptors_is_left)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char c = 'x';
    int ends[2];
    struct iovec iov = {&c, 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    begin(CHR_LISTEN);
    want(64);
    int fd = client();
    cr_assert_eq(pipe(ends), 0);
    *CMSG_FIRSTHDR(&msg) = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &ends[1], sizeof(int));
    if (sendmsg(fd, &msg, 0) == 1) {
        evloop_drain(loop);
        cr_expect_eq(device.left, 1);
    }
    close(ends[1]);
    leave(fd);
    cr_expect_eq(read(ends[0], &c, 1), 0, "nothing here has the other end");
    close(ends[0]);
}

/* ---- a socket at which a process listens ---- */

Test(chr_path, it_connects_as_soon_as_a_process_listens_and_again)
{
    struct sockaddr_un addr;
    begin(CHR_SOCKET);
    cr_expect(backend->is_away);
    want(64);
    int server = unix_socket(&addr);
    cr_assert_eq(bind(server, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(server, 1), 0);
    for (unsigned i = 1; i < 3; i++) {
        later();
        cr_expect_eq(device.came, i);
        int fd = accept(server, NULL, NULL);
        cr_assert_geq(fd, 0);
        cr_expect_eq(say("out"), 3);
        expect_read(fd, "out");
        put(fd, "in");
        leave(fd);
        cr_expect_eq(device.left, i);
        cr_expect_eq(accept(server, NULL, NULL), -1, "not at once");
    }
    cr_expect_eq(device.len, 4);
    close(server);
}

/* ---- the others ---- */

Test(chr_path, a_file_grows_from_run_to_run)
{
    for (unsigned i = 0; i < 2; i++) {
        begin(CHR_FILE);
        cr_expect_not(backend->is_away);
        want(64);
        cr_expect_eq(say("line\n"), 5);
        end();
    }
    int fd = open(PATH, O_RDONLY);
    expect_read(fd, "line\nline\n");
    close(fd);
}

Test(chr_path, a_folder_is_no_file)
{
    cr_assert_eq(mkdir(PATH, 0700), 0);
    cr_expect_eq(try(CHR_FILE), -EISDIR);
    expect_logged("port test: port: Is a directory");
    rmdir(PATH);
}

Test(chr_path, a_file_without_room_is_reported_and_left)
{
    cr_assert_eq(symlink("/dev/full", PATH), 0);
    begin(CHR_FILE);
    for (unsigned i = 0; i < 3; i++) /* of a turn */
        cr_expect_eq(backend->ops->write(backend, (const uint8_t *)"lost", 4), 4);
    cr_expect_eq(logged_lines, 1);
    evloop_drain(loop);
    expect_logged("port test: No space left on device; what the guest writes there from here on is "
                  "lost");
    cr_expect_eq(say("lost, too"), 9);
    cr_expect_eq(device.left, 0);
}

Test(chr_path, fifos_are_one_for_each_direction)
{
    cr_expect_eq(try(CHR_PIPE), -ENOENT);
    expect_logged("port test: `mkfifo port.in port.out` makes what it takes: No such file or "
                  "directory");
    close(open(PATH ".in", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    cr_expect_eq(try(CHR_PIPE), -EPERM, "no FIFO");
    unlink(PATH ".in");
    cr_assert(mkfifo(PATH ".in", 0600) == 0 && mkfifo(PATH ".out", 0600) == 0);
    begin(CHR_PIPE);
    want(64);
    for (unsigned i = 0; i < 2; i++) { /* the process at the other end is another each time */
        int in = open(PATH ".in", O_WRONLY | O_NONBLOCK), out = open(PATH ".out", O_RDONLY);
        put(in, "in");
        say("out");
        expect_read(out, "out");
        close(in);
        close(out);
        evloop_drain(loop);
    }
    expect_got("inin");
    cr_expect_eq(device.left, 0);
}

Test(chr_path, a_terminal_is_raw_and_the_path_leads_to_it)
{
    struct termios t;
    cr_assert_eq(symlink("/dev/pts/of-an-earlier-run", PATH), 0);
    begin(CHR_PTY);
    want(64);
    for (unsigned i = 0; i < 2; i++) {
        int fd = open(PATH, O_RDWR | O_NOCTTY | O_NONBLOCK);
        cr_assert_geq(fd, 0);
        cr_assert_eq(tcgetattr(fd, &t), 0);
        cr_expect_eq(t.c_lflag & (ECHO | ICANON | ISIG), 0);
        put(fd, "\3in\r");
        say("out\n");
        expect_read(fd, "out\n");
        close(fd);
        evloop_drain(loop);
    }
    expect_got("\3in\r\3in\r");
    end();
    cr_expect_neq(readlink(PATH, (char[8]){0}, 8) >= 0, true, "the link is removed");
}

Test(chr_path, a_file_in_the_links_place_stays)
{
    int fd = open(PATH, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    cr_expect_eq(try(CHR_PTY), -EEXIST);
    expect_logged("port test: port: File exists");
    cr_expect_eq(access(PATH, F_OK), 0);
}

Test(chr_path, nothing_takes_all)
{
    begin(CHR_NULL);
    want(64);
    cr_expect_eq(say("anything"), 8);
    cr_expect_not(backend->is_away);
}
