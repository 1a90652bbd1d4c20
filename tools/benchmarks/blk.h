// SPDX-License-Identifier: BSD-2-Clause
/* A pattern of `minivet bench blk`, and how fio runs it without a VM. */
#ifndef MINIVET_BENCH_BLK_H
#define MINIVET_BENCH_BLK_H

#include <stdbool.h>

#include "vmms.h"

struct blk_pattern {
    const char *name, *title;
    bool write, sequential;
    unsigned bytes, depth, gap_us; /* gap: pause between requests, for depth 1 */
};

/* Also a disk's figures, of each: NAN where one does not apply. */
enum blk_figure { IOPS, MB_S, P50_US, P99_US, CPU_US, KICKS };

/* On the same file, with io_uring. */
void blk_run_fio(const char *fio, const struct vmm_guest *g, double seconds,
                 const struct blk_pattern *p, double *figures);

#endif
