// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/fake_sink.h"

#include <criterion/criterion.h>
#include <time.h>

#include "core/base/xmath.h"

#define DEADLINE_S 30

static void hear(struct input_sink *sink, enum fake_sink_type type, int a, int b)
{
    struct fake_sink *f = container_of(sink, struct fake_sink, sink);
    pthread_mutex_lock(&f->lock);
    if (f->count < ARRAY_SIZE(f->heard))
        f->heard[f->count++] = (struct fake_sink_event){type, a, b};
    pthread_cond_signal(&f->more);
    pthread_mutex_unlock(&f->lock);
}

static void on_key(struct input_sink *sink, unsigned code, bool down)
{
    hear(sink, FAKE_SINK_KEY, (int)code, down);
}

static void on_move_to(struct input_sink *sink, unsigned scanout, unsigned x, unsigned y)
{
    if (scanout == 0)
        hear(sink, FAKE_SINK_MOVE_TO, (int)x, (int)y);
}

static void on_move_by(struct input_sink *sink, int dx, int dy)
{
    hear(sink, FAKE_SINK_MOVE_BY, dx, dy);
}

static void on_touch(struct input_sink *sink, unsigned finger, bool down, unsigned x, unsigned y)
{
    (void)x, (void)y;
    hear(sink, FAKE_SINK_TOUCH, (int)finger, down);
}

static void on_wheel(struct input_sink *sink, int dx, int dy)
{
    hear(sink, FAKE_SINK_WHEEL, dx, dy);
}

static void on_release(struct input_sink *sink)
{
    hear(sink, FAKE_SINK_RELEASE, 0, 0);
}

static const struct input_sink_ops ops = {
    .key = on_key,
    .move_to = on_move_to,
    .move_by = on_move_by,
    .wheel = on_wheel,
    .touch = on_touch,
    .release = on_release,
};

void fake_sink_init(struct fake_sink *f)
{
    *f = (struct fake_sink){.sink = {&ops}};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->more, NULL);
}

struct fake_sink_event fake_sink_next(struct fake_sink *f)
{
    struct timespec until;
    struct fake_sink_event got = {.a = -1};
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_S;
    pthread_mutex_lock(&f->lock);
    while (f->seen == f->count && pthread_cond_timedwait(&f->more, &f->lock, &until) == 0)
        ;
    bool has_come = f->seen < f->count;
    if (has_come)
        got = f->heard[f->seen++];
    pthread_mutex_unlock(&f->lock);
    cr_assert(has_come, "nothing is heard");
    return got;
}

void fake_sink_expect(struct fake_sink *f, enum fake_sink_type type, int a, int b)
{
    struct fake_sink_event got = fake_sink_next(f);
    cr_assert(got.type == type && got.a == a && got.b == b, "%d (%d, %d) instead of %d (%d, %d)",
              got.type, got.a, got.b, type, a, b);
}

void fake_sink_await(struct fake_sink *f, enum fake_sink_type type, int a, int b)
{
    struct fake_sink_event got;
    do
        got = fake_sink_next(f);
    while (got.type != type || got.a != a || got.b != b);
}
