// SPDX-License-Identifier: BSD-2-Clause
/* What a guest can do to a PCI function while its device works: H34 to H37. */
#include "hostile.h"

#include "core/ports/pci.h"
#include "tests/unit/virtio_pci_util.h"

#define ON_PCI                     (on->transport >= RIG_PCI)
#define OnPci(suite, name)         BARE(suite, name, ON_PCI)
#define OnMsix(suite, name)        BARE(suite, name, ON_PCI && !on->intx)
#define OnRunningPci(suite, name)  ON_RUNNING(suite, name, ON_PCI)
#define OnRunningMsix(suite, name) ON_RUNNING(suite, name, ON_PCI && !on->intx)

#define MSIX_CTRL 2u
#define MSIX_ON   0x8000u
#define MSIX_MASK 0x4000u

/* A disk with a request in flight. */
static struct blkreq open_busy(struct rig *rig, const struct rig_config *on)
{
    hostile_open(rig, on, NULL);
    rig->disk.hold = true;
    struct blkreq req = hostile_read(rig);
    return req;
}

/* The request comes back all the same, and a guest that begins anew finds its device. */
static void close_busy(struct rig *rig, const struct blkreq *req)
{
    const struct vdrv before = rig->drv;
    fake_blk_release(&rig->disk);
    rig_step(rig);
    cr_expect_eq(rig->disk.out, 0);
    cr_expect_eq(*(uint8_t *)vdrv_ptr(&rig->drv, req->status_gpa, 1), VIRTIO_BLK_S_OK, "%s",
                 before.t->name);
    rig_find_device(rig);
    hostile_close(rig);
}

OnPci(hostile_pci, h34_sizes_asked_for_while_decoding)
{
    struct rig rig;
    struct blkreq req = open_busy(&rig, on);
    for (unsigned bar = 0; bar < PCI_BARS; bar++) {
        uint32_t before = config_get(&rig, PCI_REG_BAR + 4 * bar, 4);
        config_set(&rig, PCI_REG_BAR + 4 * bar, 4, UINT32_MAX);
        vdrv_notify(&rig.drv.q[0]);
        rig_step(&rig);
        config_set(&rig, PCI_REG_BAR + 4 * bar, 4, before);
        cr_expect_eq(config_get(&rig, PCI_REG_BAR + 4 * bar, 4), before);
    }
    cr_expect_eq(vdrv_status(&rig.drv), 15, "all is where it was");
    close_busy(&rig, &req);
}

/* Over memory, over other devices, over each other, to the end of all addresses and back. */
OnPci(hostile_pci, h34_bars_moved_while_requests_are_in_flight)
{
    static const uint32_t places[] = {
        0,           0x1000,     (uint32_t)RIG_HOLE_GPA - 0x1000, (uint32_t)RIG_HOLE_END_GPA - 16,
        RIG_BAR_GPA, 0xfee00000, (uint32_t)RIG_RAM_END_GPA,       0xfffff000,
    };
    static const uint32_t uppers[] = {0, 1, 0x80000000, UINT32_MAX};
    struct rig rig;
    uint64_t value;
    struct blkreq req = open_busy(&rig, on);
    for (unsigned bar = 0; bar < PCI_BARS; bar++)
        for (unsigned p = 0; p < ARRAY_SIZE(places); p++)
            for (unsigned u = 0; u < ARRAY_SIZE(uppers); u++) {
                config_set(&rig, PCI_REG_BAR + 4 * bar, 4, places[p]);
                if (bar % 2 == 0)
                    config_set(&rig, PCI_REG_BAR + 4 * bar + 4, 4, uppers[u]);
                vdrv_notify(&rig.drv.q[0]);
                rig_step(&rig);
                cr_expect(!bus_read(rig.bus, 0x1000, 4, &value), "memory stays memory");
                cr_expect(!bus_read(rig.bus, RIG_HOLE_GPA - 4, 4, &value));
            }
    close_busy(&rig, &req);
}

/* Every place of the BAR of table and pending bits, in every width, aligned or not. */
OnMsix(hostile_pci, h35_any_access_to_table_and_pending_bits)
{
    struct rig rig;
    uint64_t value;
    struct blkreq req = open_busy(&rig, on);
    const unsigned bar = config_get(&rig, rig.drv.pci.msix_cap + 4, 4) & 7;
    const uint64_t base = rig.drv.pci.bar_gpa[bar], bytes = rig.drv.pci.bar_bytes[bar];
    for (uint64_t at = 0; at < bytes; at++)
        for (unsigned width = 1; width <= 8; width *= 2) {
            bus_write(rig.bus, base + at, width, at * UINT64_C(0x9e3779b97f4a7c15));
            bus_read(rig.bus, base + at, width, &value);
        }
    close_busy(&rig, &req);
}

/* Masks, messages and the switch change between a request and its interrupt. */
OnRunningMsix(hostile_pci, h35_vectors_changed_with_interrupts_in_flight)
{
    const unsigned ctrl = rig->drv.pci.msix_cap + MSIX_CTRL;
    const uint32_t where = config_get(rig, rig->drv.pci.msix_cap + 4, 4);
    const uint64_t table = rig->drv.pci.bar_gpa[where & 7] + (where & ~UINT32_C(7));
    for (unsigned i = 0; i < 500; i++) {
        uint32_t head, len;
        rig->disk.hold = true;
        struct blkreq req = {.bytes = 512, .data_write = true};
        uint64_t heap_gpa = rig->drv.heap_gpa;
        cr_assert(blkreq_send(rig, &req));
        rig_step(rig);
        config_set(rig, ctrl, 2, i % 4 * MSIX_MASK); /* off, masked, on, on and masked */
        bus_write(rig->bus, table + 16 * (i % 3) + 12, 4, i / 4 % 2);
        bus_write(rig->bus, table + 16 * (i % 3), 4, i % 5 == 0 ? UINT32_MAX : VDRV_MSI_GPA);
        bus_write(rig->bus, table + 16 * (i % 3) + 4, 4, i % 7 == 0 ? UINT32_MAX : 0);
        fake_blk_release(&rig->disk);
        rig_step(rig);
        cr_assert(vdrv_used(&rig->drv.q[0], &head, &len), "round %u", i);
        rig->drv.heap_gpa = heap_gpa;
    }
    rig_find_device(rig);
}

/* Queues and the configuration point at every vector: those that there are, and no others. */
OnRunningMsix(hostile_pci, h35_vectors_beyond_the_table)
{
    const uint32_t count = (config_get(rig, rig->drv.pci.msix_cap + MSIX_CTRL, 2) & 0x7ff) + 1;
    common_set(rig, VIRTIO_PCI_COMMON_queue_select, 2, 0);
    for (uint32_t v = 0; v <= UINT16_MAX; v++) {
        const uint32_t kept = v < count ? v : 0xffff;
        common_set(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2, v);
        cr_assert_eq(common_get(rig, VIRTIO_PCI_COMMON_queue_msix_vector, 2), kept);
        common_set(rig, VIRTIO_PCI_COMMON_config_msix_vector, 2, v);
        cr_assert_eq(common_get(rig, VIRTIO_PCI_COMMON_config_msix_vector, 2), kept);
    }
}

/* The access window at every BAR, next to every end, with lengths that are none. */
OnPci(hostile_pci, h36_the_window_pointed_anywhere)
{
    static const uint32_t bytes[] = {0, 1, 2, 3, 4, 5, 8, 0x80000000, UINT32_MAX};
    static const uint32_t offsets[] = {0,          1,          0xffc,      0xfff,
                                       0x1000,     0x3ffc,     0x3fff,     0x7fffffff,
                                       0x80000000, 0xfffffffc, 0xfffffffe, UINT32_MAX};
    struct rig rig;
    struct blkreq req = open_busy(&rig, on);
    const unsigned data = find_cap(&rig, VIRTIO_PCI_CAP_PCI_CFG) + VIRTIO_PCI_CFG_CAP_data;
    for (uint32_t bar = 0; bar < 256; bar += bar < 8 ? 1 : 31)
        for (unsigned o = 0; o < ARRAY_SIZE(offsets); o++)
            for (unsigned b = 0; b < ARRAY_SIZE(bytes); b++) {
                window_to(&rig, bar, offsets[o], bytes[b]);
                for (unsigned at = 0; at < 8; at++)
                    for (unsigned width = 1; width <= 4; width *= 2)
                        if (at % 4 + width <= 4)
                            (void)config_get(&rig, data + at, width);
                config_set(&rig, data, 4, UINT32_MAX);
            }
    close_busy(&rig, &req);
}

/* Every register of the function in every width, a request in flight all the while. */
OnPci(hostile_pci, h37_any_access_to_configuration_space)
{
    static const uint32_t values[] = {UINT32_MAX, 0, 0x55555555, 0xaaaaaaaa, 0x00000004};
    struct rig rig;
    struct blkreq req = open_busy(&rig, on);
    const uint32_t ids = config_get(&rig, PCI_REG_VENDOR, 4);
    for (unsigned v = 0; v < ARRAY_SIZE(values); v++)
        for (unsigned at = 0; at < 4096; at++)
            for (unsigned width = 1; width <= 4; width *= 2)
                if (at % 4 + width <= 4) {
                    config_set(&rig, at, width, values[v]);
                    (void)config_get(&rig, at, width);
                }
    cr_expect_eq(config_get(&rig, PCI_REG_VENDOR, 4), ids);
    cr_expect_eq(config_get(&rig, 4092, 4), 0, "nothing beyond 256 bytes");
    close_busy(&rig, &req);
}

/* Decoding and bus mastering go off and on while requests are on their way, and none is lost. */
OnRunningPci(hostile_pci, h37_command_bits_toggled_while_requests_run)
{
    const uint32_t all = PCI_CMD_IO | PCI_CMD_MEMORY | PCI_CMD_MASTER;
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t head, len;
        rig->disk.hold = i & 8;
        uint64_t heap_gpa = rig->drv.heap_gpa;
        struct blkreq req = {.bytes = 512, .data_write = true};
        config_set(rig, PCI_REG_COMMAND, 2, i / 16 & 1 ? i & all : all);
        cr_assert(blkreq_send(rig, &req));
        rig_step(rig);
        config_set(rig, PCI_REG_COMMAND, 2, i & all);
        if (rig->disk.hold)
            fake_blk_release(&rig->disk);
        rig_step(rig);
        config_set(rig, PCI_REG_COMMAND, 2, all);
        vdrv_notify(&rig->drv.q[0]);
        rig_step(rig);
        if (rig->disk.hold)
            fake_blk_release(&rig->disk);
        rig_step(rig);
        cr_assert(vdrv_used(&rig->drv.q[0], &head, &len), "%s: round %u",
                  rig_config_name(&rig->cfg), i);
        cr_expect_eq(blkreq_status(rig, &req), VIRTIO_BLK_S_OK);
        rig->drv.heap_gpa = heap_gpa;
    }
}
