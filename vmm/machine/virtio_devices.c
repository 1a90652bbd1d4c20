// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/machine/virtio_devices.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "core/output/facts.h"
#include "core/ports/hv.h"
#include "devices/platform/pci_host.h"
#include "pci/function.h"
#include "virtio/observe/device_tape.h"
#include "virtio/observe/stats.h"
#include "virtio/observe/strict.h"
#include "virtio/spec.h"
#include "virtio/transport/mmio.h"
#include "virtio/transport/pci.h"
#include "vmm/config/config.h"
#include "vmm/machine/device_kind.h"
#include "vmm/machine/io_threads.h"
#include "vmm/report/stats.h"

#define ID_BYTES 24
#define SLOTS    (PCI_DEVFN_COUNT / PCI_FUNCTIONS)

static const struct device_kind *const kinds[] = {
#define VIRTIO_KIND(kind) &kind##_kind,
#include "virtio/devices.def"
};

static const char *const kind_names[] = {
#define VIRTIO_KIND(kind) #kind,
#include "virtio/devices.def"
};

#define MAX_DEVICES \
    (CONFIG_MAX_DISKS + CONFIG_MAX_NETS + CONFIG_MAX_SHARES + INPUT_KINDS + ARRAY_SIZE(kinds))

_Static_assert(MAX_DEVICES < (SLOTS - 1) * PCI_FUNCTIONS, "a PCI function for each, and the board");

/* One of the devices, behind one of the two transports. */
struct slot {
    struct device_slot d;
    const struct device_kind *kind;
    struct virtio_mmio *mmio;
    struct irq_line irq;
    struct virtio_pci *pci;
};

struct virtio_devices {
    struct virtio_devices_config cfg;
    struct io_threads *threads;
    unsigned count;
    struct pci_host *pci_host;
    struct irq_line wires[PCI_HOST_WIRES];
    struct pci_windows windows;
    unsigned window_count, function_count;
    struct slot slots[MAX_DEVICES]; /* `count` of them; the first that is not cleared */
};

/* ---- transports ---- */

static int plug_mmio(struct virtio_devices *d, struct slot *s)
{
    const struct arch *arch = d->cfg.arch;
    unsigned index = d->window_count++;
    if (index >= arch->virtio.count)
        return fail_msg(-EINVAL,
                        "%s: there are %u virtio-mmio windows, one a device; give "
                        "transport=pci to this one, or --virtio transport=pci to all",
                        s->d.dev->setup.name, arch->virtio.count);
    int r = d->cfg.hv->irq_line(d->cfg.hv_vm, arch->virtio.irqs[index], IRQ_BY_EVENTFD, &s->irq);
    if (r < 0)
        return r;
    return virtio_mmio_create(&s->mmio,
                              &(struct virtio_mmio_config){
                                  .bus = d->cfg.mmio,
                                  .base_gpa = arch->virtio.gpa + index * arch->virtio.stride,
                                  .irq = s->irq,
                                  .doorbell = d->cfg.hv->doorbell(d->cfg.hv_vm),
                                  .device = s->d.dev,
                                  .legacy = s->d.keys->legacy == ON_OFF_ON,
                              });
}

/* Slot 0 is the bridge's. When every slot has a function the slots get second ones, and so on. */
static unsigned next_devfn(struct virtio_devices *d)
{
    unsigned index = d->function_count++;
    return PCI_DEVFN(1 + index % (SLOTS - 1), index / (SLOTS - 1));
}

static int plug_pci(struct virtio_devices *d, struct slot *s)
{
    unsigned devfn = next_devfn(d);
    if (s->d.keys->legacy == ON_OFF_ON && d->cfg.pio == NULL)
        return fail_msg(-ENOTSUP,
                        "%s: legacy=on of transport=pci needs ports, which this machine lacks; say "
                        "transport=mmio",
                        s->d.dev->setup.name);
    int r = virtio_pci_create(&s->pci, &(struct virtio_pci_config){
                                           .mmio = d->cfg.mmio,
                                           .pio = d->cfg.pio,
                                           .msi = d->cfg.hv->msi_sink(d->cfg.hv_vm, devfn),
                                           .doorbell = d->cfg.hv->doorbell(d->cfg.hv_vm),
                                           .class_code = s->d.pci_class,
                                           .legacy = s->d.keys->legacy == ON_OFF_ON,
                                           .device = s->d.dev,
                                       });
    if (r < 0)
        return r;
    r = pci_host_add(d->pci_host, devfn, &virtio_pci_func(s->pci)->port);
    return r < 0 ? fail(r, "%s: PCI slot", s->d.dev->setup.name) : 0;
}

static int plug(struct virtio_devices *d, struct slot *s)
{
    int r = d->cfg.vm->stats != STATS_OFF ? virtio_device_measure(s->d.dev, &clock_host) : 0;
    if (r == 0 && d->cfg.vm->strict)
        r = virtio_strict_watch(s->d.dev);
    if (r == 0 && d->cfg.tape != NULL)
        r = virtio_tape_create(s->d.dev, d->cfg.tape);
    if (r < 0)
        return r;
    return s->d.keys->transport == TRANSPORT_PCI ? plug_pci(d, s) : plug_mmio(d, s);
}

/* ---- the PCI bus ---- */

static int create_pci_host(struct virtio_devices *d)
{
    struct pci_host_config config = {
        .pio = d->cfg.pio, .mmio = d->cfg.mmio, .ecam_gpa = d->cfg.arch->pci.ecam_gpa};
    for (unsigned i = 0; i < PCI_HOST_WIRES; i++) {
        int r =
            d->cfg.hv->irq_line(d->cfg.hv_vm, d->cfg.arch->pci.irq + i, IRQ_BY_CALL, &d->wires[i]);
        if (r < 0)
            return r;
        config.wires[i] = d->wires[i];
    }
    return pci_host_create(&d->pci_host, &config);
}

/* A bus with nothing but that is not worth a guest's time. */
static int add_board_function(struct virtio_devices *d)
{
    if (d->cfg.function == NULL || d->function_count == 0)
        return 0;
    int r = pci_host_add(d->pci_host, next_devfn(d), d->cfg.function);
    return r < 0 ? fail(r, "%s: PCI slot", d->cfg.function->name) : 0;
}

/* 64-bit BARs lie above RAM, if there is room for them; else below. */
static int assign_pci(struct virtio_devices *d)
{
    const struct gmem_region *last = &d->cfg.gmem->regions[d->cfg.gmem->count - 1];
    d->windows = d->cfg.arch->pci.windows;
    if (last->gpa + last->bytes > d->windows.memory64.base)
        d->windows.memory64 = (struct pci_window){0};
    return pci_host_assign(d->pci_host, &d->windows);
}

static void release_line(struct virtio_devices *d, struct irq_line *line)
{
    if (line->set != NULL)
        d->cfg.hv->irq_line_release(d->cfg.hv_vm, line);
}

/* ---- for the kinds ---- */

/*
 * The loops that NAME[:NAME...] stands for, at least one and at most `max`; without a name the main
 * one. Returns how many.
 */
static int find_loops(struct io_threads *threads, const char *names, struct evloop **loops,
                      unsigned max)
{
    unsigned count = 0;
    const char *name = names[0] != '\0' ? names : IO_THREADS_MAIN;
    do {
        size_t len = strcspn(name, ":");
        int r = io_threads_get(threads, name, len, &loops[count++]);
        if (r < 0)
            return r;
        name += len + (name[len] == ':');
    } while (count < max && name[0] != '\0');
    return (int)count;
}

int device_slot_loops(struct device_slot *s, const struct virtio_keys *keys,
                      struct evloop **queue_loops, unsigned queues)
{
    int count = find_loops(s->threads, keys->iothread, queue_loops, queues);
    if (count < 0)
        return count;
    s->keys = keys;
    s->loop = count == 1 ? queue_loops[0] : s->cfg->loop;
    for (unsigned i = (unsigned)count; i < queues; i++)
        queue_loops[i] = queue_loops[i % (unsigned)count];
    return count;
}

struct virtio_setup device_slot_setup(const struct device_slot *s, const char *name)
{
    const struct vm_config *vm = s->cfg->vm;
    uint64_t packed = s->keys->ring == RING_PACKED ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0;
    return (struct virtio_setup){
        .name = name,
        .loop = s->loop,
        .gmem = s->cfg->gmem,
        .features_on = vm->features_on | packed,
        .features_off = vm->features_off,
        .queue_size_max = s->keys->queue_size,
    };
}

/* ---- life ---- */

static int create_slot(struct virtio_devices *d, const struct device_kind *kind, unsigned index)
{
    BUG_ON(d->count == MAX_DEVICES);
    struct slot *s = &d->slots[d->count++];
    *s = (struct slot){.kind = kind, .d = {.cfg = &d->cfg, .threads = d->threads, .index = index}};
    int r = kind->create(&s->d, index);
    if (r == 0)
        r = plug(d, s);
    return r;
}

static void destroy_slot(struct virtio_devices *d, struct slot *s)
{
    virtio_mmio_destroy(s->mmio);
    virtio_pci_destroy(s->pci);
    if (s->d.own != NULL)
        s->kind->destroy(s->d.own);
    release_line(d, &s->irq);
}

int virtio_devices_create(struct virtio_devices **out, const struct virtio_devices_config *config)
{
    struct virtio_devices *d = ALLOC_BEFORE(struct virtio_devices, slots);
    if (d == NULL)
        return fail(-ENOMEM, "virtio devices");
    d->cfg = *config;
    int r = io_threads_create(&d->threads, config->loop, config->vm);
    if (r == 0)
        r = create_pci_host(d);
    for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++)
        for (unsigned i = 0; r == 0 && i < kinds[k]->count(config->vm); i++)
            r = create_slot(d, kinds[k], i);
    if (r == 0)
        r = add_board_function(d);
    if (r == 0)
        r = assign_pci(d);
    if (r < 0) {
        virtio_devices_destroy(d);
        return r;
    }
    *out = d;
    return 0;
}

void virtio_devices_destroy(struct virtio_devices *d)
{
    if (d == NULL)
        return;
    if (d->threads != NULL)
        io_threads_stop(d->threads);
    for (unsigned i = d->count; i-- > 0;)
        destroy_slot(d, &d->slots[i]);
    pci_host_destroy(d->pci_host);
    for (unsigned i = 0; i < PCI_HOST_WIRES; i++)
        release_line(d, &d->wires[i]);
    io_threads_destroy(d->threads);
    free(d);
}

int virtio_devices_start(struct virtio_devices *d)
{
    return io_threads_start(d->threads);
}

void virtio_devices_stop(struct virtio_devices *d)
{
    io_threads_stop(d->threads);
}

void virtio_devices_drain(struct virtio_devices *d)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (d->slots[i].kind->drain != NULL)
            d->slots[i].kind->drain(&d->slots[i].d);
    }
}

void virtio_devices_report(const struct virtio_devices *d)
{
    for (unsigned i = 0; i < d->count; i++)
        virtio_strict_summary(d->slots[i].d.dev);
}

int virtio_devices_stats(const struct virtio_devices *d, struct stats *s)
{
    int r = io_threads_stats(d->threads, s);
    for (unsigned i = 0; r == 0 && i < d->count; i++) {
        r = stats_add_device(s, d->slots[i].d.dev);
        if (r == 0 && d->slots[i].kind->stats != NULL)
            d->slots[i].kind->stats(&d->slots[i].d, s);
    }
    return r;
}

/* What `info` calls it: that tells it from all others, which its name may not do. */
static void make_id(const struct slot *s, char id[ID_BYTES])
{
    unsigned k = 0;
    while (kinds[k] != s->kind)
        k++;
    snprintf(id, ID_BYTES, "%s%u", kind_names[k], s->d.index);
}

static void describe_slot(const struct slot *s, const char *id, struct facts *f)
{
    facts_group(f, NULL);
    facts_word(f, "device", id);
    facts_word(f, "name", s->d.dev->setup.name);
    facts_word(f, "type", s->d.dev->cfg.type->name);
    if (s->pci != NULL)
        virtio_pci_describe(s->pci, f);
    else
        virtio_mmio_describe(s->mmio, f);
    if (s->kind->describe != NULL) {
        facts_group(f, "back_end");
        s->kind->describe(&s->d, f);
        facts_end(f);
    }
    facts_end(f);
}

int virtio_devices_describe(const struct virtio_devices *d, const char *name, struct facts *f)
{
    int r = name == NULL ? 0 : -ENODEV;
    facts_list(f, "devices");
    for (unsigned i = 0; i < d->count; i++) {
        const struct slot *s = &d->slots[i];
        char id[ID_BYTES];
        make_id(s, id);
        if (name != NULL && strcmp(name, id) != 0 && strcmp(name, s->d.dev->setup.name) != 0)
            continue;
        describe_slot(s, id, f);
        r = 0;
    }
    facts_end(f);
    if (name == NULL)
        io_threads_describe(d->threads, f);
    return r;
}

unsigned virtio_devices_print_in_flight(const struct virtio_devices *d, FILE *out)
{
    unsigned count = 0;
    for (unsigned i = 0; i < d->count; i++) {
        struct virtio_device *dev = d->slots[i].d.dev;
        for (unsigned q = 0; q < dev->cfg.queue_count; q++) {
            unsigned chains = virtio_queue_in_flight(dev, q);
            if (chains > 0)
                fprintf(out, "%s %s queue %u (%u)", count++ > 0 ? "," : "", dev->setup.name, q,
                        chains);
        }
    }
    return count;
}

static void *first_of(const struct virtio_devices *d, const struct device_kind *kind)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->slots[i].kind == kind)
            return d->slots[i].d.own;
    return NULL;
}

struct virtio_balloon *virtio_devices_balloon(const struct virtio_devices *d)
{
    return first_of(d, &balloon_kind);
}

struct console *virtio_devices_console(const struct virtio_devices *d)
{
    return first_of(d, &console_kind);
}

int virtio_devices_set_link(const struct virtio_devices *d, unsigned card, bool up)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->slots[i].kind->set_link != NULL && card-- == 0)
            return d->slots[i].kind->set_link(&d->slots[i].d, up);
    return -ENODEV;
}

static const struct slot *find_disk(const struct virtio_devices *d, unsigned disk)
{
    for (unsigned i = 0; i < d->count; i++)
        if (d->slots[i].kind->resize != NULL && disk-- == 0)
            return &d->slots[i];
    return NULL;
}

int virtio_devices_resize(const struct virtio_devices *d, unsigned disk, uint64_t bytes,
                          bool is_done)
{
    const struct slot *s = find_disk(d, disk);
    return s != NULL ? s->kind->resize(&s->d, bytes, is_done) : -ENODEV;
}

int virtio_devices_begin_swap(const struct virtio_devices *d, unsigned disk,
                              struct blk_file_config *out)
{
    const struct slot *s = find_disk(d, disk);
    return s != NULL ? s->kind->begin_swap(&s->d, out) : -ENODEV;
}

int virtio_devices_swap(const struct virtio_devices *d, unsigned disk, struct blk_file *spare)
{
    const struct slot *s = find_disk(d, disk);
    return s != NULL ? s->kind->swap(&s->d, spare) : -ENODEV;
}

struct board_devices virtio_devices_places(const struct virtio_devices *d)
{
    return (struct board_devices){
        .virtio_windows = d->window_count,
        .pci = !pci_host_is_empty(d->pci_host), /* or a guest would look for what is there */
        .windows = &d->windows,
    };
}
