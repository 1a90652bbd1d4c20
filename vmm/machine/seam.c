// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/seam.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/bus.h"
#include "core/ports/doorbell.h"
#include "core/tape/tape.h"
#include "firmware/x86/x86_layout.h"
#include "vmm/machine/machine.h"

/* The field `queue` of a record: which bus, and the width. */
#define WHERE(space, width) ((uint16_t)((unsigned)(space) << 8 | (width)))

static const struct {
    enum bus_space space;
    uint64_t base, bytes;
} areas[] = {
    {BUS_PIO, X86_PCI_ADDRESS_PORT, X86_PCI_CONFIG_PORTS},
    {BUS_PIO, X86_PCI_PORT_WINDOW, X86_PCI_PORT_WINDOW_PORTS},
    {BUS_MMIO, X86_PCI_WINDOW_GPA, X86_PCI_WINDOW_BYTES},
    {BUS_MMIO, X86_ECAM_GPA, X86_ECAM_BYTES},
    {BUS_MMIO, X86_VIRTIO_GPA, X86_VIRTIO_MAX *X86_VIRTIO_STRIDE},
    {BUS_MMIO, X86_PCI_WINDOW64_BYTES, X86_PCI_WINDOW64_BYTES}, /* where there is no RAM */
};

struct seam;

struct area {
    struct seam *seam;
    unsigned index;
    struct bus_region region;
};

struct seam {
    struct tape *tape;
    unsigned source;
    struct evloop *loop;
    struct bus *outer[2], *inner[2]; /* by enum bus_space */
    struct area areas[ARRAY_SIZE(areas)];
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
    struct access a = {.seam = ctx,
                       .space = rec->queue >> 8 == BUS_PIO ? BUS_PIO : BUS_MMIO,
                       .addr = rec->a,
                       .value = rec->b,
                       .width = rec->queue & 0xff,
                       .write = rec->type == TAPE_WRITE};
    make(&a);
}

/* ---- the windows, on any vCPU's thread ---- */

static uint64_t window(struct area *area, uint64_t offset, unsigned width, bool write,
                       uint64_t value)
{
    struct access a = {.seam = area->seam,
                       .space = areas[area->index].space,
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
    return bus_name_at(area->seam->inner[areas[area->index].space], area->region.base + offset);
}

static const struct bus_ops window_ops = {
    .read = window_read, .write = window_write, .name_at = window_name_at};

static int open_windows(struct seam *s)
{
    for (unsigned i = 0; i < ARRAY_SIZE(areas); i++) {
        struct area *area = &s->areas[i];
        struct bus *bus = s->outer[areas[i].space];
        *area = (struct area){.seam = s,
                              .index = i,
                              .region = {.name = "recorded",
                                         .base = areas[i].base,
                                         .size = areas[i].bytes,
                                         .widths = BUS_W1248,
                                         .ops = &window_ops,
                                         .dev = area}};
        int err = bus != NULL ? bus_add(bus, &area->region) : 0;
        if (err != 0)
            return fail(err, "--record: window at %#llx", (unsigned long long)areas[i].base);
    }
    return 0;
}

/* ---- life ---- */

int seam_create(struct seam **out, struct tape *tape, struct evloop *loop, struct bus *mmio,
                struct bus *pio)
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
    int err = bus_create(&s->inner[BUS_MMIO], "mmio", MACHINE_MMIO_LIMIT);
    if (err == 0)
        err = bus_create(&s->inner[BUS_PIO], "pio", MACHINE_PIO_LIMIT);
    if (err == 0)
        err = open_windows(s);
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
    for (unsigned i = 0; i < ARRAY_SIZE(areas); i++)
        if (s->outer[areas[i].space] != NULL)
            bus_remove(s->outer[areas[i].space], &s->areas[i].region);
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
