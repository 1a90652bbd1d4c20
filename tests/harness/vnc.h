// SPDX-License-Identifier: BSD-2-Clause
/* A VNC server that shows a picture of the test's, and clients of RFB 3.8. */
#ifndef MINIVET_TESTS_HARNESS_VNC_H
#define MINIVET_TESTS_HARNESS_VNC_H

#include "core/ports/display.h"
#include "devices/display/viewer.h"
#include "tests/harness/fake_sink.h"
#include "tests/harness/test.h"

#define VNC_WIDTH   64u
#define VNC_HEIGHT  48u
#define VNC_PIXELS  (2048u * 1024u) /* of the largest picture */
#define VNC_WAIT_MS 30000

enum {
    RFB_RAW = 0,
    RFB_HEXTILE = 5,
    RFB_ZLIB = 6,
    RFB_TIGHT = 7,
    RFB_ZRLE = 16,
    RFB_NEW_FB_SIZE = -223,
    RFB_POINTER_POS = -232,
    RFB_RICH_CURSOR = -239,
    RFB_TIGHT_PNG = -260,
    RFB_EXTENDED_DESKTOP_SIZE = -308,
};

struct vnc_scene {
    struct fake_sink input;
    struct evloop *loop;
    struct viewer *viewer;
    struct clock clock;
    _Atomic uint64_t ahead_ns;  /* of the host's clock, or of what it was when it was stopped */
    _Atomic uint64_t frozen_ns; /* 0: the clock runs */
    uint16_t port;              /* 0: a Unix socket */
    char path[64], password[80];
    uint32_t *pixels;
};

void vnc_scene_open(struct vnc_scene *s, bool has_password);
/* With a password, on a TCP port of 127.0.0.1. */
void vnc_scene_open_tcp(struct vnc_scene *s);
void vnc_scene_close(struct vnc_scene *s);

#define OnVnc(suite, name, has_password)                                          \
    TestWith(suite, name, struct vnc_scene, s, vnc_scene_open(s, (has_password)), \
             vnc_scene_close(s))

#define OnVncTcp(suite, name) \
    TestWith(suite, name, struct vnc_scene, s, vnc_scene_open_tcp(s), vnc_scene_close(s))

/* The guest's picture: each pixel has another colour. The server has taken the last one: a client
 * has it. */
void vnc_show(struct vnc_scene *s, uint32_t width, uint32_t height);

/* The server's time is the test's from now on. */
void vnc_freeze(struct vnc_scene *s);

/* ---- clients ---- */

struct vnc_caller {
    int fd;
    uint32_t width, height; /* as the server said last */
    uint32_t *picture;
};

/* Connected: nothing has been read. */
void vnc_reach(const struct vnc_scene *s, int fd);
int vnc_connect(const struct vnc_scene *s);
/* By TCP, from 127.0.0.N. */
int vnc_connect_from(const struct vnc_scene *s, uint8_t n);
/* Until the server offers its one kind of security, which is expected. */
void vnc_greet(int fd, uint8_t security);
int vnc_dial(const struct vnc_scene *s, uint8_t security);
/* Answers the challenge by this password, and returns what the server says to it; 0: welcome. */
uint32_t vnc_log_in(int fd, const char *password);
/* Reads until the server has closed. */
void vnc_expect_closed(int fd);
/* A client of 32-bit pixels that draws raw rectangles, and follows sizes (NewFBSize). */
struct vnc_caller vnc_join(const struct vnc_scene *s);
void vnc_leave(struct vnc_caller *c);

/* False: the server has closed. */
bool vnc_get(int fd, void *to, size_t len);
void vnc_put(int fd, const void *from, size_t len);
uint32_t vnc_be(const uint8_t *at, unsigned bytes);

void vnc_set_encodings(int fd, const int32_t *encodings, unsigned count);
void vnc_ask(int fd, bool changes_only, uint32_t width, uint32_t height);
/* Draws one update; returns how many pixels came. */
uint32_t vnc_update(struct vnc_caller *c);
/* Asks until it has the scene's picture: the server may not have the newest one at first. */
void vnc_expect_picture(struct vnc_scene *s, struct vnc_caller *c, uint32_t width, uint32_t height);

#endif
