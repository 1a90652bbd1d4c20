// SPDX-License-Identifier: BSD-2-Clause
/* The timeline as a table, as JSON, as Chrome's trace events and as a plot. */
#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/output/plot.h"
#include "vmm/report/timeline.h"

#define NAME_BYTES 48 /* a longer one is cut */

static const char *const parts[] = {
    [TIMELINE_SETUP] = "set-up", [TIMELINE_GUEST] = "guest", [TIMELINE_TEARDOWN] = "tear-down"};

/* A mark may hold anything that an argument may. */
static const char *name_of(const struct timeline_event *e, char text[NAME_BYTES])
{
    if (e->code >= 0)
        snprintf(text, NAME_BYTES, "port 0x80: 0x%02x", (unsigned)e->code);
    else
        snprintf(text, NAME_BYTES, "%s", e->name);
    for (char *c = text; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    return text;
}

static int name_width(const struct timeline_event *e, unsigned count)
{
    char name[NAME_BYTES];
    size_t width = strlen("event");
    for (unsigned i = 0; i < count; i++)
        width = max_u64(width, strlen(name_of(&e[i], name)));
    return (int)width;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* ---- a table ---- */

static void print_table(const struct timeline_event *e, unsigned count, FILE *out)
{
    char name[NAME_BYTES];
    int width = name_width(e, count);
    fprintf(out, "%-9s  %-*s %12s %12s %12s\n", "part", width, "event", "at ms", "took ms",
            "CPU ms");
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "%-9s  %-*s %12.3f", parts[e[i].part], width, name_of(&e[i], name),
                ms(e[i].ns - e[0].ns));
        if (i > 0)
            fprintf(out, " %12.3f %12.3f", ms(e[i].ns - e[i - 1].ns),
                    ms(e[i].cpu_ns - e[i - 1].cpu_ns));
        fputc('\n', out);
    }
}

/* ---- JSON ---- */

/* A new object at the array's end; NULL: out of memory. */
static cJSON *add_object(cJSON *array)
{
    cJSON *object = cJSON_CreateObject();
    if (cJSON_AddItemToArray(array, object))
        return object;
    cJSON_Delete(object);
    return NULL;
}

static bool add_event(cJSON *array, const struct timeline_event *first,
                      const struct timeline_event *e)
{
    char name[NAME_BYTES];
    cJSON *row = add_object(array);
    return row != NULL && cJSON_AddStringToObject(row, "event", name_of(e, name)) != NULL &&
           cJSON_AddStringToObject(row, "part", parts[e->part]) != NULL &&
           cJSON_AddNumberToObject(row, "ns", (double)(e->ns - first->ns)) != NULL &&
           cJSON_AddNumberToObject(row, "cpu_ns", (double)e->cpu_ns) != NULL;
}

/* The phase that ends with e[0], as a "complete" event; times are in microseconds. */
static bool add_slice(cJSON *array, const struct timeline_event *first,
                      const struct timeline_event *e)
{
    char name[NAME_BYTES];
    cJSON *row = add_object(array);
    cJSON *args = cJSON_AddObjectToObject(row, "args");
    return args != NULL && cJSON_AddStringToObject(row, "name", name_of(e, name)) != NULL &&
           cJSON_AddStringToObject(row, "cat", parts[e->part]) != NULL &&
           cJSON_AddStringToObject(row, "ph", "X") != NULL &&
           cJSON_AddNumberToObject(row, "pid", 1) != NULL &&
           cJSON_AddNumberToObject(row, "tid", e->part + 1) != NULL &&
           cJSON_AddNumberToObject(row, "ts", (double)(e[-1].ns - first->ns) / 1e3) != NULL &&
           cJSON_AddNumberToObject(row, "dur", (double)(e->ns - e[-1].ns) / 1e3) != NULL &&
           cJSON_AddNumberToObject(args, "cpu_ms", ms(e->cpu_ns - e[-1].cpu_ns)) != NULL;
}

/* A viewer shows each part as a thread of that name. */
static bool add_part(cJSON *array, unsigned part)
{
    cJSON *row = add_object(array);
    cJSON *args = cJSON_AddObjectToObject(row, "args");
    return args != NULL && cJSON_AddStringToObject(row, "name", "thread_name") != NULL &&
           cJSON_AddStringToObject(row, "ph", "M") != NULL &&
           cJSON_AddNumberToObject(row, "pid", 1) != NULL &&
           cJSON_AddNumberToObject(row, "tid", part + 1) != NULL &&
           cJSON_AddStringToObject(args, "name", parts[part]) != NULL;
}

static int print_json(const struct timeline_event *e, unsigned count, bool trace, FILE *out)
{
    cJSON *top = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(top, trace ? "traceEvents" : "events");
    bool ok = array != NULL;
    for (unsigned i = 0; trace && ok && i < ARRAY_SIZE(parts); i++)
        ok = add_part(array, i);
    for (unsigned i = trace ? 1 : 0; ok && i < count; i++)
        ok = (trace ? add_slice : add_event)(array, e, &e[i]);
    char *text = ok ? cJSON_PrintUnformatted(top) : NULL;
    if (text != NULL)
        fprintf(out, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(top);
    return text != NULL ? 0 : fail(-ENOMEM, "--timeline");
}

/* ---- a plot: a row a phase, a bar where it lies ---- */

/* Pixels. */
#define WIDTH   1040.0
#define EDGE    30.0
#define ROW     24.0
#define LETTER  8.6  /* of a name, left of the bars */
#define ABOVE   92.0 /* title and key */
#define BELOW   64.0
#define LONG_MS 10000.0 /* from then on in seconds */

/* The parts' line types; the key gets them from lines that are nowhere. */
static void put_phases(const struct timeline_event *e, unsigned count, const struct plot *plot,
                       const char *unit)
{
    char name[NAME_BYTES];
    double second = unit[0] == 's' ? 1e9 : 1e6;
    fprintf(plot->data, "# row, from, to (%s), line type, CPU time (%s) # phase\n", unit, unit);
    for (unsigned i = 1; i < count; i++) {
        plot_row(plot, name_of(&e[i], name), (int)i);
        fprintf(plot->data, "%u %.9g %.9g %d %.9g # %s\n", i,
                (double)(e[i - 1].ns - e[0].ns) / second, (double)(e[i].ns - e[0].ns) / second,
                e[i].part + 1, (double)(e[i].cpu_ns - e[i - 1].cpu_ns) / second, name);
    }
    fputs("plot data using 2:1:2:3:($1-0.34):($1+0.34):4 with boxxyerror lc variable lw 1 "
          "notitle",
          plot->script);
    for (unsigned i = 0; i < ARRAY_SIZE(parts); i++)
        fprintf(plot->script, ", \\\n  NaN with boxes lt %u title '%s'", i + 1, parts[i]);
    fprintf(plot->script,
            ", \\\n  data using 3:1:(sprintf('%%.3f %s', $3-$2)) with labels left offset 0.8, 0 "
            "font ',11' notitle\n",
            unit);
}

void timeline_plot(const struct timeline_event *e, unsigned count, struct plot *plot)
{
    double took = ms(e[count - 1].ns - e[0].ns), cpu = ms(e[count - 1].cpu_ns);
    bool is_long = took >= LONG_MS;
    const char *unit = is_long ? "s" : "ms";
    double scale = is_long ? 1e-3 : 1, bottom = ABOVE + ROW * (count - 1);
    char title[128];
    snprintf(title, sizeof(title), "Boot timeline: %.3f %s, %.3f %s of processor time",
             took * scale, unit, cpu * scale, unit);
    plot_begin(plot, WIDTH, bottom + BELOW);
    plot_note(plot, title, EDGE, ABOVE / 3, PLOT_TITLE);
    plot_frame(plot, EDGE + LETTER * name_width(e, count), WIDTH - EDGE, ABOVE, bottom);
    fprintf(plot->script,
            "set key at graph 0, graph 1 left bottom horizontal Left reverse samplen 1\n"
            "unset ytics\nset xlabel 'time since the process started, %s'\n"
            "set xrange [0:%.9g]\nset yrange [%g:0.5]\n",
            unit, (took > 0 ? took : 1) * scale * 1.13, count - 0.5);
    put_phases(e, count, plot, unit);
}

int timeline_print(const struct timeline_event *events, unsigned count, enum timeline_format format,
                   FILE *out)
{
    switch (format) {
    case TIMELINE_JSON:
    case TIMELINE_TRACE:
        return print_json(events, count, format == TIMELINE_TRACE, out);
    case TIMELINE_TABLE:
    case TIMELINE_PLOT:
    case TIMELINE_UNKNOWN:
        break;
    }
    print_table(events, count, out);
    return 0;
}
