// SPDX-License-Identifier: BSD-2-Clause
#include "devices/char/chr_one_way.h"

#include "core/ports/chr.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"

static struct evloop *loop;
static struct chr_backend *backend;
static int ends[2]; /* of a pipe */

static struct {
    size_t wants, len;
    char got[1 << 18];
    unsigned writable, ended;
    uint64_t moved;
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

static void on_moved(void *ctx, uint64_t bytes)
{
    (void)ctx;
    device.moved = bytes;
}

static void on_end(void *ctx)
{
    (void)ctx;
    device.ended++;
}

static const struct chr_handler handler = {.on_rx = on_rx, .on_writable = on_writable};

static void setup(void)
{
    folder_enter();
    listen_to_log(LOG_WARN);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_assert_eq(pipe(ends), 0);
}

static void teardown(void)
{
    backend->ops->flush(backend);
    backend->ops->destroy(backend);
    evloop_destroy(loop);
    close(ends[0]);
    close(ends[1]);
    folder_leave();
}

TestSuite(chr_one_way, .init = setup, .fini = teardown);

static void begin(int fd, bool to_guest)
{
    cr_assert_eq(chr_one_way_create(&backend, &(struct chr_one_way_config){.loop = loop,
                                                                           .name = "test",
                                                                           .fd = fd,
                                                                           .to_guest = to_guest,
                                                                           .on_moved = on_moved,
                                                                           .on_end = on_end}),
                 0);
    backend->handler = &handler;
    evloop_drain(loop);
}

static void want(size_t bytes)
{
    device.wants = bytes;
    backend->ops->rx_enable(backend, bytes);
    evloop_drain(loop);
}

static size_t say(const char *data, size_t len)
{
    return backend->ops->write(backend, (const uint8_t *)data, len);
}

Test(chr_one_way, input_is_read_as_it_is_wanted)
{
    begin(ends[0], true);
    cr_assert_eq(write(ends[1], "one two", 7), 7);
    evloop_drain(loop);
    cr_expect_eq(device.len, 0);
    want(3);
    cr_expect_eq(device.len, 3);
    want(100);
    cr_expect_eq(device.len, 7);
    cr_expect_eq(memcmp(device.got, "one two", 7), 0);
    cr_expect_eq(device.moved, 7);
    cr_expect_eq(device.ended, 0);
    close(ends[1]);
    ends[1] = -1;
    evloop_drain(loop);
    cr_expect_eq(device.ended, 1);
    cr_expect_eq(say("nobody", 6), 6);
}

Test(chr_one_way, a_file_has_an_end)
{
    static char data[100000];
    memset(data, 'x', sizeof(data));
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    cr_assert_eq(write(fd, data, sizeof(data)), (ssize_t)sizeof(data));
    lseek(fd, 0, SEEK_SET);
    begin(fd, true);
    want(sizeof(device.got));
    for (unsigned i = 0; i < 100 && device.ended == 0; i++)
        evloop_drain(loop);
    cr_expect_eq(device.len, sizeof(data));
    cr_expect_eq(device.ended, 1);
    close(fd);
}

Test(chr_one_way, input_that_is_closed_ends_at_once)
{
    begin(-1, true);
    cr_expect_eq(device.ended, 1);
    want(1);
    cr_expect_eq(device.len, 0);
}

/* Nothing is held: what a reader does not take is refused. */
Test(chr_one_way, output_that_stalls_is_refused_until_it_is_read)
{
    static char data[1 << 18];
    begin(ends[1], false);
    size_t taken = say(data, sizeof(data));
    cr_assert_lt(taken, sizeof(data));
    cr_expect_eq(device.moved, taken);
    cr_expect_eq(say(data, 1), 0);
    evloop_drain(loop);
    cr_expect_eq(device.writable, 0);
    cr_assert_eq(read(ends[0], data, sizeof(data)), (ssize_t)taken);
    evloop_drain(loop);
    cr_expect_eq(device.writable, 1);
    cr_expect_eq(say("more", 4), 4);
    cr_expect_eq(device.moved, taken + 4);
    cr_expect_eq(device.ended, 0);
}

/* It counts as moved, so that its owner does not wait for it. */
Test(chr_one_way, output_without_a_reader_is_dropped)
{
    begin(ends[1], false);
    close(ends[0]);
    ends[0] = -1;
    cr_expect_eq(say("lost", 4), 4);
    cr_expect_eq(device.ended, 0); /* not from within the device's call */
    evloop_drain(loop);
    cr_expect_eq(device.ended, 1);
    cr_expect_eq(device.moved, 4);
    cr_expect_eq(logged_lines, 0);
    cr_expect_eq(say("lost", 4), 4);
    cr_expect_eq(device.moved, 8);
    evloop_drain(loop);
    cr_expect_eq(device.ended, 1);
}

Test(chr_one_way, output_that_cannot_be_written_says_so)
{
    int fd = open("/dev/full", O_WRONLY);
    begin(fd, false);
    cr_expect_eq(say("lost", 4), 4);
    evloop_drain(loop);
    cr_expect_eq(device.ended, 1);
    expect_logged("test: No space left on device");
    close(fd);
}

Test(chr_one_way, output_that_is_closed_takes_all)
{
    begin(-1, false);
    cr_expect_eq(say("lost", 4), 4);
    cr_expect_eq(device.moved, 4);
    evloop_drain(loop);
    cr_expect_eq(device.ended, 0);
}
