// SPDX-License-Identifier: BSD-2-Clause
#ifdef HAVE_LIBVNCSERVER

#include "devices/display/vnc_calls.h"

#include "core/base/library.h"
#include "core/base/xmath.h"

int vnc_calls_load(struct vnc_calls *out)
{
#define VNC_CALL(name) {#name, offsetof(struct vnc_calls, name)},
    static const struct library_call calls[] = {VNC_CALLS(VNC_CALL)};
#undef VNC_CALL
    static const struct library library = {"display vnc", "libvncserver.so.1", "libvncserver1"};
    return library_load(&library, calls, ARRAY_SIZE(calls), out);
}

#else

typedef int vnc_calls_are_not_built; /* a file has to declare something */

#endif
