// SPDX-License-Identifier: BSD-2-Clause
/* The SCSI host: requests as streams of bytes, LUNs, task management, events, queues. */
#include "core/ports/bus.h"
#include "tests/harness/rig_test.h"
#include "tests/harness/scsireq.h"
#include "tests/harness/test.h"
#include "virtio/scsi/scsi_codes.h"
#include "virtio/spec.h"

#define HOTPLUG  VIRTIO_BIT(VIRTIO_SCSI_F_HOTPLUG)
#define CHANGE   VIRTIO_BIT(VIRTIO_SCSI_F_CHANGE)
#define INDIRECT VIRTIO_BIT(VIRTIO_F_INDIRECT_DESC)

#define READ_ONE              \
    {                         \
        SCSI_READ_10, [8] = 1 \
    }
#define WRITE_ONE              \
    {                          \
        SCSI_WRITE_10, [8] = 1 \
    }

static const uint8_t disk_0[8] = {1, 0, 0x40}, disk_1[8] = {1, 1};
static const uint8_t no_disk[8] = {1, 2, 0x40}, no_unit[8] = {1, 0, 0x40, 1};
static const uint8_t well_known[8] = {0xc1, 1};

static void open_started(struct scsi_rig *s, uint64_t features)
{
    scsi_rig_start(s, &rig_variants[0], features);
}

static uint32_t config_get(struct scsi_rig *s, unsigned offset, unsigned bytes)
{
    uint8_t raw[4] = {0};
    vdrv_config_read(&s->rig.drv, offset, raw, bytes);
    return le32_get(raw);
}

/* In one access, as drivers do. */
static void config_put(struct scsi_rig *s, unsigned offset, uint32_t value)
{
    bus_write(s->rig.bus, vdrv_config_gpa(&s->rig.drv) + offset, 4, value);
}

/* A task management function of that name is answered so. */
#define MANAGED(s, lun, task, id, answer, ...)                                                 \
    cr_expect_eq(scsireq_manage(s, lun, VIRTIO_SCSI_T_TMF_##task, id), VIRTIO_SCSI_S_##answer, \
                 "" __VA_ARGS__)

#define CONFIG_IS(field, bytes, value) \
    cr_expect_eq(config_get(s, VIRTIO_SCSI_CONFIG_##field, bytes), value, #field)

OnScsi(virtio_scsi, describes_the_host,
       scsi_rig_open(s, &(struct rig_config){.queues = 3,
                                             .features_on = VIRTIO_BIT(VIRTIO_F_IN_ORDER)}))
{
    cr_expect_eq(s->rig.dev->cfg.type->id, 8);
    cr_expect_eq(s->rig.dev->cfg.queue_count, 5);
    CONFIG_IS(num_queues, 4, 3);
    CONFIG_IS(seg_max, 4, 254);
    CONFIG_IS(max_sectors, 4, 0xffff);
    CONFIG_IS(cmd_per_lun, 4, 256);
    CONFIG_IS(event_info_size, 4, 16);
    CONFIG_IS(sense_size, 4, 96);
    CONFIG_IS(cdb_size, 4, 32);
    CONFIG_IS(max_channel, 2, 0);
    CONFIG_IS(max_target, 2, SCSIREQ_DISKS - 1);
    CONFIG_IS(max_lun, 4, 0);
    uint64_t own = VIRTIO_BIT(24) - 1;
    cr_expect_eq(vdrv_offered(&s->rig.drv) & own, HOTPLUG | CHANGE);
    cr_expect_eq(vdrv_offered(&s->rig.drv) & VIRTIO_BIT(VIRTIO_F_IN_ORDER), 0);
}

Test(virtio_scsi, works_on_every_transport_and_ring)
{
    for (unsigned i = 0; i < RIG_ALL_VARIANTS; i++) {
        const struct rig_config *config = &rig_all_variants[i];
        struct scsi_rig s;
        scsi_rig_start(&s, config, 0);
        s.disks[0].bytes[17] = 0x77;
        struct scsireq in = {.cdb = READ_ONE, .in = 512}, out = {.cdb = WRITE_ONE, .out = 512};
        cr_expect_eq(scsireq_do(&s, &in), 108 + 512, "%s", rig_config_name(config));
        cr_expect_eq(scsireq_data(&s, &in)[17], 0x77, "%s", rig_config_name(config));
        cr_expect_eq(scsireq_response(&s, &in), VIRTIO_SCSI_S_OK);
        cr_expect_eq(scsireq_do(&s, &out), 108);
        cr_expect_eq(s.disks[0].bytes[17], 0, "%s", rig_config_name(config));
        MANAGED(&s, disk_0, LOGICAL_UNIT_RESET, 0, FUNCTION_COMPLETE);
        scsi_rig_close(&s);
    }
}

/* ---- streams of bytes ---- */

OnScsi(virtio_scsi, buffers_may_be_cut_anywhere, open_started(s, INDIRECT))
{
    static const uint32_t cuts[] = {3, 11, 12, 13, 19, 51, 107, 108, 109, 511};
    for (unsigned i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct scsireq out = {.cdb = WRITE_ONE, .out = 512, .cut = cuts[i]};
        out.data_gpa = vdrv_alloc(&s->rig.drv, 512, 8);
        for (unsigned b = 0; b < 512; b++)
            scsireq_data(s, &out)[b] = (uint8_t)(b ^ cuts[i]);
        cr_expect_eq(scsireq_do(s, &out), 108, "cut %u", cuts[i]);
        cr_expect_eq(scsireq_response(s, &out), VIRTIO_SCSI_S_OK);
        struct scsireq in = {.cdb = READ_ONE, .in = 512, .cut = cuts[i]};
        cr_expect_eq(scsireq_do(s, &in), 108 + 512, "cut %u", cuts[i]);
        cr_expect_arr_eq(scsireq_data(s, &in), scsireq_data(s, &out), 512);
        /* Sense data too. */
        struct scsireq bad = {.cdb = {0xff}, .cut = cuts[i]};
        scsireq_do(s, &bad);
        cr_expect_eq(scsireq_sense(s, &bad), SCSI_INVALID_OPERATION_CODE, "cut %u", cuts[i]);
    }
}

/* Response and data in one buffer. */
OnScsi(virtio_scsi, data_follows_the_response, open_started(s, 0))
{
    for (unsigned i = 0; i < 512; i++)
        s->disks[0].bytes[i] = (uint8_t)i;
    struct scsireq req = {.cdb = READ_ONE, .room = 108 + 512};
    cr_expect_eq(scsireq_do(s, &req), 108 + 512);
    cr_expect_eq(scsireq_response(s, &req), VIRTIO_SCSI_S_OK);
    cr_expect_arr_eq((uint8_t *)vdrv_ptr(&s->rig.drv, req.response_gpa + 108, 512),
                     s->disks[0].bytes, 512);
}

/* Whatever is wrong with a request, there is an answer if there is room for one. */
OnScsi(virtio_scsi, requests_that_are_cut_short, open_started(s, 0))
{
    for (uint32_t bytes = 1; bytes < 51; bytes += 10) {
        struct scsireq req = {.cdb = WRITE_ONE, .header_bytes = bytes};
        cr_expect_eq(scsireq_do(s, &req), 108, "header of %u", bytes);
        cr_expect_eq(scsireq_response(s, &req), VIRTIO_SCSI_S_FAILURE, "header of %u", bytes);
    }
    for (uint32_t room = 12; room < 108; room += 19) {
        struct scsireq req = {.cdb = WRITE_ONE, .out = 512, .room = room};
        cr_expect_eq(scsireq_do(s, &req), room, "room of %u", room);
        cr_expect_eq(scsireq_response(s, &req), VIRTIO_SCSI_S_FAILURE, "room of %u", room);
    }
    struct scsireq tiny = {.cdb = WRITE_ONE, .out = 512, .room = 11};
    cr_expect_eq(scsireq_do(s, &tiny), 0);
    struct scsireq none = {.cdb = WRITE_ONE, .out = 512, .no_response = true};
    cr_expect_eq(scsireq_do(s, &none), 0);
    cr_expect_eq(s->disks[0].submitted, 0);
    struct scsireq good = {.cdb = WRITE_ONE, .out = 512};
    scsireq_do(s, &good);
    cr_expect_eq(scsireq_response(s, &good), VIRTIO_SCSI_S_OK, "and it goes on");
}

OnScsi(virtio_scsi, data_goes_one_way, open_started(s, 0))
{
    struct scsireq req = {.cdb = READ_ONE, .in = 512, .out = 512};
    cr_expect_eq(scsireq_do(s, &req), 108);
    cr_expect_eq(scsireq_response(s, &req), VIRTIO_SCSI_S_FAILURE);
    cr_expect_eq(scsireq_residual(s, &req), 1024);
    cr_expect_eq(s->disks[0].submitted, 0);
}

/* ---- sizes that the driver sets ---- */

static void restart_with(struct scsi_rig *s, uint32_t sense, uint32_t cdb)
{
    struct vdrv *d = &s->rig.drv;
    vdrv_reset(d);
    cr_assert(vdrv_negotiate(d, 0));
    config_put(s, VIRTIO_SCSI_CONFIG_sense_size, sense);
    config_put(s, VIRTIO_SCSI_CONFIG_cdb_size, cdb);
    for (unsigned q = 0; q < 3; q++) {
        vdrv_queue_set_up(d, q, 64);
    }
    vdrv_driver_ok(d);
    rig_step(&s->rig);
}

OnScsi(virtio_scsi, the_driver_sets_the_sizes, open_started(s, 0))
{
    restart_with(s, 8, 10);
    CONFIG_IS(sense_size, 4, 8);
    CONFIG_IS(cdb_size, 4, 10);
    struct scsireq req = {.cdb = READ_ONE, .in = 512, .header_bytes = 29, .room = 20};
    cr_expect_eq(scsireq_do(s, &req), 20 + 512);
    cr_expect_eq(scsireq_response(s, &req), VIRTIO_SCSI_S_OK);
    cr_expect_eq(scsireq_residual(s, &req), 0);
    struct scsireq bad = {.cdb = {0xff}, .header_bytes = 29, .room = 20};
    cr_expect_eq(scsireq_do(s, &bad), 20);
    const uint8_t *raw = vdrv_ptr(&s->rig.drv, bad.response_gpa, 20);
    cr_expect_eq(le32_get(raw), 8, "sense data of which there is a part");
    cr_expect_eq(raw[12 + 2], 5);
    /* No room in the CDB for a command of 16 bytes. */
    struct scsireq longer = {.cdb = {SCSI_READ_16, [9] = 1}, .header_bytes = 29, .room = 20};
    scsireq_do(s, &longer);
    cr_expect_eq(scsireq_status(s, &longer), SCSI_CHECK_CONDITION);
    /* While the device runs they stay. */
    config_put(s, VIRTIO_SCSI_CONFIG_cdb_size, 32);
    CONFIG_IS(cdb_size, 4, 10);
    vdrv_reset(&s->rig.drv);
    CONFIG_IS(sense_size, 4, 96);
    CONFIG_IS(cdb_size, 4, 32);
}

OnScsi(virtio_scsi, sizes_go_with_a_driver_that_gives_up, scsi_rig_open(s, &rig_variants[0]))
{
    cr_assert(vdrv_negotiate(&s->rig.drv, 0));
    config_put(s, VIRTIO_SCSI_CONFIG_sense_size, 8);
    CONFIG_IS(sense_size, 4, 8);
    vdrv_reset(&s->rig.drv);
    CONFIG_IS(sense_size, 4, 96);
    config_put(s, VIRTIO_SCSI_CONFIG_sense_size, 8);
    CONFIG_IS(sense_size, 4, 96);
}

OnScsi(virtio_scsi, sizes_have_bounds, open_started(s, 0))
{
    static const uint32_t wrong[][2] = {
        {96, 0}, {96, 257}, {96, UINT32_MAX}, {4097, 32}, {UINT32_MAX, 32}};
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        restart_with(s, wrong[i][0], wrong[i][1]);
        CONFIG_IS(sense_size, 4, 96);
        CONFIG_IS(cdb_size, 4, 32);
    }
    restart_with(s, 0, 256);
    CONFIG_IS(sense_size, 4, 0);
    CONFIG_IS(cdb_size, 4, 256);
    config_put(s, VIRTIO_SCSI_CONFIG_num_queues, 9);
    CONFIG_IS(num_queues, 4, 1);
}

/* ---- LUNs ---- */

OnScsi(virtio_scsi, targets_that_are_not_there, open_started(s, 0))
{
    static const uint8_t cases[][8] = {{1, 2, 0x40}, {1, 3, 0x40}, {1, 255, 0x40}, {0, 0, 0x40},
                                       {2, 0, 0x40}, {0xc1, 2},    {0xc1, 1, 0, 1}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scsireq req = {.lun = cases[i], .cdb = READ_ONE, .in = 512};
        cr_expect_eq(scsireq_do(s, &req), 108);
        cr_expect_eq(scsireq_response(s, &req), VIRTIO_SCSI_S_BAD_TARGET, "case %u", i);
        MANAGED(s, cases[i], QUERY_TASK_SET, 0, BAD_TARGET);
    }
}

OnScsi(virtio_scsi, units_that_are_not_there, open_started(s, 0))
{
    static const uint8_t cases[][8] = {
        {1, 0, 0x40, 1}, {1, 0, 0, 1}, {1, 0, 0x41}, {1, 0, 0xc1, 1}, {1, 0, 0x40, 0, 0, 1}};
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scsireq req = {.lun = cases[i], .cdb = READ_ONE, .in = 512};
        scsireq_do(s, &req);
        cr_expect_eq(scsireq_sense(s, &req), SCSI_LUN_NOT_SUPPORTED, "case %u", i);
        struct scsireq inquiry = {.lun = cases[i], .cdb = {SCSI_INQUIRY, 0, 0, 0, 36}, .in = 36};
        scsireq_do(s, &inquiry);
        cr_expect_eq(scsireq_status(s, &inquiry), SCSI_GOOD);
        cr_expect_eq(scsireq_data(s, &inquiry)[0], SCSI_TYPE_NONE);
        struct scsireq sense = {
            .lun = cases[i], .cdb = {SCSI_REQUEST_SENSE, 0, 0, 0, 18}, .in = 18};
        scsireq_do(s, &sense);
        cr_expect_eq(scsireq_data(s, &sense)[12], 0x25);
    }
    cr_expect_eq(s->disks[0].submitted, 0);
}

static uint32_t luns(struct scsi_rig *s, const uint8_t lun[8], uint8_t select, uint8_t out[64])
{
    struct scsireq req = {.lun = lun, .cdb = {SCSI_REPORT_LUNS, [2] = select, [9] = 64}, .in = 64};
    scsireq_do(s, &req);
    cr_expect_eq(scsireq_status(s, &req), SCSI_GOOD);
    memcpy(out, scsireq_data(s, &req), 64);
    cr_expect_eq(scsireq_residual(s, &req), 64u - 8 - out[3]);
    return out[3];
}

OnScsi(virtio_scsi, units_are_listed, open_started(s, 0))
{
    uint8_t list[64];
    cr_expect_eq(luns(s, disk_1, 0, list), 8);
    cr_expect_arr_eq(list + 8, ((uint8_t[8]){0}), 8);
    cr_expect_eq(luns(s, disk_1, 1, list), 0);
    cr_expect_eq(luns(s, well_known, 0, list), 16);
    cr_expect_arr_eq(list + 8, ((uint8_t[16]){1, 0, 0x40, 0, 0, 0, 0, 0, 1, 1, 0x40}), 16);
    cr_expect_eq(luns(s, well_known, 1, list), 8);
    cr_expect_arr_eq(list + 8, well_known, 8);
    cr_expect_eq(luns(s, well_known, 2, list), 24);
    struct scsireq wrong = {.cdb = {SCSI_REPORT_LUNS, [2] = 3, [9] = 64}, .in = 64};
    scsireq_do(s, &wrong);
    cr_expect_eq(scsireq_sense(s, &wrong), SCSI_INVALID_FIELD_IN_CDB);
    /* The well-known unit is no disk. */
    struct scsireq inquiry = {.lun = well_known, .cdb = {SCSI_INQUIRY, 0, 0, 0, 36}, .in = 36};
    scsireq_do(s, &inquiry);
    cr_expect_eq(scsireq_data(s, &inquiry)[0], SCSI_TYPE_WELL_KNOWN);
    struct scsireq read = {.lun = well_known, .cdb = READ_ONE, .in = 512};
    scsireq_do(s, &read);
    cr_expect_eq(scsireq_sense(s, &read), SCSI_INVALID_OPERATION_CODE);
}

/* ---- task management ---- */

static void expect_next(struct scsi_rig *s, struct scsireq *req, uint8_t response)
{
    uint32_t head, used;
    cr_assert(vdrv_used(s->requests, &head, &used), "nothing came back");
    cr_expect_eq(head, (uint32_t)req->head);
    cr_expect_eq(scsireq_response(s, req), response, "%u", scsireq_response(s, req));
}

/* One disk holds requests 1 and 2, the other 3. */
static void send_three(struct scsi_rig *s, struct scsireq req[3])
{
    for (unsigned i = 0; i < 3; i++) {
        req[i] = (struct scsireq){.cdb = WRITE_ONE, .out = 512, .id = i + 1, .target = i == 2};
        s->disks[i == 2].hold = true;
        s->disks[i == 2].drop = true;
        scsireq_send(s, &req[i]);
    }
    rig_step(&s->rig);
}

OnScsi(virtio_scsi, a_task_is_aborted, open_started(s, 0))
{
    struct scsireq req[3];
    send_three(s, req);
    MANAGED(s, disk_0, QUERY_TASK, 2, FUNCTION_SUCCEEDED);
    MANAGED(s, disk_0, QUERY_TASK, 3, FUNCTION_COMPLETE, "it is the other disk's");
    MANAGED(s, disk_0, ABORT_TASK, 2, FUNCTION_COMPLETE);
    expect_next(s, &req[1], VIRTIO_SCSI_S_ABORTED);
    cr_expect_not(vdrv_has_used(s->requests), "the others go on");
    MANAGED(s, disk_0, QUERY_TASK, 2, FUNCTION_COMPLETE);
    MANAGED(s, disk_0, ABORT_TASK, 99, FUNCTION_COMPLETE);
    fake_blk_release(&s->disks[0]);
    fake_blk_release(&s->disks[1]);
    rig_step(&s->rig);
    expect_next(s, &req[0], VIRTIO_SCSI_S_OK);
    expect_next(s, &req[2], VIRTIO_SCSI_S_OK);
    cr_expect_eq(s->disks[1].dropped, 0);
}

static void functions_end_all(uint32_t subtype, uint8_t response, unsigned attention)
{
    struct scsi_rig s;
    struct scsireq req[3];
    open_started(&s, 0);
    send_three(&s, req);
    MANAGED(&s, disk_0, QUERY_TASK_SET, 0, FUNCTION_SUCCEEDED);
    cr_expect_eq(scsireq_manage(&s, disk_0, subtype, 0), VIRTIO_SCSI_S_FUNCTION_COMPLETE);
    expect_next(&s, &req[0], response);
    expect_next(&s, &req[1], response);
    cr_expect_not(vdrv_has_used(s.requests), "not those of the other disk");
    MANAGED(&s, disk_0, QUERY_TASK_SET, 0, FUNCTION_COMPLETE);
    fake_blk_release(&s.disks[1]);
    rig_step(&s.rig);
    expect_next(&s, &req[2], VIRTIO_SCSI_S_OK);
    struct scsireq ready = {.cdb = {SCSI_TEST_UNIT_READY}};
    scsireq_do(&s, &ready);
    cr_expect_eq(scsireq_sense(&s, &ready), attention);
    scsireq_do(&s, &ready);
    cr_expect_eq(scsireq_status(&s, &ready), SCSI_GOOD, "it is told once");
    scsi_rig_close(&s);
}

Test(virtio_scsi, task_sets_are_aborted)
{
    functions_end_all(VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, VIRTIO_SCSI_S_ABORTED, 0);
    functions_end_all(VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET, VIRTIO_SCSI_S_ABORTED, 0);
}

Test(virtio_scsi, units_are_reset)
{
    functions_end_all(VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, VIRTIO_SCSI_S_RESET,
                      SCSI_UNIT_WAS_RESET);
    functions_end_all(VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET, VIRTIO_SCSI_S_RESET, SCSI_NEXUS_LOST);
}

/* A backend that does all that is out in its drain has done it. */
OnScsi(virtio_scsi, what_is_done_is_not_aborted, open_started(s, 0))
{
    struct scsireq req = {.cdb = {SCSI_WRITE_10, 0x08, [8] = 1}, .out = 512, .id = 7}; /* FUA */
    struct scsireq plain = {.cdb = WRITE_ONE, .out = 512, .id = 8};
    s->disks[0].hold = true;
    scsireq_send(s, &req);
    scsireq_send(s, &plain);
    rig_step(&s->rig);
    MANAGED(s, disk_0, ABORT_TASK_SET, 0, FUNCTION_COMPLETE);
    expect_next(s, &req, VIRTIO_SCSI_S_ABORTED); /* its flush is not */
    expect_next(s, &plain, VIRTIO_SCSI_S_OK);
    cr_expect_eq(s->disks[0].flushes, 0);
}

/* A command that the device has not looked at yet is in the task set as well. */
OnScsi(virtio_scsi, what_was_sent_before_is_meant, open_started(s, 0))
{
    s->disks[0].hold = true;
    s->disks[0].drop = true;
    struct scsireq req[4];
    for (unsigned i = 0; i < 4; i++) {
        req[i] = (struct scsireq){.cdb = WRITE_ONE, .out = 512, .id = i};
        req[i].no_kick = true; /* so only the function makes the device look */
        scsireq_send(s, &req[i]);
    }
    MANAGED(s, disk_0, LOGICAL_UNIT_RESET, 0, FUNCTION_COMPLETE);
    for (unsigned i = 0; i < 4; i++)
        expect_next(s, &req[i], VIRTIO_SCSI_S_RESET);
}

/* A function empties the queues, and other devices of the loop have their turns meanwhile. */
OnScsi(virtio_scsi, a_function_takes_a_turn_of_requests_at_once, open_started(s, 0))
{
    enum { COUNT = 3 * VIRTIO_TURN_CHAINS };
    s->disks[0].hold = true;
    s->disks[0].drop = true;
    struct scsireq req[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        req[i] = (struct scsireq){.cdb = WRITE_ONE, .out = 512, .id = i, .no_kick = true};
        scsireq_send(s, &req[i]);
    }
    uint64_t gpa = vdrv_alloc(&s->rig.drv, VIRTIO_SCSI_TMF_BYTES + 1, 8);
    uint8_t *raw = vdrv_ptr(&s->rig.drv, gpa, VIRTIO_SCSI_TMF_BYTES);
    le32_put(raw + VIRTIO_SCSI_TMF_subtype, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET);
    memcpy(raw + VIRTIO_SCSI_TMF_lun, disk_0, 8);
    vdrv_add(s->control,
             (struct vdrv_buf[]){{gpa, VIRTIO_SCSI_TMF_BYTES, false},
                                 {gpa + VIRTIO_SCSI_TMF_BYTES, 1, true}},
             2);
    vdrv_publish(s->control);
    virtio_queue_serve(s->rig.dev, VIRTIO_SCSI_CONTROLQ);
    cr_expect_eq(s->disks[0].submitted, VIRTIO_TURN_CHAINS);
    rig_step(&s->rig);
    for (unsigned i = 0; i < COUNT; i++)
        expect_next(s, &req[i], VIRTIO_SCSI_S_ABORTED);
}

OnScsi(virtio_scsi, functions_that_cannot_be, open_started(s, 0))
{
    MANAGED(s, disk_0, CLEAR_ACA, 0, FUNCTION_REJECTED);
    cr_expect_eq(scsireq_manage(s, disk_0, 8, 0), VIRTIO_SCSI_S_FUNCTION_REJECTED);
    cr_expect_eq(scsireq_manage(s, disk_0, UINT32_MAX, 0), VIRTIO_SCSI_S_FUNCTION_REJECTED);
    MANAGED(s, no_unit, ABORT_TASK, 0, INCORRECT_LUN);
    MANAGED(s, no_unit, I_T_NEXUS_RESET, 0, FUNCTION_COMPLETE, "a nexus is with the target");
    MANAGED(s, no_disk, I_T_NEXUS_RESET, 0, BAD_TARGET);
}

/* Sends `bytes` of a control request, with room for `room`; returns what was written. */
static uint32_t control(struct scsi_rig *s, const uint8_t *raw, uint32_t bytes, uint32_t room,
                        uint8_t answer[8])
{
    uint32_t head, used = UINT32_MAX;
    uint64_t gpa = vdrv_alloc(&s->rig.drv, 64, 8);
    memcpy(vdrv_ptr(&s->rig.drv, gpa, bytes), raw, bytes);
    memset(vdrv_ptr(&s->rig.drv, gpa + 48, 8), SCSIREQ_NOTHING, 8);
    struct vdrv_buf bufs[] = {{gpa, bytes, false}, {gpa + 48, room, true}};
    vdrv_send(s->control, bufs, room > 0 ? 2 : 1);
    rig_step(&s->rig);
    cr_assert(vdrv_used(s->control, &head, &used));
    memcpy(answer, vdrv_ptr(&s->rig.drv, gpa + 48, 8), 8);
    return used;
}

OnScsi(virtio_scsi, control_requests_of_all_kinds, open_started(s, 0))
{
    uint8_t raw[32] = {VIRTIO_SCSI_T_AN_QUERY, 0, 0, 0, 1, 0, 0x40, [12] = 0xff}, answer[8];
    cr_expect_eq(control(s, raw, 16, 5, answer), 5);
    cr_expect_arr_eq(answer, "\0\0\0\0\0\xee", 6);
    raw[0] = VIRTIO_SCSI_T_AN_SUBSCRIBE;
    raw[5] = 2;
    cr_expect_eq(control(s, raw, 16, 5, answer), 5);
    cr_expect_eq(answer[4], VIRTIO_SCSI_S_BAD_TARGET);
    cr_expect_eq(control(s, raw, 15, 5, answer), 1, "too short");
    cr_expect_eq(answer[0], VIRTIO_SCSI_S_FAILURE);
    raw[0] = 3;
    cr_expect_eq(control(s, raw, 32, 8, answer), 1, "unknown");
    cr_expect_eq(answer[0], VIRTIO_SCSI_S_FAILURE);
    cr_expect_eq(control(s, raw, 32, 0, answer), 0);
    raw[0] = VIRTIO_SCSI_T_TMF;
    cr_expect_eq(control(s, raw, 23, 1, answer), 1, "too short");
    cr_expect_eq(answer[0], VIRTIO_SCSI_S_FAILURE);
}

/* ---- events ---- */

static void expect_event(struct scsi_rig *s, uint64_t gpa, uint32_t event, uint8_t target,
                         uint32_t reason)
{
    uint32_t head, used;
    const uint8_t lun[8] = {1, target};
    cr_assert(vdrv_used(s->events, &head, &used), "no event");
    cr_expect_eq(used, VIRTIO_SCSI_EVENT_BYTES);
    const uint8_t *raw = vdrv_ptr(&s->rig.drv, gpa, VIRTIO_SCSI_EVENT_BYTES);
    cr_expect_eq(le32_get(raw), event, "%#x", le32_get(raw));
    if ((event & ~VIRTIO_SCSI_T_EVENTS_MISSED) == VIRTIO_SCSI_T_NO_EVENT)
        return;
    cr_expect_arr_eq(raw + VIRTIO_SCSI_EVENT_lun, lun, 8);
    cr_expect_eq(le32_get(raw + VIRTIO_SCSI_EVENT_reason), reason);
}

OnScsi(virtio_scsi, a_new_size_is_told, open_started(s, CHANGE))
{
    uint64_t gpa = scsireq_offer_event(s, 16);
    cr_expect_not(vdrv_has_used(s->events));
    fake_blk_resize(&s->disks[1], 2 * RIG_DISK_BYTES);
    rig_step(&s->rig);
    expect_event(s, gpa, VIRTIO_SCSI_T_PARAM_CHANGE, 1, 0x092a);
    /* And as a unit attention, which some commands leave alone. */
    struct scsireq inquiry = {.target = 1, .cdb = {SCSI_INQUIRY, 0, 0, 0, 36}, .in = 36};
    struct scsireq ready = {.target = 1, .cdb = {SCSI_TEST_UNIT_READY}};
    scsireq_do(s, &inquiry);
    cr_expect_eq(scsireq_status(s, &inquiry), SCSI_GOOD);
    scsireq_do(s, &ready);
    cr_expect_eq(scsireq_sense(s, &ready), SCSI_CAPACITY_CHANGED);
    scsireq_do(s, &ready);
    cr_expect_eq(scsireq_status(s, &ready), SCSI_GOOD);
    fake_blk_resize(&s->disks[1], RIG_DISK_BYTES);
    struct scsireq sense = {.target = 1, .cdb = {SCSI_REQUEST_SENSE, 0, 0, 0, 18}, .in = 18};
    scsireq_do(s, &sense);
    cr_expect_eq(scsireq_data(s, &sense)[12], 0x2a);
    scsireq_do(s, &ready);
    cr_expect_eq(scsireq_status(s, &ready), SCSI_GOOD);
}

OnScsi(virtio_scsi, nobody_is_told_who_does_not_know, open_started(s, 0))
{
    scsireq_offer_event(s, 16);
    fake_blk_resize(&s->disks[0], 2 * RIG_DISK_BYTES);
    cr_expect_eq(virtio_scsi_unplug(s->scsi, 1), 0);
    cr_expect_eq(virtio_scsi_plug(s->scsi, 2, &s->disks[2].backend, NULL), 0);
    rig_step(&s->rig);
    cr_expect_not(vdrv_has_used(s->events));
}

OnScsi(virtio_scsi, missed_events_are_told, open_started(s, CHANGE | HOTPLUG))
{
    fake_blk_resize(&s->disks[0], 2 * RIG_DISK_BYTES);
    cr_expect_eq(virtio_scsi_unplug(s->scsi, 1), 0);
    rig_step(&s->rig);
    uint64_t gpa = scsireq_offer_event(s, 16);
    expect_event(s, gpa, VIRTIO_SCSI_T_NO_EVENT | VIRTIO_SCSI_T_EVENTS_MISSED, 0, 0);
    gpa = scsireq_offer_event(s, 16);
    cr_expect_not(vdrv_has_used(s->events), "once");
    fake_blk_resize(&s->disks[0], RIG_DISK_BYTES);
    rig_step(&s->rig);
    expect_event(s, gpa, VIRTIO_SCSI_T_PARAM_CHANGE, 0, 0x092a);
}

OnScsi(virtio_scsi, a_buffer_too_short_for_an_event, open_started(s, CHANGE))
{
    uint32_t head, used;
    scsireq_offer_event(s, 15);
    uint64_t gpa = scsireq_offer_event(s, 16);
    fake_blk_resize(&s->disks[0], 2 * RIG_DISK_BYTES);
    rig_step(&s->rig);
    cr_assert(vdrv_used(s->events, &head, &used));
    cr_expect_eq(used, 15, "no event");
    expect_event(s, gpa, VIRTIO_SCSI_T_PARAM_CHANGE, 0, 0x092a);
}

OnScsi(virtio_scsi, disks_come_and_go, open_started(s, HOTPLUG))
{
    struct scsireq req[3];
    uint64_t gpa = scsireq_offer_event(s, 16);
    send_three(s, req);
    cr_expect_eq(virtio_scsi_unplug(s->scsi, 0), 0);
    rig_step(&s->rig);
    expect_event(s, gpa, VIRTIO_SCSI_T_TRANSPORT_RESET, 0, VIRTIO_SCSI_EVT_RESET_REMOVED);
    expect_next(s, &req[0], VIRTIO_SCSI_S_FAILURE);
    expect_next(s, &req[1], VIRTIO_SCSI_S_FAILURE);
    fake_blk_release(&s->disks[1]);
    rig_step(&s->rig);
    expect_next(s, &req[2], VIRTIO_SCSI_S_OK);
    struct scsireq gone = {.cdb = READ_ONE, .in = 512};
    scsireq_do(s, &gone);
    cr_expect_eq(scsireq_response(s, &gone), VIRTIO_SCSI_S_BAD_TARGET);
    cr_expect_eq(virtio_scsi_unplug(s->scsi, 0), -ENOENT);
    cr_expect_eq(virtio_scsi_unplug(s->scsi, 3), -EINVAL);

    gpa = scsireq_offer_event(s, 16);
    cr_expect_eq(virtio_scsi_plug(s->scsi, 0, &s->disks[2].backend, "new"), 0);
    cr_expect_eq(virtio_scsi_plug(s->scsi, 0, &s->disks[2].backend, "new"), -EBUSY);
    cr_expect_eq(virtio_scsi_plug(s->scsi, 3, &s->disks[2].backend, "new"), -EINVAL);
    rig_step(&s->rig);
    expect_event(s, gpa, VIRTIO_SCSI_T_TRANSPORT_RESET, 0, VIRTIO_SCSI_EVT_RESET_RESCAN);
    struct scsireq here = {.cdb = READ_ONE, .in = 512};
    scsireq_do(s, &here);
    cr_expect_eq(scsireq_response(s, &here), VIRTIO_SCSI_S_OK);
    cr_expect_eq(s->disks[2].submitted, 1);
}

/* ---- queues ---- */

Test(virtio_scsi, reset_with_requests_in_flight)
{
    for (unsigned drop = 0; drop < 2; drop++) {
        struct scsi_rig s;
        struct scsireq req[3];
        open_started(&s, 0);
        send_three(&s, req);
        s.disks[0].drop = s.disks[1].drop = drop;
        vdrv_reset(&s.rig.drv);
        cr_expect_eq(s.disks[0].out + s.disks[1].out, 0);
        s.disks[0].hold = s.disks[1].hold = false;
        cr_assert(vdrv_start(&s.rig.drv, 0, 3, 64));
        rig_step(&s.rig);
        cr_expect_eq(s.disks[0].out + s.disks[1].out, 0);
        struct scsireq again = {.cdb = READ_ONE, .in = 512};
        cr_expect_eq(scsireq_do(&s, &again), 108 + 512);
        scsi_rig_close(&s);
    }
}

/* What a drain for one queue's sake drops of the others comes again. */
Test(virtio_scsi, the_reset_of_a_queue_takes_nothing_from_the_others)
{
    struct scsi_rig s;
    scsi_rig_start(&s, &(struct rig_config){.queues = 2}, VIRTIO_BIT(VIRTIO_F_RING_RESET));
    s.disks[0].hold = s.disks[0].drop = true;
    struct scsireq stays = {.cdb = WRITE_ONE, .out = 512};
    struct scsireq goes = {.cdb = WRITE_ONE, .out = 512, .queue = 1};
    scsireq_send(&s, &stays);
    scsireq_send(&s, &goes);
    rig_step(&s.rig);
    cr_assert(vdrv_queue_reset(&s.rig.drv, VIRTIO_SCSI_REQUESTQ + 1));
    fake_blk_release(&s.disks[0]);
    rig_step(&s.rig);
    expect_next(&s, &stays, VIRTIO_SCSI_S_OK);
    cr_expect_eq(scsireq_response(&s, &goes), VIRTIO_SCSI_S_FAILURE);
    cr_expect_eq(s.disks[0].submitted, 3);
    scsi_rig_close(&s);
}

/* One that waits to be submitted again can be aborted too. */
OnScsi(virtio_scsi, what_waits_is_aborted_as_well, open_started(s, 0))
{
    struct scsireq req[3];
    send_three(s, req);
    /* Both functions are there when the loop comes to the queue. */
    uint64_t gpa = vdrv_alloc(&s->rig.drv, 64, 8);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t *raw = vdrv_ptr(&s->rig.drv, gpa + 32 * i, 32);
        memcpy(raw + VIRTIO_SCSI_TMF_lun, disk_0, 8);
        le64_put(raw + VIRTIO_SCSI_TMF_id, i + 1);
        raw[24] = SCSIREQ_NOTHING;
        struct vdrv_buf bufs[] = {{gpa + 32 * i, 24, false}, {gpa + 32 * i + 24, 1, true}};
        vdrv_add(s->control, bufs, 2);
    }
    vdrv_kick(s->control);
    rig_step(&s->rig);
    expect_next(s, &req[0], VIRTIO_SCSI_S_ABORTED);
    expect_next(s, &req[1], VIRTIO_SCSI_S_ABORTED);
    for (unsigned i = 0; i < 2; i++)
        cr_expect_eq(*(uint8_t *)vdrv_ptr(&s->rig.drv, gpa + 32 * i + 24, 1), 0);
}

OnScsi(virtio_scsi, what_cannot_be_created, open_started(s, 0))
{
    struct virtio_scsi *scsi = NULL;
    struct blk_backend *backends[257] = {0};
    struct virtio_scsi_config config = {.backends = backends, .count = 257};
    struct virtio_setup setup = rig_setup(&s->rig, "scsi");
    cr_expect_eq(virtio_scsi_create(&scsi, &setup, &config), -EINVAL);
    config.count = 0;
    cr_expect_eq(virtio_scsi_create(&scsi, &setup, &config), -EINVAL);
    config.count = 256;
    config.queues = VIRTIO_QUEUES_MAX - 1;
    cr_expect_eq(virtio_scsi_create(&scsi, &setup, &config), -EINVAL);
    config.queues = VIRTIO_QUEUES_MAX - 2;
    cr_assert_eq(virtio_scsi_create(&scsi, &setup, &config), 0);
    virtio_scsi_destroy(scsi);
}
