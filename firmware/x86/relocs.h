// SPDX-License-Identifier: BSD-2-Clause
/*
 * The table behind Linux's ELF file that says where in it there are virtual addresses, so that it
 * can run at others. 32-bit words, each the low half of the address of such a place:
 *
 *     0  places of 64 bits  0  [places of 32 bits, negative  0]  places of 32 bits
 *
 * The middle list is for what counts from the other end: addresses relative to a processor's
 * data, which does not move. Kernels from 6.15 on have none.
 */
#ifndef MINIVET_FIRMWARE_RELOCS_H
#define MINIVET_FIRMWARE_RELOCS_H

#include <stdbool.h>
#include <stdint.h>

/* Does it look like one? */
bool relocs_are(const uint8_t *table, uint64_t bytes);

/*
 * Adds delta to every place. The image was linked for link_gpa and a virtual address
 * 0xffffffff80000000 above. False if a place is outside of it; some were changed then.
 */
bool relocs_apply(const uint8_t *table, uint64_t bytes, uint64_t delta, uint8_t *image,
                  uint64_t link_gpa, uint64_t image_bytes);

#endif
