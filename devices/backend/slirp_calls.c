// SPDX-License-Identifier: BSD-2-Clause
#include "devices/backend/slirp_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "core/fail.h"

/* POSIX has dlsym() give functions as pointers to data. */
static int find(void *library, const char *name, void *out)
{
    void *call = dlsym(library, name);
    if (!call)
        return fail_msg(-ENOSYS, "user network: %s; install libslirp 4.7 or later", dlerror());
    memcpy(out, &call, sizeof(call));
    return 0;
}

int slirp_calls_load(struct slirp_calls *out)
{
    void *library = dlopen("libslirp.so.0", RTLD_NOW);
    int err = 0;
    if (!library)
        return fail_msg(-ENOENT, "user network: %s; install libslirp", dlerror());
#define SLIRP_CALL(name) \
    if (err == 0)        \
        err = find(library, "slirp_" #name, &out->name);
    SLIRP_CALLS(SLIRP_CALL)
#undef SLIRP_CALL
    return err;
}
