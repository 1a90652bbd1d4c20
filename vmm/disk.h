// SPDX-License-Identifier: BSD-2-Clause
/*
 * What stores a disk's bytes, as the user asked: an image or nothing, and in front of it what keeps
 * writes apart, makes it slower, or makes it fail.
 */
#ifndef MINIVET_VMM_DISK_H
#define MINIVET_VMM_DISK_H

struct blk_backend;
struct disk_config;
struct evloop;

/* Errors are reported. Not for disks whose work another process does. */
int disk_create(struct blk_backend **out, const struct disk_config *config, struct evloop *loop);

#endif
