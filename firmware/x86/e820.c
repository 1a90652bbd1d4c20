// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/x86/e820.h"

#include <assert.h>

#include "core/base/xmath.h"
#include "core/memory/gmem.h"
#include "firmware/x86/x86_layout.h"

/* A region of RAM adds one entry, the first MiB two more, ECAM and framebuffer one each. */
static_assert(GMEM_MAX_REGIONS + 4 <= E820_MAX_ENTRIES, "the map holds every region");

static void add(struct e820_map *map, uint64_t gpa, uint64_t end_gpa, enum e820_type type)
{
    if (gpa < end_gpa)
        map->entries[map->count++] = (struct e820_entry){gpa, end_gpa - gpa, type};
}

/* Below 4 GiB, behind all RAM there. */
static void add_hole(struct e820_map *map, bool pci, uint64_t framebuffer_bytes)
{
    if (pci)
        add(map, X86_ECAM_GPA, X86_ECAM_GPA + X86_ECAM_BYTES, E820_RESERVED);
    add(map, X86_FRAMEBUFFER_GPA, X86_FRAMEBUFFER_GPA + framebuffer_bytes, E820_RESERVED);
}

void e820_build(struct e820_map *map, const struct gmem *g, bool pci, uint64_t framebuffer_bytes)
{
    bool hole_pending = true;

    map->count = 0;
    for (unsigned i = 0; i < g->count; i++) {
        uint64_t gpa = g->regions[i].gpa;
        uint64_t end = gpa + g->regions[i].bytes;

        if (hole_pending && gpa > X86_ECAM_GPA) {
            add_hole(map, pci, framebuffer_bytes);
            hole_pending = false;
        }
        if (gpa == 0) {
            add(map, 0, min_u64(end, X86_EBDA_GPA), E820_USABLE);
            add(map, X86_EBDA_GPA, X86_HIGH_MEMORY_GPA, E820_RESERVED);
            gpa = X86_HIGH_MEMORY_GPA;
        }
        add(map, gpa, end, E820_USABLE);
    }
    if (hole_pending)
        add_hole(map, pci, framebuffer_bytes);
}
