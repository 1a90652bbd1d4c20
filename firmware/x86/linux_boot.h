// SPDX-License-Identifier: BSD-2-Clause
/*
 * The boot loader: puts a kernel, its initrd, its command line and what its boot protocol wants to
 * be told into guest memory, and says in which state the first vCPU starts.
 *
 * The kind of kernel is found by content. Two are known: the bzImage that distributions install
 * as vmlinuz, entered in 64-bit mode (Linux Documentation/arch/x86/boot.rst, protocol 2.12 or
 * later), and ELF for x86-64 (vmlinux, bare-metal guests), entered through its PVH note in 32-bit
 * protected mode (Xen docs/misc/pvh.pandoc), or without one in 64-bit mode as a bzImage is.
 *
 * All of it lies below the device hole. The first MiB is laid out in x86_layout.h.
 */
#ifndef MINIVET_FIRMWARE_LINUX_BOOT_H
#define MINIVET_FIRMWARE_LINUX_BOOT_H

#include <stdint.h>

#include "firmware/kernel/boot_request.h"

struct e820_map;
struct gmem;

enum linux_entry {
    LINUX_ENTRY_AUTO, /* what the file offers: PVH before 64-bit */
    LINUX_ENTRY_LONG64,
    LINUX_ENTRY_PVH,
};

struct linux_boot_config {
    struct boot_request request;
    enum linux_entry entry;
    const struct e820_map *map;
    uint64_t rsdp_gpa; /* ACPI's root; 0: none */
};

enum boot_mode {
    BOOT_LONG64, /* 64-bit mode, paging on: the first 4 GiB map to themselves */
    BOOT_PROT32, /* 32-bit protected mode, paging off */
};

/*
 * The segments are flat and in a GDT that is in place: code, data and an available-to-run TSS of
 * base 0 and limit 0x67. Interrupts are off. What is not named here is 0.
 */
#define BOOT_CS 0x10
#define BOOT_DS 0x18 /* and every other data segment */
#define BOOT_TR 0x20

struct boot_state {
    enum boot_mode mode;
    uint64_t rip;
    uint64_t rsi; /* BOOT_LONG64 from Linux's boot protocol: boot_params */
    uint64_t rbx; /* BOOT_PROT32: the PVH start_info */
    uint64_t rsp;
    uint64_t cr3; /* BOOT_LONG64 */
    uint64_t gdt_gpa;
    uint16_t gdt_limit;
};

/*
 * Before the guest runs; the memory it is given is zero but for the ACPI tables. 0 or a negative
 * errno, reported with what was seen and, where there is one, the remedy: -ENOEXEC for what is not
 * a kernel for this machine or is damaged, -ENOMEM when memory is too small, -E2BIG for a command
 * line that is too long, else what the file system said.
 */
int linux_boot_load(const struct gmem *g, const struct linux_boot_config *config,
                    struct boot_state *out);

#endif
