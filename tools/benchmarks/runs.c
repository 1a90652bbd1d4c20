// SPDX-License-Identifier: BSD-2-Clause
#include "runs.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- children ---- */

#define STARTED_MAX 128 /* more than there are at a time */

static pid_t started[STARTED_MAX];
static unsigned started_count;

/* Those that are still this process's children: a guest that is halted would stay for ever. */
static void end_children(void)
{
    siginfo_t info;
    for (unsigned i = 0; i < STARTED_MAX; i++) {
        if (started[i] > 0 &&
            waitid(P_PID, (id_t)started[i], &info, WEXITED | WNOHANG | WNOWAIT) == 0)
            kill(started[i], SIGTERM);
    }
}

void runs_die(const char *what, const char *name)
{
    int err = errno;
    end_children();
    runs_progress(0, 0, NULL);
    fprintf(stderr, "bench: %s %s%s%s\n", what, name, err != 0 ? ": " : "",
            err != 0 ? strerror(err) : "");
    exit(1);
}

double runs_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

pid_t runs_start_with(char *const argv[], int in_fd, int out_fd)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (in_fd >= 0)
        posix_spawn_file_actions_adddup2(&actions, in_fd, 0);
    else
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out_fd, 1);
    pid_t pid;
    errno = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
    if (errno != 0)
        runs_die("cannot run", argv[0]);
    started[started_count++ % STARTED_MAX] = pid;
    posix_spawn_file_actions_destroy(&actions);
    return pid;
}

pid_t runs_start(const char *name, char *const argv[], int in_fd, int *out_fd)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        runs_die("pipe for", name);
    pid_t pid = runs_start_with(argv, in_fd, fds[1]);
    close(fds[1]);
    *out_fd = fds[0];
    return pid;
}

/* The run with all that it has started: a process group. */
static volatile sig_atomic_t run_group;
static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/* Takes the run along. */
static void end_all(int signal)
{
    if (run_group > 0)
        kill(-run_group, SIGKILL);
    raise(signal); /* which is what it was again, and comes when this is over */
}

void runs_catch_ends(void)
{
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (signal(ends[i], SIG_IGN) != SIG_IGN) /* nohup is to be heeded */
            sigaction(ends[i],
                      &(struct sigaction){.sa_handler = end_all, .sa_flags = (int)SA_RESETHAND},
                      NULL);
    }
}

/* The group is known before the next signal comes. */
pid_t runs_fork_group(void)
{
    sigset_t held, before;
    sigemptyset(&held);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sigaddset(&held, ends[i]);
    sigprocmask(SIG_BLOCK, &held, &before);
    pid_t pid = fork();
    if (pid >= 0)
        setpgid(pid, pid);
    run_group = pid;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

int runs_end_group(const char *name)
{
    siginfo_t info;
    int status;
    pid_t pid = run_group;
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
        runs_die("wait for", name);
    kill(-pid, SIGKILL);
    run_group = 0;
    if (waitpid(pid, &status, 0) < 0)
        runs_die("wait for", name);
    return status;
}

ssize_t runs_read(int fd, void *buf, size_t len)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int r = poll(&p, 1, RUNS_DEADLINE_S * 1000);
    if (r == 1)
        return read(fd, buf, len);
    if (r == 0)
        errno = ETIME;
    return -1;
}

void runs_progress(int round, int rounds, const char *what)
{
    if (!isatty(2))
        return;
    fputs("\r\033[K", stderr);
    if (round > 0)
        fprintf(stderr, "round %d of %d %s", round, rounds, what);
}

void runs_json_figure(cJSON *object, const char *name, const double *values, int n)
{
    cJSON *figure = cJSON_AddObjectToObject(object, name);
    cJSON_AddNumberToObject(figure, "median", stats_median(values, n));
    cJSON_AddItemToObject(figure, "samples", cJSON_CreateDoubleArray(values, n));
}

void runs_json_print(cJSON *root, const char *file)
{
    char *text = cJSON_Print(root);
    FILE *out = file != NULL ? fopen(file, "we") : stdout;
    if (out == NULL || fprintf(out, "%s\n", text) < 0 ||
        (file != NULL ? fclose(out) : fflush(out)) != 0)
        runs_die("write", file != NULL ? file : "the results");
    free(text);
    cJSON_Delete(root);
}
