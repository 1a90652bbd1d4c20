// SPDX-License-Identifier: BSD-2-Clause
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(double *sorted, const double *values, int n)
{
    memcpy(sorted, values, (size_t)n * sizeof(sorted[0]));
    qsort(sorted, (size_t)n, sizeof(sorted[0]), by_value);
}

double stats_median(const double *values, int n)
{
    double sorted[RUNS_MAX];
    sort(sorted, values, n);
    return n % 2 != 0 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

double stats_quantile(const double *values, int n, double part)
{
    double sorted[RUNS_MAX];
    int below = (int)(n * part);
    sort(sorted, values, n);
    return sorted[below < n ? below : n - 1];
}

/* As many values are left out at both ends as are seldom enough on one side of the true median:
 * each is on either side by the toss of a coin, whatever they are distributed like. */
struct stats_interval stats_median_interval(const double *values, int n)
{
    double sorted[RUNS_MAX], exactly = ldexp(1, -n), at_most = exactly;
    int out = 0;
    if (2 * at_most > STATS_DOUBT)
        return (struct stats_interval){NAN, NAN};
    while (at_most * 2 <= STATS_DOUBT) {
        out++;
        exactly *= (double)(n - out + 1) / out;
        at_most += exactly;
    }
    sort(sorted, values, n);
    return (struct stats_interval){sorted[out - 1], sorted[n - out]};
}

void stats_ratios(double *ratios, const double *a, const double *b, int n)
{
    for (int i = 0; i < n; i++)
        ratios[i] = a[i] / b[i];
}
