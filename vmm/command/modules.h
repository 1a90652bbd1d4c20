// SPDX-License-Identifier: BSD-2-Clause
/*
 * The drivers that a guest needs before it has a root file system, out of a folder that depmod has
 * listed (/lib/modules/VERSION): for an archive, as files of COMMAND_MODULES.
 */
#ifndef MINIVET_VMM_COMMAND_MODULES_H
#define MINIVET_VMM_COMMAND_MODULES_H

#include <stdio.h>

struct cpio;

/*
 * Adds those of these names (up to a NULL) that the folder has, with all that they need, to the
 * archive; to the records, what the guest is to load, in its order. A name that the folder does not
 * have may be built into the kernel. Errors are reported.
 */
int modules_add(struct cpio *archive, FILE *records, const char *folder, const char *const *names);

#endif
