// SPDX-License-Identifier: BSD-2-Clause
/*
 * A ring that has gone round almost once: as if chains of one descriptor each had been sent and
 * come back until `left` descriptors are missing to where the counting begins anew. A split ring's
 * indices are 65536 - left then; a packed one is in its second lap, `left` places before its end.
 *
 * For both sides of a queue that runs, has served nothing, and is touched by no other thread.
 */
#ifndef MINIVET_TESTS_HARNESS_LATE_H
#define MINIVET_TESTS_HARNESS_LATE_H

#include <stdint.h>

struct vdrv_queue;
struct virtqueue;

void late_begin(struct virtqueue *vq, struct vdrv_queue *q, uint32_t left);

#endif
