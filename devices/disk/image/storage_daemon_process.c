// SPDX-License-Identifier: BSD-2-Clause
/* The daemon as a process: how it starts and how it ends. */
#include <cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fail.h"
#include "core/base/log.h"
#include "core/peers/confine.h"
#include "devices/disk/image/storage_daemon_impl.h"

#define START_MS  30000u /* hosts may be slow */
#define STOP_MS   10000u
#define KILL_MS   2000u
#define NS_PER_MS UINT64_C(1000000)

/* ---- start ---- */

struct child {
    struct storage_daemon *d;
    char **argv;
    int listener, said;
    pid_t parent;
    struct confine *confine;
};

static _Noreturn void give_up(const char *why)
{
    (void)!write(2, why, strlen(why));
    _exit(127);
}

static bool keep(int fd)
{
    return fcntl(fd, F_SETFD, 0) == 0;
}

/* Runs between fork and exec: calls that are safe there, and no return. */
static _Noreturn void become(const struct child *c)
{
    const struct storage_daemon *d = c->d;
    char *const none[] = {NULL};
    sigset_t no_signals;
    sigemptyset(&no_signals);
    sigprocmask(SIG_SETMASK, &no_signals, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid(); /* what is typed at the terminal is not for it */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != c->parent)
        _exit(1);
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(c->said, 2) < 0)
        _exit(1);
    /* Minivet may have inherited some. (Before Linux 5.11 those stay.) */
    (void)close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    if (!keep(c->listener))
        _exit(1);
    for (unsigned i = 0; i < d->chain.count; i++)
        if (!keep(d->chain.links[i].fd))
            _exit(1);
    close(null);
    if (c->confine != NULL && confine_apply(c->confine) != 0)
        give_up("it cannot be confined: this kernel has no seccomp filters\n");
    execve(d->program, c->argv, d->unconfined ? environ : none);
    give_up("it cannot be run; apt-get install qemu-system-common\n");
}

static int fork_child(struct child *c, const int said[2])
{
    struct storage_daemon *d = c->d;
    pid_t pid = fork();
    if (pid == 0)
        become(c);
    if (pid < 0)
        return -errno;
    d->pid = pid;
    d->ready = false;
    d->said_fd = said[0];
    d->pid_fd = pidfd_open(pid, 0);
    return d->pid_fd < 0 ? -errno : 0;
}

static int start_process(struct storage_daemon *d, char **argv, int listener)
{
    int said[2];
    struct child c = {.d = d, .argv = argv, .listener = listener, .parent = getpid()};
    int err = storage_daemon_confine(&c.confine, d);
    if (err != 0)
        return err;
    if (pipe2(said, O_CLOEXEC | O_NONBLOCK) != 0) {
        confine_destroy(c.confine);
        return fail(-errno, "disk %s: pipe", d->name);
    }
    c.said = said[1];
    err = fork_child(&c, said);
    confine_destroy(c.confine);
    close(said[1]);
    if (d->pid == 0)
        close(said[0]);
    return err != 0 ? fail(err, "disk %s: start %s", d->name, d->program) : 0;
}

/*
 * Until the daemon ends (-EIO), a file is written in the folder (0), or one of `cancel` says so
 * (-ECANCELED). watch and cancel may be -1.
 */
static int wait_change(const struct storage_daemon *d, int watch, const int cancel[2],
                       uint64_t until_ns)
{
    char events[4096];
    struct pollfd p[4] = {
        {.fd = cancel[0], .events = POLLIN},
        {.fd = cancel[1], .events = POLLIN},
        {.fd = d->pid_fd, .events = POLLIN},
        {.fd = watch, .events = POLLIN},
    };
    uint64_t now = clock_now_ns(&clock_host);
    if (now >= until_ns)
        return -ETIMEDOUT;
    int n = poll(p, 4, (int)((until_ns - now) / NS_PER_MS + 1));
    if (n < 0)
        return errno == EINTR ? 0 : -errno;
    if (p[0].revents != 0 || p[1].revents != 0)
        return -ECANCELED;
    if (p[2].revents != 0)
        return -EIO;
    if (p[3].revents != 0)
        (void)!read(watch, events, sizeof(events));
    return 0;
}

/* It writes its pid file when the image is open and served. */
static int wait_ready(struct storage_daemon *d, int watch)
{
    uint64_t until_ns = clock_now_ns(&clock_host) + START_MS * NS_PER_MS;
    struct stat st;
    int err = 0;
    while (err == 0 && !(stat(d->pid_file, &st) == 0 && st.st_size > 0))
        err = wait_change(d, watch, (int[]){d->cancel_fd, d->until_fd}, until_ns);
    d->ready = err == 0;
    return err;
}

int storage_daemon_spawn(struct storage_daemon *d, int listener, bool *reported)
{
    char *export = storage_daemon_export(d, listener);
    char *argv[] = {(char *)STORAGE_DAEMON_PROGRAM,
                    (char *)"--blockdev",
                    d->blockdev,
                    (char *)"--export",
                    export,
                    (char *)"--pidfile",
                    d->pid_file,
                    NULL};
    int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int err = watch < 0 || inotify_add_watch(watch, d->dir, IN_MODIFY) < 0 ? -errno : 0;
    *reported = true;
    if (err != 0)
        fail(err, "disk %s: watch %s", d->name, d->dir);
    else if (export == NULL)
        err = fail(-ENOMEM, "disk %s", d->name);
    else
        err = start_process(d, argv, listener);
    if (err == 0) {
        *reported = false;
        err = wait_ready(d, watch);
    }
    if (watch >= 0)
        close(watch);
    cJSON_free(export);
    return err;
}

/* ---- end ---- */

/* 0: it is dead; -ETIMEDOUT; -ECANCELED. */
static int wait_dead(const struct storage_daemon *d, unsigned ms, bool cancellable)
{
    uint64_t end_ns = clock_now_ns(&clock_host) + ms * NS_PER_MS;
    const int cancel[2] = {cancellable ? d->cancel_fd : -1, cancellable ? d->until_fd : -1};
    int err = d->pid_fd < 0 ? -EIO : 0;
    while (err == 0)
        err = wait_change(d, -1, cancel, end_ns);
    return err == -EIO ? 0 : err;
}

/* The daemon needs the folder after it has written its pid file, too: it looks up where that is. */
static void remove_dir(struct storage_daemon *d)
{
    if (d->dir[0] == '\0')
        return;
    unlink(d->pid_file);
    rmdir(d->dir);
    d->dir[0] = '\0';
}

/* A daemon that sleeps in the kernel, on a hung file system, cannot even be killed. */
static void reap(struct storage_daemon *d, bool dead)
{
    if (!dead)
        log_warn("disk %s: %s cannot be ended: it waits for the host's storage", d->name,
                 d->program);
    while (waitpid(d->pid, NULL, dead ? 0 : WNOHANG) < 0 && errno == EINTR)
        ;
    if (d->pid_fd >= 0)
        close(d->pid_fd);
    if (d->said_fd >= 0)
        close(d->said_fd);
    d->pid = 0;
    d->pid_fd = d->said_fd = -1;
}

int storage_daemon_end(struct storage_daemon *d, bool cancellable)
{
    if (d->pid != 0) {
        /* A daemon that has not opened the image has nothing to write. */
        bool gently = d->ready && d->pid_fd >= 0;
        kill(d->pid, gently ? SIGTERM : SIGKILL);
        int err = wait_dead(d, gently ? STOP_MS : KILL_MS, cancellable);
        if (err == -ECANCELED)
            return err;
        if (err != 0 && gently) {
            if (!d->quiet)
                log_warn("disk %s: %s does not end: killed", d->name, d->program);
            kill(d->pid, SIGKILL);
            err = wait_dead(d, KILL_MS, false);
        }
        reap(d, err == 0);
    }
    remove_dir(d);
    return 0;
}
