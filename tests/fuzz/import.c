// SPDX-License-Identifier: BSD-2-Clause
/*
 * A chain that a device took becomes the steps that give it to one; packets and typed bytes become
 * those of the host. What a script cannot hold (long data, far sectors) is cut to what it can.
 */
#include "tests/fuzz/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/tape/tape.h"
#include "tests/fuzz/play_impl.h"
#include "tests/fuzz/script.h"
#include "virtio/input/input.h"
#include "virtio/spec.h"

#define SCRIPT_STEPS 64u  /* a seed is small */
#define SCRIPTS_MAX  256u /* of a device */
#define OUT_MAX      1024u
#define IN_MAX       4096u
#define POOL_BYTES   (UINT32_C(1) << 15)
#define QUEUE_SIZE   64u
#define MANY_QUEUES  7u /* more than there are; three pairs of a network, and control */

/* What is being made of a source. */
struct maker {
    int device; /* enum fuzz_device */
    unsigned queues, written;
    struct fuzz_script script;
    uint8_t pool[POOL_BYTES]; /* of the steps' bytes */
    uint32_t used;
};

struct import {
    const char *dir;
    char name[256]; /* the tape's */
    struct maker *makers[TAPE_SOURCES_MAX];
    bool failed;
};

static int device_of(uint64_t id)
{
    switch (id) {
    case VIRTIO_ID_BLOCK:
        return FUZZ_BLK;
    case VIRTIO_ID_SCSI:
        return FUZZ_SCSI;
    case VIRTIO_ID_NET:
        return FUZZ_NET;
    case VIRTIO_ID_CONSOLE:
        return FUZZ_CONSOLE;
    case VIRTIO_ID_ENTROPY:
        return FUZZ_RNG;
    case VIRTIO_ID_INPUT:
        return FUZZ_INPUT;
    case VIRTIO_ID_GPU:
        return FUZZ_GPU;
    case VIRTIO_ID_BALLOON:
        return FUZZ_BALLOON;
    case VIRTIO_ID_VSOCK:
        return FUZZ_VSOCK;
    case VIRTIO_ID_RTC:
        return FUZZ_RTC;
    default:
        return -1;
    }
}

/* ---- steps ---- */

static struct fuzz_step *add(struct maker *m, enum fuzz_op op)
{
    struct fuzz_step *step = &m->script.steps[m->script.count++];
    *step = (struct fuzz_step){.op = (uint8_t)op};
    return step;
}

static void add_bytes(struct maker *m, struct fuzz_step *step, const uint8_t *bytes, uint32_t len)
{
    step->len = (uint32_t)min_u64(len, POOL_BYTES - m->used);
    step->bytes = m->pool + m->used;
    if (step->len > 0)
        memcpy(m->pool + m->used, bytes, step->len);
    m->used += step->len;
}

/* With FUZZ_MANY there are three of those that there may be several of. */
static bool is_many(const struct maker *m)
{
    static const unsigned few[FUZZ_DEVICES] = {
        [FUZZ_BLK] = 1,   [FUZZ_SCSI] = 3, [FUZZ_NET] = 3,     [FUZZ_CONSOLE] = 2, [FUZZ_RNG] = 1,
        [FUZZ_INPUT] = 2, [FUZZ_GPU] = 2,  [FUZZ_BALLOON] = 5, [FUZZ_VSOCK] = 3,   [FUZZ_RTC] = 2};
    return m->queues > few[m->device];
}

/* A network's last queue is for its control, wherever that is. */
static unsigned queue_of(const struct maker *m, unsigned queue)
{
    bool control = m->device == FUZZ_NET && queue + 1 == m->queues;
    return control && is_many(m) ? MANY_QUEUES - 1 : queue;
}

static void begin(struct maker *m)
{
    m->script.count = 0;
    m->used = 0;
    m->script.head = (struct fuzz_head){
        .device = (uint8_t)m->device,
        .variant = (uint8_t)(m->written % RIG_VARIANTS), /* each transport has some */
        .options = is_many(m) ? FUZZ_MANY : 0,
    };
    struct fuzz_step *start = add(m, FUZZ_START);
    start->arg[0] = UINT64_MAX; /* what is offered */
    start->arg[1] = is_many(m) ? MANY_QUEUES - 1 : m->queues - 1;
    start->arg[2] = QUEUE_SIZE;
}

static void write_script(struct import *im, struct maker *m, unsigned source)
{
    static uint8_t out[FUZZ_FILE_MAX];
    char path[4096];
    const char *device = fuzz_device_names[m->device];
    if (m->script.count <= 1 || m->written >= SCRIPTS_MAX || im->failed)
        return;
    snprintf(path, sizeof(path), "%s/%s", im->dir, device);
    mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s-%u-%02u", im->dir, device, im->name, source,
             m->written++);
    size_t len = fuzz_script_encode(&m->script, out, sizeof(out));
    FILE *f = fopen(path, "wb");
    bool good = f != NULL && fwrite(out, 1, len, f) == len;
    if (f == NULL || fclose(f) != 0 || !good) {
        fprintf(stderr, "fuzz_scripts: %s: %s\n", path, strerror(errno));
        im->failed = true;
    }
}

/* Room for so many more steps, in this script or in the next. */
static void make_room(struct import *im, struct maker *m, unsigned source, unsigned steps)
{
    if (m->script.count + steps <= SCRIPT_STEPS && m->used < POOL_BYTES / 2)
        return;
    write_script(im, m, source);
    begin(m);
}

/* ---- records ---- */

/* Places of its own disk, which is smaller. */
static void bring_near(const struct maker *m, uint8_t *request, uint32_t len)
{
    if (m->device == FUZZ_BLK && len >= 16)
        le64_put(request + 8, le64_get(request + 8) % (FUZZ_DISK_BYTES / 512));
    if (m->device != FUZZ_SCSI || len < 19 + 16)
        return;
    uint8_t *cdb = request + 19; /* of struct virtio_scsi_req_cmd */
    unsigned bytes = cdb[0] >> 5 == 1   ? 4
                     : cdb[0] >> 5 == 4 ? 8
                                        : 0; /* of the address, big-endian */
    if (bytes > 0) {
        memset(cdb + 2, 0, bytes - 1);
        cdb[1 + bytes] %= FUZZ_DISK_BYTES / 512;
    }
}

static void import_chain(struct import *im, struct maker *m, const struct tape_rec *rec)
{
    const uint8_t *bytes = rec->bytes, *end = bytes + rec->len;
    struct tape_buffer table[SCRIPT_STEPS / 2];
    if (rec->b == TAPE_NO_CHAIN || rec->b >= TAPE_BROKEN_CHAIN || rec->a > ARRAY_SIZE(table))
        return;
    for (unsigned i = 0; i < rec->a && bytes != NULL; i++)
        bytes = tape_get_buffer(bytes, end, &table[i]);
    if (bytes == NULL)
        return;
    make_room(im, m, rec->source, (unsigned)rec->a + 1);
    for (unsigned i = 0; i < rec->a; i++) {
        struct tape_buffer b = table[i];
        uint32_t there = (uint32_t)min_u64(b.len, (uint64_t)(end - bytes));
        struct fuzz_step *step;
        if (b.writable) {
            step = add(m, FUZZ_IN);
            step->arg[0] = min_u64(b.len, IN_MAX);
        } else if (there > OUT_MAX || there < b.len) { /* data */
            step = add(m, FUZZ_FILL);
            step->arg[0] = min_u64(b.len, IN_MAX);
        } else {
            step = add(m, FUZZ_OUT);
            add_bytes(m, step, bytes, there);
            if (i == 0)
                bring_near(m, m->pool + m->used - step->len, step->len);
        }
        bytes += b.writable ? 0 : there;
    }
    add(m, FUZZ_SEND)->arg[0] = queue_of(m, rec->queue);
}

static void import_packet(struct import *im, int source, const struct tape_rec *rec)
{
    struct maker *m = source >= 0 ? im->makers[source] : NULL;
    if (m == NULL || rec->len == 0)
        return;
    make_room(im, m, (unsigned)source, 1);
    struct fuzz_step *step = add(m, FUZZ_PACKET);
    step->arg[0] = rec->queue;
    add_bytes(m, step, rec->bytes, (uint32_t)min_u64(rec->len, FUZZ_BYTES_MAX));
}

static void import_device(struct import *im, const struct tape_rec *rec)
{
    int device = device_of(rec->a);
    if (device < 0 || rec->source >= TAPE_SOURCES_MAX || im->makers[rec->source] != NULL ||
        rec->b == 0 || rec->b > UINT8_MAX)
        return;
    struct maker *m = im->makers[rec->source] = calloc(1, sizeof(*m));
    if (m == NULL)
        return;
    m->device = device;
    m->queues = (unsigned)rec->b;
    begin(m);
}

/* The device's source is the one behind its backend's: they are made in that order. */
static void import_record(struct import *im, const struct tape_rec *rec)
{
    struct maker *m = rec->source < TAPE_SOURCES_MAX ? im->makers[rec->source] : NULL;
    if (rec->type == TAPE_DEVICE)
        import_device(im, rec);
    if (rec->type == TAPE_POP && m != NULL)
        import_chain(im, m, rec);
    if ((rec->type == TAPE_RECEIVE || rec->type == TAPE_TYPED) &&
        rec->source + 1u < TAPE_SOURCES_MAX)
        import_packet(im, rec->source + 1, rec);
}

int fuzz_import(const char *path, const char *dir)
{
    struct import im = {.dir = dir};
    const char *name = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
    snprintf(im.name, sizeof(im.name), "%s", name);
    if (strrchr(im.name, '.') != NULL)
        *strrchr(im.name, '.') = '\0';
    const struct tape_rec *rec;
    struct tape *tape;
    if (tape_open(&tape, path, stdout) < 0)
        return 1;
    mkdir(dir, 0777);
    while ((rec = tape_next(tape)) != NULL)
        import_record(&im, rec);
    for (unsigned i = 0; i < TAPE_SOURCES_MAX; i++) {
        if (im.makers[i] == NULL)
            continue;
        write_script(&im, im.makers[i], i);
        if (!im.failed)
            printf("%s: %u scripts\n", fuzz_device_names[im.makers[i]->device],
                   im.makers[i]->written);
        free(im.makers[i]);
    }
    tape_destroy(tape);
    return im.failed;
}
