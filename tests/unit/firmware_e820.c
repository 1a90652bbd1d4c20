// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/x86/e820.h"

#include "firmware/x86/x86_layout.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

static void expect(const struct e820_map *map, const struct e820_entry *entries, unsigned count)
{
    cr_assert_eq(map->count, count);
    for (unsigned i = 0; i < count; i++) {
        const struct e820_entry *e = &map->entries[i];

        cr_expect(e->gpa == entries[i].gpa && e->bytes == entries[i].bytes &&
                      e->type == entries[i].type,
                  "entry %u is 0x%lx 0x%lx type %u", i, (unsigned long)e->gpa,
                  (unsigned long)e->bytes, e->type);
    }
}

Test(firmware_e820, small_machine)
{
    static const struct e820_entry expected[] = {
        {0, 0x9fc00, E820_USABLE},
        {0x9fc00, 0x60400, E820_RESERVED},
        {0x100000, 63 * MIB, E820_USABLE},
    };
    struct gmem *g = fx_memory(64 * MIB);
    struct e820_map map;

    e820_build(&map, g, false, 0);
    expect(&map, expected, ARRAY_SIZE(expected));
    gmem_destroy(g);
}

Test(firmware_e820, memory_on_both_sides_of_the_hole)
{
    static const struct e820_entry expected[] = {
        {0, 0x9fc00, E820_USABLE},
        {0x9fc00, 0x60400, E820_RESERVED},
        {0x100000, 3 * GIB - MIB, E820_USABLE},
        {0xe0000000, MIB, E820_RESERVED},
        {4 * GIB, 2 * GIB, E820_USABLE},
    };
    struct gmem *g = fx_memory(5 * GIB);
    struct e820_map map;

    e820_build(&map, g, true, 0);
    expect(&map, expected, ARRAY_SIZE(expected));
    gmem_destroy(g);
}

Test(firmware_e820, a_framebuffer_is_reserved_in_the_hole)
{
    static const struct e820_entry expected[] = {
        {0, 0x9fc00, E820_USABLE},
        {0x9fc00, 0x60400, E820_RESERVED},
        {0x100000, 3 * GIB - MIB, E820_USABLE},
        {0xe0000000, MIB, E820_RESERVED},
        {0xf0000000, 3 * MIB, E820_RESERVED},
        {4 * GIB, 2 * GIB, E820_USABLE},
    };
    struct gmem *g = fx_memory(5 * GIB);
    struct e820_map map;

    e820_build(&map, g, true, 3 * MIB);
    expect(&map, expected, ARRAY_SIZE(expected));
    gmem_destroy(g);
}

Test(firmware_e820, less_than_the_first_mib)
{
    static const struct e820_entry expected[] = {
        {0, 0x80000, E820_USABLE},
        {0x9fc00, 0x60400, E820_RESERVED},
        {0xe0000000, MIB, E820_RESERVED},
    };
    struct gmem *g = fx_memory(512 * KIB);
    struct e820_map map;

    e820_build(&map, g, true, 0);
    expect(&map, expected, ARRAY_SIZE(expected));
    gmem_destroy(g);
}
