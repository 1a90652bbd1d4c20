// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/x86/relocs.h"

#include "core/base/le.h"
#include "core/base/xmath.h"

#define WORD_BYTES   4u
#define LINK_MAP_LOW UINT32_C(0x80000000) /* of the address to which physical 0 is linked */

static unsigned count_lists(const uint8_t *table, uint64_t bytes)
{
    unsigned lists = 0;

    for (uint64_t at = 0; at < bytes; at += WORD_BYTES)
        lists += le32_get(table + at) == 0;
    return lists;
}

bool relocs_are(const uint8_t *table, uint64_t bytes)
{
    if (bytes < 2 * WORD_BYTES || bytes % WORD_BYTES != 0 || le32_get(table) != 0)
        return false;
    unsigned lists = count_lists(table, bytes);
    return lists == 2 || lists == 3;
}

bool relocs_apply(const uint8_t *table, uint64_t bytes, uint64_t delta, uint8_t *image,
                  uint64_t link_gpa, uint64_t image_bytes)
{
    bool has_negative = count_lists(table, bytes) == 3;
    unsigned list = 0;

    for (uint64_t at = 0; at < bytes; at += WORD_BYTES) {
        uint32_t place = le32_get(table + at);

        if (place == 0) {
            list++;
            continue;
        }
        uint64_t offset = (uint64_t)(place - LINK_MAP_LOW) - link_gpa;
        if (!range_within(offset, list == 1 ? 8 : 4, 0, image_bytes))
            return false;
        uint8_t *p = image + offset;
        if (list == 1)
            le64_put(p, le64_get(p) + delta);
        else if (list == 2 && has_negative)
            le32_put(p, le32_get(p) - (uint32_t)delta);
        else
            le32_put(p, le32_get(p) + (uint32_t)delta);
    }
    return true;
}
