// SPDX-License-Identifier: BSD-2-Clause
/*
 * A disk whose changes are thrown away: a filter in front of another backend, which is only read.
 *
 * What the guest writes, zeroes or discards goes to a second backend, the top: by default a file
 * without a name, as large as the disk and empty, that the host deletes when it is closed. A map
 * with a bit for each sector says which of the two holds it. (A bit for a larger cluster would make
 * the map smaller, and every small write a read of the base as well, with an order among them to
 * keep. The map is a 4096th of what is written, and memory is spent only where something is.)
 *
 * Flushes do nothing: there is nothing to keep.
 */
#ifndef MINIVET_DEVICES_BLK_OVERLAY_H
#define MINIVET_DEVICES_BLK_OVERLAY_H

struct blk_backend;
struct evloop;

struct blk_overlay_config {
    struct evloop *loop;
    struct blk_backend *base; /* may be read-only; taken over if the call succeeds */
    struct blk_backend *top;  /* NULL: a file in $TMPDIR or /var/tmp. Else taken over, too */
};

/* Errors are reported. Changes are in whole sectors, others end with -EINVAL. */
int blk_overlay_create(struct blk_backend **out, const struct blk_overlay_config *config);

#endif
