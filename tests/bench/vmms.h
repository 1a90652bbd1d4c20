// SPDX-License-Identifier: BSD-2-Clause
/* The VMMs that Minivet is measured beside, and how each is told about the same guest. */
#ifndef MINIVET_BENCH_VMMS_H
#define MINIVET_BENCH_VMMS_H

#include <stdbool.h>
#include <sys/types.h>

#define VMMS_MAX 12

/* What a guest has beyond a processor and memory. */
enum vmm_device { VMM_NOTHING, VMM_DISK, VMM_NET, VMM_RNG, VMM_CONSOLE, VMM_DEVICES };

struct vmm {
    const char *name;
    const char *program;              /* found in PATH, or a path */
    const char *line;                 /* words; in braces what vmm_start() fills in */
    const char *initrd;               /* more words for one */
    const char *serial;               /* ... for the serial port on standard input and output */
    const char *devices[VMM_DEVICES]; /* ... for a device; NULL: has none */
};

struct vmm_guest {
    const char *kernel, *initrd /* or NULL */, *append;
    int mem_mib, cpus;
    enum vmm_device device;
};

/* A name of the table, the path of another Minivet, or a line in which {kernel}, {initrd},
 * {append}, {mem} (MiB) and {cpus} are filled in. False, and said: it is not installed. */
bool vmm_find(const char *name, struct vmm *v);

/* The file of that name in PATH, or NULL. */
const char *vmm_program(const char *program);

bool vmm_has(const struct vmm *v, enum vmm_device device);

/* For in_fd see runs_start(). */
pid_t vmm_start(const struct vmm *v, const struct vmm_guest *g, int in_fd, int *fd);

#endif
