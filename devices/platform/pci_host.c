// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/pci_host.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/ports/bus.h"
#include "core/ports/pci.h"

/* The address register of mechanism #1. */
#define ADDRESS_ENABLE      0x80000000u
#define ADDRESS_MASK        0x80fffffcu
#define ADDRESS_BUS_SHIFT   16
#define ADDRESS_DEVFN_SHIFT 8
#define ADDRESS_REG_MASK    0xfcu

/* Where ECAM has the function in an offset. */
#define ECAM_DEVFN_SHIFT 12
#define ECAM_REG_MASK    0xfffu

#define REG_CLASS_CODE 0x0a /* class and subclass; below them the interface */
#define CLASS_BRIDGE   0x0600

struct pci_host {
    struct bus *pio, *mmio;
    struct bus_region regions[3]; /* the address and data registers, and ECAM */
    struct pci_function *functions[PCI_DEVFN_COUNT];
    struct pci_function bridge;
    uint8_t bridge_header[PCI_HEADER_BYTES];
    _Atomic uint32_t address; /* relaxed: it orders nothing else */
    struct pci_windows windows;

    pthread_mutex_t wires_lock; /* leaf */
    struct wire {
        struct irq_line line;
        uint64_t asserted[PCI_DEVFN_COUNT / 64]; /* by which functions */
    } wires[PCI_HOST_WIRES];
};

/* ---- the bridge: it decodes nothing, so no register of it can be written ---- */

static uint32_t bridge_read(struct pci_function *f, unsigned offset, unsigned width)
{
    struct pci_host *host = container_of(f, struct pci_host, bridge);
    return offset < PCI_HEADER_BYTES ? (uint32_t)le_get(host->bridge_header + offset, width) : 0;
}

static void bridge_write(struct pci_function *f, unsigned offset, unsigned width, uint32_t value)
{
    (void)f;
    (void)offset;
    (void)width;
    (void)value;
}

static const struct pci_function_ops bridge_ops = {
    .config_read = bridge_read,
    .config_write = bridge_write,
};

/* ---- configuration accesses ---- */

static struct pci_function *function_for(struct pci_host *host, unsigned devfn, unsigned offset,
                                         unsigned width)
{
    if (offset % 4 + width > 4)
        return NULL;
    return host->functions[devfn];
}

/* Whether its slot has more functions is nothing that function 0 knows. */
static uint32_t multi_function_bit(const struct pci_host *host, unsigned devfn, unsigned offset,
                                   unsigned width)
{
    bool seen = offset <= PCI_REG_HEADER_TYPE && PCI_REG_HEADER_TYPE - offset < width;
    if (!seen || devfn % PCI_FUNCTIONS != 0)
        return 0;
    for (unsigned i = 1; i < PCI_FUNCTIONS; i++) {
        if (host->functions[devfn + i])
            return PCI_HEADER_TYPE_MULTI << 8 * (PCI_REG_HEADER_TYPE - offset);
    }
    return 0;
}

static uint64_t config_read(struct pci_host *host, unsigned devfn, unsigned offset, unsigned width)
{
    struct pci_function *f = function_for(host, devfn, offset, width);
    if (!f)
        return UINT64_MAX;
    return f->ops->config_read(f, offset, width) | multi_function_bit(host, devfn, offset, width);
}

static void config_write(struct pci_host *host, unsigned devfn, unsigned offset, unsigned width,
                         uint64_t value)
{
    struct pci_function *f = function_for(host, devfn, offset, width);
    if (f)
        f->ops->config_write(f, offset, width, (uint32_t)value);
}

static uint64_t ecam_read(void *dev, uint64_t offset, unsigned width)
{
    unsigned at = (unsigned)offset;
    return config_read(dev, at >> ECAM_DEVFN_SHIFT, at & ECAM_REG_MASK, width);
}

static void ecam_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    unsigned at = (unsigned)offset;
    config_write(dev, at >> ECAM_DEVFN_SHIFT, at & ECAM_REG_MASK, width, value);
}

static uint64_t address_read(void *dev, uint64_t offset, unsigned width)
{
    struct pci_host *host = dev;
    (void)offset;
    (void)width;
    return atomic_load_explicit(&host->address, memory_order_relaxed);
}

static void address_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct pci_host *host = dev;
    (void)offset;
    (void)width;
    atomic_store_explicit(&host->address, (uint32_t)value & ADDRESS_MASK, memory_order_relaxed);
}

/* The address register, read once. Is it enabled, and for bus 0? */
static bool latched(struct pci_host *host, unsigned *devfn, unsigned *reg)
{
    uint32_t address = atomic_load_explicit(&host->address, memory_order_relaxed);
    *devfn = (address >> ADDRESS_DEVFN_SHIFT) & (PCI_DEVFN_COUNT - 1);
    *reg = address & ADDRESS_REG_MASK;
    return address >> ADDRESS_BUS_SHIFT == ADDRESS_ENABLE >> ADDRESS_BUS_SHIFT;
}

static uint64_t data_read(void *dev, uint64_t offset, unsigned width)
{
    unsigned devfn, reg;
    if (!latched(dev, &devfn, &reg))
        return UINT64_MAX;
    return config_read(dev, devfn, reg + (unsigned)offset, width);
}

static void data_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    unsigned devfn, reg;
    if (latched(dev, &devfn, &reg))
        config_write(dev, devfn, reg + (unsigned)offset, width, value);
}

static const struct bus_ops address_ops = {.read = address_read, .write = address_write};
static const struct bus_ops data_ops = {.read = data_read, .write = data_write};
static const struct bus_ops ecam_ops = {.read = ecam_read, .write = ecam_write};

/* ---- interrupt wires ---- */

static bool wire_is_up(const struct wire *w)
{
    uint64_t any = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(w->asserted); i++)
        any |= w->asserted[i];
    return any != 0;
}

/* Under the lock up to the controller, so that it sees levels in the order in which they changed.
 */
static void intx_set(void *ctx, unsigned devfn, unsigned pin, bool level)
{
    struct pci_host *host = ctx;
    struct wire *w = &host->wires[PCI_HOST_WIRE(devfn / PCI_FUNCTIONS, pin)];
    uint64_t bit = UINT64_C(1) << devfn % 64;
    pthread_mutex_lock(&host->wires_lock);
    bool before = wire_is_up(w);
    if (level)
        w->asserted[devfn / 64] |= bit;
    else
        w->asserted[devfn / 64] &= ~bit;
    bool after = wire_is_up(w);
    if (before != after && w->line.set)
        irq_set(&w->line, after);
    pthread_mutex_unlock(&host->wires_lock);
}

/* ---- what a firmware does at power-on, by configuration accesses alone ---- */

/* A window and how much of it is given away. */
struct pool {
    const char *name;
    struct pci_window window;
    uint64_t used;
};

struct assignment {
    struct pci_host *host;
    unsigned devfn;
    struct pool memory32, memory64, ports;
};

static uint32_t cfg_read(const struct assignment *a, unsigned offset, unsigned width)
{
    return (uint32_t)config_read(a->host, a->devfn, offset, width);
}

static void cfg_write(const struct assignment *a, unsigned offset, unsigned width, uint32_t value)
{
    config_write(a->host, a->devfn, offset, width, value);
}

/* The next naturally aligned place; bytes is a power of two. */
static bool pool_take(struct pool *pool, uint64_t bytes, uint64_t *addr)
{
    uint64_t free_from, end;
    if (!checked_add_u64(pool->window.base, pool->used, &free_from) ||
        !checked_add_u64(free_from, bytes - 1, &end))
        return false;
    *addr = align_down(end, bytes); /* as free_from, aligned up */
    if (!range_within(*addr, bytes, pool->window.base, pool->window.bytes))
        return false;
    pool->used = *addr + bytes - pool->window.base;
    return true;
}

/* What of a BAR's bits can be written: it is given all ones, and looked at (PCI 3.0 6.2.5.1). */
static uint32_t probe(const struct assignment *a, unsigned reg)
{
    cfg_write(a, reg, 4, UINT32_MAX);
    return cfg_read(a, reg, 4);
}

/* Returns how many registers the BAR takes, or -ENOSPC. */
static int assign_bar(struct assignment *a, unsigned bar)
{
    unsigned reg = PCI_REG_BAR + 4 * bar;
    uint32_t low = probe(a, reg);
    if (low == 0)
        return 1;
    bool is_io = (low & PCI_BAR_IS_IO) != 0;
    bool is_64 = !is_io && (low & PCI_BAR_IS_64) != 0 && bar + 1 < PCI_BARS;
    uint64_t mask = low & ~(uint32_t)(is_io ? PCI_BAR_IO_FLAGS : PCI_BAR_MEM_FLAGS);
    /* A function may leave out the upper half of a port's address, which is 0 on a PC. */
    if (is_64)
        mask |= (uint64_t)probe(a, reg + 4) << 32;
    else
        mask |= (is_io ? UINT64_C(0xffffffffffff0000) : UINT64_C(0xffffffff00000000));
    uint64_t bytes = mask & -mask;
    if (bytes == 0)
        return is_64 ? 2 : 1;
    struct pool *pool = is_io ? &a->ports : &a->memory32;
    if (is_64 && a->memory64.window.bytes != 0)
        pool = &a->memory64;
    uint64_t addr;
    if (!pool_take(pool, bytes, &addr))
        return fail(-ENOSPC, "PCI function %02x.%x (%s): BAR %u of 0x%" PRIx64 " bytes in the %s",
                    a->devfn / PCI_FUNCTIONS, a->devfn % PCI_FUNCTIONS,
                    a->host->functions[a->devfn]->name, bar, bytes, pool->name);
    cfg_write(a, reg, 4, (uint32_t)addr);
    if (is_64)
        cfg_write(a, reg + 4, 4, (uint32_t)(addr >> 32));
    return is_64 ? 2 : 1;
}

/* For systems that do not read the routing in the firmware's tables. */
static void assign_interrupt_line(const struct assignment *a)
{
    uint32_t pin = cfg_read(a, PCI_REG_INTERRUPT_PIN, 1);
    if (pin == 0 || pin > PCI_HOST_WIRES)
        return;
    const struct wire *w = &a->host->wires[PCI_HOST_WIRE(a->devfn / PCI_FUNCTIONS, pin - 1)];
    cfg_write(a, PCI_REG_INTERRUPT_LINE, 1, w->line.set ? w->line.irq : PCI_INTERRUPT_LINE_NONE);
}

/* With decoding off in the meantime. Bus mastering is for the driver to turn on. */
static int assign_function(struct assignment *a)
{
    if ((cfg_read(a, PCI_REG_HEADER_TYPE, 1) & PCI_HEADER_TYPE_MASK) != 0)
        return 0;
    uint32_t command = cfg_read(a, PCI_REG_COMMAND, 2);
    cfg_write(a, PCI_REG_COMMAND, 2, command & ~(uint32_t)(PCI_CMD_IO | PCI_CMD_MEMORY));
    for (unsigned bar = 0; bar < PCI_BARS;) {
        int registers = assign_bar(a, bar);
        if (registers < 0)
            return registers;
        bar += (unsigned)registers;
    }
    assign_interrupt_line(a);
    cfg_write(a, PCI_REG_COMMAND, 2, command | PCI_CMD_IO | PCI_CMD_MEMORY);
    return 0;
}

bool pci_host_is_empty(const struct pci_host *host)
{
    unsigned count = 0;
    for (unsigned i = 0; i < PCI_DEVFN_COUNT; i++)
        count += host->functions[i] != NULL;
    return count == 1;
}

int pci_host_assign(struct pci_host *host, const struct pci_windows *windows)
{
    host->windows = *windows;
    struct assignment a = {
        .host = host,
        .memory32 = {.name = "32-bit memory window", .window = windows->memory32},
        .memory64 = {.name = "64-bit memory window", .window = windows->memory64},
        .ports = {.name = "port window", .window = windows->ports},
    };
    for (; a.devfn < PCI_DEVFN_COUNT; a.devfn++) {
        if (!host->functions[a.devfn])
            continue;
        int err = assign_function(&a);
        if (err < 0)
            return err;
    }
    return 0;
}

/* ---- life ---- */

int pci_host_add(struct pci_host *host, unsigned devfn, struct pci_function *function)
{
    if (devfn >= PCI_DEVFN_COUNT)
        return -EINVAL;
    if (host->functions[devfn])
        return -EEXIST;
    host->functions[devfn] = function;
    if (function->ops->connect)
        function->ops->connect(function,
                               &(struct pci_intx){.set = intx_set, .ctx = host, .devfn = devfn},
                               &host->windows);
    return 0;
}

static void make_bridge(struct pci_host *host)
{
    le16_put(host->bridge_header + PCI_REG_VENDOR, PCI_HOST_VENDOR_ID);
    le16_put(host->bridge_header + PCI_REG_DEVICE, PCI_HOST_DEVICE_ID);
    le16_put(host->bridge_header + REG_CLASS_CODE, CLASS_BRIDGE);
    host->bridge = (struct pci_function){.ops = &bridge_ops, .name = "pci-host"};
    host->functions[PCI_DEVFN(0, 0)] = &host->bridge;
}

static struct bus *bus_of(const struct pci_host *host, unsigned region)
{
    return host->regions[region].ops == &ecam_ops ? host->mmio : host->pio;
}

static int add_regions(struct pci_host *host, uint64_t ecam_gpa)
{
    const struct bus_region regions[] = {
        /* Narrower accesses belong to other registers of a PC. */
        {"pci-address", PCI_HOST_ADDRESS_PORT, 4, BUS_W4, &address_ops, host},
        {"pci-data", PCI_HOST_DATA_PORT, 4, BUS_W124, &data_ops, host},
        {"pci-ecam", ecam_gpa, PCI_HOST_ECAM_BYTES, BUS_W124, &ecam_ops, host},
    };
    _Static_assert(sizeof(regions) == sizeof(host->regions), "all of them");
    memcpy(host->regions, regions, sizeof(regions));
    int err = 0;
    for (unsigned i = 0; err == 0 && i < ARRAY_SIZE(regions); i++)
        if (bus_of(host, i) != NULL)
            err = bus_add(bus_of(host, i), &host->regions[i]);
    return err;
}

int pci_host_create(struct pci_host **out, const struct pci_host_config *config)
{
    struct pci_host *host = calloc(1, sizeof(*host));
    if (!host)
        return fail(-ENOMEM, "PCI host bridge");
    host->pio = config->pio;
    host->mmio = config->mmio;
    pthread_mutex_init(&host->wires_lock, NULL);
    for (unsigned i = 0; i < PCI_HOST_WIRES; i++)
        host->wires[i].line = config->wires[i];
    make_bridge(host);
    int err = add_regions(host, config->ecam_gpa);
    if (err < 0) {
        pci_host_destroy(host);
        return fail(err, "PCI host bridge: port 0x%x, ECAM at 0x%llx", PCI_HOST_ADDRESS_PORT,
                    (unsigned long long)config->ecam_gpa);
    }
    *out = host;
    return 0;
}

void pci_host_destroy(struct pci_host *host)
{
    if (!host)
        return;
    /* A region that was not added is not found, which is as well. */
    for (unsigned i = 0; i < ARRAY_SIZE(host->regions); i++)
        if (bus_of(host, i) != NULL)
            bus_remove(bus_of(host, i), &host->regions[i]);
    pthread_mutex_destroy(&host->wires_lock);
    free(host);
}
