// SPDX-License-Identifier: BSD-2-Clause
#include "vmm/virtio_devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "core/clock.h"
#include "core/fail.h"
#include "core/hv.h"
#include "core/net.h"
#include "core/xmath.h"
#include "devices/backend/net_tap.h"
#include "devices/backend/storage_daemon.h"
#include "devices/pci_host.h"
#include "firmware/x86_layout.h"
#include "pci/function.h"
#include "virtio/blk.h"
#include "virtio/console.h"
#include "virtio/device.h"
#include "virtio/mmio.h"
#include "virtio/net.h"
#include "virtio/pci.h"
#include "virtio/rng.h"
#include "virtio/scsi.h"
#include "virtio/spec.h"
#include "virtio/strict.h"
#include "virtio/vhost_net.h"
#include "virtio/vhost_user_blk.h"
#include "virtio/vhost_user_net.h"
#include "vmm/config.h"
#include "vmm/disk.h"
#include "vmm/io_threads.h"
#include "vmm/net.h"
#include "vmm/stats.h"

#define MAX_DEVICES (CONFIG_MAX_DISKS + CONFIG_MAX_NETS + 2)

_Static_assert(VIRTIO_MMIO_BYTES <= X86_VIRTIO_STRIDE, "virtio windows do not overlap");
_Static_assert(MAX_DEVICES <= (X86_PCI_SLOTS - 1) * PCI_FUNCTIONS, "a PCI function for each");

/* One of the devices, behind one of the two transports. */
struct slot {
    struct evloop *loop; /* the device's */
    struct virtio_device *dev;
    struct virtio_mmio *mmio;
    struct irq_line irq;
    struct virtio_pci *pci;

    /* Whose `dev` is, and what is behind it. */
    struct blk_backend *disk;
    struct virtio_blk *blk;
    struct virtio_scsi *scsi;
    struct storage_daemon *daemon;
    struct net_backend *wire;
    int taps[CONFIG_MAX_PAIRS];
    struct vhost_net *vhost;
    struct virtio_net *net;
    struct vhost_user_device *vhost_user;
    struct virtio_rng *rng;
    struct virtio_console *console;
};

struct virtio_devices {
    struct virtio_devices_config cfg;
    struct io_threads *threads;
    struct slot slots[MAX_DEVICES];
    unsigned count;
    struct acpi_virtio windows[X86_VIRTIO_GSI_COUNT];
    unsigned window_count, function_count;
};

/* ---- transports ---- */

static int plug_mmio(struct virtio_devices *d, struct slot *s, const struct virtio_keys *keys)
{
    static const unsigned gsis[] = X86_VIRTIO_GSIS;
    unsigned index = d->window_count;
    if (index == X86_VIRTIO_GSI_COUNT)
        return fail_msg(-EINVAL,
                        "%s: there are %u virtio-mmio windows, one a device; give "
                        "transport=pci to this one, or --virtio transport=pci to all",
                        s->dev->setup.name, X86_VIRTIO_GSI_COUNT);
    int r = d->cfg.hv->irq_line(d->cfg.hv_vm, gsis[index], &s->irq);
    if (r < 0)
        return r;
    uint64_t gpa = X86_VIRTIO_GPA + index * X86_VIRTIO_STRIDE;
    d->windows[d->window_count++] =
        (struct acpi_virtio){.gpa = (uint32_t)gpa, .bytes = X86_VIRTIO_BYTES, .gsi = gsis[index]};
    return virtio_mmio_create(&s->mmio, &(struct virtio_mmio_config){
                                            .bus = d->cfg.mmio,
                                            .base_gpa = gpa,
                                            .irq = s->irq,
                                            .doorbell = d->cfg.hv->doorbell(d->cfg.hv_vm),
                                            .device = s->dev,
                                            .legacy = keys->legacy == ON_OFF_ON,
                                        });
}

/* Slot 0 is the bridge's. When every slot has a function the slots get second ones, and so on. */
static int plug_pci(struct virtio_devices *d, struct slot *s, const struct virtio_keys *keys)
{
    unsigned index = d->function_count++;
    unsigned devfn = PCI_DEVFN(1 + index % (X86_PCI_SLOTS - 1), index / (X86_PCI_SLOTS - 1));
    int r = virtio_pci_create(&s->pci, &(struct virtio_pci_config){
                                           .mmio = d->cfg.mmio,
                                           .pio = d->cfg.pio,
                                           .msi = d->cfg.hv->msi_sink(d->cfg.hv_vm),
                                           .doorbell = d->cfg.hv->doorbell(d->cfg.hv_vm),
                                           .legacy = keys->legacy == ON_OFF_ON,
                                           .device = s->dev,
                                       });
    if (r < 0)
        return r;
    r = pci_host_add(d->cfg.pci_host, devfn, &virtio_pci_func(s->pci)->port);
    return r < 0 ? fail(r, "%s: PCI slot", s->dev->setup.name) : 0;
}

static int plug(struct virtio_devices *d, struct slot *s, const struct virtio_keys *keys)
{
    int r = d->cfg.vm->stats != STATS_OFF ? virtio_device_measure(s->dev, &clock_host) : 0;
    if (r < 0)
        return r;
    return keys->transport == TRANSPORT_PCI ? plug_pci(d, s, keys) : plug_mmio(d, s, keys);
}

/* ---- threads ---- */

/*
 * The loops that NAME[:NAME...] stands for, at least one and at most `max`; without a name the main
 * one. Returns how many.
 */
static int find_loops(struct virtio_devices *d, const char *names, struct evloop **loops,
                      unsigned max)
{
    unsigned count = 0;
    const char *name = names[0] != '\0' ? names : IO_THREADS_MAIN;
    do {
        size_t len = strcspn(name, ":");
        int r = io_threads_get(d->threads, name, len, &loops[count++]);
        if (r < 0)
            return r;
        name += len + (name[len] == ':');
    } while (count < max && name[0] != '\0');
    return (int)count;
}

/*
 * A slot whose device has one thread for itself and all its queues, or (if there are more) the main
 * one and some for its queues alone: the main loop waits for others, and none waits for it.
 */
static int choose_loops(struct virtio_devices *d, struct slot *s, const struct virtio_keys *keys,
                        struct evloop **queue_loops, unsigned queues)
{
    int count = find_loops(d, keys->iothread, queue_loops, queues);
    if (count < 0)
        return count;
    s->loop = count == 1 ? queue_loops[0] : d->cfg.loop;
    for (unsigned i = (unsigned)count; i < queues; i++)
        queue_loops[i] = queue_loops[i % (unsigned)count];
    return count;
}

/* ---- devices ---- */

static struct virtio_setup setup_of(const struct virtio_devices *d, const struct slot *s,
                                    const char *name, const struct virtio_keys *keys)
{
    const struct vm_config *vm = d->cfg.vm;
    uint64_t packed = keys->ring == RING_PACKED ? VIRTIO_BIT(VIRTIO_F_RING_PACKED) : 0;
    return (struct virtio_setup){
        .name = name,
        .loop = s->loop,
        .gmem = d->cfg.gmem,
        .features_on = vm->features_on | packed,
        .features_off = vm->features_off,
        .queue_size_max = keys->queue_size,
        .strict = vm->strict,
    };
}

/* A disk that a server knows how to read: the user's, or one that is started for its format. */
static int create_vhost_disk(struct virtio_devices *d, struct slot *s,
                             const struct disk_config *disk)
{
    struct vhost_user_setup config = {
        .setup = setup_of(d, s, disk->path, &disk->virtio),
        .socket_path = disk->path,
        .groups = disk->queues,
    };
    if (disk->kind == DISK_FILE) {
        int r = storage_daemon_create(
            &s->daemon, &(struct storage_daemon_config){.name = disk->path,
                                                        .path = disk->path,
                                                        .format = disk->format,
                                                        .read_only = disk->read_only,
                                                        .direct = disk->cache == DISK_CACHE_NONE,
                                                        .queues = disk->queues});
        if (r < 0)
            return r;
        config.connect = storage_daemon_connect;
        config.connect_ctx = s->daemon;
    }
    int r = vhost_user_blk_create(&s->vhost_user, &config);
    if (r == 0)
        s->dev = &s->vhost_user->dev;
    return r;
}

static int create_scsi(struct virtio_devices *d, struct slot *s, const struct disk_config *disk)
{
    struct virtio_setup setup = setup_of(d, s, disk->path, &disk->virtio);
    struct virtio_scsi_config config = {
        .backends = &s->disk,
        .serials = (const char *const[]){disk->serial[0] != '\0' ? disk->serial : NULL},
        .count = 1,
        .queues = disk->queues,
    };
    int r = virtio_scsi_create(&s->scsi, &setup, &config);
    if (r == 0)
        s->dev = virtio_scsi_device(s->scsi);
    return r;
}

static int create_blk(struct virtio_devices *d, struct slot *s, const struct disk_config *disk,
                      struct evloop *const *queue_loops)
{
    struct virtio_setup setup = setup_of(d, s, disk->path, &disk->virtio);
    struct virtio_blk_config config = {
        .queue_loops = queue_loops,
        .backend = s->disk,
        .serial = disk->serial,
        .queues = disk->queues,
    };
    int r = virtio_blk_create(&s->blk, &setup, &config);
    if (r == 0)
        s->dev = virtio_blk_device(s->blk);
    return r;
}

static bool is_served_elsewhere(const struct disk_config *disk)
{
    return disk->kind == DISK_VHOST_USER ||
           (disk->kind == DISK_FILE && disk->format != NULL && strcmp(disk->format, "raw") != 0);
}

static int create_disk(struct virtio_devices *d, const struct disk_config *disk)
{
    struct slot *s = &d->slots[d->count++];
    struct evloop *queue_loops[VIRTIO_QUEUES_MAX];
    int r = choose_loops(d, s, &disk->virtio, queue_loops, disk->queues);
    if (r < 0)
        return r;
    bool one_loop = r == 1;
    if (is_served_elsewhere(disk)) {
        r = create_vhost_disk(d, s, disk);
    } else {
        r = disk_create(&s->disk, disk, s->loop);
        if (r == 0)
            r = disk->scsi ? create_scsi(d, s, disk)
                           : create_blk(d, s, disk, one_loop ? NULL : queue_loops);
    }
    return r < 0 ? r : plug(d, s, &disk->virtio);
}

static int create_vhost_net(struct virtio_devices *d, struct slot *s, const struct net_config *net)
{
    struct vhost_user_setup config = {
        .setup = setup_of(d, s, net->text, &net->virtio),
        .socket_path = net->target,
        .groups = net->pairs,
    };
    int r = vhost_user_net_create(&s->vhost_user, &config, net->mac, net->mtu_bytes);
    if (r == 0)
        s->dev = &s->vhost_user->dev;
    return r;
}

static int create_vhost(struct virtio_devices *d, struct slot *s, const struct net_config *net)
{
    for (unsigned i = 0; i < net->pairs; i++)
        s->taps[i] = net_tap_fd(s->wire, i);
    return vhost_net_create(&s->vhost, &(struct vhost_net_config){.name = net->text,
                                                                  .taps = s->taps,
                                                                  .pairs = net->pairs,
                                                                  .loop = s->loop,
                                                                  .gmem = d->cfg.gmem});
}

static int create_own_net(struct virtio_devices *d, struct slot *s, const struct net_config *net)
{
    struct virtio_setup setup = setup_of(d, s, net->text, &net->virtio);
    int r = net_create(&s->wire, net, s->loop);
    if (r == 0 && net->vhost)
        r = create_vhost(d, s, net);
    if (r < 0)
        return r;
    struct virtio_net_config config = {
        .name = setup.name,
        .loop = setup.loop,
        .gmem = setup.gmem,
        .features_on = setup.features_on,
        .features_off = setup.features_off,
        .queue_size_max = setup.queue_size_max,
        .strict = setup.strict,
        .backend = s->wire,
        .vhost = s->vhost,
        .pairs = net->pairs,
        .rss = net->rss,
        .mtu_bytes = net->mtu_bytes,
    };
    memcpy(config.mac, net->mac, sizeof(config.mac));
    r = virtio_net_create(&s->net, &config);
    if (r == 0)
        s->dev = virtio_net_device(s->net);
    return r;
}

static int create_net(struct virtio_devices *d, const struct net_config *net)
{
    struct slot *s = &d->slots[d->count++];
    struct evloop *queue_loop;
    int r = choose_loops(d, s, &net->virtio, &queue_loop, 1);
    if (r < 0)
        return r;
    r = net->kind == NET_VHOST_USER ? create_vhost_net(d, s, net) : create_own_net(d, s, net);
    return r < 0 ? r : plug(d, s, &net->virtio);
}

static int create_console(struct virtio_devices *d)
{
    const struct virtio_keys *keys = &d->cfg.vm->console_virtio;
    struct slot *s = &d->slots[d->count++];
    s->loop = d->cfg.loop;
    struct virtio_setup setup = setup_of(d, s, "console", keys);
    int r = virtio_console_create(&s->console, &setup, d->cfg.terminal);
    if (r < 0)
        return r;
    s->dev = virtio_console_device(s->console);
    return plug(d, s, keys);
}

static int create_rng(struct virtio_devices *d)
{
    const struct virtio_keys *keys = &d->cfg.vm->rng_virtio;
    struct slot *s = &d->slots[d->count++];
    struct evloop *queue_loop;
    int r = choose_loops(d, s, keys, &queue_loop, 1);
    if (r < 0)
        return r;
    struct virtio_setup setup = setup_of(d, s, "rng", keys);
    r = virtio_rng_create(&s->rng, &setup, &entropy_host);
    if (r < 0)
        return r;
    s->dev = virtio_rng_device(s->rng);
    return plug(d, s, keys);
}

static void destroy_slot(struct virtio_devices *d, struct slot *s)
{
    virtio_mmio_destroy(s->mmio);
    virtio_pci_destroy(s->pci);
    virtio_blk_destroy(s->blk);
    virtio_scsi_destroy(s->scsi);
    vhost_user_device_destroy(s->vhost_user);
    storage_daemon_destroy(s->daemon);
    virtio_net_destroy(s->net);
    vhost_net_destroy(s->vhost);
    virtio_rng_destroy(s->rng);
    virtio_console_destroy(s->console);
    if (s->disk != NULL)
        s->disk->ops->destroy(s->disk);
    if (s->wire != NULL)
        s->wire->ops->destroy(s->wire);
    if (s->irq.set != NULL)
        d->cfg.hv->irq_line_release(d->cfg.hv_vm, &s->irq);
}

/* ---- life ---- */

int virtio_devices_create(struct virtio_devices **out, const struct virtio_devices_config *config)
{
    const struct vm_config *vm = config->vm;
    struct virtio_devices *d = calloc(1, sizeof(*d));
    if (d == NULL)
        return fail(-ENOMEM, "virtio devices");
    d->cfg = *config;
    int r = io_threads_create(&d->threads, config->loop, vm);
    for (unsigned i = 0; r == 0 && i < vm->disk_count; i++)
        r = create_disk(d, &vm->disks[i]);
    for (unsigned i = 0; r == 0 && i < vm->net_count; i++)
        r = create_net(d, &vm->nets[i]);
    if (r == 0 && vm->console == CONSOLE_VIRTIO)
        r = create_console(d);
    if (r == 0 && !vm->rng_off)
        r = create_rng(d);
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

static int drain_disk(void *arg)
{
    struct blk_backend *disk = arg;
    disk->ops->drain(disk);
    return 0;
}

void virtio_devices_drain(struct virtio_devices *d)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (d->slots[i].blk != NULL)
            virtio_blk_drain(d->slots[i].blk);
        else if (d->slots[i].disk != NULL)
            evloop_call(d->slots[i].loop, drain_disk, d->slots[i].disk);
    }
}

void virtio_devices_report(const struct virtio_devices *d)
{
    for (unsigned i = 0; i < d->count; i++)
        virtio_strict_summary(d->slots[i].dev);
}

struct drops_of {
    struct virtio_net *net;
    struct virtio_net_drops drops;
};

static int read_drops(void *arg)
{
    struct drops_of *of = arg;
    virtio_net_drops(of->net, &of->drops);
    return 0;
}

static void add_drops(const struct slot *slot, struct stats *s)
{
    struct drops_of of = {.net = slot->net};
    evloop_call(slot->loop, read_drops, &of);
    s->nets[s->net_count++] = (struct stats_net){slot->dev->setup.name, of.drops};
}

int virtio_devices_stats(const struct virtio_devices *d, struct stats *s)
{
    int r = io_threads_stats(d->threads, s);
    for (unsigned i = 0; r == 0 && i < d->count; i++) {
        r = stats_add_device(s, d->slots[i].dev);
        if (r == 0 && d->slots[i].net != NULL)
            add_drops(&d->slots[i], s);
    }
    return r;
}

const struct acpi_virtio *virtio_devices_windows(const struct virtio_devices *d, unsigned *count)
{
    *count = d->window_count;
    return d->windows;
}
