// SPDX-License-Identifier: BSD-2-Clause
/* Numbers that the runtime's assembly and C share. */
#ifndef MINIVET_BARE_METAL_LAYOUT_H
#define MINIVET_BARE_METAL_LAYOUT_H

#define RT_CPUS       4
#define RT_VECTOR_MIN 32
#define RT_VECTORS    64
#define AP_GPA        0x8000 /* below 1 MiB, at the start of a page */

#define STACK_BYTES 4096
#define TSS_BITMAP  104
#define TSS_BYTES   (TSS_BITMAP + 8192 + 8)

#define SEL_CODE0 0x08
#define SEL_DATA0 0x10
#define SEL_CODE3 0x1b
#define SEL_DATA3 0x23
#define SEL_TSS   0x30 /* CPU n: 16 n above */

#endif
