// SPDX-License-Identifier: BSD-2-Clause
#include "devices/net/user/slirp_calls.h"

#include "core/base/library.h"
#include "core/base/log.h"
#include "core/base/xmath.h"

static const struct library libslirp = {"user network", "libslirp.so.0", "libslirp 4.7 or later"};

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

/* GLib, which libslirp needs, is found through it. */
static int limit_messages(void)
{
    static const struct library_call call = {"g_log_set_handler", 0};
    static struct log_guest_count messages;
    unsigned (*set_handler)(const char *domain, int levels, glib_log *handler, void *ctx) = NULL;
    int err = library_load(&libslirp, &call, 1, &set_handler);
    if (set_handler != NULL)
        set_handler(GLIB_DOMAIN, GLIB_LEVELS, on_message, &messages);
    return err;
}

int slirp_calls_load(struct slirp_calls *out)
{
#define SLIRP_CALL(name) {"slirp_" #name, offsetof(struct slirp_calls, name)},
    static const struct library_call calls[] = {SLIRP_CALLS(SLIRP_CALL)};
#undef SLIRP_CALL
    int err = library_load(&libslirp, calls, ARRAY_SIZE(calls), out);
    return err == 0 ? limit_messages() : err;
}
