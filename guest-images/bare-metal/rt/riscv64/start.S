// SPDX-License-Identifier: BSD-2-Clause
/* From a Linux Image's entry to C in S-mode, without translation. Interrupts are masked until rt_irq_init(). */
#include "layout.h"

    .section .head, "ax"
    .globl start
start: /* Linux, Documentation/arch/riscv/boot-image-header.rst */
    .option push
    .option norvc
    j 1f
    nop
    .option pop
    .quad 0           /* from the start of RAM */
    .quad image_bytes
    .quad 0
    .long 2, 0
    .quad 0
    .asciz "RISCV\0\0"
    .ascii "RSC\x05"
    .long 0

1:  la t0, rt_tree
    sd a1, (t0)
    li a0, 0

    .globl rt_secondary
rt_secondary: /* a0: the CPU's number */
    la t0, trap
    csrw stvec, t0
    la sp, stacks + STACK_BYTES
    li t0, STACK_BYTES
    mul t0, t0, a0
    add sp, sp, t0
    call rt_main

    .macro each op /* of what C may change, without floating point */
    \op ra, 0(sp)
    \op t0, 8(sp)
    \op t1, 16(sp)
    \op t2, 24(sp)
    \op t3, 32(sp)
    \op t4, 40(sp)
    \op t5, 48(sp)
    \op t6, 56(sp)
    \op a0, 64(sp)
    \op a1, 72(sp)
    \op a2, 80(sp)
    \op a3, 88(sp)
    \op a4, 96(sp)
    \op a5, 104(sp)
    \op a6, 112(sp)
    \op a7, 120(sp)
    .endm
    .balign 4
trap:
    addi sp, sp, -128
    each sd
    csrr a0, scause
    bgez a0, 1f
    call rt_interrupt
    each ld
    addi sp, sp, 128
    sret
1:  csrr a1, stval
    csrr a2, sepc
    j rt_unexpected

    .bss
    .balign 16
stacks:
    .skip RT_CPUS * STACK_BYTES

    .section .note.GNU-stack, "", %progbits
