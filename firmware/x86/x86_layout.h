// SPDX-License-Identifier: BSD-2-Clause
/*
 * The fixed numbers of the x86-64 machine: what lies where, in memory and among the ports, and
 * which interrupt belongs to which device. Everything that two parts of the VMM must agree on is
 * here, so that the ACPI tables, the boot loader and the wiring of the devices cannot drift apart.
 *
 * Addresses are guest-physical (_GPA) or ports (_PORT); sizes are in bytes.
 */
#ifndef MINIVET_FIRMWARE_X86_LAYOUT_H
#define MINIVET_FIRMWARE_X86_LAYOUT_H

#include <stdint.h>

/* ---- RAM: from 0 up, with a hole for devices below 4 GiB ---- */
#define X86_HOLE_GPA     UINT64_C(0xc0000000)  /* RAM ends here and ... */
#define X86_HOLE_END_GPA UINT64_C(0x100000000) /* ... continues here */

/* ---- the first MiB: RAM, used by what the boot loader leaves for the kernel ---- */
#define X86_GDT_GPA            UINT64_C(0x500)  /* above the real-mode vectors and BIOS data */
#define X86_START_INFO_GPA     UINT64_C(0x6000) /* PVH: start_info, module list, memory map; 4 KiB */
#define X86_BOOT_PARAMS_GPA    UINT64_C(0x7000)  /* Linux: the "zero page"; 4 KiB */
#define X86_BOOT_STACK_GPA     UINT64_C(0x8ff0)  /* initial stack pointer; grows down to 0x8000 */
#define X86_PAGE_TABLE_GPA     UINT64_C(0x9000)  /* six pages: PML4, PDPT, four page directories */
#define X86_CMDLINE_GPA        UINT64_C(0x20000) /* command line and its NUL */
#define X86_CMDLINE_BYTES      UINT64_C(0x10000) /* room for it */
#define X86_EBDA_GPA           UINT64_C(0x9fc00) /* end of the usable part of the first MiB */
#define X86_ACPI_GPA           UINT64_C(0xe0000) /* RSDP, then the tables; reserved in the map */
#define X86_ACPI_BYTES         UINT64_C(0x10000) /* room for them */
#define X86_SMBIOS_GPA         UINT64_C(0xf0000) /* entry point and tables; reserved likewise */
#define X86_SMBIOS_BYTES       UINT64_C(0x1000)
#define X86_VMGENID_GPA        UINT64_C(0xf1000) /* the VM generation id, in a page of its own */
#define X86_RESET_VECTOR_GPA   UINT64_C(0xffff0) /* F000:FFF0, where a BIOS restarts */
#define X86_RESET_VECTOR_BYTES 16
#define X86_HIGH_MEMORY_GPA    UINT64_C(0x100000) /* kernel and initrd: from here up */

/* ---- the hole ---- */
#define X86_PCI_WINDOW_GPA   UINT64_C(0xc0000000) /* 32-bit BARs */
#define X86_PCI_WINDOW_BYTES UINT64_C(0x20000000)
#define X86_ECAM_GPA         UINT64_C(0xe0000000) /* PCI configuration space of bus 0 */
#define X86_ECAM_BYTES       UINT64_C(0x100000)
#define X86_FRAMEBUFFER_GPA  UINT64_C(0xf0000000) /* room for 4096x4096 pixels */
#define X86_VIRTIO_GPA       UINT64_C(0xfeb00000) /* virtio-mmio window n: n strides above */
#define X86_VIRTIO_STRIDE    UINT64_C(0x1000)     /* a page each, so that each maps by itself */
#define X86_VIRTIO_BYTES     UINT64_C(0x1000)     /* of which a device uses the first 0x200 */
#define X86_IOAPIC_GPA       UINT64_C(0xfec00000)
#define X86_LAPIC_GPA        UINT64_C(0xfee00000)

/*
 * ---- above all RAM: 64-bit BARs, aligned to its own size ----
 * Small enough for processors with 36 address bits, which are the narrowest that KVM runs on.
 */
#define X86_PCI_WINDOW64_BYTES UINT64_C(0x800000000) /* 32 GiB */

/* ---- ports ---- */
#define X86_I8042_DATA_PORT       0x60
#define X86_I8042_COMMAND_PORT    0x64
#define X86_RTC_PORT              0x70 /* index; data at the next port */
#define X86_RTC_PORTS             2
#define X86_POST_PORT             0x80 /* diagnostic stamps of firmware and kernels */
#define X86_DEBUG_EXIT_PORT       0xf4 /* a byte written ends the run with that status */
#define X86_SERIAL_PORT           0x3f8
#define X86_SERIAL_PORTS          8
#define X86_PVPANIC_PORT          0x505 /* the guest's kernel says that it panicked */
#define X86_FW_CFG_PORT           0x510 /* files that the user passes; QEMU has it there */
#define X86_FW_CFG_PORTS          2
#define X86_PM_PORT               0x600 /* ACPI: the three registers that follow */
#define X86_PM_PORTS              3
#define X86_SLEEP_CONTROL_PORT    0x600
#define X86_SLEEP_STATUS_PORT     0x601
#define X86_RESET_PORT            0x602
#define X86_WATCHDOG_PORT         0x620 /* five registers of four bytes, which WDAT describes */
#define X86_PCI_ADDRESS_PORT      0xcf8 /* configuration address; data four ports above */
#define X86_PCI_CONFIG_PORTS      8
#define X86_PCI_PORT_WINDOW       0xc000 /* BARs that are ports; above all that a PC has of its own */
#define X86_PCI_PORT_WINDOW_PORTS 0x4000

/* ---- the watchdog's registers, from its port up, and its time ---- */
#define X86_WATCHDOG_PET     0x00
#define X86_WATCHDOG_RUNS    0x04
#define X86_WATCHDOG_PERIOD  0x08
#define X86_WATCHDOG_LEFT    0x0c
#define X86_WATCHDOG_BITTEN  0x10
#define X86_WATCHDOG_PORTS   0x14
#define X86_WATCHDOG_UNIT_MS 100u
#define X86_WATCHDOG_MAX     36000u /* units of a period */

/* ---- values that a guest writes to the ACPI registers ---- */
#define X86_RESET_VALUE 1 /* to the reset register: reset */
#define X86_S5_TYPE     5 /* SLP_TYP in sleep control, together with SLP_EN: power off */

/* ---- interrupts: global system interrupts, the 24 pins of the one IOAPIC ---- */
#define X86_GSI_COUNT  24
#define X86_GSI_SLEEP  3 /* the sleep button, through ACPI */
#define X86_GSI_SERIAL 4
#define X86_GSI_RTC    8
#define X86_GSI_POWER  9 /* the power button, likewise; there is no SCI */

/* The wires of PCI's INTx: level-triggered, active low. Slot and pin (0 is A) choose one. */
#define X86_PCI_INTX_GSI               16
#define X86_PCI_INTX_GSIS              4u
#define X86_PCI_INTX_GSI_OF(slot, pin) (X86_PCI_INTX_GSI + ((slot) + (pin)) % X86_PCI_INTX_GSIS)
#define X86_PCI_SLOTS                  32u

/*
 * An initializer: the line of virtio-mmio window 0, 1 and so on; edge-triggered, active high. The
 * lines that a PC gives to its timer, keyboard, cascade, RTC and FPU are left alone, and PCI's.
 */
#define X86_VIRTIO_GSIS                             \
    {                                               \
        5, 6, 7, 10, 11, 12, 14, 15, 20, 21, 22, 23 \
    }
#define X86_VIRTIO_GSI_COUNT 12u

#endif
