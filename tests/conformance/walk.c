// SPDX-License-Identifier: BSD-2-Clause
#include "conformance.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/ports/bus.h"

#define OPTIONAL_FEATURES                                               \
    (VIRTIO_BIT(VIRTIO_F_RING_PACKED) | VIRTIO_BIT(VIRTIO_F_IN_ORDER) | \
     VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA))

static const struct rig_config places[] = {
    {.transport = RIG_MMIO},
    {.transport = RIG_MMIO, .packed = true},
    {.transport = RIG_PCI},
    {.transport = RIG_PCI, .packed = true},
    {.transport = RIG_PCI, .intx = true},
    {.transport = RIG_PCI_TRANSITIONAL},
    {.transport = RIG_MMIO_LEGACY},
    {.transport = RIG_PCI_LEGACY},
    {.transport = RIG_PCI_LEGACY, .intx = true},
};

static const char *const device_names[WALK_DEVICES] = {
    [ECHO] = "echo",          [BLK] = "disk",        [BLK_RO] = "read-only disk",
    [RNG] = "entropy source", [CONSOLE] = "console", [SCSI] = "SCSI host",
    [NET] = "network",        [GPU] = "GPU",         [INPUT] = "tablet",
    [BALLOON] = "balloon",    [VSOCK] = "sockets",   [RTC] = "clock",
    [FS] = "files",
};

static char place[96];
const char *walk_place = place;

static void open_rig(struct rig *rig, enum walk_device device, struct rig_config config)
{
    config.features_on |= OPTIONAL_FEATURES;
    config.read_only = device == BLK_RO;
    (void)snprintf(place, sizeof(place), "%s on %s", device_names[device],
                   rig_config_name(&config));
    switch (device) {
    case ECHO:
        rig_open_echo_on(rig, &config);
        break;
    case BLK:
    case BLK_RO:
        rig_open_blk_on(rig, &config);
        break;
    case RNG:
        rig_open_rng_on(rig, &config);
        break;
    case BALLOON:
        rig_open_balloon_on(rig, &config);
        break;
    case RTC:
        rig_open_rtc_on(rig, &config);
        break;
    case FS:
        rig_open_fs_on(rig, &config);
        break;
    case VSOCK:
        rig_open_vsock_on(rig, &config);
        break;
    case SCSI:
        rig_open_scsi_on(rig, &config);
        break;
    case INPUT:
        config.input = INPUT_TABLET;
        rig_open_input_on(rig, &config);
        break;
    case NET:
        rig_open_net_on(rig, &config);
        break;
    case GPU:
        rig_open_gpu_on(rig, &config);
        break;
    default:
        rig_open_console_on(rig, &config);
        break;
    }
}

/* Where the device may be: the specification has no legacy interface of some types. */
static unsigned places_of(enum walk_device device)
{
    bool is_modern =
        device == GPU || device == INPUT || device == VSOCK || device == RTC || device == FS;
    return is_modern ? MODERN & ~PCI_TRANSITIONAL : EVERYWHERE;
}

struct rig *walk_next(struct walk *walk)
{
    unsigned where = walk->where & places_of(walk->device);
    if (walk->open)
        rig_close(&walk->rig);
    walk->open = false;
    for (; walk->next < ARRAY_SIZE(places); walk->next++) {
        if (!(where >> walk->next & 1))
            continue;
        struct rig_config config = walk->config;
        config.transport = places[walk->next].transport;
        config.packed = places[walk->next].packed;
        config.intx = places[walk->next].intx;
        open_rig(&walk->rig, walk->device, config);
        walk->next++;
        walk->open = true;
        return &walk->rig;
    }
    return NULL;
}

/* ---- the driver's view ---- */

unsigned heard(struct rig *rig)
{
    unsigned queues = rig_queue_irqs(rig, 0) + rig_queue_irqs(rig, 1);
    return (queues > 0 ? VIRTIO_ISR_QUEUE : 0) | (rig_config_irqs(rig) > 0 ? VIRTIO_ISR_CONFIG : 0);
}

void start(struct rig *rig, uint64_t features, uint32_t size)
{
    rig->disk.hold = false;
    bool started = vdrv_start(&rig->drv, features, rig->dev->cfg.queue_count, size);
    cr_assert(started, "%s: does not start", walk_place);
    rig_step(rig);
    heard(rig);
}

bool serves(struct rig *rig, unsigned queue)
{
    static uint32_t number;
    uint32_t head, len;
    struct vdrv *d = &rig->drv;
    uint64_t gpa = vdrv_alloc(d, 16, 8);
    le32_put(vdrv_ptr(d, gpa, 4), ++number);
    struct vdrv_buf bufs[] = {{gpa, 4, false}, {gpa + 8, 4, true}};
    int sent = vdrv_send(&d->q[queue], bufs, 2);
    rig_step(rig);
    return sent >= 0 && !rig_is_broken(rig) && vdrv_used(&d->q[queue], &head, &len) &&
           head == (uint32_t)sent && len == 4 && le32_get(vdrv_ptr(d, gpa + 8, 4)) == number;
}

uint64_t send_one(struct rig *rig, unsigned queue)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 8, 8);
    fill(rig, gpa, 8, 0xee);
    /* Four readable bytes for it to echo. */
    struct vdrv_buf bufs[] = {{vdrv_alloc(&rig->drv, 8, 8), 4, false}, {gpa, 4, true}};
    int sent = vdrv_send(&rig->drv.q[queue], bufs, 2);
    BUG_ON(sent < 0);
    rig_step(rig);
    return gpa;
}

bool has_used(struct rig *rig, unsigned queue)
{
    return vdrv_ring_has_used(&rig->drv.q[queue].ring);
}

uint32_t take_one(struct rig *rig, unsigned queue, uint32_t *len)
{
    uint32_t head, bytes;
    bool taken = vdrv_used(&rig->drv.q[queue], &head, &bytes);
    cr_assert(taken, "%s: nothing was used", walk_place);
    if (len != NULL)
        *len = bytes;
    return head;
}

void break_ring(struct rig *rig, unsigned queue)
{
    struct vdrv_buf buf = {RIG_RAM_END_GPA, 16, true};
    vdrv_send(&rig->drv.q[queue], &buf, 1);
    rig_step(rig);
}

void fill(struct rig *rig, uint64_t gpa, uint32_t bytes, uint8_t value)
{
    memset(vdrv_ptr(&rig->drv, gpa, bytes), value, bytes);
}

bool holds(struct rig *rig, uint64_t gpa, uint32_t bytes, uint8_t value)
{
    const uint8_t *data = vdrv_ptr(&rig->drv, gpa, bytes);
    for (uint32_t i = 0; i < bytes; i++) {
        if (data[i] != value)
            return false;
    }
    return true;
}

/* ---- a register while the disk is waited for ---- */

#define WATCH_TURNS 20000u /* for the other vCPU to get its answer */

static struct {
    struct rig *rig;
    uint64_t (*read)(struct rig *rig);
    const struct blk_backend_ops *real;
    struct blk_backend_ops ops;
    pthread_t thread;
    uint64_t seen;
    _Atomic bool answered;
    unsigned drains, wrong;
} watch;

static void *watch_thread(void *arg)
{
    watch.seen = watch.read(arg);
    atomic_store(&watch.answered, true);
    return NULL;
}

static void watched_drain(struct blk_backend *backend)
{
    if (watch.drains++ == 0) {
        int err = pthread_create(&watch.thread, NULL, watch_thread, watch.rig);
        BUG_ON(err != 0);
        for (unsigned i = 0; i < WATCH_TURNS && !atomic_load(&watch.answered); i++)
            sched_yield();
        if (atomic_load(&watch.answered))
            watch.wrong += watch.seen != 1;
    }
    watch.real->drain(backend);
}

void watch_drain(struct rig *rig, uint64_t (*read)(struct rig *rig))
{
    watch.rig = rig;
    watch.read = read;
    watch.real = rig->disk.backend.ops;
    watch.ops = *watch.real;
    watch.ops.drain = watched_drain;
    watch.drains = watch.wrong = 0;
    atomic_store(&watch.answered, false);
    rig->disk.backend.ops = &watch.ops;
}

bool watched_all_ones(struct rig *rig)
{
    rig->disk.backend.ops = watch.real;
    if (watch.drains > 0)
        pthread_join(watch.thread, NULL);
    return watch.drains > 0 && watch.wrong == 0;
}

/* ---- PCI ---- */

uint32_t pci_get(struct rig *rig, unsigned offset, unsigned width)
{
    struct pci_function *f = rig->drv.pci.func;
    return f->ops->config_read(f, offset, width);
}

void pci_set(struct rig *rig, unsigned offset, unsigned width, uint32_t value)
{
    struct pci_function *f = rig->drv.pci.func;
    f->ops->config_write(f, offset, width, value);
}

unsigned pci_cap(struct rig *rig, unsigned id, unsigned after)
{
    unsigned at = pci_get(rig, after == 0 ? PCI_REG_CAPABILITIES : after + 1, 1) & 0xfcu;
    for (unsigned looks = 0; at != 0 && pci_get(rig, at, 1) != id; looks++) {
        BUG_ON(looks > 48); /* a loop */
        at = pci_get(rig, at + 1, 1) & 0xfcu;
    }
    return at;
}

unsigned pci_virtio_cap(struct rig *rig, unsigned cfg_type, unsigned after)
{
    unsigned at = pci_cap(rig, PCI_CAP_VENDOR, after);
    while (at != 0 && pci_get(rig, at + VIRTIO_PCI_CAP_cfg_type, 1) != cfg_type)
        at = pci_cap(rig, PCI_CAP_VENDOR, at);
    return at;
}

uint64_t common_get(struct rig *rig, unsigned offset, unsigned width)
{
    uint64_t value = 0;
    bus_read(rig->bus, rig->drv.pci.common + offset, width, &value);
    return value;
}

void common_set(struct rig *rig, unsigned offset, unsigned width, uint64_t value)
{
    bus_write(rig->bus, rig->drv.pci.common + offset, width, value);
}

uint32_t port_get(struct rig *rig, unsigned offset, unsigned width)
{
    uint64_t value = 0;
    bus_read(rig->pio, rig->drv.pci.bar_gpa[0] + offset, width, &value);
    return (uint32_t)value;
}

void port_set(struct rig *rig, unsigned offset, unsigned width, uint32_t value)
{
    bus_write(rig->pio, rig->drv.pci.bar_gpa[0] + offset, width, value);
}
