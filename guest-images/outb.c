// SPDX-License-Identifier: BSD-2-Clause
//
// outb PORT BYTE: write one byte to one I/O port, from user space in a guest.
//
// Debian's cloud kernels have no /dev/port. This is freestanding so that it is a kilobyte, static,
// and the same on every host: compile with -ffreestanding -nostdlib -static.

#define SYS_IOPERM 173
#define SYS_EXIT   60

__attribute__((noreturn)) void outb_main(long *stack);

static long syscall3(long number, long a, long b, long c)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return result;
}

// Decimal only, which is what the shell's arithmetic prints; -1 for anything else or above `max`.
static long parse_number(const char *text, long max)
{
    long value = 0;

    if (!*text) {
        return -1;
    }
    for (; *text; text++) {
        if (*text < '0' || *text > '9') {
            return -1;
        }
        value = value * 10 + (*text - '0');
        if (value > max) {
            return -1;
        }
    }
    return value;
}

// `stack` is what the kernel hands to a new program: argc, then the arguments.
void outb_main(long *stack)
{
    char **argv = (char **)(stack + 1);
    long port = stack[0] == 3 ? parse_number(argv[1], 0xffff) : -1;
    long byte = stack[0] == 3 ? parse_number(argv[2], 0xff) : -1;
    long status = 2;

    if (port >= 0 && byte >= 0) {
        status = 1;
        if (syscall3(SYS_IOPERM, port, 1, 1) == 0) {
            __asm__ volatile("outb %b0, %w1" : : "a"(byte), "d"(port));
            status = 0;
        }
    }
    for (;;) {
        syscall3(SYS_EXIT, status, 0, 0);
    }
}

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call outb_main\n");
