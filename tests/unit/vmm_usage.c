// SPDX-License-Identifier: BSD-2-Clause
/* vmm/report/usage.c on this very process. */
#include "vmm/report/usage.h"

#include <time.h>

#include "tests/harness/test.h"

#define PAGES 64

static struct usage usage;
static int ready[2], go_home[2];

static uint64_t own_cpu_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Takes pages and a millisecond, says so and waits. */
static void *worker(void *arg)
{
    char byte = 0;
    char *pages =
        mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(pages, PAGES * 4096, MADV_NOHUGEPAGE);
    for (unsigned i = 0; i < PAGES; i++)
        pages[i * 4096] = 1;
    while (own_cpu_ns() < 1000000)
        continue;
    *(uint64_t *)arg = own_cpu_ns();
    (void)!write(ready[1], &byte, 1);
    (void)!read(go_home[0], &byte, 1);
    munmap(pages, PAGES * 4096);
    return NULL;
}

Test(usage, of_each_thread_by_name)
{
    pthread_t thread;
    uint64_t cpu_ns = 0;
    char byte = 0;
    cr_assert_eq(pipe(ready), 0);
    cr_assert_eq(pipe(go_home), 0);
    cr_assert_eq(pthread_create(&thread, NULL, worker, &cpu_ns), 0);
    pthread_setname_np(thread, "a) b (c");
    cr_assert_eq((size_t)read(ready[0], &byte, 1), 1);
    usage_take(&usage);
    cr_expect_eq((size_t)write(go_home[1], &byte, 1), 1);
    pthread_join(thread, NULL);

    unsigned found = 0;
    for (unsigned i = 0; i < usage.count; i++) {
        const struct usage_thread *t = &usage.threads[i];
        if (strcmp(t->name, "a) b (c") != 0)
            continue;
        found++;
        cr_expect_geq(t->cpu_ns, cpu_ns);
        cr_expect_geq(t->minor_faults, PAGES);
    }
    cr_expect_eq(found, 1);
    cr_expect_geq(usage.count, 2);
}

Test(usage, of_the_process)
{
    usage_take(&usage);
    cr_expect_gt(usage.minor_faults, 0);
    cr_expect_gt(usage.max_rss_bytes, 100000);
}
