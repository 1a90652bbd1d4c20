// SPDX-License-Identifier: BSD-2-Clause
/*
 * What --root DIR stands for, found on this host: the kernel and its modules, the command, where it
 * begins, and its environment.
 */
#ifndef MINIVET_VMM_ROOT_H
#define MINIVET_VMM_ROOT_H

struct stock_kernel;
struct vm_config;

/*
 * Fills in what the user has not said. The kernel is the host's own, or else stock_kernel.h's. 0,
 * or a negative errno; reported.
 */
int root_choose(struct vm_config *config, struct stock_kernel *stock);

#endif
