// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a compiler calls for each access of code that is to run under ThreadSanitizer: here that is
 * the model. Atomics are called for only where the source uses no macro of <stdatomic.h>.
 */
#include "tests/order/model.h"

void __tsan_init(void);
void __tsan_func_entry(void *caller);
void __tsan_func_exit(void *caller);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *caller)
{
    (void)caller;
}

void __tsan_func_exit(void *caller)
{
    (void)caller;
}

#define ACCESS(name, bytes, write)               \
    void __tsan_##name(void *at);                \
    void __tsan_##name(void *at)                 \
    {                                            \
        model_touch(at, (size_t)(bytes), write); \
    }

#define ACCESSES(bytes)                         \
    ACCESS(read##bytes, bytes, false)           \
    ACCESS(write##bytes, bytes, true)           \
    ACCESS(unaligned_read##bytes, bytes, false) \
    ACCESS(unaligned_write##bytes, bytes, true) \
    ACCESS(read_write##bytes, bytes, true)      \
    ACCESS(unaligned_read_write##bytes, bytes, true)

ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

#define RANGE(name, write)                            \
    void __tsan_##name##_range(void *at, long bytes); \
    void __tsan_##name##_range(void *at, long bytes)  \
    {                                                 \
        model_touch(at, (size_t)(bytes), write);      \
    }

RANGE(read, false)
RANGE(write, true)

#define ATOMIC(bits)                                                                      \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile void *at, int order);        \
    uint##bits##_t __tsan_atomic##bits##_load(const volatile void *at, int order)         \
    {                                                                                     \
        return (uint##bits##_t)model_load((const void *)at, (bits) / 8, order);           \
    }                                                                                     \
    void __tsan_atomic##bits##_store(volatile void *at, uint##bits##_t value, int order); \
    void __tsan_atomic##bits##_store(volatile void *at, uint##bits##_t value, int order)  \
    {                                                                                     \
        model_store((void *)at, (bits) / 8, value, order);                                \
    }

ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)
