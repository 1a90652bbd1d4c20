// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/seam.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/arch.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/bus.h"
#include "core/ports/doorbell.h"
#include "core/tape/tape.h"

/* The field `queue` of a record: which bus, and the width. */
#define WHERE(space, width) ((uint16_t)((unsigned)(space) << 8 | (width)))

#define AREAS 6

struct area {
    struct seam *seam;
    enum bus_space space;
    struct bus_region region;
};

struct seam {
    struct tape *tape;
    unsigned source;
    struct evloop *loop;
    struct bus *outer[2], *inner[2]; /* by enum bus_space */
    struct area areas[AREAS];        /* of the machine's buses; size 0: not there */
};

struct access {
    struct seam *seam;
    enum bus_space space;
    uint64_t addr, value;
    unsigned width;
    bool write;
};

/* ---- an access, on the loop ---- */

static void make(struct access *a)
{
    struct seam *s = a->seam;
    if (a->write) {
        bus_write(s->inner[a->space], a->addr, a->width, a->value);
        return;
    }
    bus_read(s->inner[a->space], a->addr, a->width, &a->value);
    tape_say(s->tape, &(struct tape_rec){.type = TAPE_VALUE,
                                         .source = (uint8_t)s->source,
                                         .queue = WHERE(a->space, a->width),
                                         .a = a->addr,
                                         .b = a->value});
}

static int make_on_loop(void *arg)
{
    struct access *a = arg;
    tape_note(a->seam->tape, &(struct tape_rec){.type = a->write ? TAPE_WRITE : TAPE_READ,
                                                .source = (uint8_t)a->seam->source,
                                                .queue = WHERE(a->space, a->width),
                                                .a = a->addr,
                                                .b = a->write ? a->value : 0});
    make(a);
    return 0;
}

static void play(void *ctx, const struct tape_rec *rec)
{
    const struct seam *s = ctx;
    struct access a = {.seam = ctx,
                       .space = BUS_MMIO,
                       .addr = rec->a,
                       .value = rec->b,
                       .width = rec->queue & 0xff,
                       .write = rec->type == TAPE_WRITE};
    if (rec->queue >> 8 == BUS_PIO && s->inner[BUS_PIO] != NULL)
        a.space = BUS_PIO;
    make(&a);
}

/* ---- the windows, on any vCPU's thread ---- */

static uint64_t window(struct area *area, uint64_t offset, unsigned width, bool write,
                       uint64_t value)
{
    struct access a = {.seam = area->seam,
                       .space = area->space,
                       .addr = area->region.base + offset,
                       .value = value,
                       .width = width,
                       .write = write};
    evloop_call(area->seam->loop, make_on_loop, &a);
    return a.value;
}

static uint64_t window_read(void *dev, uint64_t offset, unsigned width)
{
    return window(dev, offset, width, false, 0);
}

static void window_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    window(dev, offset, width, true, value);
}

static const char *window_name_at(void *dev, uint64_t offset)
{
    const struct area *area = dev;
    return bus_name_at(area->seam->inner[area->space], area->region.base + offset);
}

static const struct bus_ops window_ops = {
    .read = window_read, .write = window_write, .name_at = window_name_at};

static int open_windows(struct seam *s, const struct arch *arch)
{
    const struct {
        enum bus_space space;
        struct pci_window where;
    } areas[AREAS] = {
        {BUS_PIO, arch->pci.config_ports},
        {BUS_PIO, arch->pci.windows.ports},
        {BUS_MMIO, arch->pci.windows.memory32},
        {BUS_MMIO, {arch->pci.ecam_gpa, arch->pci.ecam_bytes}},
        {BUS_MMIO, {arch->virtio.gpa, arch->virtio.count * arch->virtio.stride}},
        {BUS_MMIO, arch->pci.windows.memory64}, /* where there is no RAM */
    };
    for (unsigned i = 0; i < AREAS; i++) {
        struct area *area = &s->areas[i];
        struct bus *bus = s->outer[areas[i].space];
        *area = (struct area){.seam = s,
                              .space = areas[i].space,
                              .region = {.name = "recorded",
                                         .base = areas[i].where.base,
                                         .size = areas[i].where.bytes,
                                         .widths = BUS_W1248,
                                         .ops = &window_ops,
                                         .dev = area}};
        int err = bus != NULL && area->region.size != 0 ? bus_add(bus, &area->region) : 0;
        if (err != 0)
            return fail(err, "--record: window at %#llx", (unsigned long long)area->region.base);
    }
    return 0;
}

/* ---- life ---- */

int seam_create(struct seam **out, const struct arch *arch, struct tape *tape, struct evloop *loop,
                struct bus *mmio, struct bus *pio)
{
    struct seam *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return fail(-ENOMEM, "--record");
    s->tape = tape;
    s->loop = loop;
    s->outer[BUS_MMIO] = mmio;
    s->outer[BUS_PIO] = pio;
    s->source = tape_add_source(
        tape,
        &(struct tape_source){.name = "registers", .kind = TAPE_REGISTERS, .play = play, .ctx = s});
    int err = bus_create(&s->inner[BUS_MMIO], "mmio", arch->mmio_limit);
    if (err == 0 && arch->pio_limit != 0)
        err = bus_create(&s->inner[BUS_PIO], "pio", arch->pio_limit);
    if (err == 0)
        err = open_windows(s, arch);
    if (err != 0) {
        seam_destroy(s);
        return err;
    }
    *out = s;
    return 0;
}

void seam_destroy(struct seam *s)
{
    if (s == NULL)
        return;
    for (unsigned i = 0; i < AREAS; i++)
        if (s->outer[s->areas[i].space] != NULL)
            bus_remove(s->outer[s->areas[i].space], &s->areas[i].region);
    bus_destroy(s->inner[BUS_MMIO]);
    bus_destroy(s->inner[BUS_PIO]);
    free(s);
}

struct bus *seam_mmio(struct seam *s)
{
    return s->inner[BUS_MMIO];
}

struct bus *seam_pio(struct seam *s)
{
    return s->inner[BUS_PIO];
}
