// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/tail.h"

#include "tests/harness/test.h"

static struct tail tail;

static void say(const char *text)
{
    tail_add(&tail, (const uint8_t *)text, strlen(text));
}

static void expect_lines(const char *lines, unsigned count)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    cr_expect_eq(tail_print(&tail, "| ", out), count);
    fclose(out);
    cr_expect_str_eq(text, lines);
    free(text);
}

Test(vmm_tail, of_nothing_is_nothing)
{
    expect_lines("", 0);
    say("\r\n\n");
    expect_lines("", 0);
}

Test(vmm_tail, lines_are_as_they_were_printed)
{
    say("one\r\n");
    say("tw");
    say("o\r\n\r\nfour");
    expect_lines("| one\n| two\n| \n| four\n", 4);
}

Test(vmm_tail, what_a_terminal_obeys_is_not_in_it)
{
    say("\033[2Jred\007\n");
    expect_lines("| ?[2Jred?\n", 1);
}

Test(vmm_tail, only_the_last_lines_are_printed)
{
    char line[16], *text = NULL;
    size_t bytes = 0;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(line, sizeof(line), "line %u\n", i);
        say(line);
    }
    FILE *out = open_memstream(&text, &bytes);
    cr_expect_eq(tail_print(&tail, "", out), TAIL_LINES);
    fclose(out);
    cr_expect_eq(strncmp(text, "line 76\n", 8), 0, "%s", text);
    cr_expect_not_null(strstr(text, "line 99\n"));
    free(text);
}

/* However it comes, the last bytes are kept. */
Test(vmm_tail, is_bounded)
{
    static uint8_t much[3 * TAIL_BYTES + 7];
    memset(much, 'x', sizeof(much));
    memcpy(much + sizeof(much) - 4, "\nend", 4);
    for (unsigned i = 0; i < 3; i++) {
        tail_add(&tail, much, sizeof(much));
        char *text = NULL;
        size_t bytes = 0;
        FILE *out = open_memstream(&text, &bytes);
        cr_expect_eq(tail_print(&tail, "", out), 2);
        fclose(out);
        cr_expect_eq(bytes, TAIL_BYTES + 1);
        cr_expect_str_eq(text + bytes - 5, "\nend\n");
        free(text);
    }
}

Test(vmm_tail, a_panic_is_seen_wherever_it_is_cut)
{
    static const char text[] = "x Kernel panic - not syncing: oops";
    for (size_t cut = 0; cut < sizeof(text) - 1; cut++) {
        tail = (struct tail){0};
        tail_add(&tail, (const uint8_t *)text, cut);
        tail_add(&tail, (const uint8_t *)text + cut, sizeof(text) - 1 - cut);
        cr_expect(tail.printed_panic, "cut at %zu", cut);
    }
    tail = (struct tail){0};
    say("Kernel panic - not syncin");
    say("Kernel panic - not Syncing: ");
    cr_expect_not(tail.printed_panic);
}
