// SPDX-License-Identifier: BSD-2-Clause
// As x86_64.S, from an Image's entry (Linux, Documentation/arch/arm64/booting.rst). The byte that ends the run is written
// to the debug exit's address.

    b 1f
    .long 0
    .quad 0, 4096, 0xa
    .quad 0, 0, 0
    .ascii "ARM\x64"
    .long 0

    .globl start
start:
1:  mov x0, #0x01000000
    mov w1, #'!'
    strb w1, [x0]
#ifndef STAY
    mov x0, #0x01020000
    strb wzr, [x0]
#endif
2:  wfi
    b 2b
