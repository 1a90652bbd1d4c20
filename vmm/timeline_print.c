// SPDX-License-Identifier: BSD-2-Clause
/* The timeline as a table, as JSON, as Chrome's trace events and as a drawing. */
#include <cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"
#include "core/xmath.h"
#include "vmm/timeline.h"

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

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* ---- a table ---- */

static void print_table(const struct timeline_event *e, unsigned count, FILE *out)
{
    char name[NAME_BYTES];
    int width = (int)strlen("event");
    for (unsigned i = 0; i < count; i++)
        width = (int)max_u64((uint64_t)width, strlen(name_of(&e[i], name)));
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

/* ---- a drawing: a line a phase, a bar where it lies ---- */

#define SVG_LEFT  300
#define SVG_WIDTH 600
#define SVG_LINE  20

static void print_escaped(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (strchr("<>&", *text) != NULL)
            fprintf(out, "&#%d;", *text);
        else
            fputc(*text, out);
    }
}

static void print_svg(const struct timeline_event *e, unsigned count, FILE *out)
{
    static const char *const colours[] = {[TIMELINE_SETUP] = "#4878a8",
                                          [TIMELINE_GUEST] = "#4f9a4f",
                                          [TIMELINE_TEARDOWN] = "#b0703c"};
    double whole = (double)max_u64(e[count - 1].ns - e[0].ns, 1);
    unsigned width = SVG_LEFT + SVG_WIDTH + 120, height = (count + 1) * SVG_LINE;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" "
            "font-family=\"sans-serif\" font-size=\"13\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"10\" y=\"15\" font-weight=\"bold\">Boot timeline: %.3f ms, "
            "%.3f ms of processor time</text>\n",
            width, height, ms(e[count - 1].ns - e[0].ns), ms(e[count - 1].cpu_ns));
    for (unsigned i = 1; i < count; i++) {
        char name[NAME_BYTES];
        double x = SVG_LEFT + SVG_WIDTH * (double)(e[i - 1].ns - e[0].ns) / whole;
        double w = SVG_WIDTH * (double)(e[i].ns - e[i - 1].ns) / whole;
        unsigned y = i * SVG_LINE;
        fprintf(out, "<text x=\"10\" y=\"%u\">", y + 15);
        print_escaped(name_of(&e[i], name), out);
        fprintf(out,
                "</text><rect x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>"
                "<text x=\"%.1f\" y=\"%u\">%.3f ms</text>\n",
                x, y + 3, w > 1 ? w : 1, SVG_LINE - 6, colours[e[i].part], x + w + 6, y + 15,
                ms(e[i].ns - e[i - 1].ns));
    }
    fputs("</svg>\n", out);
}

int timeline_print(const struct timeline_event *events, unsigned count, enum timeline_format format,
                   FILE *out)
{
    switch (format) {
    case TIMELINE_JSON:
    case TIMELINE_TRACE:
        return print_json(events, count, format == TIMELINE_TRACE, out);
    case TIMELINE_SVG:
        print_svg(events, count, out);
        return 0;
    case TIMELINE_TABLE:
    case TIMELINE_UNKNOWN:
        break;
    }
    print_table(events, count, out);
    return 0;
}
