// SPDX-License-Identifier: BSD-2-Clause
// How a program begins, and how it calls Linux.
#ifndef MINIVET_COMMAND_SYSCALL_H
#define MINIVET_COMMAND_SYSCALL_H

static inline long syscall6(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define START                  \
    __asm__(".globl _start\n"  \
            "_start:\n"        \
            "xor %ebp, %ebp\n" \
            "and $-16, %rsp\n" \
            "call begin\n")

#endif
