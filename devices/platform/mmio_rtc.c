// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/mmio_rtc.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/output/facts.h"

#define NS_PER_S UINT64_C(1000000000)

static uint64_t time_ns(const struct mmio_rtc *r)
{
    return clock_wall_ns(r->config.clock) + atomic_load(&r->ahead_ns);
}

static void set_time(struct mmio_rtc *r, uint64_t ns)
{
    atomic_store(&r->ahead_ns, ns - clock_wall_ns(r->config.clock));
}

/* ---- PL031 ---- */

enum {
    PL031_DATA = 0x00,
    PL031_MATCH = 0x04,
    PL031_LOAD = 0x08,
    PL031_CONTROL = 0x0c,
    PL031_MASK = 0x10,
    PL031_ID = 0xfe0,
    PL031_BYTES = 0x1000,
};

/* Part 0x031 by Arm ('A'), revision 1; then what every PrimeCell has. */
static const uint8_t pl031_ids[] = {0x31, 0x10, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1};

static uint32_t pl031_read(struct mmio_rtc *r, uint64_t offset)
{
    switch (offset) {
    case PL031_DATA:
        return (uint32_t)(time_ns(r) / NS_PER_S);
    case PL031_MATCH:
        return atomic_load(&r->stored[0]);
    case PL031_LOAD:
        return atomic_load(&r->stored[1]);
    case PL031_CONTROL:
        return 1; /* it runs */
    case PL031_MASK:
        return atomic_load(&r->stored[2]);
    default:
        return offset >= PL031_ID ? pl031_ids[(offset - PL031_ID) / 4] : 0;
    }
}

static void pl031_write(struct mmio_rtc *r, uint64_t offset, uint32_t value)
{
    if (offset == PL031_LOAD)
        set_time(r, value * NS_PER_S);
    if (offset == PL031_MATCH)
        atomic_store(&r->stored[0], value);
    else if (offset == PL031_LOAD)
        atomic_store(&r->stored[1], value);
    else if (offset == PL031_MASK)
        atomic_store(&r->stored[2], value & 1);
}

const struct mmio_rtc_kind pl031_kind = {"pl031", PL031_BYTES, pl031_read, pl031_write};

/* ---- goldfish ---- */

enum {
    GOLDFISH_LOW = 0x00, /* to be read before the other half, and written after it */
    GOLDFISH_HIGH = 0x04,
    GOLDFISH_ALARM_LOW = 0x08,
    GOLDFISH_ALARM_HIGH = 0x0c,
    GOLDFISH_IRQ_ENABLED = 0x10,
    GOLDFISH_BYTES = 0x1000,
};

static uint32_t goldfish_read(struct mmio_rtc *r, uint64_t offset)
{
    uint64_t ns = time_ns(r);
    if (offset == GOLDFISH_LOW)
        atomic_store(&r->high, (uint32_t)(ns >> 32));
    if (offset == GOLDFISH_LOW)
        return (uint32_t)ns;
    if (offset == GOLDFISH_HIGH)
        return atomic_load(&r->high);
    return offset <= GOLDFISH_IRQ_ENABLED
               ? atomic_load(&r->stored[(offset - GOLDFISH_ALARM_LOW) / 4])
               : 0;
}

static void goldfish_write(struct mmio_rtc *r, uint64_t offset, uint32_t value)
{
    if (offset == GOLDFISH_HIGH)
        atomic_store(&r->high, value);
    else if (offset == GOLDFISH_LOW)
        set_time(r, (uint64_t)atomic_load(&r->high) << 32 | value);
    else if (offset <= GOLDFISH_IRQ_ENABLED)
        atomic_store(&r->stored[(offset - GOLDFISH_ALARM_LOW) / 4], value);
}

const struct mmio_rtc_kind goldfish_rtc_kind = {"goldfish-rtc", GOLDFISH_BYTES, goldfish_read,
                                                goldfish_write};

/* ---- what both share: an access between two registers is to none ---- */

static uint64_t rtc_read(void *dev, uint64_t offset, unsigned width)
{
    struct mmio_rtc *r = dev;
    return is_aligned(offset, width) ? r->kind->read(r, offset) : 0;
}

static void rtc_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct mmio_rtc *r = dev;
    if (is_aligned(offset, width))
        r->kind->write(r, offset, (uint32_t)value);
}

static const struct bus_ops ops = {.read = rtc_read, .write = rtc_write};

int mmio_rtc_create(struct mmio_rtc **out, const struct mmio_rtc_kind *kind,
                    const struct mmio_rtc_config *config)
{
    struct mmio_rtc *r = calloc(1, sizeof(*r));
    if (r == NULL)
        return fail(-ENOMEM, "%s", kind->name);
    r->kind = kind;
    r->config = *config;
    r->ahead_ns = (uint64_t)config->ahead_s * NS_PER_S;
    r->region = (struct bus_region){
        .name = kind->name,
        .base = config->base,
        .size = kind->bytes,
        .widths = BUS_W4,
        .ops = &ops,
        .dev = r,
    };
    int err = bus_add(config->bus, &r->region);
    if (err < 0) {
        free(r);
        return fail(err, "%s: at 0x%llx", kind->name, (unsigned long long)config->base);
    }
    *out = r;
    return 0;
}

void mmio_rtc_destroy(struct mmio_rtc *r)
{
    if (r == NULL)
        return;
    bus_remove(r->config.bus, &r->region);
    free(r);
}

void mmio_rtc_describe(struct mmio_rtc *rtc, struct facts *f)
{
    int64_t ahead_ns = (int64_t)atomic_load(&rtc->ahead_ns);
    facts_group(f, "rtc");
    facts_word(f, "kind", rtc->kind->name);
    facts_text(f, "ahead", "%lld s", (long long)(ahead_ns / 1000000000));
    facts_end(f);
}
