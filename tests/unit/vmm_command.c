// SPDX-License-Identifier: BSD-2-Clause
/* vmm/command: what the guest is told of a command, and what it may say. */
#include "vmm/command/command.h"

#include <sys/ioctl.h>

#include "core/ports/chr.h"
#include "firmware/kernel/cpio.h"
#include "tests/harness/test.h"
#include "virtio/console/console.h"
#include "vmm/command/protocol.h"
#include "vmm/config/config.h"

static struct vm_config vm;
static struct evloop *loop;
static struct command *command;
static int saved[3], in[2], out[2], error[2]; /* pipes: instead of the standard streams */
static int status;
static unsigned ends;

/* The guest's ports. */
static struct virtio_console_port ports[COMMAND_PORTS_MAX];
static unsigned port_count;
static struct {
    uint8_t got[4096];
    size_t len;
} heard[COMMAND_PORTS_MAX];

static void on_rx(void *ctx, const uint8_t *data, size_t len)
{
    unsigned i = (unsigned)(uintptr_t)ctx;
    memcpy(heard[i].got + heard[i].len, data, len);
    heard[i].len += len;
}

static void on_writable(void *ctx)
{
    (void)ctx;
}

static const struct chr_handler handlers[COMMAND_PORTS_MAX] = {
    {.on_rx = on_rx, .on_writable = on_writable, .ctx = (void *)0},
    {.on_rx = on_rx, .on_writable = on_writable, .ctx = (void *)1},
    {.on_rx = on_rx, .on_writable = on_writable, .ctx = (void *)2},
    {.on_rx = on_rx, .on_writable = on_writable, .ctx = (void *)3},
};

static void on_end(void *ctx, int code)
{
    (void)ctx;
    status = code;
    ends++;
}

static void ignore(void *ctx)
{
    (void)ctx;
}

static size_t printed;

static void on_console(void *ctx, const uint8_t *data, size_t len)
{
    (void)ctx;
    (void)data;
    printed += len;
}

static void configure(char **words)
{
    int count = 0;
    while (words[count] != NULL)
        count++;
    cr_assert_eq(config_parse(&vm, count, words), 0, "%s", logged_line);
}

static void setup(void)
{
    listen_to_log(LOG_WARN);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_assert(pipe(in) == 0 && pipe(out) == 0 && pipe(error) == 0);
    int own[3] = {in[0], out[1], error[1]};
    for (int i = 0; i < 3; i++) {
        saved[i] = dup(i);
        dup2(own[i], i);
        close(own[i]);
    }
}

static void begin_with(char **words)
{
    configure(words);
    cr_assert_eq(command_create(&command, &(struct command_config){.loop = loop,
                                                                   .vm = &vm,
                                                                   .on_end = on_end,
                                                                   .on_quit = ignore,
                                                                   .on_power = ignore,
                                                                   .on_console = on_console}),
                 0);
    port_count = command_ports(command, ports);
    for (unsigned i = 0; i < port_count; i++)
        ports[i].backend->handler = &handlers[i];
    evloop_drain(loop);
}

static void begin(void)
{
    begin_with((char *[]){"run", "K", "--", "true", NULL});
}

static void teardown(void)
{
    command_destroy(command);
    config_free(&vm);
    for (int i = 0; i < 3; i++)
        dup2(saved[i], i);
    evloop_destroy(loop);
}

TestSuite(command, .init = setup, .fini = teardown);

static unsigned find(const char *name)
{
    unsigned i = 0;
    while (i < port_count && strcmp(ports[i].name, name) != 0)
        i++;
    cr_assert_lt(i, port_count, "%s", name);
    return i;
}

static void write_to(const char *name, const void *data, size_t len)
{
    struct chr_backend *b = ports[find(name)].backend;
    cr_expect_eq(b->ops->write(b, data, len), len);
    evloop_drain(loop);
}

static void listen_at(const char *name)
{
    struct chr_backend *b = ports[find(name)].backend;
    b->ops->rx_enable(b, sizeof(heard[0].got) / 2);
    evloop_drain(loop);
}

static void say(uint32_t type, uint32_t value, uint64_t a, uint64_t b)
{
    uint8_t m[COMMAND_MESSAGE_BYTES];
    le32_put(m + COMMAND_MESSAGE_TYPE, type);
    le32_put(m + COMMAND_MESSAGE_VALUE, value);
    le64_put(m + COMMAND_MESSAGE_A, a);
    le64_put(m + COMMAND_MESSAGE_B, b);
    write_to(COMMAND_PORT_CONTROL, m, 5); /* in pieces */
    write_to(COMMAND_PORT_CONTROL, m + 5, sizeof(m) - 5);
}

/* The n-th message to the guest. */
static void expect_told(unsigned n, uint32_t type, uint32_t value, uint64_t a)
{
    unsigned port = find(COMMAND_PORT_CONTROL);
    const uint8_t *m = heard[port].got + n * COMMAND_MESSAGE_BYTES;
    cr_assert_geq(heard[port].len, (n + 1) * COMMAND_MESSAGE_BYTES, "message %u", n);
    cr_expect_eq(le32_get(m + COMMAND_MESSAGE_TYPE), type, "message %u", n);
    cr_expect_eq(le32_get(m + COMMAND_MESSAGE_VALUE), value, "message %u", n);
    cr_expect_eq(le64_get(m + COMMAND_MESSAGE_A), a, "message %u", n);
}

/* ---- what the guest gets ---- */

static void expect_records(const char *want, size_t len, uint16_t columns, bool is_joined)
{
    size_t bytes;
    char *text = command_records(&vm, NULL, columns, 24, is_joined, &bytes);
    cr_expect(bytes == len && memcmp(text, want, len) == 0, "%.*s", (int)bytes, text);
    free(text);
}

#define RECORDS(text, columns, is_joined) expect_records(text, sizeof(text) - 1, columns, is_joined)
#define USUAL                             "vPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\0vHOME=/root\0"

Test(command, words_come_as_they_are)
{
    char *words[] = {"run",           "K",        "-c", "2",  "--",   "a b", "",
                     "'\"\\\n\t\x01", "\xff\xfe", "--", "-m", "$(x)", NULL};
    configure(words);
    cr_expect_eq(vm.cpus, 2);
    RECORDS(USUAL "wa b\0w\0w'\"\\\n\t\x01\0w\xff\xfe\0w--\0w-m\0w$(x)\0", 0, false);
}

Test(command, its_environment_is_small_and_the_users)
{
    char *words[] = {"run",   "K",   "--env", "A=1",      "--env", "HOME=/h", "--env", "A=2 =",
                     "--env", "AB=", "--cwd", "/tmp/x y", "--",    "env",     NULL};
    configure(words);
    setenv("TERM", "xterm", 1);
    RECORDS(
        "t80x24\0j\0f/tmp/x y\0vPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\0"
        "vTERM=xterm\0vHOME=/h\0vA=2 =\0vAB=\0wenv\0",
        80, true);
    unsetenv("TERM");
    RECORDS(
        "t80x24\0f/tmp/x y\0vPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\0"
        "vTERM=linux\0vHOME=/h\0vA=2 =\0vAB=\0wenv\0",
        80, false);
}

Test(command, the_archive_has_a_program_and_the_words)
{
    begin();
    size_t bytes;
    const char *archive = command_archive(command, &bytes);
    size_t program = (size_t)(command_program_end - command_program);
    cr_expect_eq(bytes % 4, 0);
    cr_assert_gt(bytes, program);
    cr_expect_eq(memcmp(archive, "070701", 6), 0);
    const char *elf = memmem(archive, bytes,
                             "\x7f"
                             "ELF",
                             4);
    cr_assert_not_null(elf);
    cr_expect_eq(memcmp(elf, command_program, program), 0);
    cr_expect_not_null(memmem(archive, bytes, "wtrue", 6));
    char *line = command_cmdline(command, "a b");
    cr_expect_str_eq(line, "rdinit=/" COMMAND_PROGRAM " quiet a b");
    free(line);
}

/* ---- how it ends ---- */

Test(command, it_ends_with_its_status_when_all_is_out)
{
    char text[16] = "";
    begin();
    cr_expect_eq(port_count, 4);
    cr_expect_not(command_has_begun(command));
    say(COMMAND_HAS_BEGUN, 0, 0, 0);
    cr_expect(command_has_begun(command));
    write_to(COMMAND_PORT_STDOUT, "out", 3);
    say(COMMAND_HAS_ENDED, 137, 6, 5);
    cr_expect_eq(ends, 0);
    write_to(COMMAND_PORT_STDERR, "error", 5);
    cr_expect_eq(ends, 0);
    write_to(COMMAND_PORT_STDOUT, "put", 3);
    cr_expect_eq(ends, 1);
    cr_expect_eq(status, 137);
    cr_expect_eq(read(out[0], text, sizeof(text)), 6);
    cr_expect_eq(memcmp(text, "output", 6), 0);
    cr_expect_eq(read(error[0], text, sizeof(text)), 5);
    say(COMMAND_HAS_ENDED, 0, 0, 0);
    cr_expect_eq(ends, 1);
    cr_expect_eq(status, 137);
}

Test(command, a_reader_that_has_gone_is_not_waited_for)
{
    begin();
    close(out[0]);
    write_to(COMMAND_PORT_STDOUT, "out", 3);
    listen_at(COMMAND_PORT_CONTROL);
    expect_told(0, COMMAND_READER_GONE, 1, 0);
    write_to(COMMAND_PORT_STDOUT, "and more", 8);
    say(COMMAND_HAS_ENDED, 141, 11, 0);
    cr_expect_eq(ends, 1);
    cr_expect_eq(status, 141);
}

/* A status is a byte, and what no message says is nothing. */
Test(command, a_guest_may_say_what_it_likes)
{
    begin();
    say(0, 1, 2, 3);
    say(COMMAND_SIGNAL, 9, 0, 0);
    say(UINT32_MAX, UINT32_MAX, UINT64_MAX, UINT64_MAX);
    cr_expect_not(command_has_begun(command));
    say(COMMAND_HAS_ENDED, 0xffffff01, UINT64_MAX, UINT64_MAX);
    write_to(COMMAND_PORT_STDOUT, "out", 3);
    cr_expect_eq(ends, 0);
}

Test(command, a_status_is_a_byte)
{
    begin();
    say(COMMAND_HAS_ENDED, 0xffffff01, 0, 0);
    cr_expect_eq(ends, 1);
    cr_expect_eq(status, 1);
}

/* ---- what the guest is told ---- */

Test(command, input_and_its_end)
{
    begin();
    cr_assert_eq(write(in[1], "input", 5), 5);
    evloop_drain(loop);
    cr_expect_eq(heard[find(COMMAND_PORT_STDIN)].len, 0);
    listen_at(COMMAND_PORT_STDIN);
    cr_expect_eq(heard[find(COMMAND_PORT_STDIN)].len, 5);
    close(in[1]);
    evloop_drain(loop);
    cr_expect_eq(heard[find(COMMAND_PORT_CONTROL)].len, 0); /* it does not listen yet */
    listen_at(COMMAND_PORT_CONTROL);
    expect_told(0, COMMAND_INPUT_END, 0, 5);
}

Test(command, signals_are_kept_until_they_are_heard)
{
    begin();
    for (int i = 0; i < 1000; i++) {
        command_signal(command, SIGTERM);
        command_signal(command, SIGINT);
    }
    command_signal(command, 64);
    command_signal(command, 0);
    evloop_drain(loop);
    listen_at(COMMAND_PORT_CONTROL);
    expect_told(0, COMMAND_SIGNAL, SIGINT, 0);
    expect_told(1, COMMAND_SIGNAL, SIGTERM, 0);
    cr_expect_eq(heard[find(COMMAND_PORT_CONTROL)].len, 2 * COMMAND_MESSAGE_BYTES);
    command_signal(command, SIGTERM);
    evloop_drain(loop);
    expect_told(2, COMMAND_SIGNAL, SIGTERM, 0);
}

/* ---- what the kernel prints ---- */

Test(command, the_console_is_kept_apart)
{
    begin();
    struct chr_backend *console = command_console(command);
    cr_expect_eq(console->ops->write(console, (const uint8_t *)"line\r\n", 6), 6);
    cr_expect_eq(printed, 6);
    int waiting = -1;
    cr_expect_eq(ioctl(error[0], FIONREAD, &waiting), 0);
    cr_expect_eq(waiting, 0);
}

static unsigned writable;

static void on_console_writable(void *ctx)
{
    (void)ctx;
    writable++;
}

/* With -v it is shown as fast as it is read, and the guest waits for that: the loop does not. */
Test(command, a_shown_console_waits_for_its_reader)
{
    static const struct chr_handler handler = {.on_writable = on_console_writable};
    static uint8_t text[8192];
    char c;
    fcntl(error[0], F_SETPIPE_SZ, 4096);
    begin_with((char *[]){"run", "K", "-v", "--", "true", NULL});
    struct chr_backend *console = command_console(command);
    console->handler = &handler;
    cr_expect_eq(console->ops->write(console, (const uint8_t *)"line\r\n", 6), 6);
    cr_expect_eq(read(error[0], text, sizeof(text)), 6);
    cr_expect_eq(memcmp(text, "line\r\n", 6), 0);
    size_t taken = 0, n = 1;
    for (unsigned i = 0; n > 0; i++, taken += n) {
        cr_assert_lt(i, 1000, "it takes everything");
        n = console->ops->write(console, text, sizeof(text));
    }
    cr_expect_eq(printed, 6 + taken);
    evloop_drain(loop);
    cr_expect_eq(writable, 0);
    while (taken > 0)
        taken -= (size_t)read(error[0], text, min_u64(taken, sizeof(text)));
    evloop_drain(loop);
    cr_expect_eq(writable, 1);
    fcntl(error[0], F_SETFL, O_NONBLOCK);
    cr_expect_eq(read(error[0], &c, 1), -1, "and nothing was added");
}
