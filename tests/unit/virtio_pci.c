// SPDX-License-Identifier: BSD-2-Clause
/*
 * The virtio-pci function as a guest meets it: identity, capabilities, every register, shared
 * memory. (Interrupts and notifications: virtio_pci_signals.c. The legacy interface:
 * virtio_pci_legacy.c.)
 */
#include "core/base/fail.h"
#include "pci/function.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "tests/harness/types.h"
#include "tests/unit/virtio_pci_util.h"
#include "virtio/rng/rng.h"
#include "virtio/transport/pci.h"

/* ---- identity ---- */

/* A device of nothing but a type. */
struct bare {
    struct rig rig; /* the loop and the memory of one */
    struct virtio_device dev;
    struct virtio_shm shm[4];
    struct virtio_device_config config;
    struct fake_msi msi;
    struct virtio_pci *pci;
};

static void no_queue(struct virtio_device *dev, unsigned queue)
{
    (void)dev;
    (void)queue;
}

static const struct virtio_device_type modern_type = {.name = "bare", .id = 26};

static int bare_open(struct bare *b, const struct virtio_device_type *type, bool legacy)
{
    static const struct virtio_device_ops ops = {.queue_ready = no_queue, .queue_stop = no_queue};
    struct virtio_device_config own = b->config;
    rig_open_echo(&b->rig);
    own.type = type;
    own.ops = &ops;
    own.queue_count = own.queue_count ? own.queue_count : 1;
    own.iov_max = 1;
    own.shm = b->shm;
    struct virtio_setup setup = rig_setup(&b->rig, "bare");
    int err = virtio_device_init(&b->dev, &setup, &own);
    BUG_ON(err != 0);
    b->pci = NULL;
    return virtio_pci_create(&b->pci, &(struct virtio_pci_config){
                                          .mmio = b->rig.bus,
                                          .pio = b->rig.pio,
                                          .msi = fake_msi_sink(&b->msi),
                                          .doorbell = doorbell_none,
                                          .legacy = legacy,
                                          .device = &b->dev,
                                      });
}

static void bare_close(struct bare *b)
{
    virtio_pci_destroy(b->pci);
    virtio_device_fini(&b->dev);
    rig_close(&b->rig);
}

static uint32_t bare_get(struct bare *b, unsigned offset, unsigned width)
{
    struct pci_function *f = &virtio_pci_func(b->pci)->port;
    return f->ops->config_read(f, offset, width);
}

OnEcho(virtio_pci, says_what_it_is, .transport = RIG_PCI)
{
    cr_expect_eq(config_get(rig, PCI_REG_VENDOR, 2), 0x1af4);
    cr_expect_eq(config_get(rig, PCI_REG_DEVICE, 2), 0x1040 + ECHO_DEVICE_ID);
    cr_expect_geq(config_get(rig, PCI_REG_REVISION, 1), 1);
    cr_expect_eq(config_get(rig, PCI_REG_SUBSYSTEM_VENDOR, 2), 0x1af4);
    cr_expect_geq(config_get(rig, PCI_REG_SUBSYSTEM, 2), 0x40);
    cr_expect_eq(config_get(rig, PCI_REG_INTERRUPT_PIN, 1), 1);
    cr_expect_eq(config_get(rig, PCI_REG_BAR, 4), 0, "no ports without the legacy interface");
}

static const struct virtio_device_type *type_of(const char *name)
{
    const struct virtio_device_type *const *type = virtio_types;
    while (*type != NULL && strcmp((*type)->name, name) != 0)
        type++;
    cr_assert_not_null(*type, "%s", name);
    return *type;
}

Test(virtio_pci, every_type_has_its_ids)
{
    static const struct {
        const char *name;
        uint32_t id, class_code;
        uint16_t transitional;
    } ids[] = {
        {"net", 1, 0x020000, 0x1000},  {"blk", 2, 0x018000, 0x1001},
        {"scsi", 8, 0x010000, 0x1004}, {"console", 3, 0x078000, 0x1003},
        {"rng", 4, 0x00ff00, 0x1005},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        for (unsigned legacy = 0; legacy < 2; legacy++) {
            struct bare b = {0};
            uint32_t modern = 0x1040 + ids[i].id;
            cr_assert_eq(bare_open(&b, type_of(ids[i].name), legacy), 0);
            cr_expect_eq(bare_get(&b, PCI_REG_DEVICE, 2), legacy ? ids[i].transitional : modern);
            cr_expect_eq(bare_get(&b, PCI_REG_REVISION, 4) >> 8, ids[i].class_code);
            cr_expect_eq(bare_get(&b, PCI_REG_REVISION, 1), legacy ? 0 : 1);
            cr_expect_eq(bare_get(&b, PCI_REG_SUBSYSTEM, 2), ids[i].id + (legacy ? 0 : 0x40));
            bare_close(&b);
        }
}

Test(virtio_pci, a_type_without_a_legacy_interface_refuses_it)
{
    struct bare b = {0};
    cr_expect_eq(bare_open(&b, &modern_type, true), -ENOTSUP);
    cr_expect_null(b.pci);
    bare_close(&b);
}

/* ---- capabilities ---- */

OnEcho(virtio_pci, every_structure_has_a_capability, .transport = RIG_PCI, .queues = 5)
{
    static const struct {
        uint8_t type;
        unsigned align, least;
    } wanted[] = {
        {VIRTIO_PCI_CAP_COMMON_CFG, 4, 64},
        {VIRTIO_PCI_CAP_NOTIFY_CFG, 4, 5 * 4},
        {VIRTIO_PCI_CAP_ISR_CFG, 1, 1},
        {VIRTIO_PCI_CAP_DEVICE_CFG, 4, 10},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(wanted); i++) {
        unsigned cap = find_cap(rig, wanted[i].type);
        cr_assert_neq(cap, 0, "%u", wanted[i].type);
        uint32_t bar = config_get(rig, cap + VIRTIO_PCI_CAP_bar, 1);
        uint32_t offset = config_get(rig, cap + VIRTIO_PCI_CAP_offset, 4);
        uint32_t bytes = config_get(rig, cap + VIRTIO_PCI_CAP_length, 4);
        cr_assert_lt(bar, 6);
        cr_expect(is_aligned(offset, wanted[i].align));
        cr_expect_geq(bytes, wanted[i].least);
        cr_expect(range_within(offset, bytes, 0, rig->drv.pci.bar_bytes[bar]));
        cr_expect_geq(config_get(rig, cap + VIRTIO_PCI_CAP_cap_len, 1), VIRTIO_PCI_CAP_BYTES);
    }
    unsigned notify = find_cap(rig, VIRTIO_PCI_CAP_NOTIFY_CFG);
    cr_expect_eq(config_get(rig, notify + VIRTIO_PCI_CAP_cap_len, 1), 20);
    cr_expect_eq(config_get(rig, notify + VIRTIO_PCI_NOTIFY_CAP_multiplier, 4), 4);
    cr_expect_neq(find_cap(rig, VIRTIO_PCI_CAP_PCI_CFG), 0);
    cr_expect_eq(find_cap(rig, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG), 0);
}

OnEcho(virtio_pci, capabilities_are_read_only, .transport = RIG_PCI)
{
    unsigned cap = find_cap(rig, VIRTIO_PCI_CAP_COMMON_CFG);
    for (unsigned at = cap; at < cap + VIRTIO_PCI_CAP_BYTES; at += 4) {
        uint32_t before = config_get(rig, at, 4);
        config_set(rig, at, 4, ~before);
        cr_expect_eq(config_get(rig, at, 4), before);
    }
}

Test(virtio_pci, a_device_without_configuration_shows_none)
{
    struct bare b = {0};
    unsigned types = 0;
    cr_assert_eq(bare_open(&b, &virtio_rng_type, false), 0);
    for (unsigned cap = bare_get(&b, PCI_REG_CAPABILITIES, 1); cap != 0;
         cap = bare_get(&b, cap + 1, 1))
        if (bare_get(&b, cap, 1) == 0x09)
            types |= 1u << bare_get(&b, cap + VIRTIO_PCI_CAP_cfg_type, 1);
    cr_expect_eq(types, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 5);
    bare_close(&b);
}

OnEcho(virtio_pci, has_a_vector_for_each_event, .transport = RIG_PCI, .queues = 5)
{
    uint32_t control = config_get(rig, rig->drv.pci.msix_cap + 2, 2);
    cr_expect_eq((control & 0x7ff) + 1, 6);
}

/* ---- the common configuration ---- */

OnEcho(virtio_pci, registers_after_reset, .transport = RIG_PCI)
{
    static const struct {
        unsigned reg, width;
        uint64_t value;
    } regs[] = {
        {VIRTIO_PCI_COMMON_device_feature_select, 4, 0},
        {VIRTIO_PCI_COMMON_driver_feature_select, 4, 0},
        {VIRTIO_PCI_COMMON_driver_feature, 4, 0},
        {VIRTIO_PCI_COMMON_config_msix_vector, 2, 0xffff},
        {VIRTIO_PCI_COMMON_num_queues, 2, 2},
        {VIRTIO_PCI_COMMON_device_status, 1, 0},
        {VIRTIO_PCI_COMMON_queue_select, 2, 0},
        {VIRTIO_PCI_COMMON_queue_size, 2, 1024},
        {VIRTIO_PCI_COMMON_queue_msix_vector, 2, 0xffff},
        {VIRTIO_PCI_COMMON_queue_enable, 2, 0},
        {VIRTIO_PCI_COMMON_queue_notify_off, 2, 0},
        {VIRTIO_PCI_COMMON_queue_desc, 8, 0},
        {VIRTIO_PCI_COMMON_queue_driver, 8, 0},
        {VIRTIO_PCI_COMMON_queue_device, 8, 0},
        {VIRTIO_PCI_COMMON_queue_notif_config_data, 2, 0},
        {VIRTIO_PCI_COMMON_queue_reset, 2, 0},
        {VIRTIO_PCI_COMMON_admin_queue_index, 2, 0},
        {VIRTIO_PCI_COMMON_admin_queue_num, 2, 0},
    };
    for (unsigned used = 0; used < 2; used++) {
        for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
            cr_expect_eq(common_get(rig, regs[i].reg, regs[i].width), regs[i].value, "%u",
                         regs[i].reg);
        if (used == 0) { /* the same after somebody has used it */
            cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
            common_set(rig, VIRTIO_PCI_COMMON_device_feature_select, 4, 1);
            common_set(rig, VIRTIO_PCI_COMMON_driver_feature_select, 4, 1);
            common_set(rig, VIRTIO_PCI_COMMON_device_status, 1, 0);
        }
    }
}

OnEcho(virtio_pci, what_is_read_only_stays, .transport = RIG_PCI)
{
    static const struct {
        unsigned reg, width;
    } regs[] = {
        {VIRTIO_PCI_COMMON_device_feature, 4},          {VIRTIO_PCI_COMMON_num_queues, 2},
        {VIRTIO_PCI_COMMON_config_generation, 1},       {VIRTIO_PCI_COMMON_queue_notify_off, 2},
        {VIRTIO_PCI_COMMON_queue_notif_config_data, 2}, {VIRTIO_PCI_COMMON_admin_queue_index, 2},
        {VIRTIO_PCI_COMMON_admin_queue_num, 2},
    };
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        uint64_t before = common_get(rig, regs[i].reg, regs[i].width);
        common_set(rig, regs[i].reg, regs[i].width, ~before);
        cr_expect_eq(common_get(rig, regs[i].reg, regs[i].width), before, "%u", regs[i].reg);
    }
}

static uint32_t offered(struct rig *rig, uint32_t select)
{
    common_set(rig, VIRTIO_PCI_COMMON_device_feature_select, 4, select);
    return (uint32_t)common_get(rig, VIRTIO_PCI_COMMON_device_feature, 4);
}

OnEcho(virtio_pci, features_are_shown_for_any_selector, .transport = RIG_PCI)
{
    cr_expect_eq(offered(rig, 0), (uint32_t)rig->dev->offered[0]);
    cr_expect_eq(offered(rig, 1), (uint32_t)(rig->dev->offered[0] >> 32));
    for (unsigned select = 2; select < 70; select++)
        cr_expect_eq(offered(rig, select), 0);
    cr_expect_eq(offered(rig, UINT32_MAX), 0);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_device_feature_select, 4), UINT32_MAX);
}

OnEcho(virtio_pci, accepted_features_read_back, .transport = RIG_PCI)
{
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    common_set(rig, VIRTIO_PCI_COMMON_driver_feature_select, 4, 0);
    common_set(rig, VIRTIO_PCI_COMMON_driver_feature, 4, 1u << 3);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_driver_feature, 4), 1u << 3);
    common_set(rig, VIRTIO_PCI_COMMON_driver_feature_select, 4, 1);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_driver_feature, 4), 0);
    common_set(rig, VIRTIO_PCI_COMMON_driver_feature, 4, 1);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_driver_feature, 4), 1);
    vdrv_set_status(&rig->drv,
                    VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    cr_expect_eq(vdrv_status(&rig->drv), 11);
    common_set(rig, VIRTIO_PCI_COMMON_driver_feature, 4, 0);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_driver_feature, 4), 1, "fixed by FEATURES_OK");
}

OnEcho(virtio_pci, there_is_no_queue_beyond_the_last, .transport = RIG_PCI)
{
    static const uint16_t absent[] = {2, 63, 64, 0x7fff, 0xffff};
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    for (unsigned i = 0; i < ARRAY_SIZE(absent); i++) {
        common_set(rig, VIRTIO_PCI_COMMON_queue_select, 2, absent[i]);
        common_set(rig, VIRTIO_PCI_COMMON_queue_size, 2, 8);
        common_set(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2, 1);
        common_set(rig, VIRTIO_PCI_COMMON_queue_desc, 8, 0x1000);
        common_set(rig, VIRTIO_PCI_COMMON_queue_enable, 2, 1);
        common_set(rig, VIRTIO_PCI_COMMON_queue_reset, 2, 1);
        cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_select, 2), absent[i]);
        cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_size, 2), 0);
        cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2), 0xffff);
        cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_enable, 2), 0);
        cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_notify_off, 2), 0);
        cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_desc, 8), 0);
        cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_reset, 2), 0);
    }
}

OnEcho(virtio_pci, addresses_are_written_whole_and_by_halves, .transport = RIG_PCI)
{
    static const unsigned regs[] = {VIRTIO_PCI_COMMON_queue_desc, VIRTIO_PCI_COMMON_queue_driver,
                                    VIRTIO_PCI_COMMON_queue_device};
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        uint64_t whole = UINT64_C(0x1122334455667788) + i;
        common_set(rig, regs[i], 8, whole);
        cr_expect_eq(common_get(rig, regs[i], 8), whole);
        cr_expect_eq(common_get(rig, regs[i], 4), (uint32_t)whole);
        cr_expect_eq(common_get(rig, regs[i] + 4, 4), whole >> 32);
        common_set(rig, regs[i] + 4, 4, 0xaabbccdd);
        cr_expect_eq(common_get(rig, regs[i], 8), UINT64_C(0xaabbccdd00000000) | (uint32_t)whole);
        common_set(rig, regs[i], 4, 0x1000 * i);
        cr_expect_eq(common_get(rig, regs[i], 8), UINT64_C(0xaabbccdd00000000) | 0x1000 * i);
    }
}

Test(virtio_pci, a_size_that_is_no_power_of_two_reads_as_none)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct rig rig;
        rig_open_echo_on(&rig, &(struct rig_config){.transport = RIG_PCI, .packed = packed});
        cr_assert(vdrv_negotiate(&rig.drv, 0));
        vdrv_queue_alloc(&rig.drv, 0, 8);
        rig.drv.q[0].size = 7;
        vdrv_queue_write(&rig.drv, 0);
        cr_expect_eq(common_get(&rig, VIRTIO_PCI_COMMON_queue_size, 2), packed ? 7 : 0);
        vdrv_driver_ok(&rig.drv);
        cr_expect_eq(rig_is_broken(&rig), !packed);
        rig_close(&rig);
    }
}

OnEcho(virtio_pci, only_a_1_enables_a_queue, .transport = RIG_PCI)
{
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    common_set(rig, VIRTIO_PCI_COMMON_queue_enable, 2, 2);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_enable, 2), 0);
    common_set(rig, VIRTIO_PCI_COMMON_queue_enable, 2, 1);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_enable, 2), 1);
    common_set(rig, VIRTIO_PCI_COMMON_queue_enable, 2, 0);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_enable, 2), 1, "0 is not to be written");
    common_set(rig, VIRTIO_PCI_COMMON_queue_size, 2, 8);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_size, 2), 1024, "it is enabled");
}

OnEcho(virtio_pci, a_queue_is_reset_alone, .transport = RIG_PCI,
       .features_on = VIRTIO_BIT(VIRTIO_F_RING_RESET))
{
    cr_assert(vdrv_start(&rig->drv, VIRTIO_BIT(VIRTIO_F_RING_RESET), 2, 8));
    cr_expect_eq(rig->bell.count, 2);
    common_set(rig, VIRTIO_PCI_COMMON_queue_select, 2, 1);
    common_set(rig, VIRTIO_PCI_COMMON_queue_reset, 2, 0);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_enable, 2), 1, "only a 1 resets");
    common_set(rig, VIRTIO_PCI_COMMON_queue_reset, 2, 1);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_reset, 2), 0);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_enable, 2), 0);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_size, 2), 1024);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_desc, 8), 0);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2), 0xffff);
    cr_expect_eq(rig->bell.count, 1);
    cr_expect(echoes(rig, 0));

    vdrv_queue_set_up(&rig->drv, 1, 16);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_enable, 2), 1);
    cr_expect_eq(rig->bell.count, 2);
    cr_expect(echoes(rig, 1));
}

OnEcho(virtio_pci, no_queue_is_reset_without_the_feature, .transport = RIG_PCI)
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    common_set(rig, VIRTIO_PCI_COMMON_queue_reset, 2, 1);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_enable, 2), 1);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2), 1);
    cr_expect_eq(rig->bell.count, 1);
    cr_expect(echoes(rig, 0));
}

OnEcho(virtio_pci, registers_take_their_own_width_only, .transport = RIG_PCI)
{
    static const uint8_t bytes[] = {
        [VIRTIO_PCI_COMMON_device_feature_select] = 4,
        [VIRTIO_PCI_COMMON_device_feature] = 4,
        [VIRTIO_PCI_COMMON_driver_feature_select] = 4,
        [VIRTIO_PCI_COMMON_driver_feature] = 4,
        [VIRTIO_PCI_COMMON_config_msix_vector] = 2,
        [VIRTIO_PCI_COMMON_num_queues] = 2,
        [VIRTIO_PCI_COMMON_device_status] = 1,
        [VIRTIO_PCI_COMMON_config_generation] = 1,
        [VIRTIO_PCI_COMMON_queue_select] = 2,
        [VIRTIO_PCI_COMMON_queue_size] = 2,
        [VIRTIO_PCI_COMMON_queue_msix_vector] = 2,
        [VIRTIO_PCI_COMMON_queue_enable] = 2,
        [VIRTIO_PCI_COMMON_queue_notify_off] = 2,
        [VIRTIO_PCI_COMMON_queue_desc] = 4 + 8,
        [VIRTIO_PCI_COMMON_queue_desc + 4] = 4,
        [VIRTIO_PCI_COMMON_queue_driver] = 4 + 8,
        [VIRTIO_PCI_COMMON_queue_driver + 4] = 4,
        [VIRTIO_PCI_COMMON_queue_device] = 4 + 8,
        [VIRTIO_PCI_COMMON_queue_device + 4] = 4,
        [VIRTIO_PCI_COMMON_queue_notif_config_data] = 2,
        [VIRTIO_PCI_COMMON_queue_reset] = 2,
        [VIRTIO_PCI_COMMON_admin_queue_index] = 2,
        [VIRTIO_PCI_COMMON_admin_queue_num] = 2,
        [VIRTIO_PCI_COMMON_BYTES + 8] = 0,
    };
    common_set(rig, VIRTIO_PCI_COMMON_config_msix_vector, 2, 0); /* no register is all ones now */
    common_set(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2, 0);
    for (unsigned at = 0; at < sizeof(bytes); at++)
        for (unsigned width = 1; width <= 8; width *= 2) {
            uint64_t value = common_get(rig, at, width);
            cr_expect_eq(value != width_mask(width), (bytes[at] & width) != 0, "%u bytes at %u",
                         width, at);
            if (!(bytes[at] & width))
                common_set(rig, at, width, 0x0101010101010101);
        }
    cr_expect_eq(vdrv_status(&rig->drv), 0);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_select, 2), 0);
    cr_expect_eq(common_get(rig, VIRTIO_PCI_COMMON_device_feature_select, 4), 0);
}

Test(virtio_pci, any_access_anywhere_is_harmless)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        struct rig rig;
        rig_open_echo_on(&rig,
                         &(struct rig_config){.transport = RIG_PCI_TRANSITIONAL, .packed = packed});
        cr_assert(vdrv_start(&rig.drv, 0, 2, 8));
        uint64_t at = rig.drv.pci.common;
        for (uint64_t offset = 0; offset < 0x4000; offset += offset % 0x1000 < 80 ? 1 : 13)
            for (unsigned width = 1; width <= 8; width *= 2) {
                uint64_t value;
                bus_write(rig.bus, at + offset, width, 0xfedcba9876543210);
                bus_read(rig.bus, at + offset, width, &value);
            }
        for (unsigned port = 0; port < 80; port++)
            for (unsigned width = 1; width <= 4; width *= 2) {
                uint64_t value;
                bus_write(rig.pio, rig.drv.pci.bar_gpa[0] + port, width, 0x76543210);
                bus_read(rig.pio, rig.drv.pci.bar_gpa[0] + port, width, &value);
            }
        rig_step(&rig);
        cr_assert(vdrv_start(&rig.drv, 0, 2, 8), "and a reset helps");
        cr_expect(echoes(&rig, 0));
        rig_close(&rig);
    }
}

/* ---- the configuration space ---- */

OnEcho(virtio_pci, configuration_takes_any_width, .transport = RIG_PCI)
{
    uint64_t value, at = rig->drv.pci.config;
    bus_read(rig->bus, at + 1, 8, &value);
    cr_expect_eq(value, 0x0908070605040302);
    bus_read(rig->bus, at + 8, 4, &value);
    cr_expect_eq(value, 0x0a09, "bytes beyond it are 0");
    bus_read(rig->bus, at + 0xfff, 1, &value);
    cr_expect_eq(value, 0);
    bus_write(rig->bus, at + 7, 8, UINT64_MAX);
    cr_expect_eq(rig->echo.config[6], 7);
    cr_expect_eq(rig->echo.config[9], 0xff);
}

OnEcho(virtio_pci, each_change_is_a_generation, .transport = RIG_PCI)
{
    uint32_t before = vdrv_generation(&rig->drv);
    virtio_device_config_changed(rig->dev);
    cr_expect_neq(vdrv_generation(&rig->drv), before);
    for (unsigned i = 1; i < 256; i++)
        virtio_device_config_changed(rig->dev);
    cr_expect_eq(vdrv_generation(&rig->drv), before, "it has 8 bits");
}

/* ---- shared memory ---- */

OnEcho(virtio_pci, shared_memory_is_in_a_bar, .transport = RIG_PCI, .shm_bytes = 0x1800)
{
    unsigned cap = find_cap(rig, VIRTIO_PCI_CAP_SHARED_MEMORY_CFG);
    cr_assert_neq(cap, 0);
    cr_expect_eq(config_get(rig, cap + VIRTIO_PCI_CAP_cap_len, 1), VIRTIO_PCI_CAP64_BYTES);
    cr_expect_eq(config_get(rig, cap + VIRTIO_PCI_CAP_id, 1), ECHO_SHM_ID);
    cr_expect_eq(config_get(rig, cap + VIRTIO_PCI_CAP_length, 4), 0x1800);
    cr_expect_eq(config_get(rig, cap + VIRTIO_PCI_CAP64_length_hi, 4), 0);
    cr_assert_eq(config_get(rig, cap + VIRTIO_PCI_CAP_bar, 1), 2);
    cr_expect_eq(rig->drv.pci.bar_bytes[2], 0x2000);
    cr_expect_eq(config_get(rig, PCI_REG_BAR + 8, 1) & 0xf, 0xc, "64 bits, prefetchable");
    uint64_t at = rig->drv.pci.bar_gpa[2], value;
    uint8_t *memory = rig->echo.shm.hva;
    memory[0x17ff] = 0x5a;
    bus_read(rig->bus, at + 0x17ff, 1, &value);
    cr_expect_eq(value, 0x5a);
    bus_write(rig->bus, at + 3, 8, 0x1122334455667788);
    cr_expect_eq(memory[3], 0x88);
    cr_expect_eq(memory[10], 0x11);
    bus_write(rig->bus, at + 0x17fc, 8, 0);
    cr_expect_eq(memory[0x17ff], 0x5a, "not inside");
    bus_read(rig->bus, at + 0x1800, 4, &value);
    cr_expect_eq(value, UINT32_MAX);
}

Test(virtio_pci, regions_lie_apart)
{
    static uint8_t memory[3][0x1000];
    struct bare b = {.config.shm_count = 3};
    for (unsigned i = 0; i < 3; i++)
        b.shm[i] = (struct virtio_shm){(uint8_t)(10 + i), memory[i], i == 0 ? 0x10 : 0x1000};
    cr_assert_eq(bare_open(&b, &modern_type, false), 0);
    unsigned found = 0;
    for (unsigned cap = bare_get(&b, PCI_REG_CAPABILITIES, 1); cap != 0;
         cap = bare_get(&b, cap + 1, 1)) {
        if (bare_get(&b, cap, 1) != 9 || bare_get(&b, cap + VIRTIO_PCI_CAP_cfg_type, 1) != 8)
            continue;
        cr_expect_eq(bare_get(&b, cap + VIRTIO_PCI_CAP_id, 1), 10 + found);
        cr_expect_eq(bare_get(&b, cap + VIRTIO_PCI_CAP_offset, 4), 0x1000 * found);
        found++;
    }
    cr_expect_eq(found, 3);
    const struct pci_bar_config *bar = &virtio_pci_func(b.pci)->bars[2].cfg;
    cr_expect_eq(bar->bytes, 0x4000);
    bar->ops->write(bar->dev, 0x2ffc, 4, 0xcafe);
    cr_expect_eq(memory[2][0xffc], 0xfe);
    cr_expect_eq(bar->ops->read(bar->dev, 0x10, 4), UINT64_MAX);
    bare_close(&b);
}

Test(virtio_pci, what_has_no_room_is_refused)
{
    static uint8_t memory;
    struct bare many = {.config.shm_count = 4};
    cr_expect_eq(bare_open(&many, &modern_type, false), -ENOTSUP);
    bare_close(&many);
    struct bare large = {.config.shm_count = 2};
    large.shm[0] = (struct virtio_shm){1, &memory, UINT64_C(1) << 39};
    large.shm[1] = (struct virtio_shm){2, &memory, UINT64_MAX};
    cr_expect_eq(bare_open(&large, &modern_type, false), -EFBIG);
    bare_close(&large);
}
