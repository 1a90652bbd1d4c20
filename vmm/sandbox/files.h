// SPDX-License-Identifier: BSD-2-Clause
/* The files that a run may open: those that its command line names, and what the host's libraries
 * and kernel want. */
#ifndef MINIVET_VMM_SANDBOX_FILES_H
#define MINIVET_VMM_SANDBOX_FILES_H

#include "core/peers/confine.h"

struct vm_config;

#define SANDBOX_PATHS 512u

struct sandbox_files {
    struct confine_path paths[SANDBOX_PATHS];
    char *own[SANDBOX_PATHS]; /* strings of paths, to be freed */
    unsigned count, own_count;
    bool is_full;
};

/* uses: bits of calls.h. An output that is not there yet is made, empty. */
void sandbox_files_list(struct sandbox_files *files, const struct vm_config *vm, unsigned uses);
void sandbox_files_free(struct sandbox_files *files);

#endif
