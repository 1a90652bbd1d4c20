// SPDX-License-Identifier: BSD-2-Clause
/* KVM's registers on riscv64, for the files of this folder. */
#ifndef MINIVET_KVM_RISCV64_H
#define MINIVET_KVM_RISCV64_H

#include <stdint.h>

/* Some are younger than the headers of the compiler: Linux arch/riscv/include/uapi/asm/kvm.h. */
#define RISCV_REG(type, n)   (KVM_REG_RISCV | KVM_REG_SIZE_U64 | (uint64_t)(type) << 24 | (n))
#define RISCV_REG_CONFIG(n)  RISCV_REG(0x01, n)
#define RISCV_REG_CORE(n)    RISCV_REG(0x02, n) /* pc, x1, x2, ... x31, mode */
#define RISCV_REG_CSR(n)     RISCV_REG(0x03, n)
#define RISCV_REG_TIMER_HZ   RISCV_REG(0x04, 0)
#define RISCV_REG_ISA_EXT(n) RISCV_REG(0x07, n)
#define RISCV_REG_SBI_EXT(n) RISCV_REG(0x08, n)

enum { RISCV_CONFIG_CBOM_BYTES = 1, RISCV_CONFIG_CBOZ_BYTES = 5, RISCV_CONFIG_SATP_MODE = 6 };
/* The device of the Advanced Interrupt Architecture: groups of attributes, what they hold. */
#define RISCV_DEV_AIA 11u
enum { RISCV_AIA_CONFIG = 0, RISCV_AIA_ADDR = 1, RISCV_AIA_CTRL = 2 };
enum { RISCV_AIA_IDS = 1, RISCV_AIA_SOURCES = 2, RISCV_AIA_HART_BITS = 5 };
enum { RISCV_AIA_ADDR_APLIC = 0, RISCV_AIA_ADDR_IMSIC = 1 /* and so on, for each vCPU */ };

enum { RISCV_SBI_EXPERIMENTAL = 7, RISCV_SBI_VENDOR = 8 };

/* Of a vCPU's descriptor. A negative errno, silent. */
int riscv64_reg_get(int fd, uint64_t id, uint64_t *value);
int riscv64_reg_set(int fd, uint64_t id, uint64_t value);

#endif
