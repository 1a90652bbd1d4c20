// SPDX-License-Identifier: BSD-2-Clause
/* The table of relocations: which places change, how, and which are none. */
#include "firmware/x86/relocs.h"
#include "tests/harness/test.h"

#define LINK_GPA UINT64_C(0x1000000)
#define AT(n)    (UINT32_C(0x81000000) + (n))
#define DELTA    UINT64_C(0x3fe00000)

static uint8_t image[64], before[64], table[64];

static uint64_t write_table(const uint32_t *words, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        le32_put(table + 4 * i, words[i]);
    return UINT64_C(4) * count;
}

#define TABLE(...)                               \
    write_table((const uint32_t[]){__VA_ARGS__}, \
                sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static bool apply(uint64_t bytes)
{
    for (unsigned i = 0; i < sizeof(image); i++)
        image[i] = before[i] = (uint8_t)(0xf1 + i);
    return relocs_apply(table, bytes, DELTA, image, LINK_GPA, sizeof(image));
}

/* All but [at, at + len) is as it was. */
static void others_untouched(unsigned at, unsigned len)
{
    cr_assert(memcmp(image, before, at) == 0);
    cr_assert(memcmp(image + at + len, before + at + len, sizeof(image) - at - len) == 0);
}

Test(firmware_relocs, wide)
{
    cr_assert(apply(TABLE(0, AT(3), 0, 0)));
    cr_assert_eq(le64_get(image + 3), le64_get(before + 3) + DELTA);
    others_untouched(3, 8);
}

Test(firmware_relocs, negative)
{
    cr_assert(apply(TABLE(0, 0, AT(60), 0)));
    cr_assert_eq(le32_get(image + 60), le32_get(before + 60) - (uint32_t)DELTA);
    others_untouched(60, 4);
}

Test(firmware_relocs, narrow)
{
    cr_assert(apply(TABLE(0, 0, 0, AT(0))));
    cr_assert_eq(le32_get(image), le32_get(before) + (uint32_t)DELTA);
    others_untouched(0, 4);
}

/* As kernels from 6.15 on have it: the second list is of positive ones. */
Test(firmware_relocs, without_the_negative)
{
    cr_assert(apply(TABLE(0, AT(8), 0, AT(32))));
    cr_assert_eq(le64_get(image + 8), le64_get(before + 8) + DELTA);
    cr_assert_eq(le32_get(image + 32), le32_get(before + 32) + (uint32_t)DELTA);
}

Test(firmware_relocs, twice_the_same_place)
{
    cr_assert(apply(TABLE(0, AT(8), AT(8), 0, 0)));
    cr_assert_eq(le64_get(image + 8), le64_get(before + 8) + 2 * DELTA);
}

/* At either end of the image, and at the ends of what a word can say. */
Test(firmware_relocs, outside)
{
    cr_assert(apply(TABLE(0, AT(56), 0, 0)));
    cr_assert_not(apply(TABLE(0, AT(57), 0, 0)));
    cr_assert_not(apply(TABLE(0, 0, AT(61), 0)));
    cr_assert_not(apply(TABLE(0, 0, 0, AT(61))));
    cr_assert_not(apply(TABLE(0, 0, 0, AT(64))));
    cr_assert_not(apply(TABLE(0, 0, 0, AT(0) - 1)));
    cr_assert_not(apply(TABLE(0, 0, 0, 1)));
    cr_assert_not(apply(TABLE(0, 0, 0, 0x7fffffff)));
    cr_assert_not(apply(TABLE(0, 0, 0, 0x80000000)));
    cr_assert_not(apply(TABLE(0, 0, 0, 0xffffffff)));
    others_untouched(0, 0);
}

Test(firmware_relocs, is_one)
{
    cr_assert(relocs_are(table, TABLE(0, 0)));
    cr_assert(relocs_are(table, TABLE(0, AT(0), 0, AT(8), 0, AT(16))));
    cr_assert_not(relocs_are(table, 0));
    cr_assert_not(relocs_are(table, TABLE(0)));
    cr_assert_not(relocs_are(table, TABLE(0, AT(1))));
    cr_assert_not(relocs_are(table, TABLE(AT(1), 0, 0)));
    cr_assert_not(relocs_are(table, TABLE(0, 0, 0, 0)));
    cr_assert_not(relocs_are(table, TABLE(0, AT(1), 0, 0) - 1));
}
