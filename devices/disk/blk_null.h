// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk that stores nothing: writes are forgotten, reads leave memory as it is. It makes no
 * system calls, so what is measured with it is all that is not the disk.
 */
#ifndef MINIVET_DEVICES_BLK_NULL_H
#define MINIVET_DEVICES_BLK_NULL_H

#include <stdbool.h>
#include <stdint.h>

struct blk_backend;
struct evloop;

struct blk_null_config {
    struct evloop *loop;
    uint64_t bytes; /* a multiple of sector_bytes, not 0 */
    bool read_only;
    uint32_t sector_bytes; /* logical blocks that the guest sees; 0: 512 */
};

/* Errors are reported. Destroyed through its ops; what is out then is completed first. */
int blk_null_create(struct blk_backend **out, const struct blk_null_config *config);

#endif
