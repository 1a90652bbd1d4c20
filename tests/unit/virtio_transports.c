// SPDX-License-Identifier: BSD-2-Clause
/* The same device and the same driver over every transport and both rings. */
#include "core/ports/bus.h"
#include "tests/harness/blkreq.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"
#include "virtio/transport/registers.h"

#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
#define IN_ORDER      VIRTIO_BIT(VIRTIO_F_IN_ORDER)
#define PING          0x676e6970u

static uint8_t *add_ping(struct rig *rig, struct vdrv_queue *q, bool indirect)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 8, 8);
    uint8_t *data = vdrv_ptr(&rig->drv, gpa, 8);
    le32_put(data, PING);
    struct vdrv_buf bufs[] = {{gpa, 4, false}, {gpa + 4, 4, true}};
    cr_assert_geq((indirect ? vdrv_add_indirect : vdrv_add)(q, bufs, 2), 0);
    return data + 4;
}

/* Rounds of growing batches, around the ring several times. */
static void check_rounds(const struct rig_config *config, uint64_t features)
{
    struct rig rig;
    uint32_t head, len;
    const char *name = rig_config_name(config);
    rig_open_echo_on(&rig, config);
    cr_assert(vdrv_start(&rig.drv, features, 2, 16), "%s", name);
    rig_step(&rig);
    for (unsigned round = 0; round < 40; round++) {
        struct vdrv_queue *q = &rig.drv.q[round % 2];
        uint8_t *answers[8];
        unsigned batch = round % 7 + 1;
        uint64_t heap_gpa = rig.drv.heap_gpa;
        for (unsigned i = 0; i < batch; i++)
            answers[i] = add_ping(&rig, q, (features & RING_FEATURES) && i % 3 == 0);
        vdrv_irq_on(q);
        vdrv_publish(q);
        cr_expect(vdrv_kick_wanted(q), "%s", name);
        vdrv_notify(q);
        rig_step(&rig);
        for (unsigned i = 0; i < batch; i++) {
            cr_assert(vdrv_used(q, &head, &len), "%s: round %u", name, round);
            cr_expect_eq(len, 4, "%s", name);
            cr_expect_eq(le32_get(answers[i]), PING, "%s: round %u", name, round);
        }
        cr_expect(!vdrv_used(q, &head, &len), "%s", name);
        cr_expect_eq(rig_queue_irqs(&rig, round % 2), 1, "%s: round %u", name, round);
        cr_expect_eq(rig_config_irqs(&rig), 0, "%s", name);
        cr_expect_eq(q->ring.free_descs, q->size);
        rig.drv.heap_gpa = heap_gpa;
    }
    rig_close(&rig);
}

Test(virtio_transports, chains_go_around_every_ring)
{
    for (unsigned i = 0; i < RIG_ALL_VARIANTS; i++) {
        check_rounds(&rig_all_variants[i], 0);
        check_rounds(&rig_all_variants[i], RING_FEATURES);
    }
}

Test(virtio_transports, in_order)
{
    for (unsigned i = 0; i < RIG_VARIANTS; i++) {
        struct rig_config config = rig_variants[i];
        config.features_on = IN_ORDER;
        check_rounds(&config, IN_ORDER);
        check_rounds(&config, IN_ORDER | RING_FEATURES);
    }
}

Test(virtio_transports, notification_data)
{
    for (unsigned i = 0; i < RIG_VARIANTS; i++) {
        struct rig_config config = rig_variants[i];
        config.features_on = VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA);
        check_rounds(&config, RING_FEATURES | VIRTIO_BIT(VIRTIO_F_NOTIFICATION_DATA));
    }
}

Test(virtio_transports, interrupts_can_be_off)
{
    for (unsigned i = 0; i < RIG_ALL_VARIANTS; i++)
        for (unsigned event_idx = 0; event_idx < 2; event_idx++) {
            struct rig rig;
            rig_open_echo_on(&rig, &rig_all_variants[i]);
            cr_assert(vdrv_start(&rig.drv, event_idx ? RING_FEATURES : 0, 1, 16));
            vdrv_irq_off(&rig.drv.q[0]);
            add_ping(&rig, &rig.drv.q[0], false);
            rig_kick(&rig, 0);
            cr_expect_eq(rig.echo.served, 1);
            cr_expect_eq(rig_queue_irqs(&rig, 0), 0, "%s", rig_config_name(&rig_all_variants[i]));
            rig_close(&rig);
        }
}

OnEveryRig(virtio_transports, a_changed_configuration_interrupts, rig_open_echo_on(rig, on))
{
    uint8_t bytes[10];
    const char *name = rig_config_name(&rig->cfg);
    cr_assert(vdrv_start(&rig->drv, 0, 1, 16));
    uint32_t before = rig->drv.t->generation.bytes > 0 ? vdrv_generation(&rig->drv) : 0;
    vdrv_config_read(&rig->drv, 0, bytes, 10);
    for (unsigned at = 0; at < 10; at++)
        cr_expect_eq(bytes[at], at + 1, "%s", name);
    rig->echo.config[3] = 77;
    virtio_device_config_changed(rig->dev);
    cr_expect_eq(rig_config_irqs(rig), 1, "%s", name);
    cr_expect_eq(rig_queue_irqs(rig, 0), 0, "%s", name);
    vdrv_config_read(&rig->drv, 3, bytes, 1);
    cr_expect_eq(bytes[0], 77, "%s", name);
    if (rig->drv.t->generation.bytes > 0)
        cr_expect_neq(vdrv_generation(&rig->drv), before, "%s", name);
    bytes[0] = 78;
    vdrv_config_write(&rig->drv, 9, bytes, 1);
    cr_expect_eq(rig->echo.config[9], 78, "%s", name);
}

OnEachRig(virtio_transports, one_queue_is_reset_and_used_again,
          on->features_on = VIRTIO_BIT(VIRTIO_F_RING_RESET), rig_open_echo_on(rig, on))
{
    uint32_t head, len;
    const char *name = rig_config_name(&rig->cfg);
    rig_start(rig, VIRTIO_BIT(VIRTIO_F_RING_RESET), 2, 16);
    rig->echo.hold = true;
    add_ping(rig, &rig->drv.q[0], false);
    rig_kick(rig, 0);
    cr_assert_not_null(rig->echo.held, "%s", name);
    rig->echo.hold = false;
    cr_assert(vdrv_queue_reset(&rig->drv, 0), "%s", name);
    cr_expect_eq(rig->echo.stops, 1, "%s", name);
    cr_expect(vdrv_queue_ready(&rig->drv, 1), "%s", name);
    vdrv_queue_set_up(&rig->drv, 0, 8);
    cr_expect(vdrv_queue_ready(&rig->drv, 0), "%s", name);
    for (unsigned q = 0; q < 2; q++) {
        add_ping(rig, &rig->drv.q[q], false);
        rig_kick(rig, q);
        cr_expect(vdrv_used(&rig->drv.q[q], &head, &len), "%s: queue %u", name, q);
        cr_expect_eq(rig_queue_irqs(rig, q), 1, "%s: queue %u", name, q);
    }
}

OnEachRig(virtio_transports, shared_memory_is_found_and_shared, on->shm_bytes = 0x4000,
          rig_open_echo_on(rig, on))
{
    uint64_t gpa, bytes, value;
    const char *name = rig_config_name(&rig->cfg);
    cr_expect(!vdrv_shm(&rig->drv, 0, &gpa, &bytes), "%s", name);
    cr_assert(vdrv_shm(&rig->drv, ECHO_SHM_ID, &gpa, &bytes), "%s", name);
    cr_expect_eq(bytes, 0x4000, "%s", name);
    uint8_t *memory = rig->echo.shm.hva;
    cr_expect(bus_write(rig->bus, gpa + 0x3ff8, 8, 0x0807060504030201));
    cr_expect_eq(memory[0x3ff9], 2, "%s", name);
    memory[5] = 0x55;
    cr_expect(bus_read(rig->bus, gpa + 5, 1, &value));
    cr_expect_eq(value, 0x55, "%s", name);
}

OnEachRig(virtio_transports, the_largest_queue, on->queue_size_max = VIRTQ_MAX_SIZE,
          rig_open_echo_on(rig, on))
{
    uint32_t head, len;
    cr_expect_eq(vdrv_queue_size_max(&rig->drv, 0), VIRTQ_MAX_SIZE);
    cr_assert(vdrv_start(&rig->drv, 0, 1, VIRTQ_MAX_SIZE));
    struct vdrv_queue *q = &rig->drv.q[0];
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 8), 8, true};
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned n = 0; n < VIRTQ_MAX_SIZE; n++)
            cr_assert_geq(vdrv_add(q, &buf, 1), 0);
        cr_expect_eq(vdrv_add(q, &buf, 1), -1);
        vdrv_kick(q);
        rig_step(rig);
        for (unsigned n = 0; n < VIRTQ_MAX_SIZE; n++)
            cr_assert(vdrv_used(q, &head, &len), "%s: %u", rig_config_name(&rig->cfg), n);
    }
}

OnEveryRig(virtio_transports, a_disk_works_on_all_of_them, rig_open_blk_on(rig, on))
{
    cr_assert(vdrv_start(&rig->drv, RING_FEATURES, 1, 64));
    struct blkreq write = {.type = VIRTIO_BLK_T_OUT, .sector = 3, .bytes = 1024, .cut = 100};
    write.data_gpa = vdrv_alloc(&rig->drv, 1024, 16);
    for (unsigned at = 0; at < 1024; at++)
        ((uint8_t *)blkreq_data(rig, &write))[at] = (uint8_t)(at * 7);
    cr_expect_eq(blkreq_do(rig, &write, NULL), VIRTIO_BLK_S_OK);
    struct blkreq read = {.sector = 3, .bytes = 1024, .data_write = true, .indirect = true};
    cr_expect_eq(blkreq_do(rig, &read, NULL), VIRTIO_BLK_S_OK);
    cr_expect_arr_eq(blkreq_data(rig, &read), blkreq_data(rig, &write), 1024);
}

/* ---- the tables of registers ---- */

static void check_layout(const struct virtio_layout *layout)
{
    for (unsigned i = 0; i < layout->count; i++) {
        const struct virtio_place *f = &layout->fields[i];
        cr_expect(f->bytes == 8 ? f->offset % 4 == 0 : f->offset % f->bytes == 0, "%#x", f->offset);
        cr_expect(f->access & (VFIELD_R | VFIELD_W), "%#x", f->offset);
        for (unsigned j = 0; j < i; j++) {
            const struct virtio_place *other = &layout->fields[j];
            cr_expect(!range_overlaps(f->offset, f->bytes, other->offset, other->bytes),
                      "%#x and %#x", f->offset, other->offset);
            cr_expect(f->reg != other->reg || f->reg == VREG_ZERO, "%#x and %#x", f->offset,
                      other->offset);
        }
    }
}

Test(virtio_transports, each_register_has_one_place_in_a_layout)
{
    for (unsigned legacy = 0; legacy < 2; legacy++) {
        cr_expect_eq(virtio_mmio_layouts[legacy].is_legacy, legacy == 1);
        cr_expect_eq(virtio_pci_layouts[legacy].is_legacy, legacy == 1);
        check_layout(&virtio_mmio_layouts[legacy]);
        check_layout(&virtio_pci_layouts[legacy]);
        cr_expect_eq(virtio_mmio_layouts[legacy].fields[0].offset, VIRTIO_MMIO_QueueNotify,
                     "found first");
    }
}
