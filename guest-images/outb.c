// SPDX-License-Identifier: BSD-2-Clause
//
// outb PORT BYTE: write one byte to one I/O port, from user space in a guest. (Debian's cloud
// kernels have no /dev/port.)
#include "freestanding.h"

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

static long program(long argc, char **argv)
{
    long port = argc == 3 ? parse_number(argv[1], 0xffff) : -1;
    long byte = argc == 3 ? parse_number(argv[2], 0xff) : -1;

    if (port < 0 || byte < 0) {
        return 2;
    }
    if (syscall3(SYS_IOPERM, port, 1, 1) != 0) {
        return 1;
    }
    __asm__ volatile("outb %b0, %w1" : : "a"(byte), "d"(port));
    return 0;
}
