// SPDX-License-Identifier: BSD-2-Clause
/* What contenders have made of patterns, in figures, and how they compare: a table, or JSON. */
#ifndef MINIVET_BENCH_RESULTS_H
#define MINIVET_BENCH_RESULTS_H

#include <stdbool.h>

#include "runs.h"

#define RESULTS_PATTERNS   16
#define RESULTS_CONTENDERS 12
#define RESULTS_FIGURES    8

struct results {
    const char *bench, *title;
    struct {
        const char *name, *title;
        bool chosen;
        double x;                 /* its place on the curve of all that have one; 0: none */
        unsigned plotted;         /* figures in its plots, a bit each; 0: the first */
    } patterns[RESULTS_PATTERNS]; /* each of these ends where a name is missing */
    struct {
        const char *name;
        bool ours;
        const char *kind; /* compared are those of one kind; none is one, too */
    } contenders[RESULTS_CONTENDERS];
    struct {
        const char *name, *title;
        /* In plots. */
        const char *label, *unit; /* no label: the unit says it all */
        double scale;             /* what makes it that unit; 0: it is */
        bool more_is_better;
    } figures[RESULTS_FIGURES];
    const char *curve, *curve_x; /* what grows along it */
    int rounds;
    /* The n-th with whom a contender is compared in that pattern, or -1. */
    int (*rival)(const struct results *r, int pattern, int contender, int n);

    /* NULL before the first; a pattern each. */
    double (*samples)[RESULTS_CONTENDERS][RESULTS_FIGURES][RUNS_MAX];
    bool took_part[RESULTS_PATTERNS][RESULTS_CONTENDERS];
};

/* The pattern of that name, or all that begin so. */
bool results_choose(struct results *r, const char *only);

/* A figure that does not apply is NAN. */
void results_note(struct results *r, int pattern, int contender, int round, const double *figures);

/* Whether anybody took part in the pattern. */
bool results_has(const struct results *r, int pattern);

double results_median(const struct results *r, int pattern, int contender, int figure);

/* Ours have all others of their kind for rivals. */
int results_same_kind(const struct results *r, int pattern, int contender, int n);

/* How far the first figure's ratios may be off, as a part of them; INFINITY: unknown. */
double results_doubt(const struct results *r);

void results_print(const struct results *r);
/* Of which the words that say what was measured are the caller's; to runs_json_print(). */
struct cJSON *results_json(const struct results *r);

#endif
