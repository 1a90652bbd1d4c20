// SPDX-License-Identifier: BSD-2-Clause
#include "devices/platform/framebuffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/evloop.h"
#include "core/ports/display.h"
#include "core/ports/hv.h"

#define LOG_BITS 64u

struct framebuffer {
    struct framebuffer_config config;
    size_t page_bytes, pages, stride_bytes;
    uint8_t *pixels;
    uint64_t *log;  /* a bit a page */
    uint8_t *known; /* without a log of the hypervisor's: what was there; else NULL */
    struct ev_timer timer;
};

/* ---- what was written ---- */

static void compare(struct framebuffer *fb)
{
    for (size_t page = 0; page < fb->pages; page++) {
        const uint8_t *now = fb->pixels + page * fb->page_bytes;
        uint8_t *known = fb->known + page * fb->page_bytes;
        uint64_t bit = UINT64_C(1) << page % LOG_BITS;
        fb->log[page / LOG_BITS] &= ~bit;
        if (memcmp(known, now, fb->page_bytes) != 0) {
            memcpy(known, now, fb->page_bytes);
            fb->log[page / LOG_BITS] |= bit;
        }
    }
}

static int take_log(struct framebuffer *fb)
{
    if (fb->known == NULL)
        return fb->config.hv->memory_log_take(fb->config.vm, fb->log);
    compare(fb);
    return 0;
}

/* ---- what that is in rows ---- */

static void report_rows(const struct framebuffer *fb, uint32_t row, uint32_t end)
{
    struct display_backend *display = fb->config.display;
    if (row < end)
        display->ops->damage(display, 0,
                             &(struct display_rect){0, row, fb->config.width, end - row});
}

static void report(const struct framebuffer *fb)
{
    uint32_t row = 0, end = 0; /* written, and not reported yet */
    for (size_t page = 0; page < fb->pages; page++) {
        if ((fb->log[page / LOG_BITS] >> page % LOG_BITS & 1) == 0)
            continue;
        size_t byte = page * fb->page_bytes;
        uint32_t page_row = (uint32_t)(byte / fb->stride_bytes);
        size_t page_end = (byte + fb->page_bytes - 1) / fb->stride_bytes + 1;
        if (page_row > end) {
            report_rows(fb, row, end);
            row = page_row;
        }
        end = (uint32_t)min_u64(page_end, fb->config.height);
    }
    report_rows(fb, row, end);
}

/* ---- time ---- */

static void wait_a_period(struct framebuffer *fb)
{
    evloop_timer_set(fb->config.loop, &fb->timer,
                     clock_now_ns(fb->config.clock) + FRAMEBUFFER_PERIOD_NS);
}

static void on_timer(void *ctx)
{
    struct framebuffer *fb = ctx;
    if (take_log(fb) < 0)
        return; /* reported; the picture stands still */
    report(fb);
    wait_a_period(fb);
}

static void on_wanted(void *ctx, unsigned scanout, bool wanted)
{
    struct framebuffer *fb = ctx;
    (void)scanout;
    if (!wanted)
        evloop_timer_cancel(fb->config.loop, &fb->timer);
    else if (take_log(fb) == 0) /* what was written in between is no news */
        wait_a_period(fb);
}

/* ---- life ---- */

static void *map(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p != MAP_FAILED ? p : NULL;
}

static int allocate(struct framebuffer *fb)
{
    const struct framebuffer_config *c = &fb->config;
    fb->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    fb->stride_bytes = (size_t)c->width * FRAMEBUFFER_PIXEL_BYTES;
    fb->pages = align_up(fb->stride_bytes * c->height, fb->page_bytes) / fb->page_bytes;
    fb->log = calloc(align_up(fb->pages, LOG_BITS) / LOG_BITS, sizeof(*fb->log));
    fb->pixels = map(fb->pages * fb->page_bytes);
    if (c->hv->memory_log_take == NULL)
        fb->known = map(fb->pages * fb->page_bytes);
    if (fb->log == NULL || fb->pixels == NULL ||
        (c->hv->memory_log_take == NULL && fb->known == NULL))
        return fail(-ENOMEM, "framebuffer of %ux%u pixels", c->width, c->height);
    return 0;
}

static void show(struct framebuffer *fb)
{
    struct display_backend *display = fb->config.display;
    display->handler = (struct display_handler){.on_wanted = on_wanted, .ctx = fb};
    display->ops->set_surface(display, 0,
                              &(struct display_surface){.pixels = fb->pixels,
                                                        .width = fb->config.width,
                                                        .height = fb->config.height,
                                                        .stride_bytes = fb->stride_bytes,
                                                        .format = DISPLAY_BGRX});
    wait_a_period(fb);
}

int framebuffer_create(struct framebuffer **out, const struct framebuffer_config *config)
{
    BUG_ON(config->width < FRAMEBUFFER_SIDE_MIN || config->width > FRAMEBUFFER_SIDE_MAX);
    BUG_ON(config->height < FRAMEBUFFER_SIDE_MIN || config->height > FRAMEBUFFER_SIDE_MAX);
    struct framebuffer *fb = calloc(1, sizeof(*fb));
    if (fb == NULL)
        return fail(-ENOMEM, "framebuffer");
    fb->config = *config;
    fb->timer = (struct ev_timer){.cb = on_timer, .ctx = fb};
    int r = allocate(fb);
    if (r == 0)
        r = config->hv->memory_logged(config->vm, config->gpa, fb->pixels,
                                      fb->pages * fb->page_bytes);
    if (r < 0) {
        fb->config.display = NULL;
        framebuffer_destroy(fb);
        return r;
    }
    show(fb);
    *out = fb;
    return 0;
}

void framebuffer_destroy(struct framebuffer *fb)
{
    if (fb == NULL)
        return;
    struct display_backend *display = fb->config.display;
    if (display != NULL) {
        evloop_timer_cancel(fb->config.loop, &fb->timer);
        display->ops->set_surface(display, 0, NULL);
        display->handler = (struct display_handler){0};
    }
    if (fb->pixels != NULL)
        munmap(fb->pixels, fb->pages * fb->page_bytes);
    if (fb->known != NULL)
        munmap(fb->known, fb->pages * fb->page_bytes);
    free(fb->log);
    free(fb);
}
