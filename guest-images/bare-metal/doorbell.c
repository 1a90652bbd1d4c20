// SPDX-License-Identifier: BSD-2-Clause
/* Writes that ring doorbells of the host: memory with and without a value to match. */
#include "rt.h"

#define RINGS 100

int main(void)
{
    for (unsigned i = 0; i < RINGS; i++) {
        mmio_write32(DOORBELL_GPA, 7);     /* matches 7 */
        mmio_write32(DOORBELL_GPA + 8, i); /* matches anything */
    }
    mmio_write32(DOORBELL_GPA, 8); /* no match: a register write */
    return 0;
}
