// SPDX-License-Identifier: BSD-2-Clause
/* The kernel that guest-images/build has fetched for tools/run-linux, and the initramfs it made. */
#ifndef MINIVET_VMM_STOCK_KERNEL_H
#define MINIVET_VMM_STOCK_KERNEL_H

#include <limits.h>

struct vm_config;

struct stock_kernel {
    char kernel[PATH_MAX], initramfs[PATH_MAX];
};

/*
 * For a command line without a kernel: names it in the config, with the initramfs unless there is
 * an initrd, and says so. The names are in *s. -ENOENT if there is none; reported.
 */
int stock_kernel_choose(struct stock_kernel *s, struct vm_config *config);

#endif
