// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/report/timeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/output/own_file.h"
#include "core/output/plot.h"
#include "vmm/report/usage.h"

#define CODES      256
#define MAX_EVENTS (CODES + TIMELINE_MARKS + 32) /* 32: those that are in the source */

/*
 * Linux's own lines, as they have been since 4.17. `quiet` hides all of them; what is
 * not printed is not in the timeline.
 */
static const struct {
    const char *text, *name;
} linux_lines[] = {
    {"Linux version ", "Linux's first line"},
    {"initramfs...", "unpacking the initramfs"},
    {"Freeing initrd memory", "initramfs unpacked"},
    {" as init process", "init started"},
};

struct pattern {
    const char *text, *name;
    bool seen;
};

struct timeline {
    FILE *out;   /* NULL: it is a plot */
    char *table; /* for standard error */
    size_t table_bytes;
    struct plot plot;
    enum timeline_format format;
    _Atomic unsigned count;
    struct timeline_event events[MAX_EVENTS];
    atomic_bool codes[CODES]; /* seen */
    /* The console's thread. */
    bool printed;
    unsigned pattern_count;
    struct pattern patterns[ARRAY_SIZE(linux_lines) + TIMELINE_MARKS];
    size_t kept;
    char text[4 * TIMELINE_MARK_BYTES]; /* the end of what was printed, then what is new */
};

static uint64_t cpu_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct timeline_event timeline_now(enum timeline_part part, const char *name)
{
    return (struct timeline_event){.name = name,
                                   .code = -1,
                                   .part = part,
                                   .ns = clock_now_ns(&clock_host),
                                   .cpu_ns = cpu_now_ns()};
}

/* ---- adding ---- */

static void add(struct timeline *t, struct timeline_event event)
{
    unsigned n = atomic_fetch_add(&t->count, 1);
    BUG_ON(n >= MAX_EVENTS);
    t->events[n] = event;
}

void timeline_add(struct timeline *t, enum timeline_part part, const char *name)
{
    if (t != NULL)
        add(t, timeline_now(part, name));
}

void timeline_code(struct timeline *t, uint8_t code)
{
    if (t == NULL || atomic_exchange(&t->codes[code], true))
        return;
    struct timeline_event event = timeline_now(TIMELINE_GUEST, "");
    event.code = code;
    add(t, event);
}

static void look(struct timeline *t, size_t len)
{
    for (unsigned i = 0; i < t->pattern_count; i++) {
        struct pattern *p = &t->patterns[i];
        if (p->seen || memmem(t->text, len, p->text, strlen(p->text)) == NULL)
            continue;
        p->seen = true;
        timeline_add(t, TIMELINE_GUEST, p->name);
    }
}

void timeline_console(struct timeline *t, const uint8_t *data, size_t len)
{
    if (t == NULL || len == 0)
        return;
    if (!t->printed)
        timeline_add(t, TIMELINE_GUEST, "first console output");
    t->printed = true;
    while (len > 0) {
        size_t n = min_u64(len, sizeof(t->text) - t->kept);
        memcpy(t->text + t->kept, data, n);
        t->kept += n;
        look(t, t->kept);
        size_t keep = min_u64(t->kept, TIMELINE_MARK_BYTES - 1); /* a text may be in two pieces */
        memmove(t->text, t->text + t->kept - keep, keep);
        t->kept = keep;
        data += n;
        len -= n;
    }
}

/* ---- life ---- */

/*
 * When this process began. No clock of the host's tells finer than 10 ms. But until main it was one
 * thread, which ran or waited for a processor, and both times are kept to the nanosecond. What it
 * waited for a disk to bring the program is not in them: it began no later than this.
 */
static struct timeline_event process_start(const struct timeline_event *began)
{
    uint64_t waited_ns = usage_waited_ns();
    struct timeline_event now = timeline_now(TIMELINE_SETUP, "");
    uint64_t since_ns = now.ns - began->ns, ran_ns = now.cpu_ns - began->cpu_ns;
    uint64_t later_ns = since_ns > ran_ns ? since_ns - ran_ns : 0; /* it may have waited since */
    struct timeline_event start = {
        .name = "process started",
        .code = -1,
        .part = TIMELINE_SETUP,
        .ns = began->ns - began->cpu_ns - (waited_ns > later_ns ? waited_ns - later_ns : 0),
    };
    return start;
}

static int open_files(struct timeline *t, const char *path)
{
    if (t->format == TIMELINE_PLOT)
        return plot_open(&t->plot, path);
    int fd = path != NULL ? own_file_open(AT_FDCWD, path, O_WRONLY | O_TRUNC, 0666) : -1;
    if (path != NULL && fd < 0)
        return fail(fd, "--timeline=%s", path);
    t->out = path != NULL ? fdopen(fd, "w") : open_memstream(&t->table, &t->table_bytes);
    return t->out != NULL ? 0 : fail(-errno, "--timeline=%s", path);
}

int timeline_create(struct timeline **out, const char *path, const char *const *marks,
                    const struct timeline_event *began)
{
    struct timeline *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return fail(-ENOMEM, "--timeline");
    t->format = timeline_format_of(path);
    int r = open_files(t, path);
    if (r < 0) {
        free(t);
        return r;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(linux_lines); i++)
        t->patterns[t->pattern_count++] =
            (struct pattern){.text = linux_lines[i].text, .name = linux_lines[i].name};
    for (unsigned i = 0; i < TIMELINE_MARKS && marks[i] != NULL; i++)
        t->patterns[t->pattern_count++] = (struct pattern){.text = marks[i], .name = marks[i]};
    add(t, process_start(began));
    add(t, *began);
    timeline_add(t, TIMELINE_SETUP, "options parsed");
    *out = t;
    return 0;
}

static int by_time(const void *a, const void *b)
{
    const struct timeline_event *x = a, *y = b;
    return (x->ns > y->ns) - (x->ns < y->ns);
}

void timeline_finish(struct timeline *t)
{
    if (t == NULL)
        return;
    unsigned count = atomic_load(&t->count);
    qsort(t->events, count, sizeof(t->events[0]), by_time);
    if (t->format == TIMELINE_PLOT) {
        timeline_plot(t->events, count, &t->plot);
        (void)plot_finish(&t->plot);
    } else if (timeline_print(t->events, count, t->format, t->out) == 0 &&
               (fflush(t->out) != 0 || ferror(t->out))) {
        fail(-errno, "--timeline: write");
    }
    if (t->out != NULL)
        fclose(t->out);
    if (t->table != NULL) /* a stalled reader does not block it */
        log_write(t->table, t->table_bytes);
    free(t->table);
    free(t);
}
