// SPDX-License-Identifier: BSD-2-Clause
/* What a guest writes into the framebuffer at level 3 is what the display sees, by KVM's log. */
#include "devices/platform/framebuffer.h"

#include <stdatomic.h>

#include "arch/arch.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "kvm/kvm.h"
#include "tap.h"
#include "tests/harness/fake.h"
#include "tests/harness/fake_display.h"
#include "tvm.h"

#define WIDTH  1024u
#define HEIGHT 768u

static struct tvm t;
static struct fake_clock now;
static struct fake_display display;
static struct evloop *loop;

/* Has the guest take its next step, looks once, and says how many rectangles that were. */
static unsigned look_after(unsigned step)
{
    unsigned before = display.screens[0].damages;
    atomic_store(tvm_counters(&t), step);
    CHECK_EQ(tvm_wait_stamp(&t, step), step);
    now.now_ns += FRAMEBUFFER_PERIOD_NS;
    evloop_drain(loop);
    return display.screens[0].damages - before;
}

static void check_pixels(bool all)
{
    for (uint32_t y = 0; y < HEIGHT; y++) {
        for (uint32_t x = 0; x < WIDTH; x++) {
            uint32_t dot = x == 7 && y == 10 ? 0x123456 : x == 1023 && y == 500 ? 0xabcdef : 0;
            CHECK_EQ(fake_display_pixel(&display, 0, x, y), all ? (y << 16 | x) : dot);
        }
    }
}

static void pixels_are_seen(void)
{
    struct framebuffer *fb;
    struct clock clock = fake_clock_port(&now);
    tvm_create(&t, &(struct tvm_config){.guest = "framebuffer"});
    fake_display_init(&display);
    CHECK_EQ(evloop_create(&loop, "fb", &clock), 0);
    CHECK_EQ(framebuffer_create(&fb, &(struct framebuffer_config){.gpa = arch_host.framebuffer_gpa,
                                                                  .width = WIDTH,
                                                                  .height = HEIGHT,
                                                                  .hv = &hv_kvm,
                                                                  .vm = t.vm,
                                                                  .loop = loop,
                                                                  .clock = &clock,
                                                                  .display = &display.backend}),
             0);
    tvm_start(&t);
    CHECK_EQ(look_after(0), 0);
    CHECK_EQ(look_after(1), 2);
    check_pixels(false);
    CHECK_EQ(look_after(2), 1);
    CHECK_EQ(display.screens[0].damage.height, HEIGHT);
    check_pixels(true);
    CHECK_EQ(look_after(2), 0);
    atomic_store(tvm_counters(&t), 3);
    CHECK_EQ(tvm_wait(&t), TVM_STATUS);
    CHECK_EQ(t.exit_status, 0);
    framebuffer_destroy(fb);
    tvm_destroy(&t);
    fake_display_fini(&display);
    evloop_destroy(loop);
}

const struct tap_test framebuffer_tests[] = {
    {"framebuffer: the display sees each pixel, and which rows are new", pixels_are_seen, 0},
    {0},
};
