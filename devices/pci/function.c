// SPDX-License-Identifier: BSD-2-Clause
#include "pci/function.h"

#include <stdatomic.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/try_lock.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"
#include "core/state/state.h"

#define COMMAND_WRITABLE                                                            \
    (PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER | PCI_CMD_PARITY | PCI_CMD_SERR | \
     PCI_CMD_INTX_DISABLE)

enum { /* a capability's first two bytes */
       CAP_ID = 0,
       CAP_NEXT = 1,
       CAP_HEADER_BYTES = 2,
};

static unsigned bar_reg(unsigned bar)
{
    return PCI_REG_BAR + 4 * bar;
}

/* Does the access touch [reg, reg + bytes)? */
static bool touches(unsigned offset, unsigned width, unsigned reg, unsigned bytes)
{
    return range_overlaps(offset, width, reg, bytes);
}

/* ---- base address registers ---- */

static bool bar_used(const struct pci_bar *bar)
{
    return bar->cfg.bytes != 0;
}

static struct bus *bar_bus(const struct pci_func *f, const struct pci_bar *bar)
{
    return bar->cfg.space == BUS_PIO ? f->cfg.pio : f->cfg.mmio;
}

/* What the guest has in the register, or in the two. */
static uint64_t bar_written(const struct pci_func *f, unsigned index)
{
    const struct pci_bar_config *cfg = &f->bars[index].cfg;
    uint32_t low = le32_get(f->config + bar_reg(index));
    if (cfg->space == BUS_PIO)
        return low & ~(uint32_t)PCI_BAR_IO_FLAGS;
    low &= ~(uint32_t)PCI_BAR_MEM_FLAGS;
    uint64_t high = cfg->is_64 ? le32_get(f->config + bar_reg(index + 1)) : 0;
    return high << 32 | low;
}

static bool in_window(const struct pci_window *w, uint64_t addr, uint64_t bytes)
{
    return w->bytes != 0 && range_within(addr, bytes, w->base, w->bytes);
}

/* A register that was not set up holds address 0. */
static bool address_possible(const struct pci_func *f, const struct pci_bar_config *cfg,
                             uint64_t addr)
{
    const struct pci_windows *w = f->windows;
    if (addr == 0)
        return false;
    if (w == NULL)
        return true;
    if (cfg->space == BUS_PIO)
        return in_window(&w->ports, addr, cfg->bytes);
    return in_window(&w->memory32, addr, cfg->bytes) || in_window(&w->memory64, addr, cfg->bytes);
}

static uint64_t bar_wanted(const struct pci_func *f, unsigned index)
{
    const struct pci_bar_config *cfg = &f->bars[index].cfg;
    unsigned decode = cfg->space == BUS_PIO ? PCI_CMD_IO : PCI_CMD_MEMORY;
    if ((le16_get(f->config + PCI_REG_COMMAND) & decode) == 0)
        return PCI_NO_ADDRESS;
    uint64_t addr = bar_written(f, index);
    return address_possible(f, cfg, addr) ? addr : PCI_NO_ADDRESS;
}

static void bar_off(struct pci_func *f, unsigned index)
{
    struct pci_bar *bar = &f->bars[index];
    if (bar->addr == PCI_NO_ADDRESS)
        return;
    if (f->cfg.ops && f->cfg.ops->bar_going)
        f->cfg.ops->bar_going(f->cfg.ctx, index, bar->addr);
    bus_remove(bar_bus(f, bar), &bar->region);
    bar->addr = PCI_NO_ADDRESS;
}

/* If something else is there the BAR stays off: which of two answers is then settled. */
static void bar_on(struct pci_func *f, unsigned index, uint64_t addr)
{
    struct pci_bar *bar = &f->bars[index];
    bar->region.base = addr;
    if (bus_add(bar_bus(f, bar), &bar->region) < 0)
        return;
    bar->addr = addr;
    if (f->cfg.ops && f->cfg.ops->bar_come)
        f->cfg.ops->bar_come(f->cfg.ctx, index, addr);
}

/* After a write to the command register or a BAR. All go before any comes: they may change places.
 */
static void remap(struct pci_func *f)
{
    for (unsigned i = 0; i < PCI_BARS; i++) {
        if (bar_used(&f->bars[i]) && bar_wanted(f, i) != f->bars[i].addr)
            bar_off(f, i);
    }
    for (unsigned i = 0; i < PCI_BARS; i++) {
        if (!bar_used(&f->bars[i]) || f->bars[i].addr != PCI_NO_ADDRESS)
            continue;
        uint64_t wanted = bar_wanted(f, i);
        if (wanted != PCI_NO_ADDRESS)
            bar_on(f, i, wanted);
    }
}

void pci_func_add_bar(struct pci_func *f, unsigned bar, const struct pci_bar_config *config)
{
    BUG_ON(bar >= PCI_BARS || (config->is_64 && bar + 1 >= PCI_BARS));
    /* Neither a BAR of its own nor the upper half of the one before. */
    BUG_ON(le32_get(f->config + bar_reg(bar)) != 0 || le32_get(f->writable + bar_reg(bar)) != 0);
    BUG_ON(config->space == BUS_PIO && (config->is_64 || config->prefetch));
    BUG_ON(!is_pow2(config->bytes) || config->bytes < (config->space == BUS_PIO ? 4 : 16));
    BUG_ON(!config->is_64 && config->bytes > UINT64_C(1) << 31);

    struct pci_bar *b = &f->bars[bar];
    b->cfg = *config;
    b->addr = PCI_NO_ADDRESS;
    b->region = (struct bus_region){
        .name = config->name,
        .size = config->bytes,
        .widths = config->widths,
        .ops = config->ops,
        .dev = config->dev,
    };
    uint32_t flags = PCI_BAR_IS_IO;
    if (config->space == BUS_MMIO)
        flags = (config->is_64 ? PCI_BAR_IS_64 : 0) | (config->prefetch ? PCI_BAR_IS_PREFETCH : 0);
    le32_put(f->config + bar_reg(bar), flags);
    uint64_t mask = ~(config->bytes - 1);
    le32_put(f->writable + bar_reg(bar), (uint32_t)mask);
    if (config->is_64) {
        BUG_ON(bar_used(&f->bars[bar + 1]));
        le32_put(f->writable + bar_reg(bar + 1), (uint32_t)(mask >> 32));
    }
}

/* ---- INTx ---- */

static void intx_update_locked(struct pci_func *f)
{
    bool out = f->intx_asserted && !f->intx_disabled;
    if (out == f->intx_out)
        return;
    f->intx_out = out;
    if (f->intx.set)
        f->intx.set(f->intx.ctx, f->intx.devfn, 0, out);
}

void pci_func_intx(struct pci_func *f, bool level)
{
    if (!f->cfg.has_intx)
        return;
    pthread_mutex_lock(&f->intx_lock);
    f->intx_asserted = level;
    intx_update_locked(f);
    pthread_mutex_unlock(&f->intx_lock);
}

static void intx_disable(struct pci_func *f, bool disabled)
{
    pthread_mutex_lock(&f->intx_lock);
    f->intx_disabled = disabled;
    intx_update_locked(f);
    pthread_mutex_unlock(&f->intx_lock);
}

/* ---- command and status ---- */

static void command_written(struct pci_func *f)
{
    uint16_t command = le16_get(f->config + PCI_REG_COMMAND);
    intx_disable(f, (command & PCI_CMD_INTX_DISABLE) != 0);
    bool master = (command & PCI_CMD_MASTER) != 0;
    if (atomic_exchange(&f->master, master) != master && f->master_watch.changed)
        f->master_watch.changed(f->master_watch.ctx, master);
}

void pci_func_watch_master(struct pci_func *f, const struct pci_master_watch *watch)
{
    BUG_ON(f->master_watch.changed);
    f->master_watch = *watch;
}

/* The one bit of status that other threads change. */
static void refresh_status(struct pci_func *f)
{
    pthread_mutex_lock(&f->intx_lock);
    bool asserted = f->intx_asserted;
    pthread_mutex_unlock(&f->intx_lock);
    uint8_t low = f->config[PCI_REG_STATUS];
    f->config[PCI_REG_STATUS] =
        (uint8_t)(asserted ? low | PCI_STATUS_INTX : low & ~PCI_STATUS_INTX);
}

/* ---- configuration accesses ---- */

/* The bits that a write of a byte clears by being 1. */
static uint8_t write_1_clears(unsigned offset)
{
    return offset == PCI_REG_STATUS + 1 ? PCI_STATUS_RW1C >> 8 : 0;
}

static void store(struct pci_func *f, unsigned offset, unsigned width, uint32_t value)
{
    for (unsigned i = 0; i < width; i++) {
        unsigned at = offset + i;
        uint8_t byte = (uint8_t)(value >> 8 * i);
        uint8_t kept = (uint8_t)(f->config[at] & ~f->writable[at]);
        kept = (uint8_t)(kept & ~(byte & write_1_clears(at)));
        f->config[at] = (uint8_t)(kept | (byte & f->writable[at]));
    }
}

static uint32_t config_read(struct pci_function *port, unsigned offset, unsigned width)
{
    struct pci_func *f = container_of(port, struct pci_func, port);
    if (offset >= PCI_CONFIG_BYTES) /* no extended capabilities (PCIe 5.0 7.6.2) */
        return 0;
    pthread_mutex_lock(&f->lock);
    if (touches(offset, width, PCI_REG_STATUS, 1))
        refresh_status(f);
    unsigned cap = f->cap_of[offset];
    if (cap != 0 && f->cfg.ops && f->cfg.ops->cap_read)
        f->cfg.ops->cap_read(f->cfg.ctx, cap, offset - cap, width);
    uint32_t value = (uint32_t)le_get(f->config + offset, width);
    pthread_mutex_unlock(&f->lock);
    return value;
}

static void config_write(struct pci_function *port, unsigned offset, unsigned width, uint32_t value)
{
    struct pci_func *f = container_of(port, struct pci_func, port);
    if (offset >= PCI_CONFIG_BYTES)
        return;
    pthread_mutex_lock(&f->lock);
    store(f, offset, width, value);
    bool command = touches(offset, width, PCI_REG_COMMAND, 2);
    if (command)
        command_written(f);
    if (command || touches(offset, width, PCI_REG_BAR, 4 * PCI_BARS))
        remap(f);
    unsigned cap = f->cap_of[offset];
    if (cap != 0 && f->cfg.ops && f->cfg.ops->cap_written)
        f->cfg.ops->cap_written(f->cfg.ctx, cap, offset - cap, width);
    pthread_mutex_unlock(&f->lock);
}

static void connect_bridge(struct pci_function *port, const struct pci_intx *intx,
                           const struct pci_windows *windows)
{
    struct pci_func *f = container_of(port, struct pci_func, port);
    pthread_mutex_lock(&f->lock);
    f->windows = windows;
    remap(f);
    pthread_mutex_unlock(&f->lock);
    pthread_mutex_lock(&f->intx_lock);
    f->intx = *intx;
    if (f->intx_out && f->intx.set)
        f->intx.set(f->intx.ctx, f->intx.devfn, 0, true);
    pthread_mutex_unlock(&f->intx_lock);
}

/* ---- saved and loaded ---- */

static bool is_same_function(const struct pci_func *f, const uint8_t config[PCI_CONFIG_BYTES])
{
    for (unsigned i = 0; i < PCI_CONFIG_BYTES; i++)
        if (i != PCI_REG_STATUS && (config[i] ^ f->config[i]) & ~f->writable[i])
            return false;
    return true;
}

void pci_func_state(struct pci_func *f, struct state *s)
{
    uint8_t config[PCI_CONFIG_BYTES];
    pthread_mutex_lock(&f->lock);
    memcpy(config, f->config, sizeof(config));
    state_bytes(s, "config_space", config, sizeof(config));
    if (s->loads && !is_same_function(f, config)) {
        state_refuse(s, "another PCI function");
    } else if (s->loads) {
        config[PCI_REG_STATUS] = f->config[PCI_REG_STATUS];
        memcpy(f->config, config, sizeof(config));
        command_written(f);
        remap(f);
    }
    pthread_mutex_unlock(&f->lock);
}

/* ---- what it says of itself ---- */

static void describe_bars(const struct pci_func *f, struct facts *facts)
{
    facts_list(facts, "bars");
    for (unsigned i = 0; i < PCI_BARS; i++) {
        const struct pci_bar *bar = &f->bars[i];
        if (bar->cfg.bytes == 0)
            continue;
        facts_group(facts, NULL);
        facts_number(facts, "bar", i);
        facts_word(facts, "space", bar->cfg.space == BUS_PIO ? "ports" : "memory");
        facts_hex(facts, "bytes", bar->cfg.bytes);
        if (bar->addr != PCI_NO_ADDRESS)
            facts_hex(facts, "at", bar->addr);
        facts_end(facts);
    }
    facts_end(facts);
}

void pci_func_describe(struct pci_func *f, struct facts *facts)
{
    static const char *const command[] = {"IO",     "MEMORY", "MASTER", NULL, NULL,          NULL,
                                          "PARITY", NULL,     "SERR",   NULL, "INTX_DISABLE"};
    unsigned devfn = f->intx.devfn; /* fixed, once it is on the bus */
    facts_text(facts, "slot", "00:%02x.%u", devfn / 8, devfn % 8);
    facts_text(facts, "id", "%04x:%04x", f->cfg.vendor, f->cfg.device);
    facts_text(facts, "class", "%06x", f->cfg.class_code);
    if (!try_lock(&f->lock)) {
        facts_flag(facts, "busy", true);
        return;
    }
    facts_bits(facts, "command", le16_get(f->config + PCI_REG_COMMAND), command,
               ARRAY_SIZE(command));
    describe_bars(f, facts);
    pthread_mutex_unlock(&f->lock);
    if (!try_lock(&f->intx_lock))
        return;
    facts_flag(facts, "intx", f->intx_out);
    pthread_mutex_unlock(&f->intx_lock);
}

/* ---- set-up ---- */

/*
 * Whole doublewords, so that no access is inside two capabilities. The list begins where the
 * header points to and keeps the order in which they were added.
 */
unsigned pci_func_add_cap(struct pci_func *f, uint8_t id, unsigned bytes)
{
    unsigned at = f->cap_end;
    unsigned whole = (unsigned)align_up(bytes, 4);
    BUG_ON(bytes < CAP_HEADER_BYTES || whole > PCI_CONFIG_BYTES - at);
    f->config[at + CAP_ID] = id;
    f->config[f->cap_last == 0 ? PCI_REG_CAPABILITIES : f->cap_last + CAP_NEXT] = (uint8_t)at;
    f->config[PCI_REG_STATUS] |= PCI_STATUS_CAP_LIST;
    memset(f->cap_of + at, (int)at, whole);
    f->cap_last = at;
    f->cap_end = at + whole;
    return at;
}

void pci_func_allow(struct pci_func *f, unsigned offset, unsigned bytes, uint32_t mask)
{
    BUG_ON(bytes > 4 || offset + bytes > PCI_CONFIG_BYTES);
    le_put(f->writable + offset, mask, bytes);
}

uint32_t pci_func_get(const struct pci_func *f, unsigned offset, unsigned width)
{
    BUG_ON(width > 4 || offset + width > PCI_CONFIG_BYTES);
    return (uint32_t)le_get(f->config + offset, width);
}

void pci_func_put(struct pci_func *f, unsigned offset, unsigned width, uint32_t value)
{
    BUG_ON(width > 4 || offset + width > PCI_CONFIG_BYTES);
    le_put(f->config + offset, value, width);
}

static void make_header(struct pci_func *f)
{
    const struct pci_func_config *cfg = &f->cfg;
    le16_put(f->config + PCI_REG_VENDOR, cfg->vendor);
    le16_put(f->config + PCI_REG_DEVICE, cfg->device);
    f->config[PCI_REG_REVISION] = cfg->revision;
    le_put(f->config + PCI_REG_CLASS, cfg->class_code, 3);
    le16_put(f->config + PCI_REG_SUBSYSTEM_VENDOR, cfg->subsystem_vendor);
    le16_put(f->config + PCI_REG_SUBSYSTEM, cfg->subsystem);
    f->config[PCI_REG_INTERRUPT_PIN] = cfg->has_intx ? 1 : 0;

    le16_put(f->writable + PCI_REG_COMMAND, COMMAND_WRITABLE);
    f->writable[PCI_REG_CACHE_LINE] = 0xff;
    f->writable[PCI_REG_INTERRUPT_LINE] = 0xff;
}

int pci_func_init(struct pci_func *f, const struct pci_func_config *config)
{
    static const struct pci_function_ops ops = {
        .config_read = config_read,
        .config_write = config_write,
        .connect = connect_bridge,
    };
    *f = (struct pci_func){.cfg = *config, .cap_end = PCI_HEADER_BYTES};
    f->port = (struct pci_function){.ops = &ops, .name = config->name};
    for (unsigned i = 0; i < PCI_BARS; i++)
        f->bars[i].addr = PCI_NO_ADDRESS;
    int err = pthread_mutex_init(&f->lock, NULL);
    if (err == 0) {
        err = pthread_mutex_init(&f->intx_lock, NULL);
        if (err != 0)
            pthread_mutex_destroy(&f->lock);
    }
    if (err != 0) {
        f->port.ops = NULL;
        return fail(-err, "PCI function %s", config->name);
    }
    make_header(f);
    return 0;
}

void pci_func_fini(struct pci_func *f)
{
    if (!f->port.ops)
        return;
    for (unsigned i = 0; i < PCI_BARS; i++)
        bar_off(f, i);
    pthread_mutex_destroy(&f->intx_lock);
    pthread_mutex_destroy(&f->lock);
    f->port.ops = NULL;
}
