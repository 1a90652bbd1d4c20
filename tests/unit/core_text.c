// SPDX-License-Identifier: BSD-2-Clause
/* core/base/text.c: what is not ours to say cannot drive a terminal. */
#include "core/base/text.h"

#include "tests/harness/test.h"

static void becomes(const char *text, const char *expected)
{
    char copy[64];
    cr_assert_lt(strlen(text), sizeof(copy));
    strcpy(copy, text);
    text_neutralize(copy);
    cr_expect_str_eq(copy, expected);
}

Test(text, of_words_stays)
{
    becomes("", "");
    becomes("disk.img ~!", "disk.img ~!");
    becomes("Gerät.img", "Gerät.img");
    becomes("磁盘 😀 \u00a0", "磁盘 😀 \u00a0");
}

Test(text, that_drives_a_terminal_becomes_question_marks)
{
    becomes("\033]0;owned\007x", "?]0;owned?x");
    becomes("a\nb\rc\td\177", "a?b?c?d?");
    becomes("\x9b"
            "31m",
            "?31m");
    becomes("\xc2\x9b"
            "31m \xc2\x80",
            "??31m ??");
}

Test(text, that_is_no_utf8_becomes_question_marks)
{
    becomes("\xc3", "?"); /* cut off */
    becomes("\xf0\x9f\x98", "???");
    becomes("\xc0\x9b[", "??["); /* longer than it need be */
    becomes("\xe0\x82\x9b[", "???[");
    becomes("\xf0\x80\x82\x9b[", "????[");
    becomes("\xff\xfe\xf5\x80", "????");
    becomes("\xe4\x1b[0m", "??[0m");
}

Test(text, is_printed_neutralized_and_cut)
{
    char *said = NULL, *long_text = malloc(5000);
    size_t len = 0;
    memset(long_text, 'x', 4999);
    long_text[4999] = '\0';
    FILE *out = open_memstream(&said, &len);
    text_print(out, "\033[2J");
    text_print(out, long_text);
    fclose(out);
    cr_expect_eq(strncmp(said, "?[2Jxxx", 7), 0);
    cr_expect_lt(len, 2000);
    free(said);
    free(long_text);
}

Test(text, in_json_is_escaped)
{
    char *said = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&said, &len);
    text_print_json(out, "{\n\t\"a\": \"\xc2\x9b\x7f\xff\x1b ä\"}");
    fclose(out);
    cr_expect_str_eq(said, "{\n\t\"a\": \"\\u009b\\u007f?\\u001b ä\"}\n");
    free(said);
}
