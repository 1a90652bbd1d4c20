// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a chain costs the device: vq_pop(), vq_push() and vq_flush() of chains of four descriptors
 * (a header, two pages, a status byte), whose data is not touched.
 *
 * A round is a ring full of chains. The driver fills it outside of the clock; then the device, on
 * the same core, takes `depth` chains, gives them back and flushes, until it finds the ring empty.
 * A run is some rounds of one mode; runs of all modes take turns, so that a noisy moment of the
 * host falls on all of them.
 */
#include <cjson/cJSON.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/memory/gmem.h"
#include "tests/harness/vdrv_ring.h"
#include "virtio/ring/virtqueue.h"
#include "virtio/spec.h"

#define CHAIN_DESCS 4u
#define CHAIN_BYTES 0x4000u /* of guest memory, for its buffers and its indirect table */
#define MAX_RUNS    10000
#define CHAIN_IOVS  64u

/* A machine with more RAM than fits below the hole; rings and data are above it. */
#define HOLE_GPA     UINT64_C(0x100000)
#define HOLE_END_GPA UINT64_C(0x200000)
#define RING_GPA     HOLE_END_GPA
#define DATA_GPA     UINT64_C(0x400000)

struct mode {
    bool packed, indirect;
    uint64_t features; /* beside those */
    unsigned depth;    /* chains in flight; 0: as many as there are */
};

#define EVENT_IDX VIRTIO_BIT(VIRTIO_F_EVENT_IDX)
#define IN_ORDER  VIRTIO_BIT(VIRTIO_F_IN_ORDER)
#define FOUR(depth, features)                                        \
    {false, false, features, depth}, {false, true, features, depth}, \
        {true, false, features, depth},                              \
    {                                                                \
        true, true, features, depth                                  \
    }

static const struct mode modes[] = {
    FOUR(64, 0), FOUR(64, EVENT_IDX), FOUR(64, IN_ORDER),
    FOUR(1, 0),  FOUR(1, EVENT_IDX),  FOUR(1, IN_ORDER),
};

#define MODES (sizeof(modes) / sizeof(modes[0]))

/* One mode's ring, and what its runs took. */
struct bench {
    const struct mode *mode;
    char name[64];
    bool chosen;
    struct gmem *gmem;
    struct virtqueue vq;
    struct vdrv_ring ring;
    uint16_t ids[VIRTQ_MAX_SIZE], next[VIRTQ_MAX_SIZE], descs[VIRTQ_MAX_SIZE];
    unsigned chains;        /* in a round */
    double ticks[MAX_RUNS]; /* for a chain */
};

static struct bench benches[MODES];

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "bench rings: %s: %s\n", what, why != NULL ? why : "unknown");
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

/* Of the time stamp counter where there is one: it costs less to read than what is measured. */
static uint64_t ticks_now(void)
{
#ifdef __x86_64__
    uint32_t low, high, aux;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux)::"memory");
    return (uint64_t)high << 32 | low;
#else
    return now_ns();
#endif
}

/* ---- the driver ---- */

static void *at_gpa(const struct bench *b, uint64_t gpa, uint64_t len)
{
    void *p = gmem_ptr(b->gmem, gpa, len, 1);
    if (p == NULL)
        die(b->name, "ring does not fit into guest memory");
    return p;
}

#define TABLE_OFFSET 0x100u

/* A ring full of chains. Indirect tables are written once: they stay as they are. */
static void offer(struct bench *b, bool write_tables)
{
    for (unsigned c = 0; c < b->chains; c++) {
        uint64_t gpa = DATA_GPA + (uint64_t)c * CHAIN_BYTES;
        const struct vdrv_buf bufs[CHAIN_DESCS] = {{gpa, 16, false},
                                                   {gpa + 0x1000, 4096, true},
                                                   {gpa + 0x2000, 4096, true},
                                                   {gpa + 0x3000, 1, true}};
        struct vdrv_chain chain = {.bufs = bufs, .count = CHAIN_DESCS};
        chain.direct = b->mode->indirect ? 0 : CHAIN_DESCS;
        chain.table_gpa = gpa + TABLE_OFFSET;
        if (write_tables)
            chain.table = at_gpa(b, chain.table_gpa, CHAIN_DESCS * VIRTQ_DESC_BYTES);
        vdrv_ring_add(&b->ring, &chain);
    }
    vdrv_ring_publish(&b->ring);
}

static bool all_came_back(struct bench *b)
{
    uint32_t len;
    while (vdrv_ring_used(&b->ring, &len) >= 0)
        continue;
    return b->ring.in_flight == 0;
}

/* ---- the device ---- */

/* What is measured. Returns the number of chains. */
static unsigned serve(struct virtqueue *vq, unsigned depth)
{
    struct vq_chain *taken[VIRTQ_MAX_SIZE / CHAIN_DESCS];
    unsigned total = 0, count;
    do {
        count = 0;
        while (count < depth && vq_pop(vq, &taken[count]) > 0)
            count++;
        for (unsigned i = 0; i < count; i++)
            vq_push(vq, taken[i]);
        vq_flush(vq);
        total += count;
    } while (count == depth);
    return total;
}

static void one_run(struct bench *b, unsigned rounds, int run)
{
    uint64_t ticks = 0;
    for (unsigned i = 0; i < rounds; i++) {
        offer(b, false);
        uint64_t begin = ticks_now();
        unsigned served = serve(&b->vq, b->mode->depth);
        ticks += ticks_now() - begin;
        if (served != b->chains || !all_came_back(b))
            die(b->name, b->vq.broken ? b->vq.error : "chains are missing");
    }
    b->ticks[run] = (double)ticks / ((double)rounds * b->chains);
}

static void bench_open(struct bench *b, const struct mode *m, uint32_t size)
{
    b->mode = m;
    b->chains = size / CHAIN_DESCS;
    uint64_t features = m->features | (m->packed ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0) |
                        (m->indirect ? VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) : 0);
    /* With indirect tables each chain takes one: a ring of a quarter is full with as many chains.
     */
    if (m->indirect)
        size /= CHAIN_DESCS;
    uint64_t area = (uint64_t)VIRTQ_MAX_SIZE * 16;
    struct vq_config config = {
        .size = size, .desc = RING_GPA, .driver = RING_GPA + area, .device = RING_GPA + 2 * area};
    uint64_t ram = DATA_GPA - (HOLE_END_GPA - HOLE_GPA) + (uint64_t)b->chains * CHAIN_BYTES;
    if (gmem_create(&b->gmem, ram, HOLE_GPA, HOLE_END_GPA) < 0)
        exit(1);
    b->ring = (struct vdrv_ring){.size = size,
                                 .packed = m->packed,
                                 .event_idx = (m->features & EVENT_IDX) != 0,
                                 .desc = at_gpa(b, config.desc, area),
                                 .driver = at_gpa(b, config.driver, area),
                                 .device = at_gpa(b, config.device, area),
                                 .ids = b->ids,
                                 .next = b->next,
                                 .descs = b->descs};
    vdrv_ring_init(&b->ring);
    struct vq_setup setup = {.config = &config,
                             .gmem = b->gmem,
                             .features = features,
                             .size_max = VIRTQ_MAX_SIZE,
                             .iov_max = CHAIN_IOVS};
    if (vq_activate(&b->vq, &setup) < 0)
        die(b->name, b->vq.error);
    offer(b, true);
    if (serve(&b->vq, m->depth) != b->chains || !all_came_back(b))
        die(b->name, "chains are missing");
}

static void bench_close(struct bench *b)
{
    vq_deactivate(&b->vq);
    gmem_destroy(b->gmem);
}

/* ---- results ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct result {
    double ticks, ns, best_ns, spread; /* spread: between the quartiles, part of the median */
};

static struct result result_of(struct bench *b, int runs, double ticks_per_ns)
{
    qsort(b->ticks, (size_t)runs, sizeof(b->ticks[0]), by_value);
    double median = (b->ticks[runs / 2] + b->ticks[(runs - 1) / 2]) / 2;
    return (struct result){
        .ticks = median,
        .ns = median / ticks_per_ns,
        .best_ns = b->ticks[0] / ticks_per_ns,
        .spread = (b->ticks[runs * 3 / 4] - b->ticks[runs / 4]) / median,
    };
}

static void print_table(int runs, double ticks_per_ns)
{
    printf(
        "chains of %u descriptors; medians of %d interleaved runs; the counter runs at %.3f GHz\n",
        CHAIN_DESCS, runs, ticks_per_ns);
    printf("%-32s %12s %10s %9s %9s %9s %8s\n", "ring, chains, features, in flight", "M chains/s",
           "best", "ns/chain", "best", "ticks", "spread");
    for (size_t i = 0; i < MODES; i++) {
        if (!benches[i].chosen)
            continue;
        struct result r = result_of(&benches[i], runs, ticks_per_ns);
        printf("%-32s %12.2f %10.2f %9.1f %9.1f %9.1f %7.1f%%\n", benches[i].name, 1e3 / r.ns,
               1e3 / r.best_ns, r.ns, r.best_ns, r.ticks, r.spread * 100);
    }
}

static void print_json(int runs, double ticks_per_ns)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "bench", "rings");
    cJSON_AddNumberToObject(root, "runs", runs);
    cJSON_AddNumberToObject(root, "descriptors", CHAIN_DESCS);
    cJSON_AddNumberToObject(root, "ticks_per_ns", ticks_per_ns);
    cJSON *list = cJSON_AddArrayToObject(root, "modes");
    for (size_t i = 0; i < MODES; i++) {
        const struct bench *b = &benches[i];
        if (!b->chosen)
            continue;
        struct result r = result_of(&benches[i], runs, ticks_per_ns);
        cJSON *o = cJSON_CreateObject();
        cJSON_AddItemToArray(list, o);
        cJSON_AddStringToObject(o, "name", b->name);
        cJSON_AddStringToObject(o, "ring", b->mode->packed ? "packed" : "split");
        cJSON_AddBoolToObject(o, "indirect", b->mode->indirect);
        cJSON_AddBoolToObject(o, "event_idx", (b->mode->features & EVENT_IDX) != 0);
        cJSON_AddBoolToObject(o, "in_order", (b->mode->features & IN_ORDER) != 0);
        cJSON_AddNumberToObject(o, "depth", b->mode->depth);
        cJSON_AddNumberToObject(o, "chains_per_second", 1e9 / r.ns);
        cJSON_AddNumberToObject(o, "best_chains_per_second", 1e9 / r.best_ns);
        cJSON_AddNumberToObject(o, "ns_per_chain", r.ns);
        cJSON_AddNumberToObject(o, "best_ns_per_chain", r.best_ns);
        cJSON_AddNumberToObject(o, "ticks_per_chain", r.ticks);
        cJSON_AddNumberToObject(o, "quartile_spread", r.spread);
    }
    char *text = cJSON_Print(root);
    puts(text);
    free(text);
    cJSON_Delete(root);
}

static int usage(FILE *out)
{
    fputs("usage: bench_rings [--runs N] [--chains N] [--size N] [--only WORD] [--json]\n"
          "  --runs N     of each mode (101)\n"
          "  --chains N   in a run, rounded up to whole rings (10000)\n"
          "  --size N     of the ring: a power of two from 4 to 32768 (256)\n"
          "  --only WORD  modes whose name begins so: \"split direct\"\n",
          out);
    return out == stderr ? 2 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"runs", required_argument, NULL, 'n'},
                                            {"chains", required_argument, NULL, 'c'},
                                            {"size", required_argument, NULL, 's'},
                                            {"only", required_argument, NULL, 'o'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    long runs = 101, chains = 10000, size = 256;
    const char *only = "";
    bool json = false;
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'n')
            runs = strtol(optarg, NULL, 10);
        else if (c == 'c')
            chains = strtol(optarg, NULL, 10);
        else if (c == 's')
            size = strtol(optarg, NULL, 10);
        else if (c == 'o')
            only = optarg;
        else if (c == 'j')
            json = true;
        else
            return usage(c == 'h' ? stdout : stderr);
    }
    if (argc != optind || runs < 1 || runs > MAX_RUNS || chains < 1 || size < CHAIN_DESCS ||
        size > (long)VIRTQ_MAX_SIZE || (size & (size - 1)) != 0)
        return usage(stderr);

    bool any = false;
    for (size_t i = 0; i < MODES; i++) {
        struct bench *b = &benches[i];
        const struct mode *m = &modes[i];
        snprintf(b->name, sizeof(b->name), "%s %s%s%s depth %u", m->packed ? "packed" : "split",
                 m->indirect ? "indirect" : "direct", m->features & EVENT_IDX ? " event_idx" : "",
                 m->features & IN_ORDER ? " in_order" : "", m->depth);
        b->chosen = strncmp(b->name, only, strlen(only)) == 0;
        any |= b->chosen;
        if (b->chosen)
            bench_open(b, m, (uint32_t)size);
    }
    if (!any)
        die(only, "no mode of that name");
    uint64_t ticks = ticks_now(), ns = now_ns();
    for (int run = 0; run < (int)runs; run++)
        for (size_t i = 0; i < MODES; i++)
            if (benches[i].chosen)
                one_run(&benches[i],
                        (unsigned)((chains + benches[i].chains - 1) / benches[i].chains), run);
    ticks = ticks_now() - ticks;
    double ticks_per_ns = (double)ticks / (double)(now_ns() - ns);
    (json ? print_json : print_table)((int)runs, ticks_per_ns);
    for (size_t i = 0; i < MODES; i++)
        if (benches[i].chosen)
            bench_close(&benches[i]);
    return 0;
}
