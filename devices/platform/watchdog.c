// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/bus.h"

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define NEVER     UINT64_MAX

struct watchdog_kind {
    const char *name;
    uint64_t bytes;
    uint32_t hz;    /* of its units */
    uint32_t usual; /* the period at power-on */
    bool barks;     /* when the time is out, and bites when it is out once more */
    /* Under the lock; `offset` is of a register. */
    uint32_t (*read)(struct watchdog *w, uint64_t offset);
    void (*write)(struct watchdog *w, uint64_t offset, uint32_t value);
    void (*run_from_start)(struct watchdog *w);
};

struct watchdog {
    const struct watchdog_kind *kind;
    struct watchdog_config config;
    struct bus_region region;
    struct ev_timer timer; /* the loop's */
    struct ev_post again;  /* it may have to be armed earlier */

    pthread_mutex_t lock; /* all below */
    bool runs, held;
    bool barked, out;     /* the time is out: once, of sp805; and it has bitten */
    bool bitten;          /* what the guest is told of its start */
    uint32_t period;      /* in units */
    uint64_t deadline_ns; /* while it runs, and is not held */
    uint64_t left_ns;     /* of the time, while it is held */
    uint64_t armed_ns;    /* when the timer comes; NEVER: it does not */
    uint32_t control;     /* of sp805 */
    bool locked;
};

/* ---- time; under the lock ---- */

static uint64_t units_ns(const struct watchdog *w, uint32_t units)
{
    return units * NS_PER_S / w->kind->hz;
}

static void begin_anew(struct watchdog *w, uint64_t ns)
{
    w->deadline_ns = clock_now_ns(w->config.clock) + ns;
    w->left_ns = ns;
    /* A timer that comes too early sets itself again: petting costs no wake-up of the loop. */
    if (w->runs && !w->held && w->deadline_ns < w->armed_ns)
        evloop_post(w->config.loop, &w->again);
}

static void start(struct watchdog *w)
{
    w->runs = true;
    w->barked = w->out = false;
    begin_anew(w, units_ns(w, w->period));
}

static uint32_t units_left(const struct watchdog *w)
{
    uint64_t now_ns = clock_now_ns(w->config.clock);
    uint64_t left_ns = w->deadline_ns > now_ns ? w->deadline_ns - now_ns : 0;
    if (!w->runs)
        return w->period;
    if (w->held)
        left_ns = w->left_ns;
    return (uint32_t)(left_ns / NS_PER_S * w->kind->hz +
                      left_ns % NS_PER_S * w->kind->hz / NS_PER_S);
}

/* The time is out. Does it bite? */
static bool run_out(struct watchdog *w)
{
    if (w->kind->barks && !w->barked) {
        w->barked = true;
        w->deadline_ns = clock_now_ns(w->config.clock) + units_ns(w, w->period);
        return false;
    }
    w->runs = false;
    w->out = true;
    return true;
}

/* On the loop. */
static void look(void *ctx)
{
    struct watchdog *w = ctx;
    bool bites = false;
    pthread_mutex_lock(&w->lock);
    w->armed_ns = NEVER;
    if (w->runs && !w->held && clock_now_ns(w->config.clock) >= w->deadline_ns)
        bites = run_out(w);
    if (w->runs && !w->held)
        w->armed_ns = w->deadline_ns;
    uint64_t next_ns = w->armed_ns;
    pthread_mutex_unlock(&w->lock);
    if (next_ns != NEVER)
        evloop_timer_set(w->config.loop, &w->timer, next_ns);
    if (bites)
        w->config.on_bite(w->config.ctx);
}

void watchdog_hold(struct watchdog *w, bool on)
{
    pthread_mutex_lock(&w->lock);
    uint64_t now_ns = clock_now_ns(w->config.clock);
    if (on && !w->held)
        w->left_ns = w->deadline_ns > now_ns ? w->deadline_ns - now_ns : 0;
    bool was_held = w->held;
    w->held = on;
    if (was_held && !on)
        begin_anew(w, w->left_ns);
    pthread_mutex_unlock(&w->lock);
}

/* ---- wdat ---- */

static uint32_t wdat_read(struct watchdog *w, uint64_t offset)
{
    switch (offset) {
    case WDAT_RUNS:
        return w->runs;
    case WDAT_PERIOD:
        return w->period;
    case WDAT_LEFT:
        return units_left(w);
    case WDAT_BITTEN:
        return w->bitten;
    default:
        return 0;
    }
}

static void wdat_write(struct watchdog *w, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case WDAT_PET:
        if (w->runs || w->out)
            start(w);
        break;
    case WDAT_RUNS:
        w->runs = w->out = false;
        if (value & 1)
            start(w);
        break;
    case WDAT_PERIOD: /* which begins at once, and is not nothing */
        w->period = value < 1 ? 1 : value < WDAT_MAX ? value : WDAT_MAX;
        begin_anew(w, units_ns(w, w->period));
        break;
    case WDAT_BITTEN:
        w->bitten &= !(value & 1);
        break;
    default:
        break;
    }
}

static void wdat_from_start(struct watchdog *w)
{
    const uint64_t unit_ns = WDAT_UNIT_MS * NS_PER_MS, ns = w->config.boot_ns;
    w->period = (uint32_t)min_u64(ns / unit_ns + (ns % unit_ns != 0), WDAT_MAX);
}

const struct watchdog_kind wdat_kind = {.name = "wdat",
                                        .bytes = WDAT_BYTES,
                                        .hz = 1000 / WDAT_UNIT_MS,
                                        .usual = 300,
                                        .read = wdat_read,
                                        .write = wdat_write,
                                        .run_from_start = wdat_from_start};

/* ---- sp805 ---- */

enum {
    SP805_LOAD = 0x000,
    SP805_VALUE = 0x004,
    SP805_CONTROL = 0x008,
    SP805_CLEAR = 0x00c, /* the interrupt: begins anew */
    SP805_RAW = 0x010,
    SP805_MASKED = 0x014,
    SP805_LOCK = 0xc00,
    SP805_ID = 0xfe0,
};

#define SP805_RUNS   1u
#define SP805_BITES  2u
#define SP805_UNLOCK 0x1acce551u

/* Part 0x805 by Arm ('A'), revision 1; then what every PrimeCell has. */
static const uint8_t sp805_ids[] = {0x05, 0x18, 0x14, 0, 0x0d, 0xf0, 0x05, 0xb1};

static uint32_t sp805_read(struct watchdog *w, uint64_t offset)
{
    switch (offset) {
    case SP805_LOAD:
        return w->period;
    case SP805_VALUE:
        return units_left(w);
    case SP805_CONTROL:
        return w->control;
    case SP805_RAW:
        return w->barked;
    case SP805_MASKED:
        return w->barked && (w->control & SP805_RUNS);
    case SP805_LOCK:
        return w->locked;
    default:
        return offset >= SP805_ID ? sp805_ids[(offset - SP805_ID) / 4] : 0;
    }
}

/* Only what also may bite runs: the interrupt alone would have no handler. */
static void sp805_control(struct watchdog *w, uint32_t value)
{
    w->control = value & (SP805_RUNS | SP805_BITES);
    bool runs = w->control == (SP805_RUNS | SP805_BITES);
    if (runs && !w->runs)
        start(w);
    w->runs = runs;
    w->out &= runs;
}

static void sp805_write(struct watchdog *w, uint64_t offset, uint32_t value)
{
    if (offset == SP805_LOCK)
        w->locked = value != SP805_UNLOCK;
    if (w->locked)
        return;
    switch (offset) {
    case SP805_LOAD:
        w->period = value;
        begin_anew(w, units_ns(w, value));
        break;
    case SP805_CONTROL:
        sp805_control(w, value);
        break;
    case SP805_CLEAR:
        if (w->runs || w->out)
            start(w);
        break;
    default:
        break;
    }
}

/* Both times together are what was asked for. */
static void sp805_from_start(struct watchdog *w)
{
    w->period =
        (uint32_t)min_u64(w->config.boot_ns / 2 / NS_PER_MS * (SP805_HZ / 1000), UINT32_MAX);
    w->control = SP805_RUNS | SP805_BITES;
}

const struct watchdog_kind sp805_kind = {.name = "sp805",
                                         .bytes = SP805_BYTES,
                                         .hz = SP805_HZ,
                                         .usual = UINT32_MAX,
                                         .barks = true,
                                         .read = sp805_read,
                                         .write = sp805_write,
                                         .run_from_start = sp805_from_start};

/* ---- what both share: an access between two registers is to none ---- */

static uint64_t watchdog_read(void *dev, uint64_t offset, unsigned width)
{
    struct watchdog *w = dev;
    if (!is_aligned(offset, width))
        return 0;
    pthread_mutex_lock(&w->lock);
    uint32_t value = w->kind->read(w, offset);
    pthread_mutex_unlock(&w->lock);
    return value;
}

static void watchdog_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct watchdog *w = dev;
    if (!is_aligned(offset, width))
        return;
    pthread_mutex_lock(&w->lock);
    w->kind->write(w, offset, (uint32_t)value);
    pthread_mutex_unlock(&w->lock);
}

static const struct bus_ops ops = {.read = watchdog_read, .write = watchdog_write};

static void power_on(struct watchdog *w)
{
    pthread_mutex_lock(&w->lock);
    w->bitten = w->config.has_bitten;
    w->period = w->kind->usual;
    w->armed_ns = NEVER;
    if (w->config.boot_ns != 0) {
        w->kind->run_from_start(w);
        start(w);
    }
    pthread_mutex_unlock(&w->lock);
}

int watchdog_create(struct watchdog **out, const struct watchdog_kind *kind,
                    const struct watchdog_config *config)
{
    struct watchdog *w = calloc(1, sizeof(*w));
    if (w == NULL)
        return fail(-ENOMEM, "watchdog");
    w->kind = kind;
    w->config = *config;
    w->timer = (struct ev_timer){.cb = look, .ctx = w};
    w->again = (struct ev_post){.cb = look, .ctx = w};
    pthread_mutex_init(&w->lock, NULL);
    w->region = (struct bus_region){
        .name = kind->name,
        .base = config->base,
        .size = kind->bytes,
        .widths = BUS_W4,
        .ops = &ops,
        .dev = w,
    };
    int r = bus_add(config->bus, &w->region);
    if (r < 0) {
        pthread_mutex_destroy(&w->lock);
        free(w);
        return fail(r, "watchdog: at 0x%llx", (unsigned long long)config->base);
    }
    power_on(w);
    *out = w;
    return 0;
}

void watchdog_destroy(struct watchdog *w)
{
    if (w == NULL)
        return;
    bus_remove(w->config.bus, &w->region);
    evloop_drain(w->config.loop); /* a post that it still has would use a freed device */
    evloop_timer_cancel(w->config.loop, &w->timer);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
