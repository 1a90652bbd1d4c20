// SPDX-License-Identifier: BSD-2-Clause
//
// For the small programs of the test guest: no C library, so that each is a kilobyte or two,
// static, and the same on every host. Compile with -ffreestanding -nostdlib -static; define
// program().
#ifndef MINIVET_GUEST_FREESTANDING_H
#define MINIVET_GUEST_FREESTANDING_H

#include "command/x86_64/syscall.h"

#define SYS_OPEN         2
#define SYS_RT_SIGACTION 13
#define SYS_EXECVE       59
#define SYS_EXIT         60
#define SYS_REBOOT       169
#define SYS_IOPERM       173

// Returns the exit status.
static long program(long argc, char **argv);

static inline long syscall5(long number, long a, long b, long c, long d, long e)
{
    return syscall6(number, a, b, c, d, e, 0);
}

// The struct sigaction of the kernel. All zero is the default.
struct signal_action {
    long handler, flags, restorer, mask;
};

#define SIGNAL_IGNORE 1

static inline long syscall3(long number, long a, long b, long c)
{
    return syscall5(number, a, b, c, 0, 0);
}

// `stack` is what the kernel hands to a new program: argc, then the arguments.
__attribute__((noreturn, used)) static void begin(long *stack)
{
    long status = program(stack[0], (char **)(stack + 1));

    for (;;) {
        syscall3(SYS_EXIT, status, 0, 0);
    }
}

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call begin\n");

#endif
