// SPDX-License-Identifier: BSD-2-Clause
/* Numbers of machines with a device tree (vmm/arch/fdt_board.h), for assembly and C. */
#ifndef MINIVET_BARE_METAL_LAYOUT_H
#define MINIVET_BARE_METAL_LAYOUT_H

#define RT_CPUS       4
#define RT_VECTOR_MIN 1
#define RT_VECTORS    64
#define STACK_BYTES   4096

#define RAM_GPA         0x80000000
#define SERIAL_GPA      0x01000000
#define DEBUG_EXIT_GPA  0x01020000
#define VIRTIO_GPA      0x03000000
#define FRAMEBUFFER_GPA 0x20000000
#define STAMP_GPA       0xd0002001 /* the tests' machine has it; elsewhere nobody is there */

#endif
