// SPDX-License-Identifier: BSD-2-Clause
/* What windows call of SDL, which is loaded when it is asked for. */
#ifndef MINIVET_DEVICES_SDL_CALLS_H
#define MINIVET_DEVICES_SDL_CALLS_H

#define SDL_MAIN_HANDLED
#include <SDL2/SDL.h>
#include <SDL2/SDL_syswm.h>

#define SDL_CALLS(X)                  \
    X(CreateColorCursor)              \
    X(CreateRGBSurfaceWithFormatFrom) \
    X(CreateRenderer)                 \
    X(CreateTexture)                  \
    X(CreateWindow)                   \
    X(DestroyRenderer)                \
    X(DestroyTexture)                 \
    X(DestroyWindow)                  \
    X(EventState)                     \
    X(FreeCursor)                     \
    X(FreeSurface)                    \
    X(GetCurrentVideoDriver)          \
    X(GetError)                       \
    X(GetRendererOutputSize)          \
    X(GetWindowFlags)                 \
    X(GetWindowID)                    \
    X(GetWindowSize)                  \
    X(GetWindowWMInfo)                \
    X(HideWindow)                     \
    X(InitSubSystem)                  \
    X(PollEvent)                      \
    X(QuitSubSystem)                  \
    X(RenderClear)                    \
    X(RenderCopy)                     \
    X(RenderPresent)                  \
    X(SetCursor)                      \
    X(SetHint)                        \
    X(SetMainReady)                   \
    X(SetRelativeMouseMode)           \
    X(SetTextureBlendMode)            \
    X(SetWindowFullscreen)            \
    X(SetWindowKeyboardGrab)          \
    X(SetWindowSize)                  \
    X(SetWindowTitle)                 \
    X(ShowCursor)                     \
    X(ShowWindow)                     \
    X(StopTextInput)                  \
    X(UpdateTexture)

struct sdl_calls {
#define SDL_CALL(name) __typeof__(&SDL_##name) name; /* NOLINT(bugprone-macro-parentheses) */
    SDL_CALLS(SDL_CALL)
#undef SDL_CALL
};

/* Errors are reported. The library stays loaded. */
int sdl_calls_load(struct sdl_calls *out);

/* A connection to an X server; fd: -1: there is none. */
struct sdl_x11 {
    int fd;
    Display *display;
    int (*sync)(Display *display, Bool discard);
};

/*
 * Xlib ends the process when its X server is gone or refuses a request. From now on it calls lost()
 * for the former, on the thread that noticed, which must not return; the latter is logged. Sets
 * *out if the window is one of X11. Errors are reported.
 */
int sdl_x11_survive(const struct sdl_calls *sdl, SDL_Window *window,
                    void (*lost)(Display *display, void *ctx), void *ctx, struct sdl_x11 *out);

#endif
