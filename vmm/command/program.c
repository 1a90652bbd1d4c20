// SPDX-License-Identifier: BSD-2-Clause
/* The guest's program, as the build has made it. */
#include "vmm/command/command.h"

__asm__(".pushsection .rodata\n"
        ".globl command_program, command_program_end\n"
        ".balign 16\n"
        "command_program:\n"
        ".incbin \"" COMMAND_INIT "\"\n"
        "command_program_end:\n"
        ".byte 0\n"
        ".popsection\n");
