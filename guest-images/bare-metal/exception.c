// SPDX-License-Identifier: BSD-2-Clause
/* An exception is the guest's own affair: it traps to its handler. */
#include "rt.h"

int main(void)
{
    rt_put_hex(TRAP_VECTOR);
    rt_puts("\n");
    __builtin_trap();
}
