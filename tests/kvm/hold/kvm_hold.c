// SPDX-License-Identifier: BSD-2-Clause
/*
 * Usage: kvm_hold CMD [ARG...]
 *
 * Runs a command while one virtual machine exists, and ends with its status. With its first machine
 * and after its last, Linux patches the branches of its scheduler that KVM needs. QEMU 7.2's TCG
 * with several CPUs can go on executing the breakpoint that it patches through, and then that
 * CPU of the testbed never gets on: about once in a hundred times on a busy machine.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/memory/gmem.h"
#include "kvm/kvm.h"

#define EXIT_CANNOT 125

int main(int argc, char **argv)
{
    struct gmem *memory;
    struct hv_vm *vm;
    if (argc < 2) {
        fputs("usage: kvm_hold CMD [ARG...]\n", stderr);
        return EXIT_CANNOT;
    }
    if (gmem_create(&memory, 1 << 20, 0, 0) < 0 ||
        hv_kvm.vm_create(&vm, &(struct hv_vm_config){.memory = memory, .vcpus = 1}) < 0)
        return EXIT_CANNOT;
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(EXIT_CANNOT);
    }
    int status = 0;
    while (pid < 0 || waitpid(pid, &status, 0) < 0) {
        if (pid < 0 || errno != EINTR)
            return EXIT_CANNOT;
    }
    hv_kvm.vm_destroy(vm);
    gmem_destroy(memory);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_CANNOT;
}
