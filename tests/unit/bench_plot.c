// SPDX-License-Identifier: BSD-2-Clause
/* What gnuplot is told of results. */
#include <math.h>

#include "core/output/outputs.h"
#include "tests/harness/test.h"
#include "tools/benchmarks/plot.h"
#include "tools/benchmarks/results.h"
#include "tools/benchmarks/runs.h"

static struct results results = {
    .bench = "a",
    .title = "What A gives",
    .rival = results_same_kind,
    .patterns = {{.name = "a-1", .title = "A's 1", .x = 1},
                 {.name = "a-4", .title = "A's 4", .x = 4},
                 {.name = "b", .title = "B 100 %", .plotted = 1 << 0 | 1 << 1 | 1 << 2}},
    .contenders = {{.name = "ours", .ours = true}, {.name = "it's 5 % `more`"}},
    .figures = {{.name = "rate", .unit = "requests/s", .more_is_better = true},
                {.name = "ns", .label = "latency", .unit = "µs", .scale = 1e-3},
                {.name = "none", .unit = "none"}},
    .curve = "A by number",
    .curve_x = "number",
    .rounds = 6,
};

static void note(int pattern)
{
    for (int round = 0; round < 6; round++) {
        results_note(&results, pattern, 0, round, (double[]){10000 * (round + 1), 2000, NAN});
        results_note(&results, pattern, 1, round, (double[]){20000 * (round + 1), 4500, NAN});
    }
}

static char script[16384], data[4096];

static void take(const char *file, char *text, size_t size)
{
    FILE *f = fopen(file, "re");
    cr_assert_not_null(f, "%s", file);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
    unlink(file);
}

/* Without gnuplot. */
static void draw(void)
{
    char file[64], path[80];
    snprintf(file, sizeof(file), "/tmp/bench-plot-%d.svg", getpid());
    setenv("PATH", "/nowhere", 1);
    cr_assert(plot_write(&results, "a machine", file));
    cr_expect_eq(outputs_check(&(struct named_file){FILE_DRAWING, "--plot", file}, 1), 0);
    snprintf(path, sizeof(path), "%s.gp", file);
    take(path, script, sizeof(script));
    snprintf(path, sizeof(path), "%s.dat", file);
    take(path, data, sizeof(data));
}

Test(bench_plot, results_of_an_earlier_run_are_written_over)
{
    char file[64];
    note(0);
    snprintf(file, sizeof(file), "/tmp/bench-json-%d", getpid());
    runs_json_print(results_json(&results), file);
    cr_expect_eq(outputs_check(&(struct named_file){FILE_JSON, "--json", file}, 1), 0);
    unlink(file);
}

static int count(const char *text, const char *word)
{
    int n = 0;
    for (; (text = strstr(text, word)) != NULL; text++)
        n++;
    return n;
}

#define EXPECT_HOLDS(text, word) cr_expect_not_null(strstr(text, word), "%s: %s", word, text)

Test(bench_plot, one_place_is_a_bar_and_two_are_a_curve)
{
    note(0);
    draw();
    cr_expect_eq(count(script, "with boxxyerror"), 1);
    cr_expect_eq(count(script, "A by number"), 0);
    note(1);
    draw();
    cr_expect_eq(count(script, "with boxxyerror"), 0, "what is on the curve has no bars");
    cr_expect_eq(count(script, "with linespoints"), 2, "a line for each");
    EXPECT_HOLDS(script, "'A by number'");
    EXPECT_HOLDS(script, "set xlabel 'number (logarithmic scale)'\nset logscale x 2\n");
    EXPECT_HOLDS(script, "set xtics (1, 4)\n");
    EXPECT_HOLDS(script, "set ylabel 'thousand requests/s (higher is better)'\nset yrange [0:");
    EXPECT_HOLDS(script, "lt 2 title 'it''s 5 % `more`'");
    /* Place, median, interval, end, line type. */
    EXPECT_HOLDS(data, "# A by number: thousand requests/s (higher is better)\n");
    EXPECT_HOLDS(data, "\n1 35 10 60 60 1 # ours\n4 35 10 60 60 1 # ours\n");
    EXPECT_HOLDS(data, "\n\n\n# A by number: ");
    EXPECT_HOLDS(data, "\n1 70 20 120 120 2 # it's 5 % `more`\n");
}

Test(bench_plot, a_pattern_has_a_panel_for_each_figure)
{
    note(2);
    draw();
    cr_expect_eq(count(script, "'B 100 %'"), 2, "none for what was not measured");
    EXPECT_HOLDS(script, "'What A gives'");
    EXPECT_HOLDS(script, "'a machine'");
    EXPECT_HOLDS(script, "set xlabel 'thousand requests/s (higher is better)'");
    EXPECT_HOLDS(script, "set xlabel 'latency, µs (lower is better)'");
    EXPECT_HOLDS(script, "set label 'ours' at graph 0, first 0 right ");
    EXPECT_HOLDS(script, "set label 'it''s 5 % `more`' at graph 0, first 1 right ");
    EXPECT_HOLDS(script, "plot data index 1 using 2:1:");
    EXPECT_HOLDS(data, "# B 100 %: latency, µs (lower is better)\n# row, median, ");
    EXPECT_HOLDS(data, "\n0 2 2 2 2 1 # ours\n1 4.5 4.5 4.5 4.5 2 # it's 5 % `more`\n");
}

Test(bench_plot, whiskers_are_said_or_said_to_be_missing)
{
    note(2);
    draw();
    EXPECT_HOLDS(script, "Medians of 6 interleaved runs. Whiskers: 95 % confidence interval");
    results.rounds = 5;
    draw();
    EXPECT_HOLDS(script, "Medians of 5 interleaved runs; whiskers, the 95 % confidence interval "
                         "of the median, take 6 runs.");
    EXPECT_HOLDS(data, "\n0 30 nan nan 30 1 # ours\n");
}

Test(bench_plot, gnuplot_takes_it)
{
    static const char *const endings[] = {"svg", "png"};
    if (system("gnuplot --version >/dev/null 2>&1") != 0)
        cr_skip_test("gnuplot is not installed: apt-get install gnuplot-nox");
    for (int p = 0; p < 3; p++)
        note(p);
    for (int rounds = 6; rounds > 0; rounds -= 5) {
        for (int i = 0; i < 2; i++) {
            char file[64], begin[8] = "";
            results.rounds = rounds;
            snprintf(file, sizeof(file), "/tmp/bench-plot-%d.%s", getpid(), endings[i]);
            cr_expect(plot_write(&results, "a machine", file));
            take(file, begin, sizeof(begin));
            cr_expect_eq(strncmp(begin, i == 0 ? "<?xml" : "\x89PNG\r", 5), 0, "%s", file);
            strcat(file, ".gp");
            unlink(file);
            strcpy(strrchr(file, '.'), ".dat");
            unlink(file);
        }
    }
}
