// SPDX-License-Identifier: BSD-2-Clause
/* Device memory accesses that only x86-64 has: not aligned, and repeated. */
#include "rt.h"

int main(void)
{
    mmio_write64(LATCH_GPA + 8, 0x0123456789abcdef);
    mmio_write32(LATCH_GPA + 1, 0x11223344);
    CHECK(mmio_read32(LATCH_GPA + 1) == 0x11223344);
    CHECK(mmio_read16(LATCH_GPA + 3) == 0x1122);

    uint32_t words[2];
    __asm__ volatile("rep movsl"
                     :
                     : "S"((uint64_t)LATCH_GPA + 8), "D"(words), "c"(UINT64_C(2))
                     : "memory");
    CHECK(words[0] == 0x89abcdef && words[1] == 0x01234567);
    return 0;
}
