// SPDX-License-Identifier: BSD-2-Clause
#include "plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define LEFT    180.0 /* of the bars */
#define LENGTH  420.0
#define BAR     16.0
#define HEADING 30.0
#define WIDTH   720.0

static const char *const colours[] = {"#2b6cb0", "#c05621", "#2f855a", "#6b46c1", "#b7791f"};

static void put_text(FILE *f, double x, double y, const char *style, const char *text)
{
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, style);
    for (; *text != '\0'; text++) {
        if (*text == '<' || *text == '&')
            fprintf(f, "&#%d;", *text);
        else
            fputc(*text, f);
    }
    fputs("</text>\n", f);
}

static void put_bar(FILE *f, const struct results *r, int p, int c, double y, double scale)
{
    char value[64];
    double median = results_median(r, p, c, 0);
    struct stats_interval sure = stats_median_interval(r->samples[p][c][0], r->rounds);
    fprintf(f, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\"/>\n", LEFT,
            y, median * scale, BAR - 4,
            colours[(size_t)c % (sizeof(colours) / sizeof(colours[0]))]);
    double end = median;
    if (!isnan(sure.low)) {
        end = sure.high;
        fprintf(f, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#111\" stroke-width=\"2\"/>\n",
                LEFT + sure.low * scale, y + BAR / 2 - 2, LEFT + sure.high * scale);
    }
    snprintf(value, sizeof(value), median < 10000 ? "%.4g" : "%.0f", median);
    put_text(f, LEFT + end * scale + 6, y + BAR - 6, "", value);
    put_text(f, LEFT - 6, y + BAR - 6, " text-anchor=\"end\"", r->contenders[c].name);
}

/* Returns the height of what it has put; with no file it only measures. */
static double put_pattern(FILE *f, const struct results *r, int p, double y)
{
    double top = 0, height = HEADING;
    char title[256];
    for (int c = 0; r->contenders[c].name != NULL; c++) {
        if (r->took_part[p][c])
            top = fmax(top, fmax(results_median(r, p, c, 0),
                                 stats_median_interval(r->samples[p][c][0], r->rounds).high));
    }
    if (f != NULL) {
        snprintf(title, sizeof(title), "%s: %s", r->patterns[p].title, r->figures[0].title);
        put_text(f, 10, y + HEADING - 10, " font-weight=\"bold\"", title);
    }
    for (int c = 0; r->contenders[c].name != NULL; c++) {
        if (!r->took_part[p][c])
            continue;
        if (f != NULL)
            put_bar(f, r, p, c, y + height, top > 0 ? LENGTH / top : 0);
        height += BAR;
    }
    return height;
}

/* ---- a curve ---- */

#define CURVE_HEIGHT 220.0

static double curve_y(double top, double y, double value)
{
    return y + HEADING + (CURVE_HEIGHT - HEADING - 20) * (1 - value / top);
}

/* Logarithmic, from the first pattern that is on it to the last. */
static double curve_x(const struct results *r, double x)
{
    double first = INFINITY, last = 0;
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        if (r->patterns[p].x > 0 && results_has(r, p)) {
            first = fmin(first, r->patterns[p].x);
            last = fmax(last, r->patterns[p].x);
        }
    }
    return LEFT + LENGTH * (last > first ? log(x / first) / log(last / first) : 0);
}

/* With the intervals, upright. */
static void put_line(FILE *f, const struct results *r, int c, double y, double top, double *label)
{
    const char *colour = colours[(size_t)c % (sizeof(colours) / sizeof(colours[0]))];
    char style[64], line[1024];
    size_t len = 0;
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        if (r->patterns[p].x <= 0 || !r->took_part[p][c])
            continue;
        double x = curve_x(r, r->patterns[p].x);
        struct stats_interval sure = stats_median_interval(r->samples[p][c][0], r->rounds);
        len += (size_t)snprintf(line + len, sizeof(line) - len, "%c%.1f %.1f", len > 0 ? 'L' : 'M',
                                x, curve_y(top, y, results_median(r, p, c, 0)));
        if (!isnan(sure.low))
            fprintf(f, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#111\"/>\n", x,
                    curve_y(top, y, sure.low), curve_y(top, y, sure.high));
    }
    if (len == 0)
        return;
    fprintf(f, "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", line, colour);
    snprintf(style, sizeof(style), " fill=\"%s\"", colour);
    put_text(f, 10, *label += BAR - 2, style, r->contenders[c].name);
}

/* Fewer than two make no curve. */
static int curve_points(const struct results *r)
{
    int points = 0;
    for (int p = 0; r->patterns[p].name != NULL; p++)
        points += r->patterns[p].x > 0 && results_has(r, p);
    return points;
}

static double put_curve(FILE *f, const struct results *r, double y)
{
    double top = 0, label = y + HEADING;
    int points = curve_points(r);
    char text[256];
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        for (int c = 0; r->patterns[p].x > 0 && r->contenders[c].name != NULL; c++) {
            if (r->took_part[p][c])
                top = fmax(top, fmax(results_median(r, p, c, 0),
                                     stats_median_interval(r->samples[p][c][0], r->rounds).high));
        }
    }
    if (points < 2 || f == NULL)
        return points < 2 ? 0 : CURVE_HEIGHT;
    snprintf(text, sizeof(text), "%s: %s", r->curve, r->figures[0].title);
    put_text(f, 10, y + HEADING - 10, " font-weight=\"bold\"", text);
    fprintf(f, "<path d=\"M%.1f %.1fV%.1fH%.1f\" fill=\"none\" stroke=\"#666\"/>\n", LEFT,
            curve_y(top, y, top), curve_y(top, y, 0), LEFT + LENGTH);
    snprintf(text, sizeof(text), top < 10000 ? "%.4g" : "%.0f", top);
    put_text(f, LEFT - 6, curve_y(top, y, top) + 4, " text-anchor=\"end\"", text);
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        if (r->patterns[p].x <= 0 || !results_has(r, p))
            continue;
        snprintf(text, sizeof(text), "%g", r->patterns[p].x);
        put_text(f, curve_x(r, r->patterns[p].x), curve_y(top, y, 0) + 14,
                 " text-anchor=\"middle\"", text);
    }
    for (int c = 0; r->contenders[c].name != NULL; c++)
        put_line(f, r, c, y, top, &label);
    return CURVE_HEIGHT;
}

/* ---- everything ---- */

static double put_all(FILE *f, const struct results *r, double y)
{
    y += put_curve(f, r, y);
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        if (results_has(r, p) && (r->patterns[p].x <= 0 || curve_points(r) < 2))
            y += put_pattern(f, r, p, y);
    }
    return y;
}

bool plot_write(const struct results *r, const char *caption, const char *file)
{
    FILE *f = fopen(file, "we");
    if (f == NULL) {
        perror(file);
        return false;
    }
    double height = put_all(NULL, r, HEADING) + 10;
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "font-family=\"sans-serif\" font-size=\"11\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            WIDTH, height);
    put_text(f, 10, 18, " fill=\"#666\"", caption);
    put_all(f, r, HEADING);
    fputs("</svg>\n", f);
    bool ok = ferror(f) == 0;
    if (fclose(f) != 0 || !ok) {
        perror(file);
        return false;
    }
    return true;
}
