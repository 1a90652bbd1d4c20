// SPDX-License-Identifier: BSD-2-Clause
//
// kexec KERNEL INITRD CMDLINE: start another kernel from the running one, without a reset of the
// machine in between. On failure the exit status is the system call's errno.
#include "freestanding.h"

#define SYS_KEXEC_FILE_LOAD 320
#define REBOOT_MAGIC1       0xfee1dead
#define REBOOT_MAGIC2       672274793
#define REBOOT_CMD_KEXEC    0x45584543
#define O_RDONLY            0

static long program(long argc, char **argv)
{
    long length = 1, result;

    if (argc != 4) {
        return 2;
    }
    while (argv[3][length - 1]) {
        length++;
    }
    long kernel = syscall3(SYS_OPEN, (long)argv[1], O_RDONLY, 0);
    long initrd = syscall3(SYS_OPEN, (long)argv[2], O_RDONLY, 0);
    if (kernel < 0 || initrd < 0) {
        return kernel < 0 ? -kernel : -initrd;
    }
    result = syscall5(SYS_KEXEC_FILE_LOAD, kernel, initrd, length, (long)argv[3], 0);
    if (result == 0) {
        result = syscall3(SYS_REBOOT, (long)REBOOT_MAGIC1, REBOOT_MAGIC2, REBOOT_CMD_KEXEC);
    }
    return -result;
}
