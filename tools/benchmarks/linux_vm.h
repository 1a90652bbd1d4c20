// SPDX-License-Identifier: BSD-2-Clause
/* Linux under any VMM: each is a line of words, in which names in braces stand for what differs. */
#ifndef MINIVET_BENCH_LINUX_VM_H
#define MINIVET_BENCH_LINUX_VM_H

#include <sys/types.h>

/* On the machines that boot fastest: with nothing that the guest does not need. {append} names the
 * console, too. What takes a device goes behind. */
#define LINUX_MINIVET \
    "{minivet} run {kernel} -i {initrd} -a {append} -m {mem}M -c {cpus} --rng off "
#define LINUX_QEMU                                                                        \
    "-cpu {cpu} -kernel {kernel} -initrd {initrd} -append {append} -m {mem} -smp {cpus} " \
    "-no-user-config -nodefaults -display none -serial stdio -no-reboot "
#define LINUX_QEMU_MICROVM \
    "{qemu} -M microvm,accel=kvm -global virtio-mmio.force-legacy=false " LINUX_QEMU
#define LINUX_QEMU_Q35 "{qemu} -M q35,accel=kvm " LINUX_QEMU

struct linux_value {
    const char *name, *value;
};

/* Values end where a name is missing; for in_fd see runs_start(). out_fd: its standard output, or
 * 0 for a pipe, whose other end is *fd. */
pid_t linux_vm_start(const char *name, const char *line, const struct linux_value *values,
                     int in_fd, int out_fd, int *fd);

#endif
