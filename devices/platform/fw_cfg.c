// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/fw_cfg.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/be.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/ports/bus.h"

static const struct layout {
    unsigned selector, data, bytes, widths;
} layouts[] = {
    [BUS_PIO] = {0, 1, FW_CFG_PORTS, BUS_W1 | BUS_W2},
    [BUS_MMIO] = {8, 0, FW_CFG_MEMORY_BYTES, BUS_W1248},
};

/* Items. A selector's upper two bits ask for writing, and for what an architecture has besides. */
#define SELECTOR_BITS  0x3fffu
#define ITEM_SIGNATURE 0x00u
#define ITEM_ID        0x01u
#define ITEM_DIRECTORY 0x19u
#define ITEM_FILES     0x20u

#define ID_REGISTERS 1 /* there is a selector and a data register; bit 1 would be DMA */

/* Of the directory, after their number; big-endian. */
struct entry {
    uint8_t bytes[4], item[2], reserved[2];
    char name[FW_CFG_NAME_BYTES];
};

struct fw_cfg {
    struct fw_cfg_config config;
    struct bus_region region;
    struct {
        uint8_t count[4];
        struct entry entries[FW_CFG_FILES_MAX];
    } directory;

    pthread_mutex_t lock; /* for what follows */
    const uint8_t *data;  /* of the item */
    size_t bytes, offset;
};

static void select_item(struct fw_cfg *f, unsigned item)
{
    static const uint8_t signature[] = {'Q', 'E', 'M', 'U'}, id[] = {ID_REGISTERS, 0, 0, 0};
    unsigned file = item - ITEM_FILES;
    f->offset = f->bytes = 0;
    if (item == ITEM_SIGNATURE) {
        f->data = signature;
        f->bytes = sizeof(signature);
    } else if (item == ITEM_ID) {
        f->data = id;
        f->bytes = sizeof(id);
    } else if (item == ITEM_DIRECTORY) {
        f->data = f->directory.count;
        f->bytes = sizeof(f->directory.count) + f->config.count * sizeof(struct entry);
    } else if (item >= ITEM_FILES && file < f->config.count) {
        f->data = f->config.files[file].data;
        f->bytes = f->config.files[file].bytes;
    }
}

/* The next bytes, the first one lowest: so they lie in the guest's memory as here. Behind the end
 * all is zero. */
static uint64_t fw_cfg_read(void *dev, uint64_t offset, unsigned width)
{
    struct fw_cfg *f = dev;
    uint64_t value = 0;
    if (offset != layouts[f->config.space].data)
        return 0;
    pthread_mutex_lock(&f->lock);
    for (unsigned i = 0; i < width && f->offset < f->bytes; i++)
        value |= (uint64_t)f->data[f->offset++] << 8 * i;
    pthread_mutex_unlock(&f->lock);
    return value;
}

static void fw_cfg_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct fw_cfg *f = dev;
    unsigned item = (unsigned)value;
    if (offset != layouts[f->config.space].selector || width != 2)
        return;
    if (f->config.space == BUS_MMIO)
        item = __builtin_bswap16((uint16_t)value);
    pthread_mutex_lock(&f->lock);
    select_item(f, item & SELECTOR_BITS);
    pthread_mutex_unlock(&f->lock);
}

static const struct bus_ops ops = {.read = fw_cfg_read, .write = fw_cfg_write};

int fw_cfg_create(struct fw_cfg **out, const struct fw_cfg_config *config)
{
    struct fw_cfg *f = calloc(1, sizeof(*f));
    if (f == NULL)
        return fail(-ENOMEM, "fw_cfg");
    BUG_ON(config->count > FW_CFG_FILES_MAX);
    f->config = *config;
    pthread_mutex_init(&f->lock, NULL);
    be32_put(f->directory.count, config->count);
    for (unsigned i = 0; i < config->count; i++) {
        struct entry *e = &f->directory.entries[i];
        be32_put(e->bytes, config->files[i].bytes);
        be16_put(e->item, (uint16_t)(ITEM_FILES + i));
        memcpy(e->name, config->files[i].name, sizeof(e->name));
    }
    select_item(f, ITEM_SIGNATURE);
    f->region = (struct bus_region){.name = "fw_cfg",
                                    .base = config->base,
                                    .size = layouts[config->space].bytes,
                                    .widths = layouts[config->space].widths,
                                    .ops = &ops,
                                    .dev = f};
    int r = bus_add(config->bus, &f->region);
    if (r < 0) {
        pthread_mutex_destroy(&f->lock);
        free(f);
        return fail(r, "fw_cfg: at 0x%llx", (unsigned long long)config->base);
    }
    *out = f;
    return 0;
}

void fw_cfg_destroy(struct fw_cfg *f)
{
    if (f == NULL)
        return;
    bus_remove(f->config.bus, &f->region);
    pthread_mutex_destroy(&f->lock);
    free(f);
}
