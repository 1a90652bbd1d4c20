// SPDX-License-Identifier: BSD-2-Clause

#include "tests/harness/test.h"

/* A device that answers with what it was asked and remembers the accesses. */
struct probe {
    unsigned accesses;
    uint64_t offset, value;
    unsigned width;
    uint64_t answer;
    char trace[64]; /* "offset:width " of each */
};

static void note(struct probe *p, uint64_t offset, unsigned width, uint64_t value)
{
    size_t used = strlen(p->trace);
    p->accesses++;
    p->offset = offset;
    p->width = width;
    p->value = value;
    snprintf(p->trace + used, sizeof(p->trace) - used, "%lu:%u ", offset, width);
}

static uint64_t probe_read(void *dev, uint64_t offset, unsigned width)
{
    struct probe *p = dev;
    note(p, offset, width, 0);
    return p->answer;
}

static void probe_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    note(dev, offset, width, value);
}

static const struct bus_ops probe_ops = {.read = probe_read, .write = probe_write};

static struct bus_region region_at(uint64_t base, uint64_t size, unsigned widths, void *dev)
{
    return (struct bus_region){.name = "probe",
                               .base = base,
                               .size = size,
                               .widths = widths,
                               .ops = &probe_ops,
                               .dev = dev};
}

static struct bus *bus_of(uint64_t limit)
{
    struct bus *bus = NULL;
    cr_assert_eq(bus_create(&bus, "test", limit), 0);
    return bus;
}

Test(core_bus, refuses_bad_regions)
{
    struct bus *bus = bus_of(65536);
    struct probe p = {0};
    const struct {
        uint64_t base, size;
        unsigned widths;
        int expected;
    } cases[] = {
        {0x100, 0, BUS_W1, -EINVAL},     {0x100, UINT64_MAX, BUS_W1, -EINVAL},
        {0xfff0, 0x11, BUS_W1, -EINVAL}, {0x10000, 1, BUS_W1, -EINVAL},
        {0x100, 8, 0, -EINVAL},          {0x100, 8, 16, -EINVAL},
        {0xfff0, 0x10, BUS_W1, 0},
    };
    struct bus_region regions[ARRAY_SIZE(cases)];
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        regions[i] = region_at(cases[i].base, cases[i].size, cases[i].widths, &p);
        cr_assert_eq(bus_add(bus, &regions[i]), cases[i].expected, "case %u", i);
    }
    bus_destroy(bus);
    bus_destroy(NULL);
}

Test(core_bus, refuses_overlap_and_knows_what_is_there)
{
    struct bus *bus = bus_of(UINT64_MAX);
    struct probe p = {0};
    struct bus_region middle = region_at(8, 4, BUS_W1, &p), other;
    cr_assert_eq(bus_remove(bus, &middle), -ENOENT);
    cr_assert_eq(bus_add(bus, &middle), 0);
    cr_assert_eq(bus_add(bus, &middle), -EEXIST);
    for (uint64_t base = 0; base < 16; base++)
        for (uint64_t size = 1; size < 16; size++) {
            bool overlap = base < 12 && base + size > 8;
            other = region_at(base, size, BUS_W1, &p);
            cr_assert_eq(bus_add(bus, &other), overlap ? -EEXIST : 0);
            cr_assert_eq(bus_remove(bus, &other), overlap ? -ENOENT : 0);
        }
    cr_assert_eq(bus_remove(bus, &middle), 0);
    cr_assert_eq(bus_remove(bus, &middle), -ENOENT);
    bus_destroy(bus);
}

Test(core_bus, finds_each_of_a_full_table)
{
    enum { MANY = 256 };
    static struct probe probes[MANY];
    static struct bus_region regions[MANY + 1];
    struct bus *bus = bus_of(UINT64_MAX);
    /* 97 and 256 share no factor: every index once, out of order. */
    for (unsigned i = 0; i < MANY; i++) {
        unsigned k = i * 97 % MANY;
        regions[k] = region_at(0x1000 + k * 16, 8, BUS_W1248, &probes[k]);
        cr_assert_eq(bus_add(bus, &regions[k]), 0);
    }
    regions[MANY] = region_at(0, 8, BUS_W1, &probes[0]);
    cr_assert_eq(bus_add(bus, &regions[MANY]), -ENOSPC);
    for (unsigned k = 0; k < MANY; k += 3)
        cr_assert_eq(bus_remove(bus, &regions[k]), 0);

    for (unsigned k = 0; k < MANY; k++) {
        uint64_t value;
        cr_assert_eq(bus_read(bus, 0x1000 + k * 16 + 4, 4, &value), k % 3 != 0);
        cr_assert_eq(probes[k].accesses, k % 3 != 0 ? 1 : 0);
        cr_assert_not(bus_read(bus, 0x1000 + k * 16 + 8, 4, &value));
    }
    bus_destroy(bus);
}

/* Every start and width around a region: taken when it fits and is declared, else all ones. */
Test(core_bus, takes_what_fits_and_is_declared)
{
    for (unsigned widths = 1; widths <= BUS_W1248; widths++) {
        struct probe p = {.answer = UINT64_C(0x1122334455667788)};
        struct bus_region r = region_at(0x100, 8, widths, &p);
        struct bus *bus = bus_of(0x10000);
        uint64_t unclaimed = 0;
        cr_assert_eq(bus_add(bus, &r), 0);
        for (uint64_t addr = 0xf0; addr < 0x110; addr++)
            for (unsigned width = 0; width <= 17; width++) {
                bool natural = width == 1 || width == 2 || width == 4 || width == 8;
                bool fits = addr >= 0x100 && addr + width <= 0x108;
                bool taken = natural && fits && (widths & width) != 0;
                uint64_t value = 0;
                unsigned before = p.accesses;
                cr_assert_eq(bus_read(bus, addr, width, &value), taken);
                cr_assert_eq(value, (taken ? p.answer : UINT64_MAX) & width_mask(width));
                cr_assert_eq(bus_write(bus, addr, width, UINT64_MAX), taken);
                cr_assert_eq(p.accesses - before, taken ? 2 : 0);
                if (taken) {
                    cr_assert_eq(p.offset, addr - 0x100);
                    cr_assert_eq(p.width, width);
                    cr_assert_eq(p.value, width_mask(width));
                } else {
                    unclaimed += 2;
                }
                cr_assert_eq(bus_unclaimed(bus), unclaimed);
            }
        bus_destroy(bus);
    }
}

Test(core_bus, an_access_beyond_the_last_address_is_nobodys)
{
    struct probe p = {0};
    struct bus_region r = region_at(UINT64_MAX - 8, 8, BUS_W1248, &p);
    struct bus *bus = bus_of(UINT64_MAX);
    uint64_t value;
    cr_assert_eq(bus_add(bus, &r), 0);
    cr_assert(bus_read(bus, UINT64_MAX - 8, 8, &value));
    cr_assert_not(bus_read(bus, UINT64_MAX - 7, 8, &value));
    cr_assert_not(bus_read(bus, UINT64_MAX, 1, &value));
    bus_destroy(bus);
}

Test(core_bus, an_address_has_a_name)
{
    struct probe p = {0};
    struct bus_region r = region_at(8, 4, BUS_W4, &p);
    struct bus *bus = bus_of(0x100);
    cr_assert(bus_name_at(bus, 8) == NULL);
    cr_assert_eq(bus_add(bus, &r), 0);
    cr_expect_str_eq(bus_name_at(bus, 8), "probe");
    cr_expect_str_eq(bus_name_at(bus, 11), "probe", "whatever widths it takes");
    cr_expect(bus_name_at(bus, 7) == NULL);
    cr_expect(bus_name_at(bus, 12) == NULL);
    cr_assert_eq(bus_remove(bus, &r), 0);
    cr_expect(bus_name_at(bus, 8) == NULL);
    bus_destroy(bus);
}

Test(core_bus, bytes_are_little_endian)
{
    struct probe p = {.answer = UINT64_C(0x1122334455667788)};
    struct bus_region r = region_at(0, 8, BUS_W1248, &p);
    struct bus *bus = bus_of(0x100);
    uint8_t data[9] = {0, 0, 0, 0, 0x99};
    cr_assert_eq(bus_add(bus, &r), 0);
    bus_access(bus, 0, data, 4, false);
    cr_assert_eq(memcmp(data, "\x88\x77\x66\x55\x99", 5), 0);
    bus_access(bus, 2, data, 2, true);
    cr_assert_eq(p.value, 0x7788);
    cr_assert_eq(p.offset, 2);
    bus_access(bus, 0x80, data, 8, false);
    cr_assert_eq(memcmp(data, "\xff\xff\xff\xff\xff\xff\xff\xff\0", 9), 0);
    bus_destroy(bus);
}

Test(core_bus, odd_widths_are_cut_into_natural_pieces)
{
    const struct {
        uint64_t addr;
        unsigned len;
        const char *trace;
    } cases[] = {
        {0, 3, "0:2 2:1 "},     {1, 3, "1:1 2:2 "}, {0, 7, "0:4 4:2 6:1 "}, {1, 7, "1:1 2:2 4:4 "},
        {1, 5, "1:1 2:2 4:2 "}, {1, 4, "1:4 "},     {0, 16, "0:8 8:8 "},    {4, 12, "4:4 8:8 "},
        {3, 6, "3:1 4:4 8:1 "}, {0, 0, ""},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct probe p = {.answer = UINT64_C(0x1111111111111111)};
        struct bus_region r = region_at(0, 64, BUS_W1248, &p);
        struct bus *bus = bus_of(0x100);
        uint8_t data[32] = {0};
        cr_assert_eq(bus_add(bus, &r), 0);
        bus_access(bus, cases[i].addr, data, cases[i].len, i % 2 != 0);
        cr_assert_str_eq(p.trace, cases[i].trace, "case %u: %s", i, p.trace);
        if (i % 2 == 0)
            for (unsigned j = 0; j < sizeof(data); j++)
                cr_assert_eq(data[j], j < cases[i].len ? 0x11 : 0);
        bus_destroy(bus);
    }
}

/*
 * Readers look up while a writer moves regions in front of and behind the one that stays: the one
 * that stays is always found, and what is found is always whole.
 */
enum { MOVERS = 24, READERS = 3, MOVES = 3000 };

struct race {
    struct bus *bus;
    _Atomic bool over;
    _Atomic unsigned ready, wrong, looked;
};

static uint64_t tag_read(void *dev, uint64_t offset, unsigned width)
{
    (void)width;
    return *(const uint64_t *)dev + offset;
}

static void tag_write(void *dev, uint64_t offset, unsigned width, uint64_t value)
{
    (void)dev;
    (void)offset;
    (void)width;
    (void)value;
}

static const struct bus_ops tag_ops = {.read = tag_read, .write = tag_write};

static void *look_up(void *arg)
{
    struct race *race = arg;
    atomic_fetch_add(&race->ready, 1);
    for (unsigned i = 0; !atomic_load(&race->over); i++) {
        uint64_t value, addr = 0x1000 + i % (2 * MOVERS) * 0x100;
        if (!bus_read(race->bus, 0x80000 + 8, 8, &value) || value != 0x80000 + 8)
            atomic_fetch_add(&race->wrong, 1);
        /* A device is tagged with its base, so a mixture of two slots would show. */
        if (bus_read(race->bus, addr + 16, 8, &value) && value != addr + 16)
            atomic_fetch_add(&race->wrong, 1);
        atomic_fetch_add(&race->looked, 1);
    }
    return NULL;
}

static void move_regions(struct bus *bus, unsigned *failures)
{
    static uint64_t tags[2 * MOVERS];
    static struct bus_region regions[MOVERS];
    for (unsigned k = 0; k < 2 * MOVERS; k++)
        tags[k] = 0x1000 + k * 0x100;
    for (unsigned i = 0; i < MOVES; i++) {
        unsigned k = i * 7 % MOVERS;
        struct bus_region *r = &regions[k];
        if (r->size != 0)
            *failures += bus_remove(bus, r) != 0;
        unsigned place = k + (i / MOVERS % 2 ? MOVERS : 0);
        *r = (struct bus_region){.name = "mover",
                                 .base = tags[place],
                                 .size = 0x80,
                                 .widths = BUS_W8,
                                 .ops = &tag_ops,
                                 .dev = &tags[place]};
        *failures += bus_add(bus, r) != 0;
    }
}

Test(core_bus, lookups_race_with_changes)
{
    struct race race = {.bus = bus_of(UINT64_MAX)};
    uint64_t fixed_tag = 0x80000;
    struct bus_region fixed = {.name = "fixed",
                               .base = 0x80000,
                               .size = 64,
                               .widths = BUS_W8,
                               .ops = &tag_ops,
                               .dev = &fixed_tag};
    pthread_t readers[READERS];
    unsigned failures = 0;
    cr_assert_eq(bus_add(race.bus, &fixed), 0);
    for (unsigned i = 0; i < READERS; i++)
        cr_assert_eq(pthread_create(&readers[i], NULL, look_up, &race), 0);
    while (atomic_load(&race.ready) < READERS)
        ;
    move_regions(race.bus, &failures);
    atomic_store(&race.over, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    cr_assert_eq(failures, 0);
    cr_assert_eq(race.wrong, 0);
    cr_assert_gt(race.looked, 0);
    bus_destroy(race.bus);
}
