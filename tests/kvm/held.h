// SPDX-License-Identifier: BSD-2-Clause
/* What this process holds of the host's: files, threads, memory. */
#ifndef MINIVET_TESTS_KVM_HELD_H
#define MINIVET_TESTS_KVM_HELD_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tap.h"

/* The C library's own caches; AddressSanitizer keeps what was freed. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HELD_RSS_SLACK_KIB 300000
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HELD_RSS_SLACK_KIB 300000
#endif
#ifndef HELD_RSS_SLACK_KIB
#define HELD_RSS_SLACK_KIB 1024
#endif

static inline unsigned held_entries(const char *path)
{
    unsigned n = 0;
    DIR *dir = opendir(path);
    CHECK(dir != NULL);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n;
}

/*
 * While memory is compared: khugepaged may turn what earlier tests left into a huge page, which
 * looks like growth by 2 MiB.
 */
static inline void held_huge_pages(bool allowed)
{
    CHECK_EQ(prctl(PR_SET_THP_DISABLE, !allowed, 0, 0, 0), 0);
}

/* The second number in statm, in pages. */
static inline long held_rss_kib(void)
{
    char text[128], *resident;
    FILE *f = fopen("/proc/self/statm", "re");
    CHECK(f != NULL);
    CHECK(fgets(text, sizeof(text), f) != NULL);
    fclose(f);
    strtol(text, &resident, 10);
    return strtol(resident, NULL, 10) * (sysconf(_SC_PAGESIZE) / 1024);
}

static inline unsigned held_fds(void)
{
    return held_entries("/proc/self/fd");
}

static inline unsigned held_threads(void)
{
    return held_entries("/proc/self/task");
}

/* pthread_join() returns before the kernel takes the thread out of /proc. */
static inline bool held_threads_fall_to(unsigned threads)
{
    for (unsigned ms = 0; held_threads() > threads; ms++) {
        if (ms == 10000)
            return false;
        usleep(1000);
    }
    return true;
}

#endif
