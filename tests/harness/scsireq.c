// SPDX-License-Identifier: BSD-2-Clause
#include "tests/harness/scsireq.h"

#include <string.h>

#include "core/base/fail.h"
#include "core/base/le.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/spec.h"

#define HEADER_BYTES   (VIRTIO_SCSI_CMD_cdb + VIRTIO_SCSI_CDB_DEFAULT_SIZE)
#define RESPONSE_BYTES (VIRTIO_SCSI_RESP_sense + VIRTIO_SCSI_SENSE_DEFAULT_SIZE)
#define MAX_BUFS       1024

void scsi_rig_open(struct scsi_rig *s, const struct rig_config *config)
{
    struct blk_backend *backends[SCSIREQ_DISKS] = {0};
    static const char *const serials[SCSIREQ_DISKS] = {"serial-0123456789abcdef"};
    *s = (struct scsi_rig){0};
    rig_open_host(&s->rig, config);
    for (unsigned i = 0; i < SCSIREQ_DISKS; i++) {
        fake_blk_init(&s->disks[i], s->rig.loop, RIG_DISK_BYTES);
        if (config->plain)
            s->disks[i].backend.info = (struct blk_info){.capacity_bytes = RIG_DISK_BYTES};
        s->disks[i].backend.info.read_only = config->read_only;
        s->disks[i].backend.info.logical_bytes = config->logical_bytes;
        backends[i] = i < SCSIREQ_DISKS - 1 ? &s->disks[i].backend : NULL;
    }
    struct virtio_setup setup = rig_setup(&s->rig, "scsi");
    int err = virtio_scsi_create(&s->scsi, &setup,
                                 &(struct virtio_scsi_config){
                                     .backends = backends,
                                     .serials = serials,
                                     .count = SCSIREQ_DISKS,
                                     .queues = config->queues,
                                 });
    BUG_ON(err != 0);
    s->rig.watched = true;
    s->rig.disks = s->disks;
    s->rig.disk_count = SCSIREQ_DISKS;
    rig_plug(&s->rig, virtio_scsi_device(s->scsi));
    s->control = &s->rig.drv.q[VIRTIO_SCSI_CONTROLQ];
    s->events = &s->rig.drv.q[VIRTIO_SCSI_EVENTQ];
    s->requests = &s->rig.drv.q[VIRTIO_SCSI_REQUESTQ];
}

void scsi_rig_start(struct scsi_rig *s, const struct rig_config *config, uint64_t features)
{
    scsi_rig_open(s, config);
    bool runs = vdrv_start(&s->rig.drv, features, s->rig.dev->cfg.queue_count, 256);
    BUG_ON(!runs);
    rig_step(&s->rig);
}

void scsi_rig_close(struct scsi_rig *s)
{
    rig_unplug(&s->rig);
    virtio_scsi_destroy(s->scsi);
    s->rig.dev = NULL;
    rig_step(&s->rig);
    for (unsigned i = 0; i < SCSIREQ_DISKS; i++)
        fake_blk_fini(&s->disks[i]);
    rig_close(&s->rig);
}

static void put_lun(uint8_t *out, const struct scsireq *req)
{
    const uint8_t usual[8] = {1, req->target, 0x40};
    memcpy(out, req->lun != NULL ? req->lun : usual, 8);
}

static unsigned add(struct vdrv_buf *bufs, unsigned count, uint64_t gpa, uint32_t bytes, bool write,
                    uint32_t cut)
{
    for (uint32_t at = 0; at < bytes; at += cut) {
        BUG_ON(count == MAX_BUFS);
        bufs[count++] = (struct vdrv_buf){gpa + at, bytes - at < cut ? bytes - at : cut, write};
    }
    return count;
}

void scsireq_send(struct scsi_rig *s, struct scsireq *req)
{
    struct vdrv *d = &s->rig.drv;
    struct vdrv_buf bufs[MAX_BUFS];
    unsigned count = 0;
    uint32_t cut = req->cut != 0 ? req->cut : UINT32_MAX / 2;
    uint32_t room = req->room != 0 ? req->room : RESPONSE_BYTES;
    req->header_gpa = vdrv_alloc(d, HEADER_BYTES, 8);
    req->response_gpa = vdrv_alloc(d, room > RESPONSE_BYTES ? room : RESPONSE_BYTES, 8);
    if (req->data_gpa == 0 && req->in + req->out > 0)
        req->data_gpa = vdrv_alloc(d, (uint64_t)req->in + req->out, 16);
    uint8_t *header = vdrv_ptr(d, req->header_gpa, HEADER_BYTES);
    put_lun(header, req);
    le64_put(header + VIRTIO_SCSI_CMD_id, req->id);
    memcpy(header + VIRTIO_SCSI_CMD_cdb, req->cdb, sizeof(req->cdb));
    memset(vdrv_ptr(d, req->response_gpa, RESPONSE_BYTES), SCSIREQ_NOTHING, RESPONSE_BYTES);
    count = add(bufs, count, req->header_gpa,
                req->header_bytes != 0 ? req->header_bytes : HEADER_BYTES, false, cut);
    count = add(bufs, count, req->data_gpa, req->out, false, cut);
    if (!req->no_response)
        count = add(bufs, count, req->response_gpa, room, true, cut);
    count = add(bufs, count, req->data_gpa + req->out, req->in, true, cut);
    req->head = req->cut != 0 ? vdrv_add_indirect(s->requests + req->queue, bufs, count)
                              : vdrv_add(s->requests + req->queue, bufs, count);
    BUG_ON(req->head < 0);
    if (req->no_kick)
        vdrv_publish(s->requests + req->queue);
    else
        vdrv_kick(s->requests + req->queue);
}

uint32_t scsireq_do(struct scsi_rig *s, struct scsireq *req)
{
    uint32_t head, used = UINT32_MAX;
    scsireq_send(s, req);
    rig_step(&s->rig);
    bool came = vdrv_used(s->requests + req->queue, &head, &used);
    BUG_ON(!came || head != (uint32_t)req->head);
    return used;
}

uint8_t *scsireq_data(struct scsi_rig *s, const struct scsireq *req)
{
    return vdrv_ptr(&s->rig.drv, req->data_gpa, (uint64_t)req->in + req->out);
}

static uint8_t *response_of(struct scsi_rig *s, const struct scsireq *req)
{
    return vdrv_ptr(&s->rig.drv, req->response_gpa, RESPONSE_BYTES);
}

uint8_t scsireq_response(struct scsi_rig *s, const struct scsireq *req)
{
    return response_of(s, req)[VIRTIO_SCSI_RESP_response];
}

uint8_t scsireq_status(struct scsi_rig *s, const struct scsireq *req)
{
    return response_of(s, req)[VIRTIO_SCSI_RESP_status];
}

uint32_t scsireq_residual(struct scsi_rig *s, const struct scsireq *req)
{
    return le32_get(response_of(s, req) + VIRTIO_SCSI_RESP_residual);
}

unsigned scsireq_sense(struct scsi_rig *s, const struct scsireq *req)
{
    const uint8_t *response = response_of(s, req), *sense = response + VIRTIO_SCSI_RESP_sense;
    if (le32_get(response + VIRTIO_SCSI_RESP_sense_len) == 0)
        return 0;
    return SCSI_SENSE(sense[2], sense[12], sense[13]);
}

uint8_t scsireq_manage(struct scsi_rig *s, const uint8_t lun[8], uint32_t subtype, uint64_t id)
{
    struct vdrv *d = &s->rig.drv;
    uint32_t head, used = UINT32_MAX;
    uint64_t gpa = vdrv_alloc(d, VIRTIO_SCSI_TMF_BYTES + 1, 8);
    uint8_t *raw = vdrv_ptr(d, gpa, VIRTIO_SCSI_TMF_BYTES + 1);
    le32_put(raw + VIRTIO_SCSI_TMF_subtype, subtype);
    memcpy(raw + VIRTIO_SCSI_TMF_lun, lun, 8);
    le64_put(raw + VIRTIO_SCSI_TMF_id, id);
    raw[VIRTIO_SCSI_TMF_BYTES] = SCSIREQ_NOTHING;
    struct vdrv_buf bufs[] = {{gpa, VIRTIO_SCSI_TMF_BYTES, false},
                              {gpa + VIRTIO_SCSI_TMF_BYTES, 1, true}};
    vdrv_send(s->control, bufs, 2);
    rig_step(&s->rig);
    bool came = vdrv_used(s->control, &head, &used);
    BUG_ON(!came || used != 1);
    return raw[VIRTIO_SCSI_TMF_BYTES];
}

uint64_t scsireq_offer_event(struct scsi_rig *s, uint32_t bytes)
{
    struct vdrv_buf buf = {vdrv_alloc(&s->rig.drv, VIRTIO_SCSI_EVENT_BYTES, 8), bytes, true};
    vdrv_send(s->events, &buf, 1);
    rig_step(&s->rig);
    return buf.gpa;
}
