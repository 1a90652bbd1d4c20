// SPDX-License-Identifier: BSD-2-Clause
/* A FUSE file system with one file, "file", which a thread of the test serves. */
#ifndef MINIVET_TESTS_HARNESS_FUSE_FS_H
#define MINIVET_TESTS_HARNESS_FUSE_FS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fuse_fs {
    const char *listed; /* the name that its directory lists; up to 1024 bytes */
    uint32_t mute;      /* the opcode that it does not answer; 0: it answers all */
    int fd;
    pthread_t thread;
};

/* After silent_begin() (silent.h). False: this user cannot have one. */
bool fuse_fs_mount(struct fuse_fs *fs, const char *dir);
/* Whoever waits for it has an error then. */
void fuse_fs_unmount(struct fuse_fs *fs, const char *dir);

#endif
