// SPDX-License-Identifier: BSD-2-Clause
// As x86_64.S, from an Image's entry (Linux, Documentation/arch/riscv/boot-image-header.rst). The byte that ends the run
// is written to the debug exit's address.

    .option norvc
    j 1f
    nop
    .quad 0, 4096, 0
    .long 2, 0
    .quad 0
    .asciz "RISCV\0\0"
    .ascii "RSC\x05"
    .long 0

    .globl start
start:
1:  li t0, 0x01000000
    li t1, '!'
    sb t1, (t0)
#ifndef STAY
    li t0, 0x01020000
    sb zero, (t0)
#endif
2:  wfi
    j 2b
