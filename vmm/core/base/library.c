// SPDX-License-Identifier: BSD-2-Clause
#include "core/base/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "core/base/fail.h"

/* POSIX has dlsym() give functions as pointers to data. */
int library_load(const struct library *l, const struct library_call *calls, unsigned count,
                 void *out)
{
    void *library = dlopen(l->file, RTLD_NOW);
    if (library == NULL)
        return fail_msg(-ENOENT, "%s: %s; install %s", l->user, dlerror(), l->package);
    for (unsigned i = 0; i < count; i++) {
        void *call = dlsym(library, calls[i].name);
        if (call == NULL)
            return fail_msg(-ENOSYS, "%s: %s; install %s", l->user, dlerror(), l->package);
        memcpy((char *)out + calls[i].offset, &call, sizeof(call));
    }
    return 0;
}
