// SPDX-License-Identifier: BSD-2-Clause
/* What all devices have in common: VIRTIO 1.4 2, 3 and 6. */
#include "conformance.h"

#include <string.h>

#include "tests/harness/blkreq.h"

/* Before DRIVER_OK the device touches no buffers and does not notify. */
Requirement(basic_status_1, ECHO, MODERN)
{
    demand(vdrv_negotiate(&rig->drv, 0));
    vdrv_queue_alloc(&rig->drv, 0, 8);
    vdrv_queue_write(&rig->drv, 0);
    uint64_t gpa = send_one(rig, 0);
    expect(!has_used(rig, 0) && holds(rig, gpa, 4, 0xee));
    expect(heard(rig) == 0);
    vdrv_driver_ok(&rig->drv);
    rig_step(rig);
    expect(has_used(rig, 0) && (heard(rig) & VIRTIO_ISR_QUEUE));
}

/* After an error that only a reset can cure DEVICE_NEEDS_RESET is set. */
Requirement(basic_status_2, ECHO, MODERN)
{
    start(rig, 0, 8);
    demand(!rig_is_broken(rig));
    break_ring(rig, 0);
    expect(vdrv_status(&rig->drv) & VIRTIO_STATUS_DEVICE_NEEDS_RESET);
    start(rig, 0, 8);
    expect(!rig_is_broken(rig) && serves(rig, 0));
}

/* With DEVICE_NEEDS_RESET comes a configuration change notification. */
Requirement(basic_status_3, ECHO, MODERN)
{
    start(rig, 0, 8);
    demand(heard(rig) == 0);
    break_ring(rig, 0);
    demand(rig_is_broken(rig));
    expect(heard(rig) & VIRTIO_ISR_CONFIG);
}

/* No feature is offered without what it depends on. */
Test(conformance, basic_features_1)
{
    static const struct {
        uint32_t device;
        unsigned feature, needs;
    } pairs[] = {
        {VIRTIO_ID_BLOCK, 11, VIRTIO_BLK_F_FLUSH}, /* CONFIG_WCE: 5.2.5.2 */
        /* 5.1.3.1 */
        {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM},
        {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM},
        {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_CSUM},
        {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_USO4, VIRTIO_NET_F_GUEST_CSUM},
        {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_USO6, VIRTIO_NET_F_GUEST_CSUM},
        {VIRTIO_ID_NET, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM},
        {VIRTIO_ID_NET, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM},
        {VIRTIO_ID_NET, VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_CSUM},
        {VIRTIO_ID_NET, VIRTIO_NET_F_HOST_USO, VIRTIO_NET_F_CSUM},
        {VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VQ},
        {VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ},
        {VIRTIO_ID_NET, VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_CTRL_VQ},
        {VIRTIO_ID_NET, VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ},
        {VIRTIO_ID_NET, VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_VQ},
        {0, VIRTIO_F_RING_PACKED, VIRTIO_F_VERSION_1},
        {0, VIRTIO_F_IN_ORDER, VIRTIO_F_VERSION_1},
        {0, VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_VERSION_1},
        {0, VIRTIO_F_NOTIF_CONFIG_DATA, VIRTIO_F_VERSION_1},
        {0, VIRTIO_F_RING_RESET, VIRTIO_F_VERSION_1},
        {0, VIRTIO_F_ORDER_PLATFORM, VIRTIO_F_ACCESS_PLATFORM},
    };
    FOR_EACH_DEVICE(device)
    {
        FOR_EACH_RIG(rig, device, MODERN)
        {
            uint64_t offered = vdrv_offered(&rig->drv);
            for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
                if (pairs[i].device == 0 || pairs[i].device == rig->dev->cfg.type->id)
                    expect(!(offered & VIRTIO_BIT(pairs[i].feature)) ||
                           (offered & VIRTIO_BIT(pairs[i].needs)));
            }
        }
    }
}

/* Whatever a driver chooses of the offered features, the device takes it and works. */
Test(conformance, basic_features_2)
{
    FOR_EACH_RIG(rig, ECHO, MODERN)
    {
        uint64_t offered = vdrv_offered(&rig->drv);
        rig->drv.always = 0;
        for (unsigned bit = 0; bit < 64; bit++) {
            uint64_t one = offered & VIRTIO_BIT(bit);
            if (one == 0)
                continue;
            expect(vdrv_start(&rig->drv, one, 1, 8) && serves(rig, 0));
            expect(vdrv_start(&rig->drv, offered & ~one, 1, 8) && serves(rig, 0));
        }
        expect(vdrv_start(&rig->drv, offered, 1, 8) && serves(rig, 0));
    }
    FOR_EACH_DEVICE(device)
    {
        FOR_EACH_RIG(rig, device, MODERN)
        {
            uint64_t offered = vdrv_offered(&rig->drv);
            for (unsigned bit = 0; bit < 32; bit++)
                expect(vdrv_negotiate(&rig->drv, offered & VIRTIO_BIT(bit)));
        }
    }
}

/* With features that are not acceptable FEATURES_OK stays clear. */
Requirement(basic_features_3, ECHO, MODERN)
{
    uint64_t offered = vdrv_offered(&rig->drv);
    for (unsigned bit = 0; bit < 64; bit++) {
        if (!(offered & VIRTIO_BIT(bit)))
            expect(!vdrv_negotiate(&rig->drv, VIRTIO_BIT(bit)));
    }
    for (unsigned word = 0; word < 5; word++) { /* no VERSION_1, or beyond 63 */
        vdrv_reset(&rig->drv);
        vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE);
        vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
        if (word >= 2) {
            vdrv_accept(&rig->drv, 1, 1); /* VERSION_1 */
            vdrv_accept(&rig->drv, word, UINT32_C(1) << 31);
        }
        vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER |
                                       VIRTIO_STATUS_FEATURES_OK);
        expect(!(vdrv_status(&rig->drv) & VIRTIO_STATUS_FEATURES_OK));
    }
}

/* Features that were accepted once are accepted again. */
Requirement(basic_features_5, ECHO, MODERN)
{
    uint64_t all = vdrv_offered(&rig->drv);
    for (unsigned i = 0; i < 3; i++) {
        expect(vdrv_start(&rig->drv, all, 1, 8) && serves(rig, 0));
        expect(vdrv_start(&rig->drv, 0, 1, 8) && serves(rig, 0));
        expect(!vdrv_negotiate(&rig->drv, VIRTIO_BIT(45)));
        demand(vdrv_start(&rig->drv, 0, 1, 8));
        break_ring(rig, 0);
    }
}

/* After a reset the status reads 0, whatever the device was at. */
Requirement(basic_reset_1, ECHO, EVERYWHERE)
{
    start(rig, 0, 8);
    rig->echo.hold = true;
    send_one(rig, 0);
    demand(vdrv_status(&rig->drv) != 0);
    vdrv_set_status(&rig->drv, 0);
    expect(vdrv_status(&rig->drv) == 0);
    rig->echo.hold = false;
    start(rig, 0, 8);
    break_ring(rig, 0);
    vdrv_set_status(&rig->drv, 0);
    expect(vdrv_status(&rig->drv) == 0);
}

/* From a reset until it is set up again the device leaves queues alone and does not notify. */
Requirement(basic_reset_2, BLK, EVERYWHERE)
{
    start(rig, 0, 16);
    struct blkreq req = {
        .type = VIRTIO_BLK_T_IN, .bytes = 512, .data_write = true, .data_gpa = 0x100000};
    rig->disk.hold = true;
    demand(blkreq_send(rig, &req));
    rig_step(rig);
    heard(rig);
    vdrv_set_status(&rig->drv, 0);
    demand(vdrv_status(&rig->drv) == 0);
    fill(rig, 0x100000, 512, 0xee); /* the memory is the guest's again */
    *(uint8_t *)vdrv_ptr(&rig->drv, req.status_gpa, 1) = BLKREQ_NO_STATUS;
    fake_blk_release(&rig->disk);
    struct blkreq late = {
        .type = VIRTIO_BLK_T_IN, .bytes = 512, .data_write = true, .data_gpa = 0x101000};
    fill(rig, 0x101000, 512, 0xee);
    demand(blkreq_send(rig, &late));
    rig_step(rig);
    virtio_device_config_changed(rig->dev);
    expect(!has_used(rig, 0));
    expect(holds(rig, 0x100000, 512, 0xee) && holds(rig, 0x101000, 512, 0xee));
    expect(blkreq_status(rig, &req) == BLKREQ_NO_STATUS);
    expect(blkreq_status(rig, &late) == BLKREQ_NO_STATUS);
    expect(heard(rig) == 0);
}

/* The configuration space can be read before FEATURES_OK, all of it. */
RequirementOfAll(basic_config_1, EVERYWHERE)
{
    unsigned bytes = rig->dev->cfg.config_bytes;
    uint8_t early[256], late[256];
    demand(bytes <= sizeof(early));
    vdrv_reset(&rig->drv);
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE);
    vdrv_set_status(&rig->drv, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    vdrv_config_read(&rig->drv, 0, early, bytes);
    demand(vdrv_negotiate(&rig->drv, vdrv_offered(&rig->drv)));
    vdrv_config_read(&rig->drv, 0, late, bytes);
    expect(memcmp(early, late, bytes) == 0);
    uint8_t sum = 0;
    for (unsigned i = 0; i < bytes; i++)
        sum |= early[i];
    /* An input device says what it was asked for: nothing yet. */
    expect(bytes == 0 || sum != 0 || rig->input != NULL);
}

/* A queue that was reset has its requests executed no more, and notifies no more. */
Test(conformance, basic_queue_reset_1)
{
    FOR_EACH_RIG(rig, BLK, MODERN)
    {
        start(rig, RING_RESET, 16);
        struct blkreq req = {
            .type = VIRTIO_BLK_T_OUT, .bytes = 512, .sector = 1, .data_gpa = 0x100000};
        fill(rig, 0x100000, 512, 0xaa);
        demand(blkreq_do(rig, &req, NULL) == VIRTIO_BLK_S_OK);
        demand(vdrv_queue_reset(&rig->drv, 0));
        heard(rig);
        struct blkreq late = {
            .type = VIRTIO_BLK_T_OUT, .bytes = 512, .sector = 2, .data_gpa = 0x100000};
        demand(blkreq_send(rig, &late));
        rig_step(rig);
        expect(blkreq_status(rig, &late) == BLKREQ_NO_STATUS);
        expect(rig->disk.bytes[512] == 0xaa && rig->disk.bytes[1024] != 0xaa);
        expect(!has_used(rig, 0) && heard(rig) == 0);
    }
    FOR_EACH_DEVICE(device)
    {
        FOR_EACH_RIG(rig, device, MODERN)
        {
            start(rig, RING_RESET, 16);
            expect(vdrv_queue_reset(&rig->drv, 0));
            expect(!vdrv_queue_ready(&rig->drv, 0));
            expect(!rig_is_broken(rig));
        }
    }
}

/* A queue that was reset starts over: its place in the rings is the first. */
Requirement(basic_queue_reset_2, ECHO, MODERN)
{
    start(rig, RING_RESET | RING_FEATURES, 8);
    for (unsigned i = 0; i < 13; i++) /* somewhere in the middle, in an odd round */
        demand(serves(rig, 1));
    demand(vdrv_queue_reset(&rig->drv, 1));
    expect(vdrv_queue_size_max(&rig->drv, 1) == 1024);
    vdrv_queue_alloc(&rig->drv, 1, 8);
    vdrv_queue_write(&rig->drv, 1);
    for (unsigned i = 0; i < 20; i++)
        expect(serves(rig, 1));
    expect(serves(rig, 0));
}

/* A queue that is enabled again has the configuration that it was given since its reset. */
Requirement(basic_queue_reenable_1, ECHO, MODERN)
{
    static const uint32_t sizes[] = {16, 4, 64};
    start(rig, RING_RESET, 8);
    for (unsigned i = 0; i < 3; i++) {
        demand(serves(rig, 0));
        struct vdrv_queue *q = &rig->drv.q[0];
        uint64_t old_gpa = q->desc_gpa;
        demand(vdrv_queue_reset(&rig->drv, 0));
        vdrv_queue_alloc(&rig->drv, 0, sizes[i]);
        demand(q->desc_gpa != old_gpa && q->size == sizes[i]);
        vdrv_queue_write(&rig->drv, 0);
        for (unsigned n = 0; n < 2 * sizes[i] + 1; n++)
            expect(serves(rig, 0));
    }
}

/* VERSION_1 is offered. */
RequirementOfAll(basic_reserved_1, MODERN)
{
    expect(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_F_VERSION_1));
}

/* The status bytes of a read that the disk holds back and of a request that needs no disk. */
static void send_slow_and_quick(struct rig *rig, struct blkreq *slow, struct blkreq *quick)
{
    *slow = (struct blkreq){.type = VIRTIO_BLK_T_IN, .bytes = 512, .data_write = true};
    *quick = (struct blkreq){.type = VIRTIO_BLK_T_GET_ID, .bytes = 20, .data_write = true};
    rig->disk.hold = true;
    demand(blkreq_send(rig, slow));
    demand(blkreq_send(rig, quick));
    rig_step(rig);
}

/* With IN_ORDER buffers come back in the order in which they were made available. */
Requirement(basic_reserved_5, BLK, MODERN)
{
    struct blkreq slow, quick;
    demand(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_F_IN_ORDER));
    start(rig, VIRTIO_BIT(VIRTIO_F_IN_ORDER), 16);
    send_slow_and_quick(rig, &slow, &quick);
    expect(!has_used(rig, 0));
    fake_blk_release(&rig->disk);
    rig_step(rig);
    expect(take_one(rig, 0, NULL) == (uint32_t)slow.head);
    expect(take_one(rig, 0, NULL) == (uint32_t)quick.head);

    start(rig, 0, 16); /* and without, in the order of completion */
    send_slow_and_quick(rig, &slow, &quick);
    expect(take_one(rig, 0, NULL) == (uint32_t)quick.head);
    fake_blk_release(&rig->disk);
    rig_step(rig);
    expect(take_one(rig, 0, NULL) == (uint32_t)slow.head);
}

/* SR_IOV is not offered where there is no function with an SR-IOV capability. */
RequirementOfAll(basic_reserved_10, EVERYWHERE)
{
    expect(!(vdrv_offered(&rig->drv) & VIRTIO_BIT(VIRTIO_F_SR_IOV)));
}
