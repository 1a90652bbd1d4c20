// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/blkreq.h"

#include "core/base/fail.h"
#include "core/base/le.h"
#include "core/base/xmath.h"
#include "tests/harness/rig.h"
#include "virtio/spec.h"

#define MAX_BUFS 1100

struct cutter {
    struct vdrv_buf bufs[MAX_BUFS];
    unsigned count;
};

static void cut(struct cutter *c, uint64_t gpa, uint32_t bytes, uint32_t most, bool write)
{
    for (uint32_t n; bytes > 0; bytes -= n, gpa += n) {
        n = most != 0 && bytes > most ? most : bytes;
        BUG_ON(c->count == MAX_BUFS);
        c->bufs[c->count++] = (struct vdrv_buf){gpa, n, write};
    }
}

bool blkreq_send(struct rig *rig, struct blkreq *req)
{
    struct vdrv *d = &rig->drv;
    struct vdrv_queue *q = &d->q[req->queue];
    struct cutter c = {.count = 0};
    uint32_t header_bytes =
        req->header_bytes != 0 ? req->header_bytes : VIRTIO_BLK_REQ_HEADER_BYTES;
    req->header_gpa = vdrv_alloc(d, max_u64(header_bytes, VIRTIO_BLK_REQ_HEADER_BYTES), 16);
    req->status_gpa = vdrv_alloc(d, 1, 1);
    if (req->data_gpa == 0 && req->bytes > 0)
        req->data_gpa = vdrv_alloc(d, req->bytes, 16);
    uint8_t *header = vdrv_ptr(d, req->header_gpa, VIRTIO_BLK_REQ_HEADER_BYTES);
    le32_put(header + VIRTIO_BLK_REQ_type, req->type);
    le64_put(header + VIRTIO_BLK_REQ_sector, req->sector);
    *(uint8_t *)vdrv_ptr(d, req->status_gpa, 1) = BLKREQ_NO_STATUS;

    cut(&c, req->header_gpa, header_bytes, req->cut, false);
    cut(&c, req->data_gpa, req->bytes, req->cut, req->data_write);
    if (!req->no_status)
        cut(&c, req->status_gpa, 1, 0, true);
    req->head =
        req->indirect ? vdrv_add_indirect(q, c.bufs, c.count) : vdrv_add(q, c.bufs, c.count);
    vdrv_kick(q);
    return req->head >= 0;
}

uint8_t blkreq_do(struct rig *rig, struct blkreq *req, uint32_t *used)
{
    uint32_t head, len = UINT32_MAX;
    bool sent = blkreq_send(rig, req);
    BUG_ON(!sent);
    rig_step(rig);
    bool done = vdrv_used(&rig->drv.q[req->queue], &head, &len);
    BUG_ON(!done && !rig_is_broken(rig));
    if (used != NULL)
        *used = len;
    return blkreq_status(rig, req);
}

void *blkreq_data(struct rig *rig, const struct blkreq *req)
{
    return vdrv_ptr(&rig->drv, req->data_gpa, req->bytes);
}

uint8_t blkreq_status(struct rig *rig, const struct blkreq *req)
{
    return *(const uint8_t *)vdrv_ptr(&rig->drv, req->status_gpa, 1);
}
