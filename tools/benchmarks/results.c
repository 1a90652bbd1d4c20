// SPDX-License-Identifier: BSD-2-Clause
#include "results.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool results_choose(struct results *r, const char *only)
{
    bool any = false, exact = false;
    for (int p = 0; r->patterns[p].name != NULL; p++)
        exact |= strcmp(r->patterns[p].name, only) == 0;
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        r->patterns[p].chosen = strncmp(r->patterns[p].name, only, strlen(only) + exact) == 0;
        any |= r->patterns[p].chosen;
    }
    return any;
}

void results_note(struct results *r, int pattern, int contender, int round, const double *figures)
{
    if (r->samples == NULL)
        r->samples = calloc(RESULTS_PATTERNS, sizeof(r->samples[0]));
    if (r->samples == NULL)
        runs_die("memory for", "results");
    r->took_part[pattern][contender] = true;
    for (int f = 0; r->figures[f].name != NULL; f++)
        r->samples[pattern][contender][f][round] = figures[f];
}

bool results_has(const struct results *r, int pattern)
{
    bool any = false;
    for (int c = 0; c < RESULTS_CONTENDERS; c++)
        any |= r->took_part[pattern][c];
    return any;
}

double results_median(const struct results *r, int pattern, int contender, int figure)
{
    return stats_median(r->samples[pattern][contender][figure], r->rounds);
}

static double ratio(const struct results *r, int p, int c, int other, int f,
                    struct stats_interval *sure)
{
    double ratios[RUNS_MAX];
    stats_ratios(ratios, r->samples[p][c][f], r->samples[p][other][f], r->rounds);
    *sure = stats_median_interval(ratios, r->rounds);
    return stats_median(ratios, r->rounds);
}

/* Half of the interval's width, as a part of the median. */
static double doubt(const struct results *r, int p, int c, int other)
{
    struct stats_interval sure;
    double median = ratio(r, p, c, other, 0, &sure);
    return isnan(sure.low) ? INFINITY : (sure.high - sure.low) / 2 / median;
}

double results_doubt(const struct results *r)
{
    double worst = 0;
    int other;
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        for (int c = 0; r->patterns[p].chosen && r->contenders[c].name != NULL; c++) {
            for (int n = 0; r->took_part[p][c] && (other = r->rival(r, p, c, n)) >= 0; n++)
                worst = fmax(worst, doubt(r, p, c, other));
        }
    }
    return worst;
}

static const char *kind_of(const struct results *r, int contender)
{
    return r->contenders[contender].kind != NULL ? r->contenders[contender].kind : "";
}

int results_same_kind(const struct results *r, int p, int c, int n)
{
    for (int other = 0; r->contenders[c].ours && r->contenders[other].name != NULL; other++) {
        if (r->took_part[p][other] && !r->contenders[other].ours &&
            strcmp(kind_of(r, other), kind_of(r, c)) == 0 && n-- == 0)
            return other;
    }
    return -1;
}

/* ---- a table ---- */

static void print_figure(double figure)
{
    if (isnan(figure))
        printf(" %10s", "-");
    else
        printf(" %10.*f", figure >= 1000 ? 0 : figure >= 1 ? 2 : 3, figure);
}

static void print_interval(struct stats_interval sure)
{
    char text[32];
    int digits = sure.high >= 100 ? 0 : sure.high >= 10 ? 1 : 2;
    snprintf(text, sizeof(text), "%.*f-%.*f", digits, sure.low, digits, sure.high);
    printf(" %10s", isnan(sure.low) ? "-" : text);
}

static void print_ratios(const struct results *r, int p, int c)
{
    struct stats_interval sure[RESULTS_FIGURES];
    int other;
    for (int n = 0; (other = r->rival(r, p, c, n)) >= 0; n++) {
        if (n == 0)
            printf("  ratios of %s\n", r->contenders[c].name);
        printf("    to %-23s", r->contenders[other].name);
        for (int f = 0; r->figures[f].name != NULL; f++)
            print_figure(ratio(r, p, c, other, f, &sure[f]));
        putchar('\n');
        if (isnan(sure[0].low))
            continue;
        printf("      %-24s", "95 % interval");
        for (int f = 0; r->figures[f].name != NULL; f++)
            print_interval(sure[f]);
        putchar('\n');
    }
}

static void print_pattern(const struct results *r, int p)
{
    printf("\n%s (%s)\n%-30s", r->patterns[p].title, r->patterns[p].name, "");
    for (int f = 0; r->figures[f].name != NULL; f++)
        printf(" %10s", r->figures[f].title);
    putchar('\n');
    for (int c = 0; r->contenders[c].name != NULL; c++) {
        if (!r->took_part[p][c])
            continue;
        printf("  %-28s", r->contenders[c].name);
        for (int f = 0; r->figures[f].name != NULL; f++)
            print_figure(results_median(r, p, c, f));
        putchar('\n');
    }
    for (int c = 0; r->contenders[c].name != NULL; c++) {
        if (r->took_part[p][c])
            print_ratios(r, p, c);
    }
}

void results_print(const struct results *r)
{
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        if (results_has(r, p))
            print_pattern(r, p);
    }
}

/* ---- JSON ---- */

static void add_figures(cJSON *pattern, const struct results *r, int p, int c)
{
    cJSON *o = cJSON_AddObjectToObject(pattern, r->contenders[c].name);
    for (int f = 0; r->figures[f].name != NULL; f++) {
        if (!isnan(results_median(r, p, c, f)))
            runs_json_figure(o, r->figures[f].name, r->samples[p][c][f], r->rounds);
    }
}

static void add_ratios(cJSON *list, const struct results *r, int p, int c)
{
    int other;
    for (int n = 0; (other = r->rival(r, p, c, n)) >= 0; n++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddItemToArray(list, o);
        cJSON_AddStringToObject(o, "of", r->contenders[c].name);
        cJSON_AddStringToObject(o, "to", r->contenders[other].name);
        cJSON *intervals = cJSON_AddObjectToObject(o, "intervals");
        for (int f = 0; r->figures[f].name != NULL; f++) {
            struct stats_interval sure;
            double value = ratio(r, p, c, other, f, &sure);
            if (!isfinite(value))
                continue;
            cJSON_AddNumberToObject(o, r->figures[f].name, value);
            if (isfinite(sure.low) && isfinite(sure.high))
                cJSON_AddItemToObject(intervals, r->figures[f].name,
                                      cJSON_CreateDoubleArray((double[]){sure.low, sure.high}, 2));
        }
    }
}

cJSON *results_json(const struct results *r)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "bench", r->bench);
    cJSON_AddNumberToObject(root, "rounds", r->rounds);
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        if (!results_has(r, p))
            continue;
        cJSON *pattern = cJSON_AddObjectToObject(root, r->patterns[p].name);
        cJSON *ratios = cJSON_AddArrayToObject(pattern, "ratios");
        for (int c = 0; r->contenders[c].name != NULL; c++) {
            if (!r->took_part[p][c])
                continue;
            add_figures(pattern, r, p, c);
            add_ratios(ratios, r, p, c);
        }
    }
    return root;
}
