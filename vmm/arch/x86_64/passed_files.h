// SPDX-License-Identifier: BSD-2-Clause
/* The files and texts that the user passes to the guest (--fw-cfg), in a fw_cfg device. */
#ifndef MINIVET_ARCH_X86_64_PASSED_FILES_H
#define MINIVET_ARCH_X86_64_PASSED_FILES_H

struct board_config;
struct passed_files;

/* Reads the files. Errors are reported. */
int passed_files_create(struct passed_files **out, const struct board_config *board);
void passed_files_destroy(struct passed_files *p); /* NULL is allowed */

#endif
