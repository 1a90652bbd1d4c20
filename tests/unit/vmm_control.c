// SPDX-License-Identifier: BSD-2-Clause
/* The control socket: what clients say, well or badly, and what they are told. */
#include "vmm/control/control.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/output/facts.h"
#include "devices/disk/blk_file_impl.h"
#include "tests/harness/fake.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"
#include "vmm/config/config.h"
#include "vmm/machine/console.h"
#include "vmm/machine/machine.h"

#define HELP       "{\"command\": \"help\"}\n"
#define STATUS     "{\"command\": \"status\"}\n"
#define TYPE(text) "{\"command\": \"type\", \"args\": [\"" text "\"]}\n"
#define MS_TO_TYPE 10u

static struct fake_clock now;
static struct clock the_clock;
static struct evloop *loop;
static struct control *control;
static const char path[] = "ctl";
static char heard[1 << 20];
static char typed[8192];
static bool runs;
static int picture_error;
static unsigned stops, presses[POWER_BUTTONS], devices;

static bool guest_runs(void *ctx)
{
    (void)ctx;
    return runs;
}

static void on_press(void *ctx, enum power_button button)
{
    (void)ctx;
    cr_assert(runs);
    presses[button]++;
}

static void on_stop(void *ctx)
{
    (void)ctx;
    stops++;
}

static void note_key(struct input_sink *s, unsigned code, bool down)
{
    (void)s;
    sprintf(typed + strlen(typed), "%s%u ", down ? "" : "-", code);
}

static void note_move(struct input_sink *s, unsigned scanout, unsigned x, unsigned y)
{
    (void)s;
    sprintf(typed + strlen(typed), "%u:%u,%u ", scanout, x, y);
}

static const struct input_sink_ops sink_ops = {.key = note_key, .move_to = note_move};

static struct input_sink *input_for(void *ctx, enum input_kind kind)
{
    static struct input_sink sink = {&sink_ops};
    (void)ctx;
    cr_assert(runs);
    return devices & 1u << kind ? &sink : NULL;
}

static unsigned picture_turns; /* after the first */

static int take_picture(void *ctx, unsigned scanout, struct display_picture *out)
{
    (void)ctx;
    cr_assert(runs);
    cr_expect_eq(scanout, 0);
    if (picture_error < 0) {
        free(out->pixels);
        out->pixels = NULL;
        return picture_error;
    }
    if (out->pixels != NULL) /* begun before */
        return --picture_turns > 0;
    *out = (struct display_picture){malloc(2 * 1 * 4), 2, 1, 0};
    memcpy(out->pixels, (const uint8_t[]){1, 2, 3, 0, 4, 5, 6, 0}, 8);
    return picture_turns > 0;
}

static int balloon_error;
static struct machine_balloon balloon = {.memory_bytes = 512 * MIB};

static int on_balloon(void *ctx, const uint64_t *size_bytes, struct machine_balloon *out)
{
    (void)ctx;
    cr_assert(runs);
    if (size_bytes != NULL)
        balloon.status.target_bytes = balloon.memory_bytes - *size_bytes;
    *out = balloon;
    return balloon_error;
}

static bool paused;
static int pause_error, reset_error, stats_error, explain_error;
static unsigned resets;

static int on_pause(void *ctx, bool on)
{
    (void)ctx;
    cr_assert(runs);
    paused = on;
    return pause_error;
}

static bool on_is_paused(void *ctx)
{
    (void)ctx;
    return paused;
}

static int on_reset(void *ctx)
{
    (void)ctx;
    cr_assert(runs);
    resets++;
    return reset_error;
}

static int on_explain(void *ctx, FILE *out)
{
    (void)ctx;
    fputs("report: the guest runs\nnext: wait\n", out);
    return explain_error;
}

static int on_stats(void *ctx, FILE *out)
{
    (void)ctx;
    cr_assert(runs);
    fprintf(out, "{\"run_ns\": 5}");
    return stats_error;
}

static unsigned described_numbers = 1;

static int on_describe(void *ctx, const char *device, struct facts *f)
{
    (void)ctx;
    cr_assert(runs);
    facts_word(f, "device", device);
    facts_list(f, "numbers");
    for (unsigned i = 0; i < described_numbers; i++)
        facts_number(f, NULL, i);
    facts_end(f);
    return device != NULL && strcmp(device, "disk9") == 0 ? -ENODEV : 0;
}

static int link_error;
static unsigned link_card;
static bool link_up = true;

static int on_link(void *ctx, unsigned card, bool up)
{
    (void)ctx;
    cr_assert(runs);
    link_card = card;
    link_up = up;
    return link_error;
}

static int resize_error;
static unsigned resized_disk;
static uint64_t resized_bytes;

static int on_begin_resize(void *ctx, unsigned disk, uint64_t bytes)
{
    (void)ctx;
    (void)disk;
    (void)bytes;
    cr_assert(runs);
    return resize_error < 0 ? resize_error : open("disk", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static void on_end_resize(void *ctx, unsigned disk, uint64_t bytes)
{
    (void)ctx;
    resized_disk = disk;
    resized_bytes = bytes;
}

static int begin_swap_error, swap_error;
static unsigned swap_waits, swaps, swaps_begun, swaps_ended;
static bool swap_reads_only, swap_given_up, swap_loses;

static int on_begin_swap(void *ctx, unsigned disk, struct blk_file_config *out)
{
    (void)ctx;
    (void)disk;
    cr_assert(runs);
    *out = (struct blk_file_config){.path = "old", .read_only = swap_reads_only};
    swaps_begun += begin_swap_error == 0;
    return begin_swap_error;
}

static int on_swap(void *ctx, unsigned disk, struct blk_file *spare, const char *file)
{
    (void)ctx;
    cr_expect_eq(disk, 3);
    if (spare == NULL) {
        swap_given_up = true;
        return 0;
    }
    cr_expect_str_eq(file, "other");
    if (swap_waits > 0 && swap_waits-- > 0)
        return -EAGAIN;
    swaps += swap_error == 0;
    if (swap_loses) { /* what cannot be flushed takes its place */
        int other = eventfd(0, EFD_CLOEXEC);
        cr_assert_eq(dup2(other, spare->fd), spare->fd);
        close(other);
    }
    return swap_error;
}

static void on_end_swap(void *ctx)
{
    (void)ctx;
    swaps_ended++;
}

static char resized_port[16];
static unsigned port_columns, port_rows;

static int on_resize_port(void *ctx, const char *name, uint16_t columns, uint16_t rows)
{
    (void)ctx;
    cr_assert(runs);
    snprintf(resized_port, sizeof(resized_port), "%s", name);
    port_columns = columns;
    port_rows = rows;
    return resize_error;
}

static int port_error;
static struct console_end *the_port;

static int on_add_port(void *ctx, struct console_end *end)
{
    (void)ctx;
    cr_assert(runs);
    if (port_error == 0)
        the_port = end;
    return port_error;
}

static int on_remove_port(void *ctx, const char *name, struct console_end **out)
{
    (void)ctx;
    cr_assert(runs);
    cr_expect_str_eq(name, "log");
    *out = the_port;
    return port_error;
}

static void on_each_port(void *ctx, void (*each)(void *arg, const struct port_config *port),
                         void *arg)
{
    (void)ctx;
    each(arg, &(struct port_config){.name = "one", .paths = {[CHR_LISTEN] = "/run/one"}});
    each(arg, &(struct port_config){.name = "null", .kind = CHR_NULL});
}

static int begin(void)
{
    return control_create(&control,
                          &(struct control_config){.loop = loop,
                                                   .clock = &the_clock,
                                                   .path = path,
                                                   .target = {.kernel = "vmlinuz",
                                                              .runs = guest_runs,
                                                              .press = on_press,
                                                              .input = input_for,
                                                              .picture = take_picture,
                                                              .balloon = on_balloon,
                                                              .pause = on_pause,
                                                              .is_paused = on_is_paused,
                                                              .reset = on_reset,
                                                              .stats = on_stats,
                                                              .explain = on_explain,
                                                              .describe = on_describe,
                                                              .set_link = on_link,
                                                              .begin_resize = on_begin_resize,
                                                              .end_resize = on_end_resize,
                                                              .begin_swap = on_begin_swap,
                                                              .swap = on_swap,
                                                              .end_swap = on_end_swap,
                                                              .resize_port = on_resize_port,
                                                              .add_port = on_add_port,
                                                              .remove_port = on_remove_port,
                                                              .each_port = on_each_port,
                                                              .stop = on_stop}});
}

static void setup(void)
{
    folder_enter();
    the_clock = fake_clock_port(&now);
    cr_assert_eq(evloop_create(&loop, "test", &the_clock), 0);
    cr_assert_eq(begin(), 0);
}

static void teardown(void)
{
    control_destroy(control);
    evloop_destroy(loop);
    cr_expect_neq(access(path, F_OK), 0, "the socket's path is left");
    folder_leave();
}

TestSuite(control, .init = setup, .fini = teardown);

static int join(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    strcpy(addr.sun_path, path);
    cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    evloop_drain(loop);
    return fd;
}

static void say(int fd, const char *text)
{
    cr_assert_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    evloop_drain(loop);
}

/* As long as `count` characters take. */
static void let_type(unsigned count)
{
    while (count-- > 0) {
        now.now_ns += MS_TO_TYPE * 1000000;
        evloop_drain(loop);
    }
}

/* All that has come. False: and it is the end. */
static bool hear(int fd)
{
    size_t have = 0;
    for (;;) {
        ssize_t n = recv(fd, heard + have, sizeof(heard) - 1 - have, 0);
        if (n <= 0) {
            heard[have] = '\0';
            return n < 0 && errno == EAGAIN;
        }
        have += (size_t)n;
        evloop_drain(loop);
    }
}

static unsigned lines(void)
{
    unsigned count = 0;
    for (const char *at = heard; (at = strchr(at, '\n')) != NULL; at++)
        count++;
    return count;
}

Test(control, commands_are_answered_in_order)
{
    int fd = join();
    say(fd, "{\"command\": \"status\", \"id\": [1, \"a\"]}\n" HELP);
    cr_expect(hear(fd));
    cr_expect_eq(lines(), 2);
    cr_expect(strstr(heard, "{\"id\":[1,\"a\"],\"result\":{\"state\":\"being set up\"") == heard,
              "%s", heard);
    cr_expect_not_null(strstr(heard, "}\n{\"result\":[{\"command\":"), "%s", heard);
    say(fd, "{\"command\": \"st");
    cr_expect(hear(fd));
    cr_expect_str_eq(heard, "");
    say(fd, "op\"}\n");
    cr_expect(hear(fd));
    cr_expect_str_eq(heard, "{\"result\":null}\n");
    cr_expect_eq(stops, 1);
    close(fd);
}

Test(control, what_is_wrong_is_told)
{
    static const struct {
        const char *said, *error;
    } rows[] = {
        {"\n", "give an object with a"},
        {"help\n", "give an object with a"},
        {"[\"help\"]\n", "give an object with a"},
        {"{\"command\": 1}\n", "give an object with a"},
        {"{\"command\": \"help\"} x\n", "give an object with a"},
        {"{\"command\": \"eject\"}\n", "eject: no such command"},
        {"{\"command\": \"power\"}\n", "no guest runs now"},
        {"{\"command\": \"sleep\"}\n", "no guest runs now"},
        {"{\"command\": \"stop\", \"args\": [\"now\"]}\n", "stop takes no arguments"},
        {"{\"command\": \"stop\", \"args\": \"now\"}\n", "stop takes no arguments"},
        {"{\"command\": \"stop\", \"args\": [1]}\n", "stop takes no arguments"},
    };
    int fd = join();
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        say(fd, rows[i].said);
        cr_expect(hear(fd));
        cr_expect(strncmp(heard, "{\"error\":\"", 10) == 0, "%s: %s", rows[i].said, heard);
        cr_expect_not_null(strstr(heard, rows[i].error), "%s: %s", rows[i].said, heard);
        cr_expect_eq(lines(), 1);
    }
    cr_expect_eq(stops, 0);
    close(fd);
}

Test(control, a_running_guest_has_buttons)
{
    int fd = join();
    runs = true;
    say(fd, "{\"command\": \"power\"}\n" STATUS);
    cr_expect(hear(fd));
    cr_expect(presses[POWER_BUTTON] == 1 && presses[SLEEP_BUTTON] == 0);
    cr_expect_not_null(strstr(heard, "\"running\""), "%s", heard);
    say(fd, "{\"command\": \"sleep\"}\n" STATUS);
    cr_expect(hear(fd));
    cr_expect(presses[POWER_BUTTON] == 1 && presses[SLEEP_BUTTON] == 1);
    close(fd);
}

#define KEYBOARD (1u << INPUT_KEYBOARD)
#define MOUSE    (1u << INPUT_MOUSE)
#define TABLET   (1u << INPUT_TABLET)

Test(control, keys_and_pointers_reach_the_guest)
{
    static const struct {
        unsigned devices;
        const char *command, *args, *typed, *error;
    } rows[] = {
        {KEYBOARD, "sendkey", "\"ctrl-alt-f2\"", "29 56 60 -60 -56 -29 ", NULL},
        {KEYBOARD, "sendkey", "\"a\"", "30 -30 ", NULL},
        {KEYBOARD, "sendkey", "\"f10-kp_enter\"", "68 96 -96 -68 ", NULL},
        {KEYBOARD, "sendkey", "\"A\"", "", "no key is called \\\"A\\\""},
        {KEYBOARD, "sendkey", "\"ctrl-\"", "", "no key is called \\\"\\\"; ctrl-alt-f2 and ret"},
        {KEYBOARD, "sendkey", "\"\"", "", "no key is called \\\"\\\"; ctrl-alt-f2 and ret"},
        {KEYBOARD, "sendkey", "\"1-2-3-4-5-6-7-8-9\"", "", "more than 8 keys"},
        {KEYBOARD, "sendkey", "", "", "sendkey takes KEYS"},
        {TABLET, "sendkey", "\"a\"", "", "give --input keyboard"},
        {KEYBOARD, "type", "\"a!\\n\"", "30 -30 42 2 -2 -42 28 -28 ", NULL},
        {KEYBOARD, "type", "\"a\\u00e9\"", "", "types byte 0xc3"},
        {TABLET, "mouse", "\"0\", \"100%\"", "0:0,32767 ", NULL},
        {MOUSE, "mouse", "\"50%\", \"25.0\"", "0:16383,8191 ", NULL},
        {TABLET, "mouse", "\"-1\", \"5\"", "", "two parts of the screen"},
        {TABLET, "mouse", "\"1\", \"nan\"", "", "two parts of the screen"},
        {TABLET, "mouse", "\"1x\", \"1\"", "", "two parts of the screen"},
        {KEYBOARD, "mouse", "\"1\", \"1\"", "", "give --input tablet"},
        {TABLET, "click", "", "272 -272 ", NULL},
        {MOUSE, "click", "\"right\"", "273 -273 ", NULL},
        {MOUSE, "click", "\"up\"", "", "give left, right or middle"},
    };
    int fd = join();
    runs = true;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        char line[256];
        typed[0] = '\0';
        devices = rows[i].devices;
        snprintf(line, sizeof(line), "{\"command\": \"%s\", \"args\": [%s]}\n", rows[i].command,
                 rows[i].args);
        say(fd, line);
        let_type(4);
        cr_expect(hear(fd));
        cr_expect_str_eq(typed, rows[i].typed, "%s", line);
        const char *want = rows[i].error != NULL ? rows[i].error : "{\"result\":null}";
        cr_expect_not_null(strstr(heard, want), "%s: %s", line, heard);
    }
    close(fd);
}

Test(control, a_picture_is_not_written_through_another_user_s_link)
{
    int fd = join();
    if (geteuid() != 0)
        cr_skip_test("only root can make links of other users");
    runs = true;
    cr_assert(symlink("mine", "a.png") == 0 && lchown("a.png", 1, 1) == 0);
    close(open("mine", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    say(fd, "{\"command\": \"screenshot\", \"args\": [\"a.png\"]}\n");
    cr_expect(hear(fd));
    cr_expect_str_eq(heard, "{\"error\":\"screenshot: a.png: Operation not permitted\"}\n");
    close(fd);
}

Test(control, a_picture_is_written)
{
    int fd = join();
    struct stat st;
    runs = true;
    say(fd, "{\"command\": \"screenshot\", \"args\": [\"a.png\"], \"id\": 5}\n" STATUS);
    cr_expect(hear(fd));
    cr_expect_eq(lines(), 2);
    cr_expect(strstr(heard, "{\"id\":5,\"result\":null}\n{\"result\":{\"state\"") == heard, "%s",
              heard);
    cr_expect_eq(stat("a.png", &st), 0);
    cr_expect_gt(st.st_size, 50);
    say(fd, "{\"command\": \"screenshot\", \"args\": [\"/nowhere/a.png\"]}\n");
    cr_expect(hear(fd));
    cr_expect_str_eq(heard,
                     "{\"error\":\"screenshot: /nowhere/a.png: No such file or directory\"}\n");
    picture_error = -ENODEV;
    say(fd, "{\"command\": \"screenshot\", \"args\": [\"b.png\"]}\n");
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, "no screen: give --gpu on or --display"), "%s", heard);
    picture_error = -ENOENT;
    say(fd, "{\"command\": \"screenshot\", \"args\": [\"b.png\"]}\n");
    cr_expect(hear(fd));
    cr_expect_str_eq(heard, "{\"error\":\"screenshot: the guest shows no picture now\"}\n");
    picture_error = -EFBIG;
    say(fd, "{\"command\": \"screenshot\", \"args\": [\"b.png\"]}\n");
    cr_expect(hear(fd));
    cr_expect_str_eq(heard, "{\"error\":\"screenshot: the picture has more than 128 MiB\"}\n");
    cr_expect_neq(access("b.png", F_OK), 0);
    close(fd);
}

Test(control, a_large_picture_takes_many_turns)
{
    const char *line = "{\"command\": \"screenshot\", \"args\": [\"a.png\"]}\n";
    int fd = join();
    runs = true;
    picture_turns = 3;
    say(fd, line);
    cr_expect(hear(fd));
    cr_expect_str_eq(heard, "");
    let_type(1);
    cr_expect_neq(access("a.png", F_OK), 0);
    let_type(1);
    cr_expect(hear(fd));
    cr_expect_str_eq(heard, "{\"result\":null}\n");
    cr_expect_eq(access("a.png", F_OK), 0);
    picture_turns = 3;
    say(fd, line);
    picture_error = -EAGAIN;
    let_type(1);
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, "changed"), "%s", heard);
    picture_error = 0;
    say(fd, line);
    runs = false;
    let_type(1);
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, "no guest runs now"), "%s", heard);
    close(fd);
}

Test(control, a_large_picture_ends_with_the_server)
{
    int fd = join();
    runs = true;
    picture_turns = 3;
    say(fd, "{\"command\": \"screenshot\", \"args\": [\"a.png\"]}\n");
    control_destroy(control);
    control = NULL;
    cr_expect_neq(access("a.png", F_OK), 0);
    close(fd);
}

/* The client is gone before its picture is there; so is the server. */
Test(control, a_picture_outlives_its_client)
{
    int fd = join();
    runs = true;
    const char *line = "{\"command\": \"screenshot\", \"args\": [\"a.png\"]}\n";
    cr_assert_gt(send(fd, line, strlen(line), 0), 0);
    close(fd);
    fd = join();
    cr_assert_gt(send(fd, line, strlen(line), 0), 0);
    control_destroy(control);
    control = NULL;
    close(fd);
    cr_expect_eq(access("a.png", F_OK), 0);
}

/* Others might come for as long as the client likes. */
Test(control, commands_that_have_not_begun_do_not_delay_the_end)
{
    int fd = join();
    cr_assert_gt(send(fd, STATUS STATUS, 2 * strlen(STATUS), 0), 0);
    control_destroy(control);
    control = NULL;
    cr_expect_not(hear(fd));
    cr_expect_str_eq(heard, "");
    close(fd);
}

/* Each is typed by the key on which a US keyboard has it. */
Test(control, every_printable_character_is_typed)
{
    int fd = join();
    char line[64];
    runs = true;
    devices = KEYBOARD;
    for (int c = ' '; c <= '~'; c++) {
        typed[0] = '\0';
        snprintf(line, sizeof(line), "{\"command\": \"type\", \"args\": [\"%s%c\"]}\n",
                 c == '"' || c == '\\' ? "\\" : "", c);
        say(fd, line);
        cr_expect(hear(fd));
        bool shifted = strchr("~!@#$%^&*()_+{}|:\"<>?", c) != NULL || (c >= 'A' && c <= 'Z');
        cr_expect_eq(strncmp(typed, "42 ", 3) == 0, shifted, "%c: %s", c, typed);
        cr_expect_gt(strlen(typed), 0);
    }
    close(fd);
}

Test(control, too_much_at_once_is_not_typed)
{
    char line[256] = "{\"command\": \"type\", \"args\": [\"";
    int fd = join();
    runs = true;
    devices = KEYBOARD;
    size_t at = strlen(line);
    memset(line + at, 'a', 129);
    strcpy(line + at + 129, "\"]}\n");
    say(fd, line);
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, "more than 128 characters"), "%s", heard);
    cr_expect_str_eq(typed, "");
    strcpy(line + at + 128, "\"]}\n");
    say(fd, line);
    let_type(128);
    cr_expect(hear(fd));
    cr_expect_str_eq(heard, "{\"result\":null}\n");
    close(fd);
}

/* A program in the guest has time to hear each, and what the client says next waits. */
Test(control, characters_are_typed_one_by_one)
{
    int fd = join();
    runs = true;
    devices = KEYBOARD;
    typed[0] = '\0';
    say(fd, TYPE("ab") STATUS);
    cr_expect(hear(fd));
    cr_expect_str_eq(typed, "30 -30 ");
    cr_expect_str_eq(heard, "");
    let_type(1);
    cr_expect(hear(fd));
    cr_expect_str_eq(typed, "30 -30 48 -48 ");
    cr_expect_eq(lines(), 2);
    say(fd, TYPE(""));
    cr_expect(hear(fd));
    cr_expect_str_eq(heard, "{\"result\":null}\n");
    close(fd);
}

Test(control, a_guest_that_ends_hears_no_more_characters)
{
    int fd = join();
    runs = true;
    devices = KEYBOARD;
    typed[0] = '\0';
    say(fd, TYPE("ab"));
    runs = false;
    let_type(1);
    cr_expect(hear(fd));
    cr_expect_str_eq(typed, "30 -30 ");
    cr_expect_not_null(strstr(heard, "no guest runs now"), "%s", heard);
    runs = true;
    say(fd, TYPE("ab"));
    close(fd); /* the rest is typed, or is not: either way nothing is left behind */
}

/* As `echo ... | socat` does. */
Test(control, answers_come_after_the_last_command)
{
    int fd = join();
    cr_assert_gt(send(fd, STATUS STATUS STATUS, 3 * strlen(STATUS), 0), 0);
    shutdown(fd, SHUT_WR);
    evloop_drain(loop);
    cr_expect_not(hear(fd));
    cr_expect_eq(lines(), 3);
    close(fd);
}

Test(control, too_long_a_line_ends_the_connection)
{
    static char line[CONTROL_LINE_BYTES];
    int fd = join();
    memset(line, ' ', sizeof(line) - 1);
    line[sizeof(line) - 2] = '\n';
    say(fd, line);
    cr_expect(hear(fd));
    cr_expect_eq(lines(), 1);
    line[sizeof(line) - 2] = ' ';
    say(fd, line);
    say(fd, " ");
    cr_expect_not(hear(fd));
    cr_expect_str_eq(heard, "");
    close(fd);
}

/* Its answers wait, and so do its commands; others are served. */
Test(control, a_client_that_takes_no_answers_is_not_heard)
{
    int fd = join(), other = join();
    unsigned sent = 0;
    while (send(fd, HELP, strlen(HELP), MSG_NOSIGNAL) == (ssize_t)strlen(HELP)) {
        evloop_drain(loop);
        cr_assert_lt(sent++, 100000, "it is heard for ever");
    }
    say(other, STATUS);
    cr_expect(hear(other));
    cr_expect_eq(lines(), 1);
    cr_expect(hear(fd));
    cr_expect_eq(lines(), sent, "%u of %u", lines(), sent);
    close(fd);
    close(other);
}

Test(control, further_clients_wait_until_one_leaves)
{
    int fds[CONTROL_CLIENTS + 1];
    for (unsigned i = 0; i <= CONTROL_CLIENTS; i++) {
        fds[i] = join();
        say(fds[i], STATUS);
        cr_expect(hear(fds[i]));
        cr_expect_eq(lines(), i < CONTROL_CLIENTS, "client %u", i);
    }
    close(fds[0]);
    evloop_drain(loop);
    cr_expect(hear(fds[CONTROL_CLIENTS]));
    cr_expect_eq(lines(), 1);
    for (unsigned i = 1; i <= CONTROL_CLIENTS; i++)
        close(fds[i]);
}

static void pass(uint64_t ms)
{
    now.now_ns += ms * 1000000;
    evloop_drain(loop);
}

/* One that has said nothing for a while, and each that comes is heard in the end. */
Test(control, idle_clients_do_not_hold_all_places)
{
    int fds[2 * CONTROL_CLIENTS];
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
        pass(10);
        fds[i] = join();
        if (i == CONTROL_CLIENTS - 1)
            say(fds[0], STATUS); /* now it is not the first to go */
    }
    for (unsigned i = 0; i < 20; i++)
        pass(1000);
    cr_expect(hear(fds[0]) == false, "there are enough others by now");
    cr_expect_eq(lines(), 1);
    cr_expect_not(hear(fds[1]));
    int last = join();
    say(last, STATUS);
    cr_expect(hear(last));
    cr_expect_eq(lines(), 1);
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    close(last);
}

/* Not of the one for which something is being done, nor before a command can have come. */
Test(control, a_place_is_given_to_others_late)
{
    int fds[CONTROL_CLIENTS], busy = join();
    runs = true;
    devices = KEYBOARD;
    say(busy, TYPE("abc"));
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
        fds[i] = join();
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
        cr_expect(hear(fds[i]), "client %u", i);
    now.now_ns += UINT64_C(1000000000) - 1;
    cr_expect(hear(fds[0]));
    pass(1);
    cr_expect_not(hear(fds[0]), "its place is the last one's");
    for (unsigned i = 1; i < ARRAY_SIZE(fds); i++) {
        say(fds[i], STATUS);
        cr_expect(hear(fds[i]), "client %u", i);
        cr_expect_eq(lines(), 1, "client %u", i);
    }
    let_type(3);
    cr_expect(hear(busy));
    cr_expect_eq(lines(), 1);
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++)
        close(fds[i]);
    close(busy);
}

Test(control, only_a_socket_that_is_left_is_replaced)
{
    struct control *first = control;
    struct stat st;
    listen_to_log(LOG_ERROR);
    cr_expect_eq(lstat(path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600);
    cr_expect_eq(begin(), -EADDRINUSE, "one that listens");
    expect_logged(path);
    expect_logged("name another path");
    control_destroy(first);

    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    cr_expect_eq(begin(), -EADDRINUSE, "a file");
    cr_expect_eq(access(path, F_OK), 0);
    close(fd);
    unlink(path);

    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    strcpy(addr.sun_path, path);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    close(fd);
    cr_expect_eq(begin(), 0, "one whose process is gone");
    close(join());
}

Test(control, too_long_a_path_is_refused)
{
    static char name[200];
    memset(name, 'x', sizeof(name) - 1);
    struct control *other;
    listen_to_log(LOG_ERROR);
    cr_expect_eq(control_create(&other, &(struct control_config){.loop = loop, .path = name}),
                 -ENAMETOOLONG);
    expect_logged("control socket xxx");
}

/* The loop does not spin, and listens again when a client has gone, or a while later. */
Test(control, without_descriptors_a_client_waits)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct rlimit limit, none;
    int first = join(), second = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    strcpy(addr.sun_path, path);
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    cr_assert_eq(connect(second, (struct sockaddr *)&addr, sizeof(addr)), 0);
    evloop_drain(loop);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    close(first);
    evloop_drain(loop);
    say(second, STATUS);
    cr_expect(hear(second));
    cr_expect_neq(heard[0], '\0');
    close(second);
}

/* ---- the balloon ---- */

Test(control, a_balloon_is_asked_for_memory)
{
    int fd = join();
    runs = true;
    balloon.status = (struct virtio_balloon_status){
        .driver_runs = true, .actual_bytes = 100 * MIB, .stats = {[4] = 7}, .known = 1u << 4};
    balloon.stats_age_ns = 5000000;
    say(fd, "{\"command\": \"balloon\", \"args\": [\"256M\"]}\n");
    cr_expect(hear(fd));
    cr_expect_str_eq(heard, "{\"result\":{\"memory_bytes\":536870912,\"asked_bytes\":268435456,"
                            "\"guest_bytes\":432013312,\"driver\":true,"
                            "\"statistics\":{\"free_bytes\":7,\"age_ms\":5}}}\n");
    balloon.status.known = 0;
    say(fd, "{\"command\": \"balloon\"}\n");
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, "\"statistics\":{}"), "%s", heard);
    cr_expect_eq(balloon.status.target_bytes, 256 * MIB, "a question changes nothing");
    close(fd);
}

Test(control, what_a_balloon_cannot_do_is_told)
{
    static const struct {
        const char *args;
        int error;
        const char *told;
    } rows[] = {{"\"10x\"", 0, "give a size such as 256M"},
                {"\"0\"", 0, "give a size such as 256M"},
                {"", -ENODEV, "give --balloon on"},
                {"", -EBUSY, "leave out --record"},
                {"\"1G\"", -ERANGE, "balloon: 1G is more memory than the guest has"}};
    int fd = join();
    char line[128];
    say(fd, "{\"command\": \"balloon\"}\n");
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, "no guest runs now"), "%s", heard);
    runs = true;
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
        balloon_error = rows[i].error;
        snprintf(line, sizeof(line), "{\"command\": \"balloon\", \"args\": [%s]}\n", rows[i].args);
        say(fd, line);
        cr_expect(hear(fd));
        cr_expect_not_null(strstr(heard, rows[i].told), "%s: %s", line, heard);
    }
    close(fd);
}

/* ---- the guest's time ---- */

static void tell(int fd, const char *command, const char *answer)
{
    char line[128];
    snprintf(line, sizeof(line), "{\"command\": \"%s\"}\n", command);
    say(fd, line);
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, answer), "%s: %s", command, heard);
}

Test(control, a_guest_stops_and_goes_on)
{
    int fd = join();
    tell(fd, "pause", "no guest runs now");
    tell(fd, "resume", "no guest runs now");
    runs = true;
    tell(fd, "pause", "{\"result\":null}");
    cr_expect(paused);
    tell(fd, "status", "\"state\":\"paused\"");
    tell(fd, "resume", "{\"result\":null}");
    cr_expect_not(paused);
    tell(fd, "status", "\"state\":\"running\"");
    pause_error = -EAGAIN;
    tell(fd, "resume", "\"error\":\"resume: Resource temporarily unavailable\"");
    close(fd);
}

Test(control, a_guest_is_reset)
{
    int fd = join();
    tell(fd, "reset", "no guest runs now");
    runs = true;
    tell(fd, "reset", "{\"result\":null}");
    cr_expect_eq(resets, 1);
    reset_error = -EPERM;
    tell(fd, "reset", "give --reboot restart");
    close(fd);
}

static void tell_two(int fd, const char *command, const char *first, const char *second,
                     const char *answer)
{
    char line[128];
    snprintf(line, sizeof(line), "{\"command\": \"%s\", \"args\": [\"%s\", \"%s\"]}\n", command,
             first, second);
    say(fd, line);
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, answer), "%s %s %s: %s", command, first, second, heard);
}

Test(control, a_machine_is_described)
{
    int fd = join();
    tell(fd, "info", "no guest runs now");
    runs = true;
    tell(fd, "info", "{\"result\":{\"numbers\":[0]}}");
    say(fd, "{\"command\": \"info\", \"args\": [\"disk1\"]}\n");
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, "\"device\":\"disk1\""), "%s", heard);
    say(fd, "{\"command\": \"info\", \"args\": [\"disk9\"]}\n");
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, "there is no device disk9"), "%s", heard);
    described_numbers = FACTS_BYTES_MAX / 4;
    tell(fd, "info", "too much for one answer");
    close(fd);
}

Test(control, cables_are_pulled_and_put_back)
{
    int fd = join();
    tell_two(fd, "link", "0", "down", "no guest runs now");
    runs = true;
    tell_two(fd, "link", "7", "down", "{\"result\":null}");
    cr_expect_eq(link_card, 7);
    cr_expect_not(link_up);
    tell_two(fd, "link", "0", "up", "{\"result\":null}");
    cr_expect_eq(link_card, 0);
    cr_expect(link_up);
    tell_two(fd, "link", "eth0", "up", "card 0");
    tell_two(fd, "link", "", "up", "card 0");
    tell_two(fd, "link", "0000", "up", "card 0");
    tell_two(fd, "link", "0", "sideways", "up or down");
    link_error = -ENODEV;
    tell_two(fd, "link", "3", "up", "there is no card 3");
    link_error = -EBUSY;
    tell_two(fd, "link", "3", "up", "leave out --record");
    link_error = -EOPNOTSUPP;
    tell_two(fd, "link", "3", "up", "leave out vhost");
    close(fd);
}

Test(control, terminals_at_ports_have_a_size)
{
    int fd = join();
    tell_two(fd, "console-size", "shell", "120x40", "no guest runs now");
    runs = true;
    tell_two(fd, "console-size", "shell", "120x40", "{\"result\":null}");
    cr_expect_str_eq(resized_port, "shell");
    cr_expect_eq(port_columns, 120);
    cr_expect_eq(port_rows, 40);
    tell_two(fd, "console-size", "shell", "65536x40", "such as shell 120x40");
    tell_two(fd, "console-size", "shell", "120x0", "such as shell 120x40");
    tell_two(fd, "console-size", "shell", "120x40x", "such as shell 120x40");
    tell_two(fd, "console-size", "shell", "wide", "such as shell 120x40");
    resize_error = -ENODEV;
    tell_two(fd, "console-size", "other", "120x40", "there is no port other");
    resize_error = -ENOTTY;
    tell_two(fd, "console-size", "agent", "120x40",
             "port agent is no terminal; give it console=on");
    close(fd);
}

static void tell_one(int fd, const char *command, const char *arg, const char *answer)
{
    char line[256];
    snprintf(line, sizeof(line), "{\"command\": \"%s\", \"args\": [\"%s\"]}\n", command, arg);
    say(fd, line);
    cr_expect(hear(fd));
    cr_expect_not_null(strstr(heard, answer), "%s %s: %s", command, arg, heard);
}

Test(control, ports_come_and_go)
{
    static const struct {
        int error;
        const char *answer;
    } refusals[] = {{-ENODEV, "one --port at least"},
                    {-EBUSY, "leave out --record"},
                    {-EEXIST, "give another one"},
                    {-ENOSPC, "remove another one first"},
                    {-ENOENT, "there is no such port"}};
    int fd = join();
    tell_one(fd, "port-add", "log,file=written", "no guest runs now");
    tell_one(fd, "port-remove", "log", "no guest runs now");
    runs = true;
    tell_one(fd, "port-add", "log,file=written", "{\"result\":null}");
    cr_assert_not_null(the_port);
    cr_expect_eq(access("written", F_OK), 0, "its other end is open");
    tell_one(fd, "port-remove", "log", "{\"result\":null}");
    tell_one(fd, "port-add", "log,file=no/such/folder",
             "port-add: log: No such file or directory; the run has said");
    tell_one(fd, "port-add", "log", "such as log,file=PATH");
    tell_one(fd, "port-add", "log,file=a,listen=b", "such as log,file=PATH");
    the_port = NULL;
    for (unsigned i = 0; i < ARRAY_SIZE(refusals); i++) {
        port_error = refusals[i].error;
        tell_one(fd, "port-add", "log,null", refusals[i].answer);
        tell_one(fd, "port-remove", "log", refusals[i].answer);
    }
    tell(fd, "console", "{\"port\":\"one\",\"path\":\"/run/one\",\"console\":false}]}");
    close(fd);
}

Test(control, disks_grow)
{
    static const struct {
        int error;
        const char *answer;
    } refusals[] = {{-ENODEV, "there is no disk 2"}, {-EBUSY, "leave out --record"},
                    {-EOPNOTSUPP, "is no raw file"}, {-EROFS, "is read-only"},
                    {-ERANGE, "does not shrink"},    {-EINVAL, "whole sectors"},
                    {-EALREADY, "not done yet"},     {-EMFILE, "Too many open files"}};
    struct stat st;
    int fd = join();
    tell_two(fd, "disk-resize", "0", "20G", "no guest runs now");
    runs = true;
    tell_two(fd, "disk-resize", "12", "20G", "{\"result\":null}");
    cr_expect_eq(resized_disk, 12);
    cr_expect_eq(resized_bytes, 20 * GIB);
    cr_assert_eq(stat("disk", &st), 0);
    cr_expect_eq((uint64_t)st.st_size, 20 * GIB);
    tell_two(fd, "disk-resize", "1", "8388607T", "File too large");
    cr_expect_eq(resized_disk, 1);
    cr_expect_eq(resized_bytes, 0, "it was in vain");
    unlink("disk");
    tell_two(fd, "disk-resize", "vda", "20G", "such as 0 20G");
    tell_two(fd, "disk-resize", "0", "much", "such as 0 20G");
    tell_two(fd, "disk-resize", "0", "16777215T", "such as 0 20G");
    for (unsigned i = 0; i < ARRAY_SIZE(refusals); i++) {
        resize_error = refusals[i].error;
        tell_two(fd, "disk-resize", "2", "1G", refusals[i].answer);
    }
    close(fd);
}

static void make_other(void)
{
    int file = open("other", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(ftruncate(file, MIB), 0);
    close(file);
}

/* Not by another machine, and not by the run itself. */
static bool is_let_go(void)
{
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int file = open("other", O_RDWR | O_CLOEXEC);
    bool free = fcntl(file, F_OFD_SETLK, &all) == 0;
    close(file);
    return free;
}

Test(control, disks_get_other_files)
{
    int fd = join();
    tell_two(fd, "disk-swap", "3", "other", "no guest runs now");
    runs = true;
    make_other();
    tell_two(fd, "disk-swap", "3", "other", "{\"result\":null}");
    cr_expect_eq(swaps, 1);
    cr_expect(is_let_go(), "what is left is closed");
    swap_reads_only = true;
    tell_two(fd, "disk-swap", "3", "other,ro", "{\"result\":null}");
    cr_expect_eq(swaps, 2);
    cr_expect_eq(swaps_ended, 2);
    swap_reads_only = false;
    swap_loses = true;
    tell_two(fd, "disk-swap", "3", "other", "the disk has that file now, but the last one");
    cr_expect_eq(swaps, 3);
    cr_expect_eq(swaps_ended, 3);
    close(fd);
}

Test(control, what_a_disk_has_in_flight_is_waited_for)
{
    int fd = join();
    runs = true;
    make_other();
    swap_waits = 2;
    say(fd, "{\"command\": \"disk-swap\", \"args\": [\"3\", \"other\"]}\n");
    hear(fd);
    cr_expect_str_eq(heard, "", "it is under way");
    cr_expect_not(is_let_go());
    let_type(2);
    hear(fd);
    cr_expect_str_eq(heard, "{\"result\":null}\n");
    cr_expect_eq(swaps, 1);
    swap_waits = 100000;
    say(fd, "{\"command\": \"disk-swap\", \"args\": [\"3\", \"other\"]}\n");
    let_type(998);
    cr_expect_not(swap_given_up);
    let_type(1);
    hear(fd);
    cr_expect_not_null(strstr(heard, "disk-swap: other: the guest's requests"), "%s", heard);
    cr_expect(swap_given_up && is_let_go());
    cr_expect_eq(swaps_ended, 2);
    /* The run ends meanwhile. */
    say(fd, "{\"command\": \"disk-swap\", \"args\": [\"3\", \"other\"]}\n");
    control_destroy(control);
    cr_expect(is_let_go());
    cr_assert_eq(begin(), 0);
    close(fd);
    /* Likewise, and it says that there is no guest: a helper closes the file. */
    fd = join();
    say(fd, "{\"command\": \"disk-swap\", \"args\": [\"3\", \"other\"]}\n");
    cr_expect_not(is_let_go());
    unsigned before = swaps_ended;
    swap_waits = 0;
    swap_error = -ENXIO;
    control_destroy(control);
    cr_expect(is_let_go());
    cr_expect_eq(swaps_ended, before + 1);
    cr_assert_eq(begin(), 0);
    close(fd);
}

Test(control, files_that_are_no_disk_s_are_refused)
{
    static const struct {
        int error;
        const char *answer;
    } refusals[] = {{-ENODEV, "there is no such disk"}, {-EBUSY, "leave out --record"},
                    {-EOPNOTSUPP, "no raw file"},       {-EPERM, "snapshot=on"},
                    {-EMLINK, "several threads"},       {-EALREADY, "not done yet"}};
    int fd = join();
    runs = true;
    make_other();
    cr_assert_eq(mkdir("folder", 0700), 0);
    tell_two(fd, "disk-swap", "3", "none", "disk-swap: none: there is no such file");
    tell_two(fd, "disk-swap", "3", "folder", "disk-swap: folder: is a directory");
    tell_two(fd, "disk-swap", "3", "/dev/null", "neither a file nor a block device");
    tell_two(fd, "disk-swap", "3", "other,ro", "leave out ro");
    tell_two(fd, "disk-swap", "vda", "other", "such as 0 other.img");
    tell_two(fd, "disk-swap", "3", "", "such as 0 other.img");
    swap_error = -EOPNOTSUPP;
    tell_two(fd, "disk-swap", "3", "other", "cannot discard");
    swap_error = -ENXIO;
    tell_two(fd, "disk-swap", "3", "other", "no guest runs now");
    cr_expect(is_let_go());
    cr_expect_eq(swaps_ended, swaps_begun, "another one may begin");
    for (unsigned i = 0; i < ARRAY_SIZE(refusals); i++) {
        begin_swap_error = refusals[i].error;
        tell_two(fd, "disk-swap", "3", "other", refusals[i].answer);
    }
    cr_expect_eq(swaps, 0);
    unlink("other");
    rmdir("folder");
    close(fd);
}

Test(control, what_devices_have_done_is_told)
{
    int fd = join();
    tell(fd, "stats", "no guest runs now");
    tell(fd, "explain", "no guest runs now");
    runs = true;
    tell(fd, "stats", "{\"result\":{\"run_ns\":5}}");
    tell(fd, "explain", "{\"result\":\"report: the guest runs\\nnext: wait\\n\"}");
    explain_error = -ENOMEM;
    tell(fd, "explain", "explain: Cannot allocate memory");
    stats_error = -ENODATA;
    tell(fd, "stats", "give --stats");
    stats_error = -ENOMEM;
    tell(fd, "stats", "stats: Cannot allocate memory");
    close(fd);
}
