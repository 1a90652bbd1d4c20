// SPDX-License-Identifier: BSD-2-Clause
#include "results.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
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
    r->took_part[pattern][contender] = true;
    for (int f = 0; r->figures[f].name != NULL; f++)
        r->samples[pattern][contender][f][round] = figures[f];
}

double results_median(const struct results *r, int pattern, int contender, int figure)
{
    return runs_median(r->samples[pattern][contender][figure], r->rounds);
}

static double ratio(const struct results *r, int p, int c, int other, int f)
{
    return runs_median_ratio(r->samples[p][c][f], r->samples[p][other][f], r->rounds);
}

/* ---- a table ---- */

static void print_figure(double figure)
{
    if (isnan(figure))
        printf(" %10s", "-");
    else
        printf(" %10.*f", figure >= 1000 ? 0 : figure >= 1 ? 2 : 3, figure);
}

static void print_ratios(const struct results *r, int p, int c)
{
    int other;
    for (int n = 0; (other = r->rival(r, p, c, n)) >= 0; n++) {
        if (n == 0)
            printf("  ratios of %s\n", r->contenders[c].name);
        printf("    to %-19s", r->contenders[other].name);
        for (int f = 0; r->figures[f].name != NULL; f++)
            print_figure(ratio(r, p, c, other, f));
        putchar('\n');
    }
}

static void print_pattern(const struct results *r, int p)
{
    printf("\n%s (%s)\n%-26s", r->patterns[p].title, r->patterns[p].name, "");
    for (int f = 0; r->figures[f].name != NULL; f++)
        printf(" %10s", r->figures[f].title);
    putchar('\n');
    for (int c = 0; r->contenders[c].name != NULL; c++) {
        if (!r->took_part[p][c])
            continue;
        printf("  %-24s", r->contenders[c].name);
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
        if (r->patterns[p].chosen)
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
        for (int f = 0; r->figures[f].name != NULL; f++) {
            double value = ratio(r, p, c, other, f);
            if (isfinite(value))
                cJSON_AddNumberToObject(o, r->figures[f].name, value);
        }
    }
}

cJSON *results_json(const struct results *r)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "bench", r->bench);
    cJSON_AddNumberToObject(root, "rounds", r->rounds);
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        if (!r->patterns[p].chosen)
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
