// SPDX-License-Identifier: BSD-2-Clause
/* What /proc says of a VMM's process. All end the program if it says nothing. */
#ifndef MINIVET_BENCH_PROC_H
#define MINIVET_BENCH_PROC_H

#include <sys/types.h>

/* Proportional set size in KiB without the guest's memory: mappings of nearly its size. */
double proc_pss_kib(pid_t pid, int mem_mib);

/* MiB of its memory, the guest's included, that are in the host's. */
double proc_rss_mib(pid_t pid);

/* User and system time so far, of all threads. */
double proc_cpu_ms(pid_t pid);

/* How often its threads have gone to sleep by themselves. */
double proc_sleeps(pid_t pid);

#endif
