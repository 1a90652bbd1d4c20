// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/test.h"

static const uint8_t bytes[] = {0xaa, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0xbb};

Test(core_le, gets_at_any_address)
{
    const uint8_t *p = bytes + 1; /* not aligned */
    cr_assert_eq(le16_get(p), 0x2211);
    cr_assert_eq(le32_get(p), 0x44332211);
    cr_assert_eq(le64_get(p), 0x8877665544332211);
    cr_assert_eq(le_get(p, 1), 0x11);
    cr_assert_eq(le_get(p, 2), 0x2211);
    cr_assert_eq(le_get(p, 4), 0x44332211);
    cr_assert_eq(le_get(p, 8), 0x8877665544332211);
}

Test(core_le, puts_what_it_gets_and_no_byte_more)
{
    for (unsigned width = 1; width <= 8; width *= 2) {
        uint8_t out[10];
        memset(out, 0xee, sizeof(out));
        le_put(out + 1, UINT64_C(0x8877665544332211), width);
        cr_assert_eq(memcmp(out + 1, bytes + 1, width), 0);
        cr_assert_eq(out[0], 0xee);
        cr_assert_eq(out[1 + width], 0xee);
    }
    uint8_t out[8];
    le16_put(out, 0x2211);
    cr_assert_eq(memcmp(out, bytes + 1, 2), 0);
    le32_put(out, 0x44332211);
    cr_assert_eq(memcmp(out, bytes + 1, 4), 0);
    le64_put(out, 0x8877665544332211);
    cr_assert_eq(memcmp(out, bytes + 1, 8), 0);
}
