// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/rig.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop_impl.h"
#include "core/memory/gmem.h"
#include "core/ports/bus.h"
#include "pci/function.h"
#include "tests/harness/fsreq.h"
#include "tests/harness/netio.h"
#include "virtio/balloon/balloon.h"
#include "virtio/blk/blk.h"
#include "virtio/console/console.h"
#include "virtio/gpu/gpu.h"
#include "virtio/input/input.h"
#include "virtio/net/net.h"
#include "virtio/observe/strict.h"
#include "virtio/rng/rng.h"
#include "virtio/rtc/rtc.h"
#include "virtio/scsi/scsi.h"
#include "virtio/spec.h"
#include "virtio/transport/mmio.h"
#include "virtio/transport/pci.h"
#include "virtio/vsock/vsock.h"

#define PORTS 65536u

const struct rig_config rig_all_variants[RIG_ALL_VARIANTS] = {
    {.transport = RIG_MMIO},
    {.transport = RIG_MMIO, .packed = true},
    {.transport = RIG_PCI},
    {.transport = RIG_PCI, .packed = true},
    {.transport = RIG_PCI_TRANSITIONAL, .intx = true},
    {.transport = RIG_MMIO_LEGACY},
    {.transport = RIG_PCI_LEGACY},
};

const char *rig_config_name(const struct rig_config *config)
{
    static const char *const names[RIG_TRANSPORTS][2][2] = {
        [RIG_MMIO] = {{"mmio split", "mmio split"}, {"mmio packed", "mmio packed"}},
        [RIG_MMIO_LEGACY] = {{"mmio legacy", "mmio legacy"}, {"mmio legacy", "mmio legacy"}},
        [RIG_PCI] = {{"pci split", "pci split intx"}, {"pci packed", "pci packed intx"}},
        [RIG_PCI_LEGACY] = {{"pci legacy", "pci legacy intx"}, {"pci legacy", "pci legacy intx"}},
        [RIG_PCI_TRANSITIONAL] = {{"pci transitional split", "pci transitional split intx"},
                                  {"pci transitional packed", "pci transitional packed intx"}},
    };
    return names[config->transport][config->packed][config->intx];
}

/* ---- the host ---- */

static void make_host(struct rig *rig)
{
    const struct rig_config *cfg = &rig->cfg;
    /* Some of the devices have their queues served by others. */
    int err =
        gmem_create_shared(&rig->gmem, cfg->ram_bytes > 0 ? cfg->ram_bytes : RIG_RAM_BYTES,
                           cfg->hole_gpa > 0 ? cfg->hole_gpa : RIG_HOLE_GPA, RIG_HOLE_END_GPA);
    BUG_ON(err != 0);
    err = bus_create(&rig->bus, "test", UINT64_C(1) << 40);
    BUG_ON(err != 0);
    err = bus_create(&rig->pio, "ports", PORTS);
    BUG_ON(err != 0);
    err = evloop_create(&rig->loop, "test", &rig->clock);
    BUG_ON(err != 0);
}

void rig_open_host(struct rig *rig, const struct rig_config *config)
{
    if (config->keep_host)
        *rig = (struct rig){.gmem = rig->gmem, .bus = rig->bus, .pio = rig->pio, .loop = rig->loop};
    else
        *rig = (struct rig){0};
    rig->cfg = *config;
    if (getenv("RIG_STRICT") != NULL) /* for whole programs */
        rig->cfg.strict = true;
    if (config->packed) {
        rig->cfg.features_on |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
        rig->cfg.always |= VIRTIO_BIT(VIRTIO_F_RING_PACKED);
    }
    rig->clock = fake_clock_port(&rig->time);
    rig->sink = fake_msi_sink(&rig->msi);
    struct rig_machine *m = config->machine;
    if (rig->loop == NULL) {
        make_host(rig);
        if (m != NULL)
            m->open(m, rig);
    }
    rig->guest_bus = m != NULL ? m->mmio : rig->bus;
    rig->guest_pio = m != NULL ? m->pio : rig->pio;
}

/* ---- transports ---- */

static void make_mmio(struct rig *rig)
{
    const struct rig_machine *m = rig->cfg.machine;
    int err = virtio_mmio_create(&rig->mmio,
                                 &(struct virtio_mmio_config){
                                     .bus = rig->bus,
                                     .base_gpa = RIG_WINDOW_GPA,
                                     .irq = m ? m->irq : fake_irq_line(&rig->irq),
                                     .doorbell = m ? m->doorbell : fake_doorbell_port(&rig->bell),
                                     .device = rig->dev,
                                     .legacy = rig->cfg.transport == RIG_MMIO_LEGACY,
                                     .shm_gpa = rig->cfg.shm_bytes > 0 ? RIG_SHM_GPA : 0,
                                 });
    BUG_ON(err != 0);
}

static void set_intx(void *ctx, unsigned devfn, unsigned pin, bool level)
{
    struct rig *rig = ctx;
    struct irq_line line = fake_irq_line(&rig->irq);
    (void)devfn;
    (void)pin;
    irq_set(&line, level);
}

/* What is in hand when the device is reset may end then. */
static enum vdrv_host host_does(void *ctx)
{
    struct rig *rig = ctx;
    if (evloop_owner(rig->loop) != gettid())
        return VDRV_HOST_ELSEWHERE;
    bool busy = rig->disk.out > 0 || rig->echo.held != NULL;
    for (unsigned i = 0; i < rig->disk_count; i++)
        busy |= rig->disks[i].out > 0;
    return busy ? VDRV_HOST_BUSY : VDRV_HOST_IDLE;
}

static void step(void *ctx)
{
    rig_step(ctx);
}

static void join_driver(struct rig *rig)
{
    rig->drv.always = rig->cfg.always;
    rig->drv.wait = step;
    rig->drv.wait_ctx = rig;
    if (rig->watched && rig->cfg.machine == NULL)
        rig->drv.watch = (struct vdrv_watch){.host = host_does, .ctx = rig};
}

void rig_find_device(struct rig *rig)
{
    vdrv_fini(&rig->drv);
    vdrv_init_pci(&rig->drv, &(struct vdrv_pci_config){
                                 .gmem = rig->gmem,
                                 .mmio = rig->guest_bus,
                                 .pio = rig->guest_pio,
                                 .func = rig->func,
                                 .bar_gpa = RIG_BAR_GPA,
                                 .bar_end_gpa = RIG_HOLE_END_GPA,
                                 .bar_port = RIG_BAR_PORT,
                                 .legacy = rig->cfg.transport == RIG_PCI_LEGACY,
                                 .intx = rig->cfg.intx,
                             });
    join_driver(rig);
}

static void make_pci(struct rig *rig)
{
    struct rig_machine *m = rig->cfg.machine;
    /* A type without a legacy interface has no transitional function: it is a modern one. */
    bool legacy =
        rig->cfg.transport == RIG_PCI_LEGACY ||
        (rig->cfg.transport == RIG_PCI_TRANSITIONAL && rig->dev->cfg.type->pci_transitional != 0);
    int err = virtio_pci_create(&rig->pci,
                                &(struct virtio_pci_config){
                                    .mmio = rig->bus,
                                    .pio = rig->pio,
                                    .msi = m ? m->msi : rig->sink,
                                    .doorbell = m ? m->doorbell : fake_doorbell_port(&rig->bell),
                                    .legacy = legacy,
                                    .device = rig->dev,
                                });
    BUG_ON(err != 0);
    rig->func = &virtio_pci_func(rig->pci)->port;
    rig->intx = (struct pci_intx){.set = set_intx, .ctx = rig};
    rig->windows = (struct pci_windows){
        .memory32 = {RIG_BAR_GPA, RIG_HOLE_END_GPA - RIG_BAR_GPA},
        .ports = {RIG_BAR_PORT, PORTS - RIG_BAR_PORT},
    };
    if (m != NULL)
        rig->func = m->plug(m, rig->func, &rig->windows);
    else
        rig->func->ops->connect(rig->func, &rig->intx, &rig->windows);
}

static bool is_on_mmio(const struct rig *rig)
{
    return rig->cfg.transport == RIG_MMIO || rig->cfg.transport == RIG_MMIO_LEGACY;
}

static void make_transport(struct rig *rig, struct virtio_device *dev)
{
    rig->dev = dev;
    int err = rig->cfg.strict ? virtio_strict_watch(dev) : 0;
    BUG_ON(err != 0);
    if (is_on_mmio(rig))
        make_mmio(rig);
    else
        make_pci(rig);
}

void rig_plug(struct rig *rig, struct virtio_device *dev)
{
    make_transport(rig, dev);
    if (rig->cfg.transport == RIG_MMIO_LEGACY)
        vdrv_init_mmio_legacy(&rig->drv, rig->gmem, rig->guest_bus, RIG_WINDOW_GPA);
    else if (rig->cfg.transport == RIG_MMIO)
        vdrv_init(&rig->drv, rig->gmem, rig->guest_bus, RIG_WINDOW_GPA);
    else
        rig_find_device(rig);
    join_driver(rig);
}

/* ---- devices ---- */

struct virtio_setup rig_setup(const struct rig *rig, const char *name)
{
    return (struct virtio_setup){
        .name = name,
        .loop = rig->loop,
        .gmem = rig->gmem,
        .features_on = rig->cfg.features_on,
        .features_off = rig->cfg.features_off,
        .queue_size_max = rig->cfg.queue_size_max,
    };
}

/* Makes the device; the first time it gets a driver. */
static void open_device(struct rig *rig, struct virtio_device *(*make)(struct rig *rig))
{
    rig->watched = true;
    rig->make = make;
    rig_plug(rig, make(rig));
}

static struct virtio_device *make_echo(struct rig *rig)
{
    bool transitional =
        rig->cfg.transport == RIG_PCI_LEGACY || rig->cfg.transport == RIG_PCI_TRANSITIONAL;
    echo_init(&rig->echo, &(struct echo_config){
                              .setup = rig_setup(rig, "echo"),
                              .transitional = transitional,
                              .queues = rig->cfg.queues,
                              .shm_bytes = rig->cfg.shm_bytes,
                          });
    return &rig->echo.dev;
}

void rig_open_echo_on(struct rig *rig, const struct rig_config *config)
{
    rig_open_host(rig, config);
    open_device(rig, make_echo);
}

static uint64_t disk_bytes(const struct rig_config *config)
{
    return config->disk_bytes > 0 ? config->disk_bytes : RIG_DISK_BYTES;
}

static struct virtio_device *make_blk(struct rig *rig)
{
    struct virtio_setup setup = rig_setup(rig, "disk");
    int err = virtio_blk_create(&rig->blk, &setup,
                                &(struct virtio_blk_config){
                                    .serial = "serial-0123456789abcdef",
                                    .backend = &rig->disk.backend,
                                    .queues = rig->cfg.queues,
                                    .write_through = rig->cfg.write_through,
                                });
    BUG_ON(err != 0);
    return virtio_blk_device(rig->blk);
}

void rig_open_blk_on(struct rig *rig, const struct rig_config *config)
{
    rig_open_host(rig, config);
    fake_blk_init(&rig->disk, rig->loop, disk_bytes(config));
    if (config->plain)
        rig->disk.backend.info = (struct blk_info){.capacity_bytes = disk_bytes(config)};
    rig->disk.backend.info.read_only = config->read_only;
    rig->disk.backend.info.logical_bytes = config->logical_bytes;
    open_device(rig, make_blk);
}

/* A device that is made of its backend: `prepare` makes that. */
#define OPEN(word, prepare, create)                                             \
    static struct virtio_device *make_##word(struct rig *rig)                   \
    {                                                                           \
        struct virtio_setup setup = rig_setup(rig, #word);                      \
        int err = create;                                                       \
        BUG_ON(err != 0);                                                       \
        return virtio_##word##_device(rig->word);                               \
    }                                                                           \
    void rig_open_##word##_on(struct rig *rig, const struct rig_config *config) \
    {                                                                           \
        rig_open_host(rig, config);                                             \
        prepare;                                                                \
        open_device(rig, make_##word);                                          \
    }

OPEN(rng, rig->entropy = fake_entropy_port(&rig->random),
     virtio_rng_create(&rig->rng, &setup, &rig->entropy))

/* Three cycles a nanosecond; each look takes one. */
static int read_counter(void *ctx, uint8_t counter, uint64_t *cycles)
{
    struct rig *rig = ctx;
    if (counter != VIRTIO_RTC_COUNTER_X86_TSC)
        return -ENOTSUP;
    *cycles = 3 * rig->time.now_ns + rig->counter_looks++;
    return rig->counter_error;
}

OPEN(rtc, (void)rig,
     virtio_rtc_create(&rig->rtc, &setup, &rig->clock,
                       &(struct virtio_rtc_counters){read_counter, rig}))
OPEN(balloon, (void)rig,
     virtio_balloon_create(&rig->balloon, &setup,
                           &(struct virtio_balloon_config){.target_bytes = RIG_BALLOON_BYTES,
                                                           .deflate_on_oom = true,
                                                           .reporting = true,
                                                           .clock = &rig->clock}))
OPEN(vsock, fake_vsock_init(&rig->sockets, rig->loop),
     virtio_vsock_create(&rig->vsock, &setup,
                         &(struct virtio_vsock_config){.guest_cid = RIG_CID,
                                                       .backend = &rig->sockets.backend}))
static struct virtio_console_port port_at(struct rig *rig, unsigned i)
{
    return (struct virtio_console_port){
        .name = i == 0 ? "one" : "two", .is_console = i > 0, .backend = &rig->ports[i].backend};
}

int rig_add_port(struct rig *rig, unsigned i)
{
    struct virtio_console_port port = port_at(rig, i);
    return virtio_console_add_port(rig->console, &port);
}

bool rig_remove_port(struct rig *rig, unsigned i)
{
    struct chr_backend *removed = virtio_console_remove_port(rig->console, port_at(rig, i).name);
    BUG_ON(removed != NULL && removed != &rig->ports[i].backend);
    return removed != NULL;
}

static int create_console(struct rig *rig, const struct virtio_setup *setup)
{
    struct virtio_console_port ports[RIG_PORTS];
    for (unsigned i = 0; i < rig->cfg.ports; i++)
        ports[i] = port_at(rig, i);
    return virtio_console_create(&rig->console, setup,
                                 &(struct virtio_console_config){.backend = &rig->chr.backend,
                                                                 .ports = ports,
                                                                 .port_count = rig->cfg.ports,
                                                                 .ports_max = rig->cfg.ports});
}

static void init_terminals(struct rig *rig)
{
    unsigned ports = rig->cfg.ports;
    BUG_ON(ports > RIG_PORTS);
    fake_chr_init(&rig->chr, 80, 25);
    rig->ports = ports > 0 ? calloc(ports, sizeof(rig->ports[0])) : NULL;
    for (unsigned i = 0; i < ports; i++)
        fake_chr_init(&rig->ports[i], 0, 0);
}

OPEN(console, init_terminals(rig), create_console(rig, &setup))
OPEN(input, fake_input_init(&rig->person, config->input),
     virtio_input_create(&rig->input, &setup, &rig->person.backend))
OPEN(scsi, fake_blk_init(&rig->disk, rig->loop, disk_bytes(config)),
     virtio_scsi_create(&rig->scsi, &setup,
                        &(struct virtio_scsi_config){
                            .backends = (struct blk_backend *[]){&rig->disk.backend},
                            .count = 1,
                            .queues = rig->cfg.queues}))

OPEN(fs, fake_share_init(&rig->files),
     virtio_fs_create(&rig->fs, &setup,
                      &(struct virtio_fs_config){
                          .tag = FSREQ_TAG, .share = &rig->files.share, .queues = rig->cfg.queues}))
OPEN(gpu, fake_display_init(&rig->display),
     virtio_gpu_create(&rig->gpu, &setup,
                       &(struct virtio_gpu_config){
                           .display = &rig->display.backend,
                           .scanouts = rig->cfg.scanouts > 0 ? rig->cfg.scanouts : 2,
                           .width = RIG_GPU_WIDTH,
                           .height = RIG_GPU_HEIGHT,
                           .memory_bytes = rig->cfg.gpu_bytes > 0 ? rig->cfg.gpu_bytes
                                                                  : RIG_GPU_BYTES}))

static struct virtio_device *make_net(struct rig *rig)
{
    struct virtio_net_config net = {
        .backend = &rig->ether.backend, .pairs = rig->cfg.queues, .rss = rig->cfg.rss};
    struct virtio_setup setup = rig_setup(rig, "net");
    memcpy(net.mac, NETIO_MAC, NET_MAC_BYTES);
    int err = virtio_net_create(&rig->net, &setup, &net);
    BUG_ON(err != 0);
    return virtio_net_device(rig->net);
}

void rig_open_net_on(struct rig *rig, const struct rig_config *config)
{
    rig_open_host(rig, config);
    fake_net_init(&rig->ether);
    if (config->plain)
        rig->ether.backend.info = (struct net_info){.pairs = 1, .link_up = true};
    open_device(rig, make_net);
}

void rig_open_echo(struct rig *rig)
{
    rig_open_echo_on(rig, &rig_variants[0]);
}

void rig_open_blk(struct rig *rig, bool read_only)
{
    rig_open_blk_on(rig, &(struct rig_config){.read_only = read_only});
}

void rig_open_rng(struct rig *rig)
{
    rig_open_rng_on(rig, &rig_variants[0]);
}

void rig_open_console(struct rig *rig)
{
    rig_open_console_on(rig, &rig_variants[0]);
}

void rig_unplug(struct rig *rig)
{
    if (rig->cfg.machine != NULL)
        rig->cfg.machine->unplug(rig->cfg.machine);
    virtio_mmio_destroy(rig->mmio);
    if (rig->pci != NULL)
        virtio_pci_destroy(rig->pci);
    rig->mmio = NULL;
    rig->pci = NULL;
}

void rig_end_host(struct rig *rig)
{
    if (rig->cfg.machine != NULL)
        rig->cfg.machine->close(rig->cfg.machine);
    evloop_destroy(rig->loop);
    bus_destroy(rig->pio);
    bus_destroy(rig->bus);
    gmem_destroy(rig->gmem);
    rig->loop = NULL;
}

static void end_device(struct rig *rig)
{
    rig_unplug(rig);
    echo_fini(&rig->echo);
    virtio_blk_destroy(rig->blk);
    virtio_rng_destroy(rig->rng);
    virtio_rtc_destroy(rig->rtc);
    virtio_balloon_destroy(rig->balloon);
    virtio_console_destroy(rig->console);
    virtio_scsi_destroy(rig->scsi);
    virtio_net_destroy(rig->net);
    virtio_gpu_destroy(rig->gpu);
    virtio_input_destroy(rig->input);
    virtio_fs_destroy(rig->fs);
    virtio_vsock_destroy(rig->vsock);
    rig->dev = NULL;
    rig_step(rig); /* nothing of the device may be left in the loop */
}

/* ---- saved and loaded ---- */

void rig_state(struct rig *rig, struct state *s)
{
    if (is_on_mmio(rig))
        virtio_mmio_state(rig->mmio, s);
    else
        virtio_pci_state(rig->pci, s);
}

void rig_renew(struct rig *rig)
{
    end_device(rig);
    make_transport(rig, rig->make(rig));
    rig->drv.pci.func = rig->func;
}

void rig_close(struct rig *rig)
{
    end_device(rig);
    fake_blk_fini(&rig->disk);
    fake_net_fini(&rig->ether);
    fake_display_fini(&rig->display);
    fake_vsock_fini(&rig->sockets);
    fake_share_fini(&rig->files);
    free(rig->ports);
    vdrv_fini(&rig->drv);
    if (!rig->cfg.keep_host)
        rig_end_host(rig);
}

/* ---- what happens ---- */

void rig_step(struct rig *rig)
{
    bool is_reset = rig->watched && (rig->dev == NULL || virtio_device_status(rig->dev) == 0);
    vdrv_watch_step_begins(&rig->drv, is_reset);
    evloop_drain(rig->loop);
    vdrv_watch_step_ends(&rig->drv);
}

void rig_kick(struct rig *rig, unsigned queue)
{
    vdrv_kick(&rig->drv.q[queue]);
    rig_step(rig);
}

void rig_start(struct rig *rig, uint64_t features, unsigned queues, uint32_t size)
{
    BUG_ON(!vdrv_start(&rig->drv, features, queues, size));
    rig_step(rig);
}

bool rig_is_broken(struct rig *rig)
{
    return (virtio_device_status(rig->dev) & VIRTIO_STATUS_DEVICE_NEEDS_RESET) != 0;
}

static bool has_msix(const struct rig *rig)
{
    return rig->pci != NULL && !rig->cfg.intx;
}

/* Sorts the edges of the one line by what the interrupt status says. */
static void collect(struct rig *rig)
{
    struct rig_machine *m = rig->cfg.machine;
    unsigned edges = m != NULL ? m->irq_take(m) : fake_irq_take(&rig->irq);
    uint32_t isr = edges > 0 ? vdrv_take_isr(&rig->drv) : 0;
    unsigned config = isr & VIRTIO_ISR_CONFIG ? (isr & VIRTIO_ISR_QUEUE ? 1 : edges) : 0;
    rig->config_irqs += config;
    if (isr & VIRTIO_ISR_QUEUE)
        rig->queue_irqs += edges > config ? edges - config : 1;
}

static unsigned take_messages(struct rig *rig, uint32_t data)
{
    struct rig_machine *m = rig->cfg.machine;
    return m != NULL ? m->msi_take(m, data) : fake_msi_take(&rig->msi, data);
}

unsigned rig_queue_irqs(struct rig *rig, unsigned queue)
{
    if (has_msix(rig))
        return take_messages(rig, queue + 1);
    collect(rig);
    unsigned count = rig->queue_irqs;
    rig->queue_irqs = 0;
    return count;
}

unsigned rig_config_irqs(struct rig *rig)
{
    if (has_msix(rig))
        return take_messages(rig, 0);
    collect(rig);
    unsigned count = rig->config_irqs;
    rig->config_irqs = 0;
    return count;
}
