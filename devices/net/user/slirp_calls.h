// SPDX-License-Identifier: BSD-2-Clause
/*
 * libslirp, loaded when a machine has a user network: with the libraries that it needs itself it
 * would take half of the time that the program needs to start.
 */
#ifndef MINIVET_DEVICES_SLIRP_CALLS_H
#define MINIVET_DEVICES_SLIRP_CALLS_H

#include <slirp/libslirp.h>

#define SLIRP_CALLS(X) \
    X(new)             \
    X(cleanup)         \
    X(input)           \
    X(pollfds_fill)    \
    X(pollfds_poll)    \
    X(add_hostfwd)     \
    X(add_hostxfwd)    \
    X(add_exec)        \
    X(add_unix)

/* 4.9 deprecates slirp_pollfds_fill(), for what 4.7 has not. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
struct slirp_calls {
#define SLIRP_CALL(name) __typeof__(slirp_##name) *(name);
    SLIRP_CALLS(SLIRP_CALL)
#undef SLIRP_CALL
};
#pragma GCC diagnostic pop

/* 0, or an error that is reported. What is loaded stays. */
int slirp_calls_load(struct slirp_calls *out);

#endif
