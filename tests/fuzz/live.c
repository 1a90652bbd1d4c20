// SPDX-License-Identifier: BSD-2-Clause
/*
 * The player's machine: KVM, a vCPU in a thread of its own, a PCI host bridge. Its guest makes the
 * accesses of the script (guest-images/bare-metal/x86_64/remote.c), kicks are ioeventfds,
 * interrupts irqfds. The loop is run by the player, while it waits for the guest and between steps.
 *
 * The guest's own memory lies where the device sees none, so that no script can write there.
 */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "arch/x86_64/power_on.h"
#include "core/base/fail.h"
#include "core/memory/gmem.h"
#include "core/ports/bus.h"
#include "devices/platform/pci_host.h"
#include "firmware/x86/e820.h"
#include "firmware/x86/linux_boot.h"
#include "guest-images/bare-metal/x86_64/remote.h"
#include "kvm/kvm.h"
#include "tests/fuzz/play_impl.h"
#include "vmm/machine/vcpu.h"

#define GUEST_GPA  UINT64_C(0x100000)
#define GUEST_END  UINT64_C(0x200000)
#define ECAM_GPA   UINT64_C(0xe0000000)
#define DEVFN      PCI_DEVFN(1, 0)
#define PORTS      65536u
#define LOOKS_BUSY 2000u /* before it sleeps between two looks */

_Static_assert(FUZZ_LOW_BYTES <= GUEST_GPA && GUEST_END <= RIG_HOLE_GPA, "it is in the hole");
_Static_assert(REMOTE_GPA + sizeof(struct remote) <= GUEST_END, "it has room");

static struct live {
    struct rig_machine port;
    struct fuzz_player *player;
    struct gmem *own;   /* the guest boots in it, and keeps the part from GUEST_GPA */
    struct gmem memory; /* that, and the rig's */
    struct hv_vm *vm;
    struct vcpus *vcpus;
    struct pci_host *bridge;
    struct pci_function proxy; /* configuration accesses of the player */
    struct bus_region hole, ports, idle;
    struct msi_sink msi; /* KVM's */
    struct remote *remote;
    uint32_t taken[ARRAY_SIZE(((struct remote *)NULL)->interrupts)];
    bool paused;      /* between two devices */
    atomic_bool dead; /* the guest */
} live;

static void need(int err, const char *what)
{
    if (err >= 0)
        return;
    fprintf(stderr, "live: %s failed\n", what);
    exit(1);
}

/* ---- the guest makes an access ---- */

static void wait_for_guest(struct live *l)
{
    struct remote *r = l->remote;
    time_t end = time(NULL) + FUZZ_LIVE_MS / 1000;
    for (unsigned looks = 0; __atomic_load_n(&r->done, __ATOMIC_ACQUIRE) !=
                             __atomic_load_n(&r->asked, __ATOMIC_RELAXED);
         looks++) {
        if (atomic_load(&l->dead))
            fuzz_finding(l->player, "the guest's CPU has stopped");
        if (time(NULL) > end)
            fuzz_finding(l->player, "an access of the guest takes too long");
        evloop_drain(l->player->rig.loop);
        if (looks > LOOKS_BUSY)
            usleep(20);
        else
            sched_yield();
    }
}

static uint64_t ask(struct live *l, enum remote_op op, uint64_t addr, unsigned width,
                    uint64_t value)
{
    struct remote *r = l->remote;
    if (l->paused)
        need(vcpus_start(l->vcpus), "the vCPU's next start");
    l->paused = false;
    r->op = op;
    r->addr = addr;
    r->width = width;
    r->value = value;
    __atomic_store_n(&r->asked, r->asked + 1, __ATOMIC_RELEASE); /* pairs with the guest's loop */
    wait_for_guest(l);
    return r->value;
}

/* Only what a device may answer: guests that shoot themselves are not what is tested. */
static uint64_t hole_read(void *dev, uint64_t offset, unsigned width)
{
    return ask(dev, REMOTE_READ, RIG_HOLE_GPA + offset, width, 0);
}

static void hole_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    ask(dev, REMOTE_WRITE, RIG_HOLE_GPA + offset, width, value);
}

static uint64_t port_read(void *dev, uint64_t offset, unsigned width)
{
    return ask(dev, REMOTE_IN, RIG_BAR_PORT + offset, width, 0);
}

static void port_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    ask(dev, REMOTE_OUT, RIG_BAR_PORT + offset, width, value);
}

static const struct bus_ops hole_ops = {.read = hole_read, .write = hole_write};
static const struct bus_ops port_ops = {.read = port_read, .write = port_write};

/* The guest waits: for whoever has no processor because of it. */
static void idle_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)dev, (void)offset, (void)width, (void)value;
    sched_yield();
}

static uint64_t idle_read(void *dev, uint64_t offset, unsigned width)
{
    (void)dev, (void)offset, (void)width;
    return 0;
}

static const struct bus_ops idle_ops = {.read = idle_read, .write = idle_write};

static uint32_t config_read(struct pci_function *f, unsigned offset, unsigned width)
{
    struct live *l = container_of(f, struct live, proxy);
    return (uint32_t)ask(l, REMOTE_READ, ECAM_GPA + (DEVFN << 12) + offset, width, 0);
}

static void config_write(struct pci_function *f, unsigned offset, unsigned width, uint32_t value)
{
    struct live *l = container_of(f, struct live, proxy);
    ask(l, REMOTE_WRITE, ECAM_GPA + (DEVFN << 12) + offset, width, value);
}

static const struct pci_function_ops proxy_ops = {
    .config_read = config_read,
    .config_write = config_write,
};

/* ---- interrupts ---- */

/* Messages are the script's, and some would end the guest: INIT, an exception's vector. */
static void tame(uint64_t *addr, uint32_t *data)
{
    *addr &= ~UINT64_C(0xfffff); /* to the first CPU */
    *data = REMOTE_MSI_VECTOR + *data % REMOTE_MSI_VECTORS;
}

static int msi_send(void *ctx, uint64_t addr, uint32_t data)
{
    const struct msi_sink *msi = ctx;
    tame(&addr, &data);
    return msi->ops->send(msi->ctx, addr, data);
}

static int msi_route_add(void *ctx, int eventfd, uint64_t addr, uint32_t data)
{
    const struct msi_sink *msi = ctx;
    tame(&addr, &data);
    return msi->ops->route_add(msi->ctx, eventfd, addr, data);
}

static int msi_route_set(void *ctx, int handle, uint64_t addr, uint32_t data)
{
    const struct msi_sink *msi = ctx;
    tame(&addr, &data);
    return msi->ops->route_set(msi->ctx, handle, addr, data);
}

static void msi_route_del(void *ctx, int handle, int eventfd)
{
    const struct msi_sink *msi = ctx;
    msi->ops->route_del(msi->ctx, handle, eventfd);
}

static const struct msi_ops tame_ops = {
    .send = msi_send,
    .route_add = msi_route_add,
    .route_set = msi_route_set,
    .route_del = msi_route_del,
};

static unsigned take(struct live *l, unsigned vector)
{
    uint32_t now = l->remote->interrupts[vector], more = now - l->taken[vector];
    l->taken[vector] = now;
    return more;
}

static unsigned msi_take(struct rig_machine *m, uint32_t data)
{
    return take(container_of(m, struct live, port), REMOTE_MSI_VECTOR + data % REMOTE_MSI_VECTORS);
}

static unsigned irq_take(struct rig_machine *m)
{
    return take(container_of(m, struct live, port), REMOTE_LINE_VECTOR);
}

/* ---- the bridge ---- */

static struct pci_function *plug(struct rig_machine *m, struct pci_function *func,
                                 const struct pci_windows *windows)
{
    struct live *l = container_of(m, struct live, port);
    const struct rig *rig = &l->player->rig;
    struct pci_host_config config = {.pio = rig->pio, .mmio = rig->bus, .ecam_gpa = ECAM_GPA};
    for (unsigned i = 0; i < PCI_HOST_WIRES; i++)
        config.wires[i] = m->irq;
    int err = pci_host_create(&l->bridge, &config);
    if (err == 0)
        err = pci_host_add(l->bridge, DEVFN, func);
    if (err == 0)
        err = pci_host_assign(l->bridge, windows);
    BUG_ON(err != 0);
    l->proxy = (struct pci_function){.ops = &proxy_ops, .name = "proxy"};
    return &l->proxy;
}

static void unplug(struct rig_machine *m)
{
    struct live *l = container_of(m, struct live, port);
    vcpus_stop(l->vcpus);
    l->paused = true;
    pci_host_destroy(l->bridge);
    l->bridge = NULL;
    irq_set(&m->irq, false); /* where the function has left it, and the next one needs an edge */
}

/* ---- the machine ---- */

static void on_vcpu_end(void *ctx, enum power_event end, int status)
{
    struct live *l = ctx;
    (void)end, (void)status;
    atomic_store(&l->dead, true);
}

/* Two pieces of the rig's memory, the guest's between them. */
static void lay_memory(struct live *l, const struct gmem *rigs)
{
    l->memory = *rigs;
    l->memory.count = 3;
    l->memory.regions[2] = rigs->regions[1];
    l->memory.regions[1] = (struct gmem_region){
        .gpa = GUEST_GPA,
        .bytes = GUEST_END - GUEST_GPA,
        .hva = gmem_ptr(l->own, GUEST_GPA, GUEST_END - GUEST_GPA, 1),
    };
}

static void load(struct live *l, struct boot_state *state)
{
    char path[512];
    struct e820_map map;
    const char *dir = getenv("MINIVET_GUESTS");
    snprintf(path, sizeof(path), "%s/remote.elf", dir != NULL ? dir : GUESTS_DIR);
    need(gmem_create(&l->own, GUEST_END, GUEST_END, GUEST_END), "memory");
    e820_build(&map, l->own, false, 0);
    need(linux_boot_load(l->own,
                         &(struct linux_boot_config){
                             .request = {.kernel_path = path, .cmdline = ""}, .map = &map},
                         state),
         path);
    l->remote = gmem_ptr(l->own, REMOTE_GPA, sizeof(*l->remote), 8);
}

static void add_guest_buses(struct live *l)
{
    int err = bus_create(&l->port.mmio, "guest", UINT64_C(1) << 40);
    BUG_ON(err != 0);
    err = bus_create(&l->port.pio, "guest's ports", PORTS);
    BUG_ON(err != 0);
    l->hole = (struct bus_region){"hole",    RIG_HOLE_GPA, RIG_HOLE_END_GPA - RIG_HOLE_GPA,
                                  BUS_W1248, &hole_ops,    l};
    err = bus_add(l->port.mmio, &l->hole);
    BUG_ON(err != 0);
    l->ports =
        (struct bus_region){"ports", RIG_BAR_PORT, PORTS - RIG_BAR_PORT, BUS_W124, &port_ops, l};
    err = bus_add(l->port.pio, &l->ports);
    BUG_ON(err != 0);
}

static void add_idle_port(struct live *l, struct bus *pio)
{
    l->idle = (struct bus_region){"idle", REMOTE_IDLE_PORT, 1, BUS_W1, &idle_ops, l};
    int err = bus_add(pio, &l->idle);
    BUG_ON(err != 0);
}

static void open_machine(struct rig_machine *m, struct rig *rig)
{
    struct live *l = container_of(m, struct live, port);
    struct boot_state state;
    load(l, &state);
    lay_memory(l, rig->gmem);
    add_guest_buses(l);
    add_idle_port(l, rig->pio);
    need(hv_kvm.vm_create(&l->vm, &(struct hv_vm_config){.memory = &l->memory, .vcpus = 1}),
         "a VM");
    need(hv_kvm.irq_line(l->vm, REMOTE_GSI, IRQ_BY_EVENTFD, &m->irq), "an interrupt line");
    l->msi = hv_kvm.msi_sink(l->vm, 8);
    m->msi = (struct msi_sink){&tame_ops, &l->msi};
    m->doorbell = hv_kvm.doorbell(l->vm);
    need(vcpus_create(&l->vcpus, &(struct vcpus_config){.hv = &hv_kvm,
                                                        .vm = l->vm,
                                                        .count = 1,
                                                        .mmio = rig->bus,
                                                        .pio = rig->pio,
                                                        .power = {on_vcpu_end, l}}),
         "a vCPU");
    need(x86_power_on(&hv_kvm, l->vm, vcpus_get(l->vcpus, 0), 0, 1, &state), "power-on");
    need(vcpus_start(l->vcpus), "the vCPU's start");
}

static void close_machine(struct rig_machine *m)
{
    struct live *l = container_of(m, struct live, port);
    vcpus_destroy(l->vcpus);
    bus_remove(l->player->rig.pio, &l->idle);
    hv_kvm.irq_line_release(l->vm, &m->irq);
    hv_kvm.vm_destroy(l->vm);
    bus_destroy(m->mmio);
    bus_destroy(m->pio);
    gmem_destroy(l->own);
    live = (struct live){0};
}

struct rig_machine *fuzz_live_machine(struct fuzz_player *p)
{
    struct live *l = &live;
    l->player = p;
    l->port.open = open_machine;
    l->port.close = close_machine;
    l->port.plug = plug;
    l->port.unplug = unplug;
    l->port.msi_take = msi_take;
    l->port.irq_take = irq_take;
    return &l->port;
}
