// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/report/stats.h"

#include <cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "virtio/base/device.h"

#define NAME_MAX_WIDTH 24 /* of a longer one the end is shown: it is a path, mostly */

static int read_loop(void *arg)
{
    struct stats_loop *l = arg;
    evloop_stats(l->loop, &l->stats);
    return 0;
}

int stats_add_loop(struct stats *s, const char *name, struct evloop *loop)
{
    struct stats_loop *more = realloc(s->loops, (s->loop_count + 1) * sizeof(*more));
    if (more == NULL)
        return fail(-ENOMEM, "statistics");
    s->loops = more;
    more[s->loop_count] =
        (struct stats_loop){.name = name, .loop = loop, .engine = evloop_engine(loop)};
    return evloop_call(loop, read_loop, &more[s->loop_count++]);
}

static const char *thread_name(const struct stats *s, const struct evloop *loop)
{
    for (unsigned i = 0; i < s->loop_count; i++) {
        if (s->loops[i].loop == loop)
            return s->loops[i].name;
    }
    return "";
}

int stats_add_device(struct stats *s, const struct virtio_device *dev)
{
    struct stats_queue q = {.device = dev->setup.name};
    for (; virtio_device_stats(dev, q.queue, &q.stats); q.queue++) {
        if (s->count == s->room) {
            unsigned room = s->room > 0 ? 2 * s->room : 8;
            struct stats_queue *more = realloc(s->queues, room * sizeof(*more));
            if (more == NULL)
                return fail(-ENOMEM, "statistics");
            s->queues = more;
            s->room = room;
        }
        q.external = virtio_queue_is_external(dev, q.queue);
        q.thread = thread_name(s, dev->queues[q.queue].loop);
        s->queues[s->count++] = q;
    }
    return 0;
}

void stats_free(struct stats *s)
{
    free(s->queues);
    free(s->loops);
    *s = (struct stats){0};
}

/* ---- a table ---- */

/* "850ns", "12.3us", "4.56s": three digits at least. */
const char *stats_format_ns(char text[16], uint64_t ns)
{
    static const struct {
        uint64_t ns;
        const char *name;
    } units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "us"}};
    for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
        if (ns >= units[i].ns) {
            double value = (double)ns / (double)units[i].ns;
            snprintf(text, 16, "%.*f%s",
                     value < 10    ? 2
                     : value < 100 ? 1
                                   : 0,
                     value, units[i].name);
            return text;
        }
    }
    snprintf(text, 16, "%" PRIu64 "ns", ns);
    return text;
}

static double average_batch(const struct virtio_stats *s)
{
    return s->batches > 0 ? (double)s->requests / (double)s->batches : 0;
}

const char *stats_shown_name(const char *name)
{
    size_t len = strlen(name);
    return len > NAME_MAX_WIDTH ? name + len - NAME_MAX_WIDTH : name;
}

static void print_row(const struct stats_queue *q, int name_width, int thread_width, FILE *out)
{
    const struct virtio_stats *s = &q->stats;
    char p50[16], p99[16], max[16];
    fprintf(out, "%-*s %3u %-*s ", name_width, stats_shown_name(q->device), q->queue, thread_width,
            q->thread);
    if (q->external) {
        fprintf(out, "%" PRIu64 " interrupts; the rest is its server's\n", s->interrupts);
        return;
    }
    fprintf(out, "%9" PRIu64 " %5" PRIu64 " %9.1f %9.1f %6.1f", s->requests, s->in_flight,
            (double)s->rd_bytes / (double)MIB, (double)s->wr_bytes / (double)MIB, average_batch(s));
    fprintf(out, " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64, s->kicks,
            s->polled, s->spurious, s->interrupts, s->suppressed);
    fprintf(out, " %7s %7s %7s\n", stats_format_ns(p50, virtio_stats_latency_ns(s, 50)),
            stats_format_ns(p99, virtio_stats_latency_ns(s, 99)),
            stats_format_ns(max, s->latency_max_ns));
}

static void print_loop(const struct stats *s, const struct stats_loop *loop, FILE *out)
{
    const struct evloop_stats *l = &loop->stats;
    char window[16];
    fprintf(out,
            "%.3f s; loop %s on %s: %" PRIu64 " turns, %" PRIu64 " system calls, %" PRIu64
            " sleeps, %" PRIu64 " of %" PRIu64 " looks before one found work, now up to %s\n",
            (double)s->run_ns / 1e9, loop->name, loop->engine, l->turns, l->system_calls, l->sleeps,
            l->poll_hits, l->poll_hits + l->poll_misses,
            stats_format_ns(window, l->poll_window_ns));
}

static void print_net(const struct stats_net *net, FILE *out)
{
    const struct virtio_net_drops *d = &net->drops;
    fprintf(out,
            "%s dropped: sent %" PRIu64 " that made no sense; received %" PRIu64
            " without room, %" PRIu64 " filtered, %" PRIu64
            " of a kind that the driver does not know\n",
            net->device, d->tx_invalid, d->rx_no_room, d->rx_filtered, d->rx_invalid);
}

void stats_print_table(const struct stats *s, FILE *out)
{
    int width = (int)strlen("device"), thread_width = (int)strlen("thread");
    for (unsigned i = 0; i < s->count; i++) {
        width = (int)max_u64((uint64_t)width, strlen(stats_shown_name(s->queues[i].device)));
        thread_width = (int)max_u64((uint64_t)thread_width, strlen(s->queues[i].thread));
    }
    fprintf(out, "%-*s %3s %-*s %9s %5s %9s %9s %6s %9s %9s %9s %9s %9s %7s %7s %7s\n", width,
            "device", "q", thread_width, "thread", "requests", "open", "sent MiB", "got MiB",
            "batch", "kicks", "polled", "spurious", "irqs", "withheld", "p50", "p99", "max");
    for (unsigned i = 0; i < s->count; i++)
        print_row(&s->queues[i], width, thread_width, out);
    for (unsigned i = 0; i < s->net_count; i++)
        print_net(&s->nets[i], out);
    for (unsigned i = 0; i < s->loop_count; i++)
        print_loop(s, &s->loops[i], out);
    stats_print_host(s, out);
}

/* ---- JSON ---- */

static bool add_number(cJSON *to, const char *name, uint64_t value)
{
    return cJSON_AddNumberToObject(to, name, (double)value) != NULL;
}

static bool add_histogram(cJSON *to, const char *name, const uint64_t *buckets, unsigned count)
{
    cJSON *array = cJSON_AddArrayToObject(to, name);
    while (count > 0 && buckets[count - 1] == 0)
        count--;
    for (unsigned i = 0; i < count; i++) {
        if (!cJSON_AddItemToArray(array, cJSON_CreateNumber((double)buckets[i])))
            return false;
    }
    return array != NULL;
}

static bool add_latencies(cJSON *to, const struct virtio_stats *s)
{
    cJSON *latency = cJSON_AddObjectToObject(to, "latency_ns");
    return latency != NULL && add_number(latency, "count", virtio_stats_completed(s)) &&
           add_number(latency, "p50", virtio_stats_latency_ns(s, 50)) &&
           add_number(latency, "p99", virtio_stats_latency_ns(s, 99)) &&
           add_number(latency, "max", s->latency_max_ns) &&
           add_histogram(latency, "log2", s->latencies, VIRTIO_STATS_LATENCIES);
}

static bool add_queue(cJSON *array, const struct stats_queue *q)
{
    const struct virtio_stats *s = &q->stats;
    cJSON *row = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(array, row)) {
        cJSON_Delete(row);
        return false;
    }
    bool ok = cJSON_AddStringToObject(row, "device", q->device) != NULL &&
              cJSON_AddStringToObject(row, "thread", q->thread) != NULL &&
              add_number(row, "queue", q->queue) &&
              cJSON_AddBoolToObject(row, "external", q->external) != NULL;
    return ok && add_number(row, "requests", s->requests) &&
           add_number(row, "in_flight", s->in_flight) && add_number(row, "rd_bytes", s->rd_bytes) &&
           add_number(row, "wr_bytes", s->wr_bytes) && add_number(row, "batches", s->batches) &&
           add_histogram(row, "batch_log2", s->batch_sizes, VIRTIO_STATS_BATCHES) &&
           add_number(row, "kicks", s->kicks) &&
           add_number(row, "register_kicks", s->register_kicks) &&
           add_number(row, "polled", s->polled) && add_number(row, "spurious", s->spurious) &&
           add_number(row, "interrupts", s->interrupts) &&
           add_number(row, "suppressed", s->suppressed) && add_number(row, "resets", s->resets) &&
           add_latencies(row, s);
}

static bool add_loop(cJSON *array, const struct stats_loop *l)
{
    cJSON *loop = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(array, loop)) {
        cJSON_Delete(loop);
        return false;
    }
    return cJSON_AddStringToObject(loop, "name", l->name) != NULL &&
           cJSON_AddStringToObject(loop, "engine", l->engine) != NULL &&
           add_number(loop, "turns", l->stats.turns) &&
           add_number(loop, "system_calls", l->stats.system_calls) &&
           add_number(loop, "sleeps", l->stats.sleeps) &&
           add_number(loop, "poll_hits", l->stats.poll_hits) &&
           add_number(loop, "poll_misses", l->stats.poll_misses) &&
           add_number(loop, "poll_window_ns", l->stats.poll_window_ns);
}

static bool add_net(cJSON *array, const struct stats_net *n)
{
    cJSON *net = cJSON_CreateObject();
    if (!cJSON_AddItemToArray(array, net)) {
        cJSON_Delete(net);
        return false;
    }
    return cJSON_AddStringToObject(net, "device", n->device) != NULL &&
           add_number(net, "tx_invalid", n->drops.tx_invalid) &&
           add_number(net, "rx_no_room", n->drops.rx_no_room) &&
           add_number(net, "rx_filtered", n->drops.rx_filtered) &&
           add_number(net, "rx_invalid", n->drops.rx_invalid);
}

int stats_print_json(const struct stats *s, FILE *out)
{
    cJSON *top = cJSON_CreateObject();
    cJSON *loops = cJSON_AddArrayToObject(top, "loops");
    cJSON *queues = cJSON_AddArrayToObject(top, "queues");
    cJSON *drops = cJSON_AddArrayToObject(top, "drops");
    bool ok =
        loops != NULL && queues != NULL && drops != NULL && add_number(top, "run_ns", s->run_ns);
    for (unsigned i = 0; ok && i < s->loop_count; i++)
        ok = add_loop(loops, &s->loops[i]);
    for (unsigned i = 0; ok && i < s->count; i++)
        ok = add_queue(queues, &s->queues[i]);
    for (unsigned i = 0; ok && i < s->net_count; i++)
        ok = add_net(drops, &s->nets[i]);
    ok = ok && stats_add_host(top, s);
    char *text = ok ? cJSON_PrintUnformatted(top) : NULL;
    if (text != NULL)
        fprintf(out, "%s\n", text);
    cJSON_free(text);
    cJSON_Delete(top);
    return text != NULL ? 0 : fail(-ENOMEM, "statistics");
}

/* ---- where it goes ---- */

void stats_print(const struct stats *s, bool json)
{
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    if (out != NULL) {
        if (json)
            stats_print_json(s, out);
        else
            stats_print_table(s, out);
        fclose(out);
    }
    if (text == NULL) {
        fail(-ENOMEM, "statistics");
        return;
    }
    if (json)
        log_write(text, bytes);
    /* At the one level that nothing hides: it was asked for. */
    char *rest = json ? NULL : text;
    for (char *line = strsep(&rest, "\n"); rest != NULL; line = strsep(&rest, "\n"))
        log_error("%s", line);
    free(text);
}
