// SPDX-License-Identifier: BSD-2-Clause
/*
 * Libraries that are loaded when a run needs them: linked to the program, with the libraries that
 * they need themselves, they would make up most of the time that it needs to start.
 */
#ifndef MINIVET_CORE_LIBRARY_H
#define MINIVET_CORE_LIBRARY_H

#include <stddef.h>

struct library {
    const char *user;    /* what needs it, for messages */
    const char *file;    /* its soname */
    const char *package; /* what has it, for messages */
};

struct library_call {
    const char *name;
    size_t offset; /* of the pointer to a function */
};

/* Puts pointers to the functions into *out. Errors are reported. The library stays loaded. */
int library_load(const struct library *l, const struct library_call *calls, unsigned count,
                 void *out);

#endif
