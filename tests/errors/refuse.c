// SPDX-License-Identifier: BSD-2-Clause
#include "tests/errors/refuse.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/xmath.h"
#include "core/peers/foreign_fd.h"

#define CALLS_MAX 2000u /* more than any scene makes */

static struct {
    pthread_mutex_t lock; /* loops have helpers */
    bool on, has_spared;
    pthread_t spared;
    unsigned left; /* calls until one is refused */
    int err;
    const char *refused; /* which it was */
    long live;           /* pieces of memory */
} host = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the calls ---- */

static bool refuses(const char *name)
{
    pthread_mutex_lock(&host.lock);
    bool spared = host.has_spared && pthread_equal(pthread_self(), host.spared);
    bool refuse = host.on && !spared && host.left > 0 && --host.left == 0;
    if (refuse)
        host.refused = name;
    pthread_mutex_unlock(&host.lock);
    if (refuse)
        errno = host.err;
    return refuse;
}

static int refusal(void)
{
    return host.err;
}

static bool gives_memory(const char *name)
{
    return strcmp(name, "malloc") == 0 || strcmp(name, "calloc") == 0 ||
           strcmp(name, "strdup") == 0;
}

static void count_live(int more)
{
    pthread_mutex_lock(&host.lock);
    host.live += more;
    pthread_mutex_unlock(&host.lock);
}

#define CALL(type, failure, name, params, args) \
    type __real_##name params;                  \
    type __wrap_##name params;                  \
    type __wrap_##name params                   \
    {                                           \
        if (refuses(#name))                     \
            return failure;                     \
        if (gives_memory(#name))                \
            count_live(1);                      \
        return __real_##name args;              \
    }
#include "tests/errors/refuse.def"
#include "tests/harness/listen.h"
#undef CALL

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
    if (p != NULL)
        count_live(-1);
    __real_free(p);
}

pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __wrap_fork(void)
{
    pid_t pid = refuses("fork") ? -1 : __real_fork();
    if (pid == 0)
        host.on = false; /* what the child is refused nobody would hear of */
    return pid;
}

/* ---- scenes ---- */

void refuse_begin(void)
{
    pthread_mutex_lock(&host.lock);
    host.on = true;
    pthread_mutex_unlock(&host.lock);
}

void refuse_end(void)
{
    pthread_mutex_lock(&host.lock);
    host.on = false;
    pthread_mutex_unlock(&host.lock);
}

void refuse_spare(pthread_t thread)
{
    pthread_mutex_lock(&host.lock);
    host.has_spared = true;
    host.spared = thread;
    pthread_mutex_unlock(&host.lock);
}

static unsigned open_fds(void)
{
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    cr_assert_not_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* Returns whether there was such a call. */
static bool play(int (*scene)(void), unsigned call, int err)
{
    unsigned fds = open_fds();
    long live = host.live;
    host.left = call;
    host.err = err;
    host.refused = NULL;
    logged_lines = 0;
    int result = scene();
    while (foreign_fds_left() > 0) /* a thread of its own closes what peers have sent */
        sched_yield();
    const char *what = host.refused != NULL ? host.refused : "nothing";
    cr_assert_leq(result, 0);
    cr_assert(result == 0 || host.refused != NULL, "%d: %s", result, logged_line);
    cr_expect(result == 0 || logged_lines == 1, "%s, call %u, errno %d: %d is said %u times", what,
              call, err, result, logged_lines);
    cr_expect_eq(open_fds(), fds, "%s, call %u, errno %d: descriptors", what, call, err);
    cr_expect_eq(host.live, live, "%s, call %u, errno %d: %ld pieces of memory", what, call, err,
                 host.live - live);
    return host.refused != NULL;
}

void refuse_each(int (*scene)(void))
{
    refuse_each_but(scene, 0);
}

void refuse_each_but(int (*scene)(void), int never)
{
    static const int errors[] = {EIO, ENOMEM, EACCES, EPERM, EINTR, EAGAIN, ENXIO, EINVAL};
    listen_to_log(LOG_ERROR);
    play(scene, 0, 0); /* what is made once is made */
    for (unsigned i = 0; i < ARRAY_SIZE(errors); i++) {
        unsigned call = 1;
        while (errors[i] != never && play(scene, call, errors[i]) && call < CALLS_MAX)
            call++;
        cr_expect_lt(call, CALLS_MAX);
        cr_expect(call > 1 || errors[i] == never, "nothing was asked of the host");
    }
    log_set_sink(NULL, NULL);
}
