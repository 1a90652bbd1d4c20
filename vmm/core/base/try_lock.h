// SPDX-License-Identifier: BSD-2-Clause
/* For a thread that only reads: a lock whose holder may be waiting for another process. */
#ifndef MINIVET_CORE_TRY_LOCK_H
#define MINIVET_CORE_TRY_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#define TRY_LOCK_TIMES 100
#define TRY_LOCK_US    100

/* Takes it if its holder lets go within some 10 milliseconds. */
static inline bool try_lock(pthread_mutex_t *lock)
{
    for (unsigned i = 0; i < TRY_LOCK_TIMES; i++) {
        if (pthread_mutex_trylock(lock) == 0)
            return true;
        usleep(TRY_LOCK_US);
    }
    return false;
}

#endif
