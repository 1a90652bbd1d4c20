// SPDX-License-Identifier: BSD-2-Clause
/* Writes that ring a port's doorbell. */
#include "rt.h"

#define RINGS 100

int main(void)
{
    for (unsigned i = 0; i < RINGS; i++)
        outw(PORT_DOORBELL, 3); /* matches 3 */
    return 0;
}
