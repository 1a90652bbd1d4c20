// SPDX-License-Identifier: BSD-2-Clause
#ifdef HAVE_SDL2

#include "devices/display/sdl_calls.h"

#include "core/base/library.h"
#include "core/base/log.h"
#include "core/base/xmath.h"

int sdl_calls_load(struct sdl_calls *out)
{
#define SDL_CALL(name) {"SDL_" #name, offsetof(struct sdl_calls, name)},
    static const struct library_call calls[] = {SDL_CALLS(SDL_CALL)};
#undef SDL_CALL
    static const struct library library = {"display sdl", "libSDL2-2.0.so.0",
                                           "libsdl2-2.0-0 2.0.22 or later"};
    return library_load(&library, calls, ARRAY_SIZE(calls), out);
}

/* ---- X11 ---- */

/* A macro that looks into the connection. */
#undef ConnectionNumber

#define X11_CALLS(X)     \
    X(ConnectionNumber)  \
    X(SetErrorHandler)   \
    X(Sync)              \
    X(SetIOErrorHandler) \
    X(SetIOErrorExitHandler)

struct x11_calls {
#define X11_CALL(name) __typeof__(&X##name) name; /* NOLINT(bugprone-macro-parentheses) */
    X11_CALLS(X11_CALL)
#undef X11_CALL
};

static int on_refused(Display *display, XErrorEvent *event)
{
    (void)display;
    log_info("display sdl: the X server refuses request %u.%u with error %u", event->request_code,
             event->minor_code, event->error_code);
    return 0;
}

/* Its default prints; what ends the process is the exit handler. */
static int on_io_error(Display *display)
{
    (void)display;
    return 0;
}

int sdl_x11_survive(const struct sdl_calls *sdl, SDL_Window *window,
                    void (*lost)(Display *display, void *ctx), void *ctx, struct sdl_x11 *out)
{
#define X11_CALL(name) {"X" #name, offsetof(struct x11_calls, name)},
    static const struct library_call calls[] = {X11_CALLS(X11_CALL)};
#undef X11_CALL
    static const struct library library = {"display sdl", "libX11.so.6", "libx11-6 1.7 or later"};
    struct x11_calls x11 = {0};
    SDL_SysWMinfo info = {0};
    SDL_VERSION(&info.version);
    if (!sdl->GetWindowWMInfo(window, &info) || info.subsystem != SDL_SYSWM_X11)
        return 0;
    int err = library_load(&library, calls, ARRAY_SIZE(calls), &x11);
    if (err < 0)
        return err;
    x11.SetErrorHandler(on_refused);
    x11.SetIOErrorHandler(on_io_error);
    x11.SetIOErrorExitHandler(info.info.x11.display, lost, ctx);
    *out = (struct sdl_x11){.fd = x11.ConnectionNumber(info.info.x11.display),
                            .display = info.info.x11.display,
                            .sync = x11.Sync};
    return 0;
}

#else

typedef int sdl_calls_are_not_built; /* a file has to declare something */

#endif
