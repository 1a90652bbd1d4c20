// SPDX-License-Identifier: BSD-2-Clause
/*
 * Random commands to a GPU device, and a model that says what each must do: byte by byte, and
 * without regard to speed. Answers and every pixel that is seen are compared.
 */
#include "tests/harness/gpureq.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"

#define COMMANDS    4000u
#define RESOURCES   4u /* and one that never is */
#define SCREENS     2u
#define SIDE        24u
#define MEMORY_GPA  UINT64_C(0x100000)
#define MEMORY      0x8000u
#define BACKING_MAX 0x4000u
#define ENTRIES     6u

struct picture {
    uint32_t width, height;
    uint32_t pixels[SIDE * SIDE];
};

struct resource {
    bool exists, is_blob, has_backing;
    struct picture own;
    uint64_t blob_bytes;
    uint32_t backing_bytes;
    uint32_t at[BACKING_MAX]; /* of each byte: its place in MEMORY */
};

struct screen {
    bool shows;
    uint32_t resource, stride, offset;
    struct display_rect rect;
    struct picture seen;
};

struct model {
    struct rig *rig;
    uint64_t random;
    struct resource resources[RESOURCES + 2]; /* by id */
    struct screen screens[SCREENS];
};

static uint32_t next(struct model *m, uint32_t below)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)(m->random >> 32) % below;
}

static uint8_t *memory(struct model *m)
{
    return vdrv_ptr(&m->rig->drv, MEMORY_GPA, MEMORY);
}

/* A pixel of a backing; false: it has no such bytes. */
static bool backed(struct model *m, const struct resource *r, uint64_t begin, uint32_t *pixel)
{
    uint8_t bytes[4];
    for (unsigned i = 0; i < 4; i++) {
        if (begin + i >= r->backing_bytes || (r->is_blob && begin + i >= r->blob_bytes))
            return false;
        bytes[i] = memory(m)[r->at[begin + i]];
    }
    *pixel = le32_get(bytes);
    return true;
}

/* A pixel of what a screen would show now. */
static bool shown(struct model *m, const struct screen *s, uint32_t x, uint32_t y, uint32_t *pixel)
{
    const struct resource *r = &m->resources[s->resource];
    uint64_t column = s->rect.x + (uint64_t)x, row = s->rect.y + (uint64_t)y;
    if (r->is_blob)
        return backed(m, r, s->offset + s->stride * row + column * 4, pixel);
    if (column >= r->own.width || row >= r->own.height)
        return false;
    *pixel = r->own.pixels[row * r->own.width + column];
    return true;
}

static void look(struct model *m, struct screen *s, const struct display_rect *flushed)
{
    for (uint32_t y = 0; y < s->rect.height; y++)
        for (uint32_t x = 0; x < s->rect.width; x++)
            if (flushed == NULL ||
                (s->rect.x + x - flushed->x < flushed->width && s->rect.x + x >= flushed->x &&
                 s->rect.y + y - flushed->y < flushed->height && s->rect.y + y >= flushed->y))
                shown(m, s, x, y, &s->seen.pixels[y * s->rect.width + x]);
}

static void drop(struct model *m, uint32_t id)
{
    for (unsigned i = 0; i < SCREENS; i++)
        if (m->screens[i].resource == id)
            m->screens[i] = (struct screen){0};
}

/* ---- commands: made up, foretold, and sent ---- */

/* Mostly inside of what is so large. */
static struct display_rect any_rect(struct model *m, uint32_t width, uint32_t height)
{
    struct display_rect r = {next(m, SIDE), next(m, SIDE), next(m, SIDE + 1), next(m, SIDE + 1)};
    if (next(m, 6) == 0)
        return r;
    r.x = r.x < width ? r.x : 0;
    r.y = r.y < height ? r.y : 0;
    r.width = r.width < width - r.x ? r.width : width - r.x;
    r.height = r.height < height - r.y ? r.height : height - r.y;
    return r;
}

static bool is_inside(const struct display_rect *r, uint32_t width, uint32_t height)
{
    return r->x <= width && r->width <= width - r->x && r->y <= height &&
           r->height <= height - r->y;
}

/* Mostly of one that is shown. */
static uint32_t any_id(struct model *m)
{
    const struct screen *s = &m->screens[next(m, SCREENS)];
    return s->shows && next(m, 3) > 0 ? s->resource : 1 + next(m, RESOURCES + 1);
}

static unsigned any_entries(struct model *m, struct gpureq_entry *entries, struct resource *to)
{
    unsigned count = 1 + next(m, ENTRIES);
    to->has_backing = true;
    to->backing_bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        uint32_t begin = next(m, MEMORY / 2), bytes = next(m, BACKING_MAX / ENTRIES);
        if (i > 0 && next(m, 3) == 0) /* a neighbour of the last */
            begin = (uint32_t)(entries[i - 1].gpa - MEMORY_GPA) + entries[i - 1].bytes;
        if (begin + bytes > MEMORY)
            begin = 0;
        entries[i] = (struct gpureq_entry){MEMORY_GPA + begin, bytes};
        for (uint32_t k = 0; k < bytes; k++)
            to->at[to->backing_bytes++] = begin + k;
    }
    return count;
}

static void create(struct model *m)
{
    uint32_t id = 1 + next(m, RESOURCES), width = next(m, SIDE + 1), height = next(m, SIDE + 1);
    struct resource *r = &m->resources[id];
    uint32_t expected = GPUREQ_OK;
    if (width == 0 || height == 0)
        expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    else if (r->exists)
        expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    cr_assert_eq(gpureq_create(m->rig, id, GPUREQ_FORMAT, width, height), expected);
    if (expected == GPUREQ_OK)
        *r = (struct resource){.exists = true, .own = {.width = width, .height = height}};
}

static void create_blob(struct model *m)
{
    static struct resource made;
    struct gpureq_entry entries[ENTRIES];
    uint32_t id = 1 + next(m, RESOURCES);
    made = (struct resource){.exists = true, .is_blob = true};
    made.blob_bytes = 1 + next(m, BACKING_MAX);
    unsigned count = any_entries(m, entries, &made);
    uint32_t expected =
        m->resources[id].exists ? VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID : GPUREQ_OK;
    cr_assert_eq(gpureq_blob(m->rig, id, made.blob_bytes, entries, count), expected);
    if (expected == GPUREQ_OK)
        m->resources[id] = made;
}

static void attach(struct model *m)
{
    static struct resource made;
    struct gpureq_entry entries[ENTRIES];
    uint32_t id = any_id(m), expected = GPUREQ_OK;
    struct resource *r = &m->resources[id];
    made = *r;
    unsigned count = any_entries(m, entries, &made);
    if (!r->exists)
        expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    else if (r->has_backing)
        expected = VIRTIO_GPU_RESP_ERR_UNSPEC;
    cr_assert_eq(gpureq_attach(m->rig, id, entries, count), expected);
    if (expected == GPUREQ_OK)
        *r = made;
}

static void end(struct model *m, bool whole)
{
    uint32_t id = any_id(m), expected = GPUREQ_OK;
    struct resource *r = &m->resources[id];
    if (!r->exists)
        expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    else if (!whole && !r->has_backing)
        expected = VIRTIO_GPU_RESP_ERR_UNSPEC;
    cr_assert_eq(gpureq_simple(m->rig,
                               whole ? VIRTIO_GPU_CMD_RESOURCE_UNREF
                                     : VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
                               id),
                 expected);
    if (expected != GPUREQ_OK)
        return;
    if (whole || r->is_blob)
        drop(m, id);
    r->has_backing = false;
    r->backing_bytes = 0;
    r->exists = !whole;
}

static void transfer(struct model *m)
{
    static struct picture copy;
    uint32_t id = any_id(m), expected = GPUREQ_OK;
    struct resource *r = &m->resources[id];
    struct display_rect rect = any_rect(m, r->own.width, r->own.height);
    uint64_t offset = next(m, 2) ? next(m, 600) : 0;
    copy = r->own;
    if (!r->exists)
        expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    else if (!r->is_blob && !is_inside(&rect, r->own.width, r->own.height))
        expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    for (uint32_t y = 0; !r->is_blob && expected == GPUREQ_OK && y < rect.height; y++)
        for (uint32_t x = 0; x < rect.width; x++)
            if (!backed(m, r, offset + ((uint64_t)y * r->own.width + x) * 4,
                        &copy.pixels[(rect.y + y) * r->own.width + rect.x + x]))
                expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    cr_assert_eq(gpureq_transfer(m->rig, id, &rect, offset), expected);
    if (expected == GPUREQ_OK)
        r->own = copy;
}

static void flush(struct model *m)
{
    uint32_t id = any_id(m), expected = GPUREQ_OK;
    const struct resource *r = &m->resources[id];
    struct display_rect rect =
        any_rect(m, r->is_blob ? SIDE : r->own.width, r->is_blob ? SIDE : r->own.height);
    if (!r->exists)
        expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    else if (!r->is_blob && !is_inside(&rect, r->own.width, r->own.height))
        expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    cr_assert_eq(gpureq_flush(m->rig, id, &rect), expected);
    for (unsigned i = 0; i < SCREENS && expected == GPUREQ_OK; i++)
        if (m->screens[i].shows && m->screens[i].resource == id)
            look(m, &m->screens[i], &rect);
}

static void set_scanout(struct model *m)
{
    static struct screen s;
    unsigned screen = next(m, SCREENS);
    struct gpureq_frame frame = {next(m, SIDE + 1), next(m, SIDE + 1), GPUREQ_FORMAT,
                                 next(m, 4) ? 4 * (SIDE + next(m, 4)) : next(m, 4 * SIDE),
                                 next(m, 3) ? 0 : next(m, 300)};
    s = (struct screen){.shows = true, .resource = any_id(m)};
    const struct resource *r = &m->resources[s.resource];
    s.rect = any_rect(m, r->is_blob ? frame.width : r->own.width,
                      r->is_blob ? frame.height : r->own.height);
    bool by_blob = r->is_blob != (next(m, 10) == 0);
    uint32_t pixel, expected = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
    s.stride = frame.stride;
    s.offset = frame.offset;
    s.seen.width = s.rect.width;
    s.seen.height = s.rect.height;
    bool fits = r->is_blob == by_blob && s.rect.width > 0 && s.rect.height > 0 &&
                (!by_blob || (is_inside(&s.rect, frame.width, frame.height) &&
                              frame.stride >= 4 * frame.width));
    if (!r->exists)
        expected = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
    else if (fits && shown(m, &s, s.rect.width - 1, s.rect.height - 1, &pixel))
        expected = GPUREQ_OK;
    cr_assert_eq(by_blob ? gpureq_scanout_blob(m->rig, screen, s.resource, &s.rect, &frame)
                         : gpureq_scanout(m->rig, screen, s.resource, &s.rect),
                 expected);
    if (expected != GPUREQ_OK)
        return;
    look(m, &s, NULL);
    m->screens[screen] = s;
}

static void draw(struct model *m)
{
    uint32_t at = next(m, MEMORY), bytes = next(m, MEMORY - at) + 1;
    for (uint32_t i = at; i < at + bytes; i++)
        memory(m)[i] = (uint8_t)next(m, 256);
}

static void compare(struct model *m)
{
    for (unsigned i = 0; i < SCREENS; i++) {
        const struct screen *s = &m->screens[i];
        const struct fake_screen *is = &m->rig->display.screens[i];
        cr_assert_eq(is->shows, s->shows, "screen %u", i);
        if (!s->shows)
            continue;
        cr_assert_eq(is->surface.width, s->rect.width);
        cr_assert_eq(is->surface.height, s->rect.height);
        cr_assert_arr_eq(is->seen, s->seen.pixels, 4 * s->rect.width * s->rect.height);
    }
}

OnEachRig(virtio_gpu_model, random_commands_do_what_they_must, rig_open_gpu_on(rig, on))
{
    static struct model m;
    unsigned shows = 0;
    m = (struct model){.rig = rig, .random = 0x9e3779b97f4a7c15};
    gpureq_start(rig);
    draw(&m);
    for (unsigned i = 0; i < COMMANDS; i++) {
        static void (*const commands[])(struct model *) = {
            create, create_blob, attach, transfer, transfer, flush, flush, set_scanout, draw};
        unsigned which = next(&m, ARRAY_SIZE(commands) + 1);
        if (which < ARRAY_SIZE(commands))
            commands[which](&m);
        else if (next(&m, 2) == 0)
            end(&m, next(&m, 2));
        compare(&m);
        shows += m.screens[0].shows + m.screens[1].shows;
    }
    cr_expect_gt(shows, COMMANDS / 10, "the test shows something");
}
