// SPDX-License-Identifier: BSD-2-Clause
#include "devices/pci_host.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/bus.h"
#include "core/fail.h"
#include "core/le.h"
#include "core/pci.h"
#include "core/xmath.h"

/* The address register of mechanism #1. */
#define ADDRESS_ENABLE      0x80000000u
#define ADDRESS_MASK        0x80fffffcu
#define ADDRESS_BUS_SHIFT   16
#define ADDRESS_DEVFN_SHIFT 8
#define ADDRESS_REG_MASK    0xfcu

/* Where ECAM has the function in an offset. */
#define ECAM_DEVFN_SHIFT 12
#define ECAM_REG_MASK    0xfffu

/* A type 0 header (PCI 3.0 6.1). */
#define HEADER_BYTES  64u
#define HEADER_VENDOR 0x00
#define HEADER_DEVICE 0x02
#define HEADER_CLASS  0x0a /* subclass, class */
#define CLASS_BRIDGE  0x0600

struct pci_host {
    struct bus *pio, *mmio;
    struct bus_region address_region, data_region, ecam_region;
    struct pci_function *functions[PCI_DEVFN_COUNT];
    struct pci_function bridge;
    uint8_t bridge_header[HEADER_BYTES];
    _Atomic uint32_t address; /* relaxed: it orders nothing else */
};

/* ---- the bridge: it decodes nothing, so no register of it can be written ---- */

static uint32_t bridge_read(struct pci_function *f, unsigned offset, unsigned width)
{
    struct pci_host *host = container_of(f, struct pci_host, bridge);
    return offset < HEADER_BYTES ? (uint32_t)le_get(host->bridge_header + offset, width) : 0;
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

static uint64_t config_read(struct pci_host *host, unsigned devfn, unsigned offset, unsigned width)
{
    struct pci_function *f = function_for(host, devfn, offset, width);
    return f ? f->ops->config_read(f, offset, width) : UINT64_MAX;
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

/* ---- life ---- */

int pci_host_add(struct pci_host *host, unsigned devfn, struct pci_function *function)
{
    if (devfn >= PCI_DEVFN_COUNT)
        return -EINVAL;
    if (host->functions[devfn])
        return -EEXIST;
    host->functions[devfn] = function;
    return 0;
}

static void make_bridge(struct pci_host *host)
{
    le16_put(host->bridge_header + HEADER_VENDOR, PCI_HOST_VENDOR_ID);
    le16_put(host->bridge_header + HEADER_DEVICE, PCI_HOST_DEVICE_ID);
    le16_put(host->bridge_header + HEADER_CLASS, CLASS_BRIDGE);
    host->bridge = (struct pci_function){.ops = &bridge_ops, .name = "pci-host"};
    host->functions[PCI_DEVFN(0, 0)] = &host->bridge;
}

static int add_regions(struct pci_host *host, uint64_t ecam_gpa)
{
    host->address_region = (struct bus_region){
        .name = "pci-address",
        .base = PCI_HOST_ADDRESS_PORT,
        .size = 4,
        .widths = BUS_W4, /* narrower ones belong to other registers of a PC */
        .ops = &address_ops,
        .dev = host,
    };
    host->data_region = (struct bus_region){
        .name = "pci-data",
        .base = PCI_HOST_DATA_PORT,
        .size = 4,
        .widths = BUS_W124,
        .ops = &data_ops,
        .dev = host,
    };
    host->ecam_region = (struct bus_region){
        .name = "pci-ecam",
        .base = ecam_gpa,
        .size = PCI_HOST_ECAM_BYTES,
        .widths = BUS_W124,
        .ops = &ecam_ops,
        .dev = host,
    };
    int err = bus_add(host->pio, &host->address_region);
    if (err == 0)
        err = bus_add(host->pio, &host->data_region);
    if (err == 0)
        err = bus_add(host->mmio, &host->ecam_region);
    return err;
}

int pci_host_create(struct pci_host **out, const struct pci_host_config *config)
{
    struct pci_host *host = calloc(1, sizeof(*host));
    if (!host)
        return fail(-ENOMEM, "PCI host bridge");
    host->pio = config->pio;
    host->mmio = config->mmio;
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
    bus_remove(host->pio, &host->address_region);
    bus_remove(host->pio, &host->data_region);
    bus_remove(host->mmio, &host->ecam_region);
    free(host);
}
