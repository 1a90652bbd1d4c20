// SPDX-License-Identifier: BSD-2-Clause
/* Windows, on an X server of the test's, or with SDL's dummy. */
#include "devices/display/viewer.h"

#include <linux/input-event-codes.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "core/loop/cancel.h"
#include "core/ports/display.h"
#include "tests/harness/fake_sink.h"
#include "tests/harness/folder.h"
#include "tests/harness/test.h"
#include "tests/harness/xvfb.h"

#ifdef HAVE_SDL2

#include <X11/Xlib.h>

#include "core/base/library.h"
#include "devices/display/sdl_calls.h"
#include "devices/display/sdl_keys.h"

#define WIDTH    200u
#define HEIGHT   150u
#define DEADLINE 30000 /* ms */
#define PATIENCE 5     /* ms */

/* What these libraries keep until the process ends is not a leak of the window's. */
const char *__lsan_default_suppressions(void); // NOLINT(bugprone-reserved-identifier,cert-*)
const char *__lsan_default_suppressions(void)  // NOLINT(bugprone-reserved-identifier,cert-*)
{
    return "leak:libSDL2-2.0.so\nleak:libdbus-1.so\n";
}

struct scene {
    struct fake_sink input;
    struct evloop *loop;
    struct viewer *viewer;
    struct xvfb x;
    uint32_t pixels[XVFB_WIDTH * XVFB_HEIGHT];
    uint32_t width, height;
    uint32_t told_width, told_height;
    atomic_uint closed;
};

/* ---- the device ---- */

static void on_resize(void *ctx, unsigned scanout, uint32_t width, uint32_t height)
{
    struct scene *s = ctx;
    cr_assert_eq(scanout, 0);
    s->told_width = width;
    s->told_height = height;
}

static void on_close(void *ctx)
{
    struct scene *s = ctx;
    atomic_fetch_add(&s->closed, 1);
}

static void set_surface(struct scene *s, uint32_t width, uint32_t height)
{
    const struct display_surface surface = {(uint8_t *)s->pixels, width, height, (size_t)width * 4,
                                            DISPLAY_BGRX};
    for (uint32_t i = 0; i < width * height; i++)
        s->pixels[i] = i * 0x010305u & 0xffffff;
    s->width = width;
    s->height = height;
    s->viewer->backend->ops->set_surface(s->viewer->backend, 0, &surface);
}

/* Lets the loop hear the window's thread until it is so. */
#define await(s, condition)                                       \
    for (int left_ = DEADLINE; !(condition); left_ -= PATIENCE) { \
        cr_assert_gt(left_, 0, "never: " #condition);             \
        evloop_drain((s)->loop);                                  \
        (void)poll(NULL, 0, PATIENCE);                            \
    }

/* The picture is in the screen's corner, pixel for pixel. */
static bool is_shown(const struct scene *s)
{
    for (uint32_t y = 0; y < s->height; y++)
        for (uint32_t x = 0; x < s->width; x++)
            if (xvfb_pixel(&s->x, x, y) != s->pixels[y * s->width + x])
                return false;
    return true;
}

static struct viewer_config config_of(struct scene *s)
{
    return (struct viewer_config){.loop = s->loop,
                                  .input = &s->input.sink,
                                  .is_absolute = true,
                                  .name = "guest",
                                  .on_close = on_close,
                                  .ctx = s};
}

static void create(struct scene *s, const struct viewer_config *config)
{
    cr_assert_eq(viewer_sdl_create(&s->viewer, config), 0);
    s->viewer->backend->handler.on_resize = on_resize;
    s->viewer->backend->handler.ctx = s;
}

static void open_scene(struct scene *s, bool is_absolute)
{
    folder_enter();
    fake_sink_init(&s->input);
    xvfb_start(&s->x);
    cr_assert_eq(evloop_create(&s->loop, "test", &clock_host), 0);
    struct viewer_config config = config_of(s);
    config.is_absolute = is_absolute;
    create(s, &config);
    set_surface(s, WIDTH, HEIGHT);
    xvfb_person(
        "search --sync --onlyvisible --name '^guest' windowmove --sync 0 0 windowfocus --sync "
        "mousemove --sync 600 400");
    await(s, is_shown(s));
}

static void close_scene(struct scene *s)
{
    s->viewer->ops->stop(s->viewer);
    evloop_drain(s->loop);
    s->viewer->ops->destroy(s->viewer);
    evloop_destroy(s->loop);
    munmap((void *)s->x.screen, s->x.bytes);
    xvfb_end(&s->x, SIGKILL);
    folder_leave();
}

#define OnWindow(suite, name, is_absolute)   \
    static void try_##name(struct scene *s); \
    Test(suite, name)                        \
    {                                        \
        static struct scene scene;           \
        open_scene(&scene, is_absolute);     \
        try_##name(&scene);                  \
        close_scene(&scene);                 \
    }                                        \
    static void try_##name(struct scene *s)

/* ---- tests ---- */

OnWindow(viewer_sdl, shows_pixels_and_damage, true)
{
    s->pixels[5 * WIDTH + 7] = 0x123456;
    s->viewer->backend->ops->damage(s->viewer->backend, 0, &(struct display_rect){7, 5, 2, 1});
    await(s, xvfb_pixel(&s->x, 7, 5) == 0x123456);
    cr_expect(is_shown(s));
}

OnWindow(viewer_sdl, has_the_size_of_its_picture, true)
{
    set_surface(s, 300, 220);
    await(s, is_shown(s));
    s->viewer->backend->ops->set_surface(s->viewer->backend, 0, NULL);
    await(s, xvfb_pixel(&s->x, 299, 219) == 0);
}

/* The picture keeps its shape: there are black stripes on its left and right. */
OnWindow(viewer_sdl, scales_to_the_size_that_a_person_gives_it, true)
{
    xvfb_person("search --name '^guest' windowsize --sync 600 300");
    await(s, s->told_width == 600 && s->told_height == 300);
    for (unsigned i = 0; i < WIDTH * HEIGHT; i++)
        s->pixels[i] = 0x0000ff;
    s->viewer->backend->ops->damage(s->viewer->backend, 0,
                                    &(struct display_rect){0, 0, WIDTH, HEIGHT});
    await(s, xvfb_pixel(&s->x, 300, 150) == 0x0000ff);
    cr_expect_eq(xvfb_pixel(&s->x, 101, 299), 0x0000ff);
    cr_expect_eq(xvfb_pixel(&s->x, 498, 0), 0x0000ff);
    cr_expect_eq(xvfb_pixel(&s->x, 98, 150), 0);
    cr_expect_eq(xvfb_pixel(&s->x, 501, 150), 0);
    xvfb_person("search --name '^guest' windowsize --sync 500 300");
    await(s, s->told_width == 500);
    /* The guest takes the size over, and has another one later. */
    set_surface(s, 500, 300);
    await(s, is_shown(s));
    set_surface(s, WIDTH, HEIGHT);
    await(s, is_shown(s) && xvfb_pixel(&s->x, WIDTH, 0) == 0);
}

/* The guest hears of no other press, and of no motion, before this one. */
static void expect_first_press(struct scene *s, int key)
{
    struct fake_sink_event e = {FAKE_SINK_RELEASE, 0, 0};
    while (e.type != FAKE_SINK_KEY || e.b == 0) {
        e = fake_sink_next(&s->input);
        cr_assert_neq(e.type, FAKE_SINK_MOVE_BY);
    }
    cr_assert_eq(e.a, key);
}

/* As the window sees it: without a window manager it is not really larger. */
OnWindow(viewer_sdl, fills_the_screen_by_a_shortcut, true)
{
    xvfb_person("key ctrl+alt+f");
    await(s, s->told_width == XVFB_WIDTH && s->told_height == XVFB_HEIGHT);
    expect_first_press(s, KEY_LEFTCTRL);
    expect_first_press(s, KEY_LEFTALT);
    xvfb_person("key ctrl+alt+f key x");
    expect_first_press(s, KEY_LEFTCTRL);
    expect_first_press(s, KEY_LEFTALT);
    expect_first_press(s, KEY_X);
}

OnWindow(viewer_sdl, passes_keys_and_positions_on, true)
{
    xvfb_person("key a F1 mousemove 199 149");
    fake_sink_await(&s->input, FAKE_SINK_KEY, KEY_A, 1);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_A, 0);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_F1, 1);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_F1, 0);
    fake_sink_await(&s->input, FAKE_SINK_MOVE_TO, INPUT_AXIS_MAX, INPUT_AXIS_MAX);
    xvfb_person("mousemove 0 0 click 1 click 4 click 7");
    fake_sink_await(&s->input, FAKE_SINK_MOVE_TO, 0, 0);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, BTN_LEFT, 1);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, BTN_LEFT, 0);
    fake_sink_expect(&s->input, FAKE_SINK_WHEEL, 0, 1);
    fake_sink_expect(&s->input, FAKE_SINK_WHEEL, 1, 0);
}

OnWindow(viewer_sdl, lets_keys_go_with_the_focus, true)
{
    xvfb_person("key ctrl+alt+g search --sync --name 'releases keyboard and mouse' keydown a");
    fake_sink_await(&s->input, FAKE_SINK_KEY, KEY_A, 1);
    xvfb_person("search --name '^guest' windowunmap");
    fake_sink_await(&s->input, FAKE_SINK_RELEASE, 0, 0);
}

/* Until a click, and after the shortcut, the mouse is the host's. */
OnWindow(viewer_sdl, takes_the_mouse_by_a_click, false)
{
    int x = 0, y = 0;
    xvfb_person("mousemove 20 20 mousemove 50 50 click 1 key b");
    expect_first_press(s, KEY_B);
    /* SDL may put the pointer into the middle meanwhile, or hear of its grab too late. */
    for (unsigned tries = 0; x <= 0 || y <= 0; tries++) {
        struct fake_sink_event e = {FAKE_SINK_RELEASE, 0, 0};
        cr_assert_lt(tries, 20u);
        if (tries > 0)
            xvfb_person("key ctrl+alt+g mousemove 50 50 click 1");
        xvfb_person("mousemove_relative 7 9 mousemove_relative 7 9 mousemove_relative 7 9 key d");
        for (x = y = 0; e.type != FAKE_SINK_KEY || e.a != KEY_D || e.b != 0;) {
            e = fake_sink_next(&s->input);
            x += e.type == FAKE_SINK_MOVE_BY ? e.a : 0;
            y += e.type == FAKE_SINK_MOVE_BY ? e.b : 0;
        }
    }
    xvfb_person("click 3");
    fake_sink_await(&s->input, FAKE_SINK_KEY, BTN_RIGHT, 1);
    xvfb_person("key ctrl+alt+g");
    fake_sink_await(&s->input, FAKE_SINK_KEY, KEY_LEFTALT, 0);
    xvfb_person("mousemove_relative 5 5 click 1 key c");
    expect_first_press(s, KEY_C);
}

/* Without a tablet the guest's pointer is not the host's. */
OnWindow(viewer_sdl, draws_the_cursor, false)
{
    static struct display_cursor cursor = {.hot_x = 2, .hot_y = 3};
    for (unsigned i = 0; i < sizeof(cursor.pixels) / 2; i += 4)
        memcpy(cursor.pixels + i, (uint8_t[]){0x10, 0x20, 0x30, 0xff}, 4);
    struct display_backend *b = s->viewer->backend;
    b->ops->move_cursor(b, 0, 12, 23);
    b->ops->set_cursor(b, 0, &cursor);
    await(s, xvfb_pixel(&s->x, 10, 20) == 0x302010);
    cr_expect_eq(xvfb_pixel(&s->x, 73, 51), 0x302010);
    cr_expect_eq(xvfb_pixel(&s->x, 74, 51), s->pixels[51 * WIDTH + 74]);
    cr_expect_eq(xvfb_pixel(&s->x, 10, 52), s->pixels[52 * WIDTH + 10]);
    b->ops->set_cursor(b, 0, NULL);
    await(s, is_shown(s));
    b->ops->set_cursor(b, 0, &cursor);
    await(s, xvfb_pixel(&s->x, 10, 20) == 0x302010);
}

/* All of a picture of four pixels is. */
static bool is_dark(const struct scene *s, uint32_t x, uint32_t y)
{
    return (xvfb_pixel(&s->x, x, y) & 0xf0f0f0) == 0;
}

/* A picture of a few pixels in a large window: SDL would make all of the cursor as large, hundreds
 * of megabytes, for what is seen of it. */
OnWindow(viewer_sdl, draws_of_a_cursor_what_is_in_the_picture, false)
{
    static struct display_cursor cursor;
    struct display_backend *b = s->viewer->backend;
    struct rusage before, after;
    memset(cursor.pixels, 0xff, sizeof(cursor.pixels));
    xvfb_person("search --name '^guest' windowsize --sync 600 300");
    await(s, s->told_width == 600 && s->told_height == 300);
    set_surface(s, 2, 2);
    await(s, is_dark(s, 151, 1) && is_dark(s, 449, 299));
    cr_assert_eq(getrusage(RUSAGE_SELF, &before), 0);
    b->ops->set_cursor(b, 0, &cursor);
    b->ops->move_cursor(b, 0, 1, 1);
    await(s, xvfb_pixel(&s->x, 449, 299) == 0xffffff && is_dark(s, 151, 1));
    b->ops->move_cursor(b, 0, (uint32_t)-63, (uint32_t)-63);
    await(s, xvfb_pixel(&s->x, 151, 1) == 0xffffff && is_dark(s, 449, 299));
    b->ops->move_cursor(b, 0, INT32_MAX, UINT32_C(1) << 31);
    await(s, is_dark(s, 151, 1) && is_dark(s, 449, 299));
    cr_assert_eq(getrusage(RUSAGE_SELF, &after), 0);
    cr_expect_lt(after.ru_maxrss - before.ru_maxrss, 128 << 10, "in KiB");
}

/* With a tablet the host's pointer looks as the guest's, or is hidden. */
OnWindow(viewer_sdl, gives_the_pointer_the_guests_shape, true)
{
    static struct display_cursor cursor = {.hot_x = 1, .hot_y = 1};
    struct display_backend *b = s->viewer->backend;
    for (unsigned i = 0; i < sizeof(cursor.pixels); i += 4)
        memcpy(cursor.pixels + i, (uint8_t[]){0x10, 0x20, 0x30, 0xff}, 4);
    b->ops->set_cursor(b, 0, &cursor);
    xvfb_person("mousemove 50 50");
    await(s, xvfb_pixel(&s->x, 49, 49) == 0x302010 && xvfb_pixel(&s->x, 112, 112) == 0x302010);
    cursor.hot_x = 11;
    b->ops->set_cursor(b, 0, &cursor);
    await(s, xvfb_pixel(&s->x, 39, 49) == 0x302010);
    b->ops->set_cursor(b, 0, NULL);
    await(s, is_shown(s));
    b->ops->set_cursor(b, 0, &cursor);
    await(s, xvfb_pixel(&s->x, 39, 49) == 0x302010);
}

static bool is_open(const char *title)
{
    char line[128];
    (void)snprintf(line, sizeof(line), "xdotool search --onlyvisible --name '%s' >/dev/null",
                   title);
    return system(line) == 0; // NOLINT(cert-env33-c): the test's own words
}

/* The thread opens a window before it gives the picture back: what follows waits for the loop. */
OnWindow(viewer_sdl, opens_a_window_for_each_monitor, true)
{
    struct display_backend *b = s->viewer->backend;
    const struct display_surface surface = {(uint8_t *)s->pixels, WIDTH, HEIGHT, (size_t)WIDTH * 4,
                                            DISPLAY_BGRX};
    b->ops->set_surface(b, 2, NULL);
    for (unsigned i = 0; i < 2; i++) {
        b->ops->set_surface(b, 1, &surface);
        await(s, is_open("^guest, monitor 2"));
        b->ops->set_surface(b, 1, NULL);
        await(s, !is_open("monitor"));
    }
}

/* As a window manager does when a person closes the window. */
static void close_window(void)
{
    struct {
        __typeof__(&XOpenDisplay) open;
        __typeof__(&XInternAtom) atom;
        __typeof__(&XSendEvent) send;
        __typeof__(&XCloseDisplay) close;
    } x = {0};
    static const struct library_call calls[] = {{"XOpenDisplay", 0},
                                                {"XInternAtom", sizeof(void *)},
                                                {"XSendEvent", 2 * sizeof(void *)},
                                                {"XCloseDisplay", 3 * sizeof(void *)}};
    static const struct library library = {"test", "libX11.so.6", "libx11-6"};
    FILE *window = popen("xdotool search --name '^guest'", "re"); // NOLINT(cert-env33-c)
    char id[32] = "";
    cr_assert(window != NULL && fgets(id, sizeof(id), window) != NULL);
    pclose(window);
    cr_assert_eq(library_load(&library, calls, ARRAY_SIZE(calls), &x), 0);
    Display *display = x.open(NULL);
    cr_assert(display != NULL);
    XEvent e = {.xclient = {.type = ClientMessage, .window = strtoul(id, NULL, 10), .format = 32}};
    e.xclient.message_type = x.atom(display, "WM_PROTOCOLS", False);
    e.xclient.data.l[0] = (long)x.atom(display, "WM_DELETE_WINDOW", False);
    x.send(display, e.xclient.window, False, NoEventMask, &e);
    x.close(display);
}

OnWindow(viewer_sdl, tells_that_it_is_closed, true)
{
    close_window();
    await(s, atomic_load(&s->closed) == 1);
    xvfb_person("search --sync --name 'once more to end the guest'");
    close_window();
    await(s, atomic_load(&s->closed) == 2);
}

/* As another program of the person may do: what ends afterwards is the viewer, not the process. */
OnWindow(viewer_sdl, survives_that_its_window_is_destroyed, true)
{
    xvfb_person("search --name '^guest' windowclose");
    xvfb_person("sh -c 'while xdotool search --name ^guest; do sleep 0.02; done'");
    cr_expect_eq(atomic_load(&s->closed), 0, "the power button is not pressed");
}

/* The guest and its display go on. */
OnWindow(viewer_sdl, survives_its_x_server, true)
{
    listen_to_log(LOG_WARN);
    xvfb_end(&s->x, SIGKILL);
    fake_sink_await(&s->input, FAKE_SINK_RELEASE, 0, 0);
    cr_expect(strstr(logged_line, "runs on without a window") != NULL, "%s", logged_line);
    for (unsigned i = 0; i < 3; i++) {
        set_surface(s, WIDTH + i, HEIGHT);
        evloop_drain(s->loop);
    }
}

OnWindow(viewer_sdl, ends_although_its_x_server_does_not_answer, true)
{
    kill(s->x.pid, SIGSTOP);
    set_surface(s, WIDTH, HEIGHT);
}

/* ---- without a window system: SDL's dummy, and events as SDL would have them ---- */

static void open_dummy(struct scene *s)
{
    unsetenv("DISPLAY");
    unsetenv("WAYLAND_DISPLAY");
    cr_assert_eq(setenv("SDL_VIDEODRIVER", "dummy", 1), 0);
    *s = (struct scene){0};
    fake_sink_init(&s->input);
    cr_assert_eq(evloop_create(&s->loop, "test", &clock_host), 0);
}

static void close_dummy(struct scene *s)
{
    s->viewer->ops->stop(s->viewer);
    s->viewer->ops->stop(s->viewer);
    s->viewer->ops->destroy(s->viewer);
    evloop_destroy(s->loop);
}

static void push(SDL_Event e)
{
    struct {
        __typeof__(&SDL_PushEvent) push;
    } sdl;
    static const struct library_call call = {"SDL_PushEvent", 0};
    static const struct library library = {"test", "libSDL2-2.0.so.0", "libsdl2-2.0-0"};
    cr_assert_eq(library_load(&library, &call, 1, &sdl), 0);
    cr_assert_eq(sdl.push(&e), 1);
}

#define WINDOW 1u /* SDL's number of the first one */

static void finger(uint32_t type, unsigned id, float x, float y)
{
    push(
        (SDL_Event){.tfinger = {.type = type, .fingerId = id, .x = x, .y = y, .windowID = WINDOW}});
}

static void key(uint32_t type, SDL_Scancode scancode, bool is_repeat)
{
    push((SDL_Event){.key = {.type = type,
                             .windowID = WINDOW,
                             .state = type == SDL_KEYDOWN,
                             .repeat = is_repeat,
                             .keysym.scancode = scancode}});
}

static void button(uint32_t type, uint8_t number, uint32_t which)
{
    push((SDL_Event){.button = {.type = type,
                                .windowID = WINDOW,
                                .which = which,
                                .button = number,
                                .state = type == SDL_MOUSEBUTTONDOWN}});
}

Test(viewer_sdl, passes_fingers_on)
{
    static struct scene scene;
    struct scene *s = &scene;
    open_dummy(s);
    struct viewer_config config = config_of(s);
    config.has_touch = true;
    create(s, &config);
    set_surface(s, WIDTH, HEIGHT);
    button(SDL_MOUSEBUTTONDOWN, SDL_BUTTON_LEFT, SDL_TOUCH_MOUSEID);
    for (unsigned i = 0; i <= INPUT_TOUCHES; i++)
        finger(SDL_FINGERDOWN, 100 + i, 0, 0);
    finger(SDL_FINGERMOTION, 101, 1, 1);
    finger(SDL_FINGERUP, 101, 1, 1);
    push((SDL_Event){.tfinger = {.type = SDL_FINGERDOWN, .windowID = 77}});
    for (unsigned i = 0; i < INPUT_TOUCHES; i++)
        fake_sink_expect(&s->input, FAKE_SINK_TOUCH, (int)i, 1);
    fake_sink_expect(&s->input, FAKE_SINK_TOUCH, 1, 1);
    fake_sink_expect(&s->input, FAKE_SINK_TOUCH, 1, 0);
    key(SDL_KEYDOWN, SDL_SCANCODE_A, false);
    fake_sink_await(&s->input, FAKE_SINK_KEY, KEY_A, 1);
    close_dummy(s);
}

/* A guest without a touch screen, and without a tablet: a finger is a mouse, which a click takes.
 */
Test(viewer_sdl, takes_fingers_for_a_mouse)
{
    static struct scene scene;
    struct scene *s = &scene;
    open_dummy(s);
    struct viewer_config config = config_of(s);
    config.is_absolute = false;
    create(s, &config);
    button(SDL_MOUSEBUTTONUP, SDL_BUTTON_LEFT, SDL_TOUCH_MOUSEID);
    button(SDL_MOUSEBUTTONDOWN, SDL_BUTTON_LEFT, SDL_TOUCH_MOUSEID);
    button(SDL_MOUSEBUTTONUP, SDL_BUTTON_LEFT, SDL_TOUCH_MOUSEID);
    button(SDL_MOUSEBUTTONDOWN, SDL_BUTTON_RIGHT, SDL_TOUCH_MOUSEID);
    fake_sink_await(&s->input, FAKE_SINK_KEY, BTN_LEFT, 0);
    fake_sink_await(&s->input, FAKE_SINK_KEY, BTN_RIGHT, 1);
    close_dummy(s);
}

/* Late news of a size that the window was given here is not a person's wish. */
Test(viewer_sdl, asks_the_guest_for_no_size_of_its_own)
{
    static struct scene scene;
    struct scene *s = &scene;
    open_dummy(s);
    struct viewer_config config = config_of(s);
    create(s, &config);
    for (unsigned i = 0; i < 2; i++) {
        push((SDL_Event){.window = {.type = SDL_WINDOWEVENT,
                                    .windowID = WINDOW,
                                    .event = SDL_WINDOWEVENT_RESIZED}});
        set_surface(s, WIDTH + i, HEIGHT);
        for (unsigned j = 0; j < 40; j++) { /* until that has settled */
            evloop_drain(s->loop);
            (void)poll(NULL, 0, PATIENCE);
        }
    }
    cr_expect_eq(s->told_width, 0);
    close_dummy(s);
}

/* Events of other windows, of keys that have no name here, and repeats. */
Test(viewer_sdl, passes_over_what_is_not_the_guests)
{
    static struct scene scene;
    struct scene *s = &scene;
    open_dummy(s);
    struct viewer_config config = config_of(s);
    create(s, &config);
    static const uint32_t types[] = {SDL_WINDOWEVENT, SDL_KEYDOWN,  SDL_MOUSEMOTION, SDL_FINGERDOWN,
                                     SDL_MOUSEWHEEL,  SDL_DROPTEXT, SDL_USEREVENT};
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        push((SDL_Event){.motion = {.type = types[i], .windowID = 77}});
    key(SDL_KEYDOWN, SDL_SCANCODE_A, true);
    key(SDL_KEYDOWN, (SDL_Scancode)500, false);
    button(SDL_MOUSEBUTTONDOWN, 40, 0);
    button(SDL_MOUSEBUTTONDOWN, 0, 0);
    push((SDL_Event){.window = {.type = SDL_WINDOWEVENT,
                                .windowID = WINDOW,
                                .event = SDL_WINDOWEVENT_TAKE_FOCUS}});
    push((SDL_Event){.wheel = {.type = SDL_MOUSEWHEEL,
                               .windowID = WINDOW,
                               .y = 3,
                               .direction = SDL_MOUSEWHEEL_FLIPPED}});
    key(SDL_KEYUP, SDL_SCANCODE_B, false);
    fake_sink_await(&s->input, FAKE_SINK_WHEEL, 0, -3);
    fake_sink_expect(&s->input, FAKE_SINK_KEY, KEY_B, 0);
    cr_expect_leq(s->input.seen, 3, "more was heard"); /* the focus may have come and gone */
    close_dummy(s);
}

/* A guest without keyboard and mouse. */
Test(viewer_sdl, shows_a_guest_that_hears_nothing)
{
    static struct scene scene;
    struct scene *s = &scene;
    open_dummy(s);
    create(s, &(struct viewer_config){.loop = s->loop});
    set_surface(s, WIDTH, HEIGHT);
    key(SDL_KEYDOWN, SDL_SCANCODE_A, false);
    finger(SDL_FINGERDOWN, 1, 0, 0);
    push((SDL_Event){.motion = {.type = SDL_MOUSEMOTION, .windowID = WINDOW}});
    for (unsigned i = SDL_WINDOWEVENT_FOCUS_LOST; i <= SDL_WINDOWEVENT_CLOSE; i++)
        push((SDL_Event){
            .window = {.type = SDL_WINDOWEVENT, .windowID = WINDOW, .event = (uint8_t)i}});
    listen_to_log(LOG_WARN);
    push((SDL_Event){.type = SDL_QUIT});
    await(s, logged_lines > 0);
    cr_expect(strstr(logged_line, "runs on without a window") != NULL, "%s", logged_line);
    close_dummy(s);
}

/* However many descriptors are left, it works or says why. */
Test(viewer_sdl, descriptors_run_out)
{
    static struct scene scene;
    struct scene *s = &scene;
    struct rlimit limit;
    int first = dup(0), r = -EMFILE;
    close(first);
    open_dummy(s);
    getrlimit(RLIMIT_NOFILE, &limit);
    struct viewer_config config = config_of(s);
    create(s, &config); /* the library is there */
    s->viewer->ops->stop(s->viewer);
    s->viewer->ops->destroy(s->viewer);
    for (limit.rlim_cur = (rlim_t)first; r < 0; limit.rlim_cur++) {
        setrlimit(RLIMIT_NOFILE, &limit);
        r = viewer_sdl_create(&s->viewer, &config);
    }
    cr_expect_gt(limit.rlim_cur, (rlim_t)first + 2);
    close_dummy(s);
}

/* ---- without SDL's dummy ---- */

static void refuses(const char *why)
{
    struct evloop *loop;
    struct viewer *viewer = NULL;
    listen_to_log(LOG_ERROR);
    cr_assert_eq(evloop_create(&loop, "test", &clock_host), 0);
    cr_expect_lt(viewer_sdl_create(&viewer, &(struct viewer_config){.loop = loop}), 0);
    cr_expect(strstr(logged_line, why) != NULL, "%s", logged_line);
    cr_expect_eq(logged_lines, 1);
    evloop_destroy(loop);
}

Test(viewer_sdl, says_that_there_is_no_window_system)
{
    unsetenv("WAYLAND_DISPLAY");
    unsetenv("SDL_VIDEODRIVER");
    unsetenv("DISPLAY");
    refuses("neither DISPLAY nor WAYLAND_DISPLAY is set");
}

Test(viewer_sdl, says_that_no_x_server_answers)
{
    unsetenv("WAYLAND_DISPLAY");
    unsetenv("SDL_VIDEODRIVER");
    setenv("DISPLAY", "unix:/nowhere/x:0", 1);
    refuses("does the X server or compositor run");
    unsetenv("DISPLAY");
    setenv("WAYLAND_DISPLAY", "/nowhere/wayland", 1);
    refuses("does the X server or compositor run");
}

/* It lets its clients connect, and says nothing to them. */
Test(viewer_sdl, gives_up_an_x_server_that_does_not_answer, .timeout = 60)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct viewer *viewer = NULL;
    struct viewer_config config = {0};
    struct cancel cancel;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), err = -1;
    unsigned display = 100;
    char name[32];
#ifdef __SANITIZE_THREAD__
    cr_skip_test("the thread that waits for it outlives the libraries' own ends");
#endif
    for (; err < 0 && display < 200; display++) {
        at.sin_port = htons((uint16_t)(6000 + display));
        err = bind(fd, (struct sockaddr *)&at, sizeof(at));
    }
    cr_assert(err == 0 && listen(fd, 1) == 0);
    (void)snprintf(name, sizeof(name), "127.0.0.1:%u", display - 1);
    unsetenv("WAYLAND_DISPLAY");
    unsetenv("SDL_VIDEODRIVER");
    setenv("DISPLAY", name, 1);
    listen_to_log(LOG_ERROR);
    cr_assert_eq(cancel_init(&cancel), 0);
    cancel_ask(&cancel);
    config.cancel = &cancel;
    cr_assert_eq(evloop_create(&config.loop, "test", &clock_host), 0);
    cr_expect_eq(viewer_sdl_create(&viewer, &config), -ECANCELED);
    expect_logged("does not answer");
    evloop_destroy(config.loop);
    close(fd);
}

Test(viewer_sdl, knows_keys_by_their_place)
{
    static const uint32_t rows[][2] = {{0x04, KEY_A},
                                       {0x1d, KEY_Z},
                                       {0x1e, KEY_1},
                                       {0x27, KEY_0},
                                       {0x28, KEY_ENTER},
                                       {0x38, KEY_SLASH},
                                       {0x39, KEY_CAPSLOCK},
                                       {0x3a, KEY_F1},
                                       {0x45, KEY_F12},
                                       {0x46, KEY_SYSRQ},
                                       {0x52, KEY_UP},
                                       {0x53, KEY_NUMLOCK},
                                       {0x63, KEY_KPDOT},
                                       {0x64, KEY_102ND},
                                       {0x65, KEY_COMPOSE},
                                       {0x73, KEY_F24},
                                       {0x81, KEY_VOLUMEDOWN},
                                       {0x87, KEY_RO},
                                       {0x94, KEY_ZENKAKUHANKAKU},
                                       {0xe0, KEY_LEFTCTRL},
                                       {0xe7, KEY_RIGHTMETA},
                                       {0, 0},
                                       {0xe8, 0},
                                       {511, 0}};
    for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
        cr_expect_eq(sdl_key(rows[i][0]), rows[i][1], "%x", rows[i][0]);
}

#else

Test(viewer_sdl, is_not_in_this_build)
{
    struct viewer *viewer = NULL;
    printf("# skipped: windows (libsdl2-dev is not installed)\n");
    cr_assert_eq(viewer_sdl_create(&viewer, &(struct viewer_config){0}), -ENOSYS);
}

#endif
