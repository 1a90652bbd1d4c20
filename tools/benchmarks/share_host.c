// SPDX-License-Identifier: BSD-2-Clause
#include "share.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proc.h"
#include "runs.h"

#define PIECE     (1u << 20)
#define TURN_MASK 63u /* of requests between two looks at the clock */

static char piece[PIECE];

/* As the guest calls them. Below no directory: at the top. */
#define NO_DIR     UINT_MAX
#define PATH_BYTES 32

static void name_dir(char path[PATH_BYTES], unsigned dir)
{
    snprintf(path, PATH_BYTES, "d%06u", dir);
}

static void name_file(char path[PATH_BYTES], unsigned dir, unsigned file)
{
    if (dir == NO_DIR)
        snprintf(path, PATH_BYTES, "f%06u", file);
    else
        snprintf(path, PATH_BYTES, "d%06u/f%06u", dir, file);
}

static void must(bool ok, const char *what, const char *path)
{
    if (!ok)
        runs_die(what, path);
}

/* ---- what there is ---- */

static void make_file(int dir_fd, const char *path)
{
    int fd = openat(dir_fd, path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    must(fd >= 0, "make", path);
    close(fd);
}

static void make_data(int dir_fd)
{
    int fd = openat(dir_fd, "data", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    for (long long done = 0; done < SHARE_DATA_BYTES; done += PIECE)
        must(write(fd, piece, PIECE) == PIECE, "write", "256 MiB to measure with");
    close(fd);
}

static void each_file(int dir_fd, unsigned dir, unsigned files,
                      void (*about)(int dir_fd, const char *path))
{
    char path[PATH_BYTES];
    for (unsigned i = 0; i < files; i++) {
        name_file(path, dir, i);
        about(dir_fd, path);
    }
}

void share_host_prepare(int dir_fd, const struct share_pattern *p)
{
    char dir[PATH_BYTES];
    if (p->op == SHARE_READ || p->op == SHARE_WRITE)
        make_data(dir_fd);
    else if (p->op != SHARE_CREATE && p->op != SHARE_TREE)
        each_file(dir_fd, NO_DIR, p->files, make_file);
    for (unsigned d = 0; d < p->dirs; d++) {
        name_dir(dir, d);
        must(mkdirat(dir_fd, dir, 0755) == 0, "make", dir);
        each_file(dir_fd, d, p->files, make_file);
    }
}

/* ---- a run ---- */

/* Marsaglia's xorshift, as the guest has it. */
static uint64_t random_below(uint64_t bound)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint64_t)((unsigned __int128)state * bound >> 64);
}

static double move_data(int dir_fd, const struct share_pattern *p, double seconds)
{
    uint64_t places = SHARE_DATA_BYTES / p->bytes, count = 0;
    double end = runs_now_ms() + seconds * 1e3;
    int fd = openat(dir_fd, "data", O_RDWR | O_CLOEXEC);
    while ((count & TURN_MASK) != 0 || runs_now_ms() < end) {
        off_t at = (off_t)((p->sequential ? count % places : random_below(places)) * p->bytes);
        ssize_t n =
            p->op == SHARE_READ ? pread(fd, piece, p->bytes, at) : pwrite(fd, piece, p->bytes, at);
        must(n == (ssize_t)p->bytes, "read or write", "data");
        count++;
    }
    close(fd);
    return (double)count;
}

static unsigned list(int dir_fd, const char *path)
{
    unsigned count = 0;
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    must(dir != NULL, "list", path);
    for (const struct dirent *d = readdir(dir); d != NULL; d = readdir(dir))
        count += d->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void stat_file(int dir_fd, const char *path)
{
    struct stat st;
    must(fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0, "stat", path);
}

static void unlink_file(int dir_fd, const char *path)
{
    must(unlinkat(dir_fd, path, 0) == 0, "unlink", path);
}

/* Returns how many files. */
static double name_files(int dir_fd, const struct share_pattern *p)
{
    char dir[PATH_BYTES];
    if (p->op == SHARE_LIST)
        return list(dir_fd, ".");
    for (unsigned d = 0; p->op == SHARE_TREE && d < p->dirs; d++) {
        name_dir(dir, d);
        each_file(dir_fd, d, p->files, stat_file);
        (void)list(dir_fd, dir);
    }
    if (p->op == SHARE_TREE)
        return (double)p->dirs * p->files;
    each_file(dir_fd, NO_DIR, p->files,
              p->op == SHARE_CREATE ? make_file
              : p->op == SHARE_STAT ? stat_file
                                    : unlink_file);
    return p->files;
}

void share_host_run(int dir_fd, const struct share_pattern *p, double seconds, double *figures)
{
    double from = runs_now_ms(), cpu = proc_cpu_ms(getpid());
    bool is_data = p->op == SHARE_READ || p->op == SHARE_WRITE;
    double count = is_data ? move_data(dir_fd, p, seconds) : name_files(dir_fd, p);
    double ms = runs_now_ms() - from;
    figures[PER_S] = count / ms * 1e3;
    figures[CPU_US] = (proc_cpu_ms(getpid()) - cpu) / count * 1e3;
    if (is_data)
        figures[MB_S] = count * p->bytes / ms / 1e3;
}
