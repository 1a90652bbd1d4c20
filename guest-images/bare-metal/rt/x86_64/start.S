// SPDX-License-Identifier: BSD-2-Clause
/*
 * From power-on to C at privilege level 3, in as few level-0 instructions as will do: a host
 * without hardware virtualization interprets each of them, and some not at all.
 *
 *   PVH entry (32-bit, paging off) --\
 *                                     > long mode, GDT, IDT, TSS -> iretq -> level 3: rt_main(cpu)
 *   SIPI at AP_GPA (16-bit real) ----/
 *
 * Each CPU's number is its APIC id. All memory is mapped to itself and open to level 3: the first
 * 8 GiB, of which the 4th is for devices (uncached). The page tables are data: nothing builds them.
 */
#include "layout.h"

    .section .note.pvh, "a", @note
    .balign 4
    .long 2f - 1f, 4, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
1:  .asciz "Xen"
2:  .long start32

/* ---- 32-bit: the first CPU ---- */
    .text
    .code32
    .globl start32
start32:
    movl %ebx, rt_start_info
    lgdt gdt_pointer
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl $0xc0000080, %ecx /* EFER: LME */
    xorl %edx, %edx
    movl $0x100, %eax
    wrmsr
    movl $0x80000011, %eax /* PG, ET, PE */
    movl %eax, %cr0
    ljmp $SEL_CODE0, $start64

/* ---- 16-bit: the others; copied to AP_GPA, where SIPI starts them ---- */
    .section .rodata
    .code16
    .globl rt_ap_code, rt_ap_code_end
rt_ap_code:
    lgdtl %cs:(3f - rt_ap_code)
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0x20, %eax
    movl %eax, %cr4
    movl $0xc0000080, %ecx
    xorl %edx, %edx
    movl $0x100, %eax
    wrmsr
    movl $0x80000011, %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE0, $start64
3:  .word gdt_end - gdt - 1
    .long gdt
rt_ap_code_end:

/* ---- 64-bit, level 0 ---- */
    .text
    .code64
start64:
    movl $SEL_DATA0, %eax
    movl %eax, %ss
    movl $SEL_DATA3, %eax
    movl %eax, %ds
    movl %eax, %es
    lidt idt_pointer
    movl $1, %eax
    cpuid
    shrl $24, %ebx
    movl %ebx, %ebp /* the CPU's number */
    cmpl $RT_CPUS, %ebp
    jae 9f

    imull $STACK_BYTES, %ebp, %eax
    leaq stacks0 + STACK_BYTES(%rax), %rsp
    imull $TSS_BYTES, %ebp, %edi
    addl $tss, %edi
    movq %rsp, 4(%rdi) /* the stack for interrupts */
    movw $TSS_BITMAP, 102(%rdi)

    /* Its descriptor: available 64-bit TSS; the base is below 16 MiB. */
    movl %ebp, %eax
    shll $4, %eax
    leal SEL_TSS(%rax), %ecx
    movl %edi, %edx
    shll $16, %edx
    orl $TSS_BYTES - 1, %edx
    movl %edx, gdt(%rcx)
    shrl $16, %edi
    orl $0x8900, %edi
    movl %edi, gdt + 4(%rcx)
    ltr %cx

    movl %ebp, %edi
    call rt_level0
    imull $STACK_BYTES, %ebp, %eax
    leaq stacks3 + STACK_BYTES - 8(%rax), %rax
    pushq $SEL_DATA3
    pushq %rax
    pushq $0x202 /* interrupts on */
    pushq $SEL_CODE3
    pushq $rt_main
    movl %ebp, %edi
    iretq
9:  hlt
    jmp 9b

/* A guest that has something to do at level 0 has its own. */
    .weak rt_level0
rt_level0:
    ret

/* ---- interrupts and exceptions: 16 bytes of stub each, then all the same ---- */
    .balign 16
    .globl rt_stubs
rt_stubs:
vector = 0
    .rept RT_VECTORS
    .balign 16
    /* These push an error code themselves (Intel SDM 3A table 6-1). */
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
    .else
    pushq $0
    .endif
    pushq $vector
    jmp common
vector = vector + 1
    .endr

common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    cld
    movq 72(%rsp), %rdi /* vector */
    leaq 80(%rsp), %rsi /* error code, then the frame */
    call rt_interrupt
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

/* ---- tables ---- */
    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00209b0000000000 /* SEL_CODE0: 64-bit */
    .quad 0x0000930000000000 /* SEL_DATA0 */
    .quad 0x0020fb0000000000 /* SEL_CODE3 */
    .quad 0x0000f30000000000 /* SEL_DATA3 */
    .fill RT_CPUS * 2 + 1, 8, 0
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
idt_pointer:
    .word 256 * 16 - 1
    .quad rt_idt

    /* Present, writable, open to level 3; then large page, uncached for devices. */
    .balign 4096
pml4:
    .quad pdpt + 7
    .fill 511, 8, 0
pdpt:
gib = 0
    .rept 8
    .quad directories + gib * 4096 + 7
gib = gib + 1
    .endr
    .fill 504, 8, 0
directories:
page = 0
    .rept 8 * 512
    .quad page * 0x200000 + 0x87 + (page / 512 == 3) * -0x18
page = page + 1
    .endr

    .bss
    .balign 16
    .globl rt_idt
rt_idt:
    .skip 256 * 16
stacks0:
    .skip RT_CPUS * STACK_BYTES
stacks3:
    .skip RT_CPUS * STACK_BYTES
tss: /* with a bitmap of zeros: every port is open */
    .skip RT_CPUS * TSS_BYTES
    .globl rt_start_info
rt_start_info:
    .skip 8

    .section .note.GNU-stack, "", @progbits
