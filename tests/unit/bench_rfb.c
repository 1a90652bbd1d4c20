// SPDX-License-Identifier: BSD-2-Clause
/* The VNC client of a benchmark, before a server that follows a script. */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/harness/test.h"
#include "tools/benchmarks/rfb.h"

#define WIDTH  32u
#define HEIGHT 16u

static int listener;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void say(int fd, const void *bytes, size_t len)
{
    cr_assert_eq(send(fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
}

static void hear(int fd, const void *bytes, size_t len)
{
    uint8_t heard[64];
    cr_assert_eq(recv(fd, heard, len, MSG_WAITALL), (ssize_t)len);
    cr_expect_arr_eq(heard, bytes, len);
}

static void hear_request(int fd, bool is_incremental, uint8_t width, uint8_t height)
{
    hear(fd, (uint8_t[]){3, is_incremental, 0, 0, 0, 0, 0, width, 0, height}, 10);
}

static void say_rect(int fd, uint8_t width, uint8_t height)
{
    static const uint8_t pixels[WIDTH * HEIGHT * 4];
    say(fd, (uint8_t[]){0, 0, 0, 0, 0, width, 0, height, 0, 0, 0, 0}, 12);
    say(fd, pixels, width * height * 4u);
}

static void shake_hands(int fd)
{
    static const uint8_t init[24] = {0, 8, 0, 4, 32, 24, [23] = 3};
    say(fd, "RFB 003.008\n", 12);
    hear(fd, "RFB 003.008\n", 12);
    say(fd, (uint8_t[]){2, 2, 1}, 3); /* with a password, or without */
    hear(fd, (uint8_t[]){1}, 1);
    say(fd, (uint8_t[4]){0}, 4);
    hear(fd, (uint8_t[]){1}, 1);
    say(fd, init, sizeof(init));
    say(fd, "bed", 3);
    hear(fd, (uint8_t[]){2, 0, 0, 2, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21}, 12);
}

static void *serve(void *arg)
{
    int fd = accept(listener, NULL, NULL);
    shake_hands(fd);
    hear_request(fd, false, 8, 4);
    say(fd, (uint8_t[]){0, 0, 0, 1, 0, 0, 0, 0, 0, WIDTH, 0, HEIGHT, 0xff, 0xff, 0xff, 0x21}, 16);
    hear_request(fd, false, WIDTH, HEIGHT);
    say(fd, (uint8_t[]){2, 3, 0, 0, 0, 0, 0, 0, 2, 'h', 'i'}, 11); /* a bell, and a clipboard */
    say(fd, (uint8_t[]){0, 0, 0, 2}, 4);
    say_rect(fd, WIDTH, HEIGHT / 2);
    say_rect(fd, WIDTH, HEIGHT / 2);
    hear_request(fd, true, WIDTH, HEIGHT);
    hear(fd, (uint8_t[]){4, 1, 0, 0, 0, 0, 0, 'a'}, 8);
    say(fd, (uint8_t[]){0, 0, 0, 1}, 4);
    say_rect(fd, 4, 4);
    hear_request(fd, true, WIDTH, HEIGHT);
    close(fd);
    return arg;
}

Test(bench_rfb, counts_updates_and_presses_keys, .timeout = 30)
{
    pthread_t server;
    snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/minivet-rfb-%d", (int)getpid());
    unlink(address.sun_path);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(pthread_create(&server, NULL, serve, NULL), 0);
    struct rfb *c = rfb_open(address.sun_path, WIDTH, HEIGHT);
    unlink(address.sun_path);
    cr_expect_eq(rfb_updates(c), 1);
    rfb_key(c, 'a', true);
    pthread_join(server, NULL);
    /* The server has heard the request after the second. */
    cr_expect_eq(rfb_updates(c), 2);
    rfb_close(c);
    close(listener);
}
