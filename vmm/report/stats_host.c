// SPDX-License-Identifier: BSD-2-Clause
/* What a run took of the host: exits, threads, memory, and what the hypervisor says of it. */
#include <cJSON.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/base/xmath.h"
#include "vmm/report/stats.h"

/* ---- tables ---- */

/* The longest first; of those that took no time, the most frequent. */
static int by_time(const void *a, const void *b)
{
    const struct exits_row *x = a, *y = b;
    if (x->total_ns != y->total_ns)
        return x->total_ns < y->total_ns ? 1 : -1;
    return (x->count < y->count) - (x->count > y->count);
}

static void print_exits(const struct exits *x, FILE *out)
{
    char total[16], mean[16], max[16];
    struct exits_row rows[EXITS_ROWS];
    for (unsigned i = 0; i < x->count; i++)
        rows[i] = x->rows[i];
    qsort(rows, x->count, sizeof(rows[0]), by_time);
    fprintf(out, "%-15s %-24s %9s %8s %8s %8s\n", "exit", "device", "count", "total", "mean",
            "max");
    for (unsigned i = 0; i < x->count; i++) {
        const struct exits_row *r = &rows[i];
        fprintf(out, "%-15s %-24s %9" PRIu64 " %8s %8s %8s\n", r->kind,
                r->device != NULL ? stats_shown_name(r->device) : "", r->count,
                stats_format_ns(total, r->total_ns),
                stats_format_ns(mean, r->total_ns / max_u64(r->count, 1)),
                stats_format_ns(max, r->max_ns));
    }
    fprintf(out, "vCPUs: %s in the hypervisor, %s outside\n", stats_format_ns(total, x->inside_ns),
            stats_format_ns(mean, x->outside_ns));
}

static void print_usage(const struct usage *u, FILE *out)
{
    char cpu[16], other[16];
    fprintf(out, "%-15s %8s %8s %9s %9s\n", "thread", "CPU", "waited", "faults", "major");
    for (unsigned i = 0; i < u->count; i++) {
        const struct usage_thread *t = &u->threads[i];
        fprintf(out, "%-15s %8s %8s %9" PRIu64 " %9" PRIu64 "\n", t->name,
                stats_format_ns(cpu, t->cpu_ns), stats_format_ns(other, t->waited_ns),
                t->minor_faults, t->major_faults);
    }
    fprintf(out,
            "process: %s user, %s system; %" PRIu64 " page faults, %" PRIu64
            " of them from disk; %" PRIu64 " sleeps, %" PRIu64
            " preemptions; at most %.1f MiB resident\n",
            stats_format_ns(cpu, u->user_ns), stats_format_ns(other, u->system_ns),
            u->minor_faults + u->major_faults, u->major_faults, u->sleeps, u->preemptions,
            (double)u->max_rss_bytes / (double)MIB);
}

void stats_print_host(const struct stats *s, FILE *out)
{
    if (s->exits.count > 0)
        print_exits(&s->exits, out);
    if (s->usage.count > 0)
        print_usage(&s->usage, out);
    for (unsigned i = 0; i < s->hv_count; i++) {
        if (s->hv[i].value != 0)
            fprintf(out, "kvm %-28s %12" PRIu64 "\n", s->hv[i].name, s->hv[i].value);
    }
}

/* ---- JSON ---- */

struct figure {
    const char *name;
    uint64_t value;
};

static bool add_figures(cJSON *to, const struct figure *figures, unsigned count)
{
    bool ok = to != NULL;
    for (unsigned i = 0; ok && i < count; i++)
        ok = cJSON_AddNumberToObject(to, figures[i].name, (double)figures[i].value) != NULL;
    return ok;
}

/* A new object at the array's end; NULL: out of memory. */
static cJSON *add_row(cJSON *array)
{
    cJSON *row = cJSON_CreateObject();
    if (cJSON_AddItemToArray(array, row))
        return row;
    cJSON_Delete(row);
    return NULL;
}

static bool add_exits(cJSON *top, const struct exits *x)
{
    const struct figure sums[] = {{"inside_ns", x->inside_ns}, {"outside_ns", x->outside_ns}};
    bool ok = add_figures(cJSON_AddObjectToObject(top, "vcpus"), sums, ARRAY_SIZE(sums));
    cJSON *array = cJSON_AddArrayToObject(top, "exits");
    for (unsigned i = 0; ok && i < x->count; i++) {
        const struct exits_row *r = &x->rows[i];
        const struct figure figures[] = {
            {"count", r->count}, {"total_ns", r->total_ns}, {"max_ns", r->max_ns}};
        cJSON *row = add_row(array);
        ok = cJSON_AddStringToObject(row, "exit", r->kind) != NULL &&
             (r->device == NULL || cJSON_AddStringToObject(row, "device", r->device) != NULL) &&
             add_figures(row, figures, ARRAY_SIZE(figures));
    }
    return ok && array != NULL;
}

static bool add_usage(cJSON *top, const struct usage *u)
{
    const struct figure process[] = {{"user_ns", u->user_ns},
                                     {"system_ns", u->system_ns},
                                     {"minor_faults", u->minor_faults},
                                     {"major_faults", u->major_faults},
                                     {"sleeps", u->sleeps},
                                     {"preemptions", u->preemptions},
                                     {"max_rss_bytes", u->max_rss_bytes}};
    bool ok = add_figures(cJSON_AddObjectToObject(top, "process"), process, ARRAY_SIZE(process));
    cJSON *array = cJSON_AddArrayToObject(top, "threads");
    for (unsigned i = 0; ok && i < u->count; i++) {
        const struct usage_thread *t = &u->threads[i];
        const struct figure figures[] = {{"cpu_ns", t->cpu_ns},
                                         {"waited_ns", t->waited_ns},
                                         {"minor_faults", t->minor_faults},
                                         {"major_faults", t->major_faults}};
        cJSON *row = add_row(array);
        ok = cJSON_AddStringToObject(row, "name", t->name) != NULL &&
             add_figures(row, figures, ARRAY_SIZE(figures));
    }
    return ok && array != NULL;
}

bool stats_add_host(cJSON *top, const struct stats *s)
{
    cJSON *hv = cJSON_AddObjectToObject(top, "kvm");
    bool ok = hv != NULL && add_exits(top, &s->exits) && add_usage(top, &s->usage);
    for (unsigned i = 0; ok && i < s->hv_count; i++)
        ok = cJSON_AddNumberToObject(hv, s->hv[i].name, (double)s->hv[i].value) != NULL;
    return ok;
}
