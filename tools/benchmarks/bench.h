// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the programs behind `minivet bench` have in common: the command line, the VMMs that take
 * part, and rounds until the ratios are sure. Each run is a process of its own, so that one that
 * fails only leaves its VMM out.
 */
#ifndef MINIVET_BENCH_BENCH_H
#define MINIVET_BENCH_BENCH_H

#include "results.h"
#include "vmms.h"

/* A kernel's command line: its first program says that it is there, and runs a line of shell. */
#define BENCH_LINUX_SAYS "bench: init"
#define BENCH_LINUX(line)                                                                 \
    "console=ttyS0 quiet panic=-1 reboot=k rdinit=/bin/sh -- -c \"echo " BENCH_LINUX_SAYS \
    "; " line "\""

struct bench {
    struct results *results; /* patterns, figures and rounds at most; the rest is filled in */
    const char *about;       /* a line or more for --help */
    const char *notes;       /* a line or more above the table */
    /* One run. Fills the figures in, or ends the process with runs_die() or vm_give_up(). */
    void (*run)(const struct bench *b, const struct vmm *v, int pattern, double *figures);
    bool (*can)(const struct bench *b, const struct vmm *v, int pattern); /* NULL: all can */
    void (*prepare)(struct bench *b); /* before the first run; NULL: nothing is to be done */
    const struct vmm_way *ways;       /* up to one without a family; NULL: one for all VMMs */
    const char *vs[VMMS_MAX];         /* whom to compare with; none: qemu-microvm */
    const char *only;                 /* patterns to measure if none are chosen; NULL: all */
    const char *kernel, *initrd;      /* --kernel, --initrd, if `takes_kernel`: NULL without */
    const char *file;                 /* --file, if there is a `file_use` */
    const char *file_use;             /* what --help says of it */
    double seconds;                   /* --seconds; 0: there is no such option */
    bool takes_kernel;
    bool hardware; /* hardware virtualization, as `minivet check` says */
};

int bench_main(struct bench *b, int argc, char **argv);

/* The file of one of the guests that come with the benchmarks. */
const char *bench_guest(const char *name);

#endif
