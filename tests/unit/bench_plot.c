// SPDX-License-Identifier: BSD-2-Clause
/* What a picture of results has in it. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/plot.h"
#include "tests/bench/results.h"

static struct results results = {
    .patterns = {{"a-1", "<A>, 1", true, 1}, {"a-4", "A, 4", true, 4}, {"b", "B", true, 0}},
    .contenders = {{"ours", true, NULL}, {"theirs", false, NULL}},
    .figures = {{"figure", "figure"}},
    .curve = "A by number",
    .rounds = 6,
};

static void note(int pattern)
{
    for (int round = 0; round < 6; round++) {
        results_note(&results, pattern, 0, round, (double[]){10 + round});
        results_note(&results, pattern, 1, round, (double[]){20 + round});
    }
}

/* The picture, as text. */
static const char *draw(void)
{
    static char text[16384];
    char file[] = "/tmp/bench-plot-XXXXXX";
    int fd = mkstemp(file);
    cr_assert(plot_write(&results, "a & b", file));
    ssize_t len = read(fd, text, sizeof(text) - 1);
    cr_assert_gt(len, 0);
    text[len] = '\0';
    close(fd);
    unlink(file);
    cr_expect_not_null(strstr(text, "a &#38; b"));
    return text;
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (; (text = strstr(text, word)) != NULL; text++)
        n++;
    return n;
}

Test(bench_plot, one_place_is_a_bar_and_two_are_a_curve)
{
    note(0);
    note(2);
    const char *text = draw();
    cr_expect_eq(count(text, "<rect"), 1 + 4, "a background and bars");
    cr_expect_eq(count(text, "A by number"), 0);
    cr_expect_eq(count(text, "&#60;A>, 1: figure"), 1);
    note(1);
    text = draw();
    cr_expect_eq(count(text, "A by number: figure"), 1);
    cr_expect_eq(count(text, "<rect"), 1 + 2, "what is on the curve has no bars");
    cr_expect_eq(count(text, "stroke=\"#2b6cb0\""), 1, "a line for each");
    /* From the left end to the right, on a scale from 0 to the highest interval's end. */
    cr_expect_not_null(strstr(text, "M180.0 "));
    cr_expect_not_null(strstr(text, "L600.0 "));
}
