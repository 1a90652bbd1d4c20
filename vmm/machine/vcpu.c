// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/vcpu.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/loop/may_block.h"
#include "core/loop/workpool.h"
#include "core/output/facts.h"
#include "core/ports/bus.h"
#include "vmm/report/exits.h"
#include "vmm/report/timeline.h"

struct vcpu {
    struct vcpus *group;
    struct hv_vcpu *hv;
    unsigned id;
    pthread_t thread;
    bool started;              /* its thread */
    atomic_bool ended;         /* the vCPU, which cannot go on */
    _Atomic pid_t tid;         /* of the thread, once it runs */
    bool dumped;               /* and which has said where it is */
    struct timeline *timeline; /* until the first exit; only the first vCPU's counts */
    uint64_t entered_ns;       /* when it last went into the hypervisor, if exits are counted */
    struct hv_exit exit;       /* its accesses that are left, if a stop came between them */
    struct exits exits;

    /* For vcpus_look(). */
    atomic_bool look;
    _Atomic uint64_t looks, accesses; /* each by its own thread */
    _Atomic int doing;
};

struct vcpus {
    struct vcpus_config config;
    atomic_bool stop;
    struct vcpu vcpu[];
};

/*
 * A string instruction repeats on one port and walks through the data. Each of its accesses may
 * wait for a loop: a stop comes between them, and a start goes on with the rest.
 */
static void access_port(struct vcpu *v, struct hv_exit *e)
{
    for (; e->count > 0 && !atomic_load(&v->group->stop); e->count--) {
        bus_access(v->group->config.pio, e->addr, e->data, e->width, e->is_write);
        e->data = (uint8_t *)e->data + e->width;
    }
}

static bool has_accesses_left(const struct vcpu *v)
{
    return v->exit.reason == HV_EXIT_PIO && v->exit.count > 0;
}

/* At once: what is in the exit's own page is still there. */
static void dump(struct vcpu *v, const struct hv_exit *e)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL)
        return;
    v->group->config.hv->vcpu_dump(v->hv, e, out);
    fclose(out);
    log_lines(LOG_ERROR, text);
    free(text);
    v->dumped = true;
}

/* Returns whether the vCPU can go on; if not, why not is in *end. */
static bool handle_exit(struct vcpu *v, struct hv_exit *e, enum power_event *end)
{
    const struct vcpus_config *c = &v->group->config;
    switch (e->reason) {
    case HV_EXIT_INTERRUPTED:
        return true;
    case HV_EXIT_PIO:
        access_port(v, e);
        return true;
    case HV_EXIT_MMIO:
        bus_access(c->mmio, e->addr, e->data, e->width, e->is_write);
        return true;
    case HV_EXIT_RESET:
        *end = POWER_RESET;
        return false;
    case HV_EXIT_POWER_OFF:
        *end = POWER_OFF;
        return false;
    case HV_EXIT_CRASH:
        log_error("the guest reports a crash (vCPU %u)", v->id);
        *end = POWER_PANIC;
        return false;
    case HV_EXIT_SHUTDOWN:
        log_error("the guest triple-faulted (vCPU %u)", v->id);
        *end = POWER_PANIC;
        return false;
    case HV_EXIT_HALT: /* the in-kernel interrupt controller never gives it */
    case HV_EXIT_ENTRY_FAILED:
    case HV_EXIT_INTERNAL_ERROR:
    case HV_EXIT_UNKNOWN:
        break;
    }
    log_error("vCPU %u cannot go on", v->id);
    dump(v, e);
    *end = POWER_FAULT;
    return false;
}

static const char *taker(const struct vcpus_config *c, const struct hv_exit *e)
{
    if (e->reason == HV_EXIT_PIO)
        return bus_name_at(c->pio, e->addr);
    return e->reason == HV_EXIT_MMIO ? bus_name_at(c->mmio, e->addr) : NULL;
}

/* The same, with a look at the clock before and after it. */
static bool handle_and_count(struct vcpu *v, struct hv_exit *e, enum power_event *end)
{
    const struct vcpus_config *c = &v->group->config;
    if (c->clock == NULL)
        return handle_exit(v, e, end);
    uint64_t left_ns = clock_now_ns(c->clock);
    const char *device = taker(c, e); /* before it may move */
    bool goes_on = handle_exit(v, e, end);
    uint64_t inside_ns = left_ns - v->entered_ns;
    v->entered_ns = clock_now_ns(c->clock);
    exits_count(&v->exits, e, device, inside_ns, v->entered_ns - left_ns);
    return goes_on;
}

static void first_exit(struct vcpu *v)
{
    timeline_add(v->timeline, TIMELINE_GUEST, "first exit");
    v->timeline = NULL;
}

/* Own thread: between two runs its state may be read at once. */
static void look_at(struct vcpu *v)
{
    const struct hv *hv = v->group->config.hv;
    if (v->exit.reason != HV_EXIT_INTERRUPTED)
        atomic_fetch_add_explicit(&v->accesses, 1, memory_order_relaxed);
    if (!atomic_load_explicit(&v->look, memory_order_relaxed) || !atomic_exchange(&v->look, false))
        return;
    atomic_store(&v->doing, hv->vcpu_doing != NULL ? hv->vcpu_doing(v->hv) : HV_DOES_WELL);
    atomic_fetch_add(&v->looks, 1);
}

static void *vcpu_thread(void *arg)
{
    struct vcpu *v = arg;
    struct vcpus *g = v->group;
    const struct hv *hv = g->config.hv;
    enum power_event end = POWER_FAULT;

    may_block_forbid();
    atomic_store_explicit(&v->tid, gettid(), memory_order_relaxed);
    hv->vcpu_bind_thread(v->hv);
    thread_role_enter(THREAD_VCPU);
    timeline_add(v->timeline, TIMELINE_SETUP, "first KVM_RUN");
    if (g->config.clock != NULL)
        v->entered_ns = clock_now_ns(g->config.clock);
    while (!atomic_load(&g->stop)) {
        int r = has_accesses_left(v) ? 0 : hv->vcpu_run(v->hv, &v->exit);
        if (r < 0)
            log_error("vCPU %u: run: %s", v->id, strerror(-r));
        if (v->timeline != NULL)
            first_exit(v);
        if (r < 0 || !handle_and_count(v, &v->exit, &end)) {
            atomic_store(&v->ended, true);
            power_request(&g->config.power, end, 0);
            return NULL;
        }
        if (g->config.is_watched)
            look_at(v);
    }
    if (!has_accesses_left(v))
        hv->vcpu_complete(v->hv);
    return NULL;
}

int vcpus_create(struct vcpus **out, const struct vcpus_config *config)
{
    BUG_ON(config->count == 0 || config->count > HV_MAX_VCPUS);
    struct vcpus *g = calloc(1, sizeof(*g) + config->count * sizeof(g->vcpu[0]));
    if (g == NULL)
        return fail(-ENOMEM, "vCPUs");
    g->config = *config;
    g->vcpu[0].timeline = config->timeline;
    for (unsigned i = 0; i < config->count; i++) {
        g->vcpu[i].group = g;
        g->vcpu[i].id = i;
        int r = config->hv->vcpu_create(&g->vcpu[i].hv, config->vm, i);
        if (r < 0) {
            vcpus_destroy(g);
            return r;
        }
    }
    *out = g;
    return 0;
}

void vcpus_destroy(struct vcpus *g)
{
    if (g == NULL)
        return;
    vcpus_stop(g);
    for (unsigned i = g->config.count; i-- > 0;) {
        if (g->vcpu[i].hv != NULL)
            g->config.hv->vcpu_destroy(g->vcpu[i].hv);
    }
    free(g);
}

struct hv_vcpu *vcpus_get(struct vcpus *g, unsigned id)
{
    return g->vcpu[id].hv;
}

int vcpus_start(struct vcpus *g)
{
    atomic_store(&g->stop, false);
    for (unsigned i = 0; i < g->config.count; i++) {
        struct vcpu *v = &g->vcpu[i];
        char name[16];
        if (atomic_load(&v->ended))
            continue;
        snprintf(name, sizeof(name), "vcpu%u", i);
        /* Its signals are blocked; vcpu_bind_thread() unblocks the one that kicks. */
        int r = thread_start(&v->thread, name, vcpu_thread, v);
        if (r < 0)
            return fail(r, "vCPU %u: thread", i);
        v->started = true;
    }
    return 0;
}

void vcpus_stop(struct vcpus *g)
{
    atomic_store(&g->stop, true);
    for (unsigned i = 0; i < g->config.count; i++) {
        if (g->vcpu[i].started)
            g->config.hv->vcpu_kick(g->vcpu[i].hv);
    }
    for (unsigned i = 0; i < g->config.count; i++) {
        if (g->vcpu[i].started)
            pthread_join(g->vcpu[i].thread, NULL);
        g->vcpu[i].started = false;
    }
}

void vcpus_pause(struct vcpus *g)
{
    vcpus_stop(g);
    for (unsigned i = 0; g->config.hv->vcpu_paused != NULL && i < g->config.count; i++)
        g->config.hv->vcpu_paused(g->vcpu[i].hv);
}

void vcpus_print(struct vcpus *g, unsigned max, FILE *out)
{
    const struct hv_exit was_stopped = {.reason = HV_EXIT_INTERRUPTED};
    unsigned shown = 0;
    for (unsigned i = 0; i < g->config.count; i++) {
        const struct vcpu *v = &g->vcpu[i];
        bool shows = v->ended || shown < max;
        if (shows && !v->dumped)
            g->config.hv->vcpu_dump(v->hv, v->ended ? &v->exit : &was_stopped, out);
        shown += shows;
    }
    if (shown < g->config.count)
        fprintf(out, "and %u other vCPUs, which -v shows\n", g->config.count - shown);
}

bool vcpus_triple_faulted(const struct vcpus *g)
{
    bool any = false;
    for (unsigned i = 0; i < g->config.count; i++)
        any |= g->vcpu[i].ended && g->vcpu[i].exit.reason == HV_EXIT_SHUTDOWN;
    return any;
}

void vcpus_exits(const struct vcpus *g, struct exits *sum)
{
    for (unsigned i = 0; i < g->config.count; i++)
        exits_add(sum, &g->vcpu[i].exits);
}

void vcpus_describe(const struct vcpus *g, struct facts *f)
{
    facts_list(f, "cpus");
    for (unsigned i = 0; i < g->config.count; i++) {
        const struct vcpu *v = &g->vcpu[i];
        facts_group(f, NULL);
        facts_number(f, "cpu", i);
        facts_word(f, "state", atomic_load(&v->ended) ? "ended" : v->started ? "runs" : "paused");
        if (v->started)
            facts_number(f, "thread", (unsigned)atomic_load(&v->tid));
        facts_end(f);
    }
    facts_end(f);
}

void vcpus_look(struct vcpus *g, struct vcpu_look *looks)
{
    for (unsigned i = 0; i < g->config.count; i++) {
        struct vcpu *v = &g->vcpu[i];
        looks[i] = (struct vcpu_look){
            .looks = atomic_load(&v->looks),
            .accesses = atomic_load_explicit(&v->accesses, memory_order_relaxed),
            .doing = atomic_load(&v->doing),
        };
        atomic_store(&v->look, true);
        g->config.hv->vcpu_kick(v->hv);
    }
}
