// SPDX-License-Identifier: BSD-2-Clause
/* Powers off in the way of the machine. */
#include "rt.h"

int main(void)
{
    rt_power_off();
    return 1; /* still here */
}
