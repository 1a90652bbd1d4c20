// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which Linux a kernel file is, as its `uname -r` says: the name of the folder with its modules.
 */
#ifndef MINIVET_FIRMWARE_KERNEL_VERSION_H
#define MINIVET_FIRMWARE_KERNEL_VERSION_H

#include <stdbool.h>

#define KERNEL_VERSION_BYTES 65u /* as struct utsname has it, with the NUL */

/*
 * From a bzImage's header; or from the text that every kernel which is not packed begins to print
 * with; or from a name like vmlinuz-VERSION. False: none of these tells it, or the file cannot be
 * read. The version has no slash in it.
 */
bool kernel_version(const char *path, char version[KERNEL_VERSION_BYTES]);

#endif
