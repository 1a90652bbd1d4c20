// SPDX-License-Identifier: BSD-2-Clause
/* What all devices share, seen from the guest: initialisation, reset, configuration, turns. */
#include "core/memory/gmem.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/test.h"
#include "virtio/spec.h"

#define RING_FEATURES (VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) | VIRTIO_BIT(VIRTIO_F_EVENT_IDX))
#define ALL_STATUS                                                                \
    (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK | \
     VIRTIO_STATUS_FEATURES_OK)

static uint32_t status(struct rig *rig)
{
    return vdrv_get(&rig->drv, VIRTIO_MMIO_Status);
}

static void set_status(struct rig *rig, uint32_t value)
{
    vdrv_set(&rig->drv, VIRTIO_MMIO_Status, value);
}

/* One chain: "ping" to be read, four bytes to be written. Returns where these are. */
static char *send_ping(struct rig *rig, unsigned queue)
{
    uint64_t gpa = vdrv_alloc(&rig->drv, 8, 8);
    char *data = vdrv_ptr(&rig->drv, gpa, 8);
    le32_put(data, 0x676e6970); /* "ping" */
    struct vdrv_buf bufs[] = {{gpa, 4, false}, {gpa + 4, 4, true}};
    cr_assert_geq(vdrv_send(&rig->drv.q[queue], bufs, 2), 0);
    return data + 4;
}

static void expect_works(struct rig *rig)
{
    cr_assert(vdrv_start(&rig->drv, RING_FEATURES, 2, 16));
    char *answer = send_ping(rig, 0);
    rig_step(rig);
    cr_expect_arr_eq(answer, "ping", 4);
}

OnEcho(virtio_device, the_common_path_works)
{
    uint32_t head, len;
    expect_works(rig);
    cr_expect_eq(status(rig), ALL_STATUS);
    cr_assert(vdrv_used(&rig->drv.q[0], &head, &len));
    cr_expect_eq(len, 4);
    cr_expect_eq(fake_irq_take(&rig->irq), 1);
}

OnEcho(virtio_device, offers_what_queues_do_and_the_device_adds)
{
    cr_expect_eq(vdrv_offered(&rig->drv), RING_FEATURES | VIRTIO_BIT(VIRTIO_F_VERSION_1) |
                                              VIRTIO_BIT(VIRTIO_F_RING_RESET) | VIRTIO_BIT(3));
    vdrv_set(&rig->drv, VIRTIO_MMIO_DeviceFeaturesSel, 2);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_DeviceFeatures), 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_DeviceFeaturesSel, UINT32_MAX);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_DeviceFeatures), 0);
}

OnEcho(virtio_device, any_subset_of_the_features_will_do)
{
    for (unsigned i = 0; i < 8; i++) {
        uint64_t features = (i & 1 ? VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC) : 0) |
                            (i & 2 ? VIRTIO_BIT(VIRTIO_F_EVENT_IDX) : 0) |
                            (i & 4 ? VIRTIO_BIT(3) : 0);
        cr_expect(vdrv_start(&rig->drv, features, 2, 8), "%u", i);
        cr_expect_eq(virtio_device_has(rig->dev, 3), (i & 4) != 0);
    }
}

OnEcho(virtio_device, reset_forgets_everything)
{
    expect_works(rig);
    vdrv_set(&rig->drv, VIRTIO_MMIO_Status, 0);
    cr_expect_eq(status(rig), 0);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, 0);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReady), 0);
    cr_expect_eq(rig->echo.stops, 2);
    cr_expect_eq(rig->echo.resets, 1);
    cr_expect(!virtio_device_has(rig->dev, VIRTIO_F_VERSION_1));
    /* Without accepting features anew the next attempt has none. */
    set_status(rig, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
    cr_expect_eq(status(rig), VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    expect_works(rig);
}

OnEcho(virtio_device, reset_ends_chains_in_flight)
{
    rig->echo.hold = true;
    cr_assert(vdrv_start(&rig->drv, 0, 2, 16));
    send_ping(rig, 0);
    send_ping(rig, 1);
    rig_step(rig);
    cr_assert_not_null(rig->echo.held);
    vdrv_reset(&rig->drv);
    fake_irq_take(&rig->irq);
    rig_step(rig);
    cr_expect_eq(fake_irq_take(&rig->irq), 0, "nothing comes after a reset");
    rig->echo.hold = false;
    expect_works(rig);
}

OnEcho(virtio_device, activation_that_fails_needs_a_reset)
{
    rig->echo.refuse = -ENOMEM;
    cr_expect(!vdrv_start(&rig->drv, 0, 2, 16));
    cr_expect(rig_is_broken(rig));
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), VIRTIO_ISR_CONFIG);
    cr_expect_eq(fake_irq_take(&rig->irq), 1);
    send_ping(rig, 0);
    rig_step(rig);
    cr_expect_eq(rig->echo.served, 0);
    rig->echo.refuse = 0;
    expect_works(rig);
}

OnEcho(virtio_device, a_failed_device_says_so_once_and_rests)
{
    expect_works(rig);
    fake_irq_take(&rig->irq);
    vdrv_set(&rig->drv, VIRTIO_MMIO_InterruptACK, 3);
    virtio_device_fail(rig->dev, "test");
    cr_expect_eq(status(rig), ALL_STATUS | VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), VIRTIO_ISR_CONFIG);
    cr_expect_eq(fake_irq_take(&rig->irq), 1);
    send_ping(rig, 0);
    send_ping(rig, 1);
    rig_step(rig);
    cr_expect_eq(rig->echo.served, 1, "the one before");
    cr_expect_eq(fake_irq_take(&rig->irq), 0);
    set_status(rig, ALL_STATUS);
    cr_expect(rig_is_broken(rig), "only a reset clears it");
    expect_works(rig);
}

OnEcho(virtio_device, chains_from_before_driver_ok_are_served)
{
    cr_assert(vdrv_negotiate(&rig->drv, 0));
    vdrv_queue_set_up(&rig->drv, 0, 8);
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 4, 4), 4, true};
    vdrv_add(&rig->drv.q[0], &buf, 1);
    vdrv_publish(&rig->drv.q[0]); /* and no kick */
    rig_step(rig);
    cr_expect_eq(rig->echo.served, 0, "not before DRIVER_OK");
    vdrv_driver_ok(&rig->drv);
    rig_step(rig);
    cr_expect_eq(rig->echo.served, 1);
}

OnEcho(virtio_device, a_queue_that_is_not_ready_is_left_alone)
{
    cr_assert(vdrv_start(&rig->drv, 0, 1, 8));
    vdrv_queue_alloc(&rig->drv, 1, 8);
    send_ping(rig, 1);
    rig_step(rig);
    cr_expect_eq(rig->echo.served, 0);
    send_ping(rig, 0);
    rig_step(rig);
    cr_expect_eq(rig->echo.served, 1);
}

OnEcho(virtio_device, queue_ready_zero_stops_one_queue)
{
    rig_start(rig, 0, 2, 8);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueSel, 0);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReady, 0);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReady), 0);
    cr_expect_eq(rig->echo.stops, 1);
    send_ping(rig, 0);
    char *answer = send_ping(rig, 1);
    rig_step(rig);
    cr_expect_eq(rig->echo.served, 1);
    cr_expect_arr_eq(answer, "ping", 4);
    vdrv_set(&rig->drv, VIRTIO_MMIO_QueueReady, 1);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_QueueReady), 0, "not without a reset");
}

/* The table of enum virtio_queue_state; with another process: virtio_vhost_user.c. */
OnEcho(virtio_device, a_queue_goes_through_its_states)
{
    const struct virtio_queue *q = &rig->dev->queues[0], *other = &rig->dev->queues[1];
    cr_expect_eq(q->state, VIRTIO_QUEUE_UNSET);
    cr_assert(vdrv_negotiate(&rig->drv, VIRTIO_BIT(VIRTIO_F_RING_RESET)));
    vdrv_queue_set_up(&rig->drv, 0, 16);
    cr_expect_eq(q->state, VIRTIO_QUEUE_READY);
    vdrv_driver_ok(&rig->drv);
    cr_expect_eq(q->state, VIRTIO_QUEUE_LIVE);
    cr_expect_eq(other->state, VIRTIO_QUEUE_UNSET, "it was left out");
    cr_expect_null(virtio_device_queue_writable(rig->dev, 1));
    cr_assert(vdrv_queue_reset(&rig->drv, 0));
    cr_expect_eq(q->state, VIRTIO_QUEUE_RESET);
    cr_expect_not_null(virtio_device_queue_writable(rig->dev, 0));
    vdrv_queue_set_up(&rig->drv, 0, 8);
    cr_expect_eq(q->state, VIRTIO_QUEUE_LIVE);
    vdrv_reset(&rig->drv);
    cr_expect_eq(q->state, VIRTIO_QUEUE_UNSET);
}

OnEcho(virtio_device, configuration_is_read_in_any_width)
{
    uint64_t value;
    for (unsigned width = 1; width <= 8; width *= 2)
        for (unsigned offset = 0; offset + width <= 16; offset++) {
            uint64_t expected = 0;
            for (unsigned i = 0; i < width; i++)
                if (offset + i < 10)
                    expected |= (uint64_t)(offset + i + 1) << (8 * i);
            cr_expect(
                bus_read(rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Config + offset, width, &value));
            cr_expect_eq(value, expected, "offset %u width %u", offset, width);
        }
}

OnEcho(virtio_device, configuration_is_written_inside_its_bounds)
{
    bus_write(rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Config + 1, 2, 0xbbaa);
    bus_write(rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Config + 8, 8, UINT64_MAX);
    bus_write(rig->bus, RIG_WINDOW_GPA + VIRTIO_MMIO_Config + 10, 1, 0x55);
    static const uint8_t expected[10] = {1, 0xaa, 0xbb, 4, 5, 6, 7, 8, 0xff, 0xff};
    cr_expect_arr_eq(rig->echo.config, expected, 10);
}

OnEcho(virtio_device, a_changed_configuration_is_a_new_generation)
{
    uint32_t before = vdrv_get(&rig->drv, VIRTIO_MMIO_ConfigGeneration);
    virtio_device_config_changed(rig->dev);
    cr_expect_neq(vdrv_get(&rig->drv, VIRTIO_MMIO_ConfigGeneration), before);
    cr_expect_eq(fake_irq_take(&rig->irq), 0, "not before DRIVER_OK");
    cr_assert(vdrv_start(&rig->drv, 0, 2, 8));
    virtio_device_config_changed(rig->dev);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_ConfigGeneration), before + 2);
    cr_expect_eq(vdrv_get(&rig->drv, VIRTIO_MMIO_InterruptStatus), VIRTIO_ISR_CONFIG);
    cr_expect_eq(fake_irq_take(&rig->irq), 1);
}

OnEcho(virtio_device, one_interrupt_for_a_batch)
{
    rig_start(rig, 0, 2, 64);
    for (unsigned i = 0; i < VIRTIO_TURN_CHAINS; i++)
        send_ping(rig, 0);
    rig_step(rig);
    cr_expect_eq(rig->echo.served, VIRTIO_TURN_CHAINS);
    cr_expect_eq(fake_irq_take(&rig->irq), 1);
}

OnEcho(virtio_device, a_full_queue_takes_several_turns)
{
    rig_start(rig, 0, 2, 1024);
    for (unsigned i = 0; i < 500; i++)
        send_ping(rig, 0);
    rig_step(rig);
    cr_expect_eq(rig->echo.served, 500);
    cr_expect_eq(fake_irq_take(&rig->irq), (500 + VIRTIO_TURN_CHAINS - 1) / VIRTIO_TURN_CHAINS);
}

/* A driver that obeys suppression is never left waiting. */
static void check_no_lost_kick(uint64_t features)
{
    struct rig rig;
    uint32_t head, len;
    rig_open_echo(&rig);
    cr_assert(vdrv_start(&rig.drv, features, 1, 16));
    struct vdrv_queue *q = &rig.drv.q[0];
    rig_step(&rig);
    struct vdrv_buf buf = {vdrv_alloc(&rig.drv, 8, 8), 4, true};
    unsigned kicks = 0;
    for (unsigned i = 0; i < 1000; i++) {
        for (unsigned n = 0; n <= i % 7; n++)
            vdrv_add(q, &buf, 1);
        vdrv_publish(q);
        if (vdrv_kick_wanted(q)) {
            kicks++;
            vdrv_set(&rig.drv, VIRTIO_MMIO_QueueNotify, 0);
        }
        rig_step(&rig);
        for (unsigned n = 0; n <= i % 7; n++)
            cr_assert(vdrv_used(q, &head, &len), "round %u", i);
    }
    cr_expect_eq(kicks, 1000, "the device sleeps after each round");
    rig_close(&rig);
}

Test(virtio_device, no_kick_is_lost_with_flags)
{
    check_no_lost_kick(0);
}

Test(virtio_device, no_kick_is_lost_with_event_idx)
{
    check_no_lost_kick(RING_FEATURES);
}
