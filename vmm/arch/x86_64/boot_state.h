// SPDX-License-Identifier: BSD-2-Clause
/*
 * Processor state at power-on: what the boot loader asks for (firmware/x86/linux_boot.h) in terms
 * of registers, and the model-specific registers that firmware would have set.
 */
#ifndef MINIVET_ARCH_X86_64_BOOT_STATE_H
#define MINIVET_ARCH_X86_64_BOOT_STATE_H

#include "arch/x86_64/hv_x86.h"

struct boot_state;

/* The first vCPU's registers. The others wait for INIT and SIPI and need none. */
void x86_boot_regs(struct hv_x86_regs *out, const struct boot_state *state);

#define X86_BOOT_MSRS 2

/* Every vCPU's: string instructions are fast, and memory is write-back unless a page says else. */
void x86_boot_msrs(struct hv_x86_msr out[X86_BOOT_MSRS]);

#endif
