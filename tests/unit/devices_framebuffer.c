// SPDX-License-Identifier: BSD-2-Clause
/* devices/platform/framebuffer.c: what the guest writes is what the display sees, and no more. */
#include "devices/platform/framebuffer.h"

#include "core/ports/hv.h"
#include "tests/harness/fake.h"
#include "tests/harness/fake_display.h"
#include "tests/harness/test.h"

#define GPA        UINT64_C(0xf0000000)
#define PAGE       ((size_t)sysconf(_SC_PAGESIZE))
#define LOG_WORDS  16
#define ALL_PIXELS 0xffffffffu

/* A hypervisor that maps the memory, and whose log says what the test says. */
struct hv_vm {
    uint64_t gpa, bytes;
    uint8_t *hva;
    uint64_t log[LOG_WORDS];
    unsigned taken;
    int fail;
};

struct scene {
    struct hv_vm vm;
    struct hv hv;
    struct fake_clock time;
    struct clock clock;
    struct evloop *loop;
    struct fake_display display;
    struct framebuffer *fb;
};

static int memory_logged(struct hv_vm *vm, uint64_t gpa, void *hva, uint64_t bytes)
{
    vm->gpa = gpa;
    vm->hva = hva;
    vm->bytes = bytes;
    return vm->fail;
}

static int memory_log_take(struct hv_vm *vm, uint64_t *pages)
{
    size_t count = vm->bytes / PAGE;
    vm->taken++;
    memcpy(pages, vm->log, (count + 63) / 64 * 8);
    memset(vm->log, 0, sizeof(vm->log));
    return vm->fail;
}

static int begin(struct scene *s, uint32_t width, uint32_t height)
{
    return framebuffer_create(&s->fb, &(struct framebuffer_config){.gpa = GPA,
                                                                   .width = width,
                                                                   .height = height,
                                                                   .hv = &s->hv,
                                                                   .vm = &s->vm,
                                                                   .loop = s->loop,
                                                                   .clock = &s->clock,
                                                                   .display = &s->display.backend});
}

static void open_scene(struct scene *s, bool has_log)
{
    *s = (struct scene){.hv.memory_logged = memory_logged, .time.now_ns = 1000};
    if (has_log)
        s->hv.memory_log_take = memory_log_take;
    s->clock = fake_clock_port(&s->time);
    cr_assert_eq(evloop_create(&s->loop, "fb", &s->clock), 0);
    fake_display_init(&s->display);
}

static void close_scene(struct scene *s)
{
    framebuffer_destroy(s->fb);
    cr_expect_not(s->display.screens[0].shows);
    cr_expect_null(s->display.backend.handler.on_wanted);
    fake_display_fini(&s->display);
    evloop_destroy(s->loop);
}

#define OnFramebuffer(name) \
    TestWith(framebuffer, name, struct scene, s, open_scene(s, true), close_scene(s))
#define OnComparison(name) \
    TestWith(framebuffer, name, struct scene, s, open_scene(s, false), close_scene(s))

static void a_period_passes(struct scene *s)
{
    s->time.now_ns += FRAMEBUFFER_PERIOD_NS;
    evloop_drain(s->loop);
}

static void fill(struct scene *s, uint64_t begin, uint64_t end)
{
    memset(s->vm.hva + begin, 0xff, end - begin);
    for (uint64_t page = begin / PAGE; page <= (end - 1) / PAGE; page++)
        s->vm.log[page / 64] |= UINT64_C(1) << page % 64;
}

static void expect_damage(const struct scene *s, unsigned count, uint32_t y, uint32_t height)
{
    const struct fake_screen *seen = &s->display.screens[0];
    cr_assert_eq(seen->damages, count);
    cr_expect_eq(seen->damage.x, 0);
    cr_expect_eq(seen->damage.width, seen->surface.width);
    cr_expect_eq(seen->damage.y, y);
    cr_expect_eq(seen->damage.height, height);
}

OnFramebuffer(is_shown_black_from_the_beginning)
{
    cr_assert_eq(begin(s, 1024, 768), 0);
    const struct fake_screen *seen = &s->display.screens[0];
    cr_assert(seen->shows);
    cr_expect_eq(seen->surfaces, 1);
    cr_expect_eq(seen->surface.width, 1024);
    cr_expect_eq(seen->surface.height, 768);
    cr_expect_eq(seen->surface.stride_bytes, 4096);
    cr_expect_eq(seen->surface.format, DISPLAY_BGRX);
    cr_expect_eq(seen->surface.pixels, s->vm.hva);
    cr_expect_eq(s->vm.gpa, GPA);
    cr_expect_eq(s->vm.bytes, 1024 * 768 * 4);
    cr_expect_eq(fake_display_pixel(&s->display, 0, 1023, 767), 0);
}

OnFramebuffer(a_page_is_the_rows_that_it_is_part_of)
{
    cr_assert_eq(begin(s, 100, 100), 0); /* rows of 400 bytes: a page is 10 and a bit */
    uint32_t last = (uint32_t)((2 * PAGE - 1) / 400), first = (uint32_t)(PAGE / 400);
    fill(s, PAGE + 40, PAGE + 44);
    a_period_passes(s);
    expect_damage(s, 1, first, last - first + 1);
    cr_expect_eq(fake_display_pixel(&s->display, 0, (PAGE + 40) % 400 / 4, first), ALL_PIXELS);

    /* The last page ends behind the last row. */
    fill(s, 39996, 40000);
    a_period_passes(s);
    first = (uint32_t)(39999 / PAGE * PAGE / 400);
    expect_damage(s, 2, first, 100 - first);
    cr_expect_eq(fake_display_pixel(&s->display, 0, 99, 99), ALL_PIXELS);
}

OnFramebuffer(rows_that_touch_are_one_rectangle)
{
    cr_assert_eq(begin(s, PAGE / 4, 128), 0); /* a page is a row */
    fill(s, 62 * PAGE, 66 * PAGE);
    a_period_passes(s);
    expect_damage(s, 1, 62, 4);
    fill(s, 3 * PAGE, 4 * PAGE);
    fill(s, 0, PAGE);
    fill(s, 127 * PAGE, 128 * PAGE);
    a_period_passes(s);
    expect_damage(s, 4, 127, 1);
    for (uint32_t y = 0; y < 128; y++) {
        bool is_drawn = y == 0 || y == 3 || y == 127 || (y >= 62 && y < 66);
        cr_expect_eq(fake_display_pixel(&s->display, 0, 7, y), is_drawn ? ALL_PIXELS : 0, "%u", y);
    }
}

OnFramebuffer(is_asked_once_a_period)
{
    cr_assert_eq(begin(s, 64, 64), 0);
    s->time.now_ns += FRAMEBUFFER_PERIOD_NS - 1;
    evloop_drain(s->loop);
    cr_expect_eq(s->vm.taken, 0);
    s->time.now_ns += 1;
    evloop_drain(s->loop);
    cr_expect_eq(s->vm.taken, 1);
    cr_expect_eq(s->display.screens[0].damages, 0, "nothing was written");
    a_period_passes(s);
    cr_expect_eq(s->vm.taken, 2);
}

OnFramebuffer(is_not_asked_while_the_display_has_no_use_for_it)
{
    cr_assert_eq(begin(s, 64, 64), 0);
    display_tell_wanted(&s->display.backend, 0, false);
    fill(s, 0, 4);
    a_period_passes(s);
    cr_expect_eq(s->vm.taken, 0);
    display_tell_wanted(&s->display.backend, 0, true);
    a_period_passes(s);
    cr_expect_eq(s->display.screens[0].damages, 0, "it was written before");
    fill(s, 0, 4);
    a_period_passes(s);
    cr_expect_eq(s->display.screens[0].damages, 1);
}

OnComparison(without_a_log_it_is_compared)
{
    cr_assert_eq(begin(s, PAGE / 4, 100), 0);
    fill(s, 70 * PAGE + 8, 70 * PAGE + 12);
    a_period_passes(s);
    expect_damage(s, 1, 70, 1);
    a_period_passes(s);
    cr_expect_eq(s->display.screens[0].damages, 1, "the same pixels again are none");
    memset(s->vm.hva + 70 * PAGE, 0, PAGE);
    a_period_passes(s);
    expect_damage(s, 2, 70, 1);
    cr_expect_eq(fake_display_pixel(&s->display, 0, 2, 70), 0);
}

OnFramebuffer(a_log_that_fails_leaves_the_picture)
{
    cr_assert_eq(begin(s, 64, 64), 0);
    s->vm.fail = -EIO;
    a_period_passes(s);
    a_period_passes(s);
    cr_expect_eq(s->vm.taken, 1, "it is not asked again");
    cr_expect(s->display.screens[0].shows);
}

OnFramebuffer(memory_that_is_refused_is_no_framebuffer)
{
    s->vm.fail = -EINVAL;
    cr_expect_eq(begin(s, 64, 64), -EINVAL);
    cr_expect_eq(s->display.screens[0].surfaces, 0);
}

/* A guest that writes all of it all the time gets one rectangle a period, however much that is. */
OnFramebuffer(h91_writes_without_end)
{
    cr_assert_eq(begin(s, 512, 1024), 0);
    for (unsigned i = 1; i <= 100; i++) {
        fill(s, 0, s->vm.bytes);
        evloop_drain(s->loop);
        a_period_passes(s);
        expect_damage(s, i, 0, 1024);
        cr_expect_eq(s->vm.taken, i);
    }
}

/* Every second page: the most rectangles that there can be. */
OnFramebuffer(h90_writes_in_every_corner)
{
    cr_assert_eq(begin(s, PAGE / 4, 1000), 0);
    for (uint32_t y = 0; y < 1000; y += 2)
        fill(s, y * PAGE, y * PAGE + 1);
    fill(s, 1000 * PAGE - 1, 1000 * PAGE);
    a_period_passes(s);
    expect_damage(s, 500, 998, 2);
    for (uint32_t y = 0; y < 1000; y++)
        cr_expect_eq(fake_display_pixel(&s->display, 0, 0, y), y % 2 == 0 ? 0xff : 0);
}
