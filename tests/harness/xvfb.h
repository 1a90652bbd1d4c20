// SPDX-License-Identifier: BSD-2-Clause
/* An X server of the test's, without a window manager, that keeps its screen in a file (Xvfb). */
#ifndef MINIVET_TESTS_HARNESS_XVFB_H
#define MINIVET_TESTS_HARNESS_XVFB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define XVFB_SCREEN "640x480x24"
#define XVFB_WIDTH  640u
#define XVFB_HEIGHT 480u

struct xvfb {
    pid_t pid;             /* 0: ended */
    const uint8_t *screen; /* an XWD file */
    size_t bytes;
};

/* In the current folder; DISPLAY names it. Without Xvfb the test is skipped. */
void xvfb_start(struct xvfb *s);
void xvfb_end(struct xvfb *s, int signal);

/* 0xRRGGBB, also after the end */
uint32_t xvfb_pixel(const struct xvfb *s, uint32_t x, uint32_t y);

/* xdotool ARGS: a person. `sh ...` is a command of its own. */
void xvfb_person(const char *args);

#endif
