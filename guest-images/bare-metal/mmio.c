// SPDX-License-Identifier: BSD-2-Clause
/* Device memory accesses of each width. */
#include "rt.h"

int main(void)
{
    mmio_write8(LATCH_GPA + 3, 0xa5);
    CHECK(mmio_read8(LATCH_GPA + 3) == 0xa5);
    mmio_write16(LATCH_GPA + 2, 0xbeef);
    CHECK(mmio_read16(LATCH_GPA + 2) == 0xbeef);
    mmio_write32(LATCH_GPA + 4, 0xdeadc0de);
    CHECK(mmio_read32(LATCH_GPA + 4) == 0xdeadc0de);
    mmio_write64(LATCH_GPA + 8, 0x0123456789abcdef);
    CHECK(mmio_read64(LATCH_GPA + 8) == 0x0123456789abcdef);
    CHECK(mmio_read32(LATCH_GPA + 12) == 0x01234567);
    CHECK(mmio_read32(0xdff00000) == 0xffffffff); /* nobody there */
    mmio_write64(0xdff00000, 0);
    return 0;
}
