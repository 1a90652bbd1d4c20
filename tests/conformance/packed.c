// SPDX-License-Identifier: BSD-2-Clause
/* The packed ring: VIRTIO 1.4 2.8. */
#include "conformance.h"

#include <string.h>

#include "core/base/le.h"
#include "tests/harness/blkreq.h"

#define NEXT  VIRTQ_DESC_F_NEXT
#define WRITE VIRTQ_DESC_F_WRITE

static uint16_t avail(unsigned flags)
{
    return (uint16_t)(flags | vdrv_pavail_flags(true));
}

static void kick(struct rig *rig, unsigned queue)
{
    vdrv_notify(&rig->drv.q[queue]);
    rig_step(rig);
}

/* Descriptors are started on in the order of the ring, whatever ids they have. */
Requirement(packed_ring_1, CONSOLE, PACKED)
{
    static const uint16_t ids[] = {5, 1, 7, 0, 3};
    start(rig, 0, 8);
    struct vdrv_queue *q = &rig->drv.q[1];
    uint64_t gpa = vdrv_alloc(&rig->drv, 8, 8);
    memcpy(vdrv_ptr(&rig->drv, gpa, 5), "abcde", 5);
    for (unsigned i = 5; i-- > 0;) /* the first last, so that all are there at once */
        vdrv_pdesc_put(q, i, gpa + i, 1, ids[i], avail(0));
    kick(rig, 1);
    expect(rig->chr.out_bytes == 5 && memcmp(rig->chr.out, "abcde", 5) == 0);
}

/* Used descriptors are written in the order of completion. */
Requirement(packed_ring_2, BLK, PACKED)
{
    struct blkreq slow = {.type = VIRTIO_BLK_T_IN, .bytes = 512, .data_write = true};
    struct blkreq quick = {.type = VIRTIO_BLK_T_GET_ID, .bytes = 20, .data_write = true};
    start(rig, 0, 16);
    rig->disk.hold = true;
    demand(blkreq_send(rig, &slow) && blkreq_send(rig, &quick));
    rig_step(rig);
    struct vdrv_queue *q = &rig->drv.q[0];
    demand(has_used(rig, 0)); /* at the first place of the ring, where slow was */
    expect(vdrv_pdesc_id(q, 0) == quick.head && vdrv_pdesc_len(q, 0) == 21);
    expect(take_one(rig, 0, NULL) == (uint32_t)quick.head && !has_used(rig, 0));
    fake_blk_release(&rig->disk);
    rig_step(rig);
    demand(has_used(rig, 0));
    expect(take_one(rig, 0, NULL) == (uint32_t)slow.head);
}

/* A descriptor is left alone until its AVAIL flag has changed and USED has not. */
Requirement(packed_desc_3, ECHO, PACKED)
{
    static const uint16_t not_yet[] = {WRITE, WRITE | VIRTQ_DESC_F_USED,
                                       WRITE | VIRTQ_DESC_F_USED | VIRTQ_DESC_F_AVAIL};
    start(rig, 0, 4);
    struct vdrv_queue *q = &rig->drv.q[0];
    uint64_t gpa = vdrv_alloc(&rig->drv, 8, 8);
    struct vdrv_buf buf = {gpa, 4, true};
    for (unsigned round = 0; round < 2; round++) {
        fill(rig, gpa, 4, 0xee);
        for (unsigned i = 0; i < 3 && round == 0; i++) {
            vdrv_pdesc_put(q, 0, gpa, 4, 1, not_yet[i]);
            kick(rig, 0);
            expect(vdrv_pdesc_flags(q, 0) == not_yet[i]);
            expect(holds(rig, gpa, 4, 0xee) && rig->echo.served == 0);
        }
        for (unsigned i = 0; i < 4; i++) { /* a lap */
            demand(vdrv_send(q, &buf, 1) >= 0);
            rig_step(rig);
            take_one(rig, 0, NULL);
        }
        /* In the next lap, what the driver left in the ring from the last is not available. */
        unsigned served = rig->echo.served;
        kick(rig, 0);
        expect(rig->echo.served == served && !rig_is_broken(rig));
    }
}

/* A descriptor is left alone once it is used. */
Requirement(packed_desc_4, ECHO, PACKED)
{
    start(rig, 0, 8);
    struct vdrv_queue *q = &rig->drv.q[0];
    uint8_t shot[2 * PVIRTQ_DESC_BYTES];
    struct vdrv_buf buf = {vdrv_alloc(&rig->drv, 8, 8), 4, true};
    for (unsigned i = 0; i < 2; i++)
        demand(vdrv_send(q, &buf, 1) >= 0);
    rig_step(rig);
    demand(has_used(rig, 0));
    take_one(rig, 0, NULL);
    take_one(rig, 0, NULL);
    memcpy(shot, q->desc, sizeof(shot));
    for (unsigned i = 0; i < 6; i++) { /* up to the end of the lap */
        demand(vdrv_send(q, &buf, 1) >= 0);
        rig_step(rig);
        take_one(rig, 0, NULL);
    }
    expect(memcmp(shot, q->desc, sizeof(shot)) == 0);
    vdrv_set_status(&rig->drv, 0);
    expect(memcmp(shot, q->desc, sizeof(shot)) == 0);
}

/* Descriptors that NEXT links are used in the driver's order, over the end of the ring as well. */
Requirement(packed_sg_1, ECHO, PACKED)
{
    start(rig, 0, 5);
    struct vdrv_queue *q = &rig->drv.q[0];
    uint64_t gpa = vdrv_alloc(&rig->drv, 64, 16);
    memcpy(vdrv_ptr(&rig->drv, gpa, 6), "efcdab", 6);
    struct vdrv_buf bufs[] = {
        {gpa + 4, 2, false}, {gpa + 2, 2, false}, {gpa, 2, false}, {gpa + 16, 8, true}};
    for (unsigned i = 0; i < 11; i++) { /* starts at each place of the ring */
        uint32_t len;
        fill(rig, gpa + 16, 8, 0xee);
        demand(vdrv_send(q, bufs, 4) >= 0);
        rig_step(rig);
        demand(has_used(rig, 0));
        take_one(rig, 0, &len);
        expect(len == 6 && memcmp(vdrv_ptr(&rig->drv, gpa + 16, 6), "abcdef", 6) == 0);
    }
}
