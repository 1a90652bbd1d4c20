// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/observe/strict.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "virtio/observe/strict_impl.h"

#define DETAIL_BYTES 160
#define WHERE_BYTES  32

static const struct virtio_rule rules[STRICT_RULES] = {
#define X(name, section, text) [STRICT_##name] = {section, text},
    STRICT_RULE_LIST(X)
#undef X
};

const struct virtio_rule *strict_rule_info(const struct virtio_device_type *type, unsigned rule)
{
    return rule < STRICT_RULES ? &rules[rule] : &type->rules[rule - STRICT_RULES];
}

static unsigned rule_count(const struct virtio_device *dev)
{
    return STRICT_RULES + dev->cfg.type->rule_count;
}

/* ---- events ---- */

static void on_event(struct virtio_observer *o, const struct virtio_event *e)
{
    struct virtio_strict *s = container_of(o, struct virtio_strict, observer);
    if (e->kind == VIRTIO_ON_ACCESS)
        strict_check(s, e->access);
    else if (e->kind == VIRTIO_ON_BAD_VECTOR)
        strict_dev_report(s, STRICT_PCI_VECTOR, "%llu", (unsigned long long)e->value);
    else if (e->kind == VIRTIO_ON_BAD_WINDOW)
        strict_dev_report(s, STRICT_PCI_WINDOW, "offset %#llx", (unsigned long long)e->value);
    else if (e->kind == VIRTIO_ON_LOAD)
        s->loaded = true;
    else if (e->queue != NULL)
        strict_ring_event(&s->queues[e->queue->index], e);
}

struct virtio_strict *virtio_strict_of(const struct virtio_device *dev)
{
    struct virtio_observer *o = virtio_observer_find(dev, on_event);
    return o != NULL ? container_of(o, struct virtio_strict, observer) : NULL;
}

/* ---- reports ---- */

/* Row 0 is for what concerns no queue. */
static _Atomic uint64_t *counter(const struct virtio_strict *s, unsigned row, unsigned rule)
{
    return &s->counts[(size_t)row * rule_count(s->dev) + rule];
}

static void name_queue(char where[WHERE_BYTES], int queue)
{
    where[0] = '\0';
    if (queue >= 0)
        snprintf(where, WHERE_BYTES, "queue %d: ", queue);
}

void strict_report(struct virtio_device *dev, int queue, unsigned rule, const char *fmt, ...)
{
    struct virtio_strict *s = virtio_strict_of(dev);
    if (s == NULL)
        return;
    bool has_queue = queue >= 0 && (unsigned)queue < s->queue_count;
    unsigned row = has_queue ? (unsigned)queue + 1 : 0;
    uint64_t before = atomic_fetch_add(counter(s, row, rule), 1);
    if (before >= STRICT_BURST)
        return;
    char detail[DETAIL_BYTES], where[WHERE_BYTES];
    name_queue(where, (int)row - 1);
    va_list args;
    va_start(args, fmt);
    vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);
    /* At the level that no option hides: the user asked for it. */
    const struct virtio_rule *info = strict_rule_info(dev->cfg.type, rule);
    log_error("strict: %s: %sVIRTIO 1.4 %s: %s: %s%s", dev->setup.name, where, info->section,
              info->text, detail, before == STRICT_BURST - 1 ? " (more are only counted)" : "");
}

uint64_t virtio_strict_count(const struct virtio_device *dev, unsigned rule)
{
    const struct virtio_strict *s = virtio_strict_of(dev);
    uint64_t sum = 0;
    for (unsigned row = 0; s != NULL && row <= s->queue_count; row++)
        sum += atomic_load(counter(s, row, rule));
    return sum;
}

uint64_t virtio_strict_total(const struct virtio_device *dev)
{
    uint64_t sum = 0;
    for (unsigned rule = 0; rule < rule_count(dev); rule++)
        sum += virtio_strict_count(dev, rule);
    return sum;
}

void virtio_strict_summary(const struct virtio_device *dev)
{
    const struct virtio_strict *s = virtio_strict_of(dev);
    if (s == NULL)
        return;
    if (virtio_strict_total(dev) == 0)
        log_error("strict: %s: nothing to report", dev->setup.name);
    for (unsigned row = 0; row <= s->queue_count; row++)
        for (unsigned rule = 0; rule < rule_count(dev); rule++) {
            uint64_t times = atomic_load(counter(s, row, rule));
            const struct virtio_rule *info = strict_rule_info(dev->cfg.type, rule);
            char where[WHERE_BYTES];
            name_queue(where, (int)row - 1);
            if (times > 0)
                log_error("strict: %s: %llu in all: %sVIRTIO 1.4 %s: %s", dev->setup.name,
                          (unsigned long long)times, where, info->section, info->text);
        }
}

/* ---- life ---- */

static void destroy(struct virtio_observer *o)
{
    struct virtio_strict *s = container_of(o, struct virtio_strict, observer);
    pthread_mutex_destroy(&s->lock);
    free(s->descs);
    free(s->chains);
    free(s->counts);
    free(s);
}

int virtio_strict_watch(struct virtio_device *dev)
{
    size_t queues = dev->cfg.queue_count, size_max = dev->setup.queue_size_max;
    struct virtio_strict *s = calloc(1, sizeof(*s) + queues * sizeof(s->queues[0]));
    if (s == NULL)
        return fail(-ENOMEM, "virtio %s: driver monitor", dev->setup.name);
    pthread_mutex_init(&s->lock, NULL);
    s->observer =
        (struct virtio_observer){.event = on_event, .destroy = destroy, .sees = VIRTIO_SEES_KICKS};
    s->dev = dev;
    s->queue_count = (unsigned)queues;
    s->counts = calloc((queues + 1) * rule_count(dev), sizeof(*s->counts));
    s->descs = calloc(queues * size_max, sizeof(*s->descs));
    s->chains = calloc(queues * size_max, sizeof(*s->chains));
    if (s->counts == NULL || s->descs == NULL || s->chains == NULL) {
        destroy(&s->observer);
        return fail(-ENOMEM, "virtio %s: driver monitor", dev->setup.name);
    }
    for (unsigned i = 0; i < queues; i++)
        s->queues[i] = (struct strict_queue){
            .dev = dev,
            .index = i,
            .config.size = dev->setup.queue_size_max,
            .descs = &s->descs[i * size_max],
            .chains = &s->chains[i * size_max],
        };
    virtio_observer_add(dev, &s->observer);
    return 0;
}
