// SPDX-License-Identifier: BSD-2-Clause
/* A FUSE file system with one file, "file", which a process of the test's serves. */
#ifndef MINIVET_TESTS_HARNESS_FUSE_FS_H
#define MINIVET_TESTS_HARNESS_FUSE_FS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FUSE_FS_SECONDS 20

struct fuse_fs {
    const char *listed; /* the name that its directory lists; up to 1024 bytes */
    uint32_t mute;      /* the opcode that it does not answer; 0: it answers all */
    pid_t server;
};

/* After silent_begin() (silent.h). False: this user cannot have one. */
bool fuse_fs_mount(struct fuse_fs *fs, const char *dir);
/* What waits for it has an error then, at the latest after FUSE_FS_SECONDS. */
void fuse_fs_unmount(const struct fuse_fs *fs, const char *dir);

#endif
