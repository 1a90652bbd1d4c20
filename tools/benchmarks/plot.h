// SPDX-License-Identifier: BSD-2-Clause
/*
 * Results as a plot (core/output/plot.h): bars of the contenders' medians with their intervals, a
 * panel for each pattern and figure; patterns that have a place on the curve are points of lines
 * instead.
 */
#ifndef MINIVET_BENCH_PLOT_H
#define MINIVET_BENCH_PLOT_H

#include "results.h"

/* The machine is said at the foot. False, and said: a file cannot be written, or gnuplot failed. */
bool plot_write(const struct results *r, const char *machine, const char *file);

#endif
