// SPDX-License-Identifier: BSD-2-Clause
/*
 * The registers of a machine's virtio devices and of its PCI bus, on a tape (core/tape/tape.h):
 * buses of their own, behind windows on the machine's.
 *
 * While it records, every access is made on the loop, where the devices are: so there is one order
 * of all that they see. In a replay there is no machine, and the accesses come from the tape.
 */
#ifndef MINIVET_VMM_SEAM_H
#define MINIVET_VMM_SEAM_H

struct arch;
struct bus;
struct evloop;
struct seam;
struct tape;

/* mmio and pio: the machine's, if it has both; NULL in a replay. All of it outlives the seam.
 * Errors are reported. */
int seam_create(struct seam **out, const struct arch *arch, struct tape *tape, struct evloop *loop,
                struct bus *mmio, struct bus *pio);
/* When no vCPU runs, after the devices. NULL is allowed. */
void seam_destroy(struct seam *s);

/* Where the devices are. pio is NULL if the architecture has no port I/O. */
struct bus *seam_mmio(struct seam *s);
struct bus *seam_pio(struct seam *s);

#endif
