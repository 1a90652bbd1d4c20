// SPDX-License-Identifier: BSD-2-Clause
/* What benchmarks say about their samples, and when they have enough. */
#include <criterion/criterion.h>

#include <math.h>

#include "tools/benchmarks/results.h"

static double shuffled[40]; /* 1 to n */

static void shuffle(int n)
{
    for (int i = 0; i < n; i++)
        shuffled[i] = 1 + i * 7 % n; /* for an n that 7 does not divide */
}

Test(bench_stats, the_median_is_the_middle)
{
    shuffle(9);
    cr_expect_eq(stats_median(shuffled, 9), 5);
    shuffle(10);
    cr_expect_eq(stats_median(shuffled, 10), 5.5);
    cr_expect_eq(stats_median((double[]){3}, 1), 3);
}

Test(bench_stats, a_quantile_has_its_part_below)
{
    shuffle(10);
    cr_expect_eq(stats_quantile(shuffled, 10, 0), 1);
    cr_expect_eq(stats_quantile(shuffled, 10, 0.5), 6);
    cr_expect_eq(stats_quantile(shuffled, 10, 0.9), 10);
    cr_expect_eq(stats_quantile(shuffled, 10, 1), 10);
}

/* Ranks as tables of the sign test have them, for 95 %. */
Test(bench_stats, the_interval_has_the_ranks_of_the_sign_test)
{
    static const struct {
        int n;
        double low, high;
    } rows[] = {{6, 1, 6},   {8, 1, 8},   {9, 2, 8},   {10, 2, 9},
                {15, 4, 12}, {20, 6, 15}, {40, 14, 27}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shuffle(rows[i].n);
        struct stats_interval sure = stats_median_interval(shuffled, rows[i].n);
        cr_expect_eq(sure.low, rows[i].low, "%d: %g", rows[i].n, sure.low);
        cr_expect_eq(sure.high, rows[i].high, "%d: %g", rows[i].n, sure.high);
    }
}

Test(bench_stats, few_samples_make_no_interval)
{
    shuffle(5);
    struct stats_interval sure = stats_median_interval(shuffled, 5);
    cr_expect(isnan(sure.low) && isnan(sure.high));
}

Test(bench_stats, the_most_samples_make_one)
{
    static double same[RUNS_MAX];
    for (int i = 0; i < RUNS_MAX; i++)
        same[i] = i;
    struct stats_interval sure = stats_median_interval(same, RUNS_MAX);
    cr_expect_eq(sure.low, 468); /* the 469th and the 532nd */
    cr_expect_eq(sure.high, 531);
}

Test(bench_stats, ratios_are_pair_by_pair)
{
    double ratios[3];
    stats_ratios(ratios, (double[]){1, 20, 3}, (double[]){2, 40, 6}, 3);
    cr_expect(ratios[0] == 0.5 && ratios[1] == 0.5 && ratios[2] == 0.5);
}

static struct results results = {
    .patterns = {{.name = "one", .chosen = true}, {.name = "other", .chosen = true}},
    .contenders = {{"ours", true, NULL},
                   {"theirs", false, ""},
                   {"absent", false, NULL},
                   {"unlike", false, "kind"}},
    .figures = {{.name = "figure"}},
    .rival = results_same_kind,
};

static void note(int rounds, double spread)
{
    for (int i = 0; i < rounds; i++) {
        results_note(&results, 0, 0, i, (double[]){100 + spread * (i % 2 != 0 ? 1 : -1)});
        results_note(&results, 0, 1, i, (double[]){100});
        results_note(&results, 0, 3, i, (double[]){50.0 + i});
    }
    results.rounds = rounds;
}

Test(bench_stats, doubt_is_half_of_the_interval)
{
    note(20, 5);
    cr_expect_float_eq(results_doubt(&results), 0.05, 1e-9);
    note(20, 0);
    cr_expect_eq(results_doubt(&results), 0);
    note(5, 0);
    cr_expect(isinf(results_doubt(&results)));
}

Test(bench_stats, who_was_absent_or_is_of_another_kind_is_no_rival)
{
    note(6, 0);
    cr_expect_eq(results_same_kind(&results, 0, 0, 0), 1);
    cr_expect_eq(results_same_kind(&results, 0, 0, 1), -1);
    cr_expect_eq(results_same_kind(&results, 0, 1, 0), -1);
    cr_expect(results_has(&results, 0) && !results_has(&results, 1));
}
