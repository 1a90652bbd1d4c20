// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a chain costs the device: vq_pop(), vq_push() and vq_flush() of chains of four descriptors
 * (a header, two pages, a status byte), whose data nobody touches.
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

#include "core/base/le.h"
#include "core/memory/gmem.h"
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

#define AVAIL_USED (VIRTQ_DESC_F_AVAIL | VIRTQ_DESC_F_USED)

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
    uint8_t *desc, *avail, *used;
    unsigned chains; /* in a round */
    uint16_t avail_idx;
    bool wrap;              /* packed: of the round that is next */
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

struct buf {
    uint64_t offset;
    uint32_t len;
    bool write;
};

static const struct buf bufs[CHAIN_DESCS] = {
    {0x0000, 16, false}, {0x1000, 4096, true}, {0x2000, 4096, true}, {0x3000, 1, true}};

#define TABLE_OFFSET 0x100u

static uint64_t chain_gpa(unsigned chain)
{
    return DATA_GPA + (uint64_t)chain * CHAIN_BYTES;
}

static void split_put(uint8_t *at, uint64_t gpa, uint32_t len, unsigned flags, unsigned next)
{
    le64_put(at, gpa);
    le32_put(at + 8, len);
    le16_put(at + 12, (uint16_t)flags);
    le16_put(at + 14, (uint16_t)next);
}

/* Four descriptors from table[first] on. */
static void split_chain(uint8_t *table, unsigned first, unsigned chain)
{
    for (unsigned i = 0; i < CHAIN_DESCS; i++) {
        unsigned flags = (bufs[i].write ? VIRTQ_DESC_F_WRITE : 0) |
                         (i + 1 < CHAIN_DESCS ? VIRTQ_DESC_F_NEXT : 0);
        split_put(table + (size_t)(first + i) * VIRTQ_DESC_BYTES, chain_gpa(chain) + bufs[i].offset,
                  bufs[i].len, flags, first + i + 1);
    }
}

/* The descriptors stay as they are for good, and so do the entries: each round has all chains. */
static void split_fill(struct bench *b)
{
    unsigned step = b->mode->indirect ? 1 : CHAIN_DESCS;
    for (unsigned c = 0; c < b->chains; c++) {
        uint64_t table = chain_gpa(c) + TABLE_OFFSET;
        if (!b->mode->indirect) {
            split_chain(b->desc, c * CHAIN_DESCS, c);
            continue;
        }
        split_chain(at_gpa(b, table, CHAIN_DESCS * VIRTQ_DESC_BYTES), 0, c);
        split_put(b->desc + (size_t)c * VIRTQ_DESC_BYTES, table, CHAIN_DESCS * VIRTQ_DESC_BYTES,
                  VIRTQ_DESC_F_INDIRECT, 0);
    }
    for (unsigned i = 0, c = 0; i < b->vq.size; i++, c = c + 1 < b->chains ? c + 1 : 0)
        le16_put(b->avail + VIRTQ_AVAIL_RING + 2 * (size_t)i, (uint16_t)(c * step));
}

static void split_offer(struct bench *b)
{
    b->avail_idx = (uint16_t)(b->avail_idx + b->chains);
    le16_put(b->avail + VIRTQ_AVAIL_IDX, b->avail_idx);
}

static bool split_is_done(const struct bench *b)
{
    return le16_get(b->used + VIRTQ_USED_IDX) == b->avail_idx;
}

static void packed_put(uint8_t *at, uint64_t gpa, uint32_t len, unsigned id, unsigned flags)
{
    le64_put(at + PVIRTQ_DESC_addr, gpa);
    le32_put(at + PVIRTQ_DESC_len, len);
    le16_put(at + PVIRTQ_DESC_id, (uint16_t)id);
    le16_put(at + PVIRTQ_DESC_flags, (uint16_t)flags);
}

static void packed_chain(uint8_t *table, unsigned chain, unsigned avail, unsigned next)
{
    for (unsigned i = 0; i < CHAIN_DESCS; i++) {
        unsigned flags =
            avail | (bufs[i].write ? VIRTQ_DESC_F_WRITE : 0) | (i + 1 < CHAIN_DESCS ? next : 0);
        packed_put(table + (size_t)i * PVIRTQ_DESC_BYTES, chain_gpa(chain) + bufs[i].offset,
                   bufs[i].len, chain, flags);
    }
}

/* The device overwrites descriptors, so that each round writes them anew, for the next lap. */
static void packed_offer(struct bench *b)
{
    unsigned avail = b->wrap ? VIRTQ_DESC_F_AVAIL : VIRTQ_DESC_F_USED;
    for (unsigned c = 0; c < b->chains; c++) {
        uint64_t table = chain_gpa(c) + TABLE_OFFSET;
        if (b->mode->indirect)
            packed_put(b->desc + (size_t)c * PVIRTQ_DESC_BYTES, table,
                       CHAIN_DESCS * PVIRTQ_DESC_BYTES, c, avail | VIRTQ_DESC_F_INDIRECT);
        else
            packed_chain(b->desc + (size_t)c * CHAIN_DESCS * PVIRTQ_DESC_BYTES, c, avail,
                         VIRTQ_DESC_F_NEXT);
    }
    b->wrap = !b->wrap;
}

static void packed_fill(struct bench *b)
{
    b->wrap = true;
    for (unsigned c = 0; b->mode->indirect && c < b->chains; c++)
        packed_chain(at_gpa(b, chain_gpa(c) + TABLE_OFFSET, CHAIN_DESCS * PVIRTQ_DESC_BYTES), c, 0,
                     0);
}

/* All of the lap's first descriptors show the lap's wrap counter twice. */
static bool packed_is_done(const struct bench *b)
{
    size_t step = (b->mode->indirect ? 1 : CHAIN_DESCS) * (size_t)PVIRTQ_DESC_BYTES;
    unsigned expected = b->wrap ? 0 : AVAIL_USED;
    for (unsigned c = 0; c < b->chains; c++)
        if ((le16_get(b->desc + c * step + PVIRTQ_DESC_flags) & AVAIL_USED) != expected)
            return false;
    return true;
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
        (b->mode->packed ? packed_offer : split_offer)(b);
        uint64_t begin = ticks_now();
        unsigned served = serve(&b->vq, b->mode->depth);
        ticks += ticks_now() - begin;
        if (served != b->chains || !(b->mode->packed ? packed_is_done : split_is_done)(b))
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
    b->desc = at_gpa(b, config.desc, area);
    b->avail = at_gpa(b, config.driver, area);
    b->used = at_gpa(b, config.device, area);
    struct vq_setup setup = {.config = &config,
                             .gmem = b->gmem,
                             .features = features,
                             .size_max = VIRTQ_MAX_SIZE,
                             .iov_max = CHAIN_IOVS};
    if (vq_activate(&b->vq, &setup) < 0)
        die(b->name, b->vq.error);
    (m->packed ? packed_fill : split_fill)(b);
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
