// SPDX-License-Identifier: BSD-2-Clause
/*
 * The reset vector: what there is of a BIOS. A guest that restarts through it (in real mode, at
 * F000:FFF0, Intel SDM 3A 10.1.4) gets a reset. Linux does so on a hardware-reduced ACPI machine,
 * where it takes EFI for the way to restart and, having none, falls back to the BIOS.
 */
#ifndef MINIVET_FIRMWARE_RESET_VECTOR_H
#define MINIVET_FIRMWARE_RESET_VECTOR_H

struct gmem;

/* Before the guest runs. 0, or -ENOMEM if memory ends below; reported. */
int reset_vector_write(const struct gmem *g);

#endif
