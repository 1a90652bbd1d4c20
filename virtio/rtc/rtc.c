// SPDX-License-Identifier: BSD-2-Clause
#include "virtio/rtc/rtc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/state/state.h"
#include "virtio/base/device.h"
#include "virtio/spec.h"

enum {
    WALL,
    MONOTONIC,
};

/* The alarm of clock WALL. */
struct alarm {
    uint64_t time_ns;
    bool is_enabled;
    bool has_passed; /* the time, when it was last looked at: it expires but once */
    bool is_due;     /* the driver is to be notified */
};

struct virtio_rtc {
    struct virtio_device dev;
    const struct clock *clock;
    struct virtio_rtc_counters counters; /* read is NULL: there are none */
    uint64_t made_ns;
    struct alarm alarm;
    struct ev_timer timer; /* while the alarm is enabled and has not passed, or may again */
};

static struct virtio_rtc *rtc_of(struct virtio_device *dev)
{
    return container_of(dev, struct virtio_rtc, dev);
}

static uint64_t read_clock(const struct virtio_rtc *rtc, unsigned id)
{
    return id == WALL ? clock_wall_ns(rtc->clock) : clock_now_ns(rtc->clock) - rtc->made_ns;
}

/* ---- the alarm ---- */

static void notify(struct virtio_rtc *rtc)
{
    uint8_t bytes[VIRTIO_RTC_NOTIF_BYTES] = {0};
    le16_put(bytes, VIRTIO_RTC_NOTIF_ALARM);
    while (rtc->alarm.is_due) {
        struct vq_chain *chain = virtio_queue_next(&rtc->dev, VIRTIO_RTC_ALARMS);
        if (chain == NULL)
            return;
        if (chain->wr.left >= sizeof(bytes)) { /* a smaller one goes back as it is */
            iobuf_put(&chain->wr, bytes, sizeof(bytes));
            rtc->alarm.is_due = false;
        }
        virtio_queue_push(&rtc->dev, VIRTIO_RTC_ALARMS, chain);
    }
}

/* The host's clock may be set, in either direction: so it is looked at now and then. */
static void look(void *ctx)
{
    struct virtio_rtc *rtc = ctx;
    struct alarm *a = &rtc->alarm;
    if (!a->is_enabled)
        return;
    uint64_t wall_ns = clock_wall_ns(rtc->clock), left_ns = VIRTIO_RTC_LOOK_NS;
    bool has_passed = wall_ns >= a->time_ns;
    if (!has_passed)
        left_ns = min_u64(left_ns, a->time_ns - wall_ns);
    a->is_due |= has_passed && !a->has_passed;
    a->has_passed = has_passed;
    evloop_timer_set(rtc->dev.setup.loop, &rtc->timer, clock_now_ns(rtc->clock) + left_ns);
    virtio_queue_serve(&rtc->dev, VIRTIO_RTC_ALARMS);
}

/* An expiry that the driver has not been told of is forgotten. */
static void set_alarm(struct virtio_rtc *rtc, uint64_t time_ns, bool is_enabled)
{
    evloop_timer_cancel(rtc->dev.setup.loop, &rtc->timer);
    rtc->alarm = (struct alarm){.time_ns = time_ns, .is_enabled = is_enabled};
    look(rtc);
}

/* ---- requests ---- */

struct message {
    uint16_t type;
    uint8_t request, response; /* bytes */
    uint8_t clock_at;          /* where the clock's number is; 0: there is none */
    bool is_of_alarm;
};

static const struct message messages[] = {
    {VIRTIO_RTC_REQ_READ, 16, 16, 8, false},
    {VIRTIO_RTC_REQ_READ_CROSS, 16, 24, 8, false},
    {VIRTIO_RTC_REQ_CFG, 8, 16, 0, false},
    {VIRTIO_RTC_REQ_CLOCK_CAP, 16, 16, 8, false},
    {VIRTIO_RTC_REQ_CROSS_CAP, 16, 16, 8, false},
    {VIRTIO_RTC_REQ_READ_ALARM, 16, 24, 8, true},
    {VIRTIO_RTC_REQ_SET_ALARM, VIRTIO_RTC_SET_ALARM_BYTES, 8, 16, true},
    {VIRTIO_RTC_REQ_SET_ALARM_ENABLED, 16, 8, 8, true},
};

static const struct message *find_message(uint16_t type)
{
    for (unsigned i = 0; i < ARRAY_SIZE(messages); i++)
        if (messages[i].type == type)
            return &messages[i];
    return NULL;
}

static uint8_t alarm_request(struct virtio_rtc *rtc, const struct message *m, const uint8_t *req,
                             uint8_t *resp)
{
    const struct alarm *a = &rtc->alarm;
    uint8_t flags = req[m->clock_at + 2];
    if (m->type == VIRTIO_RTC_REQ_READ_ALARM) {
        le64_put(resp + 8, a->time_ns);
        resp[16] = a->is_enabled ? VIRTIO_RTC_FLAG_ALARM_ENABLED : 0;
        return VIRTIO_RTC_S_OK;
    }
    if ((flags & ~VIRTIO_RTC_FLAG_ALARM_ENABLED) != 0)
        return VIRTIO_RTC_S_EINVAL;
    uint64_t time_ns = m->type == VIRTIO_RTC_REQ_SET_ALARM ? le64_get(req + 8) : a->time_ns;
    set_alarm(rtc, time_ns, flags != 0);
    return VIRTIO_RTC_S_OK;
}

static int read_counter(const struct virtio_rtc *rtc, uint8_t counter, uint64_t *cycles)
{
    if (rtc->counters.read == NULL || counter > VIRTIO_RTC_COUNTER_X86_TSC)
        return -ENOTSUP;
    return rtc->counters.read(rtc->counters.ctx, counter, cycles);
}

/* The counter is what it is half-way between a look at it before the clock's and one after. */
static uint8_t read_cross(const struct virtio_rtc *rtc, unsigned id, uint8_t counter, uint8_t *resp)
{
    uint64_t before, after;
    int err = read_counter(rtc, counter, &before);
    uint64_t time_ns = read_clock(rtc, id);
    if (err == 0)
        err = read_counter(rtc, counter, &after);
    if (err != 0)
        return err == -ENOTSUP ? VIRTIO_RTC_S_EOPNOTSUPP : VIRTIO_RTC_S_EIO;
    le64_put(resp + 8, time_ns);
    le64_put(resp + 16, before + (after - before) / 2);
    return VIRTIO_RTC_S_OK;
}

static uint8_t cross_cap(const struct virtio_rtc *rtc, uint8_t counter, uint8_t *resp)
{
    uint64_t cycles;
    if (counter > VIRTIO_RTC_COUNTER_X86_TSC)
        return VIRTIO_RTC_S_EOPNOTSUPP;
    if (read_counter(rtc, counter, &cycles) != -ENOTSUP)
        resp[8] = VIRTIO_RTC_FLAG_CROSS_CAP;
    return VIRTIO_RTC_S_OK;
}

static uint8_t clock_request(struct virtio_rtc *rtc, const struct message *m, const uint8_t *req,
                             uint8_t *resp)
{
    unsigned id = le16_get(req + 8);
    bool has_alarm = id == WALL && virtio_device_has(&rtc->dev, VIRTIO_RTC_F_ALARM);
    switch (m->type) {
    case VIRTIO_RTC_REQ_READ:
        le64_put(resp + 8, read_clock(rtc, id));
        return VIRTIO_RTC_S_OK;
    case VIRTIO_RTC_REQ_CLOCK_CAP:
        resp[8] = id == WALL ? VIRTIO_RTC_CLOCK_UTC_MAYBE_SMEARED : VIRTIO_RTC_CLOCK_MONOTONIC;
        resp[10] = has_alarm ? VIRTIO_RTC_FLAG_ALARM_CAP : 0;
        return VIRTIO_RTC_S_OK;
    case VIRTIO_RTC_REQ_CROSS_CAP:
        return cross_cap(rtc, req[10], resp);
    default:
        return read_cross(rtc, id, req[10], resp);
    }
}

/* The status, for the response `resp`, which is zeroed. */
static uint8_t answer(struct virtio_rtc *rtc, const struct message *m, const uint8_t *req,
                      uint8_t *resp)
{
    if (m->type == VIRTIO_RTC_REQ_CFG) {
        le16_put(resp + 8, VIRTIO_RTC_CLOCKS);
        return VIRTIO_RTC_S_OK;
    }
    unsigned id = le16_get(req + m->clock_at);
    if (id >= VIRTIO_RTC_CLOCKS)
        return VIRTIO_RTC_S_ENODEV;
    if (!m->is_of_alarm)
        return clock_request(rtc, m, req, resp);
    if (id != WALL || !virtio_device_has(&rtc->dev, VIRTIO_RTC_F_ALARM))
        return VIRTIO_RTC_S_ENODEV;
    return alarm_request(rtc, m, req, resp);
}

static void serve(struct virtio_rtc *rtc, struct vq_chain *chain)
{
    uint8_t req[VIRTIO_RTC_MESSAGE_BYTES] = {0}, resp[VIRTIO_RTC_MESSAGE_BYTES] = {0};
    size_t got = iobuf_get(&chain->rd, req, sizeof(req));
    const struct message *m = got >= 2 ? find_message(le16_get(req)) : NULL;
    size_t bytes = m != NULL ? m->response : VIRTIO_RTC_HEAD_BYTES;
    if (got < VIRTIO_RTC_HEAD_BYTES || (m != NULL && got < m->request) || chain->wr.left < bytes)
        resp[0] = VIRTIO_RTC_S_EINVAL;
    else if (m == NULL)
        resp[0] = VIRTIO_RTC_S_EOPNOTSUPP;
    else
        resp[0] = answer(rtc, m, req, resp);
    iobuf_put(&chain->wr, resp, (size_t)min_u64(bytes, chain->wr.left));
}

/* ---- the device's half ---- */

static void rtc_queue_ready(struct virtio_device *dev, unsigned queue)
{
    struct virtio_rtc *rtc = rtc_of(dev);
    struct vq_chain *chain;
    if (queue == VIRTIO_RTC_ALARMS) {
        notify(rtc);
        return;
    }
    while ((chain = virtio_queue_next(dev, queue)) != NULL) {
        serve(rtc, chain);
        virtio_queue_push(dev, queue, chain);
    }
}

static void rtc_queue_stop(struct virtio_device *dev, unsigned queue)
{
    (void)dev; /* no chain outlives queue_ready() */
    (void)queue;
}

static void rtc_reset(struct virtio_device *dev)
{
    set_alarm(rtc_of(dev), 0, false);
}

static void rtc_state(struct virtio_device *dev, struct state *s)
{
    struct virtio_rtc *rtc = rtc_of(dev);
    struct alarm *a = &rtc->alarm;
    a->time_ns = state_number(s, "alarm", a->time_ns, UINT64_MAX);
    a->is_enabled = state_number(s, "enabled", a->is_enabled, true);
    a->has_passed = state_number(s, "passed", a->has_passed, true);
    a->is_due = state_number(s, "due", a->is_due, true);
    uint64_t at_ns = state_number(s, "monotonic", read_clock(rtc, MONOTONIC), UINT64_MAX);
    if (!s->loads)
        return;
    rtc->made_ns = clock_now_ns(rtc->clock) - at_ns; /* it goes on from where it was */
    look(rtc);
}

static const struct virtio_device_ops rtc_ops = {
    .queue_ready = rtc_queue_ready,
    .queue_stop = rtc_queue_stop,
    .reset = rtc_reset,
    .state = rtc_state,
};

int virtio_rtc_create(struct virtio_rtc **out, const struct virtio_setup *setup,
                      const struct clock *clock, const struct virtio_rtc_counters *counters)
{
    struct virtio_rtc *rtc = calloc(1, sizeof(*rtc));
    if (rtc == NULL)
        return fail(-ENOMEM, "virtio %s", setup->name);
    rtc->clock = clock;
    if (counters != NULL)
        rtc->counters = *counters;
    rtc->made_ns = clock_now_ns(clock);
    rtc->timer = (struct ev_timer){.cb = look, .ctx = rtc};
    int err = virtio_device_init(&rtc->dev, setup,
                                 &(struct virtio_device_config){
                                     .type = &virtio_rtc_type,
                                     .ops = &rtc_ops,
                                     .features = VIRTIO_BIT(VIRTIO_RTC_F_ALARM),
                                     .queue_count = VIRTIO_RTC_QUEUES,
                                     .iov_max = VIRTIO_QUEUE_SIZE_DEFAULT,
                                 });
    if (err != 0) {
        free(rtc);
        return err;
    }
    *out = rtc;
    return 0;
}

void virtio_rtc_destroy(struct virtio_rtc *rtc)
{
    if (rtc == NULL)
        return;
    evloop_timer_cancel(rtc->dev.setup.loop, &rtc->timer);
    virtio_device_fini(&rtc->dev);
    free(rtc);
}

struct virtio_device *virtio_rtc_device(struct virtio_rtc *rtc)
{
    return &rtc->dev;
}
