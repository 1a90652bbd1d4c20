// SPDX-License-Identifier: BSD-2-Clause
/* What `minivet bench blk` compares, and the two ways to run a pattern: with a guest, and with fio.
 */
#ifndef MINIVET_BENCH_BLK_H
#define MINIVET_BENCH_BLK_H

#include <stdbool.h>
#include <stdint.h>

struct pattern {
    const char *name, *title;
    bool write, sequential;
    unsigned bytes, depth, gap_us; /* gap: pause between requests, for depth 1 */
};

enum figure { IOPS, MB_S, P50_US, P99_US, CPU_US, KICKS, FIGURES };

/* The same for all. */
struct load {
    const char *file;
    bool direct; /* around the page cache */
    double seconds;
    uint64_t requests;
    const char *minivet, *qemu, *fio, *guest; /* programs; NULL: not installed */
};

enum maker { MINIVET, QEMU, FIO };

struct contender {
    const char *name;
    enum maker vmm;
    const char *aio;     /* QEMU's way to the file */
    const char *variant; /* not the default: taken only on request */
    bool packed, null;   /* the ring; a disk that stores nothing */
    bool asked_for, present;
};

/* One run. A figure that does not apply is NAN. */
void blk_run_vm(const struct load *l, const struct contender *c, const struct pattern *p,
                double figures[FIGURES]);
void blk_run_fio(const struct load *l, const struct pattern *p, double figures[FIGURES]);

#endif
