// SPDX-License-Identifier: BSD-2-Clause
// The least of guests, for measuring a VMM's start: its first instructions print a byte on the
// serial port. Then it ends the run through the debug-exit port, or with STAY halts for ever.
// PVH entry: 32-bit protected mode, paging off.

    .section .note.pvh, "a", @note
    .long 4, 4, 18             // name and descriptor sizes, XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long start32

    .section .text.start, "ax"
    .code32
    .globl start32
start32:
    mov $0x3f8, %dx
    mov $'!', %al
    out %al, %dx
#ifndef STAY
    mov $0xf4, %dx
    xor %eax, %eax
    out %al, %dx
#endif
1:  cli
    hlt
    jmp 1b
