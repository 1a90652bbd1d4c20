// SPDX-License-Identifier: BSD-2-Clause
/* An undefined instruction at level 3 is the guest's own affair: it traps to its handler. */
#include "rt.h"

int main(void)
{
    __asm__ volatile("ud2");
    return 1;
}
