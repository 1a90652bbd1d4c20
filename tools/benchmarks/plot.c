// SPDX-License-Identifier: BSD-2-Clause
/* A sheet: a title, panels in rows, and at its foot what whiskers are and on which machine. */
#include "plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/base/text.h"
#include "core/output/plot.h"

/* Pixels. */
#define WIDTH       960.0 /* at least */
#define EDGE        20.0
#define GRAPH       424.0 /* at least */
#define HEAD        52.0
#define FOOT        64.0
#define ABOVE       44.0 /* a panel's graph: its title */
#define BELOW       64.0 /* numbers and what they are */
#define BAR         30.0
#define CURVE       260.0
#define LETTER      8.6 /* of a name */
#define FOOT_LETTER 6.5
#define FOR_VALUE   56.0 /* right of bars */
#define FOR_KEY     96.0 /* right of a curve, beside names */

#define WHISKER "with vectors heads size screen 0.004,90 fixed lw 1.5"
#define SMALL   "font ',11' textcolor rgb '#444444'"

struct panel {
    int pattern, figure; /* pattern -1: the curve */
};

struct sheet {
    struct plot plot;
    const struct results *r;
    const char *machine;
    struct panel panels[1 + RESULTS_PATTERNS * RESULTS_FIGURES];
    int count, columns, blocks;
    char label[256]; /* of the panel's figure */
};

/* A figure as its plots have it. */
struct bar {
    double median;
    struct stats_interval sure;
};

static struct bar bar_of(const struct results *r, int p, int c, int f)
{
    double scale = r->figures[f].scale != 0 ? r->figures[f].scale : 1;
    struct stats_interval sure = stats_median_interval(r->samples[p][c][f], r->rounds);
    return (struct bar){results_median(r, p, c, f) * scale, {sure.low * scale, sure.high * scale}};
}

static bool on_curve(const struct results *r, int p)
{
    return r->patterns[p].x > 0 && results_has(r, p);
}

static bool in_panel(const struct sheet *s, const struct panel *panel, int p, int c)
{
    if (!s->r->took_part[p][c] || isnan(results_median(s->r, p, c, panel->figure)))
        return false;
    return panel->pattern == p || (panel->pattern < 0 && on_curve(s->r, p));
}

/* How many bars it has, and where the longest ends. */
static int extent(const struct sheet *s, const struct panel *panel, double *top)
{
    int count = 0;
    *top = 0;
    for (int p = 0; s->r->patterns[p].name != NULL; p++) {
        for (int c = 0; s->r->contenders[c].name != NULL; c++) {
            if (!in_panel(s, panel, p, c))
                continue;
            struct bar bar = bar_of(s->r, p, c, panel->figure);
            *top = fmax(*top, fmax(bar.median, bar.sure.high));
            count++;
        }
    }
    return count;
}

/* ---- layout ---- */

static void add_panel(struct sheet *s, int p, int f)
{
    double top;
    s->panels[s->count] = (struct panel){p, f};
    s->count += extent(s, &s->panels[s->count], &top) > 0;
}

/* Fewer than two points make no curve. */
static void choose_panels(struct sheet *s)
{
    int points = 0;
    for (int p = 0; s->r->patterns[p].name != NULL; p++)
        points += on_curve(s->r, p);
    if (points >= 2)
        add_panel(s, -1, 0);
    for (int p = 0; s->r->patterns[p].name != NULL; p++) {
        unsigned figures = s->r->patterns[p].plotted != 0 ? s->r->patterns[p].plotted : 1;
        for (int f = 0; f < RESULTS_FIGURES && (points < 2 || !on_curve(s->r, p)); f++) {
            if ((figures & 1u << f) != 0)
                add_panel(s, p, f);
        }
    }
    s->columns = s->count > 3 ? 2 : 1;
}

static double panel_height(const struct sheet *s, int i)
{
    double top;
    return ABOVE + BELOW +
           (s->panels[i].pattern < 0 ? CURVE : BAR * extent(s, &s->panels[i], &top));
}

/* From panel i on; a curve has a row of its own. Returns how many there are. */
static int row(const struct sheet *s, int i, double *height)
{
    int count = s->panels[i].pattern < 0 ? 1 : s->columns;
    *height = 0;
    if (count > s->count - i)
        count = s->count - i;
    for (int n = 0; n < count; n++)
        *height = fmax(*height, panel_height(s, i + n));
    return count;
}

/* What the longest name takes. */
static double name_width(const struct results *r)
{
    size_t most = 0;
    for (int c = 0; r->contenders[c].name != NULL; c++)
        most = strlen(r->contenders[c].name) > most ? strlen(r->contenders[c].name) : most;
    return LETTER * (double)most;
}

/* ---- panels ---- */

/* Many in thousands or millions, so that numbers stay short. */
static double put_label(struct sheet *s, char axis, int f, double top)
{
    double divisor = top >= 2e6 ? 1e6 : top >= 2e4 ? 1e3 : 1;
    snprintf(s->label, sizeof(s->label), "%s%s%s%s (%s is better)",
             s->r->figures[f].label != NULL ? s->r->figures[f].label : "",
             s->r->figures[f].label != NULL ? ", " : "",
             divisor == 1     ? ""
             : divisor == 1e3 ? "thousand "
                              : "million ",
             s->r->figures[f].unit, s->r->figures[f].more_is_better ? "higher" : "lower");
    fprintf(s->plot.script, "set %clabel ", axis);
    plot_text(&s->plot, s->label);
    fprintf(s->plot.script, "\nset %crange [0:%g]\n", axis,
            top > 0 ? top / divisor * (axis == 'x' ? 1.12 : 1.06) : 1);
    return divisor;
}

static void put_row(const struct sheet *s, double place, struct bar bar, double divisor, int c)
{
    double end = isnan(bar.sure.high) ? bar.median : fmax(bar.median, bar.sure.high);
    fprintf(s->plot.data, "%g %.9g %.9g %.9g %.9g %d # ", place, bar.median / divisor,
            bar.sure.low / divisor, bar.sure.high / divisor, end / divisor, c + 1);
    text_print(s->plot.data, s->r->contenders[c].name);
    fputc('\n', s->plot.data);
}

static void put_title(struct sheet *s, const char *title)
{
    fputs("set label ", s->plot.script);
    plot_text(&s->plot, title);
    fputs(" at graph 0, graph 1 offset 0, 0.9 font 'sans-serif Bold,14'\n", s->plot.script);
}

/* A block of the file with numbers is found by its index. */
static int begin_block(struct sheet *s, const char *title, const char *place)
{
    fputs(s->blocks > 0 ? "\n\n# " : "# ", s->plot.data);
    text_print(s->plot.data, title);
    fprintf(s->plot.data, ": %s\n# %s, median, its 95 %% interval, end, line type # contender\n",
            s->label, place);
    return s->blocks++;
}

static void put_bars(struct sheet *s, const struct panel *panel)
{
    FILE *script = s->plot.script;
    const char *title = s->r->patterns[panel->pattern].title;
    double top;
    int n = 0, count = extent(s, panel, &top);
    put_title(s, title);
    double divisor = put_label(s, 'x', panel->figure, top);
    int block = begin_block(s, title, "row");
    fprintf(script, "set yrange [%g:-0.5]\nunset ytics\n", count - 0.5);
    for (int c = 0; s->r->contenders[c].name != NULL; c++) {
        if (!in_panel(s, panel, panel->pattern, c))
            continue;
        plot_row(&s->plot, s->r->contenders[c].name, n);
        put_row(s, n++, bar_of(s->r, panel->pattern, c, panel->figure), divisor, c);
    }
    fprintf(script,
            "plot data index %d using 2:1:(0):2:($1-0.36):($1+0.36):6 with boxxyerror lc variable "
            "lw 1 notitle, \\\n"
            "  '' index %d using 3:1:($4-$3):(0) " WHISKER " lc rgb '#000000' notitle, \\\n"
            "  '' index %d using 5:1:(short($2)) with labels left offset 0.8, 0 notitle\n",
            block, block, block);
}

/* The line of a contender. */
static void put_line(struct sheet *s, const struct panel *panel, int c, double divisor)
{
    const struct results *r = s->r;
    int block = -1;
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        if (!in_panel(s, panel, p, c))
            continue;
        if (block < 0)
            block = begin_block(s, r->curve, r->curve_x);
        put_row(s, r->patterns[p].x, bar_of(r, p, c, panel->figure), divisor, c);
    }
    if (block < 0)
        return;
    fprintf(s->plot.script, "%s  data index %d using 1:2 with linespoints lt %d title ",
            block > 0 ? ", \\\n" : "", block, c + 1);
    plot_text(&s->plot, r->contenders[c].name);
    fprintf(s->plot.script, ", \\\n  '' index %d using 1:3:(0):($4-$3) " WHISKER " lt %d notitle",
            block, c + 1);
}

/* On top of the sheet, so that its blocks are the first. */
static void put_curve(struct sheet *s, const struct panel *panel)
{
    const struct results *r = s->r;
    FILE *script = s->plot.script;
    double top, first = INFINITY, last = 0;
    extent(s, panel, &top);
    put_title(s, r->curve);
    double divisor = put_label(s, 'y', panel->figure, top);
    fputs("set xlabel ", script);
    char text[128];
    snprintf(text, sizeof(text), "%s (logarithmic scale)", r->curve_x);
    plot_text(&s->plot, text);
    fputs("\nset logscale x 2\nset key outside right center Left reverse spacing 1.2\nset xtics (",
          script);
    for (int p = 0; r->patterns[p].name != NULL; p++) {
        if (!on_curve(r, p))
            continue;
        fprintf(script, "%s%g", last > 0 ? ", " : "", r->patterns[p].x);
        first = fmin(first, r->patterns[p].x);
        last = fmax(last, r->patterns[p].x);
    }
    fprintf(script, ")\nset xrange [%g:%g]\nplot ", first / 1.15, last * 1.15);
    for (int c = 0; r->contenders[c].name != NULL; c++)
        put_line(s, panel, c, divisor);
    fputs("\nunset logscale\nunset key\nset xtics autofreq\nset yrange [*:*]\nunset ylabel\n"
          "set xrange [*:*]\n",
          script);
}

/* ---- the sheet ---- */

static void put_notes(struct sheet *s)
{
    char text[256];
    if (s->r->rounds < STATS_FEWEST)
        snprintf(text, sizeof(text),
                 "Medians of %d interleaved runs; whiskers, the 95 %% confidence interval of the "
                 "median, take %d runs.",
                 s->r->rounds, STATS_FEWEST);
    else
        snprintf(text, sizeof(text),
                 "Medians of %d interleaved runs. Whiskers: 95 %% confidence interval of the "
                 "median.",
                 s->r->rounds);
    plot_note(&s->plot, s->r->title, EDGE, HEAD / 2, PLOT_TITLE);
    plot_note(&s->plot, text, EDGE, s->plot.height - FOOT * 0.6, SMALL);
    plot_note(&s->plot, s->machine, EDGE, s->plot.height - FOOT * 0.3, SMALL);
}

/* The panel whose corner is there. */
static void put_panel(struct sheet *s, int i, double left, double top)
{
    const struct panel *panel = &s->panels[i];
    bool curve = panel->pattern < 0;
    double right = left + s->plot.width / (curve ? 1 : s->columns);
    plot_frame(&s->plot, left + EDGE + name_width(s->r),
               right - (curve ? FOR_KEY + name_width(s->r) : FOR_VALUE), top + ABOVE,
               top + panel_height(s, i) - BELOW);
    (curve ? put_curve : put_bars)(s, panel);
    fputs("unset label\n", s->plot.script);
}

static void put_panels(struct sheet *s)
{
    double top = HEAD, height;
    fputs("set multiplot\nunset key\n", s->plot.script);
    for (int i = 0, count; i < s->count; i += count) {
        count = row(s, i, &height);
        for (int n = 0; n < count; n++)
            put_panel(s, i + n, n * s->plot.width / s->columns, top);
        top += height;
    }
    fputs("unset multiplot\n", s->plot.script);
}

bool plot_write(const struct results *r, const char *machine, const char *file)
{
    struct sheet s = {.r = r, .machine = machine};
    double width, height = HEAD + FOOT, more;
    choose_panels(&s);
    width = fmax(WIDTH, FOOT_LETTER * (double)strlen(machine) + 2 * EDGE);
    width = fmax(width, s.columns * (EDGE + name_width(r) + GRAPH + FOR_VALUE));
    for (int i = 0; i < s.count; height += more)
        i += row(&s, i, &more);
    if (plot_open(&s.plot, file) < 0)
        return false;
    plot_begin(&s.plot, width, height);
    put_notes(&s);
    put_panels(&s);
    return plot_finish(&s.plot) == 0;
}
