// SPDX-License-Identifier: BSD-2-Clause
/* The VMMs that Minivet is measured beside, and how each is told about the same guest. */
#ifndef MINIVET_BENCH_VMMS_H
#define MINIVET_BENCH_VMMS_H

#include <stdbool.h>
#include <sys/types.h>

#define VMMS_MAX 12

/* What a guest has beyond a processor and memory. */
enum vmm_device { VMM_NOTHING, VMM_DISK, VMM_NET, VMM_RNG, VMM_CONSOLE, VMM_DEVICES };

/* A way in which VMMs run a benchmark, for which each is a contender of its own. */
struct vmm_way {
    const char *family; /* the VMMs' */
    const char *name;   /* behind the VMM's; NULL: the only one */
    const char *kind;   /* see struct results; NULL: the usual one */
    const char *words;  /* the benchmark's */
    bool on_request;    /* left out unless its kind is asked for */
};

struct vmm {
    const char *name;
    const char *family;               /* those whose lines are alike */
    const char *program;              /* found in PATH, or a path */
    const char *line;                 /* words; in braces what vmm_start() fills in */
    const char *initrd;               /* more words for one */
    const char *serial;               /* ... for the serial port on standard input and output */
    const char *devices[VMM_DEVICES]; /* ... for a device; NULL: has none */
    const char *bus;                  /* how its virtio devices' names end */
    bool no_elf;                      /* takes Linux only, as it is packed */
    const struct vmm_way *way;        /* NULL: the benchmark has none */
};

struct vmm_guest {
    const char *kernel, *initrd /* or NULL */, *append;
    int mem_mib, cpus;
    enum vmm_device device;
    const char *file;  /* for a benchmark's own words, or NULL */
    bool direct;       /* ... around the page cache */
    const char *words; /* of the benchmark's own, behind those of its way; or NULL */
    int out_fd;        /* its standard output; 0: a pipe, which vmm_start() makes */
};

/* A name of the table, the path of another Minivet, or a line in which {kernel}, {initrd},
 * {append}, {mem} (MiB) and {cpus} are filled in. False, and said: it is not installed. */
bool vmm_find(const char *name, struct vmm *v);

/* Whether it can be such a name, path or line at all. */
bool vmm_is_known(const char *name);

/* The file of that name in PATH, or NULL. */
const char *vmm_program(const char *program);

bool vmm_has(const struct vmm *v, enum vmm_device device);

/* For in_fd see runs_start(). */
pid_t vmm_start(const struct vmm *v, const struct vmm_guest *g, int in_fd, int *fd);

#endif
