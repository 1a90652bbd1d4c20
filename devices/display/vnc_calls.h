// SPDX-License-Identifier: BSD-2-Clause
/* What the VNC server calls of libvncserver, which is loaded when it is asked for. */
#ifndef MINIVET_DEVICES_VNC_CALLS_H
#define MINIVET_DEVICES_VNC_CALLS_H

#include <rfb/rfb.h>
#include <rfb/rfbregion.h>

#define VNC_CALLS(X)                    \
    X(rfbLogEnable)                     \
    X(rfbGetScreen)                     \
    X(rfbInitServerWithPthreadsAndZRLE) \
    X(rfbNewClient)                     \
    X(rfbProcessClientMessage)          \
    X(rfbUpdateClient)                  \
    X(rfbClientConnectionGone)          \
    X(rfbNewFramebuffer)                \
    X(rfbMarkRectAsModified)            \
    X(rfbSetCursor)                     \
    X(rfbCheckPasswordByList)           \
    X(rfbShutdownServer)                \
    X(rfbScreenCleanup)                 \
    X(sraRgnCountRects)                 \
    X(sraRgnBBox)                       \
    X(sraRgnDestroy)

struct vnc_calls {
#define VNC_CALL(name) __typeof__(&(name)) name; /* NOLINT(bugprone-macro-parentheses) */
    VNC_CALLS(VNC_CALL)
#undef VNC_CALL
};

/* Errors are reported. The library stays loaded. */
int vnc_calls_load(struct vnc_calls *out);

#endif
