// SPDX-License-Identifier: BSD-2-Clause
/* Results as a picture: a bar for each contender's first figure, with the interval of its median.
 */
#ifndef MINIVET_BENCH_PLOT_H
#define MINIVET_BENCH_PLOT_H

#include "results.h"

/* False, and said: the file cannot be written. */
bool plot_write(const struct results *r, const char *caption, const char *file);

#endif
