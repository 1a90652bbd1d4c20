// SPDX-License-Identifier: BSD-2-Clause
#include "firmware/smbios/smbios.h"

#include "firmware/x86/x86_layout.h"
#include "tests/harness/test.h"
#include "tests/unit/firmware_fixture.h"

static struct gmem *memory;
static const uint8_t *entry;

static void setup(void)
{
    fx_capture_errors();
    memory = fx_memory(4 * MIB);
}

static void teardown(void)
{
    gmem_destroy(memory);
}

TestSuite(firmware_smbios, .init = setup, .fini = teardown);

/* As guests look for it: on each boundary of 16 bytes. */
static void write_tables(const struct smbios_config *config)
{
    cr_assert_eq(smbios_write(memory, config), 0);
    uint8_t sum = 0;
    entry = gmem_ptr(memory, 0xf0000, 0x10000, 16);
    for (unsigned at = 0; memcmp(entry, "_SM3_", 5) != 0; at += 16, entry += 16)
        cr_assert_lt(at, 0x10000u - 16);
    for (unsigned i = 0; i < entry[6]; i++)
        sum += entry[i];
    cr_assert(sum == 0 && entry[6] == 24 && entry[7] == 3);
}

/* The structure of a type, all of them being walked; *count: how many there are. */
static const uint8_t *find(unsigned type, unsigned *count)
{
    uint32_t bytes = le32_get(entry + 12);
    const uint8_t *at = gmem_ptr(memory, le64_get(entry + 16), bytes, 1), *found = NULL;
    const uint8_t *end = at + bytes, *next;
    cr_assert_not_null(at);
    for (*count = 0; at < end; at = next, (*count)++) {
        cr_assert_eq(le16_get(at + 2), *count, "a handle of its own");
        cr_assert_lt(at + at[1], end);
        for (next = at + at[1]; next[0] != 0 || next[1] != 0; next++)
            cr_assert_lt(next + 2, end);
        next += 2;
        if (at[0] == type)
            found = at;
        cr_assert_eq(at[0] == 127, next == end, "the last one, and it alone, ends the table");
    }
    return found;
}

static const char *text(const uint8_t *structure, unsigned field)
{
    const char *at = (const char *)structure + structure[1];
    cr_assert_lt(field, structure[1]);
    for (unsigned n = structure[field]; n > 1; n--)
        at += strlen(at) + 1;
    return structure[field] == 0 ? "(none)" : at;
}

Test(firmware_smbios, a_machine_has_a_name_by_default)
{
    static const uint8_t zero[16];
    unsigned count;
    write_tables(&(struct smbios_config){0});
    const uint8_t *system = find(1, &count);
    cr_expect_eq(count, 5);
    cr_expect_str_eq(text(system, 4), "Minivet");
    cr_expect_str_eq(text(system, 5), "Minivet");
    cr_expect_str_eq(text(system, 6), MINIVET_VERSION);
    cr_expect_str_eq(text(system, 7), "(none)");
    cr_expect_arr_eq(system + 8, zero, 16);
    cr_expect_str_eq(text(system, 0x19), "(none)");
    const uint8_t *firmware = find(0, &count);
    cr_expect_str_eq(text(firmware, 8), "01/01/2026");
    cr_expect(firmware[0x13] & 0x10, "it is a virtual machine");
    cr_expect_str_eq(text(find(3, &count), 4), "Minivet");
    cr_expect_eq(find(32, &count)[1], 11);
}

Test(firmware_smbios, each_field_is_what_was_asked_for)
{
    static const uint8_t wire[16] = {0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66,
                                     0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
    struct smbios_config config = {.manufacturer = "M",
                                   .product = "P",
                                   .version = "V",
                                   .serial = "ds=nocloud;s=/x/",
                                   .sku = "S",
                                   .family = "F"};
    unsigned count;
    for (unsigned i = 0; i < 16; i++)
        config.uuid[i] = (uint8_t)(0x11 * i);
    write_tables(&config);
    const uint8_t *system = find(1, &count);
    cr_expect_str_eq(text(system, 4), "M");
    cr_expect_str_eq(text(system, 5), "P");
    cr_expect_str_eq(text(system, 6), "V");
    cr_expect_str_eq(text(system, 7), "ds=nocloud;s=/x/");
    cr_expect_str_eq(text(system, 0x19), "S");
    cr_expect_str_eq(text(system, 0x1a), "F");
    cr_expect_arr_eq(system + 8, wire, 16);
    cr_expect_str_eq(text(find(3, &count), 4), "M");
}

Test(firmware_smbios, the_longest_texts_have_room_and_nothing_is_written_elsewhere)
{
    struct smbios_config config = {0};
    char *const texts[] = {config.manufacturer, config.product, config.version,
                           config.serial,       config.sku,     config.family};
    const uint8_t *p = gmem_ptr(memory, 0, 4 * MIB, 1);
    unsigned count;
    for (unsigned i = 0; i < ARRAY_SIZE(texts); i++)
        memset(texts[i], 'a' + (int)i, SMBIOS_TEXT_BYTES - 1);
    write_tables(&config);
    cr_expect_str_eq(text(find(1, &count), 0x1a), config.family);
    for (uint64_t gpa = 0; gpa < 4 * MIB; gpa++)
        if (!range_within(gpa, 1, X86_SMBIOS_GPA, X86_SMBIOS_BYTES))
            cr_assert_eq(p[gpa], 0, "at 0x%lx", (unsigned long)gpa);
}

Test(firmware_smbios, memory_that_ends_below_is_too_small)
{
    struct gmem *small = fx_memory(64 * KIB);
    cr_expect_eq(smbios_write(small, &(struct smbios_config){0}), -ENOMEM);
    gmem_destroy(small);
}
