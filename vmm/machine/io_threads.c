// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/io_threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/output/facts.h"
#include "vmm/config/config.h"
#include "vmm/report/stats.h"

struct io_thread {
    char name[CONFIG_THREAD_NAME_MAX + 1];
    struct evloop *loop;
};

struct io_threads {
    const struct vm_config *vm;
    struct io_thread *threads; /* the first is the main loop */
    unsigned count;
};

static int add(struct io_threads *t, const char *name, struct evloop *loop)
{
    struct io_thread *more = realloc(t->threads, (t->count + 1) * sizeof(*more));
    if (more == NULL)
        return fail(-ENOMEM, "I/O thread %s", name);
    t->threads = more;
    struct io_thread *thread = &more[t->count++];
    *thread = (struct io_thread){.loop = loop};
    memcpy(thread->name, name, strlen(name) + 1);
    return 0;
}

int io_threads_create(struct io_threads **out, struct evloop *main_loop, const struct vm_config *vm)
{
    struct io_threads *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return fail(-ENOMEM, "I/O threads");
    t->vm = vm;
    int r = add(t, IO_THREADS_MAIN, main_loop);
    if (r < 0) {
        free(t);
        return r;
    }
    *out = t;
    return 0;
}

void io_threads_destroy(struct io_threads *t)
{
    if (t == NULL)
        return;
    for (unsigned i = 1; i < t->count; i++)
        evloop_destroy(t->threads[i].loop);
    free(t->threads);
    free(t);
}

static int make(struct io_threads *t, const char *name, struct evloop **out)
{
    int r = evloop_create(out, name, &clock_host);
    if (r < 0)
        return r;
    if (t->vm->poll_given)
        evloop_poll_limit(*out, t->vm->poll_max_ns);
    r = add(t, name, *out);
    if (r < 0)
        evloop_destroy(*out);
    return r;
}

int io_threads_get(struct io_threads *t, const char *name, size_t len, struct evloop **out)
{
    char text[CONFIG_THREAD_NAME_MAX + 1] = "";
    memcpy(text, name, min_u64(len, CONFIG_THREAD_NAME_MAX));
    for (unsigned i = 0; i < t->count; i++) {
        if (strcmp(t->threads[i].name, text) == 0) {
            *out = t->threads[i].loop;
            return 0;
        }
    }
    return make(t, text, out);
}

int io_threads_start(struct io_threads *t)
{
    int r = 0;
    for (unsigned i = 1; r == 0 && i < t->count; i++)
        r = evloop_start_thread(t->threads[i].loop);
    return r;
}

void io_threads_stop(struct io_threads *t)
{
    for (unsigned i = 1; i < t->count; i++)
        evloop_stop_thread(t->threads[i].loop);
}

int io_threads_stats(struct io_threads *t, struct stats *s)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < t->count; i++)
        r = stats_add_loop(s, t->threads[i].name, t->threads[i].loop);
    return r;
}

static int thread_of_loop(void *arg)
{
    (void)arg;
    return gettid();
}

void io_threads_describe(struct io_threads *t, struct facts *f)
{
    facts_list(f, "loops");
    for (unsigned i = 0; i < t->count; i++) {
        struct evloop *loop = t->threads[i].loop;
        facts_group(f, NULL);
        facts_word(f, "name", t->threads[i].name);
        facts_word(f, "engine", evloop_engine(loop));
        facts_number(f, "thread", (unsigned)evloop_call(loop, thread_of_loop, NULL));
        facts_end(f);
    }
    facts_end(f);
}
