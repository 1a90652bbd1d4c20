// SPDX-License-Identifier: BSD-2-Clause
/*
 * A framebuffer as firmware leaves it to a kernel: memory at a fixed place, in which four bytes are
 * a pixel of scanout 0, and no registers. The guest draws before it has any driver of a display.
 *
 * It is no RAM of the guest's: nothing else of Minivet reads or writes there. About 30 times a
 * second the device asks which pages were written (hv.h's log, or a copy to compare with), and
 * reports their rows as damage; not while the display has no use for that.
 */
#ifndef MINIVET_DEVICES_FRAMEBUFFER_H
#define MINIVET_DEVICES_FRAMEBUFFER_H

#include <stdint.h>

#define FRAMEBUFFER_SIDE_MIN       64u
#define FRAMEBUFFER_SIDE_MAX       4096u
#define FRAMEBUFFER_WIDTH_DEFAULT  1024u
#define FRAMEBUFFER_HEIGHT_DEFAULT 768u
#define FRAMEBUFFER_PIXEL_BYTES    4u
#define FRAMEBUFFER_BYTES_MAX \
    (UINT64_C(1) * FRAMEBUFFER_PIXEL_BYTES * FRAMEBUFFER_SIDE_MAX * FRAMEBUFFER_SIDE_MAX)
#define FRAMEBUFFER_PERIOD_NS UINT64_C(33333333)

struct clock;
struct display_backend;
struct evloop;
struct framebuffer;
struct hv;
struct hv_vm;

/* All of it outlives the device. */
struct framebuffer_config {
    uint64_t gpa;
    uint32_t width, height; /* each FRAMEBUFFER_SIDE_MIN to _MAX; rows are without gaps */
    const struct hv *hv;
    struct hv_vm *vm;
    struct evloop *loop;
    const struct clock *clock; /* of the loop */
    struct display_backend *display;
};

/* Before vCPUs run, on the loop or before it runs. Errors are reported. */
int framebuffer_create(struct framebuffer **out, const struct framebuffer_config *config);
/* After vCPUs are gone; the same rule. NULL is allowed. */
void framebuffer_destroy(struct framebuffer *fb);

#endif
