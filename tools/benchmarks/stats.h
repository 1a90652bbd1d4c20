// SPDX-License-Identifier: BSD-2-Clause
/* What can be said about figures of which some are far off: medians, and how sure they are. */
#ifndef MINIVET_BENCH_STATS_H
#define MINIVET_BENCH_STATS_H

#define RUNS_MAX     1000
#define STATS_DOUBT  0.05 /* that the true median is not in the interval */
#define STATS_FEWEST 6    /* values for an interval */

struct stats_interval {
    double low, high; /* NAN: fewer values than STATS_FEWEST */
};

/* At most RUNS_MAX values. */
double stats_median(const double *values, int n);
/* The value below which that part of them lies, 0 to 1. */
double stats_quantile(const double *values, int n, double part);
struct stats_interval stats_median_interval(const double *values, int n);

/* Pair by pair. */
void stats_ratios(double *ratios, const double *a, const double *b, int n);

#endif
