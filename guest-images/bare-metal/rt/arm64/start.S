// SPDX-License-Identifier: BSD-2-Clause
/*
 * From a Linux Image's entry to C at EL1, with the first 512 GiB mapped to themselves: devices
 * below RAM, and memory from there on. Interrupts are masked until rt_irq_init().
 */
#include "layout.h"

#define MAIR  0xff00 /* attribute 0: Device-nGnRnE, 1: memory, write-back */
#define BLOCK 0x401  /* accessed; a block of 1 GiB */
#define INNER (3 << 8)
#define NORMAL (1 << 2)
/* 39 bits by TTBR0 alone, 4 KiB, write-back, inner shareable, 40 bits of output */
#define TCR   ((64 - 39) | 1 << 8 | 1 << 10 | 3 << 12 | 1 << 23 | 2 << 32)
#define SCTLR (1 << 0 | 1 << 2 | 1 << 12) /* MMU, both caches */

    .section .head, "ax"
    .globl start
start: /* Linux, Documentation/arch/arm64/booting.rst */
    b 1f
    .long 0
    .quad 0           /* from the start of RAM */
    .quad image_bytes
    .quad 0xa
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .long 0

1:  mov x20, x0 /* the tree */
    mov x0, #0

    .globl rt_secondary
rt_secondary: /* x0: the CPU's number */
    mov x19, x0
    ldr x1, =vectors
    msr vbar_el1, x1
    ldr x1, =MAIR
    msr mair_el1, x1
    ldr x1, =TCR
    msr tcr_el1, x1
    ldr x1, =table
    msr ttbr0_el1, x1
    isb
    mrs x1, sctlr_el1
    ldr x2, =SCTLR
    orr x1, x1, x2
    msr sctlr_el1, x1
    isb
    cbnz x19, 2f
    ldr x1, =rt_tree
    str x20, [x1]
2:  ldr x1, =stacks + STACK_BYTES
    mov x2, #STACK_BYTES
    madd x1, x19, x2, x1
    mov sp, x1
    mov x0, x19
    mov x29, #0
    bl rt_main
    .ltorg

    .text
    .balign 2048
vectors:
entry = 0
    .rept 16
    .balign 128
    .if entry == 5 /* an interrupt at EL1 */
    b interrupt
    .endif
    mrs x1, esr_el1
    lsr x0, x1, #26
    mrs x2, elr_el1
    b rt_unexpected
entry = entry + 1
    .endr

    .macro each_pair op /* of what C may change, besides x18: it uses no floating point */
    \op x0, x1, [sp, #16]
    \op x2, x3, [sp, #32]
    \op x4, x5, [sp, #48]
    \op x6, x7, [sp, #64]
    \op x8, x9, [sp, #80]
    \op x10, x11, [sp, #96]
    \op x12, x13, [sp, #112]
    \op x14, x15, [sp, #128]
    \op x16, x17, [sp, #144]
    .endm
interrupt:
    stp x29, x30, [sp, #-176]!
    each_pair stp
    str x18, [sp, #160]
    bl rt_interrupt
    ldr x18, [sp, #160]
    each_pair ldp
    ldp x29, x30, [sp], #176
    eret

    .data
    .balign 4096
table:
gib = 0
    .rept 512
    .if gib < RAM_GPA >> 30
    .quad gib << 30 | BLOCK
    .else
    .quad gib << 30 | BLOCK | INNER | NORMAL
    .endif
gib = gib + 1
    .endr

    .bss
    .balign 16
stacks:
    .skip RT_CPUS * STACK_BYTES

    .section .note.GNU-stack, "", %progbits
