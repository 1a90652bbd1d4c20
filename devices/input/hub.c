// SPDX-License-Identifier: BSD-2-Clause
#include "devices/input/hub.h"

#include <errno.h>
#include <linux/input-event-codes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/input_queue.h"

#define TURN_REPORTS 64u /* to a device in one turn of the loop */

struct hub_device {
    struct input_backend backend;
    struct input_hub *hub;
    struct input_queue queue; /* with the lock */
    bool is_there;
};

struct input_hub {
    struct input_sink sink;
    struct evloop *loop;
    struct ev_post post;
    atomic_uint leds;
    struct hub_device devices[INPUT_KINDS]; /* is_there: fixed when the sink is used */

    pthread_mutex_t lock; /* over what follows, and the queues */
    bool has_position;
    int x, y;         /* the pointer on the tablet; without one, what was turned into steps */
    int next_finger;  /* its ABS_MT_TRACKING_ID */
    uint32_t touched; /* fingers that are down */
};

static struct input_hub *hub_of(struct input_sink *s)
{
    return container_of(s, struct input_hub, sink);
}

/* ---- routes ---- */

/* The first of the two kinds that there is, or NULL. */
static struct hub_device *device_for(struct input_hub *hub, enum input_kind kind,
                                     enum input_kind other)
{
    struct hub_device *d = &hub->devices[kind], *o = &hub->devices[other];
    return d->is_there ? d : o->is_there ? o : NULL;
}

static bool is_button(unsigned code)
{
    return code >= BTN_LEFT && code <= BTN_EXTRA;
}

static struct hub_device *device_of_key(struct input_hub *hub, unsigned code)
{
    if (is_button(code))
        return device_for(hub, INPUT_TABLET, INPUT_MOUSE);
    return device_for(hub, INPUT_KEYBOARD, INPUT_KEYBOARD);
}

/* ---- reports: with the lock ---- */

static void put_key(struct hub_device *d, unsigned code, bool down)
{
    if (d != NULL && input_queue_is_down(&d->queue, code) != down)
        input_queue_put(&d->queue, &(struct input_event){EV_KEY, (uint16_t)code, down}, 1);
}

/* Two values of a type; of a relative one those that are not 0. */
static void put_pair(struct hub_device *d, uint16_t type, const uint16_t codes[2], int first,
                     int second)
{
    const struct input_event all[] = {{type, codes[0], first}, {type, codes[1], second}};
    struct input_event events[2];
    unsigned count = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        if (type != EV_REL || all[i].value != 0)
            events[count++] = all[i];
    if (count > 0)
        input_queue_put(&d->queue, events, count);
}

static void put_steps(struct hub_device *d, int dx, int dy)
{
    put_pair(d, EV_REL, (const uint16_t[]){REL_X, REL_Y}, dx, dy);
}

static void put_position(struct input_hub *hub, struct hub_device *tablet, int x, int y)
{
    hub->x = x;
    hub->y = y;
    put_pair(tablet, EV_ABS, (const uint16_t[]){ABS_X, ABS_Y}, x, y);
}

/* What is less than a step stays for the next time. */
static void put_way(struct input_hub *hub, struct hub_device *mouse, int x, int y)
{
    int dx = (x - hub->x) / INPUT_HUB_STEP, dy = (y - hub->y) / INPUT_HUB_STEP;
    if (!hub->has_position) {
        hub->x = x;
        hub->y = y;
        hub->has_position = true;
        return;
    }
    put_steps(mouse, dx, dy);
    hub->x += dx * INPUT_HUB_STEP;
    hub->y += dy * INPUT_HUB_STEP;
}

/* Only fingers that are down move or leave. */
static void put_finger(struct input_hub *hub, unsigned finger, bool down, int x, int y)
{
    struct hub_device *d = &hub->devices[INPUT_TOUCH];
    uint32_t before = hub->touched, bit = UINT32_C(1) << finger;
    struct input_event events[INPUT_REPORT_EVENTS] = {{EV_ABS, ABS_MT_SLOT, (int)finger}};
    unsigned count = 1;
    bool changes = ((before & bit) != 0) != down;
    if (!d->is_there || (!down && !changes))
        return;
    if (changes)
        events[count++] =
            (struct input_event){EV_ABS, ABS_MT_TRACKING_ID, down ? hub->next_finger : -1};
    if (down) {
        events[count++] = (struct input_event){EV_ABS, ABS_MT_POSITION_X, x};
        events[count++] = (struct input_event){EV_ABS, ABS_MT_POSITION_Y, y};
    }
    hub->touched = down ? before | bit : before & ~bit;
    if (changes && down)
        hub->next_finger = (hub->next_finger + 1) & INPUT_TRACKING_MAX;
    if ((before == 0) != (hub->touched == 0))
        events[count++] = (struct input_event){EV_KEY, BTN_TOUCH, hub->touched != 0};
    input_queue_put(&d->queue, events, count);
}

/* ---- the sink: any thread ---- */

static struct input_hub *begin(struct input_sink *s)
{
    struct input_hub *hub = hub_of(s);
    pthread_mutex_lock(&hub->lock);
    return hub;
}

static void end(struct input_hub *hub)
{
    pthread_mutex_unlock(&hub->lock);
    evloop_post(hub->loop, &hub->post);
}

static int clamp(int64_t value, int min, int max)
{
    return value < min ? min : value > max ? max : (int)value;
}

static void on_key(struct input_sink *s, unsigned code, bool down)
{
    struct input_hub *hub = begin(s);
    if (code < INPUT_KEY_CODES)
        put_key(device_of_key(hub, code), code, down);
    end(hub);
}

static void on_move_to(struct input_sink *s, unsigned scanout, unsigned x, unsigned y)
{
    struct input_hub *hub = begin(s);
    struct hub_device *d = device_for(hub, INPUT_TABLET, INPUT_MOUSE);
    int to_x = clamp(x, 0, INPUT_AXIS_MAX), to_y = clamp(y, 0, INPUT_AXIS_MAX);
    (void)scanout; /* all scanouts have the same pointer */
    if (d != NULL && d->backend.kind == INPUT_TABLET)
        put_position(hub, d, to_x, to_y);
    else if (d != NULL)
        put_way(hub, d, to_x, to_y);
    end(hub);
}

static void on_move_by(struct input_sink *s, int dx, int dy)
{
    struct input_hub *hub = begin(s);
    struct hub_device *d = device_for(hub, INPUT_MOUSE, INPUT_TABLET);
    if (d != NULL && d->backend.kind == INPUT_MOUSE)
        put_steps(d, dx, dy);
    else if (d != NULL)
        put_position(hub, d, clamp(hub->x + (int64_t)dx * INPUT_HUB_STEP, 0, INPUT_AXIS_MAX),
                     clamp(hub->y + (int64_t)dy * INPUT_HUB_STEP, 0, INPUT_AXIS_MAX));
    end(hub);
}

static void on_wheel(struct input_sink *s, int dx, int dy)
{
    struct input_hub *hub = begin(s);
    struct hub_device *d = device_for(hub, INPUT_TABLET, INPUT_MOUSE);
    if (d != NULL)
        put_pair(d, EV_REL, (const uint16_t[]){REL_HWHEEL, REL_WHEEL}, dx, dy);
    end(hub);
}

static void on_touch(struct input_sink *s, unsigned finger, bool down, unsigned x, unsigned y)
{
    struct input_hub *hub = begin(s);
    if (finger < INPUT_TOUCHES)
        put_finger(hub, finger, down, clamp(x, 0, INPUT_AXIS_MAX), clamp(y, 0, INPUT_AXIS_MAX));
    end(hub);
}

static void on_release(struct input_sink *s)
{
    struct input_hub *hub = begin(s);
    for (unsigned code = 0; code < INPUT_KEY_CODES; code++)
        put_key(device_of_key(hub, code), code, false);
    for (unsigned i = 0; i < INPUT_TOUCHES; i++)
        put_finger(hub, i, false, 0, 0);
    end(hub);
}

static const struct input_sink_ops sink_ops = {
    .key = on_key,
    .move_to = on_move_to,
    .move_by = on_move_by,
    .wheel = on_wheel,
    .touch = on_touch,
    .release = on_release,
};

/* ---- the backends: on the loop ---- */

/* The next report, without its end; 0: there is none. */
static unsigned take(struct input_hub *hub, struct hub_device *d,
                     struct input_event report[INPUT_REPORT_EVENTS + 1])
{
    pthread_mutex_lock(&hub->lock);
    unsigned count = input_queue_peek(&d->queue, report);
    if (count > 0)
        input_queue_take(&d->queue);
    pthread_mutex_unlock(&hub->lock);
    return count > 0 ? count - 1 : 0;
}

/* Returns whether there may be more. */
static bool deliver(struct input_hub *hub, struct hub_device *d)
{
    struct input_event report[INPUT_REPORT_EVENTS + 1];
    for (unsigned n = 0; n < TURN_REPORTS; n++) {
        unsigned count = take(hub, d, report);
        if (count == 0)
            return false;
        if (d->backend.handler.on_report != NULL)
            d->backend.handler.on_report(d->backend.handler.ctx, report, count);
    }
    return true;
}

static void on_post(void *ctx)
{
    struct input_hub *hub = ctx;
    bool more = false;
    for (unsigned i = 0; i < INPUT_KINDS; i++)
        more |= deliver(hub, &hub->devices[i]);
    if (more)
        evloop_post(hub->loop, &hub->post);
}

static void on_status(struct input_backend *b, const struct input_event *event)
{
    struct input_hub *hub = container_of(b, struct hub_device, backend)->hub;
    unsigned bit = event->code < LED_CNT ? 1u << event->code : 0;
    if (event->type != EV_LED)
        return;
    if (event->value != 0)
        atomic_fetch_or(&hub->leds, bit);
    else
        atomic_fetch_and(&hub->leds, ~bit);
}

static const struct input_backend_ops backend_ops = {.status = on_status};

/* ---- life ---- */

int input_hub_create(struct input_hub **out, struct evloop *loop)
{
    struct input_hub *hub = calloc(1, sizeof(*hub));
    int r = hub == NULL ? ENOMEM : pthread_mutex_init(&hub->lock, NULL);
    if (r != 0) {
        free(hub);
        return fail(-r, "input");
    }
    hub->sink.ops = &sink_ops;
    hub->loop = loop;
    hub->post = (struct ev_post){.cb = on_post, .ctx = hub};
    for (unsigned i = 0; i < INPUT_KINDS; i++) {
        input_queue_clear(&hub->devices[i].queue);
        hub->devices[i].hub = hub;
        hub->devices[i].backend.ops = &backend_ops;
        hub->devices[i].backend.kind = (enum input_kind)i;
    }
    *out = hub;
    return 0;
}

void input_hub_destroy(struct input_hub *hub)
{
    if (hub == NULL)
        return;
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

struct input_sink *input_hub_sink(struct input_hub *hub)
{
    return &hub->sink;
}

struct input_backend *input_hub_backend(struct input_hub *hub, enum input_kind kind)
{
    hub->devices[kind].is_there = true;
    return &hub->devices[kind].backend;
}

unsigned input_hub_leds(const struct input_hub *hub)
{
    return atomic_load(&hub->leds);
}
