// SPDX-License-Identifier: BSD-2-Clause
#include "core/memory/lazy.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "core/base/xmath.h"

#define MAPPED_FROM (64 * KIB) /* what is smaller is cheap to clear */

void *lazy_alloc(size_t count, size_t bytes)
{
    size_t all;
    if (__builtin_mul_overflow(count, bytes, &all))
        return NULL;
    if (all < MAPPED_FROM)
        return calloc(count, bytes);
    void *array =
        mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return array != MAP_FAILED ? array : NULL;
}

void lazy_free(void *array, size_t count, size_t bytes)
{
    if (array == NULL)
        return;
    if (count * bytes < MAPPED_FROM)
        free(array);
    else
        munmap(array, count * bytes);
}
