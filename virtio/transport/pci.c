// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/transport/pci.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "core/state/state.h"
#include "virtio/base/observer.h"
#include "virtio/base/shm.h"
#include "virtio/spec.h"
#include "virtio/transport/pci_impl.h"

/* VIRTIO 1.4 4.1.2.1: at least that, so that old drivers stay away. */
#define SUBSYSTEM_BASE  0x40u
#define SHM_ALIGN       0x1000u
#define SHM_BYTES_MAX   (UINT64_C(1) << 40)
#define SHM_REGIONS_MAX 3u  /* as many capabilities as there is room for */
#define LEGACY_PORTS    64u /* at least */
#define CAP_ID_VENDOR   0x09u

/* ---- interrupts: on any loop and any vCPU, without the transport's lock ---- */

/*
 * Makes the line follow the ISR status, after either that or MSI-X has changed. The last caller
 * sees the latest of both, so that the level is right however changes and calls interleave.
 */
static void update_intx(struct virtio_pci *p)
{
    pthread_mutex_lock(&p->intr_lock);
    pci_func_intx(&p->func, atomic_load(&p->regs.isr) != 0 && !msix_enabled(p->msix));
    pthread_mutex_unlock(&p->intr_lock);
}

static void set_isr(struct virtio_pci *p, uint8_t bit)
{
    atomic_fetch_or(&p->regs.isr, bit);
    update_intx(p);
}

uint8_t virtio_pci_take_isr(struct virtio_pci *p)
{
    uint8_t isr = (uint8_t)atomic_exchange(&p->regs.isr, 0);
    update_intx(p);
    return isr;
}

static void notify_queue(void *ctx, unsigned queue)
{
    struct virtio_pci *p = ctx;
    uint16_t vector = atomic_load(&p->queue_vector[queue]);
    if (!msix_enabled(p->msix))
        set_isr(p, VIRTIO_ISR_QUEUE);
    else if ((atomic_load(&p->queue_source[queue]) < 0 || !msix_raise_source(p->msix, queue)) &&
             vector != VIRTIO_MSI_NO_VECTOR)
        msix_raise(p->msix, vector);
}

/* Registers change the vector and the loop the eventfd: likewise, the last caller sees both. It may
 * wait for routes, so that it has a lock of its own: the loop takes that of the line. */
static void update_source(struct virtio_pci *p, unsigned queue)
{
    pthread_mutex_lock(&p->source_lock);
    uint16_t vector = atomic_load(&p->queue_vector[queue]);
    bool has_vector = vector != VIRTIO_MSI_NO_VECTOR;
    msix_set_source(p->msix, queue, has_vector ? atomic_load(&p->queue_source[queue]) : -1,
                    has_vector ? vector : 0);
    pthread_mutex_unlock(&p->source_lock);
}

static void notify_by(void *ctx, unsigned queue, int eventfd)
{
    struct virtio_pci *p = ctx;
    atomic_store(&p->queue_source[queue], eventfd);
    update_source(p, queue);
}

static void set_vector(struct virtio_pci *p, unsigned queue, uint16_t vector)
{
    atomic_store(&p->queue_vector[queue], vector);
    update_source(p, queue);
}

static void notify_config(void *ctx)
{
    struct virtio_pci *p = ctx;
    uint16_t vector = atomic_load(&p->config_vector);
    set_isr(p, VIRTIO_ISR_CONFIG);
    if (msix_enabled(p->msix) && vector != VIRTIO_MSI_NO_VECTOR)
        msix_raise(p->msix, vector);
}

static int queue_vector(void *ctx, unsigned queue)
{
    struct virtio_pci *p = ctx;
    uint16_t vector = atomic_load(&p->queue_vector[queue]);
    return msix_enabled(p->msix) && vector != VIRTIO_MSI_NO_VECTOR ? vector : -1;
}

static const struct virtio_host_ops host_ops = {
    .notify_queue = notify_queue,
    .notify_config = notify_config,
    .notify_by = notify_by,
    .queue_vector = queue_vector,
};

static void forget_vectors(struct virtio_pci *p)
{
    atomic_store(&p->config_vector, VIRTIO_MSI_NO_VECTOR);
    for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
        atomic_store(&p->queue_vector[q], VIRTIO_MSI_NO_VECTOR);
}

/* ---- registers of its own: under the registers' lock ---- */

static uint64_t get(struct virtio_registers *r, enum virtio_register reg)
{
    struct virtio_pci *p = container_of(r, struct virtio_pci, regs);
    uint32_t queue = atomic_load(&r->queue_sel);
    switch (reg) {
    case VREG_ISR_TAKE:
        return virtio_pci_take_isr(p);
    case VREG_CONFIG_VECTOR:
        return atomic_load(&p->config_vector);
    default: /* VREG_QUEUE_VECTOR */
        return queue < p->dev->cfg.queue_count ? atomic_load(&p->queue_vector[queue])
                                               : VIRTIO_MSI_NO_VECTOR;
    }
}

static uint16_t valid_vector(const struct virtio_pci *p, uint64_t vector)
{
    unsigned count = msix_vectors(p->msix);
    if (vector >= count && vector != VIRTIO_MSI_NO_VECTOR)
        virtio_observe(p->dev, VIRTIO_ON_BAD_VECTOR, NULL, NULL, vector);
    return vector < count ? (uint16_t)vector : (uint16_t)VIRTIO_MSI_NO_VECTOR;
}

static void set(struct virtio_registers *r, enum virtio_register reg, uint64_t value)
{
    struct virtio_pci *p = container_of(r, struct virtio_pci, regs);
    uint32_t queue = atomic_load(&r->queue_sel);
    if (reg == VREG_CONFIG_VECTOR)
        atomic_store(&p->config_vector, valid_vector(p, value));
    else if (queue < p->dev->cfg.queue_count) /* VREG_QUEUE_VECTOR */
        set_vector(p, queue, valid_vector(p, value));
}

static void reset(struct virtio_registers *r)
{
    struct virtio_pci *p = container_of(r, struct virtio_pci, regs);
    forget_vectors(p);
    msix_clear_pending(p->msix);
    update_intx(p);
}

static const struct virtio_registers_ops registers_ops = {.get = get, .set = set, .reset = reset};

/* ---- the function's calls: under its lock ---- */

static bool touches_data(const struct virtio_pci *p, unsigned cap, unsigned offset)
{
    return cap == p->access_cap && offset >= VIRTIO_PCI_CFG_CAP_data;
}

static void cap_read(void *ctx, unsigned cap, unsigned offset, unsigned width)
{
    struct virtio_pci *p = ctx;
    (void)width;
    if (touches_data(p, cap, offset))
        virtio_pci_access_read(p);
}

static void cap_written(void *ctx, unsigned cap, unsigned offset, unsigned width)
{
    struct virtio_pci *p = ctx;
    (void)width;
    if (cap == msix_cap(p->msix)) {
        msix_control_changed(p->msix);
        update_intx(p);
    }
    if (touches_data(p, cap, offset))
        virtio_pci_access_write(p);
}

static void move_bells(struct virtio_pci *p, unsigned bar, uint64_t addr)
{
    static const unsigned offsets[] = {
        [VIRTIO_PCI_BAR_LEGACY] = VIRTIO_PCI_LEGACY_queue_notify,
        [VIRTIO_PCI_BAR_REGISTERS] = VIRTIO_PCI_AT_NOTIFY,
    };
    if (bar < ARRAY_SIZE(offsets) && offsets[bar] != 0)
        virtio_bells_move(&p->regs, bar == VIRTIO_PCI_BAR_LEGACY,
                          addr == PCI_NO_ADDRESS ? VIRTIO_NOWHERE : addr + offsets[bar]);
}

static void bar_going(void *ctx, unsigned bar, uint64_t addr)
{
    (void)addr;
    move_bells(ctx, bar, PCI_NO_ADDRESS);
}

static void bar_come(void *ctx, unsigned bar, uint64_t addr)
{
    move_bells(ctx, bar, addr);
}

static const struct pci_func_ops func_ops = {
    .bar_going = bar_going,
    .bar_come = bar_come,
    .cap_read = cap_read,
    .cap_written = cap_written,
};

/* ---- identity ---- */

static struct pci_func_config identity(struct virtio_pci *p)
{
    const struct virtio_device_type *type = p->dev->cfg.type;
    bool legacy = p->cfg.legacy;
    return (struct pci_func_config){
        .name = p->dev->setup.name,
        .vendor = VIRTIO_PCI_VENDOR_ID,
        .device = legacy ? type->pci_transitional : (uint16_t)(VIRTIO_PCI_DEVICE_BASE + type->id),
        .subsystem_vendor = VIRTIO_PCI_VENDOR_ID,
        .subsystem = (uint16_t)(legacy ? type->id : SUBSYSTEM_BASE + type->id),
        .revision = legacy ? 0 : 1,
        .class_code = p->cfg.class_code != 0 ? p->cfg.class_code : type->pci_class,
        .has_intx = true,
        .mmio = p->cfg.mmio,
        .pio = p->cfg.pio,
        .ops = &func_ops,
        .ctx = p,
    };
}

/* ---- capabilities (VIRTIO 1.4 4.1.4) ---- */

struct place {
    uint8_t type, bar, id;
    uint64_t offset, bytes;
};

static unsigned add_cap(struct virtio_pci *p, unsigned cap_bytes, const struct place *place)
{
    struct pci_func *f = &p->func;
    unsigned cap = pci_func_add_cap(f, CAP_ID_VENDOR, cap_bytes);
    pci_func_put(f, cap + VIRTIO_PCI_CAP_cap_len, 1, cap_bytes);
    pci_func_put(f, cap + VIRTIO_PCI_CAP_cfg_type, 1, place->type);
    pci_func_put(f, cap + VIRTIO_PCI_CAP_bar, 1, place->bar);
    pci_func_put(f, cap + VIRTIO_PCI_CAP_id, 1, place->id);
    pci_func_put(f, cap + VIRTIO_PCI_CAP_offset, 4, (uint32_t)place->offset);
    pci_func_put(f, cap + VIRTIO_PCI_CAP_length, 4, (uint32_t)place->bytes);
    if (cap_bytes == VIRTIO_PCI_CAP64_BYTES) {
        pci_func_put(f, cap + VIRTIO_PCI_CAP64_offset_hi, 4, (uint32_t)(place->offset >> 32));
        pci_func_put(f, cap + VIRTIO_PCI_CAP64_length_hi, 4, (uint32_t)(place->bytes >> 32));
    }
    return cap;
}

static void add_structures(struct virtio_pci *p)
{
    const struct virtio_device_config *cfg = &p->dev->cfg;
    const struct place places[] = {
        {VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_BAR_REGISTERS, 0, VIRTIO_PCI_AT_COMMON,
         VIRTIO_PCI_COMMON_BYTES},
        {VIRTIO_PCI_CAP_NOTIFY_CFG, VIRTIO_PCI_BAR_REGISTERS, 0, VIRTIO_PCI_AT_NOTIFY,
         (uint64_t)cfg->queue_count * VIRTIO_PCI_NOTIFY_MULTIPLIER},
        {VIRTIO_PCI_CAP_ISR_CFG, VIRTIO_PCI_BAR_REGISTERS, 0, VIRTIO_PCI_AT_ISR, 1},
        {VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_BAR_REGISTERS, 0, VIRTIO_PCI_AT_CONFIG,
         cfg->config_bytes},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        bool notify = places[i].type == VIRTIO_PCI_CAP_NOTIFY_CFG;
        if (places[i].bytes == 0) /* no configuration space */
            continue;
        unsigned cap =
            add_cap(p, notify ? VIRTIO_PCI_NOTIFY_CAP_BYTES : VIRTIO_PCI_CAP_BYTES, &places[i]);
        if (notify)
            pci_func_put(&p->func, cap + VIRTIO_PCI_NOTIFY_CAP_multiplier, 4,
                         VIRTIO_PCI_NOTIFY_MULTIPLIER);
    }
}

static void add_caps(struct virtio_pci *p)
{
    const struct virtio_device_config *cfg = &p->dev->cfg;
    add_structures(p);
    unsigned cap =
        add_cap(p, VIRTIO_PCI_CFG_CAP_BYTES, &(struct place){.type = VIRTIO_PCI_CAP_PCI_CFG});
    pci_func_allow(&p->func, cap + VIRTIO_PCI_CAP_bar, 1, 0xff);
    pci_func_allow(&p->func, cap + VIRTIO_PCI_CAP_offset, 4, UINT32_MAX);
    pci_func_allow(&p->func, cap + VIRTIO_PCI_CAP_length, 4, UINT32_MAX);
    pci_func_allow(&p->func, cap + VIRTIO_PCI_CFG_CAP_data, 4, UINT32_MAX);
    p->access_cap = cap;
    for (unsigned i = 0; i < cfg->shm_count; i++)
        add_cap(p, VIRTIO_PCI_CAP64_BYTES,
                &(struct place){VIRTIO_PCI_CAP_SHARED_MEMORY_CFG, VIRTIO_PCI_BAR_SHM,
                                cfg->shm[i].id, virtio_shm_offset(p->dev, i), cfg->shm[i].bytes});
}

/* ---- BARs ---- */

static uint64_t pow2_above(uint64_t bytes, uint64_t least)
{
    uint64_t size = least;
    while (size < bytes)
        size *= 2;
    return size;
}

static void add_register_bars(struct virtio_pci *p)
{
    pci_func_add_bar(&p->func, VIRTIO_PCI_BAR_REGISTERS,
                     &(struct pci_bar_config){
                         .space = BUS_MMIO,
                         .is_64 = true,
                         .bytes = VIRTIO_PCI_REGISTERS_BYTES,
                         .name = p->dev->setup.name,
                         .widths = BUS_W1248,
                         .ops = &virtio_pci_registers_ops,
                         .dev = p,
                     });
    if (p->cfg.legacy)
        pci_func_add_bar(&p->func, VIRTIO_PCI_BAR_LEGACY,
                         &(struct pci_bar_config){
                             .space = BUS_PIO,
                             .bytes = pow2_above(virtio_pci_legacy_bytes(p->dev), LEGACY_PORTS),
                             .name = p->dev->setup.name,
                             .widths = BUS_W124,
                             .ops = &virtio_pci_legacy_ops,
                             .dev = p,
                         });
}

static void add_shm_bar(struct virtio_pci *p)
{
    uint64_t bytes = virtio_shm_bytes(p->dev);
    if (bytes == 0)
        return;
    pci_func_add_bar(&p->func, VIRTIO_PCI_BAR_SHM,
                     &(struct pci_bar_config){
                         .space = BUS_MMIO,
                         .is_64 = true,
                         .prefetch = true,
                         .bytes = pow2_above(bytes, SHM_ALIGN),
                         .name = p->dev->setup.name,
                         .widths = BUS_W1248,
                         .ops = &virtio_shm_ops,
                         .dev = p->dev,
                     });
}

/* ---- life ---- */

static int check(const struct virtio_pci_config *config)
{
    const struct virtio_device_config *cfg = &config->device->cfg;
    if (config->legacy && cfg->type->pci_transitional == 0)
        return fail_msg(-ENOTSUP, "virtio %s: no legacy interface exists for this type of device",
                        config->device->setup.name);
    if (cfg->config_bytes > VIRTIO_PCI_PAGE_BYTES || cfg->shm_count > SHM_REGIONS_MAX)
        return fail_msg(-ENOTSUP, "virtio %s: the device has no room on PCI",
                        config->device->setup.name);
    for (unsigned i = 0; i < cfg->shm_count; i++)
        if (cfg->shm[i].bytes > SHM_BYTES_MAX - virtio_shm_offset(config->device, i))
            return fail_msg(-EFBIG, "virtio %s: its shared memory is too large",
                            config->device->setup.name);
    return 0;
}

static int set_up(struct virtio_pci *p)
{
    struct pci_func_config config = identity(p);
    int err = pci_func_init(&p->func, &config);
    if (err == 0)
        err = msix_create(&p->msix, &(struct msix_config){
                                        .func = &p->func,
                                        .bar = VIRTIO_PCI_BAR_MSIX,
                                        .vectors = p->dev->cfg.queue_count + 1,
                                        .sources = p->dev->cfg.queue_count,
                                        .sink = p->cfg.msi,
                                    });
    if (err != 0)
        return err;
    add_shm_bar(p);
    add_register_bars(p);
    add_caps(p);
    return 0;
}

int virtio_pci_create(struct virtio_pci **out, const struct virtio_pci_config *config)
{
    int err = check(config);
    if (err != 0)
        return err;
    struct virtio_pci *p = calloc(1, sizeof(*p));
    if (p == NULL)
        return fail(-ENOMEM, "virtio %s: pci", config->device->setup.name);
    p->cfg = *config;
    p->dev = config->device;
    pthread_mutex_init(&p->intr_lock, NULL);
    pthread_mutex_init(&p->source_lock, NULL);
    p->regs = (struct virtio_registers){
        .dev = p->dev,
        .layouts = virtio_pci_layouts,
        .ops = &registers_ops,
        .doorbell = config->doorbell,
        .queue_align = VIRTIO_PCI_LEGACY_PAGE_BYTES,
        .page_bytes = VIRTIO_PCI_LEGACY_PAGE_BYTES,
    };
    virtio_registers_init(&p->regs);
    forget_vectors(p);
    for (unsigned q = 0; q < VIRTIO_QUEUES_MAX; q++)
        atomic_store(&p->queue_source[q], -1);
    virtio_device_attach(p->dev, &(struct virtio_host){.ops = &host_ops, .ctx = p});
    err = set_up(p);
    if (err != 0) {
        virtio_pci_destroy(p);
        return err;
    }
    *out = p;
    return 0;
}

struct pci_func *virtio_pci_func(struct virtio_pci *p)
{
    return &p->func;
}

static uint16_t vector_state(const struct virtio_pci *p, const char *name, uint16_t vector,
                             struct state *s)
{
    vector = (uint16_t)state_number(s, name, vector, UINT16_MAX);
    if (vector != VIRTIO_MSI_NO_VECTOR && vector >= msix_vectors(p->msix))
        state_refuse(s, "an MSI-X vector that is not there");
    return vector;
}

static void vectors_state(struct virtio_pci *p, struct state *s)
{
    uint16_t vector = vector_state(p, "config_vector", atomic_load(&p->config_vector), s);
    atomic_store(&p->config_vector, vector);
    for (unsigned q = 0; q < p->dev->cfg.queue_count && state_begin(s, "interrupt", q, 1); q++) {
        vector = vector_state(p, "vector", atomic_load(&p->queue_vector[q]), s);
        if (s->loads && s->err == 0)
            set_vector(p, q, vector);
        state_end(s);
    }
}

void virtio_pci_state(struct virtio_pci *p, struct state *s)
{
    if (!state_begin(s, "pci", 0, 1))
        return;
    pci_func_state(&p->func, s);
    msix_state(p->msix, s);
    vectors_state(p, s);
    virtio_registers_state(&p->regs, s);
    if (p->dev->legacy && !p->cfg.legacy)
        state_refuse(s, "its driver uses the legacy interface, which this function lacks");
    update_intx(p);
    state_end(s);
}

static void describe_vector(struct facts *f, const char *name, uint16_t vector)
{
    if (vector != VIRTIO_MSI_NO_VECTOR)
        facts_number(f, name, vector);
}

void virtio_pci_describe(struct virtio_pci *p, struct facts *f)
{
    facts_word(f, "transport", p->cfg.legacy ? "pci, transitional" : "pci");
    facts_group(f, "pci");
    pci_func_describe(&p->func, f);
    msix_describe(p->msix, f);
    facts_end(f);
    describe_vector(f, "config_vector", atomic_load(&p->config_vector));
    virtio_registers_describe(&p->regs, f);
}

void virtio_pci_destroy(struct virtio_pci *p)
{
    if (p == NULL)
        return;
    virtio_device_detach(p->dev); /* after which the device raises no interrupt */
    pci_func_fini(&p->func);
    msix_destroy(p->msix);
    virtio_registers_fini(&p->regs);
    pthread_mutex_destroy(&p->source_lock);
    pthread_mutex_destroy(&p->intr_lock);
    free(p);
}
