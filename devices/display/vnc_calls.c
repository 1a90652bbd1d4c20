// SPDX-License-Identifier: BSD-2-Clause
#ifdef HAVE_LIBVNCSERVER

#include "devices/display/vnc_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/base/fail.h"

int vnc_calls_load(struct vnc_calls *out)
{
#define VNC_CALL(name) {#name, offsetof(struct vnc_calls, name)},
    static const struct {
        const char *name;
        size_t offset;
    } calls[] = {VNC_CALLS(VNC_CALL)};
#undef VNC_CALL
    void *library = dlopen("libvncserver.so.1", RTLD_NOW);
    if (library == NULL)
        return fail_msg(-ENOENT, "display vnc: %s; install libvncserver1", dlerror());
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        void *call = dlsym(library, calls[i].name);
        if (call == NULL)
            return fail_msg(-ENOENT, "display vnc: libvncserver: %s", dlerror());
        memcpy((char *)out + calls[i].offset, &call, sizeof(call));
    }
    return 0;
}

#else

typedef int vnc_calls_are_not_built; /* a file has to declare something */

#endif
