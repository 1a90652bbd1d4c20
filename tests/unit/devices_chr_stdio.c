// SPDX-License-Identifier: BSD-2-Clause
#include "devices/char/chr_stdio.h"

#include <pty.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <termios.h>

#include "core/ports/chr.h"
#include "tests/harness/fake.h"
#include "tests/harness/listen.h"
#include "tests/harness/test.h"

static struct evloop *loop;
static struct chr_backend *chr;
static int in[2], out[2]; /* [0] is the outside's end */
static bool is_deaf;      /* the console has no callbacks */
static int quits, presses, writables, resizes;

/* The device: takes up to `appetite` bytes at once, `left` in all. */
static char got[1 << 17];
static size_t got_len, appetite = 16, left = SIZE_MAX;

static void on_rx(void *ctx, const uint8_t *data, size_t len)
{
    (void)ctx;
    cr_assert_leq(len, min_u64(appetite, left));
    cr_assert_leq(got_len + len, sizeof(got) - 1);
    memcpy(got + got_len, data, len);
    got_len += len;
    left -= len;
    chr->ops->rx_enable(chr, min_u64(appetite, left));
}

static void on_writable(void *ctx)
{
    (void)ctx;
    writables++;
}

static void on_resize(void *ctx, uint16_t columns, uint16_t rows)
{
    (void)ctx;
    cr_expect_eq(columns, 100);
    cr_expect_eq(rows, 30);
    resizes++;
}

static void on_power(void *ctx)
{
    (void)ctx;
    presses++;
}

static void on_quit(void *ctx)
{
    (void)ctx;
    quits++;
}

static char output[64];

static void on_output(void *ctx, const uint8_t *data, size_t len)
{
    (void)ctx;
    strncat(output, (const char *)data, min_u64(len, sizeof(output) - strlen(output) - 1));
}

static const struct chr_handler handler = {
    .on_rx = on_rx,
    .on_writable = on_writable,
    .on_resize = on_resize,
};

static struct fake_clock time_is = {.now_ns = 1};
static struct clock clock_port;

static void setup(void)
{
    clock_port = fake_clock_port(&time_is);
    cr_assert_eq(evloop_create(&loop, "test", &clock_port), 0);
}

static void teardown(void)
{
    if (chr)
        chr->ops->destroy(chr);
    evloop_destroy(loop);
}

TestSuite(chr_stdio, .init = setup, .fini = teardown);

static void make(int in_fd, int out_fd)
{
    struct chr_stdio_config config = {
        .loop = loop,
        .in_fd = in_fd,
        .out_fd = out_fd,
        .on_quit = is_deaf ? NULL : on_quit,
        .on_power = is_deaf ? NULL : on_power,
        .on_output = is_deaf ? NULL : on_output,
        .clock = &clock_port,
    };
    cr_assert_eq(chr_stdio_create(&chr, &config), 0);
    chr_stdio_begin(chr);
    chr->handler = &handler;
}

static void make_pty(void)
{
    struct winsize size = {.ws_col = 80, .ws_row = 24};
    cr_assert_eq(openpty(&in[0], &in[1], NULL, NULL, &size), 0);
    memcpy(out, in, sizeof(out));
    cr_assert_eq(fcntl(in[0], F_SETFL, O_NONBLOCK), 0);
    make(in[1], in[1]);
}

static void make_pipes(void)
{
    int fds[2];
    cr_assert_eq(pipe(fds), 0);
    in[0] = fds[1];
    in[1] = fds[0];
    cr_assert_eq(pipe(out), 0);
    cr_assert_eq(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
    make(in[1], out[1]);
}

static void type(const char *text, size_t len)
{
    cr_assert_eq((size_t)write(in[0], text, len), len);
    evloop_drain(loop);
}

static void print(const char *text)
{
    cr_assert_eq(chr->ops->write(chr, (const uint8_t *)text, strlen(text)), strlen(text));
}

/* A terminal hands bytes on through a worker of the kernel: they come soon, not at once. */
#define PATIENCE 5000

static void settle(void)
{
    usleep(1000);
    evloop_drain(loop);
}

static void expect_quits(int count)
{
    for (int i = 0; i < PATIENCE && quits < count; i++)
        settle();
    cr_expect_eq(quits, count);
}

static void expect_got(const char *text)
{
    for (int i = 0; i < PATIENCE && got_len < strlen(text); i++)
        settle();
    got[got_len] = '\0';
    cr_expect_str_eq(got, text);
    got_len = 0;
}

/* What the outside can read now. */
static size_t printed(char *text, size_t max)
{
    size_t len = 0;
    ssize_t n;
    while (len < max - 1 && (n = read(out[0], text + len, max - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    return len;
}

static void expect_printed(const char *expected)
{
    char text[4096];
    size_t len = printed(text, sizeof(text));
    for (int i = 0; i < PATIENCE && len < strlen(expected); i++) {
        settle();
        len += printed(text + len, sizeof(text) - len);
    }
    cr_expect_str_eq(text, expected);
}

/* ---- a terminal ---- */

Test(chr_stdio, a_terminal_is_raw_while_the_backend_lives)
{
    struct termios before, now;
    make_pty();
    cr_expect_eq(chr->columns, 80);
    cr_expect_eq(chr->rows, 24);
    cr_assert_eq(tcgetattr(in[1], &now), 0);
    cr_expect_eq(now.c_lflag & (ICANON | ECHO | ISIG), 0);
    cr_expect_eq(now.c_oflag & OPOST, 0);
    chr->ops->rx_enable(chr, appetite);
    type("ls\r\x03\x1a\x04", 6);
    expect_got("ls\r\x03\x1a\x04");
    print("a\nb\r\n");
    expect_printed("a\nb\r\n");
    cr_expect_eq(fcntl(in[1], F_GETFL) & O_NONBLOCK, 0);

    chr->ops->destroy(chr);
    chr = NULL;
    cr_assert_eq(tcgetattr(in[1], &before), 0);
    cr_expect_neq((int)(before.c_lflag & ICANON), 0);
    cr_expect_neq((int)(before.c_oflag & OPOST), 0);
}

Test(chr_stdio, the_terminal_can_be_restored_from_a_signal_handler)
{
    struct termios now;
    make_pty();
    chr_stdio_restore_terminal();
    cr_assert_eq(tcgetattr(in[1], &now), 0);
    cr_expect_neq((int)(now.c_lflag & ICANON), 0);
    chr_stdio_restore_terminal();
}

Test(chr_stdio, restoring_without_a_terminal_does_nothing)
{
    chr_stdio_restore_terminal();
    make_pipes();
    chr_stdio_restore_terminal();
}

Test(chr_stdio, escape_sequences)
{
    make_pty();
    chr->ops->rx_enable(chr, appetite);
    type("a\x01\x01"
         "b\x01"
         "ac\x01zd",
         10);
    expect_got("a\x01"
               "b\x01"
               "cd");
    cr_expect_eq(quits, 0);
    type("\x01p", 2);
    expect_got("");
    type("\x01", 1);
    expect_got("");
    type("x", 1);
    expect_quits(1);
    cr_expect_eq(presses, 1);
    expect_got("");
    type("\x01hy", 3);
    expect_got("y");
    char text[4096];
    size_t len = 0;
    for (int i = 0; i < PATIENCE && len < 40; i++) {
        settle();
        len += printed(text + len, sizeof(text) - len);
    }
    cr_expect_not_null(strstr(text, "Ctrl-A x"));
    expect_quits(1);
}

Test(chr_stdio, callbacks_may_be_left_out)
{
    is_deaf = true;
    make_pty();
    chr->ops->rx_enable(chr, appetite);
    type("\x01x\x01pa", 5);
    expect_got("a");
    print("out");
    cr_expect_eq(quits, 0);
}

Test(chr_stdio, quitting_works_while_the_guest_takes_nothing)
{
    make_pty();
    for (int i = 0; i < 20; i++)
        type("hello?\r", 7);
    type("\x01x", 2);
    expect_quits(1);
    expect_got("");
}

#define FIVE_S UINT64_C(5000000000)

/* Types the text again and again, up to so many bytes. Returns how many were taken. */
static size_t type_much(const char *text, size_t len, size_t most, int patience)
{
    size_t i = 0;
    for (int tries = 0; i < most && tries < patience; tries++) {
        ssize_t n = write(in[0], text + i % len, len - i % len);
        i += n > 0 ? (size_t)n : 0;
        tries = n > 0 ? 0 : tries;
        if (n > 0)
            evloop_drain(loop);
        else
            settle();
    }
    return i;
}

/* A terminal answers each question that the guest prints. It waits for the guest, but not for ever.
 */
Test(chr_stdio, quitting_works_however_much_the_guest_does_not_read)
{
    static const char answer[] = "\x1b[24;80R";
    make_pty();
    listen_to_log(LOG_WARN);
    cr_expect_lt(type_much(answer, 8, 200000, 100), 200000);
    cr_expect_eq(logged_lines, 0);
    time_is.now_ns += FIVE_S;
    cr_expect_geq(type_much(answer, 8, 200000, PATIENCE), 200000);
    cr_expect_eq(logged_lines, 1, "that input is lost is said");
    for (int i = 0; i < PATIENCE && write(in[0], "\x01x", 2) != 2; i++)
        settle();
    expect_quits(1);
    chr->ops->rx_enable(chr, appetite);
    evloop_drain(loop);
    cr_expect_eq(memcmp(got, answer, 8), 0, "what came first is kept");
}

/* A guest that is slow, and stops for a while, gets all that is pasted. */
Test(chr_stdio, nothing_is_lost_of_what_is_pasted)
{
    static char text[120000];
    size_t typed = 0;
    make_pty();
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i * 7 % 26 - (i % 1001 == 0));
    appetite = 500;
    for (int i = 0; got_len < sizeof(text) && i < PATIENCE; i++) {
        ssize_t n = write(in[0], text + typed, sizeof(text) - typed);
        typed += n > 0 ? (size_t)n : 0;
        settle();
        time_is.now_ns += FIVE_S / 4;
        left = 500;
        chr->ops->rx_enable(chr, appetite);
        evloop_drain(loop);
    }
    cr_expect_eq(got_len, sizeof(text));
    cr_expect_arr_eq(got, text, sizeof(text));
}

/* Also of three kinds in between: in those are letters that are keys of the console's. */
Test(chr_stdio, answers_of_a_terminal_do_not_take_an_escape_back)
{
#define ANSWERS "\x1b[?1;2c\x1b]11;rgb:aaaa/pppp/xxxx\x07\x1bP>|xterm\x1b\\"
    make_pty();
    chr->ops->rx_enable(chr, appetite);
    type("\x01" ANSWERS, sizeof(ANSWERS));
    expect_got(ANSWERS);
    cr_expect_eq(quits + presses, 0);
    type("x", 1);
    expect_quits(1);
    type("\x01\x1b]x\x01x", 6);
    expect_quits(2);
    expect_got("\x1b]x");
    type("\x01\x1bxx", 4);
    expect_got("\x1bxx");
    expect_quits(2);
}

Test(chr_stdio, a_terminal_that_nobody_reads_stops_nobody)
{
    uint8_t block[1000] = {0};
    make_pty();
    for (int i = 0; i < 1000; i++)
        chr->ops->write(chr, block, sizeof(block));
    cr_expect_lt(chr->ops->write(chr, block, sizeof(block)), sizeof(block));
    evloop_drain(loop);
}

Test(chr_stdio, a_terminal_that_hangs_up_is_survived)
{
    make_pty();
    chr->ops->rx_enable(chr, appetite);
    close(in[0]);
    evloop_drain(loop); /* does not end if the loop is woken for ever */
    for (int i = 0; i < 3; i++)
        print("lost");
    evloop_drain(loop);
}

Test(chr_stdio, a_new_size_is_told_once)
{
    struct winsize size = {.ws_col = 100, .ws_row = 30};
    make_pty();
    chr_stdio_resized(chr);
    cr_expect_eq(resizes, 0);
    cr_assert_eq(ioctl(in[0], TIOCSWINSZ, &size), 0);
    chr_stdio_resized(chr);
    chr_stdio_resized(chr);
    cr_expect_eq(resizes, 1);
    cr_expect_eq(chr->columns, 100);
}

Test(chr_stdio, a_terminal_without_a_size_has_one_that_changes)
{
    struct winsize size = {.ws_col = 100, .ws_row = 30};
    make_pty();
    cr_expect_eq(chr->columns, 80);
    cr_expect_eq(chr->rows, 24);
    cr_assert_eq(ioctl(in[0], TIOCSWINSZ, &size), 0);
    chr_stdio_resized(chr);
    cr_expect_eq(resizes, 1);
}

/* A session of its own whose terminal is the slave; the backend runs in another process group. */
static int background(int slave)
{
    struct termios now;
    setsid();
    if (ioctl(slave, TIOCSCTTY, 0) < 0)
        return 2;
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        make(slave, slave);
        evloop_drain(loop);
        print("hello");
        tcgetattr(slave, &now);
        _exit(now.c_lflag & ICANON ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, WUNTRACED);
    if (WIFSTOPPED(status))
        kill(pid, SIGKILL);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

Test(chr_stdio, in_the_background_the_terminal_is_left_alone)
{
    int status = -1;
    cr_assert_eq(openpty(&in[0], &in[1], NULL, NULL, NULL), 0);
    cr_assert_eq(fcntl(in[0], F_SETFL, O_NONBLOCK), 0);
    out[0] = in[0];
    pid_t pid = fork();
    if (pid == 0)
        _exit(background(in[1]));
    waitpid(pid, &status, 0);
    cr_expect_eq(status, 0);
    expect_printed("hello");
}

/* ---- flow ---- */

Test(chr_stdio, the_device_gets_what_it_asks_for)
{
    make_pipes();
    type("0123456789", 10);
    expect_got("");
    appetite = 3;
    left = 7;
    chr->ops->rx_enable(chr, 3);
    expect_got(""); /* never from within the device's call */
    evloop_drain(loop);
    expect_got("0123456");
    left = SIZE_MAX;
    chr->ops->rx_enable(chr, 3);
    evloop_drain(loop);
    expect_got("789");
}

Test(chr_stdio, much_input_comes_whole_and_in_order)
{
    char text[50000];
    make_pipes();
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)('a' + i * 7 % 26);
    type(text, sizeof(text));
    appetite = 16;
    chr->ops->rx_enable(chr, appetite);
    evloop_drain(loop);
    cr_assert_eq(got_len, sizeof(text));
    cr_expect_eq(memcmp(got, text, sizeof(text)), 0);
}

Test(chr_stdio, output_is_held_to_a_bound_and_comes_whole)
{
    static char text[1 << 18];
    uint8_t block[1000];
    size_t sent = 0, n;
    make_pipes();
    do {
        for (size_t i = 0; i < sizeof(block); i++)
            block[i] = (uint8_t)((sent + i) * 7 % 251);
        n = chr->ops->write(chr, block, sizeof(block));
        sent += n;
        cr_assert_lt(sent, sizeof(text));
    } while (n == sizeof(block));
    evloop_drain(loop);
    cr_expect_eq(writables, 0);
    size_t len = printed(text, sizeof(text));
    evloop_drain(loop);
    len += printed(text + len, sizeof(text) - len);
    cr_expect_eq(writables, 1);
    cr_assert_eq(len, sent);
    for (size_t i = 0; i < len; i++)
        cr_assert_eq((uint8_t)text[i], (int)(i * 7 % 251));
}

/* The help goes the same way as what the guest prints, who waits to be told that there is room. */
Test(chr_stdio, help_while_output_waits_takes_no_word_from_the_guest)
{
    static char text[1 << 18];
    uint8_t block[1000] = {0};
    cr_assert_eq(pipe(out), 0);
    cr_assert_eq(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(openpty(&in[0], &in[1], NULL, NULL, NULL), 0);
    make(in[1], out[1]);
    while (chr->ops->write(chr, block, sizeof(block)) == sizeof(block))
        ;
    cr_assert_eq((size_t)read(out[0], text, 4096), 4096); /* room for the help, no more */
    evloop_drain(loop);
    cr_assert_eq(writables, 0);
    chr->ops->rx_enable(chr, appetite);
    type("\x01hz", 3);
    expect_got("z");
    for (int i = 0; i < 10; i++) {
        printed(text, sizeof(text));
        evloop_drain(loop);
    }
    cr_expect_eq(writables, 1);
}

Test(chr_stdio, flush_gives_up_on_who_does_not_read)
{
    uint8_t block[1000] = {0};
    make_pipes();
    while (chr->ops->write(chr, block, sizeof(block)) == sizeof(block))
        ;
    chr->ops->flush(chr);
    print("nobody waits for this");
    chr->ops->flush(chr);
}

/* ---- what else a stream may be ---- */

Test(chr_stdio, in_a_pipe_every_byte_is_the_guests)
{
    make_pipes();
    chr->ops->rx_enable(chr, appetite);
    type("\x01x\x01h", 4);
    expect_got("\x01x\x01h");
    cr_expect_eq(quits, 0);
    print("out\n");
    expect_printed("out\n");
}

Test(chr_stdio, the_end_of_input_is_no_event)
{
    make_pipes();
    chr->ops->rx_enable(chr, appetite);
    cr_assert_eq((int)write(in[0], "end", 3), 3);
    close(in[0]);
    evloop_drain(loop); /* does not end if the loop is woken for ever */
    expect_got("end");
    print("still there");
    expect_printed("still there");
}

Test(chr_stdio, the_end_of_input_is_no_event_either_while_nobody_reads)
{
    char text[8192] = {0};
    make_pipes();
    cr_assert_eq((int)write(in[0], text, sizeof(text)), sizeof(text));
    close(in[0]);
    evloop_drain(loop);
    chr->ops->rx_enable(chr, appetite);
    evloop_drain(loop);
    cr_expect_eq(got_len, sizeof(text));
}

Test(chr_stdio, what_the_guest_prints_is_shown_to_who_looks)
{
    make_pty();
    print("one ");
    type("\001h", 2); /* the help is not the guest's */
    settle();
    print("two");
    cr_expect_str_eq(output, "one two");
}

Test(chr_stdio, a_closed_pipe_takes_everything)
{
    uint8_t block[1000] = {0};
    make_pipes();
    close(out[0]);
    close(out[1]); /* the backend's own is the last one */
    for (int i = 0; i < 100; i++)
        cr_expect_eq(chr->ops->write(chr, block, sizeof(block)), sizeof(block));
    chr->ops->flush(chr);
}

Test(chr_stdio, a_pipe_that_closes_while_output_waits)
{
    uint8_t block[1000] = {0};
    make_pipes();
    while (chr->ops->write(chr, block, sizeof(block)) == sizeof(block))
        ;
    close(out[0]);
    evloop_drain(loop);
    cr_expect_eq(writables, 1);
    print("lost");
}

Test(chr_stdio, files_work)
{
    char name[] = "/tmp/minivet-chr-XXXXXX", name2[] = "/tmp/minivet-chr-XXXXXX";
    char text[20000], back[32] = {0};
    int fd = mkstemp(name), fd2 = mkstemp(name2);
    memset(text, 'f', sizeof(text));
    cr_assert_eq((int)write(fd, text, sizeof(text)), sizeof(text));
    cr_assert_eq((int)lseek(fd, 0, SEEK_SET), 0);
    make(fd, fd2);
    evloop_drain(loop);
    chr->ops->rx_enable(chr, appetite);
    evloop_drain(loop);
    cr_expect_eq(got_len, sizeof(text));
    print("into a file\n");
    cr_expect_eq((int)pread(fd2, back, sizeof(back) - 1, 0), 12);
    cr_expect_str_eq(back, "into a file\n");
    unlink(name);
    unlink(name2);
}

Test(chr_stdio, dev_null_dev_full_and_nothing_at_all)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), full = open("/dev/full", O_RDWR | O_CLOEXEC);
    make(null, null);
    chr->ops->rx_enable(chr, appetite);
    evloop_drain(loop);
    print("lost");
    chr->ops->destroy(chr);
    make(null, full);
    for (int i = 0; i < 3; i++)
        print("lost");
    chr->ops->destroy(chr);
    make(998, 999);
    chr->ops->rx_enable(chr, appetite);
    evloop_drain(loop);
    print("lost");
    chr->ops->flush(chr);
    chr_stdio_resized(chr);
    expect_got("");
}

Test(chr_stdio, a_socket_works_both_ways)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, in), 0);
    memcpy(out, in, sizeof(out));
    cr_assert_eq(fcntl(in[0], F_SETFL, O_NONBLOCK), 0);
    make(in[1], in[1]);
    chr->ops->rx_enable(chr, appetite);
    type("in", 2);
    expect_got("in");
    print("out");
    expect_printed("out");
    shutdown(in[0], SHUT_RDWR);
    close(in[0]);
    evloop_drain(loop);
    for (int i = 0; i < 3; i++)
        print("lost");
}
