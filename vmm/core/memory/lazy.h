// SPDX-License-Identifier: BSD-2-Clause
/*
 * Large arrays of zeroes of which only a part is used: a page costs neither time nor memory before
 * it is touched, and goes back to the host at the end. calloc() clears what was in use before, all
 * of it, each time.
 */
#ifndef MINIVET_CORE_LAZY_H
#define MINIVET_CORE_LAZY_H

#include <stddef.h>

/* NULL: no memory. Freed with the same numbers; of NULL nothing is freed, whatever they are. */
void *lazy_alloc(size_t count, size_t bytes);
void lazy_free(void *array, size_t count, size_t bytes);

#endif
