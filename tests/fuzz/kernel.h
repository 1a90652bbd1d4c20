// SPDX-License-Identifier: BSD-2-Clause
/*
 * Eventfds and epoll without a kernel: counts in memory that behave as Linux' do. A script of ten
 * steps makes two hundred system calls otherwise, which take longer than all the rest.
 */
#ifndef MINIVET_TESTS_FUZZ_KERNEL_H
#define MINIVET_TESTS_FUZZ_KERNEL_H

#include <stdbool.h>

/* Are eventfds and epolls that are made from now on ours? Others stay what they are. */
void fuzz_kernel(bool on);

/* How many of ours are open. */
unsigned fuzz_kernel_files(void);

#endif
