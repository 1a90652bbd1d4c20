// SPDX-License-Identifier: BSD-2-Clause
/*
 * Windows, by SDL, which is loaded when it is asked for. One thread makes all of its calls. It
 * sleeps in poll(2) on the X server's socket and on the wake() of the screen: SDL's own way to wake
 * a thread would have the loop talk to the X server.
 */
#include "devices/display/viewer.h"

#include <errno.h>

#include "core/base/fail.h"

#ifndef HAVE_SDL2

int viewer_sdl_create(struct viewer **out, const struct viewer_config *config)
{
    (void)out, (void)config;
    return fail_msg(-ENOSYS, "display sdl: this Minivet was built without SDL (libsdl2-dev)");
}

#else

#include <linux/input-event-codes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/loop/cancel.h"
#include "core/loop/workpool.h"
#include "core/ports/display.h"
#include "core/ports/input.h"
#include "devices/display/screen.h"
#include "devices/display/sdl_keys.h"
#include "devices/display/sdl_window.h"

#define NS_PER_MS UINT64_C(1000000)
#define FRAME_NS  (8 * NS_PER_MS)   /* from one frame to the next, at least */
#define SETTLE_NS (150 * NS_PER_MS) /* after which a window has the size that a person wants */
#define IDLE_MS   100               /* SDL has some work of its own to do */
#define BLIND_MS  10                /* where SDL does not tell the socket of its window system */
#define STOP_MS   1000              /* then the X server does not answer */

struct sdl {
    struct viewer base;
    struct viewer_config cfg;
    char name[64];
    struct screen *screen;
    int wake_fd, told_fd; /* the latter: the thread has begun, or has ended */
    atomic_bool is_stopping;
    pthread_t thread;
    bool has_thread;
    bool is_abandoned; /* the thread has it, and ends it with the process */

    /* The thread's. */
    int result; /* of its begin; create() reads it afterwards */
    struct sdl_calls calls;
    struct sdl_x11 x11; /* stop() reads its descriptor */
    struct sdl_window windows[DISPLAY_SCANOUTS_MAX];
    uint64_t frame_ns;                         /* when frames were taken last */
    uint64_t resized_ns[DISPLAY_SCANOUTS_MAX]; /* when a window's size changed last; 0: settled */
    bool is_grabbed, is_closing;
    SDL_FingerID fingers[INPUT_TOUCHES];
    bool is_down[INPUT_TOUCHES];
};

static void wake(void *ctx)
{
    const struct sdl *v = ctx;
    (void)eventfd_write(v->wake_fd, 1);
}

/* ---- windows ---- */

static void set_title(struct sdl *v, unsigned scanout)
{
    char title[256], monitor[24] = "";
    const char *hint = v->is_closing        ? "close it once more to end the guest at once"
                       : v->is_grabbed      ? "Ctrl-Alt-G releases keyboard and mouse"
                       : v->cfg.is_absolute ? "Ctrl-Alt-G grabs the keyboard"
                                            : "click to use the mouse";
    if (v->windows[scanout].window == NULL)
        return;
    if (scanout > 0)
        (void)snprintf(monitor, sizeof(monitor), ", monitor %u", scanout + 1);
    (void)snprintf(title, sizeof(title), "%s%s (%s, Ctrl-Alt-F: full screen)", v->name, monitor,
                   hint);
    v->calls.SetWindowTitle(v->windows[scanout].window, title);
}

static void set_titles(struct sdl *v)
{
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++)
        set_title(v, i);
}

static bool open_window(struct sdl *v, unsigned scanout)
{
    struct sdl_window *w = &v->windows[scanout];
    if (!sdl_window_open(w, &v->calls, !v->cfg.is_absolute))
        return false;
    set_title(v, scanout);
    return true;
}

/* False: the window is not one of the guest's. */
static bool find_window(const struct sdl *v, uint32_t id, unsigned *scanout)
{
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++)
        if (v->windows[i].window != NULL && v->calls.GetWindowID(v->windows[i].window) == id) {
            *scanout = i;
            return true;
        }
    return false;
}

/* Over a window there is the guest's cursor, or none: the guest draws its own. */
static void show_cursor(const struct sdl *v, unsigned scanout)
{
    const struct sdl_window *w = &v->windows[scanout];
    if (!v->cfg.is_absolute)
        return;
    if (w->cursor != NULL)
        v->calls.SetCursor(w->cursor);
    v->calls.ShowCursor(w->cursor != NULL ? SDL_ENABLE : SDL_DISABLE);
}

static bool has_mouse(const struct sdl *v, unsigned scanout)
{
    return v->calls.GetWindowFlags(v->windows[scanout].window) & SDL_WINDOW_MOUSE_FOCUS;
}

/* The first window is always there. */
static void take_frame(struct sdl *v, unsigned scanout, const struct screen_frame *frame)
{
    struct sdl_window *w = &v->windows[scanout];
    bool is_seen = frame->width > 0 || scanout == 0;
    if (w->window == NULL && is_seen && !open_window(v, scanout))
        log_warn("display sdl: no window for monitor %u: %s", scanout + 1, v->calls.GetError());
    if (w->window == NULL)
        return;
    if (!sdl_window_take(w, frame))
        log_warn("display sdl: a picture of %u x %u pixels is not shown: %s", frame->width,
                 frame->height, v->calls.GetError());
    if (frame->is_new && is_seen)
        v->calls.ShowWindow(w->window);
    else if (frame->is_new)
        v->calls.HideWindow(w->window);
    if (frame->cursor_is_new && has_mouse(v, scanout))
        show_cursor(v, scanout);
}

static void take_frames(struct sdl *v)
{
    struct screen_frame frame;
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++) {
        if (!screen_take(v->screen, i, &frame))
            continue;
        take_frame(v, i, &frame);
        screen_done(v->screen, i);
    }
    v->frame_ns = clock_now_ns(&clock_host);
}

/* ---- what a person does ---- */

static void grab(struct sdl *v, unsigned scanout, bool on)
{
    v->is_grabbed = on;
    v->calls.SetWindowKeyboardGrab(v->windows[scanout].window, on);
    if (!v->cfg.is_absolute)
        v->calls.SetRelativeMouseMode(on);
    set_titles(v);
}

static void toggle_full_screen(struct sdl *v, unsigned scanout)
{
    SDL_Window *window = v->windows[scanout].window;
    bool is_full = v->calls.GetWindowFlags(window) & SDL_WINDOW_FULLSCREEN;
    v->calls.SetWindowFullscreen(window, is_full ? 0 : SDL_WINDOW_FULLSCREEN_DESKTOP);
}

/* True: the key is the window's. */
static bool is_shortcut(struct sdl *v, unsigned scanout, const SDL_Keysym *key)
{
    if (!(key->mod & KMOD_LCTRL) || !(key->mod & KMOD_LALT))
        return false;
    if (key->scancode == SDL_SCANCODE_G)
        grab(v, scanout, !v->is_grabbed);
    else if (key->scancode == SDL_SCANCODE_F)
        toggle_full_screen(v, scanout);
    return key->scancode == SDL_SCANCODE_G || key->scancode == SDL_SCANCODE_F;
}

static void on_key(struct sdl *v, unsigned scanout, const SDL_KeyboardEvent *e)
{
    unsigned key = sdl_key(e->keysym.scancode);
    bool is_down = e->state == SDL_PRESSED;
    if (e->repeat != 0 || (is_down && is_shortcut(v, scanout, &e->keysym)))
        return;
    if (key != 0 && v->cfg.input != NULL)
        v->cfg.input->ops->key(v->cfg.input, key, is_down);
}

static void on_motion(struct sdl *v, unsigned scanout, const SDL_MouseMotionEvent *e)
{
    struct input_sink *input = v->cfg.input;
    unsigned x = 0, y = 0;
    if (v->cfg.is_absolute) {
        sdl_window_place(&v->windows[scanout], e->x, e->y, &x, &y);
        input->ops->move_to(input, scanout, x, y);
    } else if (v->is_grabbed) {
        input->ops->move_by(input, e->xrel, e->yrel);
    }
}

/* Without a tablet a click takes the mouse, and only then buttons are the guest's. */
static void on_button(struct sdl *v, unsigned scanout, const SDL_MouseButtonEvent *e)
{
    static const unsigned buttons[] = {
        [SDL_BUTTON_LEFT] = BTN_LEFT,   [SDL_BUTTON_MIDDLE] = BTN_MIDDLE,
        [SDL_BUTTON_RIGHT] = BTN_RIGHT, [SDL_BUTTON_X1] = BTN_SIDE,
        [SDL_BUTTON_X2] = BTN_EXTRA,
    };
    bool is_down = e->state == SDL_PRESSED;
    if (!v->cfg.is_absolute && !v->is_grabbed) {
        if (is_down)
            grab(v, scanout, true);
        return;
    }
    if (e->button < ARRAY_SIZE(buttons) && buttons[e->button] != 0)
        v->cfg.input->ops->key(v->cfg.input, buttons[e->button], is_down);
}

static void on_wheel(struct sdl *v, const SDL_MouseWheelEvent *e)
{
    int sign = e->direction == SDL_MOUSEWHEEL_FLIPPED ? -1 : 1;
    v->cfg.input->ops->wheel(v->cfg.input, sign * e->x, sign * e->y);
}

/* Its slot; INPUT_TOUCHES: there is none. */
static unsigned slot_of(const struct sdl *v, SDL_FingerID finger)
{
    unsigned free_slot = INPUT_TOUCHES;
    for (unsigned i = 0; i < INPUT_TOUCHES; i++) {
        if (v->is_down[i] && v->fingers[i] == finger)
            return i;
        if (!v->is_down[i] && free_slot == INPUT_TOUCHES)
            free_slot = i;
    }
    return free_slot;
}

static void on_finger(struct sdl *v, unsigned scanout, const SDL_TouchFingerEvent *e)
{
    unsigned slot = slot_of(v, e->fingerId), x = 0, y = 0;
    int width = 0, height = 0;
    if (slot == INPUT_TOUCHES)
        return;
    v->calls.GetWindowSize(v->windows[scanout].window, &width, &height);
    sdl_window_place(&v->windows[scanout], (double)e->x * width, (double)e->y * height, &x, &y);
    v->fingers[slot] = e->fingerId;
    v->is_down[slot] = e->type != SDL_FINGERUP;
    v->cfg.input->ops->touch(v->cfg.input, slot, v->is_down[slot], x, y);
}

/* Nothing stays down that goes up elsewhere. */
static void let_go(struct sdl *v)
{
    memset(v->is_down, 0, sizeof(v->is_down));
    if (v->cfg.input != NULL)
        v->cfg.input->ops->release(v->cfg.input);
}

/* ---- events ---- */

static void on_close(struct sdl *v)
{
    v->is_closing = true;
    set_titles(v);
    if (v->cfg.on_close != NULL)
        v->cfg.on_close(v->cfg.ctx);
}

static void on_window(struct sdl *v, unsigned scanout, const SDL_WindowEvent *e)
{
    struct sdl_window *w = &v->windows[scanout];
    switch (e->event) {
    case SDL_WINDOWEVENT_RESIZED: /* by a person, or late news of SDL_SetWindowSize() */
        v->resized_ns[scanout] = clock_now_ns(&clock_host);
        w->is_changing = w->is_stale = true;
        break;
    case SDL_WINDOWEVENT_EXPOSED:
    case SDL_WINDOWEVENT_SIZE_CHANGED:
        w->is_stale = true;
        break;
    case SDL_WINDOWEVENT_ENTER:
        show_cursor(v, scanout);
        break;
    case SDL_WINDOWEVENT_FOCUS_LOST:
        if (v->is_grabbed)
            grab(v, scanout, false);
        let_go(v);
        break;
    case SDL_WINDOWEVENT_CLOSE:
        on_close(v);
        break;
    default:
        break;
    }
}

/* Fingers are pointers, too, for a guest without a touch screen. */
static void on_pointer(struct sdl *v, unsigned scanout, const SDL_Event *e)
{
    bool is_finger = e->motion.which == SDL_TOUCH_MOUSEID; /* where all these events have it */
    if (v->cfg.input == NULL || (is_finger && v->cfg.has_touch))
        return;
    if (e->type == SDL_MOUSEMOTION)
        on_motion(v, scanout, &e->motion);
    else if (e->type == SDL_MOUSEWHEEL)
        on_wheel(v, &e->wheel);
    else
        on_button(v, scanout, &e->button);
}

/* False: the window system is gone. */
static bool on_event(struct sdl *v, const SDL_Event *e)
{
    unsigned scanout = 0;
    switch (e->type) {
    case SDL_QUIT:
        return false;
    case SDL_WINDOWEVENT:
        if (find_window(v, e->window.windowID, &scanout))
            on_window(v, scanout, &e->window);
        break;
    case SDL_KEYDOWN:
    case SDL_KEYUP:
        if (find_window(v, e->key.windowID, &scanout))
            on_key(v, scanout, &e->key);
        break;
    case SDL_MOUSEMOTION:
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP:
    case SDL_MOUSEWHEEL:
        if (find_window(v, e->motion.windowID, &scanout))
            on_pointer(v, scanout, e);
        break;
    case SDL_FINGERDOWN:
    case SDL_FINGERMOTION:
    case SDL_FINGERUP:
        if (v->cfg.input != NULL && v->cfg.has_touch &&
            find_window(v, e->tfinger.windowID, &scanout))
            on_finger(v, scanout, &e->tfinger);
        break;
    default:
        break;
    }
    return true;
}

/* ---- the thread ---- */

/* The size that a person has given a window. While the window still changes, the guest is left
 * alone. */
static void tell_sizes(struct sdl *v)
{
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++) {
        int width = 0, height = 0;
        if (v->resized_ns[i] == 0 || clock_now_ns(&clock_host) - v->resized_ns[i] < SETTLE_NS)
            continue;
        v->resized_ns[i] = 0;
        sdl_window_size(&v->windows[i], &width, &height);
        if (sdl_window_settle(&v->windows[i]) && width > 0 && height > 0)
            screen_resize(v->screen, i, (uint32_t)width, (uint32_t)height);
    }
}

static void draw_windows(struct sdl *v)
{
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++)
        if (v->windows[i].window != NULL && v->windows[i].is_stale)
            sdl_window_draw(&v->windows[i]);
}

/* Frames are not taken in earnest before their time, and the screen merges what comes. */
static void wait_for_work(struct sdl *v)
{
    struct pollfd fds[] = {{.fd = v->x11.fd, .events = POLLIN},
                           {.fd = v->wake_fd, .events = POLLIN}};
    uint64_t since_ns = clock_now_ns(&clock_host) - v->frame_ns;
    eventfd_t count;
    if (since_ns < FRAME_NS) {
        (void)poll(fds, 1, (int)((FRAME_NS - since_ns + NS_PER_MS - 1) / NS_PER_MS));
        return;
    }
    (void)poll(fds, 2, v->x11.fd >= 0 ? IDLE_MS : BLIND_MS);
    if (fds[1].revents == 0)
        return;
    (void)eventfd_read(v->wake_fd, &count);
    take_frames(v);
}

/* False: the window system is gone. */
static bool serve(struct sdl *v)
{
    SDL_Event e;
    while (!atomic_load(&v->is_stopping)) {
        while (v->calls.PollEvent(&e))
            if (!on_event(v, &e))
                return false;
        tell_sizes(v);
        draw_windows(v);
        wait_for_work(v);
    }
    return true;
}

/* The guest goes on without windows. */
static void say_lost(struct sdl *v)
{
    if (atomic_load(&v->is_stopping))
        return;
    log_warn("display sdl: the window system is gone; the guest runs on without a window");
    let_go(v);
}

/* From the middle of a call of Xlib's, to which it must not return: the thread ends here. */
static void on_lost(Display *display, void *ctx)
{
    struct sdl *v = ctx;
    (void)display;
    say_lost(v);
    (void)eventfd_write(v->told_fd, 1);
    pthread_exit(NULL);
}

/*
 * On X11 pixels are put into the window from here: neither a GPU's driver in this process nor the
 * X server's OpenGL is needed. SDL_RENDER_DRIVER and SDL_FRAMEBUFFER_ACCELERATION name others.
 */
static void set_hints(struct sdl *v)
{
    static const char *const hints[][2] = {
        {SDL_HINT_NO_SIGNAL_HANDLERS, "1"},
        {SDL_HINT_QUIT_ON_LAST_WINDOW_CLOSE, "0"},
        {SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1"},
        {SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0"},
        {SDL_HINT_VIDEO_MINIMIZE_ON_FOCUS_LOSS, "0"},
        {SDL_HINT_RENDER_SCALE_QUALITY, "linear"},
        {SDL_HINT_VIDEODRIVER, "x11,wayland"},
    };
    v->calls.SetMainReady();
    for (unsigned i = 0; i < ARRAY_SIZE(hints); i++)
        v->calls.SetHint(hints[i][0], hints[i][1]);
}

static int open_windows(struct sdl *v)
{
    static const SDL_EventType ignored[] = {SDL_DROPFILE, SDL_DROPTEXT};
    const char *driver = v->calls.GetCurrentVideoDriver();
    if (driver != NULL && strcmp(driver, "x11") == 0) {
        v->calls.SetHint(SDL_HINT_RENDER_DRIVER, "software");
        v->calls.SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
    }
    for (unsigned i = 0; i < ARRAY_SIZE(ignored); i++)
        v->calls.EventState(ignored[i], SDL_IGNORE);
    v->calls.StopTextInput();
    if (!open_window(v, 0))
        return fail_msg(-EIO, "display sdl: open a window: %s", v->calls.GetError());
    return sdl_x11_survive(&v->calls, v->windows[0].window, on_lost, v, &v->x11);
}

static void end(struct sdl *v)
{
    for (unsigned i = 0; i < DISPLAY_SCANOUTS_MAX; i++)
        if (v->windows[i].window != NULL)
            sdl_window_close(&v->windows[i]);
    /* SDL puts back the handler of Xlib that ends the process, before it hears of all errors. */
    if (v->x11.fd >= 0)
        v->x11.sync(v->x11.display, False);
    v->calls.QuitSubSystem(SDL_INIT_VIDEO);
}

static int begin(struct sdl *v)
{
    set_hints(v);
    if (v->calls.InitSubSystem(SDL_INIT_VIDEO) < 0)
        return fail_msg(-EIO,
                        "display sdl: %s; does the X server or compositor run, and may this user "
                        "connect? --display vnc=:1 needs none",
                        v->calls.GetError());
    int err = open_windows(v);
    if (err < 0)
        end(v);
    return err;
}

static void *run(void *arg)
{
    struct sdl *v = arg;
    thread_role_enter(THREAD_WINDOW);
    v->result = begin(v);
    bool has_begun = v->result == 0;
    (void)eventfd_write(v->told_fd, 1);
    if (!has_begun)
        return NULL;
    if (serve(v))
        end(v);
    else
        say_lost(v);
    (void)eventfd_write(v->told_fd, 1);
    return NULL;
}

/* False: it has not yet said anything. */
static bool wait_for_thread(struct sdl *v, int timeout_ms)
{
    eventfd_t count;
    (void)cancel_poll(NULL, v->told_fd, POLLIN, timeout_ms); /* signals may come all the time */
    return eventfd_read(v->told_fd, &count) == 0;
}

static void sdl_stop(struct viewer *viewer)
{
    struct sdl *v = container_of(viewer, struct sdl, base);
    if (!v->has_thread)
        return;
    atomic_store(&v->is_stopping, true);
    wake(v);
    /* An X server that does not answer is taken for one that is gone. */
    if (!wait_for_thread(v, STOP_MS) && v->x11.fd >= 0)
        (void)shutdown(v->x11.fd, SHUT_RDWR);
    pthread_join(v->thread, NULL);
    v->has_thread = false;
}

/* ---- life ---- */

static void sdl_destroy(struct viewer *viewer)
{
    struct sdl *v = container_of(viewer, struct sdl, base);
    screen_destroy(v->screen);
    if (v->is_abandoned)
        return;
    if (v->wake_fd >= 0)
        close(v->wake_fd);
    if (v->told_fd >= 0)
        close(v->told_fd);
    free(v);
}

static const struct viewer_ops sdl_ops = {.stop = sdl_stop, .destroy = sdl_destroy};

/* Not lost: it is the thread's, and ends with the process. */
static struct sdl *volatile abandoned;

/* Xlib waits for an X server that does not answer, and cannot be told to end. */
static int abandon(struct sdl *v)
{
    pthread_detach(v->thread);
    v->is_abandoned = true;
    abandoned = v;
    return fail(-ECANCELED, "display sdl: the window system does not answer");
}

static int start(struct sdl *v)
{
    int err = thread_start(&v->thread, "sdl", run, v);
    if (err < 0)
        return fail(err, "display sdl: thread");
    err = cancel_poll(v->cfg.cancel, v->told_fd, POLLIN, -1);
    if (err < 0)
        atomic_store(&v->is_stopping, true);
    if (!wait_for_thread(v, err < 0 ? STOP_MS : -1))
        return abandon(v);
    if (v->result < 0)
        pthread_join(v->thread, NULL);
    v->has_thread = v->result == 0;
    return v->result;
}

static bool has_window_system(void)
{
    return getenv("DISPLAY") != NULL || getenv("WAYLAND_DISPLAY") != NULL ||
           getenv("SDL_VIDEODRIVER") != NULL;
}

static int set_up(struct sdl *v)
{
    if (!has_window_system())
        return fail_msg(-ENOENT, "display sdl: neither DISPLAY nor WAYLAND_DISPLAY is set: start "
                                 "Minivet in a graphical session, or use --display vnc=:1");
    int err = sdl_calls_load(&v->calls);
    if (err == 0)
        err = screen_create(&v->screen, &(struct screen_config){v->cfg.loop, wake, v});
    if (err < 0)
        return err;
    v->base.backend = screen_backend(v->screen);
    if (v->wake_fd < 0 || v->told_fd < 0)
        return fail(-errno, "display sdl: eventfd");
    return start(v);
}

int viewer_sdl_create(struct viewer **out, const struct viewer_config *config)
{
    struct sdl *v = calloc(1, sizeof(*v));
    if (v == NULL)
        return fail(-ENOMEM, "display sdl");
    v->base.ops = &sdl_ops;
    v->cfg = *config;
    v->x11.fd = -1;
    v->result = -EIO; /* the X server is gone before the thread has begun */
    (void)snprintf(v->name, sizeof(v->name), "%s", config->name != NULL ? config->name : "minivet");
    v->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    v->told_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = set_up(v);
    if (err < 0) {
        sdl_destroy(&v->base);
        return err;
    }
    *out = &v->base;
    return 0;
}

#endif
