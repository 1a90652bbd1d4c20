// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/transport/mmio.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "core/ports/bus.h"
#include "core/state/state.h"
#include "virtio/base/shm.h"
#include "virtio/spec.h"
#include "virtio/transport/registers.h"

#define VENDOR_ID 0x5654494du /* "MITV"; the specification assigns none */
#define NO_SHM    UINT64_MAX  /* length and base of a region that is not there */

struct virtio_mmio {
    struct virtio_mmio_config cfg;
    struct virtio_device *dev;
    struct virtio_registers regs;
    struct bus_region window, shm;
    uint32_t shm_sel; /* under the lock of the registers */
};

/* ---- interrupts: on any of the loops, without the lock ---- */

static void interrupt(struct virtio_mmio *m, uint32_t bit)
{
    /* The cause before the edge: the guest's interrupt handler reads the cause. */
    atomic_fetch_or(&m->regs.isr, bit);
    irq_pulse(&m->cfg.irq);
}

static void notify_queue(void *ctx, unsigned queue)
{
    (void)queue;
    interrupt(ctx, VIRTIO_ISR_QUEUE);
}

static void notify_config(void *ctx)
{
    interrupt(ctx, VIRTIO_ISR_CONFIG);
}

static const struct virtio_host_ops host_ops = {
    .notify_queue = notify_queue,
    .notify_config = notify_config,
};

/* ---- registers of its own ---- */

static uint64_t get_shm(const struct virtio_mmio *m, enum virtio_register reg)
{
    const struct virtio_shm *shm = virtio_device_shm(m->dev, m->shm_sel);
    if (shm == NULL || m->cfg.shm_gpa == 0)
        return NO_SHM;
    if (reg == VREG_SHM_LEN)
        return shm->bytes;
    return m->cfg.shm_gpa + virtio_shm_offset(m->dev, (unsigned)(shm - m->dev->cfg.shm));
}

static uint64_t get(struct virtio_registers *r, enum virtio_register reg)
{
    struct virtio_mmio *m = container_of(r, struct virtio_mmio, regs);
    switch (reg) {
    case VREG_MAGIC:
        return VIRTIO_MMIO_MAGIC;
    case VREG_VERSION:
        return m->cfg.legacy ? VIRTIO_MMIO_VERSION_LEGACY : VIRTIO_MMIO_VERSION;
    case VREG_DEVICE_ID:
        return m->dev->cfg.type->id;
    case VREG_VENDOR_ID:
        return VENDOR_ID;
    default:
        return get_shm(m, reg);
    }
}

static void set(struct virtio_registers *r, enum virtio_register reg, uint64_t value)
{
    if (reg == VREG_SHM_SEL)
        container_of(r, struct virtio_mmio, regs)->shm_sel = (uint32_t)value;
}

static void reset(struct virtio_registers *r)
{
    container_of(r, struct virtio_mmio, regs)->shm_sel = 0;
}

static const struct virtio_registers_ops registers_ops = {.get = get, .set = set, .reset = reset};

/* ---- the window ---- */

static uint64_t window_read(void *dev, uint64_t offset, unsigned width)
{
    struct virtio_mmio *m = dev;
    if (offset < VIRTIO_MMIO_Config)
        return virtio_registers_read(&m->regs, m->cfg.legacy, offset, width);
    return virtio_config_read(&m->regs, m->cfg.legacy, offset - VIRTIO_MMIO_Config, width);
}

static void window_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_mmio *m = dev;
    if (offset < VIRTIO_MMIO_Config)
        virtio_registers_write(&m->regs, m->cfg.legacy, offset, width, value);
    else
        virtio_config_write(&m->regs, m->cfg.legacy, offset - VIRTIO_MMIO_Config, width, value);
}

static const struct bus_ops window_ops = {.read = window_read, .write = window_write};

/* ---- life ---- */

static int add_region(struct virtio_mmio *m, struct bus_region *region, const char *what)
{
    region->name = m->dev->setup.name;
    region->widths = BUS_W1248;
    int err = bus_add(m->cfg.bus, region);
    if (err != 0)
        return fail(err, "virtio %s: %s at %#llx", m->dev->setup.name, what,
                    (unsigned long long)region->base);
    return 0;
}

static int add_regions(struct virtio_mmio *m)
{
    m->shm = (struct bus_region){
        .base = m->cfg.shm_gpa,
        .size = m->cfg.shm_gpa != 0 ? virtio_shm_bytes(m->dev) : 0,
        .ops = &virtio_shm_ops,
        .dev = m->dev,
    };
    m->window = (struct bus_region){
        .base = m->cfg.base_gpa,
        .size = VIRTIO_MMIO_BYTES,
        .ops = &window_ops,
        .dev = m,
    };
    int err = m->shm.size > 0 ? add_region(m, &m->shm, "shared memory") : 0;
    return err == 0 ? add_region(m, &m->window, "window") : err;
}

int virtio_mmio_create(struct virtio_mmio **out, const struct virtio_mmio_config *config)
{
    struct virtio_mmio *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return fail(-ENOMEM, "virtio %s: mmio", config->device->setup.name);
    m->cfg = *config;
    m->dev = config->device;
    m->regs = (struct virtio_registers){
        .dev = m->dev,
        .layouts = virtio_mmio_layouts,
        .ops = &registers_ops,
        .doorbell = config->doorbell,
        .settles = true, /* Linux does not ask whether a reset is done */
    };
    virtio_registers_init(&m->regs);
    virtio_bells_move(&m->regs, config->legacy, config->base_gpa + VIRTIO_MMIO_QueueNotify);
    virtio_device_attach(m->dev, &(struct virtio_host){.ops = &host_ops, .ctx = m});
    virtio_device_set_legacy(m->dev, config->legacy);
    int err = add_regions(m);
    if (err != 0) {
        virtio_mmio_destroy(m);
        return err;
    }
    *out = m;
    return 0;
}

void virtio_mmio_state(struct virtio_mmio *m, struct state *s)
{
    if (!state_begin(s, "mmio", 0, 1))
        return;
    m->shm_sel = (uint32_t)state_number(s, "shm_sel", m->shm_sel, UINT32_MAX);
    virtio_registers_state(&m->regs, s);
    if (m->dev->legacy != m->cfg.legacy)
        state_refuse(s, "its driver uses the other version of virtio-mmio");
    state_end(s);
}

void virtio_mmio_describe(struct virtio_mmio *m, struct facts *f)
{
    facts_word(f, "transport", m->cfg.legacy ? "mmio, version 1" : "mmio");
    facts_hex(f, "window", m->cfg.base_gpa);
    facts_number(f, "interrupt", m->cfg.irq.irq);
    virtio_registers_describe(&m->regs, f);
}

void virtio_mmio_destroy(struct virtio_mmio *m)
{
    if (m == NULL)
        return;
    bus_remove(m->cfg.bus, &m->window);
    bus_remove(m->cfg.bus, &m->shm);
    virtio_registers_fini(&m->regs);
    virtio_device_detach(m->dev);
    free(m);
}
