// SPDX-License-Identifier: BSD-2-Clause
/* Registers as in Motorola's MC146818A data sheet; the CMOS bytes are a PC's custom. */
#include "devices/platform/rtc.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/output/facts.h"
#include "core/ports/bus.h"

#define NS_PER_S UINT64_C(1000000000)

#define BASE_HZ                                                                       \
    UINT64_C(32768) /* of the periodic interrupt, which is that, halved several times \
                     */

/* An update cycle is announced this long before the second changes. */
#define UPDATE_NS 244000u

#define CMOS_BYTES 128u
#define INDEX_MASK 0x7fu /* the bit above masks NMIs */

enum reg {
    REG_SECOND = 0x00,
    REG_SECOND_ALARM = 0x01,
    REG_MINUTE = 0x02,
    REG_MINUTE_ALARM = 0x03,
    REG_HOUR = 0x04,
    REG_HOUR_ALARM = 0x05,
    REG_WEEKDAY = 0x06, /* 1 is Sunday */
    REG_DAY = 0x07,
    REG_MONTH = 0x08,
    REG_YEAR = 0x09,
    REG_A = 0x0a,
    REG_B = 0x0b,
    REG_C = 0x0c,
    REG_D = 0x0d,
    CMOS_BASE_KIB = 0x15,     /* 2 bytes */
    CMOS_EXTENDED_KIB = 0x17, /* 2 bytes: above 1 MiB; again at 0x30 */
    CMOS_EXTENDED_KIB_2 = 0x30,
    REG_CENTURY = 0x32,
    CMOS_ABOVE_16M = 0x34, /* 2 bytes: 64 KiB units up to 4 GiB */
    CMOS_ABOVE_4G = 0x5b,  /* 3 bytes: 64 KiB units */
};

#define A_UPDATING     0x80u
#define A_DIVIDER_RUNS 0x20u
#define A_DIVIDER_MASK 0x70u
#define A_RATE_MASK    0x0fu
#define A_RATE_1024HZ  0x06u

#define B_SET       0x80u
#define B_INTERRUPT 0x70u /* what may interrupt: C_PERIODIC, C_ALARM, C_UPDATE_ENDED */
#define B_BINARY    0x04u
#define B_24_HOURS  0x02u

#define C_INTERRUPT    0x80u
#define C_PERIODIC     0x40u
#define C_ALARM        0x20u
#define C_UPDATE_ENDED 0x10u

#define ALARM_ANY 0xc0u /* both bits: any value will do */
#define DAY_S     86400

#define D_VALID 0x80u

#define HOUR_PM 0x80u

/* The registers that hold the time; together they are one number of seconds. */
static const uint8_t time_regs[] = {
    REG_SECOND, REG_MINUTE, REG_HOUR, REG_WEEKDAY, REG_DAY, REG_MONTH, REG_YEAR, REG_CENTURY,
};

struct rtc {
    struct bus *pio;
    struct bus_region region;
    const struct clock *clock;
    struct evloop *loop;
    struct irq_line irq;
    struct ev_timer timer; /* the loop's */
    struct ev_post again;  /* registers have changed: when is the next interrupt? */

    pthread_mutex_t lock; /* vCPUs against each other: all below */
    uint8_t index;
    uint8_t cmos[CMOS_BYTES]; /* the time's registers are true while B_SET stops the clock */
    int64_t offset_s;         /* the guest's time minus the host's */
    int64_t seen_s;           /* the host's second, and the period, whose starts are in the flags */
    uint64_t seen_period;
    uint8_t flags; /* of register C, but C_INTERRUPT */
    bool raised;   /* the guest was interrupted, and has not acknowledged it */
};

/* ---- the guest's time ---- */

static int64_t host_s(const struct rtc *rtc)
{
    return (int64_t)(clock_wall_ns(rtc->clock) / NS_PER_S);
}

static bool is_stopped(const struct rtc *rtc)
{
    return rtc->cmos[REG_B] & B_SET;
}

static bool is_updating(const struct rtc *rtc)
{
    return !is_stopped(rtc) && clock_wall_ns(rtc->clock) % NS_PER_S >= NS_PER_S - UPDATE_NS;
}

static bool is_time(unsigned reg)
{
    for (unsigned i = 0; i < ARRAY_SIZE(time_regs); i++)
        if (time_regs[i] == reg)
            return true;
    return false;
}

static uint8_t encode(const struct rtc *rtc, int value)
{
    unsigned v = (unsigned)value % 100;
    return (uint8_t)(rtc->cmos[REG_B] & B_BINARY ? v : (v / 10) << 4 | v % 10);
}

static int decode(const struct rtc *rtc, uint8_t byte)
{
    return rtc->cmos[REG_B] & B_BINARY ? byte : (byte >> 4) * 10 + (byte & 0x0f);
}

static uint8_t encode_hour(const struct rtc *rtc, int hour)
{
    if (rtc->cmos[REG_B] & B_24_HOURS)
        return encode(rtc, hour);
    uint8_t byte = encode(rtc, hour % 12 == 0 ? 12 : hour % 12);
    return (uint8_t)(hour < 12 ? byte : byte | HOUR_PM);
}

static int decode_hour(const struct rtc *rtc, uint8_t byte)
{
    if (rtc->cmos[REG_B] & B_24_HOURS)
        return decode(rtc, byte);
    return decode(rtc, byte & (uint8_t)~HOUR_PM) % 12 + (byte & HOUR_PM ? 12 : 0);
}

/* Writes the time into its registers... */
static void time_to_regs(struct rtc *rtc)
{
    time_t t = host_s(rtc) + rtc->offset_s;
    struct tm tm;
    gmtime_r(&t, &tm);
    int year = tm.tm_year + 1900;
    rtc->cmos[REG_SECOND] = encode(rtc, tm.tm_sec);
    rtc->cmos[REG_MINUTE] = encode(rtc, tm.tm_min);
    rtc->cmos[REG_HOUR] = encode_hour(rtc, tm.tm_hour);
    rtc->cmos[REG_WEEKDAY] = encode(rtc, tm.tm_wday + 1);
    rtc->cmos[REG_DAY] = encode(rtc, tm.tm_mday);
    rtc->cmos[REG_MONTH] = encode(rtc, tm.tm_mon + 1);
    rtc->cmos[REG_YEAR] = encode(rtc, year);
    rtc->cmos[REG_CENTURY] = encode(rtc, year / 100);
}

/* ...and back; what is out of range is carried on, and the weekday follows from the date. */
static void time_from_regs(struct rtc *rtc)
{
    struct tm tm = {
        .tm_sec = decode(rtc, rtc->cmos[REG_SECOND]),
        .tm_min = decode(rtc, rtc->cmos[REG_MINUTE]),
        .tm_hour = decode_hour(rtc, rtc->cmos[REG_HOUR]),
        .tm_mday = decode(rtc, rtc->cmos[REG_DAY]),
        .tm_mon = decode(rtc, rtc->cmos[REG_MONTH]) - 1,
        .tm_year = decode(rtc, rtc->cmos[REG_CENTURY]) * 100 + decode(rtc, rtc->cmos[REG_YEAR]),
    };
    tm.tm_year -= 1900;
    rtc->offset_s = timegm(&tm) - host_s(rtc);
}

void rtc_describe(struct rtc *rtc, struct facts *f)
{
    static const char *const enabled[] = {NULL,           NULL,    NULL,      NULL,
                                          "UPDATE_ENDED", "ALARM", "PERIODIC"};
    facts_group(f, "rtc");
    pthread_mutex_lock(&rtc->lock);
    facts_flag(f, "runs", !is_stopped(rtc));
    facts_text(f, "ahead", "%lld s", (long long)rtc->offset_s);
    facts_bits(f, "interrupts_enabled", rtc->cmos[REG_B], enabled, ARRAY_SIZE(enabled));
    facts_flag(f, "raised", rtc->raised);
    pthread_mutex_unlock(&rtc->lock);
    facts_end(f);
}

/* ---- interrupts ---- */

/* 0: the divider or the periodic interrupt is off. */
static uint64_t period_ns(const struct rtc *rtc)
{
    unsigned rate = rtc->cmos[REG_A] & A_RATE_MASK;
    if (rate == 0 || (rtc->cmos[REG_A] & A_DIVIDER_MASK) != A_DIVIDER_RUNS)
        return 0;
    return (NS_PER_S << ((rate <= 2 ? rate + 7 : rate) - 1)) / BASE_HZ;
}

static bool field_matches(int now, int alarm, uint8_t byte)
{
    return (byte & ALARM_ANY) == ALARM_ANY || now == alarm;
}

/* Does the alarm go off at that second of the host's? */
static bool is_alarm(const struct rtc *rtc, int64_t at_s)
{
    const uint8_t *cmos = rtc->cmos;
    int day_s = (int)(((at_s + rtc->offset_s) % DAY_S + DAY_S) % DAY_S);
    return field_matches(day_s % 60, decode(rtc, cmos[REG_SECOND_ALARM]), cmos[REG_SECOND_ALARM]) &&
           field_matches(day_s / 60 % 60, decode(rtc, cmos[REG_MINUTE_ALARM]),
                         cmos[REG_MINUTE_ALARM]) &&
           field_matches(day_s / 3600, decode_hour(rtc, cmos[REG_HOUR_ALARM]),
                         cmos[REG_HOUR_ALARM]);
}

/* Sets the flags of what has happened since the last time; a day has all alarms that there are. */
static void note_events(struct rtc *rtc)
{
    int64_t now = host_s(rtc), from = rtc->seen_s;
    uint64_t period = period_ns(rtc);
    if (!is_stopped(rtc) && now != from) {
        rtc->flags |= C_UPDATE_ENDED;
        if (from > now || now - from > DAY_S)
            from = now - (from > now ? 1 : DAY_S);
        while (from < now && !(rtc->flags & C_ALARM))
            if (is_alarm(rtc, ++from))
                rtc->flags |= C_ALARM;
    }
    rtc->seen_s = now;
    if (period != 0 && clock_now_ns(rtc->clock) / period != rtc->seen_period) {
        rtc->flags |= C_PERIODIC;
        rtc->seen_period = clock_now_ns(rtc->clock) / period;
    }
}

static bool is_pending(const struct rtc *rtc)
{
    return rtc->flags & rtc->cmos[REG_B] & B_INTERRUPT;
}

/* On the loop: interrupts, or knows when to look again. A pending interrupt waits for the guest. */
static void look(void *ctx)
{
    struct rtc *rtc = ctx;
    uint64_t next_ns = UINT64_MAX;
    pthread_mutex_lock(&rtc->lock);
    note_events(rtc);
    bool raises = is_pending(rtc) && !rtc->raised;
    rtc->raised |= raises;
    uint64_t now_ns = clock_now_ns(rtc->clock), period = period_ns(rtc);
    if (!is_pending(rtc) && (rtc->cmos[REG_B] & (C_UPDATE_ENDED | C_ALARM)) && !is_stopped(rtc))
        next_ns = now_ns + NS_PER_S - clock_wall_ns(rtc->clock) % NS_PER_S;
    if (!is_pending(rtc) && (rtc->cmos[REG_B] & C_PERIODIC) && period != 0)
        next_ns = min_u64(next_ns, (now_ns / period + 1) * period);
    pthread_mutex_unlock(&rtc->lock);
    if (next_ns != UINT64_MAX)
        evloop_timer_set(rtc->loop, &rtc->timer, next_ns);
    if (raises)
        irq_pulse(&rtc->irq);
}

/* ---- registers ---- */

static uint8_t read_c(struct rtc *rtc)
{
    note_events(rtc);
    uint8_t flags = rtc->flags | (is_pending(rtc) ? C_INTERRUPT : 0);
    rtc->flags = 0;
    rtc->raised = false;
    return flags;
}

static uint8_t read_locked(struct rtc *rtc, unsigned reg)
{
    if (is_time(reg) && !is_stopped(rtc))
        time_to_regs(rtc);
    switch (reg) {
    case REG_A:
        return (uint8_t)(rtc->cmos[REG_A] | (is_updating(rtc) ? A_UPDATING : 0));
    case REG_C:
        return read_c(rtc);
    case REG_D:
        return D_VALID;
    default:
        return rtc->cmos[reg];
    }
}

static void write_b(struct rtc *rtc, uint8_t value)
{
    bool was_stopped = is_stopped(rtc);
    note_events(rtc);
    if (!was_stopped && (value & B_SET))
        time_to_regs(rtc);
    rtc->cmos[REG_B] = value & B_SET ? value & (uint8_t)~C_UPDATE_ENDED : value;
    if (was_stopped && !(value & B_SET))
        time_from_regs(rtc);
}

static void write_locked(struct rtc *rtc, unsigned reg, uint8_t value)
{
    switch (reg) {
    case REG_A:
        rtc->cmos[REG_A] = value & (uint8_t)~A_UPDATING;
        rtc->seen_period = period_ns(rtc) != 0 ? clock_now_ns(rtc->clock) / period_ns(rtc) : 0;
        return;
    case REG_B:
        write_b(rtc, value);
        return;
    case REG_C: /* read-only */
    case REG_D:
        return;
    default:
        break;
    }
    bool runs = is_time(reg) && !is_stopped(rtc);
    if (runs)
        time_to_regs(rtc);
    rtc->cmos[reg] = value;
    if (runs)
        time_from_regs(rtc);
}

static uint64_t rtc_read(void *dev, uint64_t offset, unsigned width)
{
    struct rtc *rtc = dev;
    (void)width;
    if (offset == 0)
        return UINT64_MAX; /* the index is write-only */
    pthread_mutex_lock(&rtc->lock);
    uint8_t value = read_locked(rtc, rtc->index);
    if (rtc->index == REG_C && (rtc->cmos[REG_B] & B_INTERRUPT))
        evloop_post(rtc->loop, &rtc->again);
    pthread_mutex_unlock(&rtc->lock);
    return value;
}

static void rtc_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    struct rtc *rtc = dev;
    (void)width;
    pthread_mutex_lock(&rtc->lock);
    if (offset == 0)
        rtc->index = value & INDEX_MASK;
    else
        write_locked(rtc, rtc->index, (uint8_t)value);
    if (offset != 0 && (rtc->cmos[REG_B] & B_INTERRUPT))
        evloop_post(rtc->loop, &rtc->again);
    pthread_mutex_unlock(&rtc->lock);
}

static const struct bus_ops rtc_ops = {.read = rtc_read, .write = rtc_write};

/* ---- life ---- */

static void describe_ram(struct rtc *rtc, const struct rtc_config *config)
{
    uint64_t below = config->ram_below_4g_bytes, above = config->ram_above_4g_bytes;
    uint64_t extended_kib = min_u64(below > MIB ? (below - MIB) / KIB : 0, UINT16_MAX);
    uint64_t units = min_u64(below > 16 * MIB ? (below - 16 * MIB) / (64 * KIB) : 0, UINT16_MAX);
    le16_put(rtc->cmos + CMOS_BASE_KIB, 640);
    le16_put(rtc->cmos + CMOS_EXTENDED_KIB, (uint16_t)extended_kib);
    le16_put(rtc->cmos + CMOS_EXTENDED_KIB_2, (uint16_t)extended_kib);
    le16_put(rtc->cmos + CMOS_ABOVE_16M, (uint16_t)units);
    for (unsigned i = 0; i < 3; i++)
        rtc->cmos[CMOS_ABOVE_4G + i] = (uint8_t)(above / (64 * KIB) >> (8 * i));
}

int rtc_create(struct rtc **out, const struct rtc_config *config)
{
    struct rtc *rtc = calloc(1, sizeof(*rtc));
    if (!rtc)
        return fail(-ENOMEM, "real-time clock");
    pthread_mutex_init(&rtc->lock, NULL);
    rtc->pio = config->pio;
    rtc->clock = config->clock;
    rtc->cmos[REG_B] = B_24_HOURS;
    rtc->offset_s = config->ahead_s;
    rtc->seen_s = host_s(rtc);
    rtc->loop = config->loop;
    rtc->irq = config->irq;
    rtc->timer = (struct ev_timer){.cb = look, .ctx = rtc};
    rtc->again = (struct ev_post){.cb = look, .ctx = rtc};
    write_locked(rtc, REG_A, A_DIVIDER_RUNS | A_RATE_1024HZ);
    describe_ram(rtc, config);
    rtc->region = (struct bus_region){
        .name = "rtc",
        .base = RTC_PORT,
        .size = RTC_PORT_COUNT,
        .widths = BUS_W1,
        .ops = &rtc_ops,
        .dev = rtc,
    };
    int err = bus_add(rtc->pio, &rtc->region);
    if (err < 0) {
        rtc_destroy(rtc);
        return fail(err, "real-time clock: port 0x%x", RTC_PORT);
    }
    *out = rtc;
    return 0;
}

void rtc_destroy(struct rtc *rtc)
{
    if (!rtc)
        return;
    bus_remove(rtc->pio, &rtc->region); /* -ENOENT if create failed, which is as well */
    evloop_drain(rtc->loop);            /* a post that it still has would use a freed device */
    evloop_timer_cancel(rtc->loop, &rtc->timer);
    pthread_mutex_destroy(&rtc->lock);
    free(rtc);
}
