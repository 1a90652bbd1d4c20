// SPDX-License-Identifier: BSD-2-Clause
/*
 * A struct that ends in large arrays, which are written before they are read. calloc() would clear
 * them, and so take memory of the host, and a page fault, for each page that is never used.
 */
#ifndef MINIVET_CORE_ALLOC_H
#define MINIVET_CORE_ALLOC_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* To be freed; all members before `arrays` are zero. NULL: there is no memory. */
#define ALLOC_BEFORE(type, arrays) ((type *)alloc_before(sizeof(type), offsetof(type, arrays)))

static inline void *alloc_before(size_t bytes, size_t zeros)
{
    void *at = malloc(bytes);
    return at != NULL ? memset(at, 0, zeros) : NULL;
}

#endif
