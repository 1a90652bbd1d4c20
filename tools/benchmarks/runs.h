// SPDX-License-Identifier: BSD-2-Clause
/*
 * For benchmarks that compare programs in interleaved runs: one run of each, then the next round,
 * so that a noisy moment of the host falls on all of them. Figures are medians, ratios medians of
 * the rounds' ratios.
 */
#ifndef MINIVET_BENCH_RUNS_H
#define MINIVET_BENCH_RUNS_H

#include <stdbool.h>
#include <sys/types.h>

#include "stats.h"

#define RUNS_DEADLINE_S 180 /* for a program to say something */

/* QEMU's -cpu. Some hosts show a capabilities MSR that they then refuse. */
#define RUNS_QEMU_CPU "host,arch-capabilities=off"

struct cJSON;

/* errno says why; 0: `what` does. Ends the programs that were started, too. */
_Noreturn void runs_die(const char *what, const char *name);

double runs_now_ms(void);

/* Starts a program with that input, -1 for an empty one, and a pipe for its output. */
pid_t runs_start(const char *name, char *const argv[], int in_fd, int *out_fd);
/* The same with an output of the caller's. */
pid_t runs_start_with(char *const argv[], int in_fd, int out_fd);

/* fork() into a process group of its own. Once runs_catch_ends() was called, a signal that ends the
 * benchmark ends that, too. */
pid_t runs_fork_group(void);
void runs_catch_ends(void);

/* Waits for that process; what it has left running ends with it. Returns its status. */
int runs_end_group(const char *name);

/* Reads what there is as soon as there is some; 0 at the end, -1 with errno, ETIME among them. */
ssize_t runs_read(int fd, void *buf, size_t len);

/* Where the benchmark is, for a person at a terminal; round 0: no more of it. */
void runs_progress(int round, int rounds, const char *what);

void runs_json_figure(struct cJSON *object, const char *name, const double *values, int n);
/* To standard output, or into a file; and gives it back. */
void runs_json_print(struct cJSON *root, const char *file);

#endif
