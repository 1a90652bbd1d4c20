// SPDX-License-Identifier: BSD-2-Clause
/* The files and texts that the user passes to the guest (--fw-cfg), in a fw_cfg device. */
#ifndef MINIVET_ARCH_PASSED_FILES_H
#define MINIVET_ARCH_PASSED_FILES_H

#include <stdint.h>

#include "core/ports/doorbell.h"

struct board_config;
struct passed_files;

/* Reads the files. The device is in ports or in memory. Errors are reported. */
int passed_files_create(struct passed_files **out, const struct board_config *board,
                        enum bus_space space, uint64_t base);
void passed_files_destroy(struct passed_files *p); /* NULL is allowed */

#endif
