// SPDX-License-Identifier: BSD-2-Clause
/* A console with several ports. */
#include "hostile.h"

#include "core/base/le.h"
#include "tests/harness/portio.h"
#include "virtio/console/console.h"

#define MULTIPORT VIRTIO_BIT(VIRTIO_CONSOLE_F_MULTIPORT)

static void open_ports(struct rig *rig, const struct rig_config *on)
{
    struct rig_config config = portio_config(on);
    rig_open_console_on(rig, &config);
}

/* Does the console still do what it is for? */
static void expect_at_work(struct rig *rig)
{
    uint32_t head, len;
    uint64_t gpa = vdrv_alloc(&rig->drv, 8, 8);
    uint64_t before = rig->ports[1].out_bytes;
    cr_expect(!rig_is_broken(rig));
    vdrv_send(&rig->drv.q[7], &(struct vdrv_buf){gpa, 8, false}, 1);
    rig_step(rig);
    cr_expect(vdrv_used(&rig->drv.q[7], &head, &len));
    cr_expect_eq(rig->ports[1].out_bytes, before + 8, "%s", rig_config_name(&rig->cfg));
}

OnEachRig(hostile_ports, h113_control_messages_of_any_value, open_ports(rig, on), rig_close(rig))
{
    static const uint32_t ids[] = {0, 1, 2, 3, 31, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff};
    portio_start(rig, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        for (unsigned event = 0; event < 10; event++)
            for (unsigned value = 0; value < 3; value++)
                portio_say(rig, ids[i], (uint16_t)event, (uint16_t)(value * 0x7fff));
    portio_hear(rig);
    expect_at_work(rig);
}

/* Each port is added once, whatever the driver says. */
OnEachRig(hostile_ports, h113_ready_again_and_again, open_ports(rig, on), rig_close(rig))
{
    cr_assert(vdrv_start(&rig->drv, MULTIPORT, PORTIO_QUEUES, 16));
    for (unsigned i = 0; i < 100; i++) {
        portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
        portio_say(rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
        portio_say(rig, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
    }
    portio_give(rig, PORTIO_BUFFERS, 96);
    const char *told = portio_hear(rig);
    cr_expect_str_eq(told, "0:add 1:add 2:add", "what is not known is not ready: %s", told);
    for (unsigned i = 0; i < 100; i++) {
        portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
        portio_say(rig, 1, VIRTIO_CONSOLE_PORT_READY, 1);
    }
    told = portio_hear(rig);
    cr_expect_null(strstr(told, "add"), "%s", told);
    expect_at_work(rig);
}

OnEachRig(hostile_ports, h113_messages_and_buffers_too_short, open_ports(rig, on), rig_close(rig))
{
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_CONSOLE_CONTROL_TX];
    cr_assert(vdrv_start(&rig->drv, MULTIPORT, PORTIO_QUEUES, 16));
    for (uint32_t len = 0; len < VIRTIO_CONSOLE_CONTROL_BYTES; len++) {
        vdrv_send(q, &(struct vdrv_buf){vdrv_alloc(&rig->drv, 8, 8), len, false}, 1);
        rig_step(rig);
    }
    vdrv_send(q, &(struct vdrv_buf){vdrv_alloc(&rig->drv, 8, 8), 8, true}, 1);
    portio_say(rig, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
    for (uint32_t len = 1; len < VIRTIO_CONSOLE_CONTROL_BYTES; len++)
        portio_give(rig, 1, len);
    uint32_t id, len;
    while (vdrv_used(&rig->drv.q[VIRTIO_CONSOLE_CONTROL_RX], &id, &len))
        cr_expect_eq(len, 0, "%s", rig_config_name(&rig->cfg));
    portio_give(rig, PORTIO_BUFFERS, 8);
    const char *told = portio_hear(rig);
    cr_expect(strstr(told, "0:add") != NULL && strstr(told, "1:add") != NULL &&
                  strstr(told, "2:add") != NULL,
              "%s: what did not fit comes later: %s", rig_config_name(&rig->cfg), told);
    expect_at_work(rig);
}

/* Nothing is kept but what the ports are now. */
OnEachRig(hostile_ports, h114_control_buffers_that_never_come, open_ports(rig, on), rig_close(rig))
{
    uint32_t id, len;
    portio_start(rig, 0);
    for (unsigned i = 0; i < 3 * PORTIO_BUFFERS; i++) {
        fake_chr_leave(&rig->ports[0]);
        rig_step(rig);
        fake_chr_come(&rig->ports[0]);
        rig_step(rig);
    }
    struct vdrv_queue *q = &rig->drv.q[VIRTIO_CONSOLE_CONTROL_RX];
    unsigned told = 0;
    while (vdrv_used(q, &id, &len))
        told++;
    cr_expect_eq(told, PORTIO_BUFFERS, "%s", rig_config_name(&rig->cfg));
    portio_give(rig, PORTIO_BUFFERS, 96);
    cr_expect_str_eq(portio_hear(rig), "1:closed 1:open", "%s", rig_config_name(&rig->cfg));
    expect_at_work(rig);
}

/* A message in the middle of its queue's reset, and a line in the middle of its port's. */
OnEachRig(hostile_ports, h115_resets_of_queues_in_the_middle, open_ports(rig, on), rig_close(rig))
{
    for (unsigned round = 0; round < 20; round++) {
        portio_start(rig, VIRTIO_BIT(VIRTIO_F_RING_RESET));
        rig->ports[0].room = round;
        uint64_t gpa = vdrv_alloc(&rig->drv, 64, 8);
        vdrv_send(&rig->drv.q[5], &(struct vdrv_buf){gpa, 64, false}, 1);
        vdrv_send(&rig->drv.q[4], &(struct vdrv_buf){gpa, 64, true}, 1);
        fake_chr_leave(&rig->ports[1]);
        unsigned queue = round % PORTIO_QUEUES;
        cr_expect(vdrv_queue_reset(&rig->drv, queue));
        fake_chr_come(&rig->ports[1]);
        fake_chr_open(&rig->ports[0], 5);
        fake_chr_type(&rig->ports[0], "typed", 5);
        rig_step(rig);
        vdrv_queue_set_up(&rig->drv, queue, 16);
        rig_step(rig);
        expect_at_work(rig);
        vdrv_reset(&rig->drv);
        fake_chr_leave(&rig->ports[1]);
        fake_chr_come(&rig->ports[1]);
        rig_step(rig);
    }
}
