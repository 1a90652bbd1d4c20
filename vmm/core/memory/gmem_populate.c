// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"
#include "core/loop/cancel.h"
#include "core/memory/gmem.h"

#define PIECE_BYTES  (32 * MIB)  /* what a thread takes at once */
#define THREAD_BYTES (256 * MIB) /* for less it does not pay to start one more */
#define THREADS_MAX  8           /* clear pages about as fast as memory can take it */

#define AVAILABLE "MemAvailable:" /* in /proc/meminfo */

struct work {
    const struct gmem_region *region;
    const struct cancel *cancel;
    _Atomic uint64_t next; /* the first byte that no helper has taken */
    atomic_int err;
};

static int populate(uint8_t *hva, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    if (madvise(hva, len, MADV_POPULATE_WRITE) == 0)
        return 0;
    if (errno != EINVAL)
        return -errno;
    /* Before Linux 5.14. A page that was never written to holds zeroes. */
    for (size_t at = 0; at < len; at += page)
        *(volatile uint8_t *)(hva + at) = 0;
    return 0;
}

static void *run(void *ctx)
{
    struct work *w = ctx;
    uint64_t bytes = w->region->bytes, at;

    while (atomic_load(&w->err) == 0 && (at = atomic_fetch_add(&w->next, PIECE_BYTES)) < bytes) {
        int err = cancel_asked(w->cancel)
                      ? -ECANCELED
                      : populate(w->region->hva + at, min_u64(PIECE_BYTES, bytes - at));
        if (err < 0)
            atomic_store(&w->err, err);
    }
    return NULL;
}

static unsigned count_threads(uint64_t bytes)
{
    cpu_set_t cpus;
    uint64_t most = min_u64(bytes / THREAD_BYTES, THREADS_MAX);

    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0)
        most = min_u64(most, (uint64_t)CPU_COUNT(&cpus));
    return (unsigned)max_u64(most, 1);
}

static int region_populate(const struct gmem_region *r, const struct cancel *cancel)
{
    struct work w = {.region = r, .cancel = cancel};
    pthread_t threads[THREADS_MAX];
    unsigned wanted = count_threads(r->bytes) - 1, count = 0;

    while (count < wanted && pthread_create(&threads[count], NULL, run, &w) == 0)
        count++;
    (void)run(&w); /* with what helpers there are */
    while (count > 0)
        pthread_join(threads[--count], NULL);
    return atomic_load(&w.err);
}

/* What the host can give without swapping; endless if it does not say. */
static uint64_t available_mib(void)
{
    uint64_t kib = UINT64_MAX;
    char line[128];
    FILE *f = fopen("/proc/meminfo", "re");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, AVAILABLE, strlen(AVAILABLE)) == 0)
            kib = strtoull(line + strlen(AVAILABLE), NULL, 10);
    if (f != NULL)
        fclose(f);
    return kib / 1024;
}

int gmem_populate(const struct gmem *g, const struct cancel *cancel)
{
    uint64_t mib = 0, has_mib = available_mib();
    int err = 0;

    for (unsigned i = 0; i < g->count; i++)
        mib += g->regions[i].bytes / MIB;
    /* The host's kernel does not refuse what it has not got: it ends a process, perhaps this one.
     */
    if (mib > has_mib)
        return fail_msg(-ENOMEM,
                        "guest memory: %" PRIu64 " MiB cannot be populated: the host has %" PRIu64
                        " MiB to give; ask for less by --mem, or leave --prefault out",
                        mib, has_mib);
    for (unsigned i = 0; i < g->count && err == 0; i++)
        err = region_populate(&g->regions[i], cancel);
    return err < 0 ? fail(err, "guest memory: populate") : 0;
}
