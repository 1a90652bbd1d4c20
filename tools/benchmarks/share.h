// SPDX-License-Identifier: BSD-2-Clause
/* A pattern of `minivet bench share`, and how the host itself runs it. */
#ifndef MINIVET_BENCH_SHARE_H
#define MINIVET_BENCH_SHARE_H

#include <stdbool.h>

/* As the guest's order op= has them. */
enum share_op {
    SHARE_READ,
    SHARE_WRITE,
    SHARE_CREATE,
    SHARE_STAT,
    SHARE_LIST,
    SHARE_UNLINK,
    SHARE_TREE
};

struct share_pattern {
    const char *name, *title;
    enum share_op op;
    unsigned bytes, depth; /* of data */
    bool sequential;
    unsigned dirs, files; /* files of each directory */
};

/* Also a share's figures, of a request or a file: NAN where one does not apply. */
enum share_figure { PER_S, MB_S, P50_US, P99_US, CPU_US, PSS_MIB, DAEMON_MIB };

#define SHARE_DATA_BYTES (256ll << 20)

/* What the pattern needs, below the directory. */
void share_host_prepare(int dir_fd, const struct share_pattern *p);

/* Without a VM: the same calls in a loop. */
void share_host_run(int dir_fd, const struct share_pattern *p, double seconds, double *figures);

#endif
