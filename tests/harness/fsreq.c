// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/fsreq.h"

#include <endian.h>
#include <string.h>

#include "core/base/fail.h"
#include "core/base/xmath.h"

void fsreq_start(struct rig *rig, uint32_t size)
{
    rig_start(rig, 0, rig->dev->cfg.queue_count, size);
}

void fsreq_send(struct rig *rig, struct fsreq *r)
{
    struct vdrv *d = &rig->drv;
    uint32_t bytes = FSREQ_HEADER + r->bytes;
    struct vdrv_buf bufs[] = {{vdrv_alloc(d, bytes, 8), bytes, false},
                              {vdrv_alloc(d, max_u64(r->room, 8), 8), r->room, true}};
    uint8_t *message = vdrv_ptr(d, bufs[0].gpa, bytes);
    struct fuse_in_header header = {.len = htole32(bytes),
                                    .opcode = htole32(r->opcode != 0 ? r->opcode : FUSE_LOOKUP),
                                    .unique = htole64(r->unique)};
    memcpy(message, &header, sizeof(header));
    memset(message + sizeof(header), (int)(r->unique & 0xff), r->bytes);
    r->answer_gpa = bufs[1].gpa;
    memset(vdrv_ptr(d, r->answer_gpa, max_u64(r->room, 8)), FSREQ_NONE, max_u64(r->room, 8));
    r->head = vdrv_send(&d->q[r->queue], bufs, r->room > 0 ? 2 : 1);
    BUG_ON(r->head < 0);
}

static bool is_back(struct rig *rig, const struct fsreq *r, uint32_t bytes)
{
    uint32_t head, used;
    return vdrv_used(&rig->drv.q[r->queue], &head, &used) && head == (uint32_t)r->head &&
           used == bytes;
}

bool fsreq_is_answered(struct rig *rig, const struct fsreq *r)
{
    uint32_t data = 0;
    if (rig->files.fail == 0)
        data = (uint32_t)min_u64(min_u64(r->bytes, r->room - FSREQ_ANSWER), FAKE_SHARE_ECHO_BYTES);
    const uint8_t *answer = vdrv_ptr(&rig->drv, r->answer_gpa, r->room);
    struct fuse_out_header header;
    memcpy(&header, answer, sizeof(header));
    bool right = is_back(rig, r, FSREQ_ANSWER + data) &&
                 le32toh(header.len) == FSREQ_ANSWER + data &&
                 le32toh((uint32_t)header.error) == (uint32_t)rig->files.fail &&
                 le64toh(header.unique) == r->unique;
    for (uint32_t i = FSREQ_ANSWER; i < r->room; i++) {
        bool is_data = i < FSREQ_ANSWER + data;
        right &= answer[i] == (is_data ? (r->unique & 0xff) : FSREQ_NONE);
    }
    return right;
}

bool fsreq_is_returned(struct rig *rig, const struct fsreq *r)
{
    const uint8_t *answer = vdrv_ptr(&rig->drv, r->answer_gpa, 8);
    bool right = is_back(rig, r, 0);
    for (uint32_t i = 0; i < min_u64(r->room, 8); i++)
        right &= answer[i] == FSREQ_NONE;
    return right;
}

bool fsreq_serves(struct rig *rig, unsigned queue)
{
    static uint64_t unique;
    struct fsreq r = {.queue = queue, .unique = ++unique, .bytes = 24, .room = 64};
    fsreq_send(rig, &r);
    rig_step(rig);
    return fsreq_is_answered(rig, &r);
}
