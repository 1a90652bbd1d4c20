// SPDX-License-Identifier: BSD-2-Clause
/*
 * The host bridge with four virtio functions behind it: configuration space through both doors,
 * BARs that are sized, moved and laid over each other, MSI-X, INTx, the window of VIRTIO 1.4
 * 4.1.4.9.
 *
 * The input is a list of steps. A step begins with a byte: the step (bits 0 to 3), the width (4, 5)
 * and what the value is (6, 7: a byte follows, four bytes, all ones, or a byte that names a place
 * in the 32-bit window). A function is a byte, of which the lower half is one of ours mostly.
 *
 * After each step no two BARs are in one place, each is in a window, the wires are as the functions
 * have them, and no message was sent but what MSI-X lets through (msix_judge.h). After the last
 * another guest takes each function over and uses it.
 */
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/memory/gmem.h"
#include "core/ports/bus.h"
#include "devices/platform/pci_host.h"
#include "pci/function.h"
#include "pci/msix.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/msix_judge.h"
#include "tests/fuzz/target.h"
#include "tests/harness/echo.h"
#include "tests/harness/fake.h"
#include "tests/harness/vdrv.h"
#include "virtio/spec.h"
#include "virtio/transport/pci_impl.h"

#define FUNCTIONS    4u
#define RAM_BYTES    UINT64_C(0x20000)
#define ECAM_GPA     UINT64_C(0x10000000)
#define MEM32_GPA    UINT64_C(0x20000000)
#define MEM32_BYTES  UINT64_C(0x100000)
#define MEM64_GPA    UINT64_C(0x100000000)
#define MEM64_BYTES  UINT64_C(0x100000)
#define PORTS_BASE   0xc000u
#define PORTS        0x400u
#define PLACE_BYTES  0x1000u /* the smallest memory BAR is that large */
#define OWN_BYTES    0x20000u
#define OWN_PORTS    0x80u
#define HEAP_BYTES   0x4000u
#define STEPS_MAX    400u
#define RING_SIZE    8u
#define SHM_BYTES    0x2000u
#define QUEUE_VECTOR 1u /* the first queue's, as the driver of tests has it */

struct function {
    unsigned devfn;
    bool legacy;
    uint64_t shm_bytes;
    struct echo echo;
    struct virtio_pci *pci;
    struct fake_msi msi;
    struct fake_doorbell bell;
    struct msix_judge judge;
    struct vdrv drv;
};

/* Memory, buses and the loop outlive an input. */
static struct bench {
    struct gmem *gmem;
    struct bus *mmio, *pio;
    struct fuzz_host host;
    struct pci_host *bridge;
    struct fake_irq wires[PCI_HOST_WIRES];
    struct function functions[FUNCTIONS];
} bench;

static const struct pci_windows windows = {
    .memory32 = {MEM32_GPA, MEM32_BYTES},
    .memory64 = {MEM64_GPA, MEM64_BYTES},
    .ports = {PORTS_BASE, PORTS},
};

/* ---- what there is ---- */

static void make_host(struct bench *b)
{
    fuzz_host_open(&b->host);
    if (b->gmem != NULL)
        return;
    int err = gmem_create(&b->gmem, RAM_BYTES, RAM_BYTES, RAM_BYTES);
    err = err != 0 ? err : bus_create(&b->mmio, "memory", UINT64_C(1) << 40);
    err = err != 0 ? err : bus_create(&b->pio, "ports", 65536);
    BUG_ON(err != 0);
}

static void open_function(struct bench *b, struct function *f)
{
    echo_init(&f->echo, &(struct echo_config){
                            .setup = {.name = "echo", .loop = b->host.loop, .gmem = b->gmem},
                            .transitional = f->legacy,
                            .shm_bytes = f->shm_bytes,
                        });
    int err = virtio_pci_create(&f->pci, &(struct virtio_pci_config){
                                             .mmio = b->mmio,
                                             .pio = b->pio,
                                             .msi = fake_msi_sink(&f->msi),
                                             .doorbell = fake_doorbell_port(&f->bell),
                                             .legacy = f->legacy,
                                             .device = &f->echo.dev,
                                         });
    err = err != 0 ? err : pci_host_add(b->bridge, f->devfn, &virtio_pci_func(f->pci)->port);
    BUG_ON(err != 0);
    msix_judge_init(&f->judge, f->pci, &f->msi);
}

static void open_bench(struct bench *b)
{
    static const struct function kinds[FUNCTIONS] = {
        {.devfn = PCI_DEVFN(1, 0)},
        {.devfn = PCI_DEVFN(1, 3), .shm_bytes = SHM_BYTES},
        {.devfn = PCI_DEVFN(2, 0), .legacy = true},
        {.devfn = PCI_DEVFN(31, 7), .legacy = true},
    };
    struct pci_host_config config = {.pio = b->pio, .mmio = b->mmio, .ecam_gpa = ECAM_GPA};
    for (unsigned i = 0; i < PCI_HOST_WIRES; i++) {
        b->wires[i] = (struct fake_irq){0};
        config.wires[i] = fake_irq_line(&b->wires[i]);
    }
    int err = pci_host_create(&b->bridge, &config);
    BUG_ON(err != 0);
    memset(gmem_ptr(b->gmem, 0, RAM_BYTES, 1), 0, RAM_BYTES);
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        b->functions[i] = kinds[i];
        open_function(b, &b->functions[i]);
    }
    err = pci_host_assign(b->bridge, &windows);
    BUG_ON(err != 0);
}

static void close_bench(struct bench *b)
{
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        struct function *f = &b->functions[i];
        vdrv_fini(&f->drv);
        virtio_pci_destroy(f->pci);
        fuzz_check(fake_msi_routes(&f->msi) == 0, "function %u leaves routes behind", i);
        fuzz_check(f->bell.count == 0, "function %u leaves doorbells behind", i);
        echo_fini(&f->echo);
        pthread_mutex_destroy(&f->msi.lock);
    }
    for (unsigned i = 0; i < PCI_HOST_WIRES; i++)
        fuzz_check(!b->wires[i].level, "wire %u stays up", i);
    evloop_drain(b->host.loop);
    pci_host_destroy(b->bridge);
}

/* ---- what is always so ---- */

static const struct pci_bar *bar_of(const struct function *f, unsigned bar)
{
    return &virtio_pci_func(f->pci)->bars[bar];
}

static bool is_on(const struct pci_bar *bar)
{
    return bar->cfg.bytes != 0 && bar->addr != PCI_NO_ADDRESS;
}

static bool in_window(const struct pci_bar *bar)
{
    const struct pci_window *all[] = {&windows.memory32, &windows.memory64, &windows.ports};
    bool ports = bar->cfg.space == BUS_PIO;
    for (unsigned i = ports ? 2 : 0; i < (ports ? 3u : 2u); i++)
        if (range_within(bar->addr, bar->cfg.bytes, all[i]->base, all[i]->bytes))
            return true;
    return false;
}

static void check_bars(const struct bench *b)
{
    const struct pci_bar *on[FUNCTIONS * PCI_BARS];
    unsigned count = 0;
    for (unsigned i = 0; i < FUNCTIONS * PCI_BARS; i++) {
        const struct pci_bar *bar = bar_of(&b->functions[i / PCI_BARS], i % PCI_BARS);
        if (!is_on(bar))
            continue;
        fuzz_check(in_window(bar), "BAR %u of function %u is outside", i % PCI_BARS, i / PCI_BARS);
        for (unsigned k = 0; k < count; k++)
            fuzz_check(
                on[k]->cfg.space != bar->cfg.space ||
                    !range_overlaps(on[k]->addr, on[k]->cfg.bytes, bar->addr, bar->cfg.bytes),
                "two BARs are at 0x%llx", (unsigned long long)bar->addr);
        on[count++] = bar;
    }
}

static void check_wires(const struct bench *b)
{
    bool up[PCI_HOST_WIRES] = {false};
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        const struct function *f = &b->functions[i];
        up[PCI_HOST_WIRE(f->devfn / PCI_FUNCTIONS, 0)] |= virtio_pci_func(f->pci)->intx_out;
    }
    for (unsigned i = 0; i < PCI_HOST_WIRES; i++)
        fuzz_check(b->wires[i].level == up[i], "wire %u is %d, not %d", i, b->wires[i].level,
                   up[i]);
}

/* ---- another guest ---- */

static void config_write(const struct bench *b, unsigned devfn, unsigned reg, unsigned width,
                         uint64_t value)
{
    bus_write(b->mmio, ECAM_GPA + (devfn << 12) + reg, width, value);
}

/* Nobody else is in the way, and this one gets memory of its own. */
static void find_function(struct bench *b, unsigned index, bool intx)
{
    struct function *f = &b->functions[index];
    for (unsigned i = 0; i < FUNCTIONS; i++)
        config_write(b, b->functions[i].devfn, PCI_REG_COMMAND, 2, 0);
    vdrv_fini(&f->drv);
    vdrv_init_pci(&f->drv, &(struct vdrv_pci_config){
                               .gmem = b->gmem,
                               .mmio = b->mmio,
                               .pio = b->pio,
                               .func = &virtio_pci_func(f->pci)->port,
                               .bar_gpa = MEM32_GPA + index * OWN_BYTES,
                               .bar_end_gpa = MEM32_GPA + (index + 1) * OWN_BYTES,
                               .bar_port = (uint16_t)(PORTS_BASE + index * OWN_PORTS),
                               .intx = intx,
                           });
    f->drv.heap_start_gpa = f->drv.heap_gpa += index * HEAP_BYTES;
    f->drv.heap_end_gpa = f->drv.heap_gpa + HEAP_BYTES;
}

static bool start(struct bench *b, unsigned index, bool intx)
{
    struct function *f = &b->functions[index];
    find_function(b, index, intx);
    f->msi.refuse_routes = f->msi.fail = f->bell.refuse = 0;
    bool started = vdrv_start(&f->drv, 0, 1, RING_SIZE);
    evloop_drain(b->host.loop);
    return started;
}

static void take_over(struct bench *b, unsigned index)
{
    struct function *f = &b->functions[index];
    uint32_t head, len = 0;
    fuzz_check(start(b, index, false), "function %u does not start", index);
    fake_msi_take_all(&f->msi);
    uint64_t gpa = vdrv_alloc(&f->drv, 16, 16);
    memcpy(vdrv_ptr(&f->drv, gpa, 8), "minivet", 8);
    vdrv_send(&f->drv.q[0], (struct vdrv_buf[]){{gpa, 8, false}, {gpa + 8, 8, true}}, 2);
    evloop_drain(b->host.loop);
    fuzz_check(vdrv_used(&f->drv.q[0], &head, &len) && len == 8, "function %u is dead", index);
    fuzz_check(memcmp(vdrv_ptr(&f->drv, gpa + 8, 8), "minivet", 8) == 0, "no echo");
    fuzz_check(fake_msi_take(&f->msi, QUEUE_VECTOR) == 1, "function %u sends no message", index);
}

/* ---- steps ---- */

struct step {
    struct fuzz_input *in;
    unsigned width;
    unsigned kind; /* of the value */
};

static uint64_t value_of(const struct step *s)
{
    switch (s->kind) {
    case 0:
        return fuzz_take(s->in, 1);
    case 1:
        return fuzz_take(s->in, 4);
    case 2:
        return UINT64_MAX;
    default:
        return MEM32_GPA + fuzz_take(s->in, 1) * PLACE_BYTES;
    }
}

static unsigned any_devfn(const struct bench *b, const struct step *s)
{
    unsigned byte = (unsigned)fuzz_take(s->in, 1);
    return byte % 16 < 15 ? b->functions[byte % FUNCTIONS].devfn : byte / 16;
}

static void latch(struct bench *b, const struct step *s, unsigned *port)
{
    unsigned devfn = any_devfn(b, s), reg = (unsigned)fuzz_take(s->in, 1);
    bus_write(b->pio, PCI_HOST_ADDRESS_PORT, 4, UINT32_C(0x80000000) | devfn << 8 | (reg & 0xfc));
    *port = PCI_HOST_DATA_PORT + reg % 4;
}

/* Where a BAR answers now; where it does not, some place of its window. */
static uint64_t bar_place(struct bench *b, const struct step *s, struct bus **bus)
{
    unsigned byte = (unsigned)fuzz_take(s->in, 1);
    const struct pci_bar *bar =
        bar_of(&b->functions[byte % FUNCTIONS], byte / FUNCTIONS % PCI_BARS);
    bool ports = bar->cfg.space == BUS_PIO && bar->cfg.bytes != 0;
    uint64_t base = is_on(bar) ? bar->addr : ports ? PORTS_BASE : MEM32_GPA;
    *bus = ports ? b->pio : b->mmio;
    return base + fuzz_take(s->in, 2);
}

static void write_bar(struct bench *b, const struct step *s)
{
    unsigned byte = (unsigned)fuzz_take(s->in, 1);
    unsigned devfn = b->functions[byte % FUNCTIONS].devfn;
    unsigned reg = PCI_REG_BAR + 4 * (byte / FUNCTIONS % PCI_BARS);
    uint64_t place = fuzz_take(s->in, 1);
    uint64_t addr = byte & 0x80   ? PORTS_BASE + place * 4
                    : s->kind & 1 ? MEM64_GPA + place * PLACE_BYTES
                                  : MEM32_GPA + place * PLACE_BYTES;
    config_write(b, devfn, reg, 4, (uint32_t)addr);
    if (addr > UINT32_MAX)
        config_write(b, devfn, reg + 4, 4, addr >> 32);
    config_write(b, devfn, PCI_REG_COMMAND, 2, PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER);
}

static void host_step(struct bench *b, const struct step *s)
{
    unsigned byte = (unsigned)fuzz_take(s->in, 1);
    struct function *f = &b->functions[byte % FUNCTIONS];
    switch (byte / FUNCTIONS % 8) {
    case 0:
        virtio_device_config_changed(&f->echo.dev);
        break;
    case 1:
        if (f->echo.dev.running)
            virtio_device_fail(&f->echo.dev, "the script says so");
        break;
    case 2:
        f->msi.refuse_routes = f->msi.refuse_routes != 0 ? 0 : -28;
        break;
    case 3:
        f->bell.refuse = f->bell.refuse != 0 ? 0 : -28;
        break;
    case 4:
        f->msi.fail = f->msi.fail != 0 ? 0 : -22;
        break;
    default:
        fake_msi_take_all(&f->msi);
        break;
    }
}

/* A driver's chain, on a queue that it has set up or thinks it has. */
static void send_chain(struct bench *b, const struct step *s)
{
    unsigned byte = (unsigned)fuzz_take(s->in, 1);
    struct function *f = &b->functions[byte % FUNCTIONS];
    if (f->drv.q[0].desc == NULL || byte & 0x80)
        (void)start(b, byte % FUNCTIONS, byte & 0x40);
    if (f->drv.q[0].desc == NULL)
        return;
    uint64_t gpa = f->drv.heap_end_gpa - 16;
    vdrv_send(&f->drv.q[0], (struct vdrv_buf[]){{gpa, 8, false}, {gpa + 8, 8, true}}, 2);
}

/* As drivers do when they give a vector another processor. */
static void mask(struct bench *b, const struct step *s)
{
    unsigned byte = (unsigned)fuzz_take(s->in, 1);
    const struct function *f = &b->functions[byte % FUNCTIONS];
    const struct pci_func *func = virtio_pci_func(f->pci);
    const struct pci_bar *table = bar_of(f, VIRTIO_PCI_BAR_MSIX);
    unsigned what = byte / FUNCTIONS % 4, vector = byte >> 4 & 3;
    unsigned control = msix_cap(f->pci->msix) + 2;
    if (what == 0)
        config_write(b, f->devfn, control, 2, pci_func_get(func, control, 2) ^ 0x4000);
    else if (what == 1)
        config_write(b, f->devfn, PCI_REG_COMMAND, 2,
                     pci_func_get(func, PCI_REG_COMMAND, 2) ^ PCI_CMD_MASTER);
    else if (is_on(table))
        bus_write(b->mmio, table->addr + vector * MSIX_ENTRY_BYTES + 12, 4, what == 2);
}

static void do_step(struct bench *b, const struct step *s, unsigned op)
{
    struct bus *bus;
    uint64_t value, at;
    unsigned port, devfn;
    switch (op) {
    case 0:
        devfn = any_devfn(b, s);
        at = fuzz_take(s->in, 1);
        config_write(b, devfn, (unsigned)at, s->width, value_of(s));
        break;
    case 1:
        bus_read(b->mmio, ECAM_GPA + fuzz_take(s->in, 3) % (PCI_HOST_ECAM_BYTES + 8), s->width,
                 &value);
        break;
    case 2:
        latch(b, s, &port);
        bus_write(b->pio, port, s->width, value_of(s));
        break;
    case 3:
        latch(b, s, &port);
        bus_read(b->pio, port, s->width, &value);
        break;
    case 4:
        at = PCI_HOST_ADDRESS_PORT + fuzz_take(s->in, 1) % 16;
        bus_write(b->pio, at, s->width, value_of(s));
        break;
    case 5:
    case 6:
        at = bar_place(b, s, &bus);
        bus_write(bus, at, s->width, value_of(s));
        break;
    case 7:
        at = bar_place(b, s, &bus);
        bus_read(bus, at, s->width, &value);
        break;
    case 8:
        at = ECAM_GPA + fuzz_take(s->in, 3) % (PCI_HOST_ECAM_BYTES + 8);
        bus_write(b->mmio, at, s->width, value_of(s));
        break;
    case 9:
    case 10:
        write_bar(b, s);
        break;
    case 11:
        at = fuzz_take(s->in, 3) % RAM_BYTES & ~UINT64_C(7);
        value = value_of(s);
        memcpy(gmem_ptr(b->gmem, at, 8, 1), &value, 8);
        break;
    case 12:
        host_step(b, s);
        break;
    case 13:
        send_chain(b, s);
        break;
    case 14:
        mask(b, s);
        break;
    default:
        evloop_drain(b->host.loop);
        break;
    }
}

static void run(struct fuzz_input *in)
{
    struct bench *b = &bench;
    make_host(b);
    unsigned files = fuzz_open_fds();
    open_bench(b);
    for (unsigned i = 0; in->left > 0 && i < STEPS_MAX; i++) {
        unsigned byte = (unsigned)fuzz_take(in, 1);
        struct step s = {.in = in, .width = 1u << (byte >> 4 & 3), .kind = byte >> 6};
        for (unsigned k = 0; k < FUNCTIONS; k++)
            msix_judge_begin(&b->functions[k].judge);
        do_step(b, &s, byte & 15);
        for (unsigned k = 0; k < FUNCTIONS; k++)
            msix_judge_end(&b->functions[k].judge, (byte & 15) < 13 || (byte & 15) == 14);
        check_bars(b);
        check_wires(b);
    }
    evloop_drain(b->host.loop);
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        find_function(b, i, false);
        vdrv_reset(&b->functions[i].drv);
    }
    for (unsigned i = 0; i < FUNCTIONS; i++)
        take_over(b, i);
    close_bench(b);
    fuzz_check(fuzz_open_fds() == files, "a file was left open");
}

const struct fuzz_target fuzz_target_pci = {.name = "pci", .run = fuzz_run_bytes, .bytes = run};
