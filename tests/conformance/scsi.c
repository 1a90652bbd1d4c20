// SPDX-License-Identifier: BSD-2-Clause
/* The SCSI host: VIRTIO 1.4 5.6. */
#include "conformance.h"

#include <string.h>

#include "core/base/le.h"
#include "tests/harness/scsireq.h"
#include "virtio/scsi/scsi_codes.h"

#define HOTPLUG VIRTIO_BIT(VIRTIO_SCSI_F_HOTPLUG)
#define CHANGE  VIRTIO_BIT(VIRTIO_SCSI_F_CHANGE)
#define WRITE_ONE              \
    {                          \
        SCSI_WRITE_10, [8] = 1 \
    }

static const uint8_t disk_0[8] = {1, 0, 0x40};

/* A started host on each transport and ring; it is closed when the body ends. */
#define FOR_EACH_HOST(s, features)                                                      \
    for (unsigned n_ = 0; n_ < RIG_VARIANTS + RIG_LEGACY_VARIANTS; n_++)                \
        for (struct scsi_rig s, *once_ = start_host(&(s), n_, features); once_ != NULL; \
             scsi_rig_close(once_), once_ = NULL)

static struct scsi_rig *start_host(struct scsi_rig *s, unsigned n, uint64_t features)
{
    const struct rig_config *config =
        n < RIG_VARIANTS ? &rig_variants[n] : &rig_legacy_variants[n - RIG_VARIANTS];
    walk_place = rig_config_name(config);
    scsi_rig_start(s, config, features);
    return s;
}

static uint32_t config_get(struct scsi_rig *s, unsigned offset)
{
    uint8_t raw[4];
    vdrv_config_read(&s->rig.drv, offset, raw, sizeof(raw));
    return le32_get(raw);
}

static void hold(struct scsi_rig *s)
{
    s->disks[0].hold = true;
    s->disks[0].drop = true;
}

/* After a reset cdb_size is 32, sense_size is 96. */
Test(conformance, scsi_config_1)
{
    FOR_EACH_HOST(s, 0)
    {
        const uint8_t cdb_size = 16, sense_size = 18;
        vdrv_reset(&s.rig.drv);
        if (s.rig.drv.t->legacy)
            vdrv_set_status(&s.rig.drv, 3);
        else
            demand(vdrv_negotiate(&s.rig.drv, 0));
        vdrv_config_write(&s.rig.drv, VIRTIO_SCSI_CONFIG_cdb_size, &cdb_size, 1);
        vdrv_config_write(&s.rig.drv, VIRTIO_SCSI_CONFIG_sense_size, &sense_size, 1);
        expect(config_get(&s, VIRTIO_SCSI_CONFIG_cdb_size) == 16);
        expect(config_get(&s, VIRTIO_SCSI_CONFIG_sense_size) == 18);
        vdrv_reset(&s.rig.drv);
        expect(config_get(&s, VIRTIO_SCSI_CONFIG_cdb_size) == 32);
        expect(config_get(&s, VIRTIO_SCSI_CONFIG_sense_size) == 96);
    }
}

/* status is the SCSI status code. */
Test(conformance, scsi_req_1)
{
    FOR_EACH_HOST(s, 0)
    {
        struct scsireq good = {.cdb = {SCSI_TEST_UNIT_READY}}, bad = {.cdb = {0xff}};
        scsireq_do(&s, &good);
        expect(scsireq_status(&s, &good) == SCSI_GOOD);
        scsireq_do(&s, &bad);
        expect(scsireq_status(&s, &bad) == SCSI_CHECK_CONDITION);
        expect(scsireq_response(&s, &bad) == VIRTIO_SCSI_S_OK);
    }
}

/* response says what became of the request. */
Test(conformance, scsi_req_2)
{
    FOR_EACH_HOST(s, 0)
    {
        struct scsireq ok = {.cdb = WRITE_ONE, .out = 512};
        struct scsireq overrun = {.cdb = WRITE_ONE, .out = 511};
        struct scsireq target = {.cdb = WRITE_ONE, .out = 512, .target = 9};
        struct scsireq both = {.cdb = WRITE_ONE, .out = 512, .in = 512};
        struct scsireq aborted = ok, reset = ok;
        scsireq_do(&s, &ok);
        expect(scsireq_response(&s, &ok) == VIRTIO_SCSI_S_OK);
        scsireq_do(&s, &overrun);
        expect(scsireq_response(&s, &overrun) == VIRTIO_SCSI_S_OVERRUN);
        scsireq_do(&s, &target);
        expect(scsireq_response(&s, &target) == VIRTIO_SCSI_S_BAD_TARGET);
        scsireq_do(&s, &both);
        expect(scsireq_response(&s, &both) == VIRTIO_SCSI_S_FAILURE);
        hold(&s);
        scsireq_send(&s, &aborted);
        scsireq_manage(&s, disk_0, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, 0);
        expect(scsireq_response(&s, &aborted) == VIRTIO_SCSI_S_ABORTED);
        scsireq_send(&s, &reset);
        scsireq_manage(&s, disk_0, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0);
        expect(scsireq_response(&s, &reset) == VIRTIO_SCSI_S_RESET);
    }
}

/* What a disk that goes had not done by then is a FAILURE. */
Test(conformance, scsi_req_4)
{
    FOR_EACH_HOST(s, HOTPLUG)
    {
        struct scsireq req = {.cdb = WRITE_ONE, .out = 512};
        uint32_t head, used;
        hold(&s);
        scsireq_send(&s, &req);
        rig_step(&s.rig);
        demand(virtio_scsi_unplug(s.scsi, 0) == 0);
        rig_step(&s.rig);
        expect(vdrv_used(s.requests, &head, &used));
        expect(scsireq_response(&s, &req) == VIRTIO_SCSI_S_FAILURE);
    }
}

static uint32_t event_of(struct scsi_rig *s, uint64_t gpa)
{
    uint32_t head, used;
    demand(vdrv_used(s->events, &head, &used));
    return le32_get(vdrv_ptr(&s->rig.drv, gpa, VIRTIO_SCSI_EVENT_BYTES));
}

/* When events were lost, the next buffer tells: bit 31. */
Test(conformance, scsi_event_1)
{
    FOR_EACH_HOST(s, CHANGE)
    {
        uint64_t gpa = scsireq_offer_event(&s, VIRTIO_SCSI_EVENT_BYTES);
        fake_blk_resize(&s.disks[0], RIG_DISK_BYTES / 2);
        rig_step(&s.rig);
        expect(event_of(&s, gpa) == VIRTIO_SCSI_T_PARAM_CHANGE);
        fake_blk_resize(&s.disks[0], RIG_DISK_BYTES); /* lost */
        gpa = scsireq_offer_event(&s, VIRTIO_SCSI_EVENT_BYTES);
        expect((event_of(&s, gpa) & VIRTIO_SCSI_T_EVENTS_MISSED) != 0);
    }
}

/* Without HOTPLUG nobody is told of disks that come and go. */
Test(conformance, scsi_event_3)
{
    FOR_EACH_HOST(s, CHANGE)
    {
        scsireq_offer_event(&s, VIRTIO_SCSI_EVENT_BYTES);
        demand(virtio_scsi_unplug(s.scsi, 0) == 0);
        demand(virtio_scsi_plug(s.scsi, 2, &s.disks[2].backend, NULL) == 0);
        rig_step(&s.rig);
        expect(!vdrv_has_used(s.events));
    }
}

static void send_control(struct scsi_rig *s, uint32_t subtype)
{
    uint64_t gpa = vdrv_alloc(&s->rig.drv, 32, 8);
    uint8_t *raw = vdrv_ptr(&s->rig.drv, gpa, 32);
    le32_put(raw + VIRTIO_SCSI_TMF_subtype, subtype);
    memcpy(raw + VIRTIO_SCSI_TMF_lun, disk_0, 8);
    struct vdrv_buf bufs[] = {{gpa, VIRTIO_SCSI_TMF_BYTES, false},
                              {gpa + VIRTIO_SCSI_TMF_BYTES, 1, true}};
    vdrv_send(s->control, bufs, 2);
}

static void function_completes_all(uint32_t subtype)
{
    FOR_EACH_HOST(s, 0)
    {
        struct scsireq req[3];
        uint32_t head, used;
        hold(&s);
        for (unsigned i = 0; i < 3; i++) {
            req[i] = (struct scsireq){.cdb = WRITE_ONE, .out = 512, .id = i};
            scsireq_send(&s, &req[i]);
        }
        rig_step(&s.rig);
        send_control(&s, subtype);
        rig_step(&s.rig);
        expect(vdrv_used(s.control, &head, &used));
        for (unsigned i = 0; i < 3; i++)
            expect(vdrv_used(s.requests, &head, &used));
        expect(s.disks[0].out == 0);
    }
}

/* A reset completes all commands of the unit, or of the target. */
Test(conformance, scsi_ctrl_1)
{
    function_completes_all(VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET);
    function_completes_all(VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET);
}

/* An abort completes the commands that it is about. */
Test(conformance, scsi_ctrl_2)
{
    function_completes_all(VIRTIO_SCSI_T_TMF_ABORT_TASK_SET);
    function_completes_all(VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET);
    FOR_EACH_HOST(s, 0)
    {
        struct scsireq req = {.cdb = WRITE_ONE, .out = 512, .id = 7};
        uint32_t head, used;
        hold(&s);
        scsireq_send(&s, &req);
        rig_step(&s.rig);
        scsireq_manage(&s, disk_0, VIRTIO_SCSI_T_TMF_ABORT_TASK, 8);
        expect(!vdrv_has_used(s.requests));
        scsireq_manage(&s, disk_0, VIRTIO_SCSI_T_TMF_ABORT_TASK, 7);
        expect(vdrv_used(s.requests, &head, &used));
    }
}

/* Looks at the queues whenever the driver is notified. */
struct spy {
    struct scsi_rig *s;
    struct virtio_host host; /* the transport */
    unsigned functions, commands;
    bool in_order;
};

static void spy_queue(void *ctx, unsigned queue)
{
    struct spy *spy = ctx;
    uint32_t head, used;
    while (vdrv_used(spy->s->control, &head, &used))
        spy->functions++;
    while (vdrv_used(spy->s->requests, &head, &used))
        spy->commands++;
    if (spy->functions == 2 && spy->commands == 0)
        spy->in_order = false;
    spy->host.ops->notify_queue(spy->host.ctx, queue);
}

static void spy_config(void *ctx)
{
    struct spy *spy = ctx;
    spy->host.ops->notify_config(spy->host.ctx);
}

/* What a function ends is seen before the function: here the second of two that come at once. */
Test(conformance, scsi_ctrl_3)
{
    static const struct virtio_host_ops ops = {.notify_queue = spy_queue,
                                               .notify_config = spy_config};
    FOR_EACH_HOST(s, 0)
    {
        struct scsireq req = {.cdb = WRITE_ONE, .out = 512};
        struct spy spy = {.s = &s, .host = s.rig.dev->host, .in_order = true};
        hold(&s);
        scsireq_send(&s, &req);
        rig_step(&s.rig);
        s.rig.dev->host = (struct virtio_host){&ops, &spy};
        send_control(&s, VIRTIO_SCSI_T_TMF_CLEAR_ACA);
        send_control(&s, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET);
        rig_step(&s.rig);
        s.rig.dev->host = spy.host;
        expect(spy.functions == 2 && spy.commands == 1);
        expect(spy.in_order);
    }
}

/* With HOTPLUG events tell of disks that come and go. */
Test(conformance, scsi_features_1)
{
    FOR_EACH_HOST(s, HOTPLUG)
    {
        uint64_t gpa = scsireq_offer_event(&s, VIRTIO_SCSI_EVENT_BYTES);
        demand(virtio_scsi_unplug(s.scsi, 0) == 0);
        rig_step(&s.rig);
        expect(event_of(&s, gpa) == VIRTIO_SCSI_T_TRANSPORT_RESET);
        gpa = scsireq_offer_event(&s, VIRTIO_SCSI_EVENT_BYTES);
        demand(virtio_scsi_plug(s.scsi, 0, &s.disks[0].backend, NULL) == 0);
        rig_step(&s.rig);
        expect(event_of(&s, gpa) == VIRTIO_SCSI_T_TRANSPORT_RESET);
    }
}
