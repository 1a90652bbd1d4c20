// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/user/slirp_calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/base/xmath.h"

/* POSIX has dlsym() give functions as pointers to data. */
static int find(void *library, const char *name, void *out)
{
    void *call = dlsym(library, name);
    if (!call)
        return fail_msg(-ENOSYS, "user network: %s; install libslirp 4.7 or later", dlerror());
    memcpy(out, &call, sizeof(call));
    return 0;
}

/* ---- what libslirp says itself, by GLib, and as often as a guest makes it ---- */

#define GLIB_DOMAIN "Slirp"
#define GLIB_LEVELS (~3) /* G_LOG_LEVEL_MASK: all that does not end the process */

typedef void glib_log(const char *domain, int level, const char *message, void *ctx);

static void on_message(const char *domain, int level, const char *message, void *ctx)
{
    (void)domain;
    (void)level;
    log_guest(ctx, "user network: libslirp: %s", message);
}

static int limit_messages(void *library)
{
    static struct log_guest_count messages;
    unsigned (*set_handler)(const char *domain, int levels, glib_log *handler, void *ctx) = NULL;
    int err = find(library, "g_log_set_handler", &set_handler);
    if (set_handler != NULL)
        set_handler(GLIB_DOMAIN, GLIB_LEVELS, on_message, &messages);
    return err;
}

int slirp_calls_load(struct slirp_calls *out)
{
#define SLIRP_CALL(name) {"slirp_" #name, offsetof(struct slirp_calls, name)},
    static const struct {
        const char *name;
        size_t offset;
    } calls[] = {SLIRP_CALLS(SLIRP_CALL)};
#undef SLIRP_CALL
    void *library = dlopen("libslirp.so.0", RTLD_NOW);
    int err = 0;
    if (!library)
        return fail_msg(-ENOENT, "user network: %s; install libslirp", dlerror());
    for (unsigned i = 0; i < ARRAY_SIZE(calls) && err == 0; i++)
        err = find(library, calls[i].name, (char *)out + calls[i].offset);
    return err == 0 ? limit_messages(library) : err;
}
