// SPDX-License-Identifier: BSD-2-Clause
/*
 * The last close of a file waits for the server of its file system (NFS, FUSE), and frees what was
 * deleted meanwhile, which takes long for a large file. A few threads, each there for as long as
 * there is something to close, do that in place of the loop.
 */
#include "devices/share/share_impl.h"

#include <errno.h>
#include <unistd.h>

#include "core/loop/workpool.h"

#define CLOSERS_MAX 8u

/* The next one; -1: there is none, and the thread ends. */
static int take(struct share_dir *s)
{
    pthread_mutex_lock(&s->close_lock);
    int fd = s->closing_count > 0 ? s->closing[--s->closing_count] : -1;
    s->closers -= fd < 0 ? 1 : 0;
    pthread_mutex_unlock(&s->close_lock);
    return fd;
}

static void *close_them(void *ctx)
{
    struct share_dir *s = ctx;
    for (int fd; (fd = take(s)) >= 0;)
        close(fd);
    share_put(s);
    return NULL;
}

/* Under close_lock. */
static bool start_closer(struct share_dir *s)
{
    pthread_t thread;
    if (s->closers == CLOSERS_MAX)
        return false;
    atomic_fetch_add(&s->users, 1);
    if (thread_start(&thread, "share/close", close_them, s) != 0) {
        atomic_fetch_sub(&s->users, 1);
        return false;
    }
    pthread_detach(thread);
    s->closers++;
    return true;
}

static bool is_long(int fd, bool waits)
{
    struct stat st;
    return waits || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 &&
                     st.st_blocks > SHARE_LARGE_BLOCKS);
}

void close_file(struct share_dir *s, int fd, bool waits)
{
    bool taken = false;
    if (atomic_load(&s->users) > 0 && is_long(fd, waits)) {
        pthread_mutex_lock(&s->close_lock);
        if (s->closing_count < s->config.descriptors_max) {
            s->closing[s->closing_count++] = fd;
            taken = start_closer(s) || s->closers > 0;
            s->closing_count -= taken ? 0 : 1;
        }
        pthread_mutex_unlock(&s->close_lock);
    }
    if (!taken)
        close(fd);
}
